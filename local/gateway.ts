import type { Api } from "./api.ts";
import type { ProjectConfig } from "./config.ts";
import { preflight, withCors } from "./cors.ts";
import type { Functions } from "./functions.ts";
import type { Tokens } from "./tokens.ts";
import { messageOf, within } from "./util.ts";

/** The one address of the API: /auth/v1 and /rest/v1 answered by @supabase/lite, /functions/v1 by the functions host. */
export type GatewayOptions = {
  port: number;
  api: Api;
  config: ProjectConfig;
  functions: Functions | null;
  tokens: Tokens;
  log: (line: string) => void;
};

export type Gateway = { stop: () => Promise<void> };

/** Larger than anything this product sends; hosted Supabase refuses bigger bodies too. */
const MAX_BODY_BYTES = 6 * 1024 * 1024;
const FUNCTION_TIMEOUT_MS = 150_000;

export function startGateway(options: GatewayOptions): Gateway {
  const server = Deno.serve(
    { port: options.port, hostname: "127.0.0.1", onListen: () => {} },
    async (request, info) => {
      try {
        return await route(request, options, info.remoteAddr.hostname);
      } catch (error) {
        options.log(
          `gateway: ${request.method} ${new URL(request.url).pathname}: ${messageOf(error)}`,
        );
        return refusal(500, "INTERNAL_ERROR", "The local gateway failed; see the terminal.");
      }
    },
  );
  return {
    stop: async () => {
      // Keep-alive connections of browsers would hold a graceful shutdown open for minutes.
      if (!(await within(1500, server.shutdown()))) options.log("gateway: connections were cut");
    },
  };
}

async function route(
  request: Request,
  options: GatewayOptions,
  address: string,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (tooLarge(request)) return refusal(413, "PAYLOAD_TOO_LARGE", "Request body is too large");
  if (pathname.startsWith("/functions/v1/")) {
    return await toFunction(withAddress(request, address), pathname, options);
  }
  const service = pathname.startsWith("/rest/v1")
    ? "rest"
    : pathname.startsWith("/auth/v1")
    ? "auth"
    : null;
  if (service !== null && request.method === "OPTIONS") return preflight(request);
  // HS256 has no public half, so like Supabase with a legacy secret this publishes no key.
  if (pathname === "/auth/v1/.well-known/jwks.json") return withCors(Response.json({ keys: [] }));
  if (pathname === "/auth/v1/health") {
    return withCors(Response.json({ name: "GoTrue", version: "local" }));
  }
  // @supabase/lite hands it on and breaks; PostgREST answers what Postgres says to it.
  if (service === "rest" && request.url.includes("%00")) {
    return refusal(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00');
  }
  if (service === "rest") return withCors(await options.api.rest(await limited(request)), "rest");
  if (service === "auth") {
    const response = await options.api.auth(await limited(request));
    return withCors(await options.tokens.resign(response), "auth");
  }
  return refusal(404, "NOT_FOUND", "no Route matched with those values");
}

function tooLarge(request: Request): boolean {
  return Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES;
}

/** A body without a declared length is read here once, and no further than the limit. */
async function limited(request: Request): Promise<Request> {
  if (request.body === null || request.headers.has("content-length")) return request;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of request.body) {
    size += part.byteLength;
    if (size > MAX_BODY_BYTES) throw new Error("request body is too large");
    parts.push(new Uint8Array(part));
  }
  return new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body: new Blob(parts),
  });
}

/** As the hosted gateway: Cloudflare's header says who calls, whatever they sent; X-Forwarded-For keeps what they sent. */
function withAddress(request: Request, address: string): Request {
  const headers = new Headers(request.headers);
  headers.set("cf-connecting-ip", address);
  headers.append("x-forwarded-for", address);
  return new Request(request, { headers });
}

async function toFunction(
  request: Request,
  pathname: string,
  { config, functions, tokens }: GatewayOptions,
): Promise<Response> {
  const name = pathname.split("/")[3] ?? "";
  const settings = config.functions[name];
  if (!functions || settings?.enabled === false || !functions.names().includes(name)) {
    return refusal(404, "NOT_FOUND", "Requested function was not found");
  }
  // The platform lets a preflight through to the function, whose own business CORS is.
  if (request.method !== "OPTIONS" && (settings?.verify_jwt ?? true)) {
    const refused = await checkJwt(request, tokens);
    if (refused) return refused;
  }
  try {
    return await functions.fetch(name, request, AbortSignal.timeout(FUNCTION_TIMEOUT_MS));
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    return late
      ? refusal(504, "IDLE_TIMEOUT", "The function did not answer in time")
      : refusal(503, "BOOT_ERROR", messageOf(error));
  }
}

async function checkJwt(request: Request, tokens: Tokens): Promise<Response | null> {
  const header = request.headers.get("authorization");
  if (!header) return refusal(401, "UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header");
  const token = /^Bearer\s+(.+)$/i.exec(header)?.[1];
  const claims = token ? await tokens.verify(token) : null;
  return claims ? null : refusal(401, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT");
}

function refusal(status: number, code: string, message: string): Response {
  return withCors(Response.json({ code, message }, { status }));
}
