/** For the tests of meters: one that counts messages, and what it has counted. */
import type Stripe from "stripe";

export const DAY = 86_400;
export const EVENT = "messages";
type Formula = "count" | "last" | "sum";

export const newMeter = (stripe: Stripe, formula: Formula = "sum", event_name = EVENT) =>
  stripe.billing.meters.create({
    display_name: "Messages",
    event_name,
    default_aggregation: { formula },
  });

export const send = (
  stripe: Stripe,
  customer: string,
  value: number | string,
  more: Partial<Stripe.Billing.MeterEventCreateParams> = {},
) =>
  stripe.billing.meterEvents.create({
    event_name: EVENT,
    payload: { stripe_customer_id: customer, value: String(value) },
    ...more,
  });

export const now = () => Math.floor(Date.now() / 1000);

/** The aggregate of the last day and the next hour. */
export async function total(
  stripe: Stripe,
  meter: string,
  customer: string,
): Promise<number | undefined> {
  const minute = Math.floor(now() / 60) * 60;
  const { data } = await stripe.billing.meters.listEventSummaries(meter, {
    customer,
    start_time: minute - DAY,
    end_time: minute + 3600,
  });
  return data[0]?.aggregated_value;
}
