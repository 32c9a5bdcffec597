/** The pages' own parts, without a sandbox behind them. */
import assert from "node:assert/strict";
import { filled, readCard } from "./fields.ts";
import { money, priceText } from "./format.ts";
import { refusal } from "../../loopback.ts";
import { policy, webUrl } from "./guard.ts";
import { Flashes, Once } from "./memory.ts";

const post = (headers: Record<string, string>, url = "http://127.0.0.1:12111/c/pay/cs_1") =>
  refusal(new Request(url, { method: "POST", headers }));

Deno.test("a form of another site is refused", () => {
  assert.equal(post({ origin: "http://evil.test" })?.status, 403);
  assert.equal(post({ origin: "null" })?.status, 403);
  assert.equal(post({ "sec-fetch-site": "cross-site" })?.status, 403);
  assert.equal(post({ "sec-fetch-site": "same-site" })?.status, 403);
  assert.equal(post({ origin: "http://127.0.0.1:3000" })?.status, 403, "the app is another origin");
});

Deno.test("our own form and a client that is no browser are accepted", () => {
  assert.equal(post({ origin: "http://127.0.0.1:12111", "sec-fetch-site": "same-origin" }), null);
  assert.equal(post({}), null);
});

Deno.test("a name that is not loopback is answered by nothing, not even a page", () => {
  const request = new Request("http://rebound.evil.test:12111/_sandbox/ui/customers");
  assert.equal(refusal(request)?.status, 421);
});

Deno.test("the policy allows forms to lead to the session's own origins only, and no inline script", () => {
  const csp = policy([
    "https://shop.test/ok?x=1",
    "http://[::1]:3000/back",
    "javascript:alert(1)",
    null,
  ]);
  assert.match(csp, /form-action 'self' https:\/\/shop\.test http:;/);
  assert.doesNotMatch(csp, /unsafe|javascript/);
});

Deno.test("a stored address that is not of the web leads nowhere", () => {
  assert.equal(webUrl("javascript:alert(1)"), null);
  assert.equal(webUrl("/relative"), null);
  assert.equal(webUrl("https://shop.test/a"), "https://shop.test/a");
});

Deno.test("amounts follow the currency's own decimals", () => {
  assert.equal(money(1500, "usd"), "$15.00");
  assert.equal(money(1500, "jpy"), "¥1,500");
  assert.equal(money(1500, "kwd").replaceAll(/\s/g, " "), "KWD 1.500");
  const price = {
    unit_amount: 1500,
    currency: "usd",
    interval: "month" as const,
    interval_count: 3,
  };
  assert.equal(priceText(price, 2), "$30.00 every 3 months");
});

Deno.test("a card is read from how people type it", () => {
  const form = new URLSearchParams({ number: "4242 4242-42424242", expiry: "1/30", cvc: "123" });
  assert.deepEqual(readCard(form), {
    card: { number: "4242424242424242", exp_month: 1, exp_year: 2030, cvc: "123" },
  });
  const bad = readCard(new URLSearchParams({ number: "abc", expiry: "13/30", cvc: "" }));
  assert.deepEqual("problems" in bad && bad.problems.map((problem) => problem.field), [
    "number",
    "expiry",
    "cvc",
  ]);
});

Deno.test("a test card can be filled in without the script, and keeps what was typed", () => {
  const form = new URLSearchParams({ fill: "declined", email: "ada@example.com", cvc: "987" });
  const values = filled(form, new Date("2026-11-22"));
  assert.deepEqual(values, {
    email: "ada@example.com",
    method: "new",
    number: "4000 0000 0000 0002",
    expiry: "12 / 30",
    cvc: "123",
  });
});

Deno.test("a message is shown on the page it was left for and on no other", () => {
  const flashes = new Flashes();
  const url = new URL(flashes.leave("/c/pay/cs_1", { notice: "hello" }), "http://127.0.0.1");
  const token = url.searchParams.get("note") ?? "";
  assert.deepEqual(flashes.read("/c/pay/cs_1", token), { notice: "hello" });
  assert.deepEqual(flashes.read("/c/pay/cs_2", token), {});
  assert.deepEqual(flashes.read("/c/pay/cs_1", "guess"), {});
});

Deno.test("the same form sent twice acts once, a changed one acts again", () => {
  const once = new Once();
  let acted = 0;
  const send = (number: string) =>
    once.run("/pay", new URLSearchParams({ form_token: "t", number }), () => `/done/${++acted}`);
  assert.equal(send("1"), "/done/1");
  assert.equal(send("1"), "/done/1");
  assert.equal(send("2"), "/done/2");
});
