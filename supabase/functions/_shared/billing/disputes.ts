import * as db from "../db.ts";
import { log } from "../log.ts";
import { isFinalRefusal, messageOf, type Stripe, stripe } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";

const AT_A_TIME = 50;
const MAX_OBJECTS = 1_000;

/**
 * A dispute takes the money from the platform, whoever got it: the creator's share is taken back while the bank holds the
 * money, and paid again when the dispute is won. Each is done once, under a key made of the dispute's id, and what was done
 * by somebody who died is found in Stripe's lists. What cannot be taken back the platform bears; an operator is told.
 */
export async function workDisputes(admin: db.Client): Promise<number> {
  const tasks = await db.disputeWork(admin, AT_A_TIME);
  let done = 0;
  for (const task of tasks) if (await workOne(admin, task)) done += 1;
  return done;
}

async function workOne(admin: db.Client, task: db.DisputeTask): Promise<boolean> {
  try {
    if (task.action === "reverse") await reverse(task);
    else await payAgain(task);
    await db.noteDisputeWork(admin, task.dispute_id, { done: task.action });
  } catch (error) {
    const isFinal = isFinalRefusal(error);
    log("error", "dispute_work_failed", {
      dispute: task.dispute_id,
      action: task.action,
      final: isFinal,
    });
    await db.noteDisputeWork(admin, task.dispute_id, { error: messageOf(error), final: isFinal });
    return false;
  }
  await syncPurchase(admin, task.purchase_id).catch(() => undefined);
  return true;
}

/** Our fee goes back to the creator in proportion, as with a refund: what is taken is what they had of it. */
async function reverse(task: db.DisputeTask): Promise<void> {
  const done = await stripe().transfers.listReversals(task.transfer_id, { limit: 100 })
    .autoPagingToArray({ limit: MAX_OBJECTS });
  if (done.some(({ metadata }) => metadata?.["dispute"] === task.dispute_id)) return;
  await stripe().transfers.createReversal(task.transfer_id, {
    amount: task.amount_minor,
    metadata: { dispute: task.dispute_id },
    ...(task.has_fee && { refund_application_fee: true }),
  }, { idempotencyKey: `dispute:${task.dispute_id}:reverse` });
}

/** What the reversal had taken, less the fee that went back with it. */
async function payAgain(task: db.DisputeTask): Promise<Stripe.Transfer | undefined> {
  const made = await stripe().transfers.list({ transfer_group: task.purchase_id, limit: 100 })
    .autoPagingToArray({ limit: MAX_OBJECTS });
  const before = made.find(({ metadata }) => metadata["dispute"] === task.dispute_id);
  if (before !== undefined) return before;
  return await stripe().transfers.create({
    amount: task.amount_minor,
    currency: task.currency,
    destination: task.destination,
    transfer_group: task.purchase_id,
    metadata: { dispute: task.dispute_id },
  }, { idempotencyKey: `dispute:${task.dispute_id}:pay` });
}
