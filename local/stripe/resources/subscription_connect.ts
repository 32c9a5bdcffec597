/** What sends a part of each invoice of a subscription to a connected account. */
import { invalid } from "../engine/errors.ts";
import { obj, type Param, required, str, type Values } from "../engine/params.ts";
import type { Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { requireRecipient } from "../billing/accounts.ts";

/** Between 0 and 100, with at most two decimals. */
const percent = (): Param<number | undefined> => ({
  read(raw, path) {
    if (raw === undefined) return undefined;
    const isNumber = typeof raw === "string" && /^\d{1,3}(\.\d{1,2})?$/.test(raw);
    if (!isNumber || Number(raw) > 100) {
      throw invalid(
        `Invalid ${path}: it must be a non-negative decimal between 0 and 100, with at most two decimal places.`,
        path,
      );
    }
    return Number(raw);
  },
});

export const connectPercents = {
  application_fee_percent: percent(),
  transfer_data: obj({ amount_percent: percent(), destination: required(str()) }),
};
type Percents = Values<typeof connectPercents>;

export function percentFields(
  p: Percents,
): Pick<Subscription, "application_fee_percent" | "transfer_data"> {
  return {
    application_fee_percent: p.application_fee_percent ?? null,
    transfer_data: p.transfer_data
      ? {
        amount_percent: p.transfer_data.amount_percent ?? null,
        destination: p.transfer_data.destination,
      }
      : null,
  };
}

export function checkPercents(work: Work, p: Percents, at = (name: string) => name): void {
  const { application_fee_percent: fee, transfer_data: data } = p;
  if (fee !== undefined && !data) {
    throw invalid(
      "Can only apply an application_fee_percent when the request is made on behalf of another account (using an OAuth key, " +
        "the Stripe-Account header, or `transfer_data[destination]`).",
      at("application_fee_percent"),
    );
  }
  if (!data) return;
  if (fee !== undefined && data.amount_percent !== undefined) {
    throw invalid(
      `You may only specify one of these parameters: ${at("transfer_data")}[amount_percent], ${
        at("application_fee_percent")
      }.`,
      `${at("transfer_data")}[amount_percent]`,
      "parameters_exclusive",
    );
  }
  requireRecipient(work, data.destination, `${at("transfer_data")}[destination]`);
}
