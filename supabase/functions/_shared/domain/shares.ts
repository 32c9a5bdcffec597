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

/**
 * What to take back of what a creator was paid again after a dispute was won. Refunds take their share of the charge's own
 * transfer (`amount`) as far as it is there; the dispute had taken `disputed` of it. What is beyond both, they should have taken
 * from the `repaid`, of which `left` is there: in proportion, and all of it once all of the charge is refunded.
 */
export function repaidExcess(
  { amount, disputed, refunded, charged, repaid, left }: {
    amount: number;
    disputed: number;
    refunded: number;
    charged: number;
    repaid: number;
    left: number;
  },
): number {
  const beyond = Math.round((amount * refunded) / charged) + disputed - amount;
  if (beyond <= 0 || disputed === 0) return 0;
  const keeps = repaid - Math.round((repaid * Math.min(beyond, disputed)) / disputed);
  return Math.max(0, left - keeps);
}
