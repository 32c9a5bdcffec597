const LOCALE = "en-US";

/**
 * Formats integer minor units. The number of decimals belongs to the currency (JPY has none), so it is
 * asked of Intl and never assumed to be two.
 */
export function formatMoney(amountMinor: number, currency: string): string {
  const format = new Intl.NumberFormat(LOCALE, {
    style: "currency",
    currency: currency.toUpperCase(),
    trailingZeroDisplay: "stripIfInteger",
  });
  return format.format(amountMinor / minorUnitsPerMajor(currency));
}

/** The same with all its decimals and a real minus sign, for amounts that stand below each other. */
export function formatExact(amountMinor: number, currency: string): string {
  const format = new Intl.NumberFormat(LOCALE, {
    style: "currency",
    currency: currency.toUpperCase(),
  });
  return format.format(amountMinor / minorUnitsPerMajor(currency)).replace("-", "−");
}

/** The same where a unit may cost less than the smallest coin: `$0.02`, `$0.015`. */
export function formatUnit(amountMinor: number, currency: string): string {
  const digits = decimalsOf(currency);
  const format = new Intl.NumberFormat(LOCALE, {
    style: "currency",
    currency: currency.toUpperCase(),
    minimumFractionDigits: digits,
    maximumFractionDigits: digits + 6,
  });
  return format.format(Number(minorToDecimal(amountMinor, currency)));
}

/** In the currency's main unit, exactly: 1.5 cents are `0.015`. For exports, where a float would show its tail. */
export function minorToDecimal(amountMinor: number, currency: string): string {
  const digits = decimalsOf(currency);
  const millionths = Math.round(Math.abs(amountMinor) * 1e6);
  const text = String(millionths).padStart(digits + 7, "0");
  const point = text.length - digits - 6;
  const kept = text.slice(point).slice(0, digits);
  const rest = text.slice(point).slice(digits).replace(/0+$/, "");
  const decimals = kept + rest;
  return `${amountMinor < 0 ? "-" : ""}${text.slice(0, point)}${decimals && `.${decimals}`}`;
}

/**
 * Reads an amount that somebody typed (`15`, `15.50`, `15,50`, `$1,500`) as minor units; null when it is not one of
 * this currency.
 */
export function parseMoney(text: string, currency: string): number | null {
  const bare = text.replace(/[\s\p{Sc}]/gu, "");
  const isGrouped = /^\d{1,3}(,\d{3})+(\.\d+)?$/.test(bare);
  const plain = isGrouped ? bare.replaceAll(",", "") : bare.replace(",", ".");
  const match = /^(\d{1,12})(?:\.(\d*))?$/.exec(plain);
  const digits = decimalsOf(currency);
  const decimals = match?.[2] ?? "";
  if (!match || decimals.length > digits) return null;
  return Number(`${match[1]}${decimals.padEnd(digits, "0")}`);
}

/** What a field for money begins with: no symbol, and no decimals that say nothing. */
export function moneyInput(amountMinor: number, currency: string): string {
  const amount = minorToDecimal(amountMinor, currency);
  return amount.replace(/\.0+$/, "");
}

/** `$`, `€`, `CHF`: what stands before an amount. */
export function currencySymbol(currency: string): string {
  const parts = new Intl.NumberFormat(LOCALE, {
    style: "currency",
    currency: currency.toUpperCase(),
  }).formatToParts(0);
  return parts.find((part) => part.type === "currency")?.value ?? currency.toUpperCase();
}

export function minorUnitsPerMajor(currency: string): number {
  return 10 ** decimalsOf(currency);
}

function decimalsOf(currency: string): number {
  return new Intl.NumberFormat(LOCALE, {
    style: "currency",
    currency: currency.toUpperCase(),
  }).resolvedOptions().maximumFractionDigits ?? 2;
}

/** What a year costs less when paid at once, in minor units; 0 when it is not cheaper. */
export function annualSavingMinor(monthlyMinor: number, yearlyMinor: number): number {
  return Math.max(0, monthlyMinor * 12 - yearlyMinor);
}

export function formatCount(value: number): string {
  return new Intl.NumberFormat(LOCALE).format(value);
}
