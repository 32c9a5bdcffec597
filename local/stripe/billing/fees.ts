/** Application fees: what the platform takes of a connected account's payment, and gives back. */
import { listOf } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import { type ApplicationFee, type FeeRefund, newId, type Transfer } from "../engine/types.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { availableWith, record } from "./balance.ts";
import type { TransferSpec } from "./transfers.ts";

/** The platform as an application, as fees name it. */
export const APPLICATION = "ca_TollgateSandboxPlatform000000";

interface Collected {
  id: string;
  payment: string;
  spec: TransferSpec;
  available_on?: number;
}

export function collectFee(
  work: Work,
  { id, payment, spec, available_on }: Collected,
): ApplicationFee {
  const { fee: amount = 0, currency, destination, source } = spec;
  const entry = { amount, currency, source: id, available_on };
  const taken = record(work, {
    ...entry,
    type: "application_fee",
    reporting_category: "platform_earning",
  });
  return work.create(
    "application_fee",
    {
      id,
      object: "application_fee",
      account: destination,
      amount,
      amount_refunded: 0,
      application: APPLICATION,
      balance_transaction: taken.id,
      charge: payment,
      created: worldNow(work.store),
      currency,
      fee_source: { charge: payment, type: "charge" },
      livemode: false,
      originating_transaction: source?.id ?? null,
      refunded: false,
      refunds: listOf([], `/v1/application_fees/${id}/refunds`),
    },
    {},
    { event: "application_fee.created" },
  );
}

export function feeOf(work: Work, of: Transfer): ApplicationFee | null {
  const [fee] = work.store.all("application_fee", { charge: of.destination_payment ?? "" });
  if (!fee) {
    throw invalid(
      `Transfer ${of.id} has no application fee to refund.`,
      "refund_application_fee",
    );
  }
  return fee;
}

/** How much of something goes back: before this, by this, of all. */
export interface Part {
  before: number;
  by: number;
  of: number;
}

/** Proportional, so that the parts of all of it add up to all of it; never more than is left. */
export function share(total: number, gone: number, { before, by, of }: Part): number {
  const upTo = (amount: number) => Math.round((total * amount) / of);
  return Math.min(total - gone, upTo(before + by) - upTo(before));
}

export function refundShare(work: Work, fee: ApplicationFee, part: Part): FeeRefund | null {
  const amount = share(fee.amount, fee.amount_refunded, part);
  return amount > 0 ? refundFee(work, fee.id, amount, {}) : null;
}

export function refundFee(
  work: Work,
  id: string,
  wanted: number | undefined,
  metadata: Record<string, string>,
): FeeRefund {
  const old = work.require("application_fee", id);
  const left = old.amount - old.amount_refunded;
  if (left === 0) {
    throw invalid(`Application fee ${id} has already been refunded.`, undefined);
  }
  const amount = wanted ?? left;
  if (amount > left) {
    throw invalid(
      `Refund amount (${amount}) is greater than unrefunded amount on application fee (${left})`,
      "amount",
    );
  }
  const refund = newId("fr_");
  const entry = {
    currency: old.currency,
    source: refund,
    available_on: availableWith(work, old.balance_transaction),
  };
  const paid = record(work, {
    ...entry,
    type: "application_fee_refund",
    reporting_category: "platform_earning_refund",
    amount: -amount,
  });
  const description = `${work.settings.merchantName} application fee refund`;
  record(work.as(old.account), {
    ...entry,
    type: "adjustment",
    reporting_category: "fee",
    amount,
    description,
  });
  const made = work.create("fee_refund", {
    id: refund,
    object: "fee_refund",
    amount,
    balance_transaction: paid.id,
    created: worldNow(work.store),
    currency: old.currency,
    fee: id,
    metadata,
  }, {});
  const amount_refunded = old.amount_refunded + amount;
  work.change("application_fee", id, {
    amount_refunded,
    refunded: amount_refunded === old.amount,
    refunds: { ...old.refunds, data: [made, ...old.refunds.data].slice(0, 10) },
  }, "application_fee.refunded");
  return made;
}
