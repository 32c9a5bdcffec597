import { z } from "zod";
import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { returnUrls } from "../domain/redirect.ts";
import { env } from "../env.ts";
import { log } from "../log.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { ensureCustomer } from "./customer.ts";
