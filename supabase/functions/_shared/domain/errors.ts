/** Every refusal a function can answer, with its HTTP status. The same strings appear in docs/api.md and in the web client. */
export const ERROR_STATUS = {
  invalid_request: 400,
  signature_invalid: 400,
  unauthorized: 401,
  payment_failed: 402,
  licence_required: 403,
  overage_not_available: 403,
  seller_required: 403,
  licence_not_found: 404,
  listing_not_found: 404,
  price_not_found: 404,
  message_not_found: 404,
  method_not_allowed: 405,
  account_deleted: 409,
  already_on_price: 409,
  already_owned: 409,
  already_subscribed: 409,
  change_in_progress: 409,
  checkout_superseded: 409,
  confirmation_wrong: 409,
  currency_mismatch: 409,
  customer_not_found: 409,
  licence_ended: 409,
  licence_unpaid: 409,
  listing_not_available: 409,
  not_monthly: 409,
  own_listing: 409,
  preview_expired: 409,
  purchase_processing: 409,
  seller_closed: 409,
  seller_paused: 409,
  subscription_ending: 409,
  subscription_not_found: 409,
  usage_held: 409,
  payload_too_large: 413,
  invalid_cap: 422,
  rate_limited: 429,
  internal_error: 500,
  not_configured: 500,
  billing_unavailable: 502,
  stripe_shape_unknown: 502,
  price_mismatch: 503,
  rate_limit_unavailable: 503,
  tax_not_configured: 503,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** What a client may do about a refusal: the function to call next, and with what. */
export type NextAction =
  | { function: "portal"; flow?: "update" | "cancel" | "payment_method" }
  | { function: "subscription"; action?: "resume" };

/**
 * A refusal with a code. Thrown anywhere below `http.ts`, which alone turns it into a response.
 * `message` is shown to people; `cause` is only logged.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly action: NextAction | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { action?: NextAction; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.status = ERROR_STATUS[code];
    this.action = options.action;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
