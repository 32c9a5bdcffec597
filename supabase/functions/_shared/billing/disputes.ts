import * as db from "../db.ts";
import { feeShare } from "../domain/shares.ts";
import { log } from "../log.ts";
import { isFinalRefusal, messageOf, type Stripe, stripe } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";
import { feeRefundsOf, reversalsOf, sharedCharge, transfersOf } from "./transfers.ts";

const AT_A_TIME = 50;

/**
 * A dispute takes the money from the platform, whoever got it: the creator's share is taken back while the bank holds the
 * money, and what they lost by that is paid again when the dispute is won. Each is done once: what was done by somebody who
 * died is found by the dispute's id in Stripe's lists, and two at a time send the same key. What cannot be taken back the
 * platform bears, and an operator is told.
 */
export async function workDisputes(admin: db.Client): Promise<number> {
  const tasks = await db.disputeWork(admin, AT_A_TIME);
  let done = 0;
  for (const task of tasks) if (await workOne(admin, task)) done += 1;
  return done;
}

async function workOne(admin: db.Client, task: db.DisputeTask): Promise<boolean> {
  try {
    const outcome = task.action === "reverse" ? await reverse(task) : await payAgain(task);
    await db.disputeWorkDone(admin, task.dispute_id, outcome);
  } catch (error) {
    const final = isFinalRefusal(error);
    log("error", "dispute_work_failed", {
      ...{ dispute: task.dispute_id, action: task.action, final },
    });
    await db.disputeWorkFailed(admin, task.dispute_id, messageOf(error), final);
    return false;
  }
  // The events would tell too; a failure here is only a delay.
  await syncPurchase(admin, task.purchase_id).catch(() => undefined);
  return true;
}

/** Takes back the disputed part, and gives our fee on it back to the creator: their loss is what they had of it. */
async function reverse(task: db.DisputeTask): Promise<db.DisputeOutcome> {
  const { transfer, fee } = await sharedCharge(task.charge_id);
  if (transfer === null) return { done: "reversed", amount: 0 };
  const mark = { dispute: task.dispute_id };
  const reversal = (await reversalsOf(transfer)).find(isOf(task)) ??
    await reverseRest(transfer, task, mark);
  if (reversal === null) return { done: "reversed", amount: 0 };
  if (fee === null) return { done: "reversed", amount: reversal.amount };
  const refund = (await feeRefundsOf(fee)).find(isOf(task)) ??
    await refundShare(task, { fee, transfer, reversal, mark });
  return { done: "reversed", amount: reversal.amount - (refund?.amount ?? 0) };
}

/** Null: a refund had taken all of it back before. */
async function reverseRest(
  transfer: Stripe.Transfer,
  task: db.DisputeTask,
  metadata: Record<string, string>,
): Promise<Stripe.TransferReversal | null> {
  const amount = Math.min(task.amount_minor, transfer.amount - transfer.amount_reversed);
  if (amount === 0) return null;
  return await stripe().transfers.createReversal(transfer.id, { amount, metadata }, {
    idempotencyKey: keyOf(task, "reverse"),
  });
}

/** On its own instead of with the reversal: so that whoever comes after a crash finds how much it was. */
async function refundShare(
  task: db.DisputeTask,
  { fee, transfer, reversal, mark }: {
    fee: Stripe.ApplicationFee;
    transfer: Stripe.Transfer;
    reversal: Stripe.TransferReversal;
    mark: { dispute: string };
  },
): Promise<Stripe.FeeRefund | null> {
  const others = (await reversalsOf(transfer)).filter(({ id }) => id !== reversal.id);
  const before = others.reduce((sum, { amount }) => sum + amount, 0);
  const amount = feeShare({ amount: fee.amount, refunded: fee.amount_refunded }, {
    amount: transfer.amount,
    left: transfer.amount - before,
    back: reversal.amount,
  });
  if (amount === 0) return null;
  return await stripe().applicationFees.createRefund(fee.id, { amount, metadata: mark }, {
    idempotencyKey: keyOf(task, "fee"),
  });
}

async function payAgain(task: db.DisputeTask): Promise<db.DisputeOutcome> {
  const made = (await transfersOf(task.purchase_id)).find(isOf(task)) ??
    await stripe().transfers.create({
      amount: task.amount_minor,
      currency: task.currency,
      destination: task.destination,
      transfer_group: task.purchase_id,
      metadata: { dispute: task.dispute_id },
    }, { idempotencyKey: keyOf(task, "pay") });
  return { done: "paid_back", amount: made.amount };
}

/**
 * Stripe keeps a refusal under its key for a day as well ("there is not enough money yet"): whoever tries again after one needs
 * another key.
 */
function keyOf({ dispute_id, attempts }: db.DisputeTask, step: "reverse" | "fee" | "pay"): string {
  return `dispute:${dispute_id}:${step}:${attempts}`;
}

function isOf({ dispute_id }: db.DisputeTask) {
  return ({ metadata }: { metadata: Stripe.Metadata | null }) =>
    metadata?.["dispute"] === dispute_id;
}
