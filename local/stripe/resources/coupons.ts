/** Coupons, promotion codes, and taking discounts away. */
import { invalid, missing } from "../engine/errors.ts";
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
  time,
  unset,
  type Values,
} from "../engine/params.ts";
import { listPage, pagination, where } from "../engine/answer.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import { type Coupon, newId, type PromotionCode } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { removeDiscount } from "../billing/discounts.ts";

const couponShape = {
  amount_off: int(1),
  applies_to: obj({ products: arr(str()) }),
  currency: currency(),
  currency_options: record(obj({ amount_off: required(int(1)) })),
  duration: oneOf("forever", "once", "repeating"),
  duration_in_months: int(1, 1200),
  id: str(),
  max_redemptions: int(1),
  metadata: metadata(),
  name: str(40),
  percent_off: decimal(),
  redeem_by: time(),
};

function createCoupon(work: Work, p: Values<typeof couponShape>): Coupon {
  const now = work.now();
  const duration = p.duration ?? "once";
  checkCoupon(p, duration, now);
  if (p.id !== undefined && work.find("coupon", p.id)) {
    throw invalid("Coupon already exists.", "id", "resource_already_exists");
  }
  const products = p.applies_to?.products ?? null;
  for (const [i, id] of (products ?? []).entries()) {
    work.require("product", id, `applies_to[products][${i}]`);
  }
  return work.create(
    "coupon",
    {
      id: p.id ?? newId("", 8),
      object: "coupon",
      amount_off: p.amount_off ?? null,
      created: now,
      currency: p.amount_off === undefined ? null : p.currency ?? null,
      duration,
      duration_in_months: p.duration_in_months ?? null,
      livemode: false,
      max_redemptions: p.max_redemptions ?? null,
      metadata: mergeMetadata({}, p.metadata),
      name: p.name ?? null,
      percent_off: p.percent_off === undefined ? null : Number(p.percent_off),
      redeem_by: p.redeem_by ?? null,
      times_redeemed: 0,
      valid: true,
    },
    { products, currency_options: p.currency_options ?? null },
    { event: "coupon.created" },
  );
}

function checkCoupon(
  p: Values<typeof couponShape>,
  duration: Coupon["duration"],
  now: number,
): void {
  if ((p.percent_off === undefined) === (p.amount_off === undefined)) {
    throw invalid(
      p.percent_off === undefined
        ? "Must provide either percent_off or amount_off (with currency)"
        : "You may only specify one of these parameters: amount_off, percent_off.",
      "percent_off",
    );
  }
  const percent = Number(p.percent_off ?? 1);
  if (percent <= 0 || percent > 100) {
    throw invalid("Invalid percent_off: must be greater than 0 and at most 100", "percent_off");
  }
  if (p.amount_off !== undefined && p.currency === undefined) {
    throw invalid(
      "You must pass currency when passing amount_off",
      "currency",
      "parameter_missing",
    );
  }
  if ((duration === "repeating") !== (p.duration_in_months !== undefined)) {
    throw invalid(
      duration === "repeating"
        ? "You must pass `duration_in_months` when `duration` is `repeating`."
        : "`duration_in_months` may only be given when `duration` is `repeating`.",
      "duration_in_months",
    );
  }
  if (p.redeem_by !== undefined && p.redeem_by <= now) {
    throw invalid("`redeem_by` must be in the future.", "redeem_by");
  }
}

const restrictions = obj({
  first_time_transaction: bool(),
  minimum_amount: int(1),
  minimum_amount_currency: currency(),
});
const codeShape = {
  active: bool(),
  code: str(500),
  customer: str(),
  expires_at: time(),
  max_redemptions: int(1),
  metadata: metadata(),
  promotion: required(obj({ type: required(oneOf("coupon")), coupon: required(str()) })),
  restrictions,
};

function createCode(work: Work, p: Values<typeof codeShape>): PromotionCode {
  const now = work.now();
  const coupon = work.require("coupon", p.promotion.coupon, "promotion[coupon]");
  if (!coupon.valid) {
    throw invalid("This coupon is not valid any more.", "promotion[coupon]", "coupon_expired");
  }
  if (p.customer !== undefined) work.require("customer", p.customer, "customer");
  if (p.expires_at !== undefined && p.expires_at <= now) {
    throw invalid("`expires_at` must be in the future.", "expires_at");
  }
  const code = (p.code ?? newId("", 8)).toUpperCase();
  if (!/^[\w-]+$/.test(code)) {
    throw invalid("A code may only have letters, digits, hyphens and underscores.", "code");
  }
  const isTaken = activeCode(work, code, p.customer ?? null);
  if (isTaken) {
    throw invalid(`An active promotion code with \`code: ${code}\` already exists.`, "code");
  }
  const { minimum_amount, minimum_amount_currency } = p.restrictions ?? {};
  if ((minimum_amount === undefined) !== (minimum_amount_currency === undefined)) {
    throw invalid(
      "`minimum_amount` and `minimum_amount_currency` go together.",
      "restrictions[minimum_amount_currency]",
    );
  }
  return work.create(
    "promotion_code",
    {
      id: newId("promo_"),
      object: "promotion_code",
      active: p.active ?? true,
      code,
      created: now,
      customer: p.customer ?? null,
      customer_account: null,
      expires_at: p.expires_at ?? null,
      livemode: false,
      max_redemptions: p.max_redemptions ?? null,
      metadata: mergeMetadata({}, p.metadata),
      promotion: { coupon: coupon.id, type: "coupon" },
      restrictions: {
        first_time_transaction: p.restrictions?.first_time_transaction ?? false,
        minimum_amount: minimum_amount ?? null,
        minimum_amount_currency: minimum_amount_currency ?? null,
      },
      times_redeemed: 0,
    },
    {},
    { event: "promotion_code.created" },
  );
}

/** Codes are not case-sensitive. One for this customer wins over one for all. */
export function activeCode(
  work: Work,
  code: string,
  customer: string | null,
): PromotionCode | null {
  const found = work.store.all("promotion_code", { code: code.trim().toUpperCase(), active: 1 });
  return found.find((each) => each.customer !== null && each.customer === customer) ??
    found.find((each) => each.customer === null) ?? null;
}

function updateCode(
  work: Work,
  p: { active?: boolean; metadata?: Record<string, string> | null },
  id: string,
) {
  const old = work.require("promotion_code", id);
  const coupon = work.find("coupon", old.promotion.coupon ?? "");
  if (p.active && !coupon?.valid) {
    throw invalid("This promotion code cannot be active: its coupon is not valid.", "active");
  }
  return work.change("promotion_code", id, {
    active: given(p.active, old.active),
    metadata: mergeMetadata(old.metadata, p.metadata),
  }, "promotion_code.updated");
}

export const couponRoutes: Route[] = [
  route("POST", "/v1/coupons", couponShape, createCoupon),
  route(
    "POST",
    "/v1/coupons/:id",
    { metadata: metadata(), name: unset(str(40)) },
    (work, p, id) => {
      const old = work.require("coupon", id);
      return work.change("coupon", id, {
        metadata: mergeMetadata(old.metadata, p.metadata),
        name: given(p.name, old.name),
      }, "coupon.updated");
    },
  ),
  // Discounts made from it stay; nobody can redeem it any more.
  route(
    "DELETE",
    "/v1/coupons/:id",
    {},
    (work, _p, id) => work.remove("coupon", id, "coupon.deleted"),
  ),
  retrieveRoute("coupon", "/v1/coupons"),
  listRoute("coupon", "/v1/coupons", {}),
  route("POST", "/v1/promotion_codes", codeShape, createCode),
  route(
    "POST",
    "/v1/promotion_codes/:id",
    { active: bool(), metadata: metadata() },
    updateCode,
  ),
  retrieveRoute("promotion_code", "/v1/promotion_codes"),
  route("GET", "/v1/promotion_codes", {
    ...pagination,
    active: bool(),
    code: str(),
    coupon: str(),
    customer: str(),
  }, (work, p) =>
    listPage(work, "promotion_code", "/v1/promotion_codes", p, {
      where: where({
        active: p.active,
        code: p.code?.toUpperCase(),
        customer: p.customer,
        "promotion.coupon": p.coupon,
      }),
    })),
  route("DELETE", "/v1/customers/:id/discount", {}, (work, _p, id) => {
    const { discount } = work.require("customer", id);
    if (!discount) throw missing("discount", id, "id");
    work.change("customer", id, { discount: null }, "customer.updated");
    removeDiscount(work, discount.id);
    return { ...discount, deleted: true };
  }),
  route("DELETE", "/v1/subscriptions/:id/discount", {}, (work, _p, id) => {
    const { discounts } = work.require("subscription", id);
    const [last] = discounts.slice(-1);
    if (last === undefined) throw missing("discount", id, "id");
    const rest = discounts.slice(0, -1);
    work.change("subscription", id, { discounts: rest }, "customer.subscription.updated");
    return { ...removeDiscount(work, last), deleted: true };
  }),
];
