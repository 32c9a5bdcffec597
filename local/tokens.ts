import { decodeProtectedHeader, jwtVerify, SignJWT } from "jose";

/**
 * @supabase/lite signs access tokens with HS256 and no `kid`; @supabase/server accepts such a token only with the `kid` of a key it
 * knows. The gateway therefore signs each token again, same claims and same secret, naming the key. lite accepts the result.
 */

export const KEY_ID = "tollgate-local";

export class Tokens {
  readonly #secret: Uint8Array<ArrayBuffer>;

  constructor(secret: string) {
    this.#secret = new TextEncoder().encode(secret);
  }

  /** SUPABASE_JWKS for the functions. It holds the secret, so it never leaves the machine: the public endpoint has no keys. */
  get privateJwks(): string {
    const k = btoa(String.fromCharCode(...this.#secret))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return JSON.stringify({ keys: [{ kty: "oct", alg: "HS256", kid: KEY_ID, k }] });
  }

  /** The claims of a token that is ours and still valid, null otherwise. */
  async verify(token: string): Promise<Record<string, unknown> | null> {
    try {
      const { payload } = await jwtVerify(token, this.#secret, { algorithms: ["HS256"] });
      return payload;
    } catch {
      return null;
    }
  }

  async withKeyId(token: string): Promise<string> {
    const claims = await this.verify(token);
    if (!claims || decodeProtectedHeader(token).kid === KEY_ID) return token;
    return await new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", typ: "JWT", kid: KEY_ID })
      .sign(this.#secret);
  }

  /** Any JSON answer or redirect of Auth that carries an access token; everything else passes untouched. */
  async resign(response: Response): Promise<Response> {
    const location = response.headers.get("location");
    if (location?.includes("access_token=")) return await this.#resignRedirect(response, location);
    if (!response.headers.get("content-type")?.includes("application/json")) return response;
    const text = await response.text();
    const body = parseSession(text);
    if (!body) return sameWith(response, text);
    return sameWith(
      response,
      JSON.stringify({ ...body, access_token: await this.withKeyId(body.access_token) }),
    );
  }

  async #resignRedirect(response: Response, location: string): Promise<Response> {
    const [target, fragment = ""] = location.split("#", 2);
    const values = new URLSearchParams(fragment);
    const token = values.get("access_token");
    if (!token) return response;
    values.set("access_token", await this.withKeyId(token));
    const headers = new Headers(response.headers);
    headers.set("location", `${target}#${values}`);
    return new Response(response.body, { status: response.status, headers });
  }
}

function parseSession(text: string): { access_token: string } & Record<string, unknown> | null {
  if (!text.includes('"access_token"')) return null;
  const value: unknown = JSON.parse(text);
  return hasToken(value) ? value : null;
}

function hasToken(value: unknown): value is { access_token: string } & Record<string, unknown> {
  return typeof value === "object" && value !== null && "access_token" in value &&
    typeof value.access_token === "string";
}

function sameWith(response: Response, text: string): Response {
  const headers = new Headers(response.headers);
  headers.delete("content-length");
  const empty = response.status === 204 || response.status === 304;
  return new Response(empty ? null : text, { status: response.status, headers });
}
