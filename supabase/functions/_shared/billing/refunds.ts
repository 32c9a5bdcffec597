import * as db from "../db.ts";
import { log } from "../log.ts";
import { callingStripe, isFinalRefusal, messageOf, type Stripe, stripe } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";
import { MAX_OBJECTS, type SharedCharge, sharedCharge } from "./transfers.ts";

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
    const refund = await madeBefore(request) ??
      await create(request, await sharedCharge(request.charge_id));
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

/**
 * Stripe takes the creator's share and our fee back in proportion, as far as there is anything to take back. What a won dispute
 * has paid again instead is brought into line by workDisputes().
 */
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
