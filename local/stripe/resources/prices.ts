/** Prices: what they may be, and making them. */
import { invalid } from "../engine/errors.ts";
import {
  arr,
  bool,
  currency,
  decimal,
  int,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  record,
  required,
  str,
  type Values,
  wordOr,
} from "../engine/params.ts";
import { newId, type Plan, type Price, type PriceOption, type PriceTier } from "../engine/types.ts";
import { intervalOf } from "../billing/period.ts";
import type { Work } from "../engine/work.ts";
import { createProduct, type ProductInput } from "./products.ts";
import { interval } from "./recurring.ts";

const recurring = { ...interval, meter: str(), usage_type: oneOf("licensed", "metered") };
const priceBase = {
  active: bool(),
  currency: required(currency()),
  lookup_key: str(200),
  metadata: metadata(),
  nickname: str(),
  recurring: obj(recurring),
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  transfer_lookup_key: bool(),
  transform_quantity: obj({
    divide_by: required(int(1)),
    round: required(oneOf("down", "up")),
  }),
  unit_amount: int(0),
  unit_amount_decimal: decimal(),
};
const tier = obj({
  flat_amount: int(0),
  flat_amount_decimal: decimal(),
  unit_amount: int(0),
  unit_amount_decimal: decimal(),
  up_to: required(wordOr("inf", int(1))),
});
export const currency_options = record(obj({
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  tiers: arr(tier),
  unit_amount: int(0),
  unit_amount_decimal: decimal(),
}));
export const priceCreate = {
  ...priceBase,
  billing_scheme: oneOf("per_unit", "tiered"),
  currency_options,
  tiers: arr(tier),
  tiers_mode: oneOf("graduated", "volume"),
  product: str(),
  product_data: obj({
    name: required(str()),
    active: bool(),
    id: str(),
    metadata: metadata(),
    unit_label: str(),
  }),
};

export type PriceInput = Omit<Values<typeof priceCreate>, "product_data"> & {
  product_data?: ProductInput;
};

export function createPrice(work: Work, p: PriceInput): Price {
  if (p.product !== undefined && p.product_data) {
    throw invalid(
      "You may only specify one of these parameters: product, product_data.",
      "product",
      "parameters_exclusive",
    );
  }
  const product = p.product_data
    ? createProduct(work, p.product_data)
    : work.require("product", requiredValue(p.product, "product"), "product");
  if (!product.active) {
    throw invalid(
      `This price's product (${product.id}) is not active.`,
      "product",
      "product_inactive",
    );
  }
  const isTiered = p.billing_scheme === "tiered";
  checkScheme(p, isTiered);
  const tiers = isTiered ? readTiers(p.tiers, "tiers") : undefined;
  checkRecurring(work, p);
  const amount = isTiered ? NO_AMOUNT : amountOf(p);
  const options = readOptions(p.currency_options ?? {}, isTiered, p.currency);
  if (p.lookup_key !== undefined) {
    claimLookupKey(work, p.lookup_key, p.transfer_lookup_key ?? false);
  }
  const price: Price = {
    id: newId("price_"),
    object: "price",
    active: p.active ?? true,
    billing_scheme: p.billing_scheme ?? "per_unit",
    created: work.now(),
    currency: p.currency,
    custom_unit_amount: null,
    livemode: false,
    lookup_key: p.lookup_key ?? null,
    metadata: mergeMetadata({}, p.metadata),
    nickname: p.nickname ?? null,
    product: product.id,
    recurring: p.recurring
      ? {
        interval: p.recurring.interval,
        interval_count: p.recurring.interval_count ?? 1,
        meter: p.recurring.meter ?? null,
        trial_period_days: null,
        usage_type: p.recurring.usage_type ?? "licensed",
      }
      : null,
    tax_behavior: p.tax_behavior ?? "unspecified",
    tiers_mode: p.tiers_mode ?? null,
    transform_quantity: p.transform_quantity ?? null,
    type: p.recurring ? "recurring" : "one_time",
    ...amount,
  };
  const base: PriceOption = {
    custom_unit_amount: null,
    tax_behavior: price.tax_behavior,
    unit_amount: price.unit_amount,
    unit_amount_decimal: price.unit_amount_decimal,
    ...(tiers ? { tiers } : {}),
  };
  return work.create("price", price, {
    ...(tiers ? { tiers } : {}),
    // With its own currency among them, as Stripe shows them.
    currency_options: { [p.currency]: base, ...options },
  }, { event: "price.created" });
}

function checkScheme(p: PriceInput, isTiered: boolean): void {
  if (!isTiered) {
    const other = p.tiers ? "tiers" : p.tiers_mode ? "tiers_mode" : null;
    if (other) {
      throw invalid(`\`${other}\` can only be set when \`billing_scheme=tiered\`.`, other);
    }
    return;
  }
  requiredValue(p.tiers_mode, "tiers_mode");
  if (p.unit_amount !== undefined || p.unit_amount_decimal !== undefined) {
    throw invalid("`unit_amount` cannot be set when `billing_scheme=tiered`.", "unit_amount");
  }
}

type TierInput = NonNullable<Values<typeof priceCreate>["tiers"]>;

function readTiers(given: TierInput | undefined, param: string): PriceTier[] {
  const tiers = requiredValue(given, param);
  let below = 0;
  return tiers.map((each, i) => {
    const at = `${param}[${i}]`;
    const isLast = i === tiers.length - 1;
    if ((each.up_to === "inf") !== isLast) {
      throw invalid("The last tier, and only it, must be `up_to=inf`.", `${at}[up_to]`);
    }
    if (each.up_to !== "inf" && each.up_to <= below) {
      throw invalid("Tiers must be in ascending order of `up_to`.", `${at}[up_to]`);
    }
    if (each.up_to !== "inf") below = each.up_to;
    const text = (amount?: number, decimal?: string) =>
      decimal ?? (amount === undefined ? null : String(amount));
    const flat = text(each.flat_amount, each.flat_amount_decimal);
    const unit = text(each.unit_amount, each.unit_amount_decimal);
    if (flat === null && unit === null) {
      throw invalid("Each tier needs a `unit_amount` or a `flat_amount`.", `${at}[unit_amount]`);
    }
    return {
      flat_amount: each.flat_amount ?? null,
      flat_amount_decimal: flat,
      unit_amount: each.unit_amount ?? null,
      unit_amount_decimal: unit,
      up_to: each.up_to === "inf" ? null : each.up_to,
    };
  });
}

export function readOptions(
  given: NonNullable<Values<typeof priceCreate>["currency_options"]>,
  isTiered: boolean,
  base: string,
): Record<string, PriceOption> {
  return Object.fromEntries(
    Object.entries(given).map(([code, option]) => {
      const param = `currency_options[${code}]`;
      if (!/^[a-z]{3}$/.test(code)) throw invalid(`Invalid currency: ${code}.`, param);
      if (code === base) {
        throw invalid("`currency_options` must not have the price's own currency.", param);
      }
      const tiers = isTiered ? readTiers(option.tiers, `${param}[tiers]`) : undefined;
      const amount = isTiered ? NO_AMOUNT : amountOf(option);
      return [code, {
        custom_unit_amount: null,
        tax_behavior: option.tax_behavior ?? "unspecified",
        ...amount,
        ...(tiers ? { tiers } : {}),
      }];
    }),
  );
}

export function requiredValue<T>(value: T | undefined, name: string): T {
  if (value === undefined) {
    throw invalid(`Missing required param: ${name}.`, name, "parameter_missing");
  }
  return value;
}

type Amount = Pick<Price, "unit_amount" | "unit_amount_decimal">;
const NO_AMOUNT: Amount = { unit_amount: null, unit_amount_decimal: null };

/** A fraction of the smallest unit has a decimal only. */
function amountOf(p: Pick<PriceInput, "unit_amount" | "unit_amount_decimal">): Amount {
  if (p.unit_amount !== undefined && p.unit_amount_decimal !== undefined) {
    throw invalid(
      "You may only specify one of these parameters: unit_amount, unit_amount_decimal.",
      "unit_amount",
      "parameters_exclusive",
    );
  }
  if (p.unit_amount !== undefined) {
    return { unit_amount: p.unit_amount, unit_amount_decimal: String(p.unit_amount) };
  }
  const text = requiredValue(p.unit_amount_decimal, "unit_amount");
  if (text.startsWith("-")) throw invalid("Invalid non-negative decimal", "unit_amount_decimal");
  const plain = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return {
    unit_amount: plain.includes(".") ? null : Number(plain),
    unit_amount_decimal: plain,
  };
}

function checkRecurring(work: Work, { recurring, transform_quantity, billing_scheme }: PriceInput) {
  if (transform_quantity && billing_scheme === "tiered") {
    throw invalid(
      "`transform_quantity` cannot be set when `billing_scheme=tiered`.",
      "transform_quantity",
    );
  }
  const isMetered = recurring?.usage_type === "metered";
  if (isMetered && recurring.meter === undefined) {
    throw invalid(
      "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters.",
      "recurring[meter]",
    );
  }
  if (recurring?.meter === undefined) return;
  if (!isMetered) {
    throw invalid(
      "`recurring[meter]` can only be set when `recurring[usage_type]=metered`.",
      "recurring[meter]",
    );
  }
  if (work.require("billing.meter", recurring.meter, "recurring[meter]").status !== "active") {
    throw invalid(
      `The meter ${recurring.meter} is inactive and cannot be attached to a price.`,
      "recurring[meter]",
    );
  }
}

/** One active holder per key: taking it over needs `transfer_lookup_key`. */
export function claimLookupKey(work: Work, key: string, transfer: boolean, self?: string): void {
  for (const holder of work.store.all("price", { lookup_key: key })) {
    if (holder.id === self) continue;
    if (!transfer) {
      throw invalid(
        `A price (${holder.id}) already uses that lookup key. Set transfer_lookup_key to true to move it.`,
        "lookup_key",
      );
    }
    changePrice(work, holder.id, { lookup_key: null });
  }
}

/** Changes a price wherever it shows: a subscription's item answers the price as it is now, not as it was when it was bought. */
export function changePrice(work: Work, id: string, patch: Partial<Price>): Price {
  const price = work.change("price", id, patch, "price.updated");
  for (const subscription of work.store.all("subscription", {})) {
    if (!subscription.items.data.some((item) => item.price.id === id)) continue;
    const data = subscription.items.data.map((item) =>
      item.price.id === id ? { ...item, price, plan: planOf(price) } : item
    );
    work.change("subscription", subscription.id, { items: { ...subscription.items, data } });
  }
  return price;
}

/** The legacy `plan` that still stands beside the price of a subscription item. */
export function planOf(price: Price): Plan {
  return {
    id: price.id,
    object: "plan",
    active: price.active,
    amount: price.unit_amount,
    amount_decimal: price.unit_amount_decimal,
    billing_scheme: price.billing_scheme,
    created: price.created,
    currency: price.currency,
    interval: intervalOf(price.recurring?.interval),
    interval_count: price.recurring?.interval_count ?? 1,
    livemode: false,
    metadata: price.metadata,
    meter: price.recurring?.meter ?? null,
    nickname: price.nickname,
    product: price.product,
    tiers_mode: price.tiers_mode,
    transform_usage: price.transform_quantity,
    trial_period_days: null,
    usage_type: price.recurring?.usage_type ?? "licensed",
  };
}
