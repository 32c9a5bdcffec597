import Stripe from "stripe";
import { z } from "zod";
import { type CatalogueRows, ensureCatalogue } from "./catalogue.ts";
import { connect, type Database } from "./postgres.ts";
import { readTextIfAny, writeAtomically } from "./util.ts";

const API_VERSION = "2026-10-28.endive";

const stored = z.object({ url: z.string(), id: z.string(), secret: z.string() });

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
    await ensureCatalogue(stripe, { plans, prices });
  } finally {
    await sql.end({ timeout: 2 });
  }
}

/**
 * Makes sure the sandbox delivers its events to our function and returns the signing secret. Stripe shows a secret only once, when
 * the endpoint is created, so it is kept in the data directory.
 */
export async function ensureWebhook(stripe: Stripe, url: string, dataDir: string): Promise<string> {
  const path = `${dataDir}/webhook.json`;
  const known = parse(await readTextIfAny(path));
  const { data } = await stripe.webhookEndpoints.list({ limit: 100 });
  const alive = data.find((endpoint) => endpoint.id === known?.id && endpoint.url === url);
  if (known && alive) return known.secret;
  // An endpoint of ours whose secret is lost, or whose address has moved, would only collect failures.
  const marked = data.filter((endpoint) =>
    endpoint.metadata["tollgate"] === "webhook" || endpoint.url === url
  );
  for (const endpoint of marked) await stripe.webhookEndpoints.del(endpoint.id);
  const created = await stripe.webhookEndpoints.create({
    url,
    enabled_events: ["*"],
    api_version: API_VERSION,
    metadata: { tollgate: "webhook" },
  });
  if (!created.secret) throw new Error("Stripe returned a webhook endpoint without its secret.");
  await writeAtomically(path, JSON.stringify({ url, id: created.id, secret: created.secret }));
  return created.secret;
}

function parse(text: string | null): z.infer<typeof stored> | null {
  if (text === null) return null;
  try {
    return stored.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
