import { createSupabaseContext, type SupabaseContext } from "@supabase/server";
import { z } from "zod";
import { allowOrigin } from "./cors.ts";
import type { Database } from "./database.types.ts";
import { type Client, type SecretCall, takeRate, type Trace, traced, type UserCall } from "./db.ts";
import { networkOf } from "./domain/address.ts";
import { AppError } from "./domain/errors.ts";
import { addressHeader } from "./env.ts";
import { log } from "./log.ts";

type FetchHandler = (request: Request) => Promise<Response>;
type Handler = (request: Request, trace: Trace) => Promise<Response>;
/** A function says what body it takes, so that a test can send it anything else too. */
type BodyHandler = FetchHandler & { readonly body: z.ZodType };

const MAX_BODY_BYTES = 64 * 1024;
const EXPOSED = "x-request-id, retry-after";

/**
 * A function called by a signed-in user with a JSON body, as often as its limits allow; what the handler returns is the 200
 * answer, or the whole response.
 */
export function userFunction<Body>(
  name: string,
  body: z.ZodType<Body>,
  handle: (body: Body, call: UserCall) => Promise<unknown>,
): BodyHandler {
  return taking(body, name, async (request, trace) => {
    const context = await authenticate(request, "user", trace);
    const claims = context.userClaims;
    // An anonymous sign-in is a user too; a token without a subject, or with one that is no user's id, is not.
    if (!claims?.id || !z.uuid().safeParse(claims.id).success) {
      throw new AppError("unauthorized", "Sign in first.");
    }
    trace.userId = claims.id;
    await limit(name, request, claims.id, context.supabaseAdmin);
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
): BodyHandler {
  return taking(body, name, async (request, trace) => {
    const { supabaseAdmin } = await authenticate(request, "secret", trace);
    return Response.json(await handle(parse(body, await readBody(request)), { supabaseAdmin }));
  });
}

/** A function whose caller proves itself by the raw body's signature. */
export function signedFunction(
  name: string,
  options: { maxBytes: number },
  handle: (raw: string, headers: Headers, trace: Trace) => Promise<unknown>,
): FetchHandler {
  return answer(name, async (request, trace) => {
    const raw = decode(await readBytes(request, options.maxBytes));
    return Response.json(await handle(raw, request.headers, trace));
  });
}

/**
 * A function that anybody may look at, with GET or HEAD and without a body: a monitor. What the secret key may know besides is
 * for the handler to add; whoever shows another key, or a token, is anybody.
 */
export function probeFunction(
  name: string,
  handle: (
    call: { isOperator: boolean; trace: Trace },
  ) => Promise<{ status: number; body: unknown }>,
): FetchHandler {
  return answer(name, async (request, trace) => {
    const isOperator = await isSecret(request, trace);
    const { status, body } = await handle({ isOperator, trace });
    return request.method === "HEAD"
      ? new Response(null, { status, headers: { "content-type": "application/json" } })
      : Response.json(body, { status });
  }, ["GET", "HEAD"]);
}

async function isSecret(request: Request, trace: Trace): Promise<boolean> {
  try {
    await authenticate(request, "secret", trace);
    return true;
  } catch {
    return false;
  }
}

function taking(body: z.ZodType, name: string, handle: Handler): BodyHandler {
  return Object.assign(answer(name, handle), { body });
}

/** The only place where an outcome becomes a response: request id, CORS headers and error shape are decided here. */
function answer(
  name: string,
  handle: Handler,
  methods: readonly string[] = ["POST"],
): FetchHandler {
  return async (request) => {
    const requestId = crypto.randomUUID();
    if (request.method === "OPTIONS") {
      return stamp(new Response(null, { status: 204 }), request, requestId);
    }
    try {
      if (!methods.includes(request.method)) {
        throw new AppError("method_not_allowed", `Use ${methods.join(" or ")}.`);
      }
      return stamp(await handle(request, { requestId }), request, requestId);
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
  const { code, message, action, status, retryAfterSeconds } = refusal;
  return Response.json({ error: { code, message, request_id: requestId, action } }, {
    status,
    ...(retryAfterSeconds !== undefined && {
      headers: { "retry-after": String(retryAfterSeconds) },
    }),
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
  trace: Trace,
): Promise<SupabaseContext<Database>> {
  const { data, error } = await createSupabaseContext<Database>(request, {
    // Any secret key of the project, so that there can be two while one is being rotated.
    auth: auth === "secret" ? "secret:*" : auth,
    supabaseOptions: traced(trace),
    ...(auth === "user" && { audience: "authenticated" }),
  });
  if (error === null) return data;
  if (error.status === 401) throw new AppError("unauthorized", "Sign in first.", { cause: error });
  throw new AppError("not_configured", "This deployment is not configured.", { cause: error });
}

/**
 * Before the body is read, so that a flood of wrong ones counts too. Fails closed: without the database no use case could do
 * its work anyway, and who manages to overload the limiter must not get to Stripe unlimited.
 */
async function limit(name: string, request: Request, userId: string, admin: Client): Promise<void> {
  const network = networkOf(request.headers.get(addressHeader()));
  const seconds = await takeRate(admin, { name, userId, network }).catch((cause) => {
    throw new AppError("rate_limit_unavailable", "Try again in a moment.", {
      retryAfterSeconds: 1,
      cause,
    });
  });
  if (seconds === 0) return;
  throw new AppError("rate_limited", `Too many requests. Try again in ${seconds} s.`, {
    retryAfterSeconds: seconds,
  });
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
  const raw = decode(await readBytes(request, MAX_BODY_BYTES));
  if (raw.trim() === "") return {};
  try {
    return JSON.parse(raw, withoutNul);
  } catch {
    throw new AppError("invalid_request", "The body is not JSON.");
  }
}

/** Postgres has no text with a NUL in it, so nobody means one. */
function withoutNul(_: string, value: unknown): unknown {
  if (typeof value === "string" && value.includes("\0")) throw new SyntaxError("a NUL");
  return value;
}

/** The text of a body as it was sent: a byte order mark is kept, because a signature is over it too, and broken UTF-8 is refused. */
function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new AppError("invalid_request", "The body is not UTF-8.");
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
