import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { feeShare, repaidExcess } from "../domain/shares.ts";
import { log } from "../log.ts";
import { isFinalRefusal, messageOf, type Stripe, stripe } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";
import { feeRefundsOf, reversalsOf, sharedCharge, transfersOf } from "./transfers.ts";

const AT_A_TIME = 50;

/** By the actions that the database names. */
const WORK: Record<string, (task: db.DisputeTask) => Promise<db.DisputeOutcome>> = {
  reverse,
  settle,
  pay: payAgain,
  share: takeBackRefunded,
};

/**
 * A dispute takes the money from the platform, whoever got it: the creator's share is taken back while the bank holds the
 * money, and what they lost by that is paid again when the dispute is won; of that is taken back what is refunded afterwards,
 * whoever refunds it. Each is done once: what was done by somebody who died is found by the dispute's id in Stripe's lists,
 * and two at a time send the same key. What cannot be taken back the platform bears, and an operator is told.
 */
export async function workDisputes(admin: db.Client): Promise<number> {
  const tasks = await db.disputeWork(admin, AT_A_TIME);
  let done = 0;
  for (const task of tasks) if (await workOne(admin, task)) done += 1;
  return done;
}

async function workOne(admin: db.Client, task: db.DisputeTask): Promise<boolean> {
  try {
    const work = WORK[task.action];
    if (work === undefined) throw new Error(`unknown action ${task.action}`);
    await db.disputeWorkDone(admin, task.dispute_id, await work(task));
  } catch (error) {
    const final = isFinalRefusal(error) ||
      (error instanceof AppError && error.code === "stripe_shape_unknown");
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
  if (transfer.currency !== task.currency) {
    throw new AppError(
      "stripe_shape_unknown",
      `The dispute is in ${task.currency}, the creator's share in ${transfer.currency}.`,
    );
  }
  const mark = { dispute: task.dispute_id };
  const reversal = (await reversalsOf(transfer)).find(isOf(task)) ??
    await reverseRest(transfer, task, mark);
  if (reversal === null) return { done: "reversed", amount: 0 };
  if (fee === null) return { done: "reversed", amount: reversal.amount };
  try {
    const refund = (await feeRefundsOf(fee)).find(isOf(task)) ??
      await refundShare(task, { fee, transfer, reversal, mark });
    return { done: "reversed", amount: reversal.amount - (refund?.amount ?? 0) };
  } catch (error) {
    if (!isFinalRefusal(error)) throw error;
    // They have lost all of it then, and that is what they are paid again if the dispute is won.
    return { done: "reversed", amount: reversal.amount, error: messageOf(error) };
  }
}

/** It is won, and we know of nothing that was taken back; whoever died, or failed half way, may have done it all the same. */
async function settle(task: db.DisputeTask): Promise<db.DisputeOutcome> {
  const { transfer, fee } = await sharedCharge(task.charge_id);
  const reversal = transfer === null ? undefined : (await reversalsOf(transfer)).find(isOf(task));
  if (reversal === undefined) return { done: "reversed", amount: 0 };
  const refund = fee === null ? undefined : (await feeRefundsOf(fee)).find(isOf(task));
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
 * Refunds take the creator's share back from the transfer of their own charge, as far as it is there. What they could not take,
 * because a dispute had taken it and it was paid again since, is taken from what was paid again.
 */
async function takeBackRefunded(task: db.DisputeTask): Promise<db.DisputeOutcome> {
  const { charge, transfer } = await sharedCharge(task.charge_id);
  const done = { done: "shared", amount: charge.amount_refunded } as const;
  if (transfer === null) return done;
  const { repaid, disputed } = await repaidTransfers(task.purchase_id, transfer);
  let excess = repaidExcess({
    ...{ amount: transfer.amount, disputed },
    refunded: charge.amount_refunded,
    charged: charge.amount,
    repaid: repaid.reduce((sum, { amount }) => sum + amount, 0),
    left: repaid.reduce((sum, one) => sum + one.amount - one.amount_reversed, 0),
  });
  for (const one of repaid) {
    const amount = Math.min(excess, one.amount - one.amount_reversed);
    if (amount <= 0) continue;
    await stripe().transfers.createReversal(one.id, {
      amount,
      metadata: { dispute: task.dispute_id },
    }, {
      idempotencyKey: `${keyOf(task, "share")}:${charge.amount_refunded}:${one.id}`,
    });
    excess -= amount;
  }
  return done;
}

/** What was paid again for won disputes of one charge, and how much those had taken of its transfer. */
async function repaidTransfers(purchase: string, transfer: Stripe.Transfer) {
  const again = (await transfersOf(purchase)).filter(({ id }) => id !== transfer.id);
  const repaid: Stripe.Transfer[] = [];
  let disputed = 0;
  // Only those of this charge's own disputes: what was paid again for another month is not given back with this one.
  for (const { amount, metadata } of await reversalsOf(transfer)) {
    const dispute = metadata?.["dispute"];
    const one = dispute && again.find((other) => other.metadata["dispute"] === dispute);
    if (!one) continue;
    repaid.push(one);
    disputed += amount;
  }
  return { repaid, disputed };
}

/**
 * Stripe keeps a refusal under its key for a day as well ("there is not enough money yet"): whoever tries again after one needs
 * another key.
 */
function keyOf(
  { dispute_id, attempts }: db.DisputeTask,
  step: "reverse" | "fee" | "pay" | "share",
) {
  return `dispute:${dispute_id}:${step}:${attempts}`;
}

function isOf({ dispute_id }: db.DisputeTask) {
  return ({ metadata }: { metadata: Stripe.Metadata | null }) =>
    metadata?.["dispute"] === dispute_id;
}
