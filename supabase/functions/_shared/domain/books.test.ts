import assert from "node:assert/strict";
import { comparisons, toBooks } from "./books.ts";

const BALANCE = JSON.parse(
  '{"available":[{"amount":100,"currency":"usd"}],"pending":[{"amount":500,"currency":"usd"}]}',
);
const TRANSFERS = JSON.parse(
  '[{"amount":900,"amount_reversed":300,"currency":"usd"},{"amount":50,"amount_reversed":0,"currency":"eur"}]',
);
const LEDGER = [{ currency: "usd", balance: 600, transferred: 900, reversed: 300 }];

Deno.test("every currency that either side knows is compared, by balance and by transfers", () => {
  assert.deepEqual(comparisons("acct_1", LEDGER, toBooks(BALANCE, TRANSFERS, true)), [
    { subject: "acct_1:balance", currency: "eur", ledger: 0, stripe: 0 },
    { subject: "acct_1:transfers", currency: "eur", ledger: 0, stripe: 50 },
    { subject: "acct_1:balance", currency: "usd", ledger: 600, stripe: 600 },
    { subject: "acct_1:transfers", currency: "usd", ledger: 600, stripe: 600 },
  ]);
});

Deno.test("transfers that could not all be read are not compared", () => {
  const subjects = comparisons("acct_1", LEDGER, toBooks(BALANCE, TRANSFERS, false))
    .map(({ subject }) => subject);
  assert.deepEqual(subjects, ["acct_1:balance"]);
});
