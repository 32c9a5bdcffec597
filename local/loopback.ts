/** Who may talk to the pages that the local platform serves: the sandbox's and the inbox. */

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/**
 * A form of another site must not act here, and another name that resolves to loopback (DNS rebinding) must not read.
 * Browsers send `Sec-Fetch-Site` or at least `Origin` with every POST; what sends neither is no browser (curl, tests).
 */
export function refusal(request: Request): { status: 403 | 421; message: string } | null {
  const url = new URL(request.url);
  const host = request.headers.get("host") ?? url.host;
  if (!LOOPBACK.test(host)) {
    return { status: 421, message: "This server only answers on this machine's loopback address." };
  }
  if (request.method === "GET" || request.method === "HEAD") return null;
  const site = request.headers.get("sec-fetch-site");
  const origin = request.headers.get("origin");
  const sameSite = site === null || site === "same-origin" || site === "none";
  const sameOrigin = origin === null || origin === `${url.protocol}//${host}`;
  return sameSite && sameOrigin
    ? null
    : { status: 403, message: "This form was sent from another site, so nothing was done." };
}
