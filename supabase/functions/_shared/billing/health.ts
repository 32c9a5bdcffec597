import * as db from "../db.ts";
import { log } from "../log.ts";

/** A monitor must have its answer within five seconds, whatever the database does. */
const PATIENCE_MS = 3_500;
/** How long one process answers from memory: strangers may ask as often as they like. */
const KEPT_MS = 5_000;
/** The database keeps an answer itself, for all processes together. */
const MAX_AGE_SECONDS = 10;

export interface HealthAnswer {
  status: number;
  body: db.Health | { status: db.Health["status"]; error?: string };
}

let kept: { until: number; health: Promise<db.Health | null> } | null = null;

/**
 * The state of everything as one word, and with the secret key every check. Strangers are answered from what was computed
 * within some seconds, by whomever; an operator after a repair sees it at once.
 */
export async function healthOf(
  call: { isOperator: boolean; trace: db.Trace },
): Promise<HealthAnswer> {
  const health = await (call.isOperator ? read(call.trace, 0) : recent(call.trace));
  const status = health?.status === "ok" || health?.status === "warn" ? 200 : 503;
  if (health === null) {
    return {
      status,
      body: { status: "fail", ...(call.isOperator && { error: "The database does not answer." }) },
    };
  }
  return { status, body: call.isOperator ? health : { status: health.status } };
}

/** One question at a time, and the same answer for everybody who asks meanwhile; that there is none is kept as well. */
function recent(trace: db.Trace): Promise<db.Health | null> {
  if (kept !== null && Date.now() < kept.until) return kept.health;
  const health = read(trace, MAX_AGE_SECONDS);
  kept = { until: Date.now() + KEPT_MS, health };
  return health;
}

/** Null when the database does not answer, or not in time. */
async function read(trace: db.Trace, maxAgeSeconds: number): Promise<db.Health | null> {
  const late = AbortSignal.timeout(PATIENCE_MS);
  try {
    return await Promise.race([
      db.readHealth(db.adminClient(trace), maxAgeSeconds, late),
      new Promise<never>((_, reject) => {
        late.addEventListener("abort", () => reject(new Error("no answer in time")));
      }),
    ]);
  } catch (error) {
    log("error", "health_unknown", {
      request_id: trace.requestId,
      cause: error instanceof Error ? `${error.name}: ${error.message}` : undefined,
    });
    return null;
  }
}
