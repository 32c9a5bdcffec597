import type Stripe from "stripe";

/** A row that is sold, as the database has it. Amounts are in minor units; `billingInterval` is null for what is paid once. */
export interface CatalogueRow {
  lookupKey: string;
  currency: string;
  /** Null when it has tiers. */
  amountMinor: number | null;
  billingInterval: string | null;
  tiersMode: string | null;
  tiers: { up_to: number | null; unit_amount_minor: number; flat_amount_minor: number }[];
  /** Amounts in other currencies. */
  options: Record<string, number>;
}

export type CatalogueVerdict = "equal" | "missing" | "differs";

/** Whether Stripe's active price of a lookup key is what the row says; without one it is missing. */
export function catalogueVerdict(
  row: CatalogueRow,
  price: Stripe.Price | undefined,
): CatalogueVerdict {
  if (price === undefined) return "missing";
  const same = price.currency === row.currency && amountOf(price) === row.amountMinor &&
    (price.recurring?.interval ?? null) === row.billingInterval &&
    (price.recurring?.interval_count ?? 1) === 1 &&
    (price.tiers_mode ?? null) === row.tiersMode && haveSameTiers(price.tiers ?? [], row.tiers) &&
    Object.entries(row.options).every(([currency, amount]) =>
      amountOf(price.currency_options?.[currency]) === amount
    );
  return same ? "equal" : "differs";
}

/** Amounts may have fractions of a cent, which only the decimal says. */
function amountOf(
  price: { unit_amount: number | null; unit_amount_decimal?: unknown } | undefined,
): number | null {
  const exact = price?.unit_amount_decimal ?? price?.unit_amount ?? null;
  return exact === null ? null : Number(exact);
}

function haveSameTiers(theirs: Stripe.Price.Tier[], ours: CatalogueRow["tiers"]): boolean {
  return ours.length === theirs.length && ours.every((tier, index) => {
    const other = theirs[index];
    return other?.up_to === tier.up_to && (other.unit_amount ?? 0) === tier.unit_amount_minor &&
      (other.flat_amount ?? 0) === tier.flat_amount_minor;
  });
}
