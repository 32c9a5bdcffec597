/** Connected accounts: what they may do, what Stripe still wants to know of them, and the events of a change. */
import { invalid } from "../engine/errors.ts";
import { relatedTo } from "../engine/related.ts";
import type { ThinType } from "../engine/thin_types.ts";
import type { AccountHidden, AccountV2 } from "../engine/types.ts";
import { difference, type Work } from "../engine/work.ts";
import { v1Account } from "./account_v1.ts";
import { readBank } from "./payout_banks.ts";

export const KIND = "v2.core.account";
export const TRANSFERS = "stripe_balance.stripe_transfers";

type Recipient = NonNullable<NonNullable<AccountV2["configuration"]>["recipient"]>;
export type Capability = NonNullable<
  NonNullable<NonNullable<Recipient["capabilities"]>["stripe_balance"]>["stripe_transfers"]
>;
type Requirements = NonNullable<AccountV2["requirements"]>;
type Entry = NonNullable<Requirements["entries"]>[number];

export const capabilityOf = (account: AccountV2): Capability | null =>
  account.configuration?.recipient?.capabilities?.stripe_balance?.stripe_transfers ?? null;

/** The account that gets money, or Stripe's refusal. */
export function requireRecipient(work: Work, id: string, param: string): AccountV2 {
  const account = work.store.find(KIND, id);
  if (!account || account.closed) {
    throw invalid(`No such destination: '${id}'`, param, "resource_missing");
  }
  if (capabilityOf(account)?.status === "active") return account;
  throw invalid(
    "Your destination account needs to have at least one of the following capabilities enabled: transfers, " +
      "crypto_transfers, legacy_payments",
    undefined,
    "insufficient_capabilities_for_transfer",
  );
}

/** What a recipient must have told before it can get transfers, as paths into the account. */
export function due(account: AccountV2, hidden: AccountHidden): string[] {
  if (!capabilityOf(account)) return [];
  const { country, entity_type, individual, business_details, attestations } = account.identity ??
    {};
  const isPerson = entity_type === undefined || entity_type === "individual";
  const person: [string, unknown][] = [
    ["identity.individual.given_name", individual?.given_name],
    ["identity.individual.surname", individual?.surname],
  ];
  const firm: [string, unknown][] = [
    ["identity.business_details.registered_name", business_details?.registered_name],
  ];
  const wanted: [string, unknown][] = [
    ["identity.country", country],
    ["identity.entity_type", entity_type],
    ...(isPerson ? person : firm),
    ["identity.attestations.terms_of_service.account", attestations?.terms_of_service?.account],
    ["defaults.payout_methods", hidden.bank],
  ];
  return wanted.filter(([, value]) => value === undefined || value === null).map(([path]) => path);
}

function entry(description: string): Entry {
  const deadline = { status: "currently_due" } as const;
  return {
    awaiting_action_from: "user",
    description,
    errors: [],
    impact: {
      restricts_capabilities: [{ capability: TRANSFERS, configuration: "recipient", deadline }],
    },
    minimum_deadline: deadline,
    requested_reasons: [{ code: "routine_onboarding" }],
  };
}

function requirementsOf(missing: readonly string[]): Requirements {
  return {
    entries: missing.map(entry),
    ...(missing.length > 0
      ? { summary: { minimum_deadline: { status: "currently_due" as const } } }
      : {}),
  };
}

function status(
  missing: readonly string[],
  hidden: Pick<AccountHidden, "disabled">,
): Capability {
  if (hidden.disabled) {
    return {
      status: "restricted",
      status_details: [{ code: "restricted_other", resolution: "contact_stripe" }],
    };
  }
  if (missing.length > 0) {
    return {
      status: "restricted",
      status_details: [{ code: "requirements_past_due", resolution: "provide_info" }],
    };
  }
  return { status: "active", status_details: [] };
}

/** The recipient configuration with its transfers asked for or not; their status follows from the rest. */
export function recipient(applied: boolean, isRequested: boolean): Recipient {
  const capability = status(["unknown yet"], { disabled: false });
  return {
    applied,
    ...(isRequested && applied
      ? { capabilities: { stripe_balance: { payouts: capability, stripe_transfers: capability } } }
      : {}),
  };
}

/** Works out requirements and capabilities again. */
function settled(account: AccountV2, hidden: AccountHidden): AccountV2 {
  const missing = due(account, hidden);
  const requirements = requirementsOf(missing);
  const { configuration } = account;
  if (!configuration?.recipient || !capabilityOf(account)) return { ...account, requirements };
  const now = status(missing, hidden);
  const capabilities = { stripe_balance: { payouts: now, stripe_transfers: now } };
  return {
    ...account,
    requirements,
    configuration: { ...configuration, recipient: { ...configuration.recipient, capabilities } },
  };
}

/** Stores an account, new or changed, with what follows from it; every part that changed has its own event. */
export function saveAccount(
  work: Work,
  id: string,
  patch: Partial<AccountV2>,
  hiddenPatch: Partial<AccountHidden> = {},
): AccountV2 {
  const platform = work.as("");
  const before = platform.require(KIND, id);
  const was = v1Account(before, platform.hidden(KIND, id));
  platform.changeHidden(KIND, id, hiddenPatch);
  const hidden = platform.hidden(KIND, id);
  const after = platform.change(KIND, id, settled({ ...before, ...patch }, hidden));
  for (const type of changes(before, after)) notify(platform, after, type);
  if (capabilityOf(before)?.status !== capabilityOf(after)?.status) {
    capabilityEvents(platform, after);
  }
  const is = v1Account(after, hidden);
  const previous = difference(was, is);
  if (Object.keys(previous).length > 0) platform.as(id).emit("account.updated", is, previous);
  return after;
}

export function createAccount(work: Work, account: AccountV2, hidden: AccountHidden): AccountV2 {
  const platform = work.as("");
  const made = platform.create(KIND, settled(account, hidden), hidden);
  notify(platform, made, "v2.core.account.created");
  return made;
}

function notify(work: Work, account: AccountV2, type: ThinType, data?: unknown): void {
  work.as(account.id).emitThin(type, {
    related_object: relatedTo(account),
    ...(data === undefined ? {} : { data }),
  });
}

function capabilityEvents(work: Work, account: AccountV2): void {
  const type = "v2.core.account[configuration.recipient].capability_status_updated";
  for (const updated_capability of [TRANSFERS, "stripe_balance.payouts"]) {
    notify(work, account, type, { updated_capability });
  }
}

const GENERAL = [
  "contact_email",
  "contact_phone",
  "dashboard",
  "display_name",
  "metadata",
] as const;

function changes(before: AccountV2, after: AccountV2): ThinType[] {
  const differs = (read: (account: AccountV2) => unknown) =>
    JSON.stringify(read(before)) !== JSON.stringify(read(after));
  const types: ThinType[] = [];
  if (GENERAL.some((key) => differs((each) => each[key]))) types.push("v2.core.account.updated");
  if (differs((each) => each.identity)) types.push("v2.core.account[identity].updated");
  if (differs((each) => each.defaults)) types.push("v2.core.account[defaults].updated");
  const asked = (each: AccountV2) => [
    each.configuration?.recipient?.applied,
    capabilityOf(each) !== null,
  ];
  if (differs(asked)) types.push("v2.core.account[configuration.recipient].updated");
  if (differs((each) => each.requirements)) types.push("v2.core.account[requirements].updated");
  if (differs((each) => each.closed)) types.push("v2.core.account.closed");
  return types;
}

/** By hand, past every form: transfers work, or they do not. */
export function setTransfers(work: Work, id: string, wanted: "active" | "restricted"): AccountV2 {
  const account = work.as("").require(KIND, id);
  if (wanted === "restricted") return saveAccount(work, id, {}, { disabled: true });
  if (!capabilityOf(account)) {
    throw invalid(`The account ${id} has not requested the capability ${TRANSFERS}.`);
  }
  const enabled = saveAccount(work, id, {}, { disabled: false });
  const hidden = work.as("").hidden(KIND, id);
  return due(account, hidden).length === 0 ? enabled : submitTestData(work, id);
}

export interface Submission {
  country: string;
  entity_type: "company" | "individual";
  given_name: string;
  surname: string;
  registered_name: string;
  bank: AccountHidden["bank"];
  payout_failure: AccountHidden["payout_failure"];
}

/** What the hosted form was told. */
export function submit(work: Work, id: string, told: Submission): AccountV2 {
  const account = work.as("").require(KIND, id);
  const date = account.created;
  const old = account.identity ?? {};
  const isPerson = told.entity_type === "individual";
  const identity: NonNullable<AccountV2["identity"]> = {
    ...old,
    attestations: { ...old.attestations, terms_of_service: { account: { date, ip: "127.0.0.1" } } },
    country: told.country.toLowerCase(),
    entity_type: told.entity_type,
    ...(isPerson
      ? {
        individual: {
          id: `person_${id.slice(5)}`,
          object: "v2.core.account_person",
          account: id,
          created: date,
          updated: date,
          ...old.individual,
          given_name: told.given_name,
          surname: told.surname,
        },
      }
      : { business_details: { ...old.business_details, registered_name: told.registered_name } }),
  };
  const currency = told.bank?.currency;
  const defaults = account.defaults && {
    ...account.defaults,
    ...(currency === undefined ? {} : { currency }),
    ...(told.bank ? { payout_methods: { [told.bank.currency]: told.bank.id } } : {}),
  };
  return saveAccount(work, id, { identity, ...(defaults ? { defaults } : {}) }, {
    submitted: true,
    bank: told.bank,
    payout_failure: told.payout_failure,
  });
}

/** All that is missing, filled with data that works. */
export function submitTestData(work: Work, id: string): AccountV2 {
  const account = work.as("").require(KIND, id);
  const { individual, business_details, country = "us", entity_type } = account.identity ?? {};
  const isGerman = country.toLowerCase() !== "us";
  const { bank, payout_failure } = readBank(
    id,
    country,
    isGerman ? "DE89370400440532013000" : "000123456789",
  );
  return submit(work, id, {
    country,
    entity_type: entity_type === undefined || entity_type === "individual"
      ? "individual"
      : "company",
    given_name: individual?.given_name ?? "Jenny",
    surname: individual?.surname ?? "Rosen",
    registered_name: business_details?.registered_name ?? "Rosen Prompts",
    bank,
    payout_failure,
  });
}
