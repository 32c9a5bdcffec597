import type Stripe from "stripe";
import type { Account } from "./read.ts";
import { type Call, type Draft, update } from "./steps.ts";
import { describe, idOf, isSellable, missingOptions, type Terms, termsOf } from "./terms.ts";
import type { Wanted, WantedPrice } from "./wanted.ts";

/** Prices: who holds a lookup key is what is sold. An amount never changes in place. Pure. */

const PATH = "/v1/prices";

export function planPrices(draft: Draft, wanted: Wanted, account: Account): void {
  const ours = new Set(account.products.map(({ id }) => id));
  for (const price of wanted.prices) {
    const terms = {
      ...price.terms,
      product: draft.known(price.terms.product),
      meter: price.terms.meter === null ? null : draft.known(price.terms.meter),
    };
    planPrice(draft, { ...price, terms }, account.prices, ours);
  }
}

function planPrice(
  draft: Draft,
  wanted: WantedPrice,
  prices: Stripe.Price[],
  ours: ReadonlySet<string>,
): void {
  const holder = prices.find(({ lookup_key }) => lookup_key === wanted.key);
  if (holder && isSellable(termsOf(holder), wanted.terms)) return mend(draft, wanted, holder);
  const farewell = holder && ours.has(idOf(holder.product)) ? remember(holder, wanted.key) : [];
  // Ours, with these terms, and without the key: it was taken away, or the amount is what it once was.
  const former = prices.filter(({ metadata }) => metadata["lookup_key"] === wanted.key)
    .filter((price) => isSellable(termsOf(price), wanted.terms))
    .toSorted((a, b) => Number(b.active) - Number(a.active) || b.created - a.created)[0];
  if (former) return moveBack(draft, wanted, { former, holder, farewell });
  const before = prices.filter(({ metadata }) => metadata["lookup_key"] === wanted.key);
  draft.add({
    kind: "price",
    name: wanted.key,
    change: holder ? "replace" : "create",
    details: holder ? replaced(holder, wanted.terms) : [describe(wanted.terms)],
    calls: [...farewell, creation(wanted, [holder, ...before])],
  });
}

/** The right price has the key: sold again if it was archived, with the currencies it lacks, and marked. */
function mend(draft: Draft, wanted: WantedPrice, price: Stripe.Price): void {
  draft.ids.set(wanted.ref, price.id);
  const { details, params } = mending(wanted, price);
  if (Object.keys(params).length === 0) {
    draft.keep("price", wanted.key, describe(termsOf(price)));
    return;
  }
  const calls = [update(`${PATH}/${price.id}`, params)];
  draft.add({ kind: "price", name: wanted.key, change: "update", details, calls });
}

function mending(wanted: WantedPrice, price: Stripe.Price) {
  const details: string[] = [];
  const missing = missingOptions(termsOf(price), wanted.terms);
  if (!price.active) details.push("archived → sold");
  if (Object.keys(missing).length > 0) {
    const after = { ...termsOf(price), options: wanted.terms.options };
    details.push(`${describe(termsOf(price))} → ${describe(after)}`);
  }
  const lost = Object.entries(wanted.metadata)
    .filter(([name, value]) => price.metadata[name] !== value);
  if (lost.length > 0) details.push(`metadata ${lost.map(([name]) => name).join(", ")}`);
  const params = {
    ...(!price.active && { active: true }),
    ...(Object.keys(missing).length > 0 && { currency_options: asOptions(missing) }),
    ...(lost.length > 0 && { metadata: Object.fromEntries(lost) }),
  };
  return { details, params };
}

function moveBack(
  draft: Draft,
  wanted: WantedPrice,
  { former, holder, farewell }: {
    former: Stripe.Price;
    holder: Stripe.Price | undefined;
    farewell: Call[];
  },
): void {
  draft.ids.set(wanted.ref, former.id);
  const { details, params } = mending(wanted, former);
  const from = holder
    ? `key from ${holder.id} (${describe(termsOf(holder))})`
    : "key, which no price has,";
  const move = { ...params, lookup_key: wanted.key, transfer_lookup_key: true };
  draft.add({
    kind: "price",
    name: wanted.key,
    change: "move",
    details: [`${from} → ${former.id} (${describe(wanted.terms)})`, ...details],
    calls: [...farewell, update(`${PATH}/${former.id}`, move)],
  });
}

/** Before the key moves on: the metadata goes on saying what the old price's subscribers bought. */
function remember(price: Stripe.Price, key: string): Call[] {
  if (price.metadata["lookup_key"] === key) return [];
  return [update(`${PATH}/${price.id}`, { metadata: { lookup_key: key } })];
}

function replaced(holder: Stripe.Price, terms: Terms): string[] {
  const before = termsOf(holder);
  const details = [`${describe(before)} → ${describe(terms)}`];
  if (before.product !== terms.product) details.push("another product");
  if (before.meter !== terms.meter) details.push("another meter");
  if (before.isOdd) details.push("without packages or free amounts");
  return [...details, `who has ${holder.id} keeps it`];
}

function creation(
  { ref, key, terms, metadata }: WantedPrice,
  before: (Stripe.Price | undefined)[],
): Call {
  const { product, currency, meter, interval } = terms;
  const usage = meter === null ? {} : { usage_type: "metered", meter };
  const params = {
    ...{ product, currency, metadata },
    lookup_key: key,
    transfer_lookup_key: true,
    ...amountOf(terms),
    ...(Object.keys(terms.options).length > 0 && { currency_options: asOptions(terms.options) }),
    ...(interval !== null && { recurring: { interval, ...usage } }),
  };
  const seen = new Set(before.flatMap((price) => price ? [price.id] : []));
  const once = [key, ...[...seen].toSorted()].join(" ");
  return { method: "POST", path: PATH, params, creates: { ref, once } };
}

function amountOf({ amount, tiersMode, tiers }: Terms): Record<string, unknown> {
  if (amount !== null) return asAmount(amount);
  return {
    billing_scheme: "tiered",
    tiers_mode: tiersMode,
    tiers: tiers.map(({ upTo, unit, flat }) => ({
      up_to: upTo ?? "inf",
      unit_amount: unit,
      ...(Number(flat) > 0 && { flat_amount: flat }),
    })),
  };
}

/** A fraction of the smallest unit has a parameter of its own. */
function asAmount(amount: string): Record<string, string> {
  return amount.includes(".") ? { unit_amount_decimal: amount } : { unit_amount: amount };
}

function asOptions(options: Record<string, string>): Record<string, Record<string, string>> {
  return Object.fromEntries(
    Object.entries(options).map(([currency, amount]) => [currency, asAmount(amount)]),
  );
}
