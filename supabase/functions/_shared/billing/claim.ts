import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";

const WAIT_STEP_MS = 250;
const MAX_WAITS = 40;

/** What a request that holds the claim knows and tells. */
export interface Claim {
  /** In Unix seconds: previews made until then are no longer true. */
  changedAt: number | null;
  /** Numbers this attempt: Stripe replays an answer for a network retry of it, never for a later wish. */
  token: number;
  /** From here on the figures that were shown may not hold any more. */
  changes(): void;
}

/**
 * Runs `work` while nobody else changes the person's subscription: what it reads there stays true until it writes.
 * `waits`: for whoever comes second there is nothing to be shown anew, so they wait; the others are refused with
 * `change_in_progress`. A worker that dies holds the claim for two minutes more, and expires the previews made before.
 */
export async function claimed<T>(
  { user, supabaseAdmin }: db.UserCall,
  waits: boolean,
  work: (claim: Claim) => Promise<T>,
): Promise<T> {
  const lease = await take(supabaseAdmin, user.id, waits ? MAX_WAITS : 0);
  let changed = false;
  const changes = () => {
    changed = true;
  };
  try {
    return await work({ ...lease, changes });
  } catch (error) {
    // What Stripe or we refused was not done; after anything else nobody knows.
    if (error instanceof AppError && error.status < 500) changed = false;
    throw error;
  } finally {
    await db.endPlanChange(supabaseAdmin, user.id, lease.token, changed).catch(() => {
      // It ends by itself, and then counts as a change; what was done is done.
    });
    if (changed) await nextSecond();
  }
}

/** Previews are dated in whole seconds: one that is made after this answer must not look as old as the change. */
function nextSecond(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1_050 - Date.now() % 1_000));
}

async function take(
  admin: db.Client,
  userId: string,
  waits: number,
): Promise<db.PlanChangeLease> {
  for (let tries = 0;; tries++) {
    const lease = await db.beginPlanChange(admin, userId);
    if (lease !== null) return lease;
    if (tries >= waits) {
      throw new AppError(
        "change_in_progress",
        "Another change of this subscription is being made. Try again in a moment.",
      );
    }
    await new Promise((resolve) => setTimeout(resolve, WAIT_STEP_MS));
  }
}
