/**
 * CORS as the hosted gateway answers it. Deliberately no kinder: what a browser cannot read there (Retry-After, for one) it must
 * not be able to read here.
 */
const METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT";

/** PostgREST's list; Auth exposes two of its own. */
const EXPOSED = {
  rest:
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, Range-Unit",
  auth: "X-Total-Count, Link, X-Supabase-Api-Version",
};

export type CorsService = keyof typeof EXPOSED;

export function preflight(request: Request): Response {
  return new Response(null, {
    status: 200,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": METHODS,
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ??
        "authorization, x-client-info, apikey, content-type",
      "access-control-max-age": "3600",
      "vary": "Access-Control-Request-Headers",
    },
  });
}

/** Every answer carries it, refusals included: without it a browser shows a refusal as a network error. */
export function withCors(response: Response, service?: CorsService): Response {
  const headers = new Headers(response.headers);
  headers.set("access-control-allow-origin", "*");
  if (service) headers.set("access-control-expose-headers", EXPOSED[service]);
  return new Response(response.body, { status: response.status, headers });
}
