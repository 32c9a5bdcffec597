import assert from "node:assert/strict";
import { type Attack, note, raw, tryAll, unchanged, victim } from "../support/attacks.ts";
import { request, signUp, sql, stack } from "../support/stack.ts";

/** Strings that mean something to somebody on the way: SQL, PostgREST, HTTP, HTML, shells, JSON, file systems, templates. */
const STRINGS = [
  "'; drop table public.messages; --",
  "' or '1'='1",
  "1); delete from public.plans; --",
  "\\'; select pg_sleep(10); --",
  "$$; select 1; $$",
  "x' union select secret from vault.decrypted_secrets --",
  "%27%3B%20drop%20table%20x",
  "pro_monthly' --",
  "pro_monthly\u0000",
  "pro_monthly\r\nSet-Cookie: a=b",
  "pro_monthly%0d%0aLocation: https://evil.example",
  "//evil.example",
  "https:evil.example",
  "\\\\evil.example",
  "/\\evil.example",
  "%2f%2fevil.example",
  "javascript:alert(1)",
  "<script>alert(1)</script>",
  "${7*7}{{7*7}}<%= 7*7 %>",
  "../../../etc/passwd",
  "$(id)`id`|id",
  "*",
  "%",
  "_",
  "(select 1)",
  "is.null",
  "a,b)or(c.eq.d",
  "\ud800",
  "\u202e",
  "a\u0301".repeat(50),
  "💥".repeat(40),
  "__proto__",
  "constructor",
  "null",
  "x".repeat(5_000),
] as const;

const NUMBERS = [
  -1,
  -0.5,
  0.5,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  1e19,
  1e308,
  -1e308,
  "NaN",
  "Infinity",
  "1",
  "0x10",
  "1e3",
  "",
  null,
  true,
  [],
  [1],
  {},
];

function asUser(name: string, token: string) {
  return (field: string, body: Record<string, unknown>) => (value: unknown): Attack => ({
    what: `${name}.${field} = ${JSON.stringify(value)?.slice(0, 60)}`,
    path: `/functions/v1/${name}`,
    token,
    body: { ...body, [field]: value },
  });
}

function strings(token: string): Attack[] {
  const fields = [
    asUser("checkout", token)("lookup_key", {}),
    asUser("checkout", token)("currency", { lookup_key: "pro_monthly" }),
    asUser("credits", token)("lookup_key", {}),
    asUser("subscription", token)("lookup_key", { action: "preview" }),
    asUser("subscription", token)("action", { lookup_key: "pro_monthly" }),
    asUser("portal", token)("flow", {}),
    asUser("purchase", token)("listing_id", {}),
    asUser("licence", token)("licence_id", { action: "cancel" }),
    asUser("reply", token)("message_id", {}),
    asUser("seller", token)("country", { action: "onboard", display_name: "Evil" }),
    asUser("seller", token)("action", {}),
  ];
  const filters = STRINGS.filter((value) => value.isWellFormed()).flatMap((value): Attack[] => {
    const at = (what: string, path: string): Attack => ({
      what: `${what} ${value.slice(0, 60)}`,
      path,
      token,
      orPublic: true,
    });
    const text = encodeURIComponent(value);
    return [
      at("title eq", `/rest/v1/conversations?title=eq.${text}`),
      at("title like", `/rest/v1/conversations?title=like.${text}`),
      at("id eq", `/rest/v1/messages?id=eq.${text}`),
      at("select", `/rest/v1/messages?select=${text}`),
      at("order", `/rest/v1/messages?order=${text}`),
      at("limit", `/rest/v1/messages?limit=${text}`),
      at("offset", `/rest/v1/messages?offset=${text}`),
      at("or", `/rest/v1/messages?or=(${text})`),
      at("column", `/rest/v1/messages?${text}=eq.1`),
      at("table", `/rest/v1/${text}`),
      at("function", `/rest/v1/rpc/${text}`),
    ];
  });
  const rpcs = STRINGS.flatMap((value): Attack[] =>
    ["p_query", "p_sort", "p_category", "p_kind", "p_currency"].map((arg) => ({
      what: `search_listings.${arg} ${value.slice(0, 60)}`,
      path: "/rest/v1/rpc/search_listings",
      token,
      body: { [arg]: value },
      orPublic: true as const,
    }))
  );
  return [...fields.flatMap((field) => STRINGS.map(field)), ...filters, ...rpcs];
}

function quantities(token: string): Attack[] {
  const preview = { action: "preview", lookup_key: "pro_monthly" };
  const change = { action: "change", lookup_key: "pro_monthly" };
  const listing = {
    title: "t",
    description: "d",
    category: "agent",
    kind: "one_time",
    currency: "usd",
  };
  const row = (path: string, arg: string, rest: object) => (value: unknown): Attack => ({
    what: `${path} ${arg} = ${JSON.stringify(value)}`,
    path,
    token,
    body: { ...rest, [arg]: value },
  });
  const fields = [
    asUser("overage", token)("cap_minor", { enabled: true }),
    asUser("subscription", token)("quantity", preview),
    asUser("subscription", token)("quantity", { ...change, proration_date: 1 }),
    asUser("subscription", token)("proration_date", change),
    row("/rest/v1/listings", "price_minor", listing),
    (value: unknown) => ({
      ...row("/rest/v1/rpc/search_listings", "p_limit", {})(value),
      orPublic: true as const,
    }),
    (value: unknown) => ({
      ...row("/rest/v1/rpc/search_listings", "p_offset", {})(value),
      orPublic: true as const,
    }),
    (value: unknown) => ({
      ...row("/rest/v1/rpc/mark_notifications_read", "p_up_to", {})(value),
      orPublic: true as const,
    }),
    // set_overage turns off what is off when it gets no cap.
    (value: unknown) => row("/rest/v1/rpc/set_overage", "p_cap_minor", { p_enabled: true })(value),
  ];
  // NaN and friends have no JSON; as text they are what a careless client sends.
  const bare = [
    "NaN",
    "Infinity",
    "-Infinity",
    "0x10",
    "01",
    "1.",
    ".5",
    "+1",
    "1e999",
    "9".repeat(400),
  ];
  return [
    ...fields.flatMap((field) => NUMBERS.map(field)),
    ...bare.map((text): Attack => ({
      what: `overage.cap_minor = ${text.slice(0, 20)}`,
      path: "/functions/v1/overage",
      token,
      body: `{"enabled": true, "cap_minor": ${text}}`,
    })),
  ];
}

function bodies(token: string): Attack[] {
  const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  const objects = (depth: number) => '{"a":'.repeat(depth) + "1" + "}".repeat(depth);
  const texts: [string, string][] = [
    ["arrays 1,000 deep", deep(1_000)],
    ["arrays 30,000 deep", deep(30_000)],
    ["objects 9,000 deep", objects(9_000)],
    ["arrays 3,000,000 deep", deep(2_500_000)],
    ["a megabyte", JSON.stringify({ x: "x".repeat(1_000_000) })],
    ["ten megabytes", JSON.stringify({ x: "x".repeat(10_000_000) })],
    ["not JSON", "{"],
    ["two values", "{}{}"],
    ["a comment", "{/* */}"],
    ["single quotes", "{'a': 1}"],
    ["a trailing comma", '{"a": 1,}'],
    ["XML", "<a/>"],
    ["a form", "lookup_key=pro_monthly"],
    ["a NUL", '{"lookup_key": "a\u0000"}'],
    ["a key twice", '{"action":"cancel","action":"nothing"}'],
    ["__proto__", '{"__proto__": {"admin": true}, "x": 1}'],
    ["a number with 50,000 digits", `{"x": ${"9".repeat(50_000)}}`],
    [
      "10,000 fields",
      JSON.stringify(Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`f${i}`, i]))),
    ],
  ];
  const doors = [
    "/functions/v1/checkout",
    "/functions/v1/subscription",
    "/functions/v1/purchase",
    "/functions/v1/overage",
    "/functions/v1/portal",
    "/functions/v1/sync",
    "/functions/v1/reply",
    "/functions/v1/licence",
    "/functions/v1/seller",
    "/functions/v1/credits",
    "/rest/v1/messages",
    "/rest/v1/conversations",
    "/rest/v1/rpc/publish_listing",
  ];
  return doors.flatMap((path) =>
    // @supabase/lite, unlike PostgREST, recurses over the arguments of an RPC.
    texts.filter(([what]) => !path.includes("/rpc/") || !/\d0,000 deep|000,000/.test(what)).map((
      [what, body],
    ): Attack => ({
      what: `${path}: ${what}`,
      path,
      token,
      body,
      status: [400, 404, 413],
    }))
  );
}

Deno.test("no string, number or body gets further than a 4xx with a code", async (t) => {
  const db = sql();
  const owner = await victim(db);
  const { token } = await signUp("inputs");
  const step = (group: string, attacks: Attack[]) =>
    t.step(group, () => unchanged(db, () => tryAll(group, attacks, owner.secrets)));
  await step("strings that are more than text", strings(token));
  await step("quantities out of bounds", quantities(token));
  await step("bodies too deep, too large or broken", bodies(token));

  await t.step("text is kept as it is, whatever it could mean", async () => {
    for (
      const value of STRINGS.filter((one) =>
        one.isWellFormed() && !one.includes("\0") && one.length < 200
      )
    ) {
      const answer = await request("/rest/v1/conversations?select=title", {
        token,
        body: { title: value },
        headers: { prefer: "return=representation" },
      });
      assert.equal(answer.status, 201, answer.text);
      assert.deepEqual(answer.body, [{ title: value }]);
    }
  });

  await t.step("redirects and headers", async () => {
    const { host } = new URL(stack().api_url);
    const evil = [
      "//evil.example",
      "https://evil.example",
      "https:evil.example",
      "\\\\evil.example",
      "/%2Fevil.example",
      "https://127.0.0.1@evil.example",
      "%0d%0aLocation:%20https://evil.example",
      "javascript:alert(1)",
      "data:text/html,x",
    ];
    const paths = evil.flatMap((target) => {
      const text = encodeURIComponent(target);
      return [
        `/auth/v1/verify?token=x&type=signup&redirect_to=${text}`,
        `/auth/v1/authorize?provider=github&redirect_to=${text}`,
        `/functions/v1/checkout?success_url=${text}&return_url=${text}`,
        `/functions/v1/portal?redirect_to=${text}`,
        `/${target.replaceAll(/[^\w/.:@%\\-]/g, "")}`,
        `/functions/v1/checkout/${target.replaceAll(/[^\w/.:@%\\-]/g, "")}`,
      ];
    });
    const lines = [
      "x-forwarded-host: evil.example",
      "x-original-url: /rest/v1/plans",
      "x-http-method-override: DELETE",
      "x-forwarded-for: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2",
      "origin: https://evil.example",
      "accept-profile: billing",
      "content-profile: vault",
      "prefer: tx=rollback, params=multiple-objects",
      "authorization: Basic c2VydmljZV9yb2xlOng=",
      "cookie: sb-access-token=x",
      "x-client-info: \x01\x02",
      `host: evil.example`,
      "range: items=0-999999999999",
      "content-type: text/csv",
      "transfer-encoding: gzip",
    ];
    const failures: string[] = [];
    const send = async (path: string, line: string) => {
      const { status, text } = await raw(
        `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\napikey: ${stack().publishable_key}\r\n${line}\r\n\r\n`,
      );
      const location = /^location: *(.*)$/im.exec(text.split("\r\n\r\n")[0] ?? "")?.[1] ?? "";
      const away = /evil\.example|javascript:|data:/i.test(location);
      const split = /^set-cookie/im.test(text.split("\r\n\r\n")[0] ?? "");
      const opened = status >= 200 && status < 300 && !path.startsWith("/rest/v1/plans");
      if (status >= 500 || away || split || opened) {
        failures.push(`${path} ${line}: ${text.slice(0, 200)}`);
      }
    };
    await unchanged(db, async () => {
      for (const path of paths) await send(path, "accept: */*");
      for (const line of lines) {
        await send("/rest/v1/plans?select=id", line);
        await send("/rest/v1/messages?select=*", line);
        await send("/functions/v1/sync", line);
      }
    });
    note("redirects and headers", paths.length + lines.length * 3);
    assert.deepEqual(failures, []);
  });
  await db.end();
});
