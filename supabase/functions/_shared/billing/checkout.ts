import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { returnUrls } from "../domain/redirect.ts";
import { mayStillBill } from "../domain/snapshot.ts";
import { env } from "../env.ts";
import {
  callingStripe,
  isCustomerMissing,
  isIdempotencyMismatch,
  type Stripe,
  stripe,
} from "../stripe.ts";
import { ensureCustomer, replaceCustomer } from "./customer.ts";
import { stripePrice } from "./price.ts";
import { expireSession } from "./session.ts";
import { syncCustomer } from "./sync.ts";

/** An attempt may turn out to be spent (paid, expired) when it is opened again; then the next one is a fresh start. */
const MAX_ATTEMPTS = 3;

interface Order {
  user: db.User;
  customer: string;
  lookupKey: string;
  price: string;
  /** Unset: the price's own. */
  currency: string | undefined;
  terms: db.CheckoutTerms;
}

/** What a person may choose. */
export interface CheckoutWish {
  lookup_key: string;
  currency?: string | undefined;
}

/**
 * Opens Stripe's Checkout for one price of the catalogue and answers its address.
 *
 * One person must never end up with two paid subscriptions, whatever they do in however many tabs. So there is at most
 * one open session per customer: tabs that ask for the same price share it by its idempotency key; a newer choice
 * expires the older session; and Stripe is asked for a subscription only after no other session can still be paid.
 *
 * Errors: `price_not_found`, `already_subscribed`, `checkout_superseded`, `price_mismatch`, `billing_unavailable`.
 */
export async function openCheckout(
  wish: CheckoutWish,
  call: db.UserCall,
): Promise<{ url: string }> {
  const { user, supabase, supabaseAdmin } = call;
  const { lookup_key: lookupKey, currency } = wish;
  const row = await db.findActivePrice(supabase, lookupKey, currency);
  if (row === null) throw new AppError("price_not_found", "There is no such price.");
  const known = await db.findSubscriptions(supabase, user.id);
  if (known.some((subscription) => mayStillBill(subscription.status))) throw alreadySubscribed();

  const price = await stripePrice(row);
  const knownCustomer = await ensureCustomer(supabaseAdmin, user);
  const terms = await db.checkoutTerms(supabaseAdmin, user.id, lookupKey);
  const order = {
    ...{ user, lookupKey, terms, customer: knownCustomer, price: price.id },
    currency: currency === price.currency ? undefined : currency,
  };
  const { session, attempt, customer } = await openSession(supabaseAdmin, order);

  await expireOlderSessions(customer, attempt);
  // From here on this session is the only one that can be paid, so the answer to this question stays true.
  const subscriptions = await syncCustomer(supabaseAdmin, customer);
  if (subscriptions.some((subscription) => mayStillBill(subscription.status))) {
    await expireSession(session.id);
    await db.closeCheckout(supabaseAdmin, user.id, attempt);
    throw alreadySubscribed();
  }
  if (!await db.isCurrentCheckout(supabaseAdmin, user.id, attempt)) {
    await expireSession(session.id);
    throw new AppError(
      "checkout_superseded",
      "Another checkout was opened in the meantime. Continue there.",
    );
  }
  // A trial whose end nobody had told us about yet is a trial that was used.
  if (terms.trial_days > 0) {
    const { trial_days } = await db.checkoutTerms(supabaseAdmin, user.id, lookupKey);
    if (trial_days === 0) {
      await expireSession(session.id);
      await db.closeCheckout(supabaseAdmin, user.id, attempt);
      return await openCheckout(wish, call);
    }
  }
  return { url: session.url };
}

async function openSession(
  admin: db.Client,
  order: Order,
): Promise<{ session: { id: string; url: string }; attempt: number; customer: string }> {
  const { user, lookupKey } = order;
  let customer = order.customer;
  for (let round = 0; round < MAX_ATTEMPTS; round++) {
    const attempt = await db.beginCheckout(admin, user.id, lookupKey);
    const session = await createSession({ ...order, customer }, attempt);
    if (session === "customer_gone") {
      customer = await replaceCustomer(admin, user, customer);
    } else if (session !== "key_spent" && session.status === "open" && session.url) {
      return { session: { id: session.id, url: session.url }, attempt, customer };
    }
    await db.closeCheckout(admin, user.id, attempt);
  }
  throw new AppError("billing_unavailable", "Checkout could not be opened. Try again.", {
    cause: new Error(`no open session after ${MAX_ATTEMPTS} attempts`),
  });
}

/** The attempt's session in its present state; `key_spent` when its key was used with other parameters (a price has changed). */
async function createSession(
  order: Order,
  attempt: number,
): Promise<Stripe.Checkout.Session | "key_spent" | "customer_gone"> {
  const urls = returnUrls(env().SITE_URL);
  try {
    const session = await stripe().checkout.sessions.create({
      mode: "subscription",
      customer: order.customer,
      client_reference_id: order.user.id,
      line_items: [{ price: order.price, quantity: 1 }],
      success_url: urls.checkoutSuccess,
      cancel_url: urls.checkoutCancelled,
      metadata: { user_id: order.user.id, attempt: String(attempt) },
      ...termsOf(order),
    }, { idempotencyKey: `checkout:${order.user.id}:${attempt}` });
    // A replayed answer is what the session was when it was created, not what it is.
    const headers = new Headers(session.lastResponse.headers);
    const replayed = headers.get("idempotent-replayed") === "true";
    return replayed
      ? await callingStripe(() => stripe().checkout.sessions.retrieve(session.id))
      : session;
  } catch (error) {
    if (isIdempotencyMismatch(error)) return "key_spent";
    if (isCustomerMissing(error)) return "customer_gone";
    return await callingStripe(() => Promise.reject(error));
  }
}

function termsOf({ user, currency, terms }: Order): Stripe.Checkout.SessionCreateParams {
  return {
    subscription_data: {
      metadata: { user_id: user.id },
      ...(terms.trial_days > 0 && { trial_period_days: terms.trial_days }),
    },
    ...(currency !== undefined && { currency }),
    ...(terms.allow_promotion_codes && { allow_promotion_codes: true }),
    ...(terms.automatic_tax && {
      automatic_tax: { enabled: true },
      customer_update: { address: "auto" },
    }),
  };
}

/** A monthly licence is a subscription too, and none that a plan competes with. */
function isPlanSession({ mode, metadata }: Stripe.Checkout.Session): boolean {
  return mode === "subscription" && metadata?.["purchase_id"] === undefined;
}

/** Only sessions of earlier attempts: of two requests that race, the later one survives. */
async function expireOlderSessions(customer: string, attempt: number): Promise<void> {
  const open = await callingStripe(() =>
    stripe().checkout.sessions.list({ customer, status: "open", limit: 100 })
      .autoPagingToArray({ limit: 1_000 })
  );
  const older = open.filter((session) =>
    isPlanSession(session) && Number(session.metadata?.["attempt"] ?? 0) < attempt
  );
  await Promise.all(older.map((session) => expireSession(session.id)));
}

function alreadySubscribed(): AppError {
  return new AppError(
    "already_subscribed",
    "There is a subscription already. Change it instead of buying another.",
    {
      action: { function: "subscription" },
    },
  );
}
