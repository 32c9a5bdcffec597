/** Features of Stripe's entitlements, and which product has which. */
import { arrayPage, listPage, pagination, where } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import { bool, mergeMetadata, metadata, required, str, type Values } from "../engine/params.ts";
import { retrieveRoute, type Route, route } from "../engine/route.ts";
import { type Feature, newId, type ProductFeature } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";

const PATH = "/v1/entitlements/features";
const ATTACHED = "/v1/products/:id/features";
/** These lists have no filter by time. */
const { created: _, ...pages } = pagination;

const createShape = {
  lookup_key: required(str(80)),
  metadata: metadata(),
  name: required(str(80)),
};

/** A key is unique among active features; that of an archived one may be used again. */
function create(work: Work, p: Values<typeof createShape>): Feature {
  const { lookup_key } = p;
  if (work.store.all("entitlements.feature", { lookup_key, active: 1 }).length > 0) {
    throw invalid(`A feature with lookup_key ${lookup_key} already exists.`, "lookup_key");
  }
  return work.create("entitlements.feature", {
    id: newId("feat_test_", 38),
    object: "entitlements.feature",
    active: true,
    livemode: false,
    lookup_key,
    metadata: mergeMetadata({}, p.metadata),
    name: p.name,
  }, {});
}

const updateShape = { active: bool(), metadata: metadata(), name: str(80) };

/** Archiving is for good: what is archived is neither edited nor brought back. */
function update(work: Work, p: Values<typeof updateShape>, id: string): Feature {
  const old = work.require("entitlements.feature", id);
  if (!old.active) throw invalid("This feature is archived and cannot be updated.", "id");
  const features = attachments(work).map(({ shown }) => shown)
    .filter(({ entitlement_feature }) => entitlement_feature.id === id);
  const fresh = work.change("entitlements.feature", id, {
    active: p.active ?? old.active,
    metadata: mergeMetadata(old.metadata, p.metadata),
    name: p.name ?? old.name,
  });
  // It stands whole inside of what it is attached to.
  for (const each of features) {
    work.change("product_feature", each.id, { entitlement_feature: fresh });
  }
  return fresh;
}

function attach(work: Work, p: { entitlement_feature: string }, product: string): ProductFeature {
  work.require("product", product);
  const feature = work.require(
    "entitlements.feature",
    p.entitlement_feature,
    "entitlement_feature",
  );
  if (!feature.active) {
    throw invalid("An archived feature cannot be attached to a product.", "entitlement_feature");
  }
  if (of(work, product).some(({ entitlement_feature }) => entitlement_feature.id === feature.id)) {
    throw invalid("This feature is already attached to the product.", "entitlement_feature");
  }
  return work.create("product_feature", {
    id: newId("prodft_", 14),
    object: "product_feature",
    entitlement_feature: feature,
    livemode: false,
  }, { product });
}

function attachments(work: Work): { shown: ProductFeature; product: string }[] {
  return work.store.all("product_feature", {})
    .map((shown) => ({ shown, product: work.hidden("product_feature", shown.id).product }));
}

/** The newest first. */
function of(work: Work, product: string): ProductFeature[] {
  return attachments(work).filter((each) => each.product === product)
    .map(({ shown }) => shown).reverse();
}

function attached(work: Work, product: string, id: string): ProductFeature {
  work.require("product", product);
  const found = of(work, product).find((each) => each.id === id);
  return found ?? work.require("product_feature", "");
}

export const entitlementRoutes: Route[] = [
  route("POST", PATH, createShape, create),
  route("POST", `${PATH}/:id`, updateShape, update),
  retrieveRoute("entitlements.feature", PATH),
  route(
    "GET",
    PATH,
    { ...pages, archived: bool(), lookup_key: str() },
    (work, p) =>
      listPage(work, "entitlements.feature", PATH, p, {
        where: where({ active: !(p.archived ?? false), lookup_key: p.lookup_key }),
      }),
  ),
  route("POST", ATTACHED, { entitlement_feature: required(str()) }, attach),
  route("GET", ATTACHED, pages, (work, p, product) => {
    work.require("product", product);
    return arrayPage(of(work, product), `/v1/products/${product}/features`, p);
  }),
  route("GET", `${ATTACHED}/:feature`, {}, (work, _p, product, id) => attached(work, product, id)),
  route(
    "DELETE",
    `${ATTACHED}/:feature`,
    {},
    (work, _p, product, id) => work.remove("product_feature", attached(work, product, id).id),
  ),
];
