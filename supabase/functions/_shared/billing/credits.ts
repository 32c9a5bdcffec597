import * as db from "../db.ts";
import { creditMetadata, type CreditOrder, paidCredit } from "../domain/credits.ts";
import { AppError } from "../domain/errors.ts";
import { returnUrls } from "../domain/redirect.ts";
import { env } from "../env.ts";
import { log } from "../log.ts";
import {
  callingStripe,
  isCustomerMissing,
  isInvalidRequest,
  type Stripe,
  stripe,
} from "../stripe.ts";
import { ensureCustomer, replaceCustomer } from "./customer.ts";

const MAX_SESSIONS = 1_000;
const MAX_GRANTS = 1_000;

/**
 * Opens Stripe's Checkout for a credit pack: credit that is used up before metered prices cost anything. The same pack may
 * be bought as often as somebody likes, in the currency of the subscription. Price and credit are the row's at this moment.
 *
 * Errors: `price_not_found`, `overage_not_available` and `currency_mismatch` (nothing to use it for), `price_mismatch`,
 * `billing_unavailable`.
 */
export async function buyCredits(
  lookupKey: string,
  { user, supabase, supabaseAdmin }: db.UserCall,
): Promise<{ url: string }> {
  const offers = await db.findCreditPack(supabase, lookupKey);
  if (offers.length === 0) throw new AppError("price_not_found", "There is no such price.");
  const pack = await usableOffer(offers, supabase);
  const price = await packPrice(pack);
  const customer = await ensureCustomer(supabaseAdmin, user);
  try {
    return await openSession({ customer, user, pack, price });
  } catch (error) {
    if (!isCustomerMissing(error)) return await callingStripe(() => Promise.reject(error));
    const replaced = await replaceCustomer(supabaseAdmin, user, customer);
    return await callingStripe(() => openSession({ customer: replaced, user, pack, price }));
  }
}

/** Credit is of one currency and pays for nothing in another: that of the subscription it is. */
async function usableOffer(offers: db.CreditPack[], client: db.Client): Promise<db.CreditPack> {
  const { available, currency } = await db.overageTermsOf(client);
  if (!available) {
    throw new AppError(
      "overage_not_available",
      "Credit pays for usage beyond a plan's allowance, which your plan does not offer.",
    );
  }
  const pack = offers.find((offer) => offer.currency === currency);
  if (pack !== undefined) return pack;
  throw new AppError(
    "currency_mismatch",
    `Your plan is billed in ${currency.toUpperCase()}, which this credit cannot pay for.`,
  );
}

async function openSession(
  order: { customer: string; user: db.User; pack: db.CreditPack; price: string },
): Promise<{ url: string }> {
  const { customer, user, pack, price } = order;
  const urls = returnUrls(env().SITE_URL);
  const metadata = { ...creditMetadata(pack), user_id: user.id };
  const session = await stripe().checkout.sessions.create({
    mode: "payment",
    customer,
    currency: pack.currency,
    client_reference_id: user.id,
    line_items: [{ price, quantity: 1 }],
    success_url: urls.creditsSuccess,
    cancel_url: urls.creditsCancelled,
    metadata,
    payment_intent_data: { metadata },
  });
  if (session.url !== null) return { url: session.url };
  throw new AppError("billing_unavailable", "Checkout could not be opened. Try again.");
}

async function packPrice(pack: db.CreditPack): Promise<string> {
  const { data } = await callingStripe(() =>
    stripe().prices.list({
      lookup_keys: [pack.lookup_key],
      active: true,
      limit: 1,
      expand: ["data.currency_options"],
    })
  );
  const price = data[0];
  // Stripe lists the price's own currency among its options too.
  const amount = price?.currency === pack.currency
    ? price.unit_amount
    : price?.currency_options?.[pack.currency]?.unit_amount;
  if (price?.type === "one_time" && amount === pack.price_minor) return price.id;
  throw new AppError("price_mismatch", "This cannot be bought right now.", {
    cause: new Error(`catalogue and Stripe disagree about ${pack.lookup_key}: ${price?.id}`),
  });
}

/**
 * Gives a customer the credit they have paid for, once per checkout, and takes back what was refunded. Looks at what
 * Stripe has now, so it may be called from the webhook, from the way back and by reconcile, in any order and again.
 */
export async function fulfilCredits(customer: string): Promise<void> {
  const sessions = await callingStripe(() =>
    stripe().checkout.sessions.list({
      customer,
      status: "complete",
      limit: 100,
      expand: ["data.payment_intent.latest_charge"],
    }).autoPagingToArray({ limit: MAX_SESSIONS })
  );
  const orders = sessions.flatMap((session) => paidCredit(session) ?? []);
  if (orders.length === 0) return;
  const grants = await callingStripe(() =>
    stripe().billing.creditGrants.list({ customer, limit: 100 })
      .autoPagingToArray({ limit: MAX_GRANTS })
  );
  for (const order of orders) {
    const grant = grants.find(({ metadata }) => metadata["checkout_session"] === order.session);
    if (grant === undefined && !order.refunded) await grantCredit(customer, order);
    if (grant !== undefined && order.refunded) await takeBack(grant);
  }
}

/** The key makes one grant of two calls at the same moment; later ones see it in the list. */
async function grantCredit(customer: string, order: CreditOrder): Promise<void> {
  const { session, currency, creditMinor, expiresAt, name } = order;
  await callingStripe(() =>
    stripe().billing.creditGrants.create({
      customer,
      category: "paid",
      name,
      amount: { type: "monetary", monetary: { currency, value: creditMinor } },
      applicability_config: { scope: { price_type: "metered" } },
      ...(expiresAt !== null && { expires_at: expiresAt }),
      metadata: { checkout_session: session },
    }, { idempotencyKey: `credit:${session}` })
  );
}

/** Nothing used yet: as if it had never been. Otherwise the rest of it ends. */
async function takeBack(grant: Stripe.Billing.CreditGrant): Promise<void> {
  const ended = grant.expires_at !== null && grant.expires_at <= Date.now() / 1000;
  if (grant.voided_at !== null || ended) return;
  log("warn", "credit_taken_back", { grant: grant.id });
  try {
    await stripe().billing.creditGrants.voidGrant(grant.id);
  } catch (error) {
    if (!isInvalidRequest(error)) return await callingStripe(() => Promise.reject(error));
    await callingStripe(() => stripe().billing.creditGrants.expire(grant.id));
  }
}
