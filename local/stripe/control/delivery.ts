/**
 * What becomes of a webhook delivery when it is queued: sent (`normal`), or whatever a test wants the network to do.
 * The mode is a row of the store and is decided in the transaction of the event, so it survives a restart.
 */
import { z } from "zod";
import type { Store } from "../engine/store.ts";
import { newId } from "../engine/types.ts";

const common = {
  /** Only these types of events; others are delivered normally. */
  types: z.array(z.string()).optional(),
  /** How many deliveries it happens to; afterwards the mode is normal again. */
  times: z.int().min(1).optional(),
};
export const modeSchema = z.discriminatedUnion("mode", [
  z.strictObject({ mode: z.literal("normal") }),
  /** They never arrive. `events.list({delivery_success: false})` still has them. */
  z.strictObject({ ...common, mode: z.literal("drop") }),
  /** Each arrives `copies` times, at the same moment. */
  z.strictObject({
    ...common,
    mode: z.literal("duplicate"),
    copies: z.int().min(2).max(20).default(2),
  }),
  z.strictObject({ ...common, mode: z.literal("delay"), ms: z.int().min(1).max(600_000) }),
  /** Each waits a pseudo-random time below `ms`, the same ones for the same `seed`. */
  z.strictObject({
    ...common,
    mode: z.literal("shuffle"),
    ms: z.int().min(1).max(600_000).default(200),
    seed: z.int().min(0).default(1),
  }),
  /** They wait until a test delivers, discards or releases them. */
  z.strictObject({ ...common, mode: z.literal("hold") }),
]);
export type Mode = z.infer<typeof modeSchema>;

const META = "delivery_mode";
interface Kept {
  mode: Mode;
  count: number;
}

export function deliveryMode(store: Store): Kept {
  const kept = store.meta(META);
  return kept === null ? { mode: { mode: "normal" }, count: 0 } : JSON.parse(kept);
}

export function setDeliveryMode(store: Store, mode: Mode): void {
  store.setMeta(META, JSON.stringify({ mode, count: 0 } satisfies Kept));
}

/** Queues one event for one endpoint, as the mode wants it. */
export function enqueue(
  store: Store,
  event: { id: string; type: string; created: number },
  endpoint: string,
): void {
  const { mode, count } = deliveryMode(store);
  const isMeant = mode.mode !== "normal" && (mode.types?.includes(event.type) ?? true);
  const plan = isMeant ? planned(mode, count) : { state: "pending", wait: 0, copies: 1 };
  store.sql(
    "insert into deliveries (id, event_id, endpoint_id, state, next_at, created, copies) values (?, ?, ?, ?, ?, ?, ?)",
  ).run(
    newId("dlv_"),
    event.id,
    endpoint,
    plan.state,
    Date.now() + plan.wait,
    event.created,
    plan.copies,
  );
  if (!isMeant) return;
  const isOver = mode.times !== undefined && count + 1 >= mode.times;
  const next: Kept = isOver ? { mode: { mode: "normal" }, count: 0 } : { mode, count: count + 1 };
  store.setMeta(META, JSON.stringify(next));
}

function planned(mode: Mode, count: number): { state: string; wait: number; copies: number } {
  const normal = { state: "pending", wait: 0, copies: 1 };
  switch (mode.mode) {
    case "normal":
      return normal;
    case "drop":
      return { ...normal, state: "dropped" };
    case "hold":
      return { ...normal, state: "held" };
    case "duplicate":
      return { ...normal, copies: mode.copies };
    case "delay":
      return { ...normal, wait: mode.ms };
    case "shuffle":
      return { ...normal, wait: Math.floor(random(mode.seed, count) * mode.ms) };
  }
}

/** The `n`th number below 1 of a seed: mulberry32. */
function random(seed: number, n: number): number {
  let t = (seed * 7919 + (n + 1) * 0x6d2b79f5) | 0;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
}

/** Deliveries in the order of their events; `states` as in the table. */
export function queued(store: Store, states: readonly string[]): unknown[] {
  const rows = store.sql(
    "select d.id, d.event_id, d.endpoint_id, d.state, d.attempts, d.created, o.data from deliveries d " +
      "left join objects o on o.id = d.event_id order by d.rowid",
  ).all();
  return rows.filter((row) => states.includes(String(row.state))).map((row) => {
    const event = row.data === null ? null : JSON.parse(String(row.data));
    // A thin event names its object beside its data.
    const object = event?.related_object ?? event?.data?.object;
    return {
      id: row.id,
      event: row.event_id,
      type: event?.type ?? null,
      object: object?.id ?? null,
      customer: (object?.object ?? object?.type) === "customer"
        ? object.id
        : object?.customer ?? null,
      webhook_endpoint: row.endpoint_id,
      state: row.state,
      attempts: row.attempts,
      created: row.created,
    };
  });
}

/** Delivery ids as a test names them: `dlv_…`, or `evt_…` for every delivery of that event. */
export function resolveIds(store: Store, ids: readonly string[]): { id: string; known: boolean }[] {
  return ids.flatMap((id): { id: string; known: boolean }[] => {
    const column = id.startsWith("evt_") ? "event_id" : "id";
    const rows = store.sql(`select id from deliveries where ${column} = ? order by rowid`).all(id);
    return rows.length === 0
      ? [{ id, known: false }]
      : rows.map((row) => ({ id: String(row.id), known: true }));
  });
}

/** Held ones never arrive; answers how many those were. */
export function discard(store: Store, ids: readonly string[] | null): number {
  const rows = ids === null
    ? store.sql("select id from deliveries where state = 'held'").all()
    : resolveIds(store, ids).filter((each) => each.known);
  const drop = store.sql("update deliveries set state = 'dropped' where id = ? and state = 'held'");
  return rows.reduce((sum, row) => sum + Number(drop.run(String(row.id)).changes), 0);
}

/** Everything held goes out as if nothing had been, in its order; later events are delivered normally. */
export function release(store: Store): number {
  setDeliveryMode(store, { mode: "normal" });
  const done = store.sql(
    "update deliveries set state = 'pending', next_at = ? + rowid % 1000 where state = 'held'",
  ).run(Date.now());
  return Number(done.changes);
}
