import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { shortHash } from "../domain/hash.ts";
import { log } from "../log.ts";
import { callingStripe, stripe } from "../stripe.ts";

/**
 * The user's Stripe customer, created on first need.
 *
 * Two tabs that race create one customer: they send the same idempotency key, and our own row, where the first wins,
 * remembers it for longer than Stripe remembers keys. A customer is never looked up by e-mail, which would hand one
 * person's billing to another.
 */
export async function ensureCustomer(admin: db.Client, user: db.User): Promise<string> {
  const existing = await db.findCustomer(admin, user.id);
  if (existing !== null) return existing;
  await db.requireUser(admin, user.id);
  return await link(await createCustomer(user, ""), (id) => db.linkCustomer(admin, user.id, id));
}

/**
 * Another customer in the place of one that Stripe does not know any more, so that a customer deleted in the dashboard
 * does not lock a person out of paying for ever. Of two requests that race the first wins.
 */
export async function replaceCustomer(
  admin: db.Client,
  user: db.User,
  gone: string,
): Promise<string> {
  log("warn", "customer_gone", { customer: gone });
  await db.requireUser(admin, user.id);
  return await link(
    await createCustomer(user, `:${gone}`),
    (id) => db.relinkCustomer(admin, user.id, gone, id),
  );
}

/** A customer made for somebody who has asked to be deleted meanwhile must not stay at Stripe with their address. */
async function link(customer: string, bind: (id: string) => Promise<string>): Promise<string> {
  try {
    return await bind(customer);
  } catch (error) {
    if (error instanceof AppError && error.code === "account_deleted") {
      await callingStripe(() => stripe().customers.del(customer));
    }
    throw error;
  }
}

async function createCustomer(user: db.User, suffix: string): Promise<string> {
  // Stripe refuses a repeated key with other parameters, so a changed e-mail must change the key as well.
  const emailHash = await shortHash(user.email ?? "");
  const customer = await callingStripe(() =>
    stripe().customers.create(
      { metadata: { user_id: user.id }, ...(user.email !== null && { email: user.email }) },
      { idempotencyKey: `customer:${user.id}:${emailHash}${suffix}` },
    )
  );
  return customer.id;
}
