import type { AgentRef } from "./records.ts";

/**
 * Where to go after signing in. Only a path on our own origin is accepted: anything else in a link's
 * `next` parameter would be an open redirect (`//host`, `/\host` and encoded schemes included).
 */
export function safePath(next: string | null | undefined, fallback = "/chat"): string {
  if (!next || !/^\/(?![/\\])[\x21-\x7e]*$/.test(next)) return fallback;
  const url = new URL(next, "http://own.invalid");
  return url.host === "own.invalid" ? `${url.pathname}${url.search}${url.hash}` : fallback;
}

/** A link to a page that comes back to `next` when it is done. */
export function withNext(page: "/sign-in" | "/sign-up", next: string): string {
  return next === "/chat" ? page : `${page}?next=${encodeURIComponent(next)}`;
}

/** The page that opens Stripe Checkout for one price, in another currency than its own if one is given. */
export function checkoutPath(lookupKey: string, currency?: string): string {
  const path = `/checkout/${encodeURIComponent(lookupKey)}`;
  return currency ? `${path}?currency=${encodeURIComponent(currency)}` : path;
}

/** The way to buy a price in the currency it is shown in. */
export function buyPath(price: { lookupKey: string; currency: string; ownCurrency: string }) {
  const { lookupKey, currency, ownCurrency } = price;
  return checkoutPath(lookupKey, currency === ownCurrency ? undefined : currency);
}

/** The account page with the dialog that changes the plan, for this price if one is given. */
export function changePath(lookupKey = ""): string {
  return `/account?change=${encodeURIComponent(lookupKey)}`;
}

/** A new conversation with an agent: a bought one by its listing, or one of one's own. */
export function newChatPath(agent: { listing: string } | { agent: string }): string {
  return `/chat?${new URLSearchParams(agent)}`;
}

/** Whom the address of a new conversation asks for; null for nobody, or nothing that could be an agent. */
export function agentOfChat(params: URLSearchParams): AgentRef | null {
  const listing = params.get("listing");
  if (listing && isUuid(listing)) return { kind: "listing", id: listing.toLowerCase() };
  const agent = params.get("agent");
  return agent && isUuid(agent) ? { kind: "agent", id: agent.toLowerCase() } : null;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(value: string): boolean {
  return UUID.test(value);
}
