/** The shapes of answers about the marketplace, and what they become. Pure. */

import * as z from "zod/mini";
import { parseTime } from "./dates.ts";
import type { LibraryItem } from "./library.ts";
import type { Found, Listing } from "./marketplace.ts";
import { isPicture } from "./picture.ts";
import type { EarningDay, Payout, Sale, Seller } from "./seller.ts";

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
