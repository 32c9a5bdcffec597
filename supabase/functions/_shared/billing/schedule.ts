import { callingStripe, isInvalidRequest, stripe } from "../stripe.ts";

/** Statuses in which a schedule manages nothing any more. */
const DONE: readonly string[] = ["released", "canceled", "completed"];

/**
 * Lets the subscription go on without its schedule; one that is done already is what was wanted. `keepEnd` keeps the
 * end that the schedule has set.
 */
export async function releaseSchedule(
  id: string,
  { keepEnd = false }: { keepEnd?: boolean } = {},
): Promise<void> {
  try {
    await stripe().subscriptionSchedules.release(id, keepEnd ? { preserve_cancel_date: true } : {});
  } catch (error) {
    if (isInvalidRequest(error)) {
      const { status } = await callingStripe(() => stripe().subscriptionSchedules.retrieve(id));
      if (DONE.includes(status)) return;
    }
    await callingStripe(() => Promise.reject(error));
  }
}
