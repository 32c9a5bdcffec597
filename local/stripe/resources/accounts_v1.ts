/** Connected accounts as `/v1` has them: reading those of `/v2`, and the little that older integrations and the CLI make. */
import { listOf, pagination } from "../engine/answer.ts";
import { missing } from "../engine/errors.ts";
import {
  bool,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  required,
  str,
  type Values,
} from "../engine/params.ts";
import { forAccounts, type Route, route } from "../engine/route.ts";
import type { Account, AccountHidden, AccountV2 } from "../engine/types.ts";
import { newId } from "../engine/types.ts";
import { iso } from "../engine/v2.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { createAccount, KIND, recipient, saveAccount } from "../billing/accounts.ts";
import { v1Account } from "../billing/account_v1.ts";
import { currencyOfCountry, readBank } from "../billing/payout_banks.ts";
import { OLD_ACCOUNT } from "../engine/legacy.ts";

const capability = obj({ requested: required(bool()) });
const common = {
  business_type: oneOf("company", "government_entity", "individual", "non_profit"),
  capabilities: obj({ card_payments: capability, transfers: capability }),
  email: str(),
  metadata: metadata(),
};
const createShape = {
  ...common,
  [OLD_ACCOUNT]: bool(),
  country: str(2),
  type: oneOf("custom", "express", "standard"),
};

export function find(work: Work, id: string): AccountV2 {
  const found = work.as("").find(KIND, id);
  // The account itself may look at itself and at nobody else.
  if (!found || found.closed || (work.account !== "" && work.account !== id)) {
    throw missing("account", id, "id");
  }
  return found;
}

const shown = (work: Work, account: AccountV2): Account =>
  v1Account(account, work.as("").hidden(KIND, account.id));

function create(work: Work, p: Values<typeof createShape>): Account {
  const id = newId("acct_", 16);
  const type = p.type ?? "standard";
  const country = (p.country ?? "US").toLowerCase();
  const isOld = p[OLD_ACCOUNT] === true;
  const asks = isOld || (p.capabilities?.transfers?.requested ?? false);
  const hidden: AccountHidden = {
    type,
    submitted: isOld,
    bank: isOld ? readBank(id, country, "000123456789").bank : null,
    payout_failure: null,
    disabled: false,
    card_payments: p.capabilities?.card_payments?.requested ?? false,
  };
  const date = iso(worldNow(work.store) * 1000);
  const person = {
    id: `person_${id.slice(5)}`,
    object: "v2.core.account_person",
    account: id,
    created: date,
    updated: date,
    given_name: "Jenny",
    surname: "Rosen",
  };
  const made = createAccount(work, {
    id,
    object: KIND,
    applied_configurations: asks ? ["recipient"] : [],
    closed: false,
    configuration: asks ? { recipient: recipient(true, true) } : {},
    ...(p.email === undefined ? {} : { contact_email: p.email }),
    created: date,
    dashboard: type === "standard" ? "full" : type === "express" ? "express" : "none",
    defaults: {
      currency: currencyOfCountry(country),
      responsibilities: {
        fees_collector: type === "standard" ? "stripe" : "application",
        losses_collector: type === "standard" ? "stripe" : "application",
        requirements_collector: type === "custom" ? "application" : "stripe",
      },
    },
    identity: {
      country,
      ...(p.business_type === undefined && !isOld
        ? {}
        : { entity_type: p.business_type ?? "individual" }),
      ...(isOld
        ? {
          attestations: { terms_of_service: { account: { date, ip: "127.0.0.1" } } },
          individual: person,
        }
        : {}),
    },
    livemode: false,
    metadata: mergeMetadata({}, p.metadata),
  }, hidden);
  return shown(work, made);
}

function update(work: Work, p: Values<typeof common>, id: string): Account {
  const old = find(work, id);
  const wanted = p.capabilities?.transfers?.requested;
  const configuration = wanted === undefined
    ? old.configuration
    : { ...old.configuration, recipient: recipient(true, wanted) };
  const done = saveAccount(
    work,
    id,
    {
      applied_configurations: configuration?.recipient ? ["recipient"] : [],
      configuration,
      ...(p.email === undefined ? {} : { contact_email: p.email }),
      identity: p.business_type === undefined
        ? old.identity
        : { ...old.identity, entity_type: p.business_type },
      metadata: mergeMetadata(old.metadata ?? {}, p.metadata),
    },
    p.capabilities?.card_payments ? { card_payments: p.capabilities.card_payments.requested } : {},
  );
  return shown(work, done);
}

function listAccounts(work: Work, p: Values<typeof pagination>) {
  const limit = p.limit ?? 10;
  const page = work.as("").store.list(KIND, {
    where: { closed: 0 },
    created: p.created,
    after: p.starting_after,
    before: p.ending_before,
    limit,
  });
  if (!page) throw missing("account", p.starting_after ?? p.ending_before ?? "", "starting_after");
  return listOf(page.data.map((each) => shown(work, each)), "/v1/accounts", page.hasMore);
}

/** The platform's own account, of which the sandbox knows no more than that it works. */
function self(work: Work): Account {
  if (work.account !== "") return shown(work, find(work, work.account));
  return {
    id: "acct_platformSandbox",
    object: "account",
    business_profile: null,
    business_type: "company",
    capabilities: { card_payments: "active", transfers: "active" },
    charges_enabled: true,
    controller: { type: "account" },
    country: "US",
    created: 0,
    default_currency: "usd",
    details_submitted: true,
    email: null,
    payouts_enabled: true,
    type: "standard",
  };
}

export const accountRoutes: Route[] = [
  ...forAccounts(
    route("GET", "/v1/account", {}, self),
    route("GET", "/v1/accounts/:id", {}, (work, _p, id) => shown(work, find(work, id))),
  ),
  route("POST", "/v1/accounts", createShape, create),
  route("POST", "/v1/accounts/:id", common, update),
  route("GET", "/v1/accounts", pagination, listAccounts),
];
