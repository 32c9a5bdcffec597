import assert from "node:assert/strict";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { decodeProtectedHeader, SignJWT } from "jose";
import { startApi } from "./api.ts";
import { readProjectConfig } from "./config.ts";
import { startGateway } from "./gateway.ts";
import { connect } from "./postgres.ts";
import { JWT_SECRET, PUBLISHABLE_KEY, SECRET_KEY } from "./stack_options.ts";
import { eventually, startTestDatabase } from "./testing.ts";
import { KEY_ID, Tokens } from "./tokens.ts";
import type { Functions } from "./functions.ts";
import { reservePorts } from "./ports.ts";

const ORIGIN = { origin: "http://127.0.0.1:3000" };

/** Two functions that echo, one behind the platform's check and one not: the gateway's part without the functions' process. */
const echo: Functions = {
  names: () => ["open", "closed"],
  fetch: async (name, request) =>
    Response.json({ name, method: request.method, body: await request.text() }, { status: 202 }),
  stop: () => Promise.resolve(),
};

Deno.test("the gateway", async (t) => {
  const test = await startTestDatabase();
  const { sql, database } = test;
  await sql`create table public.notes (
    id uuid primary key default gen_random_uuid(), owner uuid not null default auth.uid(), text text not null)`;
  await sql`revoke all on public.notes from anon, authenticated, service_role`;
  await sql`grant select, insert (text) on public.notes to authenticated`;
  await sql`alter table public.notes enable row level security`;
  await sql`create policy mine on public.notes for all to authenticated using (owner = (select auth.uid()))`;
  const reserved = await reservePorts();
  const url = `http://127.0.0.1:${reserved.ports.api}`;
  const config = await readProjectConfig();
  const tokens = new Tokens(JWT_SECRET);
  const api = await startApi({
    database,
    config,
    jwtSecret: JWT_SECRET,
    publishableKey: PUBLISHABLE_KEY,
    secretKey: SECRET_KEY,
    apiUrl: url,
    siteUrl: ORIGIN.origin,
    log: (line) => console.error(line),
  });
  const gateway = startGateway({
    port: reserved.ports.api,
    api,
    config: {
      ...config,
      functions: {
        open: { enabled: true, verify_jwt: false },
        closed: { enabled: true, verify_jwt: true },
      },
    },
    functions: echo,
    tokens,
    log: (line) => console.error(line),
  });
  const people = {
    ada: clientFor(url),
    bob: clientFor(url),
  };
  try {
    await t.step(
      "sign-up, sign-in, refresh, getUser and sign-out work through supabase-js",
      async () => {
        const { auth } = people.ada;
        const credentials = { email: "ada@example.com", password: "lovelace" };
        const signedUp = await auth.signUp(credentials);
        assert.equal(signedUp.error, null);
        assert.ok(signedUp.data.session);
        const signedIn = await auth.signInWithPassword(credentials);
        assert.equal(signedIn.error, null);
        const refreshed = await auth.refreshSession();
        assert.equal(refreshed.error, null);
        assert.notEqual(
          refreshed.data.session?.refresh_token,
          signedIn.data.session?.refresh_token,
        );
        const user = await auth.getUser();
        assert.equal(user.data.user?.email, "ada@example.com");
        for (const data of [signedUp.data, signedIn.data, refreshed.data]) {
          assert.equal(decodeProtectedHeader(data.session?.access_token ?? "").kid, KEY_ID);
        }
        const wrong = await clientFor(url).auth.signInWithPassword({
          ...credentials,
          password: "wrong!",
        });
        assert.equal(wrong.error?.status, 400);
        const short = await clientFor(url).auth.signUp({
          email: "x@example.com",
          password: "12345",
        });
        assert.equal(short.error?.code, "weak_password");
        const bob = await people.bob.auth.signUp({ email: "bob@example.com", password: "babbage" });
        assert.equal(bob.error, null);
      },
    );

    await t.step("row security and column grants hold, and the API changes no grant", async () => {
      const before = await grants(test.database.adminUrl);
      const written = await people.ada.from("notes").insert({ text: "mine" });
      assert.equal(written.error, null);
      const forged = await people.ada.from("notes").insert({
        text: "x",
        owner: crypto.randomUUID(),
      });
      assert.equal(forged.error?.code, "42501");
      assert.equal((await people.ada.from("notes").select()).data?.length, 1);
      assert.equal((await people.bob.from("notes").select()).data?.length, 0);
      assert.equal(
        (await people.ada.from("notes").update({ text: "y" }).eq("text", "mine")).error?.code,
        "42501",
      );
      assert.equal((await clientFor(url).from("notes").select()).error?.code, "42501");
      const secret = createClient(url, SECRET_KEY, { auth: { persistSession: false } });
      assert.equal((await secret.from("notes").select()).error?.code, "42501");
      assert.deepEqual(await grants(test.database.adminUrl), before);
    });

    await t.step("a table made later is there at once", async () => {
      await sql`create table public.later (id int primary key)`;
      await sql`grant select on public.later to authenticated`;
      await eventually(async () => (await people.ada.from("later").select()).error === null);
    });

    await t.step("without a key, or with a wrong one, REST is closed", async () => {
      const wrong: Record<string, string>[] = [{}, { apikey: "sb_publishable_wrong" }];
      for (const headers of wrong) {
        const response = await fetch(`${url}/rest/v1/notes`, {
          headers: { ...headers, ...ORIGIN },
        });
        assert.equal(response.status, 401);
        assert.equal(response.headers.get("access-control-allow-origin"), "*");
        await response.body?.cancel();
      }
    });

    await t.step("a token that is expired, or signed by somebody else, is refused", async () => {
      const claims = { sub: crypto.randomUUID(), role: "authenticated", aud: "authenticated" };
      const forged = await sign(claims, "x".repeat(40), "1h");
      const expired = await sign(claims, JWT_SECRET, "-1h");
      for (const token of [forged, expired, "nonsense"]) {
        const response = await fetch(`${url}/rest/v1/notes`, {
          headers: { apikey: PUBLISHABLE_KEY, authorization: `Bearer ${token}`, ...ORIGIN },
        });
        assert.equal(response.status, 401, token);
        assert.equal(response.headers.get("access-control-allow-origin"), "*");
        await response.body?.cancel();
      }
    });

    await t.step("a preflight allows what supabase-js sends", async () => {
      const asked = "authorization,x-client-info,apikey,content-type,prefer,x-retry-count";
      for (const path of ["/rest/v1/notes", "/auth/v1/token"]) {
        const response = await fetch(`${url}${path}`, {
          method: "OPTIONS",
          headers: {
            ...ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": asked,
          },
        });
        assert.equal(response.status, 200);
        assert.equal(response.headers.get("access-control-allow-origin"), "*");
        assert.equal(response.headers.get("access-control-allow-headers"), asked);
        assert.match(
          response.headers.get("access-control-allow-methods") ?? "",
          /PATCH.*POST|POST.*PATCH/,
        );
      }
    });

    await t.step("a browser reads as few headers as on Supabase", async () => {
      const response = await fetch(`${url}/rest/v1/notes`, {
        headers: { apikey: PUBLISHABLE_KEY, ...ORIGIN },
      });
      await response.body?.cancel();
      const exposed = response.headers.get("access-control-expose-headers") ?? "";
      assert.match(exposed, /Content-Range/);
      assert.doesNotMatch(exposed, /Retry-After/i);
    });

    await t.step(
      "verify_jwt: the gateway answers 401 before the function, and lets a preflight through",
      async () => {
        const call = (name: string, init: RequestInit = {}) =>
          fetch(`${url}/functions/v1/${name}`, init);
        const missing = await call("closed", { method: "POST", headers: ORIGIN });
        assert.equal(missing.status, 401);
        assert.equal(missing.headers.get("access-control-allow-origin"), "*");
        assert.deepEqual(await missing.json(), {
          code: "UNAUTHORIZED_NO_AUTH_HEADER",
          message: "Missing authorization header",
        });
        const { data } = await people.ada.auth.getSession();
        const authorization = `Bearer ${data.session?.access_token}`;
        const good = await call("closed", {
          method: "POST",
          body: "hi",
          headers: { authorization },
        });
        assert.deepEqual(await good.json(), { name: "closed", method: "POST", body: "hi" });
        const bad = await call("closed", {
          method: "POST",
          headers: { authorization: `Bearer ${PUBLISHABLE_KEY}` },
        });
        assert.equal(bad.status, 401);
        await bad.body?.cancel();
        for (const [name, method] of [["closed", "OPTIONS"], ["open", "POST"]] as const) {
          const response = await call(name, { method });
          assert.equal(response.status, 202);
          await response.body?.cancel();
        }
        assert.equal((await (await call("nothing")).json()).code, "NOT_FOUND");
      },
    );

    await t.step("a body beyond the limit is refused and does not end the gateway", async () => {
      const response = await fetch(`${url}/rest/v1/notes`, {
        method: "POST",
        headers: { apikey: PUBLISHABLE_KEY },
        body: new Uint8Array(7 * 1024 * 1024),
      });
      assert.equal(response.status, 413);
      await response.body?.cancel();
      assert.equal((await fetch(`${url}/auth/v1/.well-known/jwks.json`)).status, 200);
    });

    await t.step("after sign-out the refresh token is worth nothing", async () => {
      const { data } = await people.ada.auth.getSession();
      assert.equal((await people.ada.auth.signOut()).error, null);
      const again = await clientFor(url).auth.refreshSession({
        refresh_token: data.session?.refresh_token ?? "",
      });
      assert.ok(again.error);
    });
  } finally {
    await gateway.stop();
    await api.stop();
    reserved.release();
    await test.stop();
  }
});

function clientFor(url: string): SupabaseClient {
  return createClient(url, PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

async function sign(
  claims: Record<string, string>,
  secret: string,
  expiry: string,
): Promise<string> {
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setExpirationTime(expiry)
    .sign(new TextEncoder().encode(secret));
}

async function grants(adminUrl: string): Promise<string> {
  const sql = connect(adminUrl, { max: 1 });
  const rows = await sql`
    select c.oid::regclass::text as name, c.relacl::text as acl, array_agg(a.attacl::text order by a.attnum) as columns
      from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'public'::regnamespace group by c.oid order by 1`;
  const defaults = await sql`select defaclacl::text from pg_default_acl order by oid`;
  await sql.end();
  return JSON.stringify([rows, defaults]);
}
