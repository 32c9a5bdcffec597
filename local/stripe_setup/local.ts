import type Stripe from "stripe";
import { z } from "zod";
import { connect, type Database } from "../postgres.ts";
import { readTextIfAny, writeAtomically } from "../util.ts";
import { catalogueRows, type EndpointMark, ENDPOINTS, planSetup } from "./mod.ts";

/** The set-up as the local stack's start does it: rows by SQL, secrets in the data directory. */

/** Puts the database's catalogue into Stripe. Without the function (no migrations yet) there is nothing to do. */
export async function setUpCatalogue(stripe: Stripe, database: Database): Promise<void> {
  const sql = connect(database.adminUrl, { max: 1 });
  try {
    const [there] = await sql<{ ready: boolean }[]>`
      select to_regprocedure('public.stripe_catalogue()') is not null as ready`;
    if (!there?.ready) return;
    const [answer] = await sql<{ rows: unknown }[]>`select public.stripe_catalogue() as rows`;
    await (await planSetup(stripe, catalogueRows.parse(answer?.rows))).apply();
  } finally {
    await sql.end({ timeout: 2 });
  }
}

const stored = z.object({ url: z.string(), id: z.string(), secret: z.string() });

/** Stripe shows a secret only once, when the endpoint is created, so it is kept in the data directory. */
const FILES: Record<EndpointMark, string> = {
  webhook: "webhook.json",
  connect: "connect.json",
  meters: "event_destination.json",
  accounts: "account_events.json",
};

/**
 * Makes sure that the sandbox delivers what we use to our function, and returns the signing secrets: first that of the ordinary
 * events. An endpoint of ours whose secret is lost, or whose address has moved, is made anew.
 */
export async function setUpEndpoints(
  stripe: Stripe,
  url: string,
  dataDir: string,
): Promise<string[]> {
  const known = new Map<EndpointMark, z.infer<typeof stored>>();
  for (const { mark } of ENDPOINTS) {
    const kept = parse(await readTextIfAny(`${dataDir}/${FILES[mark]}`));
    if (kept) known.set(mark, kept);
  }
  const own = new Map([...known].map(([mark, { id }]) => [mark, id]));
  const plan = await planSetup(stripe, null, { endpoints: { url, now: Date.now() / 1000, own } });
  const { secrets } = await plan.apply();
  for (const { mark } of ENDPOINTS) {
    const made = secrets.find(({ name }) => name === mark);
    if (!made) continue;
    const kept = { url, id: made.id, secret: made.secret };
    known.set(mark, kept);
    await writeAtomically(`${dataDir}/${FILES[mark]}`, JSON.stringify(kept));
  }
  return ENDPOINTS.flatMap(({ mark }) => known.get(mark)?.secret ?? []);
}

function parse(text: string | null): z.infer<typeof stored> | null {
  if (text === null) return null;
  try {
    return stored.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
