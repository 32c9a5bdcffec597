/**
 * The pages Stripe sends people back to. They are fixed paths on our own origin: nothing in them comes from a request,
 * so there is no open redirect to guard against.
 */
export interface ReturnUrls {
  checkoutSuccess: string;
  checkoutCancelled: string;
  portal: string;
  creditsSuccess: string;
  creditsCancelled: string;
}

/** `siteUrl` is the web client's origin, e.g. `https://chat.example.com`; a path in it is dropped. */
export function returnUrls(siteUrl: string): ReturnUrls {
  const origin = new URL(siteUrl).origin;
  return {
    // Stripe replaces the braces itself, so they must not be percent-encoded.
    checkoutSuccess: `${origin}/account?checkout=success&session_id={CHECKOUT_SESSION_ID}`,
    checkoutCancelled: `${origin}/pricing?checkout=cancelled`,
    portal: `${origin}/account?portal=return`,
    creditsSuccess: `${origin}/account?credits=success`,
    creditsCancelled: `${origin}/account?credits=cancelled`,
  };
}
