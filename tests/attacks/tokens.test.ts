import { SignJWT } from "jose";
import { readdirSync } from "node:fs";
import { JWT_SECRET } from "../../local/stack_options.ts";
import { KEY_ID } from "../../local/tokens.ts";
import { type Attack, tryAll, unchanged, victim } from "../support/attacks.ts";
import { ROOT } from "../support/run.ts";
import { signUp, sql, stack } from "../support/stack.ts";

const FUNCTIONS = readdirSync(`${ROOT}supabase/functions`, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith("_"))
  .map(({ name }) => name).filter((name) => !["stripe-webhook", "health"].includes(name));

type Claims = Record<string, unknown>;

function part(value: unknown): string {
  return new TextEncoder().encode(JSON.stringify(value)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}

function claimsOf(token: string): Claims {
  return JSON.parse(atob(token.split(".")[1]?.replaceAll("-", "+").replaceAll("_", "/") ?? ""));
}

function sign(claims: Claims, secret = JWT_SECRET, header: Claims = {}): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: KEY_ID, ...header })
    .sign(new TextEncoder().encode(secret));
}

/** Tokens that say they are the victim's. None of them is good for anything. */
async function forgeries(good: string): Promise<[string, string][]> {
  const claims = claimsOf(good);
  const [header = "", payload = "", signature = ""] = good.split(".");
  const now = Math.floor(Date.now() / 1000);
  const none = ["none", "None", "NONE", "nOnE", ""].map((alg): [string, string] => [
    `alg "${alg}"`,
    `${part({ alg, typ: "JWT" })}.${payload}.`,
  ]);
  const admin = part({ ...claims, role: "service_role" });
  return [
    ...none,
    ["alg none with the old signature", `${part({ alg: "none" })}.${payload}.${signature}`],
    ["role claim changed", `${header}.${admin}.${signature}`],
    ["role claim changed, unsigned", `${part({ alg: "none" })}.${admin}.`],
    ["another key", await sign(claims, "another-secret-of-at-least-32-characters")],
    ["the publishable key as secret", await sign(claims, stack().publishable_key)],
    ["the empty secret", await sign(claims, "\0".repeat(32))],
    [
      "a key of its own in jwk",
      await sign(claims, "x".repeat(32), {
        jwk: { kty: "oct", k: part("x".repeat(32)) },
      }),
    ],
    [
      "a key of its own in jku",
      await sign(claims, "x".repeat(32), {
        jku: "http://127.0.0.1:1/jwks.json",
      }),
    ],
    ["a path as kid", await sign(claims, "x".repeat(32), { kid: "../../../../dev/null" })],
    ["SQL as kid", await sign(claims, "x".repeat(32), { kid: "' union select 'x' --" })],
    ["expired", await sign({ ...claims, iat: now - 7_200, exp: now - 3_600 })],
    ["not yet valid", await sign({ ...claims, nbf: now + 3_600 })],
    [
      "RS256 claimed over an HMAC",
      `${part({ alg: "RS256", kid: KEY_ID })}.${payload}.${signature}`,
    ],
    ["signature cut", good.slice(0, -6)],
    [
      "signature of another token",
      `${header}.${part({ ...claims, sub: crypto.randomUUID() })}.${signature}`,
    ],
    ["two parts", `${header}.${payload}`],
    ["garbage", "not-a-token"],
    ["the publishable key", stack().publishable_key],
    ["a null", "null"],
    ["very long", "a".repeat(7_000)],
  ];
}

Deno.test("no forged, expired or misplaced token opens a door", async (t) => {
  const db = sql();
  const owner = await victim(db);
  const stranger = await signUp("token-attacker");
  const body = { message_id: owner.message };
  const tokens = await forgeries(owner.token);
  const doors = FUNCTIONS.map((name) => ({ path: `/functions/v1/${name}`, body }));
  const rest = [
    { path: "/rest/v1/messages?select=*" },
    { path: "/rest/v1/rpc/my_usage", body: {} },
    { path: "/rest/v1/conversations", body: { title: "Forged" } },
    { path: "/auth/v1/user" },
  ];

  await t.step("each token at each function", async () => {
    const attacks = doors.flatMap((door) =>
      tokens.map(([what, token]): Attack => ({
        what: `${door.path}: ${what}`,
        ...door,
        token,
        status: [401],
      }))
    );
    attacks.push(...doors.map((door): Attack => ({ what: "none", ...door, status: [401] })));
    await unchanged(db, () => tryAll("forged tokens at functions", attacks, owner.secrets));
  });

  await t.step("each token at REST and Auth", async () => {
    const attacks = rest.flatMap((door) =>
      tokens.map(([what, token]): Attack => ({
        what: `${door.path}: ${what}`,
        ...door,
        token,
        status: [400, 401, 403],
      }))
    );
    await unchanged(db, () => tryAll("forged tokens at REST and Auth", attacks, owner.secrets));
  });

  await t.step("what is signed and yet is nobody's, or somebody else's purpose", async () => {
    const claims = claimsOf(owner.token);
    const { sub: _, ...nobody } = claims;
    const odd: [string, string][] = [
      ["no subject", await sign(nobody)],
      ["a subject that is no id", await sign({ ...claims, sub: "1 or 1=1" })],
      ["another audience", await sign({ ...claims, aud: "somewhere-else" })],
    ];
    const users = [
      "checkout",
      "portal",
      "sync",
      "reply",
      "subscription",
      "purchase",
      "seller",
      "privacy",
    ];
    const attacks = users.flatMap((name) =>
      odd.map(([what, token]): Attack => ({
        what: `${name}: ${what}`,
        path: `/functions/v1/${name}`,
        token,
        body: VALID[name],
      }))
    );
    await unchanged(db, () => tryAll("signed but wrong claims", attacks, owner.secrets));
  });

  await t.step(
    "the publishable key, or a user's token, where the secret key is needed",
    async () => {
      const secretOnly = FUNCTIONS.filter((name) => !(name in VALID));
      const { publishable_key, secret_key } = stack();
      const wrong: [string, Record<string, string>, string | null][] = [
        ["publishable key", {}, null],
        ["publishable key as bearer", {}, publishable_key],
        ["a user", {}, stranger.token],
        ["a token as key", { apikey: stranger.token }, stranger.token],
        ["no key", { apikey: "" }, null],
        ["a prefix of the key", { apikey: secret_key.slice(0, -1) }, null],
        ["the key and more", { apikey: `${secret_key}x` }, null],
        ["the key in other letters", { apikey: secret_key.toUpperCase() }, null],
        ["two keys", { apikey: `${publishable_key}, ${secret_key}` }, null],
        ["a name", { apikey: "service_role" }, null],
      ];
      const attacks = secretOnly.flatMap((name) =>
        wrong.map(([what, headers, token]): Attack => ({
          what: `${name}: ${what}`,
          path: `/functions/v1/${name}`,
          body: {},
          headers,
          token,
          status: [401],
        }))
      );
      await unchanged(db, () => tryAll("keys that are not the secret one", attacks, owner.secrets));
    },
  );

  await t.step("a token that outlives its user", async () => {
    const gone = await signUp("gone");
    await db`delete from auth.users where id = ${gone.id}`;
    const attacks = Object.entries(VALID).map(([name, body]): Attack => ({
      what: name,
      path: `/functions/v1/${name}`,
      token: gone.token,
      body,
      // It reads what nobody has, and answers the default plan.
      ...(name === "sync" && { orPublic: true }),
    }));
    attacks.push({
      what: "a conversation",
      path: "/rest/v1/conversations",
      token: gone.token,
      body: { title: "From beyond" },
    });
    await unchanged(db, () => tryAll("tokens of deleted users", attacks, owner.secrets));
  });
  await db.end();
});

/** A body that each function of users would take from somebody it knows; what is not here needs the secret key. */
const VALID: Record<string, unknown> = {
  privacy: { action: "export" },
  checkout: { lookup_key: "pro_monthly" },
  credits: { lookup_key: "credits_20" },
  licence: { licence_id: crypto.randomUUID(), action: "cancel" },
  overage: { enabled: true, cap_minor: 1_000 },
  portal: {},
  purchase: { listing_id: crypto.randomUUID() },
  reply: { message_id: crypto.randomUUID() },
  seller: { action: "onboard", display_name: "Nobody", country: "US" },
  subscription: { action: "preview", lookup_key: "pro_monthly" },
  sync: {},
};
