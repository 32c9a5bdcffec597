/** Invoices, invoice items, invoice lines and invoice payments. */
import { arrayPage, pagination } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import {
  bool,
  currency,
  given,
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
import type { Invoice, InvoiceItem } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { redeem } from "../billing/discounts.ts";
import { createInvoice, takePendingItems, totals } from "../billing/drafts.ts";
import { attemptPayment, finalize, markPaid, refusal, voidInvoice } from "../billing/invoices.ts";
import { amountFor } from "../billing/amounts.ts";
import { createInvoiceItem, lineOf, productName } from "../billing/lines.ts";
import { resolveMethod } from "../billing/methods.ts";
import { checkTaxable, invoiceTaxSwitch } from "../billing/tax.ts";
import { discounts } from "./subscription_fields.ts";
import { automatic_tax } from "./tax.ts";

const fields = {
  automatic_tax,
  auto_advance: bool(),
  collection_method: oneOf("charge_automatically", "send_invoice"),
  days_until_due: int(0),
  default_payment_method: unset(str()),
  description: unset(str(1500)),
  footer: unset(str()),
  metadata: metadata(),
};
const createShape = {
  ...fields,
  discounts: unset(discounts),
  currency: currency(),
  customer: required(str()),
  pending_invoice_items_behavior: oneOf("exclude", "include"),
  subscription: str(),
};

function create(work: Work, p: Values<typeof createShape>): Invoice {
  const customer = work.require("customer", p.customer, "customer");
  if (p.subscription !== undefined) work.require("subscription", p.subscription, "subscription");
  if (p.collection_method === "send_invoice" && p.days_until_due === undefined) {
    throw invalid("Missing required param: days_until_due.", "days_until_due", "parameter_missing");
  }
  if (p.automatic_tax?.enabled) {
    checkTaxable(work, customer.id, p.default_payment_method ?? null, [], "");
  }
  const pending = work.store.all("invoiceitem", { customer: customer.id, invoice: null });
  const now = work.now(work.clockOf(customer.id));
  const invoice = createInvoice(work, {
    automatic_tax: p.automatic_tax?.enabled,
    customer: customer.id,
    currency: p.currency ?? pending[0]?.currency ?? customer.currency ?? "usd",
    reason: "manual",
    subscription: p.subscription,
    lines: [],
    auto_advance: p.auto_advance ?? false,
    finalizes_at: now + 3600,
    collection_method: p.collection_method,
    days_until_due: p.days_until_due,
    default_payment_method: p.default_payment_method,
    description: p.description,
    discounts: p.discounts === undefined
      ? undefined
      : (p.discounts ?? []).map((each, i) =>
        redeem(work, each, { customer: customer.id }, `discounts[${i}]`).id
      ),
    footer: p.footer,
    metadata: mergeMetadata({}, p.metadata),
  });
  return p.pending_invoice_items_behavior === "include"
    ? takePendingItems(work, invoice, p.subscription ?? null)
    : invoice;
}

function update(work: Work, p: Values<typeof fields>, id: string): Invoice {
  const old = work.require("invoice", id);
  const isDraft = old.status === "draft";
  const locked = p.automatic_tax ?? p.collection_method ?? p.days_until_due ?? p.description ??
    p.footer;
  if (!isDraft && locked !== undefined) {
    throw invalid(
      "Finalized invoices can't be updated in this way",
      undefined,
      "invoice_not_editable",
    );
  }
  const auto = given(p.auto_advance, old.auto_advance ?? false);
  const now = work.now(old.test_clock ?? "");
  return work.change("invoice", id, {
    ...(p.automatic_tax ? switchTax(work, old, p.automatic_tax.enabled) : {}),
    auto_advance: auto,
    automatically_finalizes_at: isDraft && auto
      ? old.automatically_finalizes_at ?? now + 3600
      : null,
    collection_method: given(p.collection_method, old.collection_method),
    default_payment_method: given(p.default_payment_method, old.default_payment_method),
    description: given(p.description, old.description),
    due_date: p.days_until_due === undefined ? old.due_date : now + p.days_until_due * 86_400,
    footer: given(p.footer, old.footer),
    metadata: mergeMetadata(old.metadata, p.metadata),
  }, "invoice.updated");
}

function switchTax(work: Work, old: Invoice, enabled: boolean): Partial<Invoice> {
  if (enabled) checkTaxable(work, old.customer ?? "", old.default_payment_method, [], "");
  const switched = { ...old, automatic_tax: invoiceTaxSwitch(enabled) };
  return totals(work, switched, old.lines.data);
}

const payShape = { off_session: bool(), paid_out_of_band: bool(), payment_method: str() };

function pay(work: Work, p: Values<typeof payShape>, id: string): Invoice {
  const found = work.require("invoice", id);
  if (found.status === "draft") finalize(work, id);
  const invoice = work.require("invoice", id);
  if (invoice.status === "paid") {
    if (found.status === "draft") return invoice;
    throw invalid("Invoice is already paid");
  }
  if (invoice.status === "void") throw invalid("This invoice is voided and cannot be paid.");
  if (p.paid_out_of_band) return markPaid(work, invoice, null, false, true);
  const method = p.payment_method === undefined
    ? null
    : resolveMethod(work, p.payment_method, "payment_method");
  if (method && method.customer !== null && method.customer !== invoice.customer) {
    throw invalid(
      "The payment method does not belong to the invoice's customer.",
      "payment_method",
    );
  }
  const outcome = attemptPayment(work, id, { method });
  return outcome === "paid" ? work.require("invoice", id) : refusal(work, id, outcome);
}

const itemShape = {
  amount: int(),
  currency: currency(),
  customer: required(str()),
  description: unset(str()),
  invoice: str(),
  metadata: metadata(),
  period: obj({ start: required(time()), end: required(time()) }),
  pricing: obj({ price: str() }),
  quantity: int(0),
  subscription: str(),
};

function createItem(work: Work, p: Values<typeof itemShape>): InvoiceItem {
  const customer = work.require("customer", p.customer, "customer");
  const price = p.pricing?.price === undefined
    ? null
    : work.require("price", p.pricing.price, "pricing[price]");
  if (p.subscription !== undefined) work.require("subscription", p.subscription, "subscription");
  const draft = p.invoice === undefined ? null : work.require("invoice", p.invoice, "invoice");
  if (draft && draft.status !== "draft") {
    throw invalid("This invoice is no longer editable", "invoice", "invoice_not_editable");
  }
  const amount = p.amount ??
    (price ? amountFor(work, price, p.quantity ?? 1, p.currency ?? price.currency) : undefined);
  if (amount === undefined) {
    throw invalid("Missing required param: amount.", "amount", "parameter_missing");
  }
  const item = createInvoiceItem(work, {
    customer: customer.id,
    amount,
    currency: p.currency ?? price?.currency ?? draft?.currency ?? customer.currency ?? "usd",
    description: p.description ?? (price ? productName(work, price) : null),
    invoice: draft?.id,
    metadata: mergeMetadata({}, p.metadata),
    period: p.period,
    price,
    quantity: p.quantity,
    subscription: p.subscription,
  });
  if (draft) {
    const lines = [...draft.lines.data, lineOf(item)];
    work.change("invoice", draft.id, totals(work, draft, lines), "invoice.updated");
  }
  return item;
}

function deleteItem(work: Work, id: string) {
  const item = work.require("invoiceitem", id);
  const invoice = item.invoice ? work.require("invoice", item.invoice) : null;
  if (invoice && invoice.status !== "draft") {
    throw invalid(
      "This invoice item is attached to a finalized invoice and cannot be deleted.",
      "id",
    );
  }
  if (invoice) {
    const lines = invoice.lines.data.filter((line) =>
      line.parent?.invoice_item_details?.invoice_item !== id
    );
    work.change("invoice", invoice.id, totals(work, invoice, lines), "invoice.updated");
  }
  return work.remove("invoiceitem", id, "invoiceitem.deleted");
}

export const invoiceRoutes: Route[] = [
  route("POST", "/v1/invoices", createShape, create),
  route("POST", "/v1/invoices/:id", fields, update),
  route("POST", "/v1/invoices/:id/finalize", { auto_advance: bool() }, (work, p, id) => {
    if (p.auto_advance !== undefined) work.change("invoice", id, { auto_advance: p.auto_advance });
    return finalize(work, id);
  }),
  route("POST", "/v1/invoices/:id/pay", payShape, pay),
  route("POST", "/v1/invoices/:id/send", {}, (work, _p, id) => {
    if (work.require("invoice", id).status === "draft") finalize(work, id);
    const sent = work.require("invoice", id);
    work.emit("invoice.sent", sent);
    return sent;
  }),
  route("POST", "/v1/invoices/:id/void", {}, (work, _p, id) => voidInvoice(work, id)),
  route("POST", "/v1/invoices/:id/mark_uncollectible", {}, (work, _p, id) => {
    const invoice = work.require("invoice", id);
    if (invoice.status !== "open") {
      throw invalid(
        `You can only mark open invoices as uncollectible. This invoice is ${invoice.status}.`,
      );
    }
    const marked_uncollectible_at = work.now(invoice.test_clock ?? "");
    return work.change("invoice", id, {
      auto_advance: false,
      next_payment_attempt: null,
      status: "uncollectible",
      status_transitions: { ...invoice.status_transitions, marked_uncollectible_at },
    }, "invoice.marked_uncollectible");
  }),
  route("DELETE", "/v1/invoices/:id", {}, (work, _p, id) => {
    const invoice = work.require("invoice", id);
    if (invoice.status !== "draft") {
      throw invalid("You can only delete draft invoices.", undefined, "invoice_not_editable");
    }
    for (const item of work.store.all("invoiceitem", { invoice: id })) {
      work.change("invoiceitem", item.id, { invoice: null });
    }
    return work.remove("invoice", id, "invoice.deleted");
  }),
  retrieveRoute("invoice", "/v1/invoices"),
  listRoute("invoice", "/v1/invoices", {
    collection_method: { param: fields.collection_method, path: "collection_method" },
    customer: { param: str(), path: "customer" },
    status: { param: oneOf("draft", "open", "paid", "uncollectible", "void"), path: "status" },
    subscription: { param: str(), path: "parent.subscription_details.subscription" },
  }),
  route(
    "GET",
    "/v1/invoices/:id/lines",
    {
      limit: pagination.limit,
      starting_after: str(),
      ending_before: str(),
    },
    (work, p, id) =>
      arrayPage(work.require("invoice", id).lines.data, `/v1/invoices/${id}/lines`, p),
  ),

  route("POST", "/v1/invoiceitems", itemShape, createItem),
  route("DELETE", "/v1/invoiceitems/:id", {}, (work, _p, id) => deleteItem(work, id)),
  retrieveRoute("invoiceitem", "/v1/invoiceitems"),
  listRoute("invoiceitem", "/v1/invoiceitems", {
    customer: { param: str(), path: "customer" },
    invoice: { param: str(), path: "invoice" },
  }),
  retrieveRoute("invoice_payment", "/v1/invoice_payments"),
  listRoute("invoice_payment", "/v1/invoice_payments", {
    invoice: { param: str(), path: "invoice" },
    status: { param: oneOf("canceled", "open", "paid"), path: "status" },
  }),
];
