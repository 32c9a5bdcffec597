import type { SoldPrice, Tier } from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";

/** Stripe's price for a catalogue row; a price that says something else than the row is not sold. */
export async function stripePrice(row: SoldPrice): Promise<Stripe.Price> {
  const { data } = await callingStripe(() =>
    stripe().prices.list({
      lookup_keys: [row.lookup_key],
      active: true,
      limit: 1,
      expand: ["data.currency_options", "data.tiers"],
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
    price.tiers_mode === row.tiers_mode && haveSameTiers(price.tiers ?? [], row.tiers) &&
    (!option ||
      price.currency_options?.[option.currency]?.unit_amount === option.unit_amount_minor);
}

function haveSameTiers(theirs: Stripe.Price.Tier[], ours: Tier[]): boolean {
  return ours.length === theirs.length && ours.every((tier, index) => {
    const other = theirs[index];
    return other?.up_to === tier.up_to && (other.unit_amount ?? 0) === tier.unit_amount_minor &&
      (other.flat_amount ?? 0) === tier.flat_amount_minor;
  });
}
