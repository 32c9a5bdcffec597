import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { returnUrls } from "../domain/redirect.ts";
import { mayStillBill } from "../domain/snapshot.ts";
import { env } from "../env.ts";
import { callingStripe, isIdempotencyMismatch, type Stripe, stripe } from "../stripe.ts";
import { ensureCustomer } from "./customer.ts";
import { stripePrice } from "./price.ts";
import { syncCustomer } from "./sync.ts";

/** An attempt may turn out to be spent (paid, expired) when it is opened again; then the next one is a fresh start. */
const MAX_ATTEMPTS = 3;

interface Order {
  userId: string;
  customer: string;
  lookupKey: string;
  price: string;
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
export async function openCheckout(lookupKey: string, call: db.UserCall): Promise<{ url: string }> {
  const { user, supabase, supabaseAdmin } = call;
  const row = await db.findActivePrice(supabase, lookupKey);
  if (row === null) throw new AppError("price_not_found", "There is no such price.");
  const known = await db.findSubscriptions(supabase, user.id);
  if (known.some((subscription) => mayStillBill(subscription.status))) throw alreadySubscribed();

  const price = await stripePrice(row);
  const customer = await ensureCustomer(supabaseAdmin, user);
  const order = { userId: user.id, customer, lookupKey, price: price.id };
  const { session, attempt } = await openSession(supabaseAdmin, order);

  await expireOlderSessions(customer, attempt);
  // From here on this session is the only one that can be paid, so the answer to this question stays true.
  const subscriptions = await syncCustomer(supabaseAdmin, customer);
  if (subscriptions.some((subscription) => mayStillBill(subscription.status))) {
    await expire(session.id);
    await db.closeCheckout(supabaseAdmin, user.id, attempt);
    throw alreadySubscribed();
  }
  if (!await db.isCurrentCheckout(supabaseAdmin, user.id, attempt)) {
    await expire(session.id);
    throw new AppError(
      "checkout_superseded",
      "Another checkout was opened in the meantime. Continue there.",
    );
  }
  return { url: session.url };
}

async function openSession(
  admin: db.Client,
  order: Order,
): Promise<{ session: { id: string; url: string }; attempt: number }> {
  for (let round = 0; round < MAX_ATTEMPTS; round++) {
    const attempt = await db.beginCheckout(admin, order.userId, order.lookupKey);
    const session = await createSession(order, attempt);
    if (session?.status === "open" && session.url) {
      return { session: { id: session.id, url: session.url }, attempt };
    }
    await db.closeCheckout(admin, order.userId, attempt);
  }
  throw new AppError("billing_unavailable", "Checkout could not be opened. Try again.", {
    cause: new Error(`no open session after ${MAX_ATTEMPTS} attempts`),
  });
}

/** The attempt's session in its present state; null when its key was used with other parameters (a price has changed). */
async function createSession(
  order: Order,
  attempt: number,
): Promise<Stripe.Checkout.Session | null> {
  const urls = returnUrls(env().SITE_URL);
  try {
    const session = await stripe().checkout.sessions.create({
      mode: "subscription",
      customer: order.customer,
      client_reference_id: order.userId,
      line_items: [{ price: order.price, quantity: 1 }],
      success_url: urls.checkoutSuccess,
      cancel_url: urls.checkoutCancelled,
      metadata: { user_id: order.userId, attempt: String(attempt) },
      subscription_data: { metadata: { user_id: order.userId } },
    }, { idempotencyKey: `checkout:${order.userId}:${attempt}` });
    // A replayed answer is what the session was when it was created, not what it is.
    const headers = new Headers(session.lastResponse.headers);
    const replayed = headers.get("idempotent-replayed") === "true";
    return replayed
      ? await callingStripe(() => stripe().checkout.sessions.retrieve(session.id))
      : session;
  } catch (error) {
    if (isIdempotencyMismatch(error)) return null;
    return await callingStripe(() => Promise.reject(error));
  }
}

/** Only sessions of earlier attempts: of two requests that race, the later one survives. */
async function expireOlderSessions(customer: string, attempt: number): Promise<void> {
  const open = await callingStripe(() =>
    stripe().checkout.sessions.list({ customer, status: "open", limit: 100 })
      .autoPagingToArray({ limit: 1_000 })
  );
  const older = open.filter((session) =>
    session.mode === "subscription" && Number(session.metadata?.["attempt"] ?? 0) < attempt
  );
  await Promise.all(older.map((session) => expire(session.id)));
}

/** Closes a session for payment. One that was paid a moment ago refuses; the sync that follows sees its subscription. */
async function expire(sessionId: string): Promise<void> {
  const session = await callingStripe(() => stripe().checkout.sessions.retrieve(sessionId));
  if (session.status !== "open") return;
  try {
    await stripe().checkout.sessions.expire(sessionId);
  } catch (error) {
    const now = await callingStripe(() => stripe().checkout.sessions.retrieve(sessionId));
    if (now.status === "open") await callingStripe(() => Promise.reject(error));
  }
}

function alreadySubscribed(): AppError {
  return new AppError(
    "already_subscribed",
    "There is a subscription already. Change it instead of buying another.",
    {
      action: { function: "portal", flow: "update" },
    },
  );
}
