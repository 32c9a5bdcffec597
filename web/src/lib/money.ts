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

function minorUnitsPerMajor(currency: string): number {
  const digits = new Intl.NumberFormat(LOCALE, {
    style: "currency",
    currency: currency.toUpperCase(),
  }).resolvedOptions().maximumFractionDigits ?? 2;
  return 10 ** digits;
}

/** What a year costs less when paid at once, in minor units; 0 when it is not cheaper. */
export function annualSavingMinor(monthlyMinor: number, yearlyMinor: number): number {
  return Math.max(0, monthlyMinor * 12 - yearlyMinor);
}

export function formatCount(value: number): string {
  return new Intl.NumberFormat(LOCALE).format(value);
}
