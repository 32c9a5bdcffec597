import { type Client, type Functions, rows } from "./client.ts";

/** Commits an event to the inbox before any work is done on it. */
export function receiveEvent(
  admin: Client,
  event: Functions["receive_stripe_event"]["Args"],
): Promise<string> {
  return rows(admin.rpc("receive_stripe_event", event));
}

export async function finishEvent(
  admin: Client,
  id: string,
  outcome: "processed" | "ignored",
): Promise<void> {
  await rows(admin.rpc("finish_stripe_event", { p_id: id, p_outcome: outcome }));
}

export async function failEvent(admin: Client, id: string, error: string): Promise<void> {
  await rows(admin.rpc("fail_stripe_event", { p_id: id, p_error: error }));
}

export type DueEvent = Functions["due_stripe_events"]["Returns"][number];

export function dueEvents(admin: Client, limit: number): Promise<DueEvent[]> {
  return rows(admin.rpc("due_stripe_events", { p_limit: limit }));
}
