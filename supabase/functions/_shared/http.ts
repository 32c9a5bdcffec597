import { createSupabaseContext, type SupabaseContext } from "@supabase/server";
import { z } from "zod";
import { allowOrigin } from "./cors.ts";
import type { Database } from "./database.types.ts";
import type { SecretCall, UserCall } from "./db.ts";
import { AppError } from "./domain/errors.ts";
import { log } from "./log.ts";

type FetchHandler = (request: Request) => Promise<Response>;

const MAX_BODY_BYTES = 64 * 1024;
const EXPOSED = "x-request-id";

/** A function called by a signed-in user with a JSON body; what the handler returns is the 200 answer, or the whole response. */
export function userFunction<Body>(
  name: string,
  body: z.ZodType<Body>,
  handle: (body: Body, call: UserCall) => Promise<unknown>,
): FetchHandler {
  return answer(name, async (request) => {
    const context = await authenticate(request, "user");
    const claims = context.userClaims;
    // An anonymous sign-in is a user too; a token without a subject is not.
    if (!claims?.id) throw new AppError("unauthorized", "Sign in first.");
    const parsed = parse(body, await readBody(request));
    const user = { id: claims.id, email: claims.email || null };
    const { supabase, supabaseAdmin } = context;
    const outcome = await handle(parsed, { user, supabase, supabaseAdmin });
    return outcome instanceof Response ? outcome : Response.json(outcome);
  });
}

/** A function called with the project's secret key: pg_cron (which sends `{}`) or an operator. */
export function secretFunction<Body>(
  name: string,
  body: z.ZodType<Body>,
  handle: (body: Body, call: SecretCall) => Promise<unknown>,
): FetchHandler {
  return answer(name, async (request) => {
    const { supabaseAdmin } = await authenticate(request, "secret");
    return Response.json(await handle(parse(body, await readBody(request)), { supabaseAdmin }));
  });
}

/** A function whose caller proves itself by the raw body's signature. */
export function signedFunction(
  name: string,
  options: { maxBytes: number },
  handle: (raw: string, headers: Headers) => Promise<unknown>,
): FetchHandler {
  return answer(name, async (request) => {
    const raw = new TextDecoder().decode(await readBytes(request, options.maxBytes));
    return Response.json(await handle(raw, request.headers));
  });
}

/** The only place where an outcome becomes a response: request id, CORS headers and error shape are decided here. */
function answer(name: string, handle: FetchHandler): FetchHandler {
  return async (request) => {
    const requestId = crypto.randomUUID();
    if (request.method === "OPTIONS") {
      return stamp(new Response(null, { status: 204 }), request, requestId);
    }
    try {
      if (request.method !== "POST") throw new AppError("method_not_allowed", "Use POST.");
      return stamp(await handle(request), request, requestId);
    } catch (error) {
      return stamp(failure(name, requestId, error), request, requestId);
    }
  };
}

function failure(name: string, requestId: string, error: unknown): Response {
  const refusal = error instanceof AppError
    ? error
    : new AppError("internal_error", "Something went wrong on our side.", { cause: error });
  log(refusal.status >= 500 ? "error" : "info", "refused", {
    function: name,
    request_id: requestId,
    code: refusal.code,
    cause: refusal.cause instanceof Error
      ? `${refusal.cause.name}: ${refusal.cause.message}`
      : undefined,
    stack: refusal.code === "internal_error" && refusal.cause instanceof Error
      ? refusal.cause.stack
      : undefined,
  });
  const { code, message, action } = refusal;
  return Response.json({ error: { code, message, request_id: requestId, action } }, {
    status: refusal.status,
  });
}

function stamp(response: Response, request: Request, requestId: string): Response {
  allowOrigin(response.headers, request);
  response.headers.set("access-control-expose-headers", EXPOSED);
  response.headers.set("x-request-id", requestId);
  response.headers.set("cache-control", "no-store");
  response.headers.set("x-content-type-options", "nosniff");
  return response;
}

async function authenticate(
  request: Request,
  auth: "user" | "secret",
): Promise<SupabaseContext<Database>> {
  const { data, error } = await createSupabaseContext<Database>(request, {
    auth,
    ...(auth === "user" && { audience: "authenticated" }),
  });
  if (error === null) return data;
  if (error.status === 401) throw new AppError("unauthorized", "Sign in first.", { cause: error });
  throw new AppError("not_configured", "This deployment is not configured.", { cause: error });
}

function parse<Body>(schema: z.ZodType<Body>, input: unknown): Body {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) =>
    issue.path.length > 0 ? `${issue.path.join(".")}: ${issue.message}` : issue.message
  );
  throw new AppError("invalid_request", problems.join("; "));
}

async function readBody(request: Request): Promise<unknown> {
  const raw = new TextDecoder().decode(await readBytes(request, MAX_BODY_BYTES));
  if (raw.trim() === "") return {};
  try {
    return JSON.parse(raw);
  } catch {
    throw new AppError("invalid_request", "The body is not JSON.");
  }
}

/** Reads at most `limit` bytes: a length header may lie, so the stream itself is counted. */
async function readBytes(request: Request, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > limit) {
      throw new AppError("payload_too_large", `The body is larger than ${limit} bytes.`);
    }
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
