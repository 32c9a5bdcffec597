import { deepEqual, equal } from "node:assert/strict";
import {
  agentOfChat,
  buyPath,
  checkoutPath,
  isUuid,
  newChatPath,
  safePath,
  withNext,
} from "./paths.ts";

Deno.test("a path on our own origin is kept with its query", () => {
  equal(safePath("/checkout/pro_monthly?x=1#y"), "/checkout/pro_monthly?x=1#y");
});

Deno.test("a link cannot send a person to another origin", () => {
  for (
    const next of [
      "//evil.test",
      "/\\evil.test",
      "https://evil.test",
      "javascript:alert(1)",
      "/a\n//b",
    ]
  ) {
    equal(safePath(next), "/chat", next);
  }
  equal(safePath(null), "/chat");
  equal(safePath("", "/account"), "/account");
});

Deno.test("links to sign in carry the way back only when it matters", () => {
  equal(withNext("/sign-in", "/chat"), "/sign-in");
  equal(withNext("/sign-up", "/checkout/pro_monthly"), "/sign-up?next=%2Fcheckout%2Fpro_monthly");
  equal(checkoutPath("a/b"), "/checkout/a%2Fb");
});

Deno.test("only a UUID is asked of the database", () => {
  equal(isUuid("0198c1a4-1111-4222-8333-abcdefabcdef"), true);
  equal(isUuid("new"), false);
});

Deno.test("another currency than the price's own travels to checkout, and through signing up", () => {
  const price = { lookupKey: "pro_monthly", currency: "eur", ownCurrency: "usd" };
  equal(buyPath(price), "/checkout/pro_monthly?currency=eur");
  equal(buyPath({ ...price, currency: "usd" }), "/checkout/pro_monthly");
  equal(safePath(buyPath(price)), buyPath(price));
});

Deno.test("a new conversation with an agent has an address, and a wrong one asks for nobody", () => {
  const id = "9b2f6e30-7c1d-4a7e-8f53-0d5c8f4f1a2b";
  const asked = (path: string) => agentOfChat(new URL(path, "http://own.invalid").searchParams);
  deepEqual(asked(newChatPath({ listing: id })), { kind: "listing", id });
  deepEqual(asked(newChatPath({ agent: id })), { kind: "agent", id });
  equal(asked("/chat?listing=1%20or%201"), null);
  equal(asked("/chat"), null);
});
