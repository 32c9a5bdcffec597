/** Credit grants, their transactions and the balance of a customer. */
import { listPage, pagination } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import {
  arr,
  currency,
  int,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  required,
  str,
  time,
  unset,
  type Values,
} from "../engine/params.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import { type CreditGrant, type CreditSummary, newId } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { isMetered } from "../billing/amounts.ts";
import { balanceOf, enter, isUsable, ledger, writeOff } from "../billing/credits.ts";

const PATH = "/v1/billing/credit_grants";
const KIND = "billing.credit_grant";
const UPDATED = "billing.credit_grant.updated";
const MAX_UNUSED = 100;
const MAX_PRICES = 20;

const scopeShape = {
  price_type: oneOf("metered"),
  prices: arr(obj({ id: required(str()) })),
};
const createShape = {
  amount: required(obj({
    monetary: obj({ currency: required(currency()), value: required(int(1)) }),
    type: required(oneOf("monetary")),
  })),
  applicability_config: required(obj({ scope: required(obj(scopeShape)) })),
  category: oneOf("paid", "promotional"),
  customer: required(str()),
  effective_at: time(),
  expires_at: time(),
  metadata: metadata(),
  name: str(100),
  priority: int(0, 100),
};
type Scope = CreditGrant["applicability_config"]["scope"];

function readScope(work: Work, scope: Values<typeof scopeShape>, at: string): Scope {
  if ((scope.price_type === undefined) === (scope.prices === undefined)) {
    throw invalid(
      `You must pass exactly one of \`${at}[price_type]\` or \`${at}[prices]\`.`,
      at,
      "parameters_exclusive",
    );
  }
  if (scope.prices === undefined) return { price_type: "metered" };
  if (scope.prices.length === 0 || scope.prices.length > MAX_PRICES) {
    throw invalid(`You can pass between 1 and ${MAX_PRICES} prices.`, `${at}[prices]`);
  }
  scope.prices.forEach(({ id }, i) => {
    const param = `${at}[prices][${i}][id]`;
    if (!isMetered(work.require("price", id, param))) {
      throw invalid("Credit grants apply to metered prices with a billing meter only.", param);
    }
  });
  return { prices: scope.prices.map(({ id }) => ({ id })) };
}

function create(work: Work, p: Values<typeof createShape>): CreditGrant {
  const customer = work.require("customer", p.customer, "customer");
  const clock = work.clockOf(customer.id);
  const now = work.now(clock);
  const { monetary } = p.amount;
  if (!monetary) {
    throw invalid(
      "Missing required param: amount[monetary].",
      "amount[monetary]",
      "parameter_missing",
    );
  }
  const effective_at = p.effective_at ?? now;
  if (p.expires_at !== undefined && p.expires_at <= Math.max(now, effective_at)) {
    throw invalid("`expires_at` must be in the future and after `effective_at`.", "expires_at");
  }
  checkUnused(work, customer.id);
  const scope = readScope(work, p.applicability_config.scope, "applicability_config[scope]");
  const grant: CreditGrant = {
    id: newId("credgr_test_"),
    object: KIND,
    amount: { monetary, type: "monetary" },
    applicability_config: { scope },
    category: p.category ?? "paid",
    created: now,
    customer: customer.id,
    customer_account: null,
    effective_at,
    expires_at: p.expires_at ?? null,
    livemode: false,
    metadata: mergeMetadata({}, p.metadata),
    name: p.name ?? null,
    priority: p.priority ?? 50,
    test_clock: clock === "" ? null : clock,
    updated: now,
    voided_at: null,
  };
  work.create(KIND, grant, { expired: false }, { clock, event: "billing.credit_grant.created" });
  enter(work, grant, {
    credit: { type: "credits_granted", credits_application_invoice_voided: null },
    amount: monetary.value,
  });
  return grant;
}

function checkUnused(work: Work, customer: string): void {
  const unused = work.store.all(KIND, { customer }).filter((each) =>
    each.voided_at === null && balanceOf(work, each.id) > 0
  );
  if (unused.length < MAX_UNUSED) return;
  throw invalid(`A customer can have at most ${MAX_UNUSED} unused credit grants.`, "customer");
}

/** A grant that is not over. */
function live(work: Work, id: string): CreditGrant {
  const grant = work.require(KIND, id);
  if (grant.voided_at !== null) throw invalid("This credit grant has been voided.");
  if (work.hidden(KIND, id).expired) throw invalid("This credit grant has expired.");
  return grant;
}

const updateShape = { expires_at: unset(time()), metadata: metadata() };

function update(work: Work, p: Values<typeof updateShape>, id: string): CreditGrant {
  const old = live(work, id);
  const now = work.now(old.test_clock ?? "");
  if (p.expires_at && p.expires_at <= now) {
    throw invalid("`expires_at` must be in the future.", "expires_at");
  }
  return work.change(KIND, id, {
    expires_at: p.expires_at === undefined ? old.expires_at : p.expires_at,
    metadata: mergeMetadata(old.metadata, p.metadata),
    updated: now,
  }, UPDATED);
}

function expire(work: Work, id: string): CreditGrant {
  const old = live(work, id);
  const now = work.now(old.test_clock ?? "");
  work.changeHidden(KIND, id, { expired: true });
  const done = work.change(KIND, id, { expires_at: now, updated: now }, UPDATED);
  writeOff(work, done, "credits_expired");
  return done;
}

function voidGrant(work: Work, id: string): CreditGrant {
  const old = live(work, id);
  const isUsed = ledger(work, id).some((each) => each.debit?.type === "credits_applied");
  if (isUsed) {
    throw invalid("You can't void a credit grant that has been applied to an invoice.");
  }
  const now = work.now(old.test_clock ?? "");
  const done = work.change(KIND, id, { updated: now, voided_at: now }, UPDATED);
  writeOff(work, done, "credits_voided");
  return done;
}

const summaryShape = {
  customer: required(str()),
  filter: required(obj({
    applicability_scope: obj(scopeShape),
    credit_grant: str(),
    type: required(oneOf("applicability_scope", "credit_grant")),
  })),
};

function summary(work: Work, p: Values<typeof summaryShape>): CreditSummary {
  const customer = work.require("customer", p.customer, "customer");
  const now = work.now(work.clockOf(customer.id));
  const counted = wanted(work, p).filter((grant) => isUsable(work, grant, now));
  const sums = new Map<string, number>();
  for (const grant of counted) {
    const code = grant.amount.monetary?.currency ?? "usd";
    sums.set(code, (sums.get(code) ?? 0) + balanceOf(work, grant.id));
  }
  return {
    object: "billing.credit_balance_summary",
    balances: [...sums].map(([code, value]) => {
      const balance = { monetary: { currency: code, value }, type: "monetary" as const };
      return { available_balance: balance, ledger_balance: balance };
    }),
    customer: customer.id,
    customer_account: null,
    livemode: false,
  };
}

function wanted(work: Work, { customer, filter }: Values<typeof summaryShape>): CreditGrant[] {
  if (filter.type === "credit_grant") {
    const grant = work.require(KIND, filter.credit_grant ?? "", "filter[credit_grant]");
    if (grant.customer !== customer) {
      throw invalid("The credit grant belongs to another customer.", "filter[credit_grant]");
    }
    return [grant];
  }
  const param = "filter[applicability_scope]";
  if (!filter.applicability_scope) {
    throw invalid(`Missing required param: ${param}.`, param, "parameter_missing");
  }
  const { prices } = readScope(work, filter.applicability_scope, param);
  return work.store.all(KIND, { customer }).filter((grant) => {
    const own = grant.applicability_config.scope.prices;
    return own === undefined || (prices ?? []).some(({ id }) => own.some((each) => each.id === id));
  });
}

const TRANSACTIONS = "/v1/billing/credit_balance_transactions";

export const creditRoutes: Route[] = [
  route("POST", PATH, createShape, create),
  route("POST", `${PATH}/:id`, updateShape, update),
  route("POST", `${PATH}/:id/expire`, {}, (work, _p, id) => expire(work, id)),
  route("POST", `${PATH}/:id/void`, {}, (work, _p, id) => voidGrant(work, id)),
  retrieveRoute(KIND, PATH),
  listRoute(KIND, PATH, { customer: { param: str(), path: "customer" } }),
  route("GET", "/v1/billing/credit_balance_summary", summaryShape, summary),
  retrieveRoute("billing.credit_balance_transaction", TRANSACTIONS),
  route("GET", TRANSACTIONS, { ...pagination, credit_grant: str(), customer: str() }, (work, p) => {
    const grants = work.store.all(KIND, p.customer === undefined ? {} : { customer: p.customer })
      .map(({ id }) => id).filter((id) => p.credit_grant === undefined || id === p.credit_grant);
    return listPage(work, "billing.credit_balance_transaction", TRANSACTIONS, p, {
      anyOf: { credit_grant: grants },
    });
  }),
];
