import * as db from "../db.ts";
import { type CatalogueVerdict, catalogueVerdict } from "../domain/catalogue.ts";
import { log } from "../log.ts";
import { callingStripe, stripe } from "../stripe.ts";

/** As many as Stripe's list takes at once. */
const KEYS_AT_ONCE = 10;

/** Looks whether Stripe has what is sold, at the same price, and writes it down for `billing.health`. */
export async function checkCatalogue(admin: db.Client): Promise<void> {
  const rows = await db.catalogueRows(admin);
  const verdicts: { lookup_key: string; verdict: CatalogueVerdict }[] = [];
  for (let at = 0; at < rows.length; at += KEYS_AT_ONCE) {
    const some = rows.slice(at, at + KEYS_AT_ONCE);
    const { data } = await callingStripe(() =>
      stripe().prices.list({
        lookup_keys: some.map(({ lookupKey }) => lookupKey),
        active: true,
        limit: 100,
        expand: ["data.currency_options", "data.tiers"],
      })
    );
    const prices = new Map(data.map((price) => [price.lookup_key, price]));
    for (const row of some) {
      const verdict = catalogueVerdict(row, prices.get(row.lookupKey));
      verdicts.push({ lookup_key: row.lookupKey, verdict });
      if (verdict !== "equal") log("error", "catalogue_differs", { key: row.lookupKey, verdict });
    }
  }
  await db.noteCatalogueCheck(admin, verdicts);
}
