/** One HTTP request to the API: authentication, routing, idempotency, the transaction, headers and Stripe's error bodies. */
import { Buffer } from "node:buffer";
import { expand, expandParam, type Rendering } from "./answer.ts";
import {
  type ErrorBody,
  invalid,
  noAccount,
  StripeError,
  unauthorized,
  unrecognized,
} from "./errors.ts";
import { Idempotency, V2_KEY } from "./idempotency.ts";
import { checkSession, Limits } from "./limits.ts";
import { modernize } from "./legacy.ts";
import { decodeForm, type Raw } from "./params.ts";
import { match, type Route } from "./route.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import { API_VERSION, newId } from "./types.ts";
import { decodeJson, isV2, toV2 } from "./v2.ts";
import { Work } from "./work.ts";

interface Answer {
  status: number;
  body: string;
  headers?: Record<string, string>;
  replayOf?: string;
}

export class Api {
  #idempotency: Idempotency;
  #limits: Limits;

  constructor(
    readonly store: Store,
    readonly settings: Settings,
    readonly routes: readonly Route[],
    readonly rendering: Rendering,
    /** Called after each committed write: new events, due times. */
    readonly onCommit: () => void,
  ) {
    this.#idempotency = new Idempotency(store);
    this.#limits = new Limits(store, settings);
  }

  /** `asOf`: answers as things were just after that change, and changes nothing. */
  async handle(request: Request, asOf: number | null = null): Promise<Response> {
    const requestId = newId("req_", 14);
    const url = new URL(request.url);
    const isWrite = request.method === "POST" ||
      (isV2(url.pathname) && request.method === "DELETE");
    const key = isWrite ? request.headers.get("idempotency-key") : null;
    const version = request.headers.get("stripe-version") ?? API_VERSION;
    const answer = await this.#answer(request, url, key, requestId, version, asOf)
      .catch((error: unknown) => this.#refusal(error, url.pathname));
    this.settings.log(`stripe ${answer.status} ${request.method} ${url.pathname} [${requestId}]`);
    const headers = new Headers({
      "content-type": "application/json",
      "request-id": requestId,
      "stripe-version": version,
    });
    if (key !== null) headers.set("idempotency-key", key);
    if (answer.status === 409) headers.set("stripe-should-retry", "true");
    for (const [name, value] of Object.entries(answer.headers ?? {})) headers.set(name, value);
    if (answer.replayOf) {
      headers.set("idempotent-replayed", "true");
      headers.set("original-request", answer.replayOf);
    }
    return new Response(answer.body, { status: answer.status, headers });
  }

  async #answer(
    request: Request,
    url: URL,
    key: string | null,
    id: string,
    version: string,
    asOf: number | null,
  ): Promise<Answer> {
    const found = match(this.routes, request.method, url.pathname);
    const authorization = request.headers.get("authorization");
    if (found?.route.isSession) checkSession(this.store, authorization);
    else this.#authenticate(authorization);
    if (!/^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$/.test(version)) {
      throw invalid(`Invalid Stripe API version: ${version}`);
    }
    // `/v2` says with its context what `/v1` says with the account.
    const account = request.headers.get("stripe-account") ??
      (request.headers.get("stripe-context") || null);
    const text = await request.text();
    if (!found) {
      this.settings.log(
        `stripe: no such endpoint in the sandbox: ${request.method} ${url.pathname}`,
      );
      throw unrecognized(request.method, url.pathname);
    }
    const acting = account === null ? "" : this.#actingAs(account, found.route);
    const raw = this.#decode(request, url, text);
    if (key === null && asOf !== null) {
      return this.store.rehearse(() => {
        this.store.goBackTo(asOf);
        return this.#run(found, raw, { id, idempotency_key: null }, acting);
      });
    }
    if (key === null) {
      const origin = { id, idempotency_key: null };
      return await this.#limits.hold(found.route, raw, () => this.#run(found, raw, origin, acting));
    }
    if (key === "" || key.length > 255) {
      throw invalid("Idempotency keys must be between 1 and 255 characters long.", undefined);
    }
    const fingerprint = `${request.method} ${url.pathname}?${url.search} ${text}`;
    // Keys are each account's own.
    const kept = `${acting === "" ? "" : `${acting} `}${isV2(url.pathname) ? V2_KEY : ""}${key}`;
    const stored = this.#idempotency.begin(kept, fingerprint);
    if (stored) return { status: stored.status, body: stored.body, replayOf: stored.requestId };
    try {
      if (this.settings.latencyMs > 0) {
        await new Promise((resolve) => setTimeout(resolve, this.settings.latencyMs));
      }
      const origin = { id, idempotency_key: key };
      // The answer and its idempotency row are one transaction, so a crash leaves both or neither.
      const save = (done: Answer) => {
        if (isV2(url.pathname) && done.status >= 400) return;
        this.#idempotency.save(kept, fingerprint, done.status, done.body, id);
      };
      const run = () => this.#run(found, raw, origin, acting, save);
      return await this.#limits.hold(found.route, raw, run);
    } finally {
      this.#idempotency.end(kept);
    }
  }

  /** Who acts. An account that is not there or closed is refused, and so is what the sandbox cannot do for one. */
  #actingAs(account: string, route: Route): string {
    const found = this.store.find("v2.core.account", account);
    if (!found || found.closed) throw noAccount(account);
    if (route.forAccounts) return account;
    throw invalid(
      `The sandbox has no ${route.method} ${route.path} for connected accounts (Stripe-Account).`,
    );
  }

  #decode(request: Request, url: URL, text: string): { [key: string]: Raw } {
    if (isV2(url.pathname)) {
      // The SDK appends its parameters to a page's URL with a second question mark.
      const query = decodeForm(url.search.slice(1).split("?")[0] ?? "");
      return { ...query, ...decodeJson(text) };
    }
    const form = decodeForm([url.search.slice(1), text].filter((part) => part !== "").join("&"));
    const asked = { method: request.method, path: url.pathname };
    return modernize(this.store, asked, form, request.headers.get("stripe-version"));
  }

  #run(
    found: { route: Route; ids: string[] },
    raw: { [key: string]: Raw },
    origin: { id: string; idempotency_key: string | null },
    account: string,
    onDone: (answer: Answer) => void = () => {},
  ): Answer {
    const { expand: rawExpand, ...form } = raw;
    const params = isV2(found.route.path) ? raw : form;
    const paths = params === raw ? [] : expandParam.read(rawExpand, "expand") ?? [];
    const run = found.route.prepare(params, found.ids);
    const work = new Work(this.store, this.settings, origin, account);
    try {
      return this.store.transaction(() => {
        const done = this.#attempt(() => expand(work, this.rendering, run(work), paths));
        onDone(done);
        return done;
      });
    } catch (error) {
      // Everything was rolled back; the refusal itself is what an idempotency key keeps.
      const answer = this.#refusal(error, found.route.path);
      if (answer.status < 500) onDone(answer);
      return answer;
    } finally {
      if (found.route.method !== "GET") this.onCommit();
    }
  }

  /** A declined card answers 402 and yet commits what it recorded; every other error undoes the transaction. */
  #attempt(run: () => unknown): Answer {
    try {
      return { status: 200, body: JSON.stringify(run(), null, 2) };
    } catch (error) {
      if (error instanceof StripeError && error.keepWrites) return this.#refusal(error, "");
      throw error;
    }
  }

  #authenticate(header: string | null): void {
    const [scheme, value = ""] = (header ?? "").split(" ");
    const isBasic = scheme?.toLowerCase() === "basic";
    const key = isBasic ? Buffer.from(value, "base64").toString().split(":")[0] ?? "" : value;
    if (key === "") {
      throw unauthorized(
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth " +
          "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details.",
      );
    }
    if (key !== this.settings.secretKey) {
      const masked = `${key.slice(0, 8)}${"*".repeat(Math.max(0, key.length - 12))}${
        key.slice(-4)
      }`;
      throw unauthorized(`Invalid API Key provided: ${masked}`);
    }
  }

  #refusal(thrown: unknown, path: string): Answer {
    const error = thrown instanceof StripeError && isV2(path) ? toV2(thrown) : thrown;
    const render = (status: number, body: ErrorBody): Answer => ({
      status,
      body: JSON.stringify({ error: body }, null, 2),
    });
    if (error instanceof StripeError) {
      this.settings.log(`stripe: ${error.status} ${error.message}`);
      return { ...render(error.status, error.body), headers: error.headers };
    }
    const why = error instanceof Error ? error.stack : String(error);
    this.settings.log(`stripe: bug in the sandbox: ${why}`);
    const message = "The Stripe sandbox failed while answering this request; its log says why.";
    return render(500, { type: "api_error", message });
  }
}
