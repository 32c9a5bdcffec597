import type Stripe from "stripe";
import { isSellable, termsOf } from "./terms.ts";
import type { Mark, Wanted, WantedPrice } from "./wanted.ts";

/** Stripe's limit for one `lookup_keys` filter. */
const LOOKUP_KEYS_PER_CALL = 10;
const PRICE_FIELDS = ["currency_options", "product", "tiers"].map((field) => `data.${field}`);
/** Stripe leaves the products out of a configuration unless they are asked for. */
const PORTAL_FIELDS = ["data.features.subscription_update.products"];

/** What Stripe has of what the rows are about. Reading changes nothing. */
export interface Account {
  /** Ours by their mark, archived ones too; the oldest last. */
  products: Stripe.Product[];
  /** Who holds each wanted lookup key, and, where the holder will not do, every price of the row's product. */
  prices: Stripe.Price[];
  meters: Stripe.Billing.Meter[];
  features: Stripe.Entitlements.Feature[];
  /** What is attached to the products of plans, by the product's id. */
  attached: ReadonlyMap<string, Stripe.ProductFeature[]>;
  portals: Stripe.BillingPortal.Configuration[];
}

export async function readAccount(stripe: Stripe, wanted: Wanted): Promise<Account> {
  const [{ products, prices }, meters, features, portals] = await Promise.all([
    readPrices(stripe, wanted),
    all(stripe.billing.meters.list({ limit: 100 })),
    all(stripe.entitlements.features.list({ limit: 100 })),
    all(stripe.billingPortal.configurations.list({ limit: 100, expand: PORTAL_FIELDS })),
  ]);
  const plans = products.filter(({ metadata }) => metadata["plan"] !== undefined);
  const attached = await Promise.all(
    plans.map(async ({ id }) =>
      [id, await all(stripe.products.listFeatures(id, { limit: 100 }))] as const
    ),
  );
  return { products, prices, meters, features, portals, attached: new Map(attached) };
}

async function readPrices(stripe: Stripe, wanted: Wanted) {
  const holders = await readHolders(stripe, wanted.prices.map(({ key }) => key));
  const products = await readProducts(stripe, wanted, holders);
  const prices = new Map(holders.map((price) => [price.id, price]));
  // A price of ours that has lost its key may still be the right one.
  for (const id of doubtful(wanted.prices, holders, products)) {
    const found = await all(
      stripe.prices.list({ product: id, limit: 100, expand: PRICE_FIELDS }),
    );
    for (const price of found) prices.set(price.id, price);
  }
  return { products, prices: [...prices.values()] };
}

async function readHolders(stripe: Stripe, keys: string[]): Promise<Stripe.Price[]> {
  const found: Stripe.Price[] = [];
  for (let start = 0; start < keys.length; start += LOOKUP_KEYS_PER_CALL) {
    const lookup_keys = keys.slice(start, start + LOOKUP_KEYS_PER_CALL);
    const { data } = await stripe.prices.list({ lookup_keys, limit: 100, expand: PRICE_FIELDS });
    found.push(...data);
  }
  return found;
}

/** The products of the prices, when these are all there are; else the account's whole list is gone through. */
async function readProducts(
  stripe: Stripe,
  { products: wanted }: Wanted,
  holders: Stripe.Price[],
): Promise<Stripe.Product[]> {
  const known = new Map<string, Stripe.Product>();
  for (const { product } of holders) {
    if (typeof product !== "string" && !product.deleted) known.set(product.id, product);
  }
  const ours = (products: Iterable<Stripe.Product>) =>
    [...products].filter((product) => wanted.some(({ mark }) => isMarked(product, mark)));
  const found = ours(known.values());
  if (wanted.every(({ mark }) => found.some((product) => isMarked(product, mark)))) return found;
  return ours(await all(stripe.products.list({ limit: 100 })));
}

export function isMarked(product: Stripe.Product, { kind, id }: Mark): boolean {
  return product.metadata[kind] === id;
}

/** The product of a mark: one that prices hang on before another, one that is sold before an archived one, then the oldest. */
export function productOf(
  products: Stripe.Product[],
  prices: Stripe.Price[],
  mark: Mark,
): Stripe.Product | undefined {
  const ours = products.filter((product) => isMarked(product, mark));
  const isUsed = ({ id }: Stripe.Product) =>
    prices.some((price) => typeof price.product !== "string" && price.product.id === id);
  const rank = (product: Stripe.Product) => Number(isUsed(product)) * 2 + Number(product.active);
  return ours.toSorted((a, b) => rank(b) - rank(a) || a.created - b.created)[0];
}

/** Products of ours among whose prices the right one must be looked for. */
function doubtful(
  wanted: WantedPrice[],
  holders: Stripe.Price[],
  products: Stripe.Product[],
): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const { key, terms } of wanted) {
    const holder = holders.find(({ lookup_key }) => lookup_key === key);
    const theirs = holder && termsOf(holder);
    // Product and meter are not known by their ids yet: only what the row itself says is compared here.
    const fits = theirs !== undefined && products.some(({ id }) => id === theirs.product) &&
      isSellable(theirs, { ...terms, product: theirs.product, meter: theirs.meter });
    if (!fits) { for (const { id } of products) ids.add(id); }
  }
  return ids;
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of pages) found.push(one);
  return found;
}
