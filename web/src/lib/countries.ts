/** Where a creator can be paid to (docs.stripe.com/connect/cross-border-payouts, /global): the common ones. Pure. */

const CODES =
  "AT AU BE BG CA CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IT JP LI LT LU LV MT NL NO NZ PL PT RO SE SG SI SK US"
    .split(" ");

export interface Country {
  code: string;
  name: string;
}

export function countries(): Country[] {
  const names = new Intl.DisplayNames("en-US", { type: "region" });
  return CODES.map((code) => ({ code, name: names.of(code) ?? code }))
    .toSorted((a, b) => a.name.localeCompare(b.name, "en-US"));
}

/** The reader's own, as their languages tell it; the first of the list otherwise. */
export function likelyCountry(languages: readonly string[]): string {
  for (const language of languages) {
    const region = regionOf(language);
    if (region && CODES.includes(region)) return region;
  }
  return "US";
}

function regionOf(language: string): string | null {
  try {
    return new Intl.Locale(language).maximize().region ?? null;
  } catch {
    return null;
  }
}
