import assert from "node:assert/strict";
import { purchaseCancelledUrl, returnUrls } from "./redirect.ts";

Deno.test("Stripe returns to fixed paths on our origin, its placeholder intact", () => {
  assert.deepEqual(returnUrls("https://chat.example.com/some/path?x=1"), {
    checkoutSuccess:
      "https://chat.example.com/account?checkout=success&session_id={CHECKOUT_SESSION_ID}",
    checkoutCancelled: "https://chat.example.com/pricing?checkout=cancelled",
    portal: "https://chat.example.com/account?portal=return",
    creditsSuccess: "https://chat.example.com/account?credits=success",
    creditsCancelled: "https://chat.example.com/account?credits=cancelled",
    purchaseSuccess:
      "https://chat.example.com/library?purchase=success&session_id={CHECKOUT_SESSION_ID}",
    onboardingReturn: "https://chat.example.com/sell?onboarding=return",
    onboardingRefresh: "https://chat.example.com/sell?onboarding=refresh",
  });
});

Deno.test("whatever a listing's id says, its page is on our origin", () => {
  assert.equal(
    purchaseCancelledUrl("https://chat.example.com/x", "7f0c6a4e"),
    "https://chat.example.com/marketplace/7f0c6a4e?purchase=cancelled",
  );
  const forged = new URL(purchaseCancelledUrl("https://chat.example.com", "//evil.example/?a#b"));
  assert.equal(forged.origin, "https://chat.example.com");
});
