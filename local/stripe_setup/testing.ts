/// <reference path="../stripe/engine/sqlite.d.ts" />
/** For the tests of the set-up: a sandbox with rows for every kind of thing, and a look at everything the sandbox has. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import Stripe from "stripe";
import { type SandboxOptions, startStripeSandbox } from "../stripe/server.ts";
import { type CatalogueRows, type Plan, planSetup, stripeClient } from "./mod.ts";

export const KEY = "sk_test_setup";
export const HOOK = "http://127.0.0.1:9/functions/v1/stripe-webhook";

export const ROWS: CatalogueRows = {
  plans: [
    { id: "free", name: "Free", description: "" },
    { id: "pro", name: "Pro", description: "For one person" },
    { id: "team", name: "Team", description: "" },
  ],
  prices: [
    {
      ...price("pro_monthly", "pro", 1500),
      options: { eur: 1400, gbp: 1200 },
    },
    { ...price("pro_yearly", "pro", 15000), billing_interval: "year" },
    {
      ...price("team_seats", "team", null),
      tiers_mode: "volume",
      tiers: [
        { up_to: 5, unit_amount_minor: 700, flat_amount_minor: 100 },
        { up_to: null, unit_amount_minor: 650, flat_amount_minor: 0 },
      ],
    },
    { ...price("pro_old", "pro", 900), is_active: false },
  ],
  metrics: [
    { id: "message", name: "Messages", meter_event_name: "tollgate_message" },
    { id: "tool", name: "Tools", meter_event_name: "tollgate_tool" },
  ],
  overage: [
    metered("pro_message_overage", "message", "1.5", { eur: "1.25" }),
    metered("pro_tool_overage", "tool", "0.8", {}),
  ],
  packs: [{
    lookup_key: "credits_10",
    name: "Credit pack 10",
    currency: "usd",
    price_minor: 1000,
    is_active: true,
    options: { eur: 1000 },
  }],
  features: [
    { id: "all_tools", name: "All tools" },
    { id: "priority", name: "Priority" },
    { id: "sla", name: "SLA" },
  ],
  plan_features: [
    { plan_id: "free", feature_id: "all_tools" },
    { plan_id: "pro", feature_id: "all_tools" },
    { plan_id: "pro", feature_id: "priority" },
    { plan_id: "team", feature_id: "all_tools" },
  ],
};

function price(
  lookup_key: string,
  plan_id: string,
  unit_amount_minor: number | null,
): CatalogueRows["prices"][number] {
  return {
    ...{ lookup_key, plan_id, unit_amount_minor },
    currency: "usd",
    billing_interval: "month",
    is_active: true,
  };
}

function metered(
  lookup_key: string,
  metric_id: string,
  unit_amount_minor: string,
  options: Record<string, string>,
): CatalogueRows["overage"][number] {
  const common = { plan_id: "pro", currency: "usd", is_active: true };
  return { ...common, lookup_key, metric_id, unit_amount_minor, options };
}

/** The rows with another amount for one of the prices. */
export function withAmount(key: string, unit_amount_minor: number): CatalogueRows {
  const prices = ROWS.prices.map((row) =>
    row.lookup_key === key ? { ...row, unit_amount_minor } : row
  );
  return { ...ROWS, prices };
}

export interface Fixture {
  stripe: Stripe;
  url: string;
  dataDir: string;
  plan(rows?: CatalogueRows): Promise<Plan>;
}

export async function withSetup(
  run: (fixture: Fixture) => Promise<void>,
  options: Partial<SandboxOptions> = {},
): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-setup-" });
  const sandbox = await startStripeSandbox({ port: 0, dataDir, secretKey: KEY, ...options });
  const stripe = stripeClient(KEY, sandbox.url);
  const plan = (rows = ROWS) =>
    planSetup(stripe, rows, { endpoints: { url: HOOK, now: Date.now() / 1000 } });
  try {
    await run({ stripe, url: sandbox.url, dataDir, plan });
  } finally {
    await sandbox.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
}

/** What a plan would do, in its order. */
export function changesOf({ changes }: Plan): string[] {
  return changes.map(({ change, kind, name }) => `${change} ${kind} ${name}`);
}

/** Every row of every table of the sandbox. */
export function everything(dataDir: string): Record<string, unknown[]> {
  const db = new DatabaseSync(`${dataDir}/stripe.db`);
  try {
    const tables = db.prepare("select name from sqlite_master where type = 'table' order by name")
      .all();
    return Object.fromEntries(tables.map(({ name }) => [
      String(name),
      // Attempts at delivery go on by themselves; nothing listens.
      name === "attempts" ? [] : db.prepare(`select * from "${String(name)}"`).all(),
    ]));
  } finally {
    db.close();
  }
}

/** How many there are of each kind of object, events left out. */
export function census(dataDir: string): Record<string, number> {
  const count: Record<string, number> = {};
  for (const row of everything(dataDir)["objects"] ?? []) {
    const kind = typeof row === "object" && row !== null && "kind" in row ? String(row.kind) : "";
    if (!kind.includes("event") || kind.includes("destination")) {
      count[kind] = (count[kind] ?? 0) + 1;
    }
  }
  return count;
}

/** The secret of an endpoint, past the API, which does not tell. */
export function secretOf(dataDir: string, id: string): string {
  const db = new DatabaseSync(`${dataDir}/stripe.db`);
  try {
    const row = db.prepare("select hidden from objects where id = ?").get(id);
    return JSON.parse(String(row?.["hidden"])).secret;
  } finally {
    db.close();
  }
}

export async function converges(fixture: Fixture, rows: CatalogueRows, expected: string[]) {
  const plan = await fixture.plan(rows);
  assert.deepEqual(changesOf(plan), expected);
  const methods = plan.steps.flatMap(({ calls }) => calls.map(({ method }) => method));
  assert.ok(!methods.includes("DELETE"));
  await plan.apply();
  const after = await fixture.plan(rows);
  assert.deepEqual(changesOf(after).filter((change) => !change.includes("webhook")), []);
}
