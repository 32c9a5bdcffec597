/**
 * Usage alerts: once for each customer whose usage since the alert was made reaches its threshold.
 * https://docs.stripe.com/billing/subscriptions/usage-based/alerts
 */
import type { Alert, Meter } from "../engine/types.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { aggregate } from "./usage.ts";

/** Called after each event of the meter. Alerts do not know test clocks, as at Stripe. */
export function watch(work: Work, meter: Meter, customer: string): void {
  if (work.clockOf(customer) !== "") return;
  for (const alert of work.store.all("billing.alert", { status: "active" })) {
    const threshold = alert.usage_threshold;
    if (threshold?.meter !== meter.id || !concerns(alert, customer)) continue;
    const { triggered, after } = work.hidden("billing.alert", alert.id);
    if (triggered.includes(customer)) continue;
    const value = aggregate(work.store, meter, customer, { start: 0, end: Infinity }, after) ?? 0;
    if (value < threshold.gte) continue;
    work.changeHidden("billing.alert", alert.id, { triggered: [...triggered, customer] });
    work.emit("billing.alert.triggered", {
      object: "billing.alert_triggered",
      alert,
      created: worldNow(work.store),
      customer,
      livemode: false,
      value,
    });
  }
}

function concerns(alert: Alert, customer: string): boolean {
  const [filter] = alert.usage_threshold?.filters ?? [];
  return !filter || filter.customer === customer;
}

/** The last event there is: an alert counts from the next one on. */
export function lastEvent(work: Work): number {
  return Number(work.store.sql("select max(seq) as n from meter_events").get()?.n ?? 0);
}
