import type Stripe from "stripe";
import { type Fact, type MoneyObjects, refOf, toFacts } from "./facts.ts";
import { amount, text, time, timeOrNull } from "./fields.ts";

/** Everything of Stripe's about one purchase. `session` is null for what was never opened. */
export interface PurchaseObjects extends MoneyObjects {
  session: Stripe.Checkout.Session | null;
  subscription: Stripe.Subscription | null;
  /** Of the subscription, newest first. */
  invoices: Stripe.Invoice[];
}

/** What the database keeps of a purchase, whole; amounts in minor units, times ISO 8601 in UTC. */
export interface PurchaseSnapshot {
  session_id: string | null;
  session_status: string | null;
  payment_status: string | null;
  /** Who paid, how much and in what, to be compared with the row. */
  customer: string | null;
  amount_minor: number | null;
  currency: string | null;
  payment_intent_id: string | null;
  charge_id: string | null;
  receipt_url: string | null;
  paid_at: string | null;
  subscription: LicenceSubscription | null;
  /** The month that waits to be paid, the newest if there are more. */
  open_invoice: OpenInvoice | null;
  charges: ChargeSnapshot[];
  refunds: { id: string; charge_id: string | null; amount_minor: number; status: string }[];
  disputes: DisputeSnapshot[];
  facts: Fact[];
}

/** The subscription behind a monthly licence. */
export interface LicenceSubscription {
  id: string;
  status: string;
  /** What a month costs by its present price, before credit of the customer's; 0 for a price that is no amount. */
  amount_minor: number;
  current_period_end: string;
  cancel_at_period_end: boolean;
  cancel_at: string | null;
}

/** An invoice that can be paid on Stripe's page. */
export interface OpenInvoice {
  id: string;
  url: string;
  amount_minor: number;
}

export interface ChargeSnapshot {
  id: string;
  amount_minor: number;
  currency: string;
  status: string;
  created: string;
}

export interface DisputeSnapshot {
  id: string;
  charge_id: string | null;
  status: string;
  amount_minor: number;
  currency: string;
  reason: string | null;
  evidence_due_by: string | null;
}

/**
 * Translates what Stripe has of one purchase (API 2026-10-28.endive). It decides nothing: whether somebody has a licence is
 * the database's to say. Throws `stripe_shape_unknown` when a field that decides money or access is missing.
 */
export function toPurchaseSnapshot(objects: PurchaseObjects): PurchaseSnapshot {
  const { session, subscription, disputes, refunds } = objects;
  const charges = objects.charges.toSorted((a, b) => a.created - b.created);
  const paid = charges.findLast(({ status }) => status === "succeeded") ?? null;
  const first = charges.find(({ status }) => status === "succeeded") ?? null;
  return {
    session_id: session?.id ?? null,
    session_status: session?.status ?? null,
    payment_status: session?.payment_status ?? null,
    customer: refOf(session?.customer),
    amount_minor: session?.amount_total ?? null,
    currency: session?.currency ?? null,
    payment_intent_id: refOf(session?.payment_intent) ?? refOf(first?.payment_intent),
    charge_id: paid?.id ?? null,
    receipt_url: paid?.receipt_url ?? null,
    paid_at: first === null ? null : time(first.created, "charge.created"),
    subscription: subscription === null ? null : toLicenceSubscription(subscription),
    open_invoice: objects.invoices.map(toOpenInvoice).find((invoice) => invoice !== null) ?? null,
    charges: charges.map((charge) => ({
      id: text(charge.id, "charge.id"),
      amount_minor: amount(charge.amount, "charge.amount"),
      currency: text(charge.currency, "charge.currency"),
      status: text(charge.status, "charge.status"),
      created: time(charge.created, "charge.created"),
    })),
    refunds: refunds.map((refund) => ({
      id: text(refund.id, "refund.id"),
      charge_id: refOf(refund.charge),
      amount_minor: amount(refund.amount, "refund.amount"),
      status: text(refund.status, "refund.status"),
    })),
    disputes: disputes.map(toDispute),
    facts: toFacts(objects),
  };
}

function toOpenInvoice(invoice: Stripe.Invoice): OpenInvoice | null {
  const { id, status, hosted_invoice_url: url, amount_remaining } = invoice;
  if (status !== "open" || !(amount_remaining > 0)) return null;
  return {
    id: text(id, "invoice.id"),
    url: text(url, "invoice.hosted_invoice_url"),
    amount_minor: amount(amount_remaining, "invoice.amount_remaining"),
  };
}

function toDispute(dispute: Stripe.Dispute): DisputeSnapshot {
  return {
    id: text(dispute.id, "dispute.id"),
    charge_id: refOf(dispute.charge),
    status: text(dispute.status, "dispute.status"),
    amount_minor: amount(dispute.amount, "dispute.amount"),
    currency: text(dispute.currency, "dispute.currency"),
    reason: dispute.reason ?? null,
    evidence_due_by: timeOrNull(
      dispute.evidence_details?.due_by,
      "dispute.evidence_details.due_by",
    ),
  };
}

function toLicenceSubscription(subscription: Stripe.Subscription): LicenceSubscription {
  const items = subscription.items?.data ?? [];
  const item = items[0];
  return {
    id: text(subscription.id, "subscription.id"),
    status: text(subscription.status, "subscription.status"),
    amount_minor: items.reduce(
      (sum, { price, quantity }) => sum + (price?.unit_amount ?? 0) * (quantity ?? 1),
      0,
    ),
    current_period_end: time(item?.current_period_end, "items.current_period_end"),
    cancel_at_period_end: subscription.cancel_at_period_end === true,
    cancel_at: timeOrNull(subscription.cancel_at, "cancel_at"),
  };
}

export function namesPurchase({ metadata }: Pick<Stripe.Subscription, "metadata">): boolean {
  return metadata?.["purchase_id"] !== undefined;
}

/** Whether a subscription is a monthly licence: it names a purchase, and that is one of this customer's. */
export function isLicence(
  { metadata }: Pick<Stripe.Subscription, "metadata">,
  purchases: ReadonlySet<string>,
): boolean {
  const named = metadata?.["purchase_id"];
  return named !== undefined && purchases.has(named);
}

/** Basis points to the percentage that Stripe takes of each invoice of a subscription: two places, as Stripe allows. */
export function feePercent(bps: number): number {
  return bps / 100;
}

/** What a purchase is sold by: terms of our own row and nothing of a request's. */
export interface PurchaseOffer {
  purchaseId: string;
  listingId: string;
  title: string;
  kind: string;
  amountMinor: number;
  currency: string;
  feeMinor: number;
  feeBps: number;
  /** The connected account that gets the money; null: the house sells. */
  destination: string | null;
}

/** The parameters of a Checkout session that follow from an offer; equal offers make equal parameters. */
export function offerParams(offer: PurchaseOffer): Stripe.Checkout.SessionCreateParams {
  const monthly = offer.kind === "monthly";
  const metadata = { purchase_id: offer.purchaseId };
  return {
    mode: monthly ? "subscription" : "payment",
    // All that the row holds: should a backup bring back a day before it, the sale can be told from Stripe.
    metadata: {
      ...metadata,
      listing_id: offer.listingId,
      amount_minor: String(offer.amountMinor),
      fee_bps: String(offer.feeBps),
      fee_minor: String(offer.feeMinor),
    },
    line_items: [{
      quantity: 1,
      price_data: {
        currency: offer.currency,
        unit_amount: offer.amountMinor,
        product_data: { name: offer.title },
        ...(monthly && { recurring: { interval: "month" } }),
      },
    }],
    ...(monthly
      ? { subscription_data: { metadata, ...subscriptionShare(offer) } }
      : { payment_intent_data: { metadata, ...paymentShare(offer) } }),
  };
}

/** The group is found again by `transfers.list`, with what is paid to the creator after a dispute was won. */
function paymentShare(offer: PurchaseOffer) {
  if (offer.destination === null) return {};
  return {
    transfer_group: offer.purchaseId,
    transfer_data: { destination: offer.destination },
    // Stripe refuses a fee of zero.
    ...(offer.feeMinor > 0 && { application_fee_amount: offer.feeMinor }),
  };
}

function subscriptionShare(offer: PurchaseOffer) {
  if (offer.destination === null) return {};
  return {
    transfer_data: { destination: offer.destination },
    ...(offer.feeBps > 0 && { application_fee_percent: feePercent(offer.feeBps) }),
  };
}

/** What a Checkout session tells of the sale it was made for. */
export interface LostSale {
  purchase: string;
  session: string;
  status: string | null;
  buyer: string;
  listing: string;
  kind: string;
  amountMinor: number;
  currency: string;
  feeBps: number;
  feeMinor: number;
}

/** The sale of a listing that a session is for; null for a plan's, for credit, and for one that names no listing. */
export function lostSale(session: Stripe.Checkout.Session): LostSale | null {
  const { purchase_id, listing_id, amount_minor, fee_bps, fee_minor } = session.metadata ?? {};
  const { id, status, mode, currency, client_reference_id: buyer } = session;
  if (!purchase_id || !listing_id || !buyer || !currency) return null;
  return {
    purchase: purchase_id,
    session: id,
    status,
    buyer,
    listing: listing_id,
    kind: mode === "subscription" ? "monthly" : "one_time",
    amountMinor: Number(amount_minor),
    currency,
    feeBps: Number(fee_bps),
    feeMinor: Number(fee_minor),
  };
}
