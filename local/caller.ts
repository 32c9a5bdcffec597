import { errors, jwtVerify } from "jose";

/**
 * Who calls REST, decided as PostgREST does: from the token's signature and expiry alone. @supabase/lite would also look the user
 * and the session up in `auth`, which PostgREST does not do and which `authenticator` must not be able to do. So the token is checked
 * here and its claims are handed to lite's key resolver, under a prefix that only this process knows.
 */
export class Callers {
  readonly #secret: Uint8Array<ArrayBuffer>;
  readonly #publishableKey: string;
  readonly #secretKey: string;
  readonly #prefix = `${crypto.randomUUID()}:`;

  constructor(options: { jwtSecret: string; publishableKey: string; secretKey: string }) {
    this.#secret = new TextEncoder().encode(options.jwtSecret);
    this.#publishableKey = options.publishableKey;
    this.#secretKey = options.secretKey;
  }

  /** The request lite is to see, or the refusal when its token is not good. */
  async identify(request: Request): Promise<Request | Response> {
    const apikey = request.headers.get("apikey") ??
      new URL(request.url).searchParams.get("apikey") ?? "";
    const token = /^Bearer\s+(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    // A key sent as a bearer token says nothing more than the key itself; and without a key lite refuses.
    const known = apikey === this.#publishableKey || apikey === this.#secretKey;
    if (!token || token.startsWith("sb_") || !known) return request;
    try {
      const { payload } = await jwtVerify(token, this.#secret, {
        algorithms: ["HS256"],
        clockTolerance: 30,
      });
      const headers = new Headers(request.headers);
      headers.delete("authorization");
      headers.set("apikey", this.#prefix + encodeURIComponent(JSON.stringify(payload)));
      // Not a copy of `request`: that would touch its signal, which Deno.serve reports as a thing of the past.
      return new Request(request.url, { method: request.method, headers, body: request.body });
    } catch (error) {
      return error instanceof errors.JWTExpired
        ? refusal("PGRST303", "JWT expired")
        : refusal("PGRST301", "No suitable key or wrong key type");
    }
  }

  /** For lite's `apiKeys.resolver`. */
  readonly resolve = (key: string) => Promise.resolve(this.#claimsOf(key));

  #claimsOf(
    key: string,
  ): { type: "publishable" | "secret"; claims: Record<string, unknown> } | null {
    if (key === this.#publishableKey) return { type: "publishable", claims: { role: "anon" } };
    if (key === this.#secretKey) return { type: "secret", claims: { role: "service_role" } };
    if (!key.startsWith(this.#prefix)) return null;
    const claims: unknown = JSON.parse(decodeURIComponent(key.slice(this.#prefix.length)));
    return isRecord(claims) ? { type: "publishable", claims: { role: "anon", ...claims } } : null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refusal(code: string, message: string): Response {
  return Response.json({ code, details: null, hint: null, message }, {
    status: 401,
    headers: { "www-authenticate": `Bearer error="invalid_token", error_description="${message}"` },
  });
}
