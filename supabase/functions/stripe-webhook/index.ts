import { takeWebhook } from "../_shared/billing/inbox.ts";
import { signedFunction } from "../_shared/http.ts";

/** Stripe's events are far below this; anything larger is not from Stripe. */
const MAX_EVENT_BYTES = 1024 * 1024;

/**
 * Called by Stripe. 200 when the event is dealt with or of no interest, 400 only for a bad signature, 5xx when it must be
 * delivered again.
 */
export default {
  fetch: signedFunction("stripe-webhook", { maxBytes: MAX_EVENT_BYTES }, takeWebhook),
};
