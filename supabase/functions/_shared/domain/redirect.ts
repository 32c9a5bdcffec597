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
  purchaseSuccess: string;
  onboardingReturn: string;
  onboardingRefresh: string;
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
    purchaseSuccess: `${origin}/library?purchase=success&session_id={CHECKOUT_SESSION_ID}`,
    onboardingReturn: `${origin}/sell?onboarding=return`,
    onboardingRefresh: `${origin}/sell?onboarding=refresh`,
  };
}

/** Back to the listing that was not bought. `listingId` is the id of our row, never text of a request. */
export function purchaseCancelledUrl(siteUrl: string, listingId: string): string {
  return `${new URL(siteUrl).origin}/marketplace/${
    encodeURIComponent(listingId)
  }?purchase=cancelled`;
}
