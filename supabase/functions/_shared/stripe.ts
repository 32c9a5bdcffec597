import Stripe from "stripe";
import { z } from "zod";
import { AppError } from "./domain/errors.ts";
import type { StripeRefusal } from "./domain/usage.ts";
import { env } from "./env.ts";

/** The API version every request and every type in this project is written for. */
export const API_VERSION = "2026-10-28.endive";

/** Five minutes, Stripe's own default: an older signature may be a replay. */
const SIGNATURE_TOLERANCE_SECONDS = 300;

let client: Stripe | undefined;

/** The Stripe client. Retries twice by itself (connection errors, 409, 429, 5xx), always under the same idempotency key. */
export function stripe(): Stripe {
  if (client !== undefined) return client;
  const { STRIPE_SECRET_KEY, STRIPE_API_BASE } = env();
  return client = new Stripe(STRIPE_SECRET_KEY, {
    apiVersion: API_VERSION,
    httpClient: Stripe.createFetchHttpClient(),
    maxNetworkRetries: 2,
    timeout: 15_000,
    telemetry: false,
    appInfo: { name: "tollgate" },
    ...(STRIPE_API_BASE && {
      protocol: STRIPE_API_BASE.protocol === "http:" ? "http" : "https",
      host: STRIPE_API_BASE.hostname,
      port: STRIPE_API_BASE.port || (STRIPE_API_BASE.protocol === "http:" ? 80 : 443),
    }),
  });
}

/** A thin event names what happened; its contents are fetched. `created` is ISO 8601. */
export interface ThinEvent {
  object: "v2.core.event";
  id: string;
  type: string;
  created: string;
  /** What it happened to; null for what happened to nothing in particular. */
  related_object: { id: string } | null;
}

/** A delivery whose signature has been verified: of the snapshot kind, or thin. */
export type SignedEvent = Stripe.Event | ThinEvent;

/**
 * Verifies a webhook's signature over the raw body, against each configured secret.
 * Throws `signature_invalid`; nothing of the body is trusted before that.
 */
export async function verifyEvent(raw: string, signature: string | null): Promise<SignedEvent> {
  if (signature === null) {
    throw new AppError("signature_invalid", "The stripe-signature header is missing.");
  }
  // The synchronous variant needs Node's crypto and throws in Deno.
  const crypto = Stripe.createSubtleCryptoProvider();
  let reason: unknown;
  for (const secret of env().STRIPE_WEBHOOK_SECRET) {
    try {
      return understood(await parseSigned(raw, signature, secret, crypto));
    } catch (error) {
      if (error instanceof AppError) throw error;
      reason = error;
    }
  }
  throw new AppError("signature_invalid", "The signature does not match the body.", {
    // The SDK's message quotes the payload, which must not be logged.
    cause: new Error(reason instanceof Error ? reason.name : "unknown"),
  });
}

const id = z.string().regex(/^[\w.]{1,255}$/);
/** Also of `/v2`: `v2.core.account[configuration.recipient].updated`. */
const type = z.string().regex(/^[\w.[\]]{1,255}$/);
/** What the inbox needs of an event. The rest is only a hint, and whoever follows one reads it with care. */
const eventShape = z.object({
  id,
  type,
  created: z.union([z.int().min(0).max(253_402_300_799), z.iso.datetime({ offset: true })]),
});

/** Refuses what was signed and is no event: delivering it again would not make it one. */
function understood(event: SignedEvent): SignedEvent {
  if (eventShape.safeParse(event).success) return event;
  throw new AppError("invalid_request", "The body is not an event of Stripe's.");
}

/** Which kind it is only decides how the SDK reads it; either way the signature is verified first. */
async function parseSigned(
  raw: string,
  signature: string,
  secret: string,
  crypto: Stripe.CryptoProvider,
): Promise<SignedEvent> {
  const tolerance = SIGNATURE_TOLERANCE_SECONDS;
  if (!/"object"\s*:\s*"v2\.core\.event"/.test(raw)) {
    return await stripe().webhooks.constructEventAsync(raw, signature, secret, tolerance, crypto);
  }
  const notification = await stripe()
    .parseEventNotificationAsync(raw, signature, secret, tolerance, crypto);
  const { id, type, created } = notification;
  const related = "related_object" in notification ? notification.related_object : null;
  return {
    object: "v2.core.event",
    ...{ id, type, created },
    related_object: related && "id" in related && typeof related.id === "string"
      ? { id: related.id }
      : null,
  };
}

/**
 * Runs calls to Stripe and turns its failures into ours: what may pass by itself is `billing_unavailable`, so that the
 * caller may try again; what Stripe refuses is our own mistake and stays an internal error, logged with Stripe's words.
 */
export async function callingStripe<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    const cause = new Error(
      `stripe ${error.type} ${error.code ?? ""} ${error.param ?? ""} ${
        error.requestId ?? ""
      }: ${error.message}`,
    );
    const refused = error instanceof Stripe.errors.StripeInvalidRequestError ||
      isIdempotencyMismatch(error);
    if (isInvalidRequest(error) && /tax/i.test(error.message) && !await isTaxReady()) {
      throw new AppError("tax_not_configured", "This cannot be bought right now.", { cause });
    }
    if (refused) throw new AppError("internal_error", "Billing refused this request.", { cause });
    // A key that is revoked or not allowed will not pass by itself.
    const locked = error instanceof Stripe.errors.StripeAuthenticationError ||
      error instanceof Stripe.errors.StripePermissionError;
    if (locked) {
      throw new AppError("not_configured", "This deployment is not configured.", { cause });
    }
    throw new AppError("billing_unavailable", "Billing cannot be reached. Try again in a minute.", {
      cause,
    });
  }
}

/**
 * Whether Stripe Tax has what it needs (head office, default behavior). Stripe refuses whatever turns automatic tax on
 * without, under no code of its own; its words alone would be too little to go by.
 */
async function isTaxReady(): Promise<boolean> {
  try {
    const { status, defaults } = await stripe().tax.settings.retrieve();
    return status === "active" && defaults.tax_behavior !== null;
  } catch {
    return true;
  }
}

/** Stripe refuses the request itself: what it asks for cannot be done. */
export function isInvalidRequest(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError;
}

/** Stripe does not know this customer any more, or never did: a key of another account. */
export function isCustomerMissing(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError &&
    error.code === "resource_missing" && error.param === "customer";
}

/** The place in a list to go on from is nowhere. */
export function isPlaceMissing(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError &&
    error.code === "resource_missing" && error.param === "starting_after";
}

/** The key was used with other parameters: 400. The 409 of a key that is in use just now passes by itself. */
export function isIdempotencyMismatch(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeIdempotencyError && error.statusCode === 400;
}

/** Stripe will not send money to this connected account: it may not receive transfers, or is none of ours any more. */
export function isDestinationRefused(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError &&
    (/transfer_data|destination/.test(error.param ?? "") ||
      error.code === "insufficient_capabilities_for_transfer" || error.code === "account_invalid");
}

/** Refusals that pass: money that is still on its way, and an account that may be allowed again. */
const PASSING: readonly (string | undefined)[] = [
  "balance_insufficient",
  "insufficient_capabilities_for_transfer",
];

/** Stripe has understood and says no, and will say so again. Everything that was not answered may have been done. */
export function isFinalRefusal(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError && !PASSING.includes(error.code);
}

/** Stripe's words, or ours, for an operator; of a bug only that it is one. */
export function messageOf(error: unknown): string {
  if (error instanceof Stripe.errors.StripeError) {
    return `${error.code ?? error.type}: ${error.message}`.slice(0, 1_000);
  }
  return error instanceof AppError ? `${error.code}: ${error.message}` : "internal_error";
}

/** What is left of an error of the SDK for rules that do not know its classes. Anything else is a bug and thrown again. */
export function toRefusal(error: unknown): StripeRefusal {
  if (!(error instanceof Stripe.errors.StripeError)) throw error;
  return { status: error.statusCode ?? null, code: error.code ?? null, message: error.message };
}

/** There is no such object at Stripe (any more). */
export function isMissing(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError &&
    error.code === "resource_missing";
}

/** The bank said no. */
export function isCardError(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeCardError;
}

export type { Stripe };
