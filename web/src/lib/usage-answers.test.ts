import { deepEqual, equal } from "node:assert/strict";
import * as z from "zod/mini";
import { creditPacksAnswer, notificationEmailsAnswer } from "./usage-answers.ts";

const PACK = {
  lookup_key: "credits_50",
  name: "Credit pack 50",
  currency: "usd",
  price_minor: 5000,
  credit_minor: "5500",
  expires_days: 365,
};

Deno.test("a credit pack is offered once in each of its currencies, at the price it has there", () => {
  const packs = z.parse(creditPacksAnswer, [{
    ...PACK,
    credit_pack_currency_options: [{ currency: "eur", price_minor: 4800, credit_minor: 5300 }],
  }, { ...PACK, lookup_key: "credits_usd", credit_pack_currency_options: [] }]);
  deepEqual(
    packs.map((pack) => [pack.lookupKey, pack.currency, pack.priceMinor, pack.creditMinor]),
    [
      ["credits_50", "usd", 5000, 5500],
      ["credits_50", "eur", 4800, 5300],
      ["credits_usd", "usd", 5000, 5500],
    ],
  );
});

Deno.test("whether e-mails are sent is understood, and nothing else", () => {
  deepEqual(z.parse(notificationEmailsAnswer, { available: true, enabled: false }), {
    isAvailable: true,
    isEnabled: false,
  });
  equal(z.safeParse(notificationEmailsAnswer, { available: "yes" }).success, false);
});
