/** Products and prices. */
import { invalid } from "../engine/errors.ts";
import {
  arr,
  bool,
  currency,
  decimal,
  given,
  int,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  record,
  required,
  str,
  unset,
  url,
  type Values,
  wordOr,
} from "../engine/params.ts";
import { listPage, pagination, where } from "../engine/answer.ts";
import { retrieveRoute, type Route, route } from "../engine/route.ts";
import {
  newId,
  type Plan,
  type Price,
  type PriceOption,
  type PriceTier,
  type Product,
} from "../engine/types.ts";
import { intervalOf } from "../billing/period.ts";
import type { Work } from "../engine/work.ts";

const recurring = {
  interval: required(oneOf("day", "week", "month", "year")),
  interval_count: int(1, 1095),
  usage_type: oneOf("licensed"),
};
const priceBase = {
  active: bool(),
  currency: required(currency()),
  lookup_key: str(200),
  metadata: metadata(),
  nickname: str(),
  recurring: obj(recurring),
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  transfer_lookup_key: bool(),
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
const currency_options = record(obj({
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  tiers: arr(tier),
  unit_amount: int(0),
  unit_amount_decimal: decimal(),
}));
const priceCreate = {
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
const productFields = {
  active: bool(),
  description: unset(str(40_000)),
  images: unset(arr(url())),
  marketing_features: unset(arr(obj({ name: required(str(80)) }))),
  metadata: metadata(),
  shippable: bool(),
  statement_descriptor: str(22),
  tax_code: unset(str()),
  unit_label: unset(str()),
  url: unset(url()),
};
const productCreate = {
  ...productFields,
  id: str(),
  name: required(str()),
  default_price_data: obj({
    currency: required(currency()),
    metadata: metadata(),
    recurring: obj(recurring),
    unit_amount: int(0),
    unit_amount_decimal: decimal(),
  }),
};

type ProductInput = Values<typeof productCreate>;

function createProduct(work: Work, p: ProductInput): Product {
  if (p.id !== undefined && work.find("product", p.id)) {
    throw invalid(`Product already exists.`, "id", "resource_already_exists");
  }
  const now = work.now();
  const product: Product = {
    id: p.id ?? newId("prod_", 14),
    object: "product",
    active: p.active ?? true,
    created: now,
    default_price: null,
    description: p.description ?? null,
    images: p.images ?? [],
    livemode: false,
    marketing_features: p.marketing_features ?? [],
    metadata: mergeMetadata({}, p.metadata),
    name: p.name,
    package_dimensions: null,
    shippable: p.shippable ?? null,
    statement_descriptor: p.statement_descriptor ?? null,
    tax_code: p.tax_code ?? null,
    tax_details: null,
    type: "service",
    unit_label: p.unit_label ?? null,
    updated: now,
    url: p.url ?? null,
  };
  work.create("product", product, {}, { event: "product.created" });
  if (!p.default_price_data) return product;
  const price = createPrice(work, { ...p.default_price_data, product: product.id });
  return work.change("product", product.id, { default_price: price.id });
}

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
  const amount = isTiered ? null : amountOf(p);
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
        meter: null,
        trial_period_days: null,
        usage_type: "licensed",
      }
      : null,
    tax_behavior: p.tax_behavior ?? "unspecified",
    tiers_mode: p.tiers_mode ?? null,
    transform_quantity: null,
    type: p.recurring ? "recurring" : "one_time",
    unit_amount: amount,
    unit_amount_decimal: amount === null ? null : p.unit_amount_decimal ?? String(amount),
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

function readOptions(
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
      const amount = isTiered ? null : amountOf(option);
      return [code, {
        custom_unit_amount: null,
        tax_behavior: option.tax_behavior ?? "unspecified",
        unit_amount: amount,
        unit_amount_decimal: amount === null ? null : option.unit_amount_decimal ?? String(amount),
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

function amountOf(p: Pick<PriceInput, "unit_amount" | "unit_amount_decimal">): number {
  if (p.unit_amount !== undefined) return p.unit_amount;
  const decimalAmount = requiredValue(p.unit_amount_decimal, "unit_amount");
  if (!/^\d+(\.0+)?$/.test(decimalAmount)) {
    throw invalid("The sandbox bills whole minor units only", "unit_amount_decimal");
  }
  return Number(decimalAmount);
}

/** One active holder per key: taking it over needs `transfer_lookup_key`. */
function claimLookupKey(work: Work, key: string, transfer: boolean, self?: string): void {
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
function changePrice(work: Work, id: string, patch: Partial<Price>): Price {
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
    meter: null,
    nickname: price.nickname,
    product: price.product,
    tiers_mode: price.tiers_mode,
    transform_usage: null,
    trial_period_days: null,
    usage_type: "licensed",
  };
}

const updateProduct = { ...productFields, name: str(), default_price: unset(str()) };
const updatePrice = {
  active: bool(),
  currency_options: unset(currency_options),
  lookup_key: unset(str(200)),
  metadata: metadata(),
  nickname: unset(str()),
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  transfer_lookup_key: bool(),
};

export const catalogueRoutes: Route[] = [
  route("POST", "/v1/products", productCreate, createProduct),
  route("POST", "/v1/products/:id", updateProduct, (work, p, id) => {
    const old = work.require("product", id);
    if (p.default_price) work.require("price", p.default_price, "default_price");
    return work.change("product", id, {
      active: given(p.active, old.active),
      default_price: given(p.default_price, old.default_price ?? null),
      description: given(p.description, old.description),
      images: p.images === undefined ? old.images : p.images ?? [],
      marketing_features: p.marketing_features === undefined
        ? old.marketing_features
        : p.marketing_features ?? [],
      metadata: mergeMetadata(old.metadata, p.metadata),
      name: given(p.name, old.name),
      shippable: given(p.shippable, old.shippable),
      statement_descriptor: given(p.statement_descriptor, old.statement_descriptor ?? null),
      tax_code: given(p.tax_code, old.tax_code ?? null),
      unit_label: given(p.unit_label, old.unit_label ?? null),
      updated: work.now(),
      url: given(p.url, old.url),
    }, "product.updated");
  }),
  route("DELETE", "/v1/products/:id", {}, (work, _p, id) => {
    work.require("product", id);
    if (work.store.all("price", { product: id }).length > 0) {
      throw invalid(
        "This product cannot be deleted because it has one or more user-created prices.",
        "id",
      );
    }
    return work.remove("product", id, "product.deleted");
  }),
  retrieveRoute("product", "/v1/products"),
  route(
    "GET",
    "/v1/products",
    { ...pagination, active: bool(), ids: arr(str()), url: str() },
    (work, p) => {
      const anyOf: Record<string, string[]> = p.ids ? { id: p.ids } : {};
      return listPage(work, "product", "/v1/products", p, {
        where: where({ active: p.active, url: p.url }),
        anyOf,
      });
    },
  ),

  route("POST", "/v1/prices", priceCreate, createPrice),
  route("POST", "/v1/prices/:id", updatePrice, (work, p, id) => {
    const old = work.require("price", id);
    if (p.currency_options) {
      const isTiered = old.billing_scheme === "tiered";
      const options = readOptions(p.currency_options, isTiered, old.currency);
      const { currency_options: before } = work.hidden("price", id);
      work.changeHidden("price", id, { currency_options: { ...before, ...options } });
    }
    const { tax_behavior: was } = old;
    if (was !== "unspecified" && p.tax_behavior !== undefined && p.tax_behavior !== was) {
      throw invalid(
        `The \`tax_behavior\` of a price cannot be changed once it is \`${was}\`.`,
        "tax_behavior",
      );
    }
    if (p.lookup_key) claimLookupKey(work, p.lookup_key, p.transfer_lookup_key ?? false, id);
    return changePrice(work, id, {
      active: given(p.active, old.active),
      lookup_key: given(p.lookup_key, old.lookup_key),
      metadata: mergeMetadata(old.metadata, p.metadata),
      nickname: given(p.nickname, old.nickname),
      tax_behavior: given(p.tax_behavior, old.tax_behavior),
    });
  }),
  retrieveRoute("price", "/v1/prices"),
  route("GET", "/v1/prices", {
    ...pagination,
    active: bool(),
    currency: currency(),
    lookup_keys: arr(str()),
    product: str(),
    type: oneOf("one_time", "recurring"),
    recurring: obj({
      interval: oneOf("day", "week", "month", "year"),
      usage_type: oneOf("licensed", "metered"),
    }),
  }, (work, p) => {
    if (p.lookup_keys && p.lookup_keys.length > 10) {
      throw invalid("You may pass up to 10 lookup keys", "lookup_keys");
    }
    return listPage(work, "price", "/v1/prices", p, {
      where: where({
        active: p.active,
        currency: p.currency,
        product: p.product,
        type: p.type,
        "recurring.interval": p.recurring?.interval,
        "recurring.usage_type": p.recurring?.usage_type,
      }),
      anyOf: p.lookup_keys ? { lookup_key: p.lookup_keys } : {},
    });
  }),
];
