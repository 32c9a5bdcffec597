/** A route of the API: method, path, its parameters as a table, and what it does. */
import { type Raw, readShape, type Shape, type Values } from "./params.ts";
import type { StripeError } from "./errors.ts";
import type { Store } from "./store.ts";
import type { Work } from "./work.ts";
import { type Kind, type Objects } from "./types.ts";
import { type Filter, listPage, pagination, where } from "./answer.ts";

export type Method = "GET" | "POST" | "DELETE";

/** What a route lets only one request have at a time, and its refusal to a second one. */
export interface Guard {
  key: string;
  refusal: StripeError;
}
export interface Route {
  method: Method;
  /** `/v1/customers/:id`; the ids reach the handler in their order. */
  path: string;
  /** Reads the parameters (throws Stripe's validation errors), then gives what to run in the transaction. */
  prepare(raw: { [key: string]: Raw }, ids: readonly string[]): (work: Work) => unknown;
  /** Counted against the limit on recording usage. */
  isMetered?: boolean;
  guard?(raw: { [key: string]: Raw }, store: Store): Guard | null;
  /** Let in by the token of a meter event session, not by the secret key. */
  isSession?: boolean;
  /** Also answers for a connected account (`Stripe-Account`). */
  forAccounts?: boolean;
}

/** These routes also answer for a connected account. */
export const forAccounts = (...routes: Route[]): Route[] =>
  routes.map((each) => ({ ...each, forAccounts: true }));

export function route<S extends Shape>(
  method: Method,
  path: string,
  shape: S,
  run: (work: Work, params: Values<S>, id: string, second: string) => unknown,
): Route {
  return {
    method,
    path,
    prepare(raw, ids) {
      const params = readShape(shape, raw);
      return (work) => run(work, params, ids[0] ?? "", ids[1] ?? "");
    },
  };
}

export function retrieveRoute<K extends Kind>(kind: K, path: string): Route {
  return route("GET", `${path}/:id`, {}, (work, _params, id) => {
    if (work.account === "" && work.store.isDeleted(kind, id)) {
      return { id, object: kind, deleted: true };
    }
    return work.require(kind, id);
  });
}

export function listRoute<K extends Kind>(
  kind: K,
  path: string,
  filters: Record<string, Filter>,
  always: (params: Record<string, unknown>) => Record<string, string | number | boolean | null> =
    () => ({}),
): Route {
  const shape: Shape = { ...pagination };
  for (const [name, filter] of Object.entries(filters)) shape[name] = filter.param;
  return {
    method: "GET",
    path,
    prepare(raw) {
      const params = readShape(shape, raw);
      const page = readShape(pagination, pick(raw, Object.keys(pagination)));
      const wanted: Parameters<typeof where>[0] = { ...always(params) };
      for (const [name, filter] of Object.entries(filters)) {
        wanted[filter.path] = filter.param.read(raw[name], name);
      }
      return (work): { data: Objects[K][] } =>
        listPage(work, kind, path, page, { where: where(wanted) });
    },
  };
}

function pick(raw: { [key: string]: Raw }, keys: string[]): { [key: string]: Raw } {
  return Object.fromEntries(keys.filter((key) => key in raw).map((key) => [key, raw[key]]));
}

/** Finds the route of a request; fixed segments win over parameters because they are listed first. */
export function match(
  routes: readonly Route[],
  method: string,
  path: string,
): { route: Route; ids: string[] } | null {
  const asked = path.split("/");
  for (const candidate of routes) {
    if (candidate.method !== method) continue;
    const pattern = candidate.path.split("/");
    if (pattern.length !== asked.length) continue;
    const ids: string[] = [];
    const fits = pattern.every((part, i) => {
      const given = asked[i] ?? "";
      if (!part.startsWith(":")) return part === given;
      ids.push(decode(given));
      return given !== "";
    });
    if (fits) return { route: candidate, ids };
  }
  return null;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
