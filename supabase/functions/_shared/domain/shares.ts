/**
 * Shares of money that goes back, in minor units. Each is proportional, and the last one takes whatever is left, so that the
 * parts of a whole add up to it to the cent.
 */

/** What of our fee goes back to the creator with a part of their transfer. `back`: this part; `left`: all not taken back yet. */
export function feeShare(
  fee: { amount: number; refunded: number },
  transfer: { amount: number; left: number; back: number },
): number {
  const rest = fee.amount - fee.refunded;
  if (transfer.back >= transfer.left) return rest;
  return Math.min(rest, Math.round((fee.amount * transfer.back) / transfer.amount));
}

/** What to take back of what a creator was paid again after a dispute, when `refunded` of the `refundable` is given back. */
export function repaidShare(left: number, refunded: number, refundable: number): number {
  if (refunded >= refundable) return left;
  return Math.min(left, Math.round((left * refunded) / refundable));
}
