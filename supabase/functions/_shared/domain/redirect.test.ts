import assert from "node:assert/strict";
import { returnUrls } from "./redirect.ts";

Deno.test("Stripe returns to fixed paths on our origin, its placeholder intact", () => {
  assert.deepEqual(returnUrls("https://chat.example.com/some/path?x=1"), {
    checkoutSuccess:
      "https://chat.example.com/account?checkout=success&session_id={CHECKOUT_SESSION_ID}",
    checkoutCancelled: "https://chat.example.com/pricing?checkout=cancelled",
    portal: "https://chat.example.com/account?portal=return",
    creditsSuccess: "https://chat.example.com/account?credits=success",
    creditsCancelled: "https://chat.example.com/account?credits=cancelled",
  });
});
