/** Test numbers of bank accounts that payouts go to. https://docs.stripe.com/connect/testing#account-numbers */
import { invalid } from "../engine/errors.ts";
import type { AccountHidden, BankAccount } from "../engine/types.ts";
import { newId } from "../engine/types.ts";

const WORKS = [
  "000123456789",
  "DE89370400440532013000",
  "AT611904300234573201",
  "BE12345678912345",
  "CH9300762011623852957",
  "ES0700120345030000067890",
  "FI2112345600000785",
  "FR1420041010050500013M02606",
  "GB82WEST12345698765432",
  "IE29AIBK93115212345678",
  "IT40S0542811101000000123456",
  "LU280019400644750000",
  "NL39RABO0300065264",
  "PT50000201231234567890154",
];
const FAILS: Record<string, { code: string; message: string }> = {
  "000111111116": { code: "no_account", message: "The bank account could not be located." },
  "DE62370400440532013001": {
    code: "no_account",
    message: "The bank account could not be located.",
  },
  "000111111113": { code: "account_closed", message: "The bank account has been closed." },
  "000222222227": {
    code: "insufficient_funds",
    message: "The account has insufficient funds to cover the transfer.",
  },
  "000333333335": {
    code: "debit_not_authorized",
    message: "Debit transactions are not approved on the bank account.",
  },
  "000444444440": {
    code: "invalid_currency",
    message: "The bank was unable to process this transfer because of its currency.",
  },
};

const EURO = "at be cy de ee es fi fr gr hr ie it lt lu lv mt nl pt si sk".split(" ");
const OTHER: Record<string, string> = { ch: "chf", gb: "gbp", dk: "dkk", se: "sek", no: "nok" };

export const currencyOfCountry = (country: string): string =>
  EURO.includes(country.toLowerCase()) ? "eur" : OTHER[country.toLowerCase()] ?? "usd";

/** A test account number or IBAN; any other is refused, as in Stripe's test mode. */
export function readBank(
  account: string,
  country: string,
  typed: string,
  holder: string | null = null,
): Pick<AccountHidden, "payout_failure"> & { bank: BankAccount } {
  const number = typed.replaceAll(/[\s-]/g, "").toUpperCase();
  const failure = FAILS[number] ?? null;
  if (!failure && !WORKS.includes(number)) {
    throw invalid(
      "You must use a test bank account number in test mode. Try 000123456789 or DE89370400440532013000.",
      "bank",
      "account_number_invalid",
    );
  }
  const isIban = /^[A-Z]/.test(number);
  const bank: BankAccount = {
    id: newId("ba_"),
    object: "bank_account",
    account,
    account_holder_name: holder,
    account_holder_type: null,
    account_type: null,
    available_payout_methods: ["standard"],
    bank_name: "STRIPE TEST BANK",
    country: isIban ? number.slice(0, 2) : "US",
    currency: isIban ? currencyOfCountry(number.slice(0, 2)) : currencyOfCountry(country),
    default_for_currency: true,
    fingerprint: `sandbox${number.slice(-8)}`,
    last4: number.slice(-4),
    metadata: {},
    routing_number: isIban ? null : "110000000",
    status: "new",
  };
  return { bank, payout_failure: failure };
}
