/** The shapes of answers about the marketplace, and what they become. Pure. */

import * as z from "zod/mini";
import { parseTime } from "./dates.ts";
import type { LibraryItem } from "./library.ts";
import type { Found, Listing } from "./marketplace.ts";
import { isPicture } from "./picture.ts";
import type { EarningDay, OwnListing, Payout, Sale, Seller } from "./seller.ts";

/** bigint and numeric arrive as a number or, from some servers, as text. */
const count = z.coerce.number();
const time = z.pipe(z.nullish(z.string()), z.transform(parseTime));
const day = z.pipe(z.string(), z.transform((value) => value.slice(0, 10)));
const category = z.enum(["agent", "template", "addon"]);
const kind = z.enum(["one_time", "monthly"]);
const link = z.pipe(
  z.nullish(z.string()),
  z.transform((value) => value && /^https?:\/\//.test(value) ? value : null),
);

const offered = {
  id: z.string(),
  title: z.string(),
  description: z.string(),
  category,
  kind,
  price_minor: count,
  currency: z.string(),
  seller_name: z.nullable(z.string()),
  sales_count: count,
  sales_paused: z.boolean(),
};

type Offered = z.infer<z.ZodMiniObject<typeof offered>>;

const toOffered = (row: Offered) => ({
  id: row.id,
  title: row.title,
  description: row.description,
  category: row.category,
  kind: row.kind,
  priceMinor: row.price_minor,
  currency: row.currency,
  sellerName: row.seller_name,
  salesCount: row.sales_count,
  salesPaused: row.sales_paused,
});

export const foundAnswer = z.pipe(
  z.array(z.object({ ...offered, owned: z.boolean(), own: z.boolean(), total: count })),
  z.transform((rows) => ({
    total: rows[0]?.total ?? 0,
    listings: rows.map((row): Found => ({
      ...toOffered(row),
      status: "published",
      grants: null,
      isOwned: row.owned,
      isOwn: row.own,
    })),
  })),
);

export const listingSchema = z.object({
  ...offered,
  status: z.enum(["draft", "published", "withdrawn"]),
  grants_metric_id: z.nullish(z.string()),
  grants_quantity: z.nullish(count),
});

export function toListing(row: z.infer<typeof listingSchema>): Listing {
  const { grants_metric_id: metric, grants_quantity: quantity } = row;
  return {
    ...toOffered(row),
    status: row.status,
    grants: metric && quantity ? { metric, quantity } : null,
  };
}

export const listingsAnswer = z.array(z.pipe(listingSchema, z.transform(toListing)));

/** What is no picture is left out: it is drawn as if there were none. */
export const picturesAnswer = z.pipe(
  z.array(z.object({ listing_id: z.string(), data: z.string() })),
  z.transform((rows) => rows.filter((row) => isPicture(row.data))),
);

export const currenciesAnswer = z.array(z.object({ currency: z.string(), minimum_minor: count }));

// ---------------------------------------------------------------------------------------------------
// The library

export const libraryAnswer = z.array(z.pipe(
  z.object({
    purchase_id: z.string(),
    licence_id: z.nullable(z.string()),
    listing_id: z.string(),
    reference: z.string(),
    title: z.string(),
    category,
    kind,
    seller_name: z.nullable(z.string()),
    status: z.nullable(z.string()),
    reason: z.nullable(z.string()),
    valid_until: time,
    purchase_status: z.string(),
    amount_minor: count,
    refunded_minor: count,
    currency: z.string(),
    receipt_url: link,
    current_period_end: time,
    cancel_at_period_end: z.boolean(),
    paid_at: time,
    created_at: time,
    copies: count,
    open_invoice_url: link,
    open_minor: z.nullable(count),
  }),
  z.transform((row): LibraryItem => ({
    id: row.purchase_id,
    licenceId: row.licence_id,
    listingId: row.listing_id,
    reference: row.reference,
    title: row.title,
    category: row.category,
    kind: row.kind,
    sellerName: row.seller_name,
    // Without a licence there is only the payment that is on its way.
    status: row.status ?? row.purchase_status,
    reason: row.reason,
    validUntil: row.valid_until,
    periodEnd: row.current_period_end,
    endsWithPeriod: row.cancel_at_period_end,
    isLate: row.kind === "monthly" && row.purchase_status === "past_due",
    openInvoiceUrl: row.open_invoice_url,
    openMinor: row.open_minor,
    amountMinor: row.amount_minor,
    refundedMinor: row.refunded_minor,
    currency: row.currency,
    receiptUrl: row.receipt_url,
    boughtAt: row.paid_at ?? row.created_at,
    copies: row.copies,
  })),
));

// ---------------------------------------------------------------------------------------------------
// Selling

export const sellerAnswer = z.pipe(
  z.object({
    status: z.string(),
    paused_reason: z.nullable(z.string()),
    requirements: z.array(z.string()),
    display_name: z.string(),
    country: z.nullable(z.string()),
    fee_bps: count,
    currencies: z.array(z.object({
      currency: z.string(),
      balance_minor: count,
      earned_minor: count,
      paid_out_minor: count,
      sales: count,
    })),
  }),
  z.transform((row): Seller => ({
    status: row.status,
    pausedReason: row.paused_reason,
    requirements: row.requirements,
    displayName: row.display_name,
    country: row.country,
    feeBps: row.fee_bps,
    balances: row.currencies.map((sum) => ({
      currency: sum.currency,
      balanceMinor: sum.balance_minor,
      earnedMinor: sum.earned_minor,
      paidOutMinor: sum.paid_out_minor,
      sales: sum.sales,
    })),
  })),
);

export const ownListingsAnswer = z.array(z.pipe(
  z.extend(listingSchema, {
    agent_id: z.nullable(z.string()),
    version: count,
    updated_at: time,
  }),
  z.transform((row): OwnListing => ({
    ...toListing(row),
    agentId: row.agent_id,
    version: row.version,
    updatedAt: row.updated_at ?? 0,
  })),
));

export const salesAnswer = z.array(z.pipe(
  z.object({
    day,
    listing_id: z.nullable(z.string()),
    title: z.string(),
    reference: z.string(),
    amount_minor: count,
    fee_minor: count,
    earned_minor: count,
    currency: z.string(),
    status: z.string(),
  }),
  z.transform((row): Sale => ({
    day: row.day,
    listingId: row.listing_id,
    title: row.title,
    reference: row.reference,
    amountMinor: row.amount_minor,
    feeMinor: row.fee_minor,
    earnedMinor: row.earned_minor,
    currency: row.currency,
    status: row.status,
  })),
));

export const earningsAnswer = z.array(z.pipe(
  z.object({ day, sales: count, earned_minor: count }),
  z.transform((row): EarningDay => ({
    day: row.day,
    sales: row.sales,
    earnedMinor: row.earned_minor,
  })),
));

export const payoutsAnswer = z.array(z.pipe(
  z.object({
    id: z.string(),
    amount_minor: count,
    currency: z.string(),
    status: z.string(),
    created_at: time,
    arrival_date: z.nullable(day),
  }),
  z.transform((row): Payout => ({
    id: row.id,
    amountMinor: row.amount_minor,
    currency: row.currency,
    status: row.status,
    createdAt: row.created_at ?? 0,
    arrivesOn: row.arrival_date,
  })),
));
