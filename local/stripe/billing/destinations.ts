/** What a payment with a destination may ask for. https://docs.stripe.com/connect/destination-charges */
import { invalid } from "../engine/errors.ts";
import type { ConnectSpec } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { requireRecipient } from "./accounts.ts";

/** Refuses what Stripe refuses of a destination charge. `at`: the name of the hash the parameters are in. */
export function checkConnect(
  work: Work,
  spec: ConnectSpec,
  amount: number | null,
  at: (name: string) => string = (name) => name,
): void {
  const { application_fee_amount: fee, transfer_data: data } = spec;
  if (fee != null && !data) {
    throw invalid(
      "Can only apply an application_fee_amount when the PaymentIntent is attempting a direct payment (using an OAuth " +
        "key or Stripe-Account header) or destination payment (using `transfer_data[destination]`).",
      at("application_fee_amount"),
    );
  }
  if (!data) return;
  if (fee != null && data.amount !== undefined) {
    throw invalid(
      `You may only specify one of these parameters: ${at("transfer_data")}[amount], ${
        at("application_fee_amount")
      }.`,
      `${at("transfer_data")}[amount]`,
      "parameters_exclusive",
    );
  }
  requireRecipient(work, data.destination, `${at("transfer_data")}[destination]`);
  if (amount === null) return;
  if (fee != null && fee > amount) {
    throw invalid(
      `The application fee (${fee}) cannot be greater than the amount (${amount}).`,
      at("application_fee_amount"),
    );
  }
  if (data.amount !== undefined && data.amount > amount) {
    throw invalid(
      `The transfer amount (${data.amount}) cannot be greater than the amount (${amount}).`,
      `${at("transfer_data")}[amount]`,
    );
  }
}
