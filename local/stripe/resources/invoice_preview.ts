/**
 * `POST /v1/invoices/create_preview`: what an update would bill. The update is really made, inside a savepoint that is
 * rolled back, with its events left unwritten: a preview cannot differ from what the same request bills, when it gives
 * the same `proration_date`. If the update bills at once (`always_invoice`, another interval), that invoice is the
 * answer; else the next renewal's, with the prorations it will take along.
 */
import { invalid, StripeError } from "../engine/errors.ts";
import {
  bool,
  currency,
  mergeMetadata,
  obj,
  oneOf,
  str,
  time,
  unset,
  type Values,
  wordOr,
} from "../engine/params.ts";
import { listOf } from "../engine/answer.ts";
import { type Route, route } from "../engine/route.ts";
import { type Invoice, type InvoiceLine, newId, type Subscription } from "../engine/types.ts";
import { Work } from "../engine/work.ts";
import { createInvoice, takePendingItems, totals } from "../billing/drafts.ts";
import { periodEnd } from "../billing/due.ts";
import { finalize } from "../billing/invoices.ts";
import { endAsPlanned, renew } from "../billing/lifecycle.ts";
import { stepSchedule } from "../billing/schedules.ts";
import { isEnded } from "../billing/status.ts";
import { createSubscription } from "../billing/subscriptions.ts";
import { checkTaxReady, taxSwitch } from "../billing/tax.ts";
import { discounts, proration, updateShape } from "./subscription_fields.ts";
import { cancel, update } from "./subscriptions.ts";
import { automatic_tax } from "./tax.ts";

const shape = {
  automatic_tax,
  currency: currency(),
  customer: str(),
  discounts: unset(discounts),
  preview_mode: oneOf("next", "recurring"),
  schedule: str(),
  subscription: str(),
  subscription_details: obj({
    billing_cycle_anchor: updateShape.billing_cycle_anchor,
    cancel_at: updateShape.cancel_at,
    cancel_at_period_end: bool(),
    cancel_now: bool(),
    items: updateShape.items,
    proration_behavior: proration,
    proration_date: time(),
    trial_end: wordOr("now", time()),
  }),
};
type Preview = Values<typeof shape>;
type Details = NonNullable<Preview["subscription_details"]>;

/** Works like `Work` and says nothing; `at` is a moment that has not come yet. */
class Rehearsal extends Work {
  at: number | null = null;

  override now(clock = ""): number {
    return this.at ?? super.now(clock);
  }

  override emit(): void {}
}

function preview(work: Work, given: Preview): Invoice {
  const p = bySchedule(work, given);
  if (p.subscription === undefined && p.customer === undefined) {
    throw invalid(
      "You must provide one of: customer, customer_details, schedule, or subscription.",
      "customer",
      "parameter_missing",
    );
  }
  checkDetails(p);
  return work.store.rehearse(() => {
    const rehearsal = new Rehearsal(work.store, work.settings, work.origin);
    return p.subscription === undefined && p.subscription_details?.items
      ? ofNewSubscription(rehearsal, p, p.subscription_details)
      : ofSubscription(rehearsal, p);
  });
}

/** `schedule` stands for its subscription. */
function bySchedule(work: Work, p: Preview): Preview {
  if (p.schedule === undefined) return p;
  if (p.subscription_details) {
    throw invalid(
      "You may only specify one of these parameters: schedule, subscription_details.",
      "schedule",
      "parameters_exclusive",
    );
  }
  const schedule = work.require("subscription_schedule", p.schedule, "schedule");
  return { ...p, customer: schedule.customer, subscription: schedule.subscription ?? undefined };
}

function checkDetails({ subscription, subscription_details: details }: Preview): void {
  if (!details) return;
  const at = "subscription_details[proration_date]";
  if (details.proration_date === undefined) return;
  if (details.proration_behavior === "none") {
    throw invalid(
      "`subscription_details[proration_date]` cannot be given when `proration_behavior` is `none`.",
      at,
    );
  }
  const changes = details.items ?? details.trial_end ?? details.billing_cycle_anchor ??
    details.cancel_now;
  if (subscription === undefined || changes === undefined) {
    throw invalid(
      "When passing `subscription_details[proration_date]`, you must also pass `subscription` and one of " +
        "`subscription_details[items]` or `subscription_details[trial_end]`.",
      at,
    );
  }
}

/** The one asked for, or the customer's subscription that bills next. */
function wanted(work: Work, p: Preview): Subscription | null {
  if (p.subscription !== undefined) {
    const sub = work.require("subscription", p.subscription, "subscription");
    if (p.customer !== undefined && p.customer !== sub.customer) {
      throw invalid(`The subscription ${sub.id} does not belong to the customer.`, "subscription");
    }
    return isEnded(sub) ? null : sub;
  }
  const customer = work.require("customer", p.customer ?? "", "customer");
  const live = work.store.all("subscription", { customer: customer.id })
    .filter((sub) => !isEnded(sub) && !endsFirst(sub) && sub.status !== "paused");
  return live.sort((a, b) => nextBilling(a) - nextBilling(b))[0] ?? null;
}

const nextBilling = (sub: Subscription) =>
  sub.status === "trialing" && sub.trial_end !== null ? sub.trial_end : periodEnd(sub);
const endsFirst = (sub: Subscription) =>
  sub.cancel_at_period_end || (sub.cancel_at !== null && sub.cancel_at <= nextBilling(sub));

function ofSubscription(work: Rehearsal, p: Preview): Invoice {
  const sub = wanted(work, p);
  const customer = sub?.customer ?? p.customer ??
    (p.subscription === undefined ? "" : work.require("subscription", p.subscription).customer);
  if (!sub) return ofPendingItems(work, p, customer);
  const { cancel_now, ...details } = p.subscription_details ?? {};
  // Not by the update: a preview without a place says `requires_location_inputs`, and is no error.
  const tax = taxOf(work, p);
  if (tax !== undefined) {
    work.change("subscription", sub.id, { automatic_tax: taxSwitch(tax) });
  }
  if (cancel_now) {
    cancel(work, { invoice_now: true, prorate: details.proration_behavior !== "none" }, sub.id);
  } else {
    // `default_incomplete`: the invoice is made and nobody is charged for it.
    const change = { ...details, discounts: p.discounts };
    update(work, { ...change, payment_behavior: "default_incomplete" }, sub.id);
  }
  const after = work.require("subscription", sub.id);
  if (after.latest_invoice !== null && after.latest_invoice !== sub.latest_invoice) {
    return shown(work, after.latest_invoice, p);
  }
  if (!isEnded(after) && endsFirst(after)) return ofLastUsage(work, after, p);
  if (isEnded(after) || after.status === "paused") return ofPendingItems(work, p, customer);
  work.at = nextBilling(after);
  const next = atPhase(work, after, work.at);
  // A phase in mid-period that bills at once, or a schedule that ends it, comes before the renewal.
  if (isEnded(next)) return ofPendingItems(work, p, customer);
  if (next.latest_invoice !== null && next.latest_invoice !== after.latest_invoice) {
    return shown(work, next.latest_invoice, p);
  }
  return ofRenewal(work, next, p);
}

/** A subscription that ends before it renews has one more invoice if it is billed by usage. */
function ofLastUsage(work: Rehearsal, sub: Subscription, p: Preview): Invoice {
  work.at = Math.min(nextBilling(sub), sub.cancel_at ?? Infinity);
  endAsPlanned(work, sub, work.at);
  const { latest_invoice } = work.require("subscription", sub.id);
  return latest_invoice === null || latest_invoice === sub.latest_invoice
    ? ofPendingItems(work, p, sub.customer)
    : shown(work, latest_invoice, p);
}

/** The next invoice that time makes: a renewal that bills nothing makes none, and the one after it counts. */
function ofRenewal(work: Rehearsal, sub: Subscription, p: Preview): Invoice {
  let next = sub;
  for (let steps = 0; steps < 13; steps += 1) {
    work.at = nextBilling(next);
    const invoice = renew(work, next, work.at);
    if (invoice) return shown(work, invoice.id, p);
    next = work.require("subscription", sub.id);
  }
  return ofPendingItems(work, p, sub.customer);
}

/** The subscription after the phases its schedule goes through until `until`. */
function atPhase(work: Rehearsal, sub: Subscription, until: number): Subscription {
  for (let steps = 0; steps < 10; steps += 1) {
    const now = work.require("subscription", sub.id);
    const schedule = now.schedule ? work.find("subscription_schedule", now.schedule) : null;
    const end = schedule?.current_phase?.end_date;
    if (!schedule || end === undefined || end > until) return now;
    work.at = end;
    stepSchedule(work, schedule.id);
    const after = work.require("subscription", sub.id);
    if (after.latest_invoice !== sub.latest_invoice || isEnded(after)) return after;
  }
  return work.require("subscription", sub.id);
}

function ofNewSubscription(work: Rehearsal, p: Preview, details: Details): Invoice {
  const customer = p.customer ?? "";
  const now = work.now(work.clockOf(customer));
  const items = (details.items ?? []).map((item, i) => {
    const at = `subscription_details[items][${i}][price]`;
    if (item.price === undefined) {
      throw invalid(`Missing required param: ${at}.`, at, "parameter_missing");
    }
    return {
      price: item.price,
      quantity: item.quantity,
      metadata: mergeMetadata({}, item.metadata),
    };
  });
  const sub = createSubscription(work, {
    automatic_tax: taxOf(work, p),
    customer,
    items,
    currency: p.currency,
    discounts: p.discounts ?? [],
    payment_behavior: "default_incomplete",
    trial_end: details.trial_end === undefined || details.trial_end === "now"
      ? null
      : details.trial_end,
    cancel_at: typeof details.cancel_at === "number" ? details.cancel_at : null,
  });
  if (sub.latest_invoice === null) return ofRenewal(work, sub, p);
  work.at = now;
  return shown(work, sub.latest_invoice, p);
}

/** What the request says about automatic tax; settings it needs are checked. */
function taxOf(work: Rehearsal, { automatic_tax: tax }: Preview): boolean | undefined {
  if (tax?.enabled) checkTaxReady(work, [], "");
  return tax?.enabled;
}

function ofPendingItems(work: Rehearsal, p: Preview, customerId: string): Invoice {
  const customer = work.require("customer", customerId, "customer");
  const pending = work.store.all("invoiceitem", { customer: customer.id, invoice: null });
  const [first] = pending;
  if (!first) {
    throw new StripeError(404, {
      type: "invalid_request_error",
      code: "invoice_upcoming_none",
      message: `No upcoming invoices for customer: ${customer.id}`,
    });
  }
  const draft = createInvoice(work, {
    automatic_tax: taxOf(work, p),
    customer: customer.id,
    currency: first.currency,
    reason: "upcoming",
    lines: [],
    auto_advance: true,
  });
  const owner = pending.find((item) => item.parent?.subscription_details)?.parent;
  takePendingItems(work, draft, owner?.subscription_details?.subscription ?? null);
  return shown(work, draft.id, {});
}

/** The invoice as a preview shows it: finalized for its amounts, then without what only a real one has. */
function shown(work: Work, id: string, p: Preview): Invoice {
  const made = work.require("invoice", id);
  if (made.status === "draft" && p.preview_mode === "recurring") {
    const lines = made.lines.data.filter((line) =>
      line.parent?.type === "subscription_item_details"
    );
    work.change("invoice", id, totals(work, made, lines));
  }
  const wasTaxed = made.automatic_tax.status === "requires_location_inputs";
  const finalized = made.status === "draft" ? finalize(work, id, true) : made;
  const invoice = wasTaxed ? { ...finalized, automatic_tax: made.automatic_tax } : finalized;
  const upcoming = `upcoming_${newId("in_")}`;
  const line = (each: InvoiceLine): InvoiceLine => ({
    ...each,
    id: newId("il_tmp_"),
    invoice: upcoming,
    pretax_credit_amounts: (each.pretax_credit_amounts ?? []).map(untransacted),
  });
  const sub = invoice.parent?.subscription_details?.subscription;
  const url = `/v1/invoices/upcoming/lines?customer=${invoice.customer}`;
  return {
    ...invoice,
    id: upcoming,
    amount_paid: 0,
    amount_remaining: invoice.amount_due,
    attempt_count: 0,
    attempted: false,
    auto_advance: true,
    automatically_finalizes_at: null,
    billing_reason: "upcoming",
    effective_at: null,
    hosted_invoice_url: null,
    lines: listOf(invoice.lines.data.map(line), sub ? `${url}&subscription=${sub}` : url),
    next_payment_attempt: invoice.collection_method === "charge_automatically"
      ? invoice.created + 3600
      : null,
    number: null,
    status: "draft",
    status_transitions: {
      finalized_at: null,
      marked_uncollectible_at: null,
      paid_at: null,
      voided_at: null,
    },
    total_pretax_credit_amounts: (invoice.total_pretax_credit_amounts ?? []).map(untransacted),
  };
}

type Pretax = NonNullable<Invoice["total_pretax_credit_amounts"]>[number];

/** Credits that a preview would use; nothing has been taken from them. */
const untransacted = (each: Pretax): Pretax =>
  each.type === "discount" ? each : { ...each, credit_balance_transaction: null };

export const previewRoutes: Route[] = [
  route("POST", "/v1/invoices/create_preview", shape, preview),
];
