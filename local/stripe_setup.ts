import Stripe from "stripe";
import { type CatalogueRows, ensureCatalogue } from "./catalogue.ts";
import { connect, type Database } from "./postgres.ts";

export const API_VERSION = "2026-10-28.endive";

export function stripeClient(secretKey: string, apiBase: string | undefined): Stripe {
  const base = apiBase === undefined ? undefined : new URL(apiBase);
  return new Stripe(secretKey, {
    apiVersion: API_VERSION,
    httpClient: Stripe.createFetchHttpClient(),
    telemetry: false,
    timeout: 20_000,
    ...(base && {
      host: base.hostname,
      port: base.port || (base.protocol === "http:" ? 80 : 443),
      protocol: base.protocol === "http:" ? "http" as const : "https" as const,
    }),
  });
}

/** The database's plans and prices, put into Stripe. Without the tables (no migrations yet) there is nothing to do. */
export async function syncCatalogue(stripe: Stripe, database: Database): Promise<void> {
  const sql = connect(database.adminUrl, { max: 1 });
  try {
    const [there] = await sql<{ ready: boolean }[]>`
      select to_regclass('public.plans') is not null and to_regclass('public.prices') is not null as ready`;
    if (!there?.ready) return;
    const plans = await sql<{ id: string; name: string; description: string | null }[]>`
      select id, name, description from public.plans order by rank`;
    const prices = await sql<CatalogueRows["prices"]>`
      select p.lookup_key, p.plan_id, p.currency, p.unit_amount_minor::float8 as unit_amount_minor,
        p.billing_interval, p.is_active, p.tiers_mode, p.tiers,
        (select jsonb_object_agg(o.currency, o.unit_amount_minor)
          from public.price_currency_options o where o.lookup_key = p.lookup_key) as options
      from public.prices p order by p.lookup_key`;
    const metrics = await sql<NonNullable<CatalogueRows["metrics"]>>`
      select id, name, meter_event_name from public.metrics where meter_event_name is not null order by id`;
    const overage = await sql<NonNullable<CatalogueRows["overage"]>>`
      select p.lookup_key, p.plan_id, p.metric_id, p.currency, trim_scale(p.unit_amount_minor)::text as unit_amount_minor,
        p.is_active,
        (select jsonb_object_agg(o.currency, trim_scale(o.unit_amount_minor)::text)
          from public.overage_price_currency_options o where o.lookup_key = p.lookup_key) as options
      from public.overage_prices p order by p.lookup_key`;
    const packs = await sql<NonNullable<CatalogueRows["packs"]>>`
      select p.lookup_key, p.name, p.currency, p.price_minor::float8 as price_minor, p.is_active,
        (select jsonb_object_agg(o.currency, o.price_minor)
          from public.credit_pack_currency_options o where o.lookup_key = p.lookup_key) as options
      from public.credit_packs p order by p.lookup_key`;
    await ensureCatalogue(stripe, { plans, prices, metrics, overage, packs });
  } finally {
    await sql.end({ timeout: 2 });
  }
}
