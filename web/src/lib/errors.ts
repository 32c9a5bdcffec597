/** One error for the whole client. `code` is the same string as in SQL and in HTTP bodies. */

import { parseTime } from "./dates.ts";

/** What the database says with a refusal; `resetsAt` in milliseconds, null when nothing resets. */
export interface LimitDetails {
  metric: string;
  limit: number;
  used: number;
  resetsAt: number | null;
  plan: string;
}

/** What the database says when the spending cap is reached. */
export interface CapDetails {
  capMinor: number;
  spentMinor: number;
}

/** What the server suggests instead, e.g. the portal for a second subscription. */
export interface SuggestedAction {
  function: string;
  flow?: string;
}

interface ApiErrorFields {
  status?: number;
  requestId?: string | null;
  limit?: LimitDetails | null;
  cap?: CapDetails | null;
  action?: SuggestedAction | null;
  cause?: unknown;
}

export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly requestId: string | null;
  readonly limit: LimitDetails | null;
  readonly cap: CapDetails | null;
  readonly action: SuggestedAction | null;

  constructor(code: string, message: string, fields: ApiErrorFields = {}) {
    super(message, { cause: fields.cause });
    this.name = "ApiError";
    this.code = code;
    this.status = fields.status ?? 0;
    this.requestId = fields.requestId ?? null;
    this.limit = fields.limit ?? null;
    this.cap = fields.cap ?? null;
    this.action = fields.action ?? null;
  }
}

const LIMIT_CODES = new Set(["message_quota_exceeded", "agent_limit_reached"]);

/** Reads one field of an unknown value; getters of a prototype (DOMException's name) count too. */
function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** Reads `{code, message, details, hint}` of PostgREST; status 0 means that nothing was answered. */
export function fromRest(error: unknown, status: number): ApiError {
  if (status === 0) return fromNetwork(error);
  const code = status === 401 ? "unauthorized" : text(field(error, "code")) ?? `http_${status}`;
  const limit = LIMIT_CODES.has(code) ? parseLimitDetails(field(error, "details")) : null;
  const cap = code === "spending_cap_reached" ? parseCapDetails(field(error, "details")) : null;
  return new ApiError(code, text(field(error, "message")) ?? code, {
    status,
    limit,
    cap,
    cause: error,
  });
}

function parseDetails(details: unknown): unknown {
  if (typeof details !== "string") return details;
  try {
    return JSON.parse(details);
  } catch {
    return null;
  }
}

/** Reads the JSON text `{metric, cap_minor, spent_minor, currency, period_end}`; null when it is not that. */
function parseCapDetails(details: unknown): CapDetails | null {
  const value = parseDetails(details);
  const capMinor = Number(field(value, "cap_minor") ?? NaN);
  const spentMinor = Number(field(value, "spent_minor") ?? NaN);
  return Number.isFinite(capMinor) && Number.isFinite(spentMinor) ? { capMinor, spentMinor } : null;
}

/** Reads the JSON text `{metric, limit, used, resets_at, plan}`; null when it is not that. */
export function parseLimitDetails(details: unknown): LimitDetails | null {
  const value = parseDetails(details);
  const limit = Number(field(value, "limit"));
  const used = Number(field(value, "used"));
  const metric = text(field(value, "metric"));
  if (!metric || !Number.isFinite(limit) || !Number.isFinite(used)) return null;
  const resetsAt = parseTime(text(field(value, "resets_at")));
  return { metric, limit, used, resetsAt, plan: text(field(value, "plan")) ?? "" };
}

/** Reads `{error: {code, message, request_id, action?}}` of an Edge Function. */
export function fromFunction(status: number, body: unknown): ApiError {
  const error = field(body, "error");
  const code = text(field(error, "code")) ?? (status === 401 ? "unauthorized" : `http_${status}`);
  const action = field(error, "action");
  const name = text(field(action, "function"));
  return new ApiError(code, text(field(error, "message")) ?? code, {
    status,
    requestId: text(field(error, "request_id")),
    action: name ? { function: name, flow: text(field(action, "flow")) ?? undefined } : null,
  });
}

/** Reads an error of Supabase Auth, which carries `code` since 2024 and only a sentence before. */
export function fromAuth(error: unknown): ApiError {
  const status = Number(field(error, "status") ?? 0);
  const message = text(field(error, "message")) ?? "";
  if (status === 0 && field(error, "name") === "AuthRetryableFetchError") return fromNetwork(error);
  const code = text(field(error, "code")) ?? authCodeOf(message) ?? `http_${status}`;
  return new ApiError(code, message || code, { status, cause: error });
}

function authCodeOf(message: string): string | null {
  if (/invalid login credentials/i.test(message)) return "invalid_credentials";
  if (/already (been )?registered/i.test(message)) return "user_already_exists";
  if (/email not confirmed/i.test(message)) return "email_not_confirmed";
  if (/password should be/i.test(message)) return "weak_password";
  return null;
}

/** Nothing was answered: no network, a stopped server, or our own time-out. */
export function fromNetwork(cause: unknown): ApiError {
  const message = text(field(cause, "message")) ?? "";
  const late = field(cause, "name") === "TimeoutError" || /timed? ?out/i.test(message);
  return late
    ? new ApiError("timeout", "The server took too long to answer.", { cause })
    : new ApiError("network_unreachable", "The server could not be reached.", { cause });
}

export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError("unexpected", message, { cause: error });
}

/** A repeat could help: nothing was answered, or the other side is having a bad moment. */
export function isTransient(error: unknown): boolean {
  const { code, status } = toApiError(error);
  return code === "network_unreachable" || code === "timeout" || status >= 500;
}

export interface Explanation {
  title: string;
  /** What the reader can do now. */
  advice: string;
}

const EXPLANATIONS: Record<string, Explanation> = {
  network_unreachable: {
    title: "We cannot reach the server",
    advice: "Check your connection, then try again. Nothing you wrote is lost.",
  },
  timeout: {
    title: "That took too long",
    advice: "The server did not answer in time. Try again in a moment.",
  },
  rate_limited: {
    title: "That was too often in a short time",
    advice: "Wait a moment, then try again. Nothing was changed or charged.",
  },
  rate_limit_unavailable: {
    title: "The service is busy",
    advice: "Try again in a moment. Nothing was changed or charged.",
  },
  unauthorized: {
    title: "Your session has ended",
    advice: "Sign in again to go on where you were.",
  },
  message_quota_exceeded: {
    title: "You have used all of today’s messages",
    advice: "Wait for the reset, or move to a plan with more messages.",
  },
  spending_cap_reached: {
    title: "Your spending cap is reached",
    advice: "Raise the cap to go on, or wait for the reset. Nothing more is charged until then.",
  },
  overage_not_available: {
    title: "Pay as you go is not available",
    advice: "It needs an active subscription to a plan that offers it.",
  },
  invalid_cap: {
    title: "This spending cap cannot be used",
    advice: "Choose an amount above zero, and a smaller one if this is above what can be chosen.",
  },
  invalid_range: {
    title: "This range cannot be shown",
    advice: "Choose 400 days at most, the first one before the last.",
  },
  subscription_scheduled: {
    title: "A change of your plan is under way",
    advice: "Take it back first, or wait until it has happened.",
  },
  agent_limit_reached: {
    title: "Your plan has no room for another agent",
    advice: "Delete an agent, or move to a plan with more.",
  },
  price_not_found: {
    title: "This price is no longer offered",
    advice: "Choose again from the current plans.",
  },
  price_mismatch: {
    title: "This plan cannot be bought right now",
    advice: "Nothing was charged. Choose another one, or try again later.",
  },
  already_subscribed: {
    title: "You already have a subscription",
    advice: "Change its plan instead, so that you are never billed twice.",
  },
  subscription_not_found: {
    title: "There is no subscription to change",
    advice: "It has ended, or it never began. Reload the page to see your present plan.",
  },
  account_deleted: {
    title: "This account is being deleted",
    advice: "Nothing can be bought with it any more, and nothing was charged.",
  },
  confirmation_wrong: {
    title: "That is not the address of this account",
    advice: "Nothing was deleted. Type the address exactly as it is shown.",
  },
  already_on_price: {
    title: "You are on this plan already",
    advice: "Nothing was changed and nothing was charged.",
  },
  change_in_progress: {
    title: "Another change is being made",
    advice: "Nothing was charged for this one. Wait a moment, then look at your plan again.",
  },
  usage_held: {
    title: "Not possible for some minutes",
    advice: "We are repairing something on our side. Nothing was changed and nothing was charged.",
  },
  subscription_ending: {
    title: "Your subscription is set to end",
    advice: "Resume it first, then change the plan. Nothing was charged.",
  },
  preview_expired: {
    title: "The calculation is out of date",
    advice: "Nothing was charged. Have it calculated again, then confirm.",
  },
  payment_failed: {
    title: "The payment did not go through",
    advice: "Your plan stays as it was. Use another payment method, then try again.",
  },
  checkout_superseded: {
    title: "You started another checkout",
    advice: "Finish the newer one, or start again from here.",
  },
  customer_not_found: {
    title: "There is nothing to manage yet",
    advice: "Billing opens with your first subscription. Choose a plan to begin.",
  },
  billing_unavailable: {
    title: "Billing does not answer right now",
    advice: "You have not been charged. Try again in a minute.",
  },
  seller_required: {
    title: "Set up your creator account first",
    advice: "It takes a few minutes on Stripe’s page. Then you can offer what you made.",
  },
  seller_paused: {
    title: "Sales of this creator are paused",
    advice: "Nothing was charged. They begin again when Stripe has what it needs.",
  },
  seller_closed: {
    title: "This creator account is closed",
    advice: "Write to us if you think that is a mistake.",
  },
  listing_not_found: {
    title: "There is no such listing",
    advice: "It was deleted, or it was never published.",
  },
  listing_not_available: {
    title: "This is not for sale at the moment",
    advice: "Nothing was charged. Its creator has taken it from the marketplace.",
  },
  listing_incomplete: {
    title: "The listing is not complete",
    advice: "Give it a title, a price, and an agent with instructions; then publish it.",
  },
  listing_published: {
    title: "How it is sold cannot change any more",
    advice: "Withdraw this listing and make another one.",
  },
  price_too_low: {
    title: "The price is too low",
    advice: "It is below the least that can be charged in this currency.",
  },
  own_listing: {
    title: "This is your own listing",
    advice: "The agent is yours already. Nothing was charged.",
  },
  already_owned: {
    title: "You have this already",
    advice: "It is in your library. Nothing was charged.",
  },
  purchase_processing: {
    title: "Your payment for this is on its way",
    advice: "It is in your library as soon as it arrives. You do not need to pay again.",
  },
  licence_required: {
    title: "You no longer have this agent",
    advice: "Its licence is not active. Your library says why.",
  },
  licence_not_found: {
    title: "There is no such licence",
    advice: "Reload the library to see what you have.",
  },
  licence_ended: {
    title: "This licence has ended",
    advice: "Buy it again to go on with it.",
  },
  nothing_to_clone: {
    title: "There is nothing to copy",
    advice: "This is no agent.",
  },
  not_monthly: {
    title: "There is nothing to cancel",
    advice: "It was bought once and does not renew.",
  },
  message_not_found: {
    title: "That message is gone",
    advice: "Reload the conversation to see its present state.",
  },
  invalid_credentials: {
    title: "E-mail or password is not right",
    advice: "Check both and try again, or create an account.",
  },
  user_already_exists: {
    title: "There is already an account with this e-mail",
    advice: "Sign in instead.",
  },
  email_not_confirmed: {
    title: "Your e-mail is not confirmed yet",
    advice: "Open the link in the message we sent you, then sign in.",
  },
  weak_password: {
    title: "This password is too easy to guess",
    advice: "Use a longer one; a few unrelated words work well.",
  },
  email_address_invalid: {
    title: "This e-mail address cannot be used",
    advice: "Check it for typing mistakes.",
  },
  over_request_rate_limit: {
    title: "Too many tries",
    advice: "Wait a minute, then try again.",
  },
  signup_disabled: {
    title: "New accounts are closed at the moment",
    advice: "Write to us if you need access.",
  },
};

const ALIASES: Record<string, string> = {
  email_exists: "user_already_exists",
  validation_failed: "email_address_invalid",
  over_email_send_rate_limit: "over_request_rate_limit",
  session_not_found: "unauthorized",
  PGRST301: "unauthorized",
};

/** What happened in a sentence, and what to do about it. An unknown code still gets honest words. */
export function explain(error: unknown): Explanation {
  const { code, status } = toApiError(error);
  const known = EXPLANATIONS[ALIASES[code] ?? code];
  if (known) return known;
  return {
    title: "Something went wrong on our side",
    advice: status >= 400 && status < 500
      ? `The request was refused (${code}). Try again; if it stays, write to us.`
      : "Try again; if it stays, write to us.",
  };
}
