/** The truth about usage, past every fault: what the meters took from a customer and what they say. */
import { isMetered } from "../billing/amounts.ts";
import { balanceOf } from "../billing/credits.ts";
import { usageOf, usageStart } from "../billing/metered.ts";
import { aggregate } from "../billing/usage.ts";
import type { Work } from "../engine/work.ts";

export function usageState(work: Work, customer: string) {
  const { store } = work;
  return {
    meters: store.all("billing.meter", {}).map((meter) => ({
      meter: meter.id,
      event_name: meter.event_name,
      /** Of all time, by the meter's own formula; null when nothing was used. */
      aggregated_value: aggregate(store, meter, customer, { start: 0, end: Infinity }),
      events: store.sql(
        "select identifier, value, at as timestamp, received, cancelled from meter_events " +
          "where meter = ? and customer = ? order by seq",
      ).all(meter.id, customer).map((row) => ({ ...row, cancelled: row.cancelled === 1 })),
    })),
    metered_items: store.all("subscription", { customer }).flatMap((sub) =>
      sub.items.data.filter((item) => isMetered(item.price)).map((item) => {
        const period = { start: usageStart(work, item, sub.id), end: item.current_period_end };
        const usage = usageOf(work, item.price, customer, period);
        return { subscription: sub.id, item: item.id, price: item.price.id, ...period, usage };
      })
    ),
    credit_grants: store.all("billing.credit_grant", { customer })
      .map((grant) => ({ ...grant, balance: balanceOf(work, grant.id) })),
  };
}
