/** The same connected account as `/v1/accounts` shows it. */
import { listOf } from "../engine/answer.ts";
import type { Account, AccountHidden, AccountV2 } from "../engine/types.ts";
import { currencyOfCountry } from "./payout_banks.ts";

export function v1Account(account: AccountV2, hidden: AccountHidden): Account {
  const capability = account.configuration?.recipient?.capabilities?.stripe_balance
    ?.stripe_transfers;
  const isActive = capability?.status === "active";
  const { country, entity_type } = account.identity ?? {};
  const missing = account.requirements?.entries?.map((each) => each.description) ?? [];
  const requirements: NonNullable<Account["requirements"]> = {
    alternatives: [],
    current_deadline: null,
    currently_due: missing,
    disabled_reason: missing.length > 0
      ? "requirements.past_due"
      : hidden.disabled
      ? "platform_paused"
      : null,
    errors: [],
    eventually_due: missing,
    past_due: missing,
    pending_verification: [],
  };
  return {
    id: account.id,
    object: "account",
    business_profile: null,
    ...(entity_type === undefined ? {} : { business_type: entity_type }),
    capabilities: {
      ...(hidden.card_payments ? { card_payments: "inactive" as const } : {}),
      ...(capability ? { transfers: isActive ? "active" as const : "inactive" as const } : {}),
    },
    charges_enabled: false,
    controller: controller(account),
    ...(country === undefined ? {} : { country: country.toUpperCase() }),
    created: Math.floor(Date.parse(account.created) / 1000),
    default_currency: account.defaults?.currency ?? currencyOfCountry(country ?? "us"),
    details_submitted: hidden.submitted,
    email: account.contact_email ?? null,
    external_accounts: listOf(
      hidden.bank ? [hidden.bank] : [],
      `/v1/accounts/${account.id}/external_accounts`,
    ),
    future_requirements: {
      ...requirements,
      currently_due: [],
      disabled_reason: null,
      eventually_due: [],
      past_due: [],
    },
    metadata: account.metadata ?? {},
    payouts_enabled: isActive && hidden.bank !== null,
    requirements,
    tos_acceptance: {
      date: hidden.submitted ? Math.floor(Date.parse(account.created) / 1000) : null,
    },
    type: hidden.type,
  };
}

function controller(account: AccountV2): NonNullable<Account["controller"]> {
  const { fees_collector = "application", losses_collector = "application" } =
    account.defaults?.responsibilities ?? {};
  return {
    fees: { payer: fees_collector === "stripe" ? "account" : "application" },
    is_controller: true,
    losses: { payments: losses_collector },
    requirement_collection: account.defaults?.responsibilities?.requirements_collector ?? "stripe",
    stripe_dashboard: { type: account.dashboard ?? "none" },
    type: "application",
  };
}
