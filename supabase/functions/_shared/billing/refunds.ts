import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { repaidShare } from "../domain/shares.ts";
import { log } from "../log.ts";
import { callingStripe, isFinalRefusal, messageOf, type Stripe, stripe } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";
import {
  MAX_OBJECTS,
  reversalsOf,
  type SharedCharge,
  sharedCharge,
  transfersOf,
} from "./transfers.ts";

const AT_A_TIME = 20;

/**
 * Makes the refunds that operators have asked for. Each is leased to one caller, sent under a key and looked for at Stripe
 * before, so whoever dies after sending leaves only a lease. What Stripe refuses stays refused, with Stripe's words; everything else is
 * tried again.
 */
export async function sendRefunds(
  admin: db.Client,
): Promise<{ refunded: number; refused: number }> {
  const requests = await db.leaseRefunds(admin, AT_A_TIME);
  let refunded = 0;
  for (const request of requests) if (await send(admin, request)) refunded += 1;
  return { refunded, refused: requests.length - refunded };
}

async function send(admin: db.Client, request: db.RefundRequest): Promise<boolean> {
  try {
    const shared = await sharedCharge(request.charge_id);
    const repaid = await repaidTransfers(request, shared);
    const made = await madeBefore(request);
    const refund = made ?? await create(request, shared);
    await takeBack(request, repaid, refundable(request, shared, made !== undefined));
    await db.refundSent(admin, request.id, refund.id);
  } catch (error) {
    const final = isFinalRefusal(error);
    log("error", "refund_failed", { request: request.id, final });
    await db.refundFailed(admin, request.id, messageOf(error), final);
    return false;
  }
  // The event would tell too; a failure here is only a delay.
  await syncPurchase(admin, request.purchase_id).catch(() => undefined);
  return true;
}

/** Stripe keeps a refusal under its key for a day, also one that passes: after one there is another key. */
function keyOf({ id, attempts }: db.RefundRequest): string {
  return `refund:${id}:${attempts}`;
}

/** A key is one attempt's, and forgotten after a day: Stripe's list remembers. */
async function madeBefore(request: db.RefundRequest): Promise<Stripe.Refund | undefined> {
  const made = await callingStripe(() =>
    stripe().refunds.list({ charge: request.charge_id, limit: 100 })
      .autoPagingToArray({ limit: MAX_OBJECTS })
  );
  return made.find(({ metadata }) => metadata?.["refund_request"] === request.id);
}

/** Stripe takes the creator's share and our fee back in proportion, as far as there is anything to take back. */
function create(
  request: db.RefundRequest,
  { transfer, fee }: SharedCharge,
): Promise<Stripe.Refund> {
  const hasShare = transfer !== null && transfer.amount_reversed < transfer.amount;
  const hasFee = hasShare && fee !== null && fee.amount_refunded < fee.amount;
  return stripe().refunds.create({
    charge: request.charge_id,
    amount: request.amount_minor,
    reason: "requested_by_customer",
    metadata: { refund_request: request.id },
    ...(hasShare && { reverse_transfer: true }),
    ...(hasFee && { refund_application_fee: true }),
  }, { idempotencyKey: keyOf(request) });
}

/**
 * After a dispute that was won the creator's share is no longer the charge's own transfer, which was taken back, but what was
 * paid again; empty when the charge's own is what there is. While it waits to be paid again the refund waits too, or they
 * would be paid for what they have to give back.
 */
async function repaidTransfers(
  request: db.RefundRequest,
  { transfer }: SharedCharge,
): Promise<Stripe.Transfer[]> {
  if (transfer === null || transfer.amount_reversed < transfer.amount) return [];
  const others = (await transfersOf(request.purchase_id)).filter(({ id }) => id !== transfer.id);
  const repaid: Stripe.Transfer[] = [];
  // Only those of this charge's own disputes: what was paid again for another month is not given back with this one.
  for (const { metadata } of await reversalsOf(transfer)) {
    const dispute = metadata?.["dispute"];
    if (!dispute) continue;
    const again = others.find((one) => one.metadata["dispute"] === dispute);
    if (again !== undefined) {
      repaid.push(again);
      continue;
    }
    const { status } = await stripe().disputes.retrieve(dispute);
    // Of one that is not won there is nothing to wait for: Stripe refuses the refund and says why.
    if (status !== "won") continue;
    throw new AppError("change_in_progress", "The creator's share is still to be paid again.");
  }
  return repaid;
}

/** What could be given back before this refund. `wasMade`: the charge already counts it. */
function refundable(
  { amount_minor }: db.RefundRequest,
  { charge }: SharedCharge,
  wasMade: boolean,
): number {
  return charge.amount - charge.amount_refunded + (wasMade ? amount_minor : 0);
}

async function takeBack(
  request: db.RefundRequest,
  repaid: Stripe.Transfer[],
  refundable: number,
): Promise<void> {
  for (const transfer of repaid) {
    const reversals = await reversalsOf(transfer);
    if (reversals.some(({ metadata }) => metadata?.["refund_request"] === request.id)) continue;
    const left = transfer.amount - transfer.amount_reversed;
    const amount = repaidShare(left, request.amount_minor, refundable);
    if (amount === 0) continue;
    await stripe().transfers.createReversal(transfer.id, {
      amount,
      metadata: { refund_request: request.id },
    }, { idempotencyKey: `${keyOf(request)}:${transfer.id}` });
  }
}
