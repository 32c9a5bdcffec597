import type Stripe from "stripe";
import { stripe } from "../support/stack.ts";
import type { Action } from "./schedule.ts";

export interface Subject {
  userId: string;
  customer: string;
  clock: string;
  goodCard: string;
}

const HOUR = 3_600;

/** Does one action at Stripe, if it fits what is there. Answers whether anything was done. */
export async function act(
  action: Action,
  subject: Subject,
  prices: ReadonlyMap<string, string>,
): Promise<boolean> {
  const { data } = await stripe().subscriptions.list({
    customer: subject.customer,
    status: "all",
    limit: 10,
  });
  const live = data.find(({ status }) => !["canceled", "incomplete_expired"].includes(status));
  if (action === "subscribe_pro" || action === "subscribe_business") {
    if (live) return false;
    const price = prices.get(action === "subscribe_pro" ? "pro_monthly" : "business_monthly") ?? "";
    await stripe().subscriptions.create({ customer: subject.customer, items: [{ price }] });
    return true;
  }
  return live !== undefined && await change(action, subject, live, prices);
}

async function change(
  action: Action,
  subject: Subject,
  live: Stripe.Subscription,
  prices: ReadonlyMap<string, string>,
): Promise<boolean> {
  const item = live.items.data[0];
  if (item === undefined) throw new Error(`${live.id} has no items`);
  switch (action) {
    case "renew":
      return await passTo(subject, item.current_period_end + 2 * HOUR);
    case "fail":
      await payBy(subject, "pm_card_chargeCustomerFail");
      return await passTo(subject, item.current_period_end + 2 * HOUR);
    case "recover":
      return await recover(subject);
    case "refund":
      return await refund(live);
    case "cancel_now":
      await stripe().subscriptions.cancel(live.id);
      return true;
    default: {
      if (live.status !== "active") return false;
      const fields = updateFor(action, live, item, prices);
      if (fields === null) return false;
      await stripe().subscriptions.update(live.id, fields);
      return true;
    }
  }
}

function updateFor(
  action: Action,
  live: Stripe.Subscription,
  item: Stripe.SubscriptionItem,
  prices: ReadonlyMap<string, string>,
): Stripe.SubscriptionUpdateParams | null {
  const moveTo = (key: string): Stripe.SubscriptionUpdateParams | null =>
    prices.get(key) === item.price.id
      ? null
      : { items: [{ id: item.id, price: prices.get(key) ?? "" }] };
  switch (action) {
    case "upgrade":
      return moveTo("business_monthly");
    case "downgrade":
      return moveTo("pro_monthly");
    case "cancel_at_period_end":
      return { cancel_at_period_end: true };
    case "cancel_at":
      return { cancel_at: item.current_period_end - 24 * HOUR };
    case "resume":
      if (live.cancel_at_period_end) return { cancel_at_period_end: false };
      return live.cancel_at === null ? null : { cancel_at: "" };
    default:
      return null;
  }
}

async function payBy({ customer }: Subject, card: string): Promise<void> {
  const { id } = await stripe().paymentMethods.attach(card, { customer });
  await stripe().customers.update(customer, { invoice_settings: { default_payment_method: id } });
}

async function recover(subject: Subject): Promise<boolean> {
  const { customer, goodCard } = subject;
  await stripe().customers.update(customer, {
    invoice_settings: { default_payment_method: goodCard },
  });
  const { data } = await stripe().invoices.list({ customer, status: "open", limit: 10 });
  for (const invoice of data) {
    await stripe().invoices.pay(invoice.id ?? "", { payment_method: goodCard });
  }
  return data.length > 0;
}

async function refund(live: Stripe.Subscription): Promise<boolean> {
  const { data: invoices } = await stripe().invoices.list({
    subscription: live.id,
    status: "paid",
    limit: 1,
  });
  const invoice = invoices[0]?.id;
  if (invoice === undefined || invoices[0]?.amount_paid === 0) return false;
  const { data: payments } = await stripe().invoicePayments.list({ invoice, limit: 1 });
  const intent = payments[0]?.payment.payment_intent;
  if (!intent) return false;
  const payment_intent = typeof intent === "string" ? intent : intent.id;
  const { data: before } = await stripe().refunds.list({ payment_intent });
  if (before.length > 0) return false;
  await stripe().refunds.create({ payment_intent });
  return true;
}

async function passTo({ clock }: Subject, to: number): Promise<boolean> {
  await stripe().testHelpers.testClocks.advance(clock, { frozen_time: to });
  for (let turn = 0; turn < 400; turn++) {
    const { status } = await stripe().testHelpers.testClocks.retrieve(clock);
    if (status === "ready") return true;
    if (status !== "advancing") throw new Error(`clock ${clock} is ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`clock ${clock} does not arrive`);
}
