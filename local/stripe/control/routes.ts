/** The HTTP side of faults and delivery control, for tests. */
import type { Context, Hono } from "hono";
import { z } from "zod";
import { setTransfers } from "../billing/accounts.ts";
import { decideDispute, openDispute } from "../billing/disputes.ts";
import { StripeError } from "../engine/errors.ts";
import type { Deliverer } from "../engine/deliver.ts";
import { Work, worldNow } from "../engine/work.ts";
import type { Store } from "../engine/store.ts";
import type { Settings } from "../engine/settings.ts";
import {
  deliveryMode,
  discard,
  modeSchema,
  queued,
  release,
  resolveIds,
  setDeliveryMode,
} from "./delivery.ts";
import { type Faults, faultSchema } from "./faults.ts";
import { accountState } from "./accounts.ts";
import { usageState } from "./usage.ts";

interface Parts {
  store: Store;
  settings: Settings;
  deliverer: Deliverer;
  faults: Faults;
  onCommit: () => void;
}

const idsSchema = z.strictObject({ ids: z.array(z.string()), at_once: z.boolean().default(false) });
const discardSchema = z.union([
  z.strictObject({ ids: z.array(z.string()) }),
  z.strictObject({ all: z.literal(true) }),
]);

export function mountControl(
  app: Hono,
  { store, settings, deliverer, faults, onCommit }: Parts,
): void {
  app.get("/_sandbox/faults", (c) => c.json({ data: faults.list() }));
  app.post("/_sandbox/faults", (c) => read(c, faultSchema, (fault) => c.json(faults.add(fault))));
  app.delete("/_sandbox/faults", (c) => c.json({ cleared: faults.clear() }));
  app.delete("/_sandbox/faults/:id", (c) => c.json({ cleared: faults.clear(c.req.param("id")) }));

  app.get("/_sandbox/delivery", (c) => {
    const { mode, count } = deliveryMode(store);
    return c.json({ ...mode, count, held: queued(store, ["held"]).length });
  });
  app.post(
    "/_sandbox/delivery",
    (c) =>
      read(c, z.union([modeSchema, z.strictObject({ mode: z.literal("release") })]), (wanted) => {
        if (wanted.mode === "release") {
          const released = store.transaction(() => release(store));
          deliverer.wake();
          return c.json({ mode: "normal", released });
        }
        store.transaction(() => setDeliveryMode(store, wanted));
        return c.json(wanted);
      }),
  );
  app.get("/_sandbox/delivery/held", (c) => {
    const states = c.req.query("state")?.split(",") ?? ["held"];
    return c.json({ data: queued(store, states) });
  });
  app.post("/_sandbox/delivery/deliver", (c) =>
    read(c, idsSchema, async ({ ids, at_once }) => {
      const known = resolveIds(store, ids);
      const unknown = known.find((each) => !each.known);
      if (unknown) return refuse(c, 404, `No such delivery: '${unknown.id}'`);
      const data = await deliverer.deliverNow(known.map((each) => each.id), at_once);
      return c.json({ data });
    }));
  app.post("/_sandbox/delivery/discard", (c) =>
    read(c, discardSchema, (wanted) => {
      const ids = "ids" in wanted ? wanted.ids : null;
      return c.json({ discarded: store.transaction(() => discard(store, ids)) });
    }));

  const act = (c: Context, run: (work: Work) => unknown): Response => {
    try {
      const work = new Work(store, settings, { id: null, idempotency_key: null });
      const done = store.transaction(() => run(work));
      onCommit();
      return c.json(done ?? {});
    } catch (error) {
      if (error instanceof StripeError) {
        return refuse(c, error.status === 404 ? 404 : 400, error.message);
      }
      throw error;
    }
  };
  app.post("/_sandbox/accounts/:id", (c) =>
    read(
      c,
      z.strictObject({ transfers: z.enum(["active", "restricted"]) }),
      ({ transfers }) => act(c, (work) => setTransfers(work, c.req.param("id"), transfers)),
    ));
  app.post("/_sandbox/charges/:id/dispute", (c) =>
    read(
      c,
      z.strictObject({
        reason: z.enum(["fraudulent", "product_not_received", "inquiry"]).default("fraudulent"),
        amount: z.int().positive().optional(),
      }),
      ({ reason, amount }) =>
        act(c, (work) => openDispute(work, c.req.param("id"), reason, amount)),
    ));
  app.post("/_sandbox/disputes/:id", (c) =>
    read(
      c,
      z.strictObject({ outcome: z.enum(["won", "lost"]) }),
      ({ outcome }) => act(c, (work) => decideDispute(work, c.req.param("id"), outcome)),
    ));

  /** The truth, past every fault: what a correct copy must say in the end. */
  app.get("/_sandbox/state", (c) => {
    const customer = c.req.query("customer");
    const where: Record<string, string> = customer === undefined ? {} : { customer };
    const work = new Work(store, settings, { id: null, idempotency_key: null });
    const account = c.req.query("account");
    if (account !== undefined) {
      return c.json({
        change: store.change,
        now: worldNow(store),
        ...accountState(work, account),
      });
    }
    return c.json({
      change: store.change,
      now: worldNow(store),
      customer: customer === undefined ? null : work.find("customer", customer),
      subscriptions: store.all("subscription", where),
      invoices: store.all("invoice", where),
      payment_methods: store.all("payment_method", where),
      ...(customer === undefined ? {} : usageState(work, customer)),
    });
  });
}

async function read<T>(
  c: Context,
  schema: z.ZodType<T>,
  run: (value: T) => Response | Promise<Response>,
): Promise<Response> {
  const body: unknown = await c.req.json().catch(() => null);
  const parsed = schema.safeParse(body);
  if (!parsed.success) return refuse(c, 400, z.prettifyError(parsed.error));
  return await run(parsed.data);
}

function refuse(c: Context, status: 400 | 404, message: string): Response {
  return c.json({ error: { type: "invalid_request_error", message } }, status);
}
