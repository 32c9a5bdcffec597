/** What Stripe's SDK said, without its classes: `status` is null when no answer came. */
export interface StripeRefusal {
  status: number | null;
  code: string | null;
  message: string;
}

export type SendFailure =
  | { kind: "delivered" }
  | { kind: "rejected"; reason: string }
  | { kind: "retry"; reason: string; notAccepted: boolean };

/**
 * What a refused meter event means. 400 because the identifier is known is delivered; every other 4xx will not pass by
 * itself and is put aside with its reason; 429 was surely not taken; a 5xx or no answer may have been.
 *
 * Stripe gives the repeat no code of its own, so its words have to do: "An event already exists with identifier …"
 * (docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api). Keys that are refused (401, 403) are our own
 * configuration: nothing is lost while it is being mended.
 */
export function toFailure(refusal: StripeRefusal, identifier: string): SendFailure {
  const { status, code, message } = refusal;
  const reason = `${status ?? "no answer"} ${code ?? ""}: ${message}`.slice(0, 500);
  if (status === null || status >= 500) return { kind: "retry", reason, notAccepted: false };
  if (status === 400 && /already exists/i.test(message) && message.includes(identifier)) {
    return { kind: "delivered" };
  }
  if ([401, 403, 409, 429].includes(status)) return { kind: "retry", reason, notAccepted: true };
  return { kind: "rejected", reason };
}

/**
 * What a refused adjustment means. It has no identifier of its own: Stripe answers 400 when there is nothing to cancel, also
 * because it is cancelled already. After an attempt of which nobody knows how it ended that is what it means; were it not so, the
 * scheduled check would find the event still counted.
 */
export function toAdjustmentFailure(refusal: StripeRefusal, doubtful: boolean): SendFailure {
  const failure = toFailure(refusal, "");
  const isNothingToCancel = failure.kind === "rejected" && refusal.status === 400;
  return isNothingToCancel && doubtful ? { kind: "delivered" } : failure;
}
