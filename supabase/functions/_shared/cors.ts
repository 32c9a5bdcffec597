import { corsHeaders } from "@supabase/supabase-js/cors";
import { allowedOrigins } from "./env.ts";

/** Supabase's list of what its client sends, and of methods; never its `*` for the origin. */
const ALLOWED_HEADERS = corsHeaders["Access-Control-Allow-Headers"] ?? "";
const ALLOWED_METHODS = corsHeaders["Access-Control-Allow-Methods"] ?? "";

/**
 * Lets the pages of our own origins read the answer, and no others. A caller that is no browser page sends no origin and needs
 * none of it. `Vary` always, so that no cache gives one origin's answer to another.
 */
export function allowOrigin(headers: Headers, request: Request): void {
  headers.append("vary", "Origin");
  const origin = request.headers.get("origin");
  if (origin === null || !allowedOrigins().has(origin)) return;
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-allow-headers", ALLOWED_HEADERS);
  headers.set("access-control-allow-methods", ALLOWED_METHODS);
}
