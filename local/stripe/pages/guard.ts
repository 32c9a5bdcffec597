/** Headers of every page, and who may post to them. */
import type { Context, MiddlewareHandler } from "hono";
import type { Html } from "./layout.ts";
import { refusal } from "../../loopback.ts";

/**
 * Browsers apply `form-action` to the redirect that answers a form as well, so the origins a session may lead to are
 * listed. A host that CSP cannot write (an IPv6 literal) is widened to its scheme.
 */
export function policy(leadsTo: readonly (string | null | undefined)[]): string {
  const origins = leadsTo.map(originOf).filter((origin) => origin !== null);
  const directives = [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    `form-action 'self' ${[...new Set(origins)].join(" ")}`.trim(),
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  return directives.join("; ");
}

function originOf(target: string | null | undefined): string | null {
  const safe = webUrl(target);
  if (safe === null) return null;
  const url = new URL(safe);
  return url.hostname.startsWith("[") ? url.protocol : url.origin;
}

/** Only http(s): a stored URL must never become a script. */
export function webUrl(target: string | null | undefined): string | null {
  if (!target || !URL.canParse(target)) return null;
  const { protocol } = new URL(target);
  return protocol === "http:" || protocol === "https:" ? target : null;
}

export function secure(c: Context, leadsTo: readonly (string | null | undefined)[] = []): void {
  c.header("content-security-policy", policy(leadsTo));
  c.header("cache-control", "no-store");
  c.header("x-content-type-options", "nosniff");
  c.header("x-frame-options", "DENY");
  // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
  c.header("referrer-policy", "same-origin");
  c.header("x-robots-tag", "noindex");
}

export function guard(page: (title: string, message: string) => Html): MiddlewareHandler {
  return async (c, next) => {
    secure(c);
    const refused = refusal(c.req.raw);
    if (!refused) return await next();
    return c.html(page("Refused", refused.message), refused.status);
  };
}
