/** Tax settings, registrations, and the tax rates that automatic tax names. */
import { arrayPage, pagination } from "../engine/answer.ts";
import { invalid, missing } from "../engine/errors.ts";
import {
  address,
  bool,
  obj,
  oneOf,
  type Param,
  required,
  str,
  time,
  unset,
  type Values,
  wordOr,
} from "../engine/params.ts";
import { type Route, route } from "../engine/route.ts";
import { newId, type TaxRegistration, type TaxSettings } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { registrationStatus, saveTaxSettings, taxSettings } from "../billing/tax.ts";
import { COUNTRIES, hasRate, isEU, placeOf, rateOf } from "../billing/tax_rates.ts";
import { full } from "./payment_methods.ts";

/** `automatic_tax` of every request that takes it. */
export const automatic_tax = obj({
  enabled: required(bool()),
  liability: obj({ type: required(oneOf("self")) }),
});

const settingsShape = {
  defaults: obj({
    tax_behavior: oneOf("exclusive", "inclusive", "inferred_by_currency"),
    tax_code: str(),
  }),
  head_office: obj({ address: required(address()) }),
};

function updateSettings(work: Work, p: Values<typeof settingsShape>): TaxSettings {
  const old = taxSettings(work);
  const given = full(p.head_office?.address ?? null);
  if (p.head_office && (given === null || placeOf(given) === null)) {
    throw invalid("The head office needs a valid address.", "head_office[address]");
  }
  const head_office = given === null ? old.head_office : { address: given };
  return saveTaxSettings(work, {
    ...old,
    defaults: {
      ...old.defaults,
      tax_behavior: p.defaults?.tax_behavior ?? old.defaults.tax_behavior,
      tax_code: p.defaults?.tax_code ?? old.defaults.tax_code,
    },
    head_office,
    status: head_office ? "active" : "pending",
    status_details: head_office ? { active: {} } : old.status_details,
  });
}

const standard = obj({ place_of_supply_scheme: required(oneOf("standard")) });
const us = obj({
  state: required(str(2)),
  type: required(oneOf("state_sales_tax")),
  state_sales_tax: obj({}),
});
const eu = obj({
  standard,
  type: required(oneOf("oss_non_union", "oss_union", "standard")),
});
const other = obj({ standard, type: required(oneOf("standard")) });

type Option = Values<{ eu: typeof eu; us: typeof us; other: typeof other }>;
/** One key, the country's, read by the country's own table. */
const countryOptions: Param<Record<string, NonNullable<Option[keyof Option]>> | undefined> = {
  read(raw, path) {
    if (raw === undefined) return undefined;
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
      throw invalid("Invalid object", path);
    }
    return Object.fromEntries(
      Object.entries(raw).map(([code, each]) => {
        const country = code.toUpperCase();
        const at = `${path}[${code}]`;
        if (code !== code.toLowerCase() || !COUNTRIES.includes(country)) {
          throw invalid(`Received unknown parameter: ${at}`, at, "parameter_unknown");
        }
        if (country === "US") return [code, required(us).read(each, at)];
        return [code, required(isEU(country) ? eu : other).read(each, at)];
      }),
    );
  },
};

const registrationShape = {
  active_from: required(wordOr("now", time())),
  country: required(str(2)),
  country_options: required(countryOptions),
  expires_at: time(),
};

function register(work: Work, p: Values<typeof registrationShape>): TaxRegistration {
  if (taxSettings(work).head_office === null) {
    throw invalid("Set the head office of your tax settings before you add a registration.");
  }
  const country = p.country.toUpperCase();
  const key = country.toLowerCase();
  const option = p.country_options[key];
  if (!option || Object.keys(p.country_options).length !== 1) {
    throw invalid(
      `\`country_options\` must have the options of ${country}, and no others.`,
      "country_options",
    );
  }
  if (option.type === "standard" && !option.standard) {
    const at = `country_options[${key}][standard]`;
    throw invalid(`Missing required param: ${at}.`, at, "parameter_missing");
  }
  const state = option.type === "state_sales_tax" ? option.state.toUpperCase() : null;
  if (!hasRate({ country, state })) {
    throw invalid(
      `The sandbox has no tax rate for ${country}${state ? `-${state}` : ""}.`,
      "country",
    );
  }
  const now = work.now();
  const active_from = p.active_from === "now" ? now : p.active_from;
  if (active_from < now) throw invalid("`active_from` must not be in the past.", "active_from");
  checkTimes(active_from, p.expires_at ?? null);
  const registration: TaxRegistration = {
    id: newId("taxreg_"),
    object: "tax.registration",
    active_from,
    country,
    country_options: { [key]: state === null ? option : { ...option, state } },
    created: now,
    expires_at: p.expires_at ?? null,
    livemode: false,
    status: "active",
  };
  return shown(work, work.create("tax.registration", registration, {}));
}

function checkTimes(from: number, until: number | null): void {
  if (until !== null && until < from) {
    throw invalid("`expires_at` must not be before `active_from`.", "expires_at");
  }
}

/** The status follows from the time of asking. */
const shown = (work: Work, each: TaxRegistration): TaxRegistration => ({
  ...each,
  status: registrationStatus(each, work.now()),
});

const updateShape = {
  active_from: wordOr("now", time()),
  expires_at: unset(wordOr("now", time())),
};

function updateRegistration(
  work: Work,
  p: Values<typeof updateShape>,
  id: string,
): TaxRegistration {
  const old = work.require("tax.registration", id);
  const now = work.now();
  if (registrationStatus(old, now) === "expired") {
    throw invalid("This registration has expired and cannot be changed.", "id");
  }
  const at = (value: number | "now") => value === "now" ? now : value;
  const active_from = p.active_from === undefined ? old.active_from : at(p.active_from);
  const expires_at = p.expires_at === undefined
    ? old.expires_at
    : p.expires_at === null
    ? null
    : at(p.expires_at);
  checkTimes(active_from, expires_at);
  return shown(work, work.change("tax.registration", id, { active_from, expires_at }));
}

const REGISTRATIONS = "/v1/tax/registrations";

export const taxRoutes: Route[] = [
  route("GET", "/v1/tax/settings", {}, (work) => taxSettings(work)),
  route("POST", "/v1/tax/settings", settingsShape, updateSettings),
  route("POST", REGISTRATIONS, registrationShape, register),
  route("POST", `${REGISTRATIONS}/:id`, updateShape, updateRegistration),
  route(
    "GET",
    `${REGISTRATIONS}/:id`,
    {},
    (work, _p, id) => shown(work, work.require("tax.registration", id)),
  ),
  route("GET", REGISTRATIONS, {
    limit: pagination.limit,
    starting_after: str(),
    ending_before: str(),
    status: oneOf("active", "all", "expired", "scheduled"),
  }, (work, p) => {
    const all = work.store.all("tax.registration", {}).map((each) => shown(work, each)).reverse();
    const wanted = all.filter(({ status }) => [undefined, "all", status].includes(p.status));
    return arrayPage(wanted, REGISTRATIONS, p);
  }),
  route("GET", "/v1/tax_rates/:id", {}, (_work, _p, id) => {
    const rate = rateOf(id);
    if (!rate) throw missing("tax rate", id, "id");
    return rate;
  }),
];
