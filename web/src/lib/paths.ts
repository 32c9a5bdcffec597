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

/** The page that opens Stripe Checkout for one price. */
export function checkoutPath(lookupKey: string): string {
  return `/checkout/${encodeURIComponent(lookupKey)}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(value: string): boolean {
  return UUID.test(value);
}
