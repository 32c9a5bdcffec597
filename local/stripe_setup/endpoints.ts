import type Stripe from "stripe";
import { DELIVERIES } from "../../supabase/functions/_shared/domain/events.ts";
import { API_VERSION } from "./client.ts";

/** What Stripe delivers to: two webhook endpoints of `/v1` and two event destinations of `/v2`, in one shape. */

export type EndpointMark = keyof typeof DELIVERIES;

export interface EndpointKind {
  mark: EndpointMark;
  /** For a person to read. */
  title: string;
  path: string;
  isThin: boolean;
  events: readonly string[];
  /** What cannot be changed once it is made. */
  fixed: Record<string, unknown>;
}

const V1 = "/v1/webhook_endpoints";
const V2 = "/v2/core/event_destinations";

/** In the order of their secrets. */
export const ENDPOINTS: readonly EndpointKind[] = [
  {
    mark: "webhook",
    title: "our own events",
    ...{ path: V1, isThin: false, events: DELIVERIES.webhook },
    fixed: { api_version: API_VERSION },
  },
  {
    mark: "connect",
    title: "events of connected accounts",
    ...{ path: V1, isThin: false, events: DELIVERIES.connect },
    fixed: { api_version: API_VERSION, connect: true },
  },
  {
    mark: "meters",
    title: "thin events about usage",
    ...{ path: V2, isThin: true, events: DELIVERIES.meters },
    fixed: { event_payload: "thin", events_from: ["@self"] },
  },
  {
    mark: "accounts",
    title: "thin events about connected accounts",
    ...{ path: V2, isThin: true, events: DELIVERIES.accounts },
    fixed: { event_payload: "thin", events_from: ["@accounts"] },
  },
];

export interface Endpoint {
  id: string;
  path: string;
  url: string;
  events: string[];
  isEnabled: boolean;
  metadata: Record<string, string>;
  /** Unix seconds. */
  created: number;
  /** What cannot be changed, as far as Stripe shows it: `connect` it does not. */
  fixed: Record<string, unknown>;
}

export async function readEndpoints(stripe: Stripe): Promise<Endpoint[]> {
  const found: Endpoint[] = [];
  for await (const endpoint of stripe.webhookEndpoints.list({ limit: 100 })) {
    const { id, url, enabled_events: events, metadata, created, api_version } = endpoint;
    const isEnabled = endpoint.status === "enabled";
    found.push({ id, path: V1, url, events, isEnabled, metadata, created, fixed: { api_version } });
  }
  const include = ["webhook_endpoint.url"];
  for await (const destination of stripe.v2.core.eventDestinations.list({ include })) {
    const { id, enabled_events: events, event_payload, events_from } = destination;
    found.push({
      ...{ id, path: V2, events },
      url: destination.webhook_endpoint?.url ?? "",
      isEnabled: destination.status === "enabled",
      metadata: destination.metadata ?? {},
      created: Math.floor(Date.parse(destination.created) / 1000),
      fixed: { event_payload, events_from },
    });
  }
  return found;
}

/** The parameters that make one. */
export function creationOf(
  { mark, title, isThin, events, fixed }: EndpointKind,
  url: string,
  metadata: Record<string, string>,
): Record<string, unknown> {
  const common = {
    enabled_events: [...events],
    ...fixed,
    metadata: { tollgate: mark, ...metadata },
  };
  if (!isThin) return { url, description: `Tollgate: ${title}`, ...common };
  return {
    ...common,
    name: `Tollgate: ${title}`,
    type: "webhook_endpoint",
    webhook_endpoint: { url },
    include: ["webhook_endpoint.signing_secret"],
  };
}
