/** Plans, what one is entitled to, and what is used of it. */

import {
  currencyOptionsAnswer,
  entitlementsAnswer,
  pricesAnswer,
  toPrice,
  usageAnswer,
} from "../lib/answers.ts";
import type { Catalogue } from "../lib/plans.ts";
import type { Entitlements } from "../lib/subscription.ts";
import { historyAnswer, overagePricesAnswer, toOveragePrice } from "../lib/usage-answers.ts";
import type { DayUsage, Range } from "../lib/usage-history.ts";
import { db, rest, understand } from "./client.ts";

const PRICE_COLUMNS =
  "lookup_key,plan_id,currency,unit_amount_minor,billing_interval,is_active,trial_days,tiers_mode,tiers";

/** Plans with limits, features and active prices, lowest first. Readable without an account. */
export async function getCatalogue(): Promise<Catalogue> {
  const [plans, features, options, overage, overageOptions] = await Promise.all([
    rest(
      db().from("plans").select(
        `id,name,description,rank,is_default,plan_limits(metric_id,limit_value),plan_features(feature_id),prices(${PRICE_COLUMNS})`,
      ).eq("is_public", true).order("rank"),
    ),
    rest(db().from("features").select("id,name,rank").order("rank")),
    rest(
      db().from("price_currency_options").select("lookup_key,currency,unit_amount_minor"),
    ),
    rest(
      db().from("overage_prices").select("lookup_key,plan_id,metric_id,currency,unit_amount_minor")
        .eq("is_active", true),
    ),
    rest(
      db().from("overage_price_currency_options").select("lookup_key,currency,unit_amount_minor"),
    ),
  ]);
  const currencyOptions = understand(currencyOptionsAnswer, options);
  const overagePrices = understand(overagePricesAnswer, overage);
  const overageCurrencies = understand(currencyOptionsAnswer, overageOptions);
  return {
    features,
    plans: plans.map((plan) => ({
      id: plan.id,
      name: plan.name,
      description: plan.description ?? "",
      rank: plan.rank,
      isDefault: plan.is_default,
      limits: Object.fromEntries(
        plan.plan_limits.map((row) => [
          row.metric_id,
          row.limit_value === null ? null : Number(row.limit_value),
        ]),
      ),
      features: plan.plan_features.map((row) => row.feature_id),
      prices: understand(pricesAnswer, plan.prices)
        .flatMap((row) => toPrice(row, currencyOptions) ?? []),
      overage: overagePrices.filter((row) => row.plan_id === plan.id)
        .map((row) => toOveragePrice(row, overageCurrencies)),
    })),
  };
}

export async function getEntitlements(): Promise<Entitlements> {
  return understand(entitlementsAnswer, await rest(db().rpc("my_entitlements")));
}

export interface Usage {
  metric: string;
  used: number;
  /** null = unlimited. */
  limit: number | null;
  /** Milliseconds; null for what never resets. */
  resetsAt: number | null;
  plan: string;
}

export async function getUsage(): Promise<Usage[]> {
  const rows = understand(usageAnswer, await rest(db().rpc("my_usage")));
  return rows.map((row) => ({
    metric: row.metric,
    used: row.used,
    limit: row.limit_value,
    resetsAt: row.resets_at,
    plan: row.plan,
  }));
}

/** What was used per UTC day that has any; both ends included. */
export async function getUsageHistory(metric: string, { from, to }: Range): Promise<DayUsage[]> {
  const args = { p_from: from, p_to: to, p_metric: metric };
  return understand(historyAnswer, await rest(db().rpc("usage_history", args)));
}
