import {
  creationOf,
  type Endpoint,
  type EndpointKind,
  type EndpointMark,
  ENDPOINTS,
} from "./endpoints.ts";
import { fingerprint } from "./fingerprint.ts";
import { type Call, type Draft, type StepKind, update } from "./steps.ts";

/** Webhook endpoints and event destinations. Pure, but for the name of an attempt, which is random. */

export interface EndpointOptions {
  /** Where Stripe should deliver. */
  url: string;
  /** Unix seconds. */
  now: number;
  /**
   * Whose secret is known, by mark: then one that is not known, or that delivers elsewhere, is deleted and made anew. Only for a
   * sandbox that nobody else uses. Without it nothing is ever deleted.
   */
  own?: ReadonlyMap<EndpointMark, string>;
}

/** For a day Stripe answers a key as it did the first time, the secret included; an hour less, so as not to be late. */
const REPLAYABLE_SECONDS = 23 * 3600;

export function planEndpoints(draft: Draft, known: Endpoint[], options: EndpointOptions): void {
  for (const kind of ENDPOINTS) {
    const ours = known.filter(({ path, metadata }) =>
      path === kind.path && metadata["tollgate"] === kind.mark
    );
    if (options.own) planOwn(draft, kind, ours, options, options.own.get(kind.mark));
    else planShared(draft, kind, ours, options);
  }
  if (!options.own) noteOthers(draft, known, options.url);
}

/** In an account that others use too. */
function planShared(
  draft: Draft,
  kind: EndpointKind,
  ours: Endpoint[],
  options: EndpointOptions,
): void {
  const here = ours.filter(({ url }) => url === options.url)
    .toSorted((a, b) => b.created - a.created);
  const newest = here.find((endpoint) => notAsFixed(endpoint, kind) === "");
  const isLost = newest !== undefined && isUnseen(newest) && !isReplayable(newest, kind, options);
  const keeper = isLost ? undefined : newest;
  if (keeper) mend(draft, kind, keeper, options);
  else {
    const why = here.map((endpoint) => {
      const misfit = notAsFixed(endpoint, kind);
      return `${endpoint.id} ${misfit === "" ? "never had its secret shown" : `has ${misfit}`}`;
    });
    draft.add({
      kind: stepKind(kind),
      name: kind.mark,
      change: here.length > 0 ? "replace" : "create",
      details: [`${kind.title} → ${options.url}, ${kind.events.length} types`, ...why],
      calls: [creation(kind, options.url, attempt(kind, options.url))],
    });
  }
  for (const { id } of here.filter((endpoint) => endpoint !== keeper)) {
    draft.notes.push(
      `${id} delivers ${kind.title} to the same address as the newest one. Delete it in Stripe once that one's secret is set.`,
    );
  }
  for (const { id, url } of ours.filter((endpoint) => endpoint.url !== options.url)) {
    draft.notes.push(
      `${id} delivers ${kind.title} to ${url}. If nothing is there any more, delete it in Stripe.`,
    );
  }
}

/** In our own sandbox: what has no known secret would only collect failures. */
function planOwn(
  draft: Draft,
  kind: EndpointKind,
  ours: Endpoint[],
  { url }: EndpointOptions,
  knownId: string | undefined,
): void {
  const alive = ours.find((endpoint) =>
    endpoint.id === knownId && endpoint.url === url && notAsFixed(endpoint, kind) === ""
  );
  const useless = ours.filter((endpoint) => endpoint !== alive);
  const deletions = useless.map(({ id }): Call => ({
    method: "DELETE",
    path: `${kind.path}/${id}`,
    params: {},
  }));
  const { details, calls } = alive
    ? mending(kind, alive)
    : { details: [kind.title], calls: [creation(kind, url, {})] };
  const step = { kind: stepKind(kind), name: kind.mark, calls: [...deletions, ...calls] };
  if (step.calls.length === 0) draft.keep(step.kind, kind.mark, alive?.id ?? "");
  else {draft.add({
      ...step,
      change: alive ? "update" : useless[0] ? "replace" : "create",
      details,
    });}
}

function mend(
  draft: Draft,
  kind: EndpointKind,
  endpoint: Endpoint,
  { url }: EndpointOptions,
): void {
  const { details, calls } = mending(kind, endpoint);
  if (isUnseen(endpoint)) {
    const { attempt: made = "" } = endpoint.metadata;
    // The very same call again: Stripe answers it as it did then, with the secret.
    calls.unshift(creation(kind, url, { attempt: made }));
    details.push("its secret was not shown: asked for once more");
  }
  const name = kind.mark;
  if (calls.length > 0) draft.add({ kind: stepKind(kind), name, change: "update", details, calls });
  else draft.keep(stepKind(kind), name, `${endpoint.id} → ${endpoint.url}`);
}

function mending(kind: EndpointKind, endpoint: Endpoint): { details: string[]; calls: Call[] } {
  const details: string[] = [];
  const calls: Call[] = [];
  const path = `${kind.path}/${endpoint.id}`;
  const missing = kind.events.filter((type) => !endpoint.events.includes(type));
  const extra = endpoint.events.filter((type) => !kind.events.includes(type));
  if (missing.length + extra.length > 0) {
    details.push(
      ["events", ...missing.map((type) => `+${type}`), ...extra.map((type) => `-${type}`)]
        .join(" "),
    );
    calls.push(update(path, { enabled_events: [...kind.events] }));
  }
  if (!endpoint.isEnabled) {
    details.push("disabled → enabled");
    calls.push(kind.isThin ? update(`${path}/enable`, {}) : update(path, { disabled: false }));
  }
  return { details, calls };
}

function creation(
  kind: EndpointKind,
  url: string,
  metadata: Record<string, string>,
): Call {
  return {
    method: "POST",
    path: kind.path,
    params: creationOf(kind, url, metadata),
    creates: { ref: "", once: `${kind.mark} ${metadata["attempt"] ?? ""}` },
    secret: kind.mark,
  };
}

/** Names an attempt, so that it can be made again under its key, and what it asked for, so that nothing else is. */
function attempt(kind: EndpointKind, url: string): Record<string, string> {
  return { attempt: `${crypto.randomUUID()}.${fingerprint(creationOf(kind, url, {}))}` };
}

/** Made by this command, which died before it could say that it had shown the secret. */
function isUnseen({ metadata }: Endpoint): boolean {
  return metadata["attempt"] !== undefined && metadata["secret"] !== "shown";
}

function isReplayable(endpoint: Endpoint, kind: EndpointKind, { url, now }: EndpointOptions) {
  return now - endpoint.created < REPLAYABLE_SECONDS &&
    endpoint.metadata["attempt"]?.split(".")[1] === fingerprint(creationOf(kind, url, {}));
}

/** What it has otherwise and cannot be changed; empty when nothing. */
function notAsFixed({ fixed }: Endpoint, kind: EndpointKind): string {
  return Object.entries(fixed)
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(kind.fixed[name]))
    .map(([name, value]) => `${name} ${JSON.stringify(value)}`).join(", ");
}

function stepKind({ isThin }: EndpointKind): StepKind {
  return isThin ? "destination" : "webhook";
}

/** Made by hand: whether it is for connected accounts Stripe does not show, so it cannot be taken for one of ours. */
function noteOthers(draft: Draft, known: Endpoint[], url: string): void {
  for (const { id } of known.filter((one) => one.url === url && !one.metadata["tollgate"])) {
    draft.notes.push(
      `${id} delivers to ${url} and was not made by this command, so events come twice. Delete it in Stripe once the ` +
        "secrets of the new ones are set.",
    );
  }
}
