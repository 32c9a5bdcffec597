/** Products: what they may be, and making them. */
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
  required,
  str,
  unset,
  url,
  type Values,
} from "../engine/params.ts";
import { newId, type Product } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { createPrice } from "./prices.ts";
import { interval } from "./recurring.ts";

export const productFields = {
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
export const productCreate = {
  ...productFields,
  id: str(),
  name: required(str()),
  default_price_data: obj({
    currency: required(currency()),
    metadata: metadata(),
    recurring: obj(interval),
    unit_amount: int(0),
    unit_amount_decimal: decimal(),
  }),
};

export type ProductInput = Values<typeof productCreate>;

export function createProduct(work: Work, p: ProductInput): Product {
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
