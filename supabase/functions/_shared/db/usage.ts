import { type Client, type Functions, rows } from "./client.ts";

/**
 * Takes a quantity of a metric for a user: null when it was admitted, else why it was not. The same request id again
 * within two days costs nothing.
 */
export async function consumeUsage(
  admin: Client,
  use: { userId: string; metric: string; quantity: number; requestId: string },
): Promise<"quota_exceeded" | "spending_cap_reached" | null> {
  const answer = await admin.rpc("consume_usage", {
    p_user_id: use.userId,
    p_metric: use.metric,
    p_quantity: use.quantity,
    p_request_id: use.requestId,
  });
  const { error } = answer;
  if (error?.code === `${use.metric}_quota_exceeded`) return "quota_exceeded";
  if (error?.code === "spending_cap_reached") return "spending_cap_reached";
  await rows(Promise.resolve(answer));
  return null;
}

/** Makes outbox rows of usage that is not in one; answers how many. */
export function claimUsage(
  admin: Client,
  limit: number,
  stripeCustomerId: string | null,
): Promise<number> {
  return rows(admin.rpc("claim_usage", {
    p_limit: limit,
    ...(stripeCustomerId !== null && { p_stripe_customer_id: stripeCustomerId }),
  }));
}

export type UsageRow = Functions["lease_usage"]["Returns"][number];

/** Rows to send now: at most one per customer and meter. */
export function leaseUsage(
  admin: Client,
  limit: number,
  stripeCustomerId: string | null,
): Promise<UsageRow[]> {
  return rows(admin.rpc("lease_usage", {
    p_limit: limit,
    ...(stripeCustomerId !== null && { p_stripe_customer_id: stripeCustomerId }),
  }));
}

export async function usageSent(admin: Client, id: number): Promise<void> {
  await rows(admin.rpc("usage_sent", { p_id: id }));
}

export async function usageFailed(
  admin: Client,
  row: UsageRow,
  failure: { error: string; notAccepted: boolean },
): Promise<void> {
  await rows(admin.rpc("usage_failed", {
    p_id: row.id,
    p_lease: row.lease,
    p_error: failure.error,
    p_not_accepted: failure.notAccepted,
  }));
}

export async function usageParked(admin: Client, id: number, reason: string): Promise<void> {
  await rows(admin.rpc("usage_parked", { p_id: id, p_reason: reason }));
}

/** Stripe did not count this event after all; false when the identifier is none of ours. */
export function usageRejected(
  admin: Client,
  identifier: string,
  reason: string,
): Promise<boolean> {
  return rows(admin.rpc("usage_rejected", { p_identifier: identifier, p_reason: reason }));
}

export type UsageSum = Functions["usage_sums"]["Returns"][number];

export function usageSums(
  admin: Client,
  options: { customer?: string | undefined; after?: string | undefined; limit: number },
): Promise<UsageSum[]> {
  return rows(admin.rpc("usage_sums", {
    p_limit: options.limit,
    ...(options.customer !== undefined && { p_stripe_customer_id: options.customer }),
    ...(options.after !== undefined && { p_after: options.after }),
  }));
}

/** Where the scheduled check goes on; empty: with the first customer. */
export function usageCheckCursor(admin: Client): Promise<string> {
  return rows(admin.rpc("usage_check_cursor"));
}

/** Remembers the last customer that was checked; null: everybody was. */
export async function moveUsageCheck(admin: Client, after: string | null): Promise<void> {
  await rows(admin.rpc("move_usage_check", { p_after: after ?? "" }));
}

/** Writes down what Stripe says beside what we say; answers the verdict. */
export function noteUsageCheck(admin: Client, sum: UsageSum, stripe: number): Promise<string> {
  return rows(admin.rpc("note_usage_check", {
    p_stripe_customer_id: sum.stripe_customer_id,
    p_metric_id: sum.metric_id,
    p_period_start: sum.period_start,
    p_stripe: stripe,
  }));
}
