import * as db from "../db.ts";
import { log } from "../log.ts";
import { callingStripe, isFinalRefusal, messageOf, type Stripe, stripe } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";

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
    const refund = await madeBefore(request) ?? await create(request);
    await db.refundSent(admin, request.id, refund.id);
  } catch (error) {
    const isFinal = isFinalRefusal(error);
    log("error", "refund_failed", { request: request.id, final: isFinal });
    await db.refundFailed(admin, request.id, messageOf(error), isFinal);
    return false;
  }
  // The event would tell too; a failure here is only a delay.
  await syncPurchase(admin, request.purchase_id).catch(() => undefined);
  return true;
}

/** Stripe forgets keys after a day or more: before a repeat its list is asked. */
async function madeBefore(request: db.RefundRequest): Promise<Stripe.Refund | undefined> {
  if (request.attempts === 0) return undefined;
  const made = await callingStripe(() =>
    stripe().refunds.list({ charge: request.charge_id, limit: 100 })
      .autoPagingToArray({ limit: 1_000 })
  );
  return made.find(({ metadata }) => metadata?.["refund_request"] === request.id);
}

/** Stripe takes the creator's share and our fee back in proportion; a fee of zero it refuses to give back. */
function create(request: db.RefundRequest): Promise<Stripe.Refund> {
  return stripe().refunds.create({
    charge: request.charge_id,
    reason: "requested_by_customer",
    metadata: { refund_request: request.id },
    ...(request.amount_minor !== null && { amount: request.amount_minor }),
    ...(request.has_transfer && { reverse_transfer: true }),
    ...(request.has_transfer && request.has_fee && { refund_application_fee: true }),
  }, { idempotencyKey: `refund:${request.id}` });
}
