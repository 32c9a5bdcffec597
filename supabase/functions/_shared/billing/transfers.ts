import { callingStripe, type Stripe, stripe } from "../stripe.ts";

/** Far more than one sale has. */
export const MAX_OBJECTS = 1_000;

/** A payment with the creator's share of it and our fee, where it has them. */
export interface SharedCharge {
  charge: Stripe.Charge;
  transfer: Stripe.Transfer | null;
  fee: Stripe.ApplicationFee | null;
}

export async function sharedCharge(id: string): Promise<SharedCharge> {
  const charge = await stripe().charges.retrieve(id, { expand: ["transfer", "application_fee"] });
  const { transfer, application_fee: fee } = charge;
  return {
    charge,
    transfer: typeof transfer === "object" ? transfer : null,
    fee: typeof fee === "object" ? fee : null,
  };
}

/** All reversals of a transfer, which itself carries the newest ten. */
export async function reversalsOf(transfer: Stripe.Transfer): Promise<Stripe.TransferReversal[]> {
  if (transfer.amount_reversed === 0) return [];
  if (transfer.reversals?.has_more === false) return transfer.reversals.data;
  return await callingStripe(() =>
    stripe().transfers.listReversals(transfer.id, { limit: 100 })
      .autoPagingToArray({ limit: MAX_OBJECTS })
  );
}

export async function feeRefundsOf(fee: Stripe.ApplicationFee): Promise<Stripe.FeeRefund[]> {
  if (fee.amount_refunded === 0) return [];
  if (fee.refunds?.has_more === false) return fee.refunds.data;
  return await callingStripe(() =>
    stripe().applicationFees.listRefunds(fee.id, { limit: 100 })
      .autoPagingToArray({ limit: MAX_OBJECTS })
  );
}

/** What was transferred for a purchase by our own request: after a dispute that was won. */
export async function transfersOf(purchaseId: string): Promise<Stripe.Transfer[]> {
  return await callingStripe(() =>
    stripe().transfers.list({ transfer_group: purchaseId, limit: 100 })
      .autoPagingToArray({ limit: MAX_OBJECTS })
  );
}
