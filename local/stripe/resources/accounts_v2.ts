/** `/v2/core/accounts`. https://docs.stripe.com/api/v2/core/accounts */
import {
  arr,
  bool,
  int,
  mergeMetadata,
  obj,
  required,
  str,
  url,
  type Values,
} from "../engine/params.ts";
import { forAccounts, type Route, route } from "../engine/route.ts";
import { type AccountV2, newId } from "../engine/types.ts";
import {
  include,
  invalidField,
  iso,
  metadataV2,
  pageShape,
  v2Error,
  v2Page,
  word,
} from "../engine/v2.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { capabilityOf, createAccount, KIND, recipient, saveAccount } from "../billing/accounts.ts";
import { balance } from "../billing/balance.ts";

const PATH = "/v2/core/accounts";
const CONFIGURATIONS = ["customer", "merchant", "recipient"] as const;

/** JSON has truth values. */
const truth = () => ({
  read(raw: unknown, path: string): boolean | undefined {
    if (raw === undefined) return undefined;
    if (typeof raw !== "boolean") throw invalidField(path, "Must be a boolean.");
    return raw;
  },
});

const email = () => ({
  read(raw: unknown, path: string): string | undefined {
    if (raw === undefined) return undefined;
    if (typeof raw !== "string" || !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(raw)) {
      throw invalidField(path, "Must be a valid email address.");
    }
    return raw;
  },
});

const country = () => ({
  read(raw: unknown, path: string): string | undefined {
    if (raw === undefined) return undefined;
    if (typeof raw !== "string" || !/^[a-zA-Z]{2}$/.test(raw)) {
      throw invalidField(path, "Must be a two-letter country code (ISO 3166-1 alpha-2).");
    }
    return raw.toLowerCase();
  },
});

const included = include(
  "configuration.customer",
  "configuration.merchant",
  "configuration.recipient",
  "defaults",
  "future_requirements",
  "identity",
  "requirements",
);

const capabilities = obj({
  stripe_balance: obj({ stripe_transfers: obj({ requested: required(truth()) }) }),
});

const addressShape = obj({
  city: str(),
  country: country(),
  line1: str(),
  line2: str(),
  postal_code: str(),
  state: str(),
  town: str(),
});

const common = {
  contact_email: email(),
  contact_phone: str(),
  dashboard: word("express", "full", "none"),
  defaults: obj({
    currency: str(3),
    locales: arr(str()),
    profile: obj({ business_url: url(), doing_business_as: str(), product_description: str() }),
    responsibilities: obj({
      fees_collector: required(
        word("application", "application_custom", "application_express", "stripe"),
      ),
      losses_collector: required(word("application", "stripe")),
    }),
  }),
  display_name: str(),
  identity: obj({
    business_details: obj({ address: addressShape, phone: str(), registered_name: str() }),
    country: country(),
    entity_type: word("company", "government_entity", "individual", "non_profit"),
    individual: obj({
      address: addressShape,
      email: email(),
      given_name: str(),
      phone: str(),
      surname: str(),
    }),
  }),
  include: included,
  metadata: metadataV2(),
};
const createShape = { ...common, configuration: obj({ recipient: obj({ capabilities }) }) };
const updateShape = {
  ...common,
  configuration: obj({ recipient: obj({ applied: truth(), capabilities }) }),
};
type Fields = Values<typeof common>;

export const noAccount = (id: string) => v2Error(404, "not_found", `No such account: '${id}'`);

export function own(work: Work, id: string): AccountV2 {
  const found = work.as("").find(KIND, id);
  if (!found || (work.account !== "" && work.account !== id)) throw noAccount(id);
  return found;
}

/** What is not asked for with `include` is not in the answer. */
function shown(account: AccountV2, wanted: readonly string[] = []): AccountV2 {
  const { configuration, defaults, identity, requirements, future_requirements: _, ...rest } =
    account;
  const asks = (name: string) => wanted.includes(name);
  const configurations = wanted.some((name) => name.startsWith("configuration."));
  return {
    ...rest,
    ...(configurations
      ? {
        configuration: asks("configuration.recipient") && configuration?.recipient
          ? { recipient: configuration.recipient }
          : {},
      }
      : {}),
    ...(asks("defaults") && defaults ? { defaults } : {}),
    ...(asks("future_requirements") ? { future_requirements: { entries: [] } } : {}),
    ...(asks("identity") && identity ? { identity } : {}),
    ...(asks("requirements") && requirements ? { requirements } : {}),
  };
}

function identityOf(id: string, now: string, p: Fields, old: AccountV2["identity"] = {}) {
  const { individual, business_details, ...rest } = p.identity ?? {};
  const identity: NonNullable<AccountV2["identity"]> = { ...old, ...drop(rest) };
  if (business_details) {
    identity.business_details = { ...old.business_details, ...drop(business_details) };
  }
  if (individual) {
    identity.individual = {
      id: `person_${id.slice(5)}`,
      object: "v2.core.account_person",
      account: id,
      created: now,
      ...old.individual,
      ...drop(individual),
      updated: now,
    };
  }
  return identity;
}

export const drop = <T extends object>(value: T): T => JSON.parse(JSON.stringify(value));

type Defaults = NonNullable<AccountV2["defaults"]>;
function defaultsOf(p: Fields, old: Defaults): Defaults {
  const { locales: _, responsibilities, ...rest } = p.defaults ?? {};
  return {
    ...old,
    ...drop(rest),
    ...(responsibilities
      ? { responsibilities: { ...old.responsibilities, ...responsibilities } }
      : {}),
  };
}

function general(p: Fields): Partial<AccountV2> {
  const { contact_email, contact_phone, dashboard, display_name } = p;
  return drop({ contact_email, contact_phone, dashboard, display_name });
}

const requestedIn = (p: Values<typeof updateShape>): boolean | undefined =>
  p.configuration?.recipient?.capabilities?.stripe_balance?.stripe_transfers?.requested;

function create(work: Work, p: Values<typeof createShape>): AccountV2 {
  const id = newId("acct_", 16);
  const now = iso(worldNow(work.store) * 1000);
  const isRecipient = p.configuration?.recipient !== undefined;
  const made = createAccount(work, {
    id,
    object: KIND,
    applied_configurations: isRecipient ? ["recipient"] : [],
    closed: false,
    configuration: isRecipient ? { recipient: recipient(true, requestedIn(p) ?? false) } : {},
    ...general(p),
    created: now,
    defaults: defaultsOf(p, {
      responsibilities: {
        fees_collector: "application",
        losses_collector: "application",
        requirements_collector: p.dashboard === "none" ? "application" : "stripe",
      },
    }),
    identity: identityOf(id, now, p),
    livemode: false,
    metadata: mergeMetadata({}, p.metadata),
  }, {
    type: p.dashboard === "full" ? "standard" : p.dashboard === "express" ? "express" : "none",
    submitted: false,
    bank: null,
    payout_failure: null,
    disabled: false,
    card_payments: false,
  });
  return shown(made, p.include);
}

function update(work: Work, p: Values<typeof updateShape>, id: string): AccountV2 {
  const old = own(work, id);
  if (old.closed) throw v2Error(400, "account_closed", `The account '${id}' is closed.`);
  const now = iso(worldNow(work.store) * 1000);
  const done = saveAccount(work, id, {
    ...configurationOf(p, old),
    ...general(p),
    ...(p.defaults && old.defaults ? { defaults: defaultsOf(p, old.defaults) } : {}),
    ...(p.identity ? { identity: identityOf(id, now, p, old.identity) } : {}),
    metadata: mergeMetadata(old.metadata ?? {}, p.metadata),
  });
  return shown(done, p.include);
}

/** `applied: false` takes the configuration away, and with it what it asked for. */
function configurationOf(p: Values<typeof updateShape>, old: AccountV2): Partial<AccountV2> {
  const wanted = p.configuration?.recipient;
  if (!wanted) return {};
  const applied = wanted.applied ?? true;
  const requested = applied && (requestedIn(p) ?? capabilityOf(old) !== null);
  return {
    applied_configurations: applied ? ["recipient"] : [],
    configuration: { ...old.configuration, recipient: recipient(applied, requested) },
  };
}

const closeShape = { applied_configurations: arr(word(...CONFIGURATIONS)) };

function close(work: Work, p: Values<typeof closeShape>, id: string): AccountV2 {
  const old = own(work, id);
  if (old.closed) throw v2Error(400, "account_closed", `The account '${id}' is already closed.`);
  const given = [...(p.applied_configurations ?? [])].sort().join();
  if (given !== [...old.applied_configurations].sort().join()) {
    throw invalidField(
      "applied_configurations",
      `All configurations of the account must be given: ${old.applied_configurations.join(", ")}.`,
    );
  }
  const { available, pending } = balance(work.as(id));
  if ([...available, ...pending].some(({ amount }) => amount !== 0)) {
    throw v2Error(
      400,
      "account_balance_not_zero",
      `The account '${id}' cannot be closed while its balance is not zero.`,
    );
  }
  return shown(saveAccount(work, id, {
    applied_configurations: [],
    closed: true,
    configuration: { recipient: recipient(false, false) },
  }));
}

export const accountV2Routes: Route[] = [
  route("POST", PATH, createShape, create),
  route("GET", PATH, {
    ...pageShape,
    applied_configurations: arr(word(...CONFIGURATIONS)),
    closed: bool(),
    limit: int(1, 100),
  }, (work, p) => {
    const where = { closed: Number(p.closed ?? false) };
    const anyOf: Record<string, string[]> = p.applied_configurations
      ? { "applied_configurations[0]": p.applied_configurations }
      : {};
    const page = v2Page(work.store, KIND, PATH, p, { where, anyOf });
    return { ...page, data: page.data.map((each) => shown(each)) };
  }),
  ...forAccounts(
    route("GET", `${PATH}/:id`, { include: included }, (work, p, id) => {
      return shown(own(work, id), p.include);
    }),
  ),
  route("POST", `${PATH}/:id`, updateShape, update),
  route("POST", `${PATH}/:id/close`, closeShape, close),
];
