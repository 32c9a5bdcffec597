/** Stripe's error shapes: https://docs.stripe.com/api/errors and https://docs.stripe.com/error-codes. */

export type ErrorType =
  | "api_error"
  | "card_error"
  | "idempotency_error"
  | "invalid_request_error"
  | "rate_limit"
  | "temporary_session_expired";

export interface ErrorBody {
  /** Most errors of `/v2` have a code and no type. */
  type?: ErrorType;
  message: string;
  code?: string;
  param?: string;
  decline_code?: string;
  charge?: string;
  doc_url?: string;
  request_log_url?: string;
  payment_intent?: unknown;
  setup_intent?: unknown;
  payment_method?: unknown;
}

/** An answer that is an error. `keepWrites`: a declined card is recorded (intent, charge, events) although it is a 402. */
export class StripeError extends Error {
  constructor(
    readonly status: number,
    readonly body: ErrorBody,
    readonly keepWrites = false,
    /** Of the answer; `stripe-should-retry` tells the SDK what its own rules would not. */
    readonly headers: Record<string, string> = {},
  ) {
    super(body.message);
    if (body.code && body.type) {
      body.doc_url = `https://stripe.com/docs/error-codes/${body.code.replaceAll("_", "-")}`;
    }
  }
}

export function invalid(message: string, param?: string, code?: string): StripeError {
  return new StripeError(400, { type: "invalid_request_error", message, param, code });
}

/** 404 when the id stands in the path, 400 when it was a parameter, as at Stripe. */
export function missing(kind: string, id: string, param: string): StripeError {
  const status = param === "id" ? 404 : 400;
  const message = `No such ${kind}: '${id}'`;
  return new StripeError(status, {
    type: "invalid_request_error",
    code: "resource_missing",
    message,
    param,
  });
}

export function unauthorized(message: string): StripeError {
  return new StripeError(401, { type: "invalid_request_error", message });
}

export function unrecognized(method: string, path: string): StripeError {
  const message =
    `Unrecognized request URL (${method}: ${path}). Please see https://stripe.com/docs or we can help at ` +
    "https://support.stripe.com/.";
  return new StripeError(404, { type: "invalid_request_error", message });
}

/** Acting as the platform instead would be an invented success. */
export function noAccount(account: string): StripeError {
  return new StripeError(403, {
    type: "invalid_request_error",
    code: "account_invalid",
    message:
      `The provided key does not have access to account '${account}' (or that account does not exist).`,
  });
}
