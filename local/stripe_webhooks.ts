import type Stripe from "stripe";
import { z } from "zod";
import { API_VERSION } from "./stripe_setup.ts";
import { readTextIfAny, writeAtomically } from "./util.ts";

const stored = z.object({ url: z.string(), id: z.string(), secret: z.string() });

/**
 * Makes sure the sandbox delivers its events to our function and returns the signing secret. Stripe shows a secret only once, when
 * the endpoint is created, so it is kept in the data directory. `connect`: what happens on connected accounts, which Stripe
 * delivers to endpoints of their own.
 */
export async function ensureWebhook(
  stripe: Stripe,
  url: string,
  dataDir: string,
  options: { connect: boolean } = { connect: false },
): Promise<string> {
  const mark = options.connect ? "connect" : "webhook";
  const path = `${dataDir}/${mark}.json`;
  const known = parse(await readTextIfAny(path));
  const { data } = await stripe.webhookEndpoints.list({ limit: 100 });
  const alive = data.find((endpoint) => endpoint.id === known?.id && endpoint.url === url);
  if (known && alive) return known.secret;
  // An endpoint of ours whose secret is lost, or whose address has moved, would only collect failures.
  const marked = data.filter(({ metadata, url: at }) =>
    metadata["tollgate"] === mark || (metadata["tollgate"] === undefined && at === url)
  );
  for (const endpoint of marked) await stripe.webhookEndpoints.del(endpoint.id);
  const created = await stripe.webhookEndpoints.create({
    url,
    enabled_events: ["*"],
    api_version: API_VERSION,
    metadata: { tollgate: mark },
    ...(options.connect && { connect: true }),
  });
  if (!created.secret) throw new Error("Stripe returned a webhook endpoint without its secret.");
  await writeAtomically(path, JSON.stringify({ url, id: created.id, secret: created.secret }));
  return created.secret;
}

/** What goes wrong with meter events, and what changes about connected accounts: Stripe has only thin events for these. */
const THIN_EVENTS = [
  "v1.billing.meter.error_report_triggered",
  "v1.billing.meter.no_meter_found",
  "v2.core.account.closed",
  "v2.core.account.updated",
  "v2.core.account[configuration.recipient].capability_status_updated",
  "v2.core.account[configuration.recipient].updated",
  "v2.core.account[requirements].updated",
];

/** The same for thin events: an event destination, whose secret is shown only once too. */
export async function ensureEventDestination(
  stripe: Stripe,
  url: string,
  dataDir: string,
): Promise<string> {
  const path = `${dataDir}/event_destination.json`;
  const known = parse(await readTextIfAny(path));
  const destinations = stripe.v2.core.eventDestinations;
  const ours: string[] = [];
  let isWhole = false;
  for await (const { id, metadata, enabled_events } of destinations.list()) {
    if (metadata?.["tollgate"] !== "meters") continue;
    ours.push(id);
    // One made before there was a marketplace hears of no account.
    if (id === known?.id) isWhole = THIN_EVENTS.every((type) => enabled_events.includes(type));
  }
  if (known && known.url === url && isWhole) return known.secret;
  for (const id of ours) await destinations.del(id);
  const created = await destinations.create({
    name: "Tollgate: meter errors and connected accounts",
    type: "webhook_endpoint",
    event_payload: "thin",
    enabled_events: THIN_EVENTS,
    webhook_endpoint: { url },
    metadata: { tollgate: "meters" },
    include: ["webhook_endpoint.signing_secret"],
  });
  const secret = created.webhook_endpoint?.signing_secret;
  if (!secret) throw new Error("Stripe returned an event destination without its secret.");
  await writeAtomically(path, JSON.stringify({ url, id: created.id, secret }));
  return secret;
}

function parse(text: string | null): z.infer<typeof stored> | null {
  if (text === null) return null;
  try {
    return stored.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
