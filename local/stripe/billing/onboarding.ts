/** The hosted form a connected account fills in: its single-use link, the visit it opens, and how it ends. */
import { invalid } from "../engine/errors.ts";
import { type AccountV2, newId } from "../engine/types.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { due, KIND, submit } from "./accounts.ts";
import { readBank } from "./payout_banks.ts";
import { countryNames } from "./tax_rates.ts";
import type { OnboardingInput, OnboardingView } from "../hosted.ts";

const LINK = "v2.core.account_link";

function idOf(work: Work, field: "token" | "visit", value: string): string | null {
  const row = work.store.sql(
    "select id from objects where kind = ? and json_extract(hidden, ?) = ?",
  ).get(LINK, `$.${field}`, value);
  return row ? String(row.id) : null;
}

const addressesOf = (work: Work, id: string) => {
  const { type, account_onboarding, account_update } = work.require(LINK, id).use_case;
  const chosen = type === "account_onboarding" ? account_onboarding : account_update;
  return { refresh_url: chosen?.refresh_url ?? "", return_url: chosen?.return_url ?? null };
};

/** The first use opens a visit; a second, or one too late, is sent for a fresh link. */
export function openLink(
  work: Work,
  account: string,
  token: string,
): { visit: string } | { refresh: string } | null {
  const id = idOf(work, "token", token);
  const link = id === null ? null : work.find(LINK, id);
  if (id === null || !link || link.account !== account) return null;
  const { visit } = work.hidden(LINK, id);
  const isLate = Date.parse(link.expires_at) <= worldNow(work.store) * 1000;
  const isGone = work.find(KIND, account)?.closed ?? true;
  if (visit !== null || isLate || isGone) return { refresh: addressesOf(work, id).refresh_url };
  const opened = newId("", 32);
  work.changeHidden(LINK, id, { visit: opened });
  return { visit: opened };
}

interface Visit {
  link: string;
  account: AccountV2;
  done: boolean;
}

function visitOf(work: Work, visit: string): Visit | null {
  const link = idOf(work, "visit", visit);
  if (link === null) return null;
  const account = work.require(KIND, work.require(LINK, link).account);
  return { link, account, done: work.hidden(LINK, link).done };
}

export function onboardingView(work: Work, visit: string): OnboardingView | null {
  const found = visitOf(work, visit);
  if (!found) return null;
  const { account, link, done } = found;
  const { country = "", entity_type, individual, business_details } = account.identity ?? {};
  const hidden = work.hidden(KIND, account.id);
  return {
    visit,
    account: account.id,
    merchant_name: work.settings.merchantName,
    done,
    countries: countryNames(),
    country: country.toUpperCase(),
    country_is_fixed: country !== "",
    entity_type: entity_type === undefined || entity_type === "individual"
      ? "individual"
      : "company",
    entity_is_fixed: entity_type !== undefined,
    given_name: individual?.given_name ?? "",
    surname: individual?.surname ?? "",
    registered_name: business_details?.registered_name ?? "",
    bank_last4: hidden.bank?.last4 ?? null,
    missing: due(account, hidden),
    ...addressesOf(work, link),
  };
}

export function submitOnboarding(work: Work, visit: string, input: OnboardingInput): void {
  const found = openVisit(work, visit);
  const { account } = found;
  const view = onboardingView(work, visit);
  const entity_type = view?.entity_is_fixed ? view.entity_type : input.entity_type;
  const country = view?.country_is_fixed ? view.country : input.country;
  const need = (value: string, field: string, what: string) => {
    if (value.trim() === "") throw invalid(`Enter ${what}.`, field);
  };
  need(country, "country", "a country");
  if (entity_type === "individual") {
    need(input.given_name, "given_name", "a first name");
    need(input.surname, "surname", "a last name");
  } else {
    need(input.registered_name, "registered_name", "the registered name");
  }
  need(input.bank, "bank", "a test account number or IBAN");
  const holder = entity_type === "individual"
    ? `${input.given_name} ${input.surname}`
    : input.registered_name;
  const { bank, payout_failure } = readBank(account.id, country, input.bank, holder);
  submit(work, account.id, { ...input, entity_type, country, bank, payout_failure });
  returned(work, found);
}

/** The person goes back before the end: what is due stays due. */
export function leaveOnboarding(work: Work, visit: string): void {
  returned(work, openVisit(work, visit));
}

function openVisit(work: Work, visit: string): Visit {
  const found = visitOf(work, visit);
  if (!found || found.done) throw invalid("This form was left already.");
  return found;
}

function returned(work: Work, { link, account }: Visit): void {
  work.changeHidden(LINK, link, { done: true });
  work.as(account.id).emitThin("v2.core.account_link.returned", {
    data: {
      account_id: account.id,
      configurations: account.applied_configurations,
      use_case: work.require(LINK, link).use_case.type,
    },
  });
}
