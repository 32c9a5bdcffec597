import type { SoldPrice } from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";

/** Stripe's price for a catalogue row; a price that says something else than the row is not sold. */
export async function stripePrice(row: SoldPrice): Promise<Stripe.Price> {
  const { data } = await callingStripe(() =>
    stripe().prices.list({
      lookup_keys: [row.lookup_key],
      active: true,
      limit: 1,
      ...(row.option && { expand: ["data.currency_options"] }),
    })
  );
  const price = data[0];
  if (price !== undefined && sells(price, row)) return price;
  throw new AppError("price_mismatch", "This plan cannot be bought right now.", {
    cause: new Error(
      `catalogue and Stripe disagree about ${row.lookup_key}: ${price?.id ?? "no such price"}`,
    ),
  });
}

function sells(price: Stripe.Price, row: SoldPrice): boolean {
  const { option } = row;
  return price.unit_amount === row.unit_amount_minor && price.currency === row.currency &&
    price.recurring?.interval === row.billing_interval && price.recurring?.interval_count === 1 &&
    (!option ||
      price.currency_options?.[option.currency]?.unit_amount === option.unit_amount_minor);
}
