import Stripe from "stripe";
import { z } from "zod";
import { fingerprint } from "./fingerprint.ts";
import type { Call, Step } from "./steps.ts";
import { resolved, resolvedIn } from "./wanted.ts";

/** A signing secret that Stripe has shown just now, which it does once. */
export interface Shown {
  /** Which endpoint's: `webhook`, `connect`, `meters` or `accounts`. */
  name: string;
  id: string;
  path: string;
  secret: string;
}

export interface Applied {
  /** Ids by reference, of what was there and of what was made. */
  ids: ReadonlyMap<string, string>;
  secrets: Shown[];
}

const created = z.object({
  id: z.string(),
  secret: z.string().optional(),
  webhook_endpoint: z.object({ signing_secret: z.string().optional() }).optional(),
});

/** Makes the calls of a plan, one after the other. Stopped anywhere, a new plan goes on from there. */
export async function applySteps(
  stripe: Stripe,
  steps: Step[],
  known: ReadonlyMap<string, string>,
): Promise<Applied> {
  const ids = new Map(known);
  const secrets: Shown[] = [];
  for (const call of steps.flatMap(({ calls }) => calls)) {
    const { path, params } = withIds(call, ids);
    if (call.creates === undefined) {
      await stripe.rawRequest(call.method, path, call.method === "POST" ? params : undefined);
      continue;
    }
    const made = await createOnce(stripe, { ...call.creates, path, params, secret: call.secret });
    if (call.creates.ref !== "") ids.set(call.creates.ref, made.id);
    if (call.secret === undefined) continue;
    const secret = secretOf(made);
    if (!secret) throw new Error(`Stripe made ${made.id} and did not show its secret.`);
    secrets.push({ name: call.secret, id: made.id, path, secret });
  }
  return { ids, secrets };
}

/** Tells Stripe that a secret has reached a person, so that the next run does not ask for it again. */
export async function markShown(stripe: Stripe, secrets: Shown[]): Promise<void> {
  for (const { path, id } of secrets) {
    await stripe.rawRequest("POST", `${path}/${id}`, { metadata: { secret: "shown" } });
  }
}

function withIds({ path, params }: Call, ids: ReadonlyMap<string, string>) {
  const lookup = (ref: string) => {
    const id = ids.get(ref);
    if (id === undefined) throw new Error(`nothing was made for ${JSON.stringify(ref)}`);
    return id;
  };
  return { path: resolved(path, lookup), params: resolvedIn(params, lookup) };
}

interface Creation {
  path: string;
  params: Record<string, unknown>;
  once: string;
  secret: string | undefined;
}

/**
 * Creates under a key, so that a run after a crash, or beside another run, does not make the same thing twice. A key's answer may
 * be about something that was deleted or archived since, or come without its secret; then it is made anew.
 */
async function createOnce(stripe: Stripe, creation: Creation): Promise<z.infer<typeof created>> {
  const { path, params, once } = creation;
  const make = (idempotencyKey: string) =>
    stripe.rawRequest("POST", path, params, { idempotencyKey });
  const key = `tollgate-setup:${fingerprint([path, params, once])}`;
  const answer = await make(key);
  const first = created.parse(answer);
  if (!isReplay(answer)) return first;
  const isWhole = creation.secret === undefined || secretOf(first) !== undefined;
  if (isWhole && await isAlive(stripe, `${path}/${first.id}`, params)) return first;
  return created.parse(await make(`${key}:${crypto.randomUUID()}`));
}

function secretOf(made: z.infer<typeof created>): string | undefined {
  return made.secret ?? made.webhook_endpoint?.signing_secret;
}

/** Stripe's word that the answer is an old one. */
function isReplay({ lastResponse }: Stripe.Response<unknown>): boolean {
  return new Headers(lastResponse.headers).get("idempotent-replayed") === "true";
}

const state = z.object({
  deleted: z.boolean().default(false),
  active: z.boolean().default(true),
  metadata: z.record(z.string(), z.string()).nullish(),
});

/** Whether it is there, not archived, and still says of itself what it was made with. */
async function isAlive(
  stripe: Stripe,
  path: string,
  params: Record<string, unknown>,
): Promise<boolean> {
  try {
    const { deleted, active, metadata } = state.parse(await stripe.rawRequest("GET", path));
    const asked = Object.entries(params["metadata"] ?? {});
    return !deleted && active && asked.every(([name, value]) => metadata?.[name] === value);
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError && error.statusCode === 404) return false;
    throw error;
  }
}
