/**
 * Where tax is due and at what rate: one fixed standard rate per place, whatever is sold. The rates are those of 2026; a
 * sandbox wants the same number every time, not the newest.
 */
import type { TaxRate } from "../engine/types.ts";

export interface Place {
  country: string;
  /** Only of the United States. */
  state: string | null;
}

/** Per cent. https://taxation-customs.ec.europa.eu (standard rates) */
const EU: Record<string, number> = {
  ...{ AT: 20, BE: 21, BG: 20, CY: 19, CZ: 21, DE: 19, DK: 25, EE: 24, ES: 21, FI: 25.5 },
  ...{ FR: 20, GR: 24, HR: 25, HU: 27, IE: 23, IT: 22, LT: 21, LU: 17, LV: 21, MT: 18 },
  ...{ NL: 21, PL: 23, PT: 23, RO: 21, SE: 25, SI: 22, SK: 23 },
};
const OTHERS: Record<string, number> = { CH: 8.1, GB: 20, NO: 25 };

/** States that tax software as a service: the state's own rate without a city's, and the first digits of their ZIP codes. */
const STATES: Record<string, { name: string; rate: number; from: number; to: number }> = {
  NY: { name: "New York", rate: 4, from: 100, to: 149 },
  PA: { name: "Pennsylvania", rate: 6, from: 150, to: 196 },
  TX: { name: "Texas", rate: 6.25, from: 750, to: 799 },
  WA: { name: "Washington", rate: 6.5, from: 980, to: 994 },
};

/** ISO 3166-1 alpha-2. */
export const COUNTRIES = (
  "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC " +
  "CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD " +
  "GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH " +
  "KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW " +
  "MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC " +
  "SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY " +
  "UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
).split(" ");

export const countryName = (code: string): string =>
  new Intl.DisplayNames("en", { type: "region" }).of(code) ?? code;

let named: [string, string][] | null = null;
/** Code and name, by name. */
export function countryNames(): [string, string][] {
  named ??= COUNTRIES.map((code): [string, string] => [code, countryName(code)])
    .sort(([, a], [, b]) => a.localeCompare(b, "en"));
  return named;
}

export const isEU = (country: string): boolean => country in EU;
export const hasRate = ({ country, state }: Place): boolean =>
  country === "US" ? (state ?? "") in STATES : country in EU || country in OTHERS;

export function percentageOf({ country, state }: Place): number {
  if (country === "US") return STATES[state ?? ""]?.rate ?? 0;
  return EU[country] ?? OTHERS[country] ?? 0;
}

export interface AddressLike {
  country?: string | null;
  postal_code?: string | null;
  state?: string | null;
}

/**
 * The place of an address, or null when it does not say enough: a country is enough but in the US, which needs five
 * digits of a ZIP code, and in Canada, which needs a province or a postal code.
 * https://docs.stripe.com/tax/customer-locations#supported-formats
 */
export function placeOf(address: AddressLike): Place | null {
  const country = (address.country ?? "").toUpperCase();
  if (!COUNTRIES.includes(country)) return null;
  if (country === "CA" && !address.state && !address.postal_code) return null;
  if (country !== "US") return { country, state: null };
  const zip = /^\d{5}(?:-\d{4})?$/.exec((address.postal_code ?? "").trim())?.[0];
  if (zip === undefined) return null;
  const area = Number(zip.slice(0, 3));
  const known = Object.entries(STATES).find(([, { from, to }]) => area >= from && area <= to);
  return { country, state: known?.[0] ?? (address.state?.toUpperCase() || null) };
}

export interface RateKey {
  place: Place;
  /** What is really collected: nothing where there is no registration. */
  collects: boolean;
  inclusive: boolean;
}

/** Stripe makes a tax rate for each result; here its id says it all, so a preview names the one its invoice will name. */
export function rateId({ place, collects, inclusive }: RateKey): string {
  const where = place.state === null ? place.country : `${place.country}${place.state}`;
  return `txr_sandbox${where}${collects ? 1 : 0}${inclusive ? "i" : "e"}`;
}

export function rateOf(id: string): TaxRate | null {
  const [, country, state, collects, kind] =
    /^txr_sandbox([A-Z]{2})([A-Z]{2})?([01])([ie])$/.exec(id) ?? [];
  if (country === undefined) return null;
  const place = { country, state: state ?? null };
  const percentage = collects === "1" ? percentageOf(place) : 0;
  const name = country === "US" ? "Sales Tax" : "VAT";
  return {
    id,
    object: "tax_rate",
    active: false,
    country,
    created: 1_767_225_600,
    description: `${name} ${STATES[state ?? ""]?.name ?? countryName(country)}`,
    display_name: name,
    effective_percentage: percentage,
    flat_amount: null,
    inclusive: kind === "i",
    jurisdiction: STATES[state ?? ""]?.name ?? country,
    jurisdiction_level: place.state === null ? "country" : "state",
    livemode: false,
    metadata: {},
    percentage,
    rate_type: "percentage",
    state: place.state,
    tax_type: country === "US" ? "sales_tax" : "vat",
  };
}
