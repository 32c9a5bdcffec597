import * as db from "../db.ts";
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
 * Makes the refunds that operators have asked for. Each is leased to one caller and sent under a key made of its request, so
 * whoever dies after sending leaves only a lease. What Stripe refuses stays refused, with Stripe's words; everything else is
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
    const made = await madeBefore(request);
    const refund = made ?? await create(request, shared);
    await takeBackRepaid(request, shared, made !== undefined);
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

/** Stripe forgets keys after a day: its list remembers. */
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
  }, { idempotencyKey: `refund:${request.id}` });
}

/**
 * After a dispute that was won the creator's share is no longer the charge's own transfer, which was taken back, but what was
 * paid again. `wasMade`: the charge already counts this refund.
 */
async function takeBackRepaid(
  request: db.RefundRequest,
  { charge, transfer }: SharedCharge,
  wasMade: boolean,
): Promise<void> {
  if (transfer === null || transfer.amount_reversed < transfer.amount) return;
  const counted = wasMade ? request.amount_minor : 0;
  const refundable = charge.amount - charge.amount_refunded + counted;
  for (const paid of await transfersOf(request.purchase_id)) {
    if (paid.id === transfer.id || !paid.metadata["dispute"]) continue;
    const reversals = await reversalsOf(paid);
    if (reversals.some(({ metadata }) => metadata?.["refund_request"] === request.id)) continue;
    const left = paid.amount - paid.amount_reversed;
    const amount = repaidShare(left, request.amount_minor, refundable);
    if (amount === 0) continue;
    await stripe().transfers.createReversal(paid.id, {
      amount,
      metadata: { refund_request: request.id },
    }, { idempotencyKey: `refund:${request.id}:${paid.id}` });
  }
}
