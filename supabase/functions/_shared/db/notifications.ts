import { type Client, type Functions, rows } from "./client.ts";

export type DueNotification = Functions["lease_notifications"]["Returns"][number];

/** Notices to send now, each of them ours for five minutes. */
export function leaseNotifications(admin: Client, limit: number): Promise<DueNotification[]> {
  return rows(admin.rpc("lease_notifications", { p_limit: limit }));
}

export async function notificationSent(admin: Client, id: number): Promise<void> {
  await rows(admin.rpc("notification_sent", { p_id: id }));
}

export async function notificationFailed(
  admin: Client,
  { id, lease }: DueNotification,
  failure: { error: string; forGood: boolean },
): Promise<void> {
  await rows(admin.rpc("notification_failed", {
    p_id: id,
    p_lease: lease,
    p_error: failure.error,
    p_for_good: failure.forGood,
  }));
}

/** Tells an operator which settings are missing, in words without their values. */
export async function reportEmailSetup(admin: Client, problem: string): Promise<void> {
  await rows(admin.rpc("report_email_setup", { p_problem: problem }));
}
