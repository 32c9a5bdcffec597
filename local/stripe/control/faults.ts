/**
 * Faults for tests: what a network, a busy Stripe or a lagging replica does to a request. In memory: a restart has none.
 * The first fault that fits a request acts on it, and each acts `times` times after `skip` requests it let pass.
 */
import { z } from "zod";
import { type ErrorBody } from "../engine/errors.ts";
import { newId } from "../engine/types.ts";
import type { Store } from "../engine/store.ts";

const common = {
  match: z.strictObject({
    method: z.enum(["GET", "POST", "DELETE"]).optional(),
    /** How the path begins, e.g. `/v1/subscriptions`. */
    path: z.string().startsWith("/").optional(),
    /** Text that the address or the body holds, e.g. a customer's id. */
    contains: z.string().min(1).optional(),
  }).default({}),
  times: z.int().min(1).max(1_000_000).default(1),
  skip: z.int().min(0).default(0),
};
export const faultSchema = z.discriminatedUnion("kind", [
  /** `after`: the request is carried out, and yet this is the answer. */
  z.strictObject({
    ...common,
    kind: z.literal("status"),
    status: z.int().min(400).max(599),
    code: z.string().optional(),
    message: z.string().optional(),
    headers: z.record(z.string(), z.string()).default({}),
    after: z.boolean().default(false),
  }),
  /** `after`: at once carried out, late answered. */
  z.strictObject({
    ...common,
    kind: z.literal("delay"),
    ms: z.int().min(1).max(60_000),
    after: z.boolean().default(false),
  }),
  /** The connection is dropped (after `ms`) and nothing was done. */
  z.strictObject({
    ...common,
    kind: z.literal("timeout_before"),
    ms: z.int().min(0).max(60_000).default(0),
  }),
  /** It was done, and the connection is dropped (after `ms`). */
  z.strictObject({
    ...common,
    kind: z.literal("timeout_after"),
    ms: z.int().min(0).max(60_000).default(0),
  }),
  /**
   * A GET is answered from the past: `changes` back (of `customer`'s objects, when one is named), or as of the change
   * `as_of`, a number `GET /_sandbox/state` gave.
   */
  z.strictObject({
    ...common,
    kind: z.literal("stale"),
    changes: z.int().min(1).max(1000).default(1),
    customer: z.string().optional(),
    as_of: z.int().min(0).optional(),
  }),
]);
export type Fault = z.infer<typeof faultSchema>;

interface Armed {
  id: string;
  fault: Fault;
  left: number;
  skipped: number;
  hits: { at: number; method: string; path: string }[];
}

/** How a request is answered: `asOf` = as things were just after that change. */
export type Answerer = (request: Request, asOf: number | null) => Promise<Response>;

export class Faults {
  #armed: Armed[] = [];

  constructor(readonly store: Store) {}

  add(fault: Fault): unknown {
    const armed = { id: newId("flt_", 12), fault, left: fault.times, skipped: 0, hits: [] };
    this.#armed.push(armed);
    return show(armed);
  }

  list(): unknown[] {
    return this.#armed.map(show);
  }

  /** Takes one away, or all; says how many there were. */
  clear(id?: string): number {
    const before = this.#armed.length;
    this.#armed = id === undefined ? [] : this.#armed.filter((armed) => armed.id !== id);
    return before - this.#armed.length;
  }

  async serve(request: Request, drop: () => Promise<void>, answer: Answerer): Promise<Response> {
    if (this.#armed.every((armed) => armed.left === 0)) return await answer(request, null);
    const { fault, fresh } = await this.#find(request);
    const now = () => answer(fresh, null);
    if (!fault) return await now();
    switch (fault.kind) {
      case "status":
        if (fault.after) await (await now()).body?.cancel();
        return refusal(fault);
      case "delay": {
        if (!fault.after) await sleep(fault.ms);
        const done = await now();
        if (fault.after) await sleep(fault.ms);
        return done;
      }
      case "timeout_before":
      case "timeout_after":
        if (fault.kind === "timeout_after") await (await now()).body?.cancel();
        await sleep(fault.ms);
        await drop();
        return new Response(null, { status: 503 });
      case "stale":
        return await answer(
          fresh,
          fault.as_of ?? this.store.changesAgo(fault.changes, fault.customer ?? null),
        );
    }
  }

  /** All is decided after the body was read, so that no two requests take one turn. `fresh`: with its body unread. */
  async #find(request: Request): Promise<{ fault: Fault | null; fresh: Request }> {
    const { pathname, href } = new URL(request.url);
    const { method, headers } = request;
    const body = method === "POST" ? await request.text() : null;
    const fresh = new Request(href, { method, headers, body });
    const text = href + (body ?? "");
    for (const armed of this.#armed) {
      const { match, kind, skip } = armed.fault;
      const fits = armed.left > 0 && (match.method ?? method) === method &&
        pathname.startsWith(match.path ?? "/") && text.includes(match.contains ?? "") &&
        (kind !== "stale" || method === "GET");
      if (!fits) continue;
      if (armed.skipped < skip) {
        armed.skipped += 1;
        continue;
      }
      armed.left -= 1;
      armed.hits.push({ at: Date.now(), method, path: pathname });
      return { fault: armed.fault, fresh };
    }
    return { fault: null, fresh };
  }
}

function show({ id, fault, left, hits }: Armed): unknown {
  return { id, ...fault, left, hits };
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function refusal(fault: Extract<Fault, { kind: "status" }>): Response {
  const { status, headers } = fault;
  const error: ErrorBody = status === 429
    ? {
      type: "invalid_request_error",
      code: "rate_limit",
      message:
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
    }
    : status >= 500
    ? { type: "api_error", message: "An unknown error occurred." }
    : { type: "invalid_request_error", message: "Refused by a fault of the sandbox." };
  if (fault.code) error.code = fault.code;
  if (fault.message) error.message = fault.message;
  return Response.json({ error }, {
    status,
    headers: { "request-id": newId("req_", 14), ...headers },
  });
}
