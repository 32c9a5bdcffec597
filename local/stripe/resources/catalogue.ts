/** The routes of products and prices. */
import { invalid } from "../engine/errors.ts";
import {
  arr,
  bool,
  currency,
  given,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  str,
  unset,
} from "../engine/params.ts";
import { listPage, pagination, where } from "../engine/answer.ts";
import { retrieveRoute, type Route, route } from "../engine/route.ts";
import {
  changePrice,
  claimLookupKey,
  createPrice,
  currency_options,
  priceCreate,
  readOptions,
} from "./prices.ts";
import { createProduct, productCreate, productFields } from "./products.ts";

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
      meter: str(),
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
        "recurring.meter": p.recurring?.meter,
        "recurring.usage_type": p.recurring?.usage_type,
      }),
      anyOf: p.lookup_keys ? { lookup_key: p.lookup_keys } : {},
    });
  }),
];
