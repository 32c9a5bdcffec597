/**
 * Parameters of older API versions, as Stripe still takes them from a request that does not ask for the newest one (its
 * CLI names no version at all). Only what the CLI's fixtures use; a request for the pinned version gets the pinned rules.
 */
import { invalid } from "./errors.ts";
import type { Raw } from "./params.ts";
import { isRecord } from "./params.ts";
import type { Store } from "./store.ts";
import { API_VERSION } from "./types.ts";

/** A customer's coupon, which the newest version sets no more; no request can name this parameter. */
export const OLD_COUPON = "coupon (older versions)";

/** An account that an older request makes without asking for a capability gets transfers, as the CLI's fixtures expect. */
export const OLD_ACCOUNT = "transfers (older versions)";

type Form = { [key: string]: Raw };

export function modernize(
  store: Store,
  { method, path }: { method: string; path: string },
  form: Form,
  version: string | null,
): Form {
  for (const own of [OLD_COUPON, OLD_ACCOUNT]) {
    if (own in form) throw invalid(`Received unknown parameter: ${own}`, own);
  }
  if (version === API_VERSION) return form;
  const isNewAccount = method === "POST" && path === "/v1/accounts";
  if (version === null && isNewAccount && form.capabilities === undefined) {
    return { ...form, [OLD_ACCOUNT]: "true" };
  }
  if (path === "/v1/checkout/sessions" && isDebit(form.payment_method_types)) {
    // The page offers a bank debit anyway, where the currency has one.
    const { payment_method_types: _, ...rest } = form;
    return rest;
  }
  if (path === "/v1/promotion_codes" && form.coupon !== undefined) {
    const { coupon, ...rest } = form;
    return { ...rest, promotion: { type: "coupon", coupon } };
  }
  if (/^\/v1\/customers(\/[^/]+)?$/.test(path) && form.coupon !== undefined) {
    const { coupon, ...rest } = form;
    return { ...rest, [OLD_COUPON]: coupon };
  }
  if (/^\/v1\/subscription_schedules(\/[^/]+)?$/.test(path) && form.phases !== undefined) {
    return { ...form, phases: mapped(form.phases, (phase) => withDuration(store, phase)) };
  }
  return form;
}

const isDebit = (types: Raw) =>
  Array.isArray(types) && types.length === 1 && types[0] === "sepa_debit";

function mapped(raw: Raw, change: (form: Form) => Form): Raw {
  const each = (value: Raw) => isRecord(value) ? change(value) : value;
  if (Array.isArray(raw)) return raw.map(each);
  if (!isRecord(raw)) return raw;
  return Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, each(value)]));
}

/** `iterations` counted intervals of the phase's price. */
function withDuration(store: Store, phase: Form): Form {
  const { iterations, ...rest } = phase;
  if (typeof iterations !== "string") return phase;
  const items = Array.isArray(phase.items) ? phase.items : Object.values(phase.items ?? {});
  const [first] = items;
  const id = isRecord(first) && typeof first.price === "string" ? first.price : "";
  const { interval, interval_count } = store.find("price", id)?.recurring ??
    { interval: "month", interval_count: 1 };
  const count = String(Number(iterations) * interval_count);
  return { ...rest, duration: { interval, interval_count: count } };
}
