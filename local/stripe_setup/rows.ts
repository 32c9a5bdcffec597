import { createClient } from "@supabase/supabase-js";
import { z } from "zod";
import { SetupError } from "./steps.ts";

/**
 * The catalogue as the database has it: what `public.stripe_catalogue()` answers. The rows are the truth, Stripe's objects
 * follow.
 */

const currencies = z.record(z.string().regex(/^[a-z]{3}$/), z.int().min(0));
/** Below a cent too, so never a float. */
const decimal = z.string().regex(/^\d{1,14}(\.\d{1,6})?$/);
const tier = z.object({
  up_to: z.int().min(1).nullable(),
  unit_amount_minor: z.int().min(0),
  flat_amount_minor: z.int().min(0),
});

const price = z.object({
  lookup_key: z.string(),
  plan_id: z.string(),
  currency: z.string(),
  /** Null for a price with tiers. */
  unit_amount_minor: z.int().min(0).nullable(),
  billing_interval: z.enum(["month", "year"]),
  is_active: z.boolean(),
  tiers_mode: z.enum(["graduated", "volume"]).nullish(),
  tiers: z.array(tier).nullish(),
  /** What it costs in currencies beside its own. */
  options: currencies.nullish(),
});

const overage = z.object({
  lookup_key: z.string(),
  plan_id: z.string(),
  metric_id: z.string(),
  currency: z.string(),
  unit_amount_minor: decimal,
  is_active: z.boolean(),
  options: z.record(z.string().regex(/^[a-z]{3}$/), decimal).nullish(),
});

const pack = z.object({
  lookup_key: z.string(),
  name: z.string(),
  currency: z.string(),
  price_minor: z.int().min(1),
  is_active: z.boolean(),
  options: currencies.nullish(),
});

export const catalogueRows = z.object({
  plans: z.array(
    z.object({ id: z.string(), name: z.string(), description: z.string().nullable() }),
  ),
  prices: z.array(price),
  /** Those that can be billed beyond an allowance. */
  metrics: z.array(z.object({ id: z.string(), name: z.string(), meter_event_name: z.string() })),
  overage: z.array(overage),
  packs: z.array(pack),
  features: z.array(z.object({ id: z.string(), name: z.string() })),
  plan_features: z.array(z.object({ plan_id: z.string(), feature_id: z.string() })),
});

export type CatalogueRows = z.infer<typeof catalogueRows>;

/** Asks a project for its catalogue, with its secret key. Throws `SetupError` with the project's own words. */
export async function readRows(
  project: { url: string; secretKey: string; schema?: string },
): Promise<CatalogueRows> {
  const client = createClient(project.url, project.secretKey, {
    auth: { persistSession: false, autoRefreshToken: false },
    db: { schema: project.schema ?? "public" },
    // The secret key would go along to wherever it leads.
    global: { fetch: (input, init) => fetch(input, { ...init, redirect: "error" }) },
  });
  const { data, error } = await client.rpc("stripe_catalogue");
  if (error) throw new SetupError(`${project.url} did not answer its catalogue: ${error.message}`);
  return catalogueRows.parse(data);
}
