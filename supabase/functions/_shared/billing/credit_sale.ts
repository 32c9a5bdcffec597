import * as db from "../db.ts";
import { creditMetadata } from "../domain/credits.ts";
import { AppError } from "../domain/errors.ts";
import { returnUrls } from "../domain/redirect.ts";
import { env } from "../env.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { openSale } from "./purchase.ts";

/**
 * Opens Stripe's Checkout for a credit pack: credit that is used up before metered prices cost anything. The same pack may
 * be bought as often as somebody likes, in the currency of the subscription; until it is paid, tabs share one session. Price
 * and credit are the row's at this moment.
 *
 * Errors: `price_not_found`, `overage_not_available` and `currency_mismatch` (nothing to use it for), `price_mismatch`,
 * `checkout_superseded`, `billing_unavailable`.
 */
export async function buyCredits(lookupKey: string, call: db.UserCall): Promise<{ url: string }> {
  const offers = await db.findCreditPack(call.supabase, lookupKey);
  if (offers.length === 0) throw new AppError("price_not_found", "There is no such price.");
  const pack = await usableOffer(offers, call.supabase);
  const price = await packPrice(pack);
  return await openSale({
    begin: () => db.beginCreditPurchase(call.supabaseAdmin, call.user.id, pack),
    params: (order) => sessionOf({ order, pack, price, user: call.user }),
  }, call);
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

interface CreditSale {
  order: db.PurchaseOrder;
  pack: db.CreditPack;
  price: string;
  user: db.User;
}

/** The catalogue's price, so that Stripe's reports know the pack; what it gives stands in the metadata. */
function sessionOf(
  { order, pack, price, user }: CreditSale,
): Stripe.Checkout.SessionCreateParams {
  if (order.amount_minor !== pack.price_minor) {
    throw mismatch(`the price of ${pack.lookup_key} has changed a moment ago`);
  }
  const urls = returnUrls(env().SITE_URL);
  const metadata = {
    ...creditMetadata(pack),
    user_id: user.id,
    purchase_id: order.purchase_id,
  };
  return {
    mode: "payment",
    currency: pack.currency,
    line_items: [{ price, quantity: 1 }],
    success_url: urls.creditsSuccess,
    cancel_url: urls.creditsCancelled,
    metadata,
    payment_intent_data: { metadata },
  };
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
  throw mismatch(`catalogue and Stripe disagree about ${pack.lookup_key}: ${price?.id}`);
}

function mismatch(reason: string): AppError {
  return new AppError("price_mismatch", "This cannot be bought right now.", {
    cause: new Error(reason),
  });
}
