import assert from "node:assert/strict";
import type postgres from "postgres";
import { type Attack, tryAll, unchanged, type Victim, victim } from "../support/attacks.ts";
import { type Person, request, signUp, sql } from "../support/stack.ts";

/** From the catalogue of the database, so that tables and functions to come are attacked too. */
interface Column {
  table: string;
  column: string;
  type: string;
  insertable: boolean;
  updatable: boolean;
}
interface Rpc {
  name: string;
  names: string[];
  types: string[];
  open: boolean;
}

const OWNERS = ["user_id", "buyer_id", "seller_id"];

async function columnsOf(db: postgres.Sql): Promise<Map<string, Column[]>> {
  const columns = await db<Column[]>`
    select c.relname as table, a.attname as column, format_type(a.atttypid, null) as type,
      has_column_privilege('authenticated', c.oid, a.attnum, 'insert') as insertable,
      has_column_privilege('authenticated', c.oid, a.attnum, 'update') as updatable
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
    order by c.relname, a.attnum`;
  return Map.groupBy(columns, ({ table }) => table);
}

async function rpcsOf(db: postgres.Sql): Promise<Rpc[]> {
  return await db<Rpc[]>`
    select p.proname as name, coalesce(p.proargnames[1:p.pronargs], '{}') as names,
      array(select format_type(t, null) from unnest(p.proargtypes) t) as types,
      has_function_privilege('authenticated', p.oid, 'execute') as open
    from pg_proc p where p.pronamespace = 'public'::regnamespace order by 1`;
}

function sample(type: string, owner: Victim): unknown {
  if (type === "uuid") return owner.id;
  if (/int|numeric/.test(type)) return 1;
  if (type === "boolean") return true;
  if (type === "date") return "2026-01-01";
  if (type.startsWith("timestamp")) return "2020-01-01T00:00:00Z";
  if (type.startsWith("json")) return {};
  return "forged";
}

/** Every id of the victim's that a request could name. */
function idsOf(owner: Victim): [string, string][] {
  return [
    ["user", owner.id],
    ["conversation", owner.conversation],
    ["message", owner.message],
    ["agent", owner.agent],
    ["draft", owner.draft],
    ["purchase", owner.purchase],
    ["licence", owner.licence],
    ["seller", owner.seller],
  ];
}

function reads(tables: Map<string, Column[]>, owner: Victim, token: string | null): Attack[] {
  return [...tables].flatMap(([table, columns]) => {
    const url = `/rest/v1/${table}`;
    const owned = columns.find(({ column }) => OWNERS.includes(column))?.column;
    const catalogue = owned === undefined || table === "listings";
    const value = owned === "seller_id" ? owner.seller : owner.id;
    const leave = catalogue ? { orPublic: true as const } : { orEmpty: true as const };
    const attack = (what: string, query: string, rest: Partial<Attack> = {}): Attack => ({
      what: `${table}: ${what}`,
      path: `${url}?${query}`,
      token,
      ...leave,
      ...rest,
    });
    const own = owned === undefined ? [] : [
      attack("filter by owner", `select=*&${owned}=eq.${value}`),
      attack("filter by a list", `select=*&${owned}=in.(${value})`),
      attack("filter by or", `select=*&or=(${owned}.eq.${value},${owned}.is.null)`),
      attack("filter by not", `select=*&${owned}=not.eq.${crypto.randomUUID()}`, {
        orPublic: true,
      }),
      attack("only the owner", `select=${owned}&${owned}=eq.${value}`),
      attack("counted", `select=*&${owned}=eq.${value}`, { headers: { prefer: "count=exact" } }),
      attack("HEAD, counted", `select=*&${owned}=eq.${value}`, {
        method: "HEAD",
        headers: { prefer: "count=exact" },
      }),
      attack("ordered and cut", `select=*&${owned}=eq.${value}&order=${owned}&limit=1&offset=0`),
    ];
    const ids = columns.filter(({ type }) => type === "uuid").flatMap(({ column }) =>
      idsOf(owner).map(([name, id]) =>
        attack(`${column} is the ${name}`, `select=*&${column}=eq.${id}`, { orPublic: true })
      )
    );
    const embeds = [...tables.keys()].filter((other) => other !== table).map((other) =>
      attack(`with ${other}`, `select=*,${other}(*)`, { orPublic: true })
    );
    return [attack("everything", "select=*", { orPublic: true }), ...own, ...ids, ...embeds];
  });
}

function writes(tables: Map<string, Column[]>, owner: Victim, token: string | null): Attack[] {
  const back = { prefer: "return=representation" };
  return [...tables].flatMap(([table, columns]) => {
    const path = `/rest/v1/${table}`;
    const owned = columns.find(({ column }) => OWNERS.includes(column))?.column;
    const first = owned ?? columns[0]?.column ?? "id";
    const value = owned === "seller_id" ? owner.seller : sample(columns[0]?.type ?? "", owner);
    const theirs = owned === undefined
      ? `${first}=not.is.null`
      : `${first}=eq.${owned === "seller_id" ? owner.seller : owner.id}`;
    const forged = columns.flatMap(({ column, type, insertable, updatable }): Attack[] => {
      const body = { [column]: column === owned ? value : sample(type, owner) };
      const insert = insertable ? [] : [
        { what: `insert ${table}.${column}`, path, body, token, status: [400, 401, 403] },
        {
          what: `upsert ${table}.${column}`,
          path,
          body: [body],
          token,
          headers: { prefer: "resolution=merge-duplicates" },
          status: [400, 401, 403],
        },
      ];
      const update = { path: `${path}?${theirs}`, method: "PATCH", token, headers: back };
      return [
        ...insert,
        updatable
          ? { what: `update their ${table}.${column}`, ...update, body, orEmpty: true }
          : { what: `update ${table}.${column}`, ...update, body, status: [400, 401, 403] },
      ];
    });
    const remove: Attack = {
      what: `delete their ${table}`,
      path: `${path}?${theirs}`,
      method: "DELETE",
      token,
      headers: back,
      orEmpty: true,
    };
    return [...forged, remove];
  });
}

function calls(rpcs: Rpc[], owner: Victim, token: string | null): Attack[] {
  return rpcs.flatMap(({ name, names, types, open }): Attack[] => {
    const path = `/rest/v1/rpc/${name}`;
    const body = Object.fromEntries(names.map((arg, at) => [arg, sample(types[at] ?? "", owner)]));
    if (!open) {
      return [
        { what: `${name}, closed`, path, token, body, status: [401, 403, 404] },
        {
          what: `${name}, closed, by GET`,
          path,
          method: "GET",
          token,
          status: [401, 403, 404, 405],
        },
      ];
    }
    const identities = ["p_user_id", "user_id", "p_owner", "role", "p_seller_id"].map((arg) => ({
      what: `${name} with ${arg}`,
      path,
      token,
      body: { ...body, [arg]: owner.id },
    }));
    const ids = names.flatMap((arg, at) =>
      types[at] === "uuid"
        ? idsOf(owner).map(([of, id]) => ({
          what: `${name} of the ${of}`,
          path,
          token,
          body: { ...body, [arg]: id },
          orEmpty: true as const,
        }))
        : []
    );
    return [...identities, ...ids];
  });
}

/** What nobody may say: who they are, what it costs, who is paid, where to go afterwards. */
const FORGED: Record<string, unknown> = {
  user_id: "$id",
  sub: "$id",
  email: "victim@example.com",
  customer: "$customer",
  stripe_customer_id: "$customer",
  role: "service_role",
  plan_id: "business",
  price: "price_1",
  amount: 1,
  unit_amount_minor: 0,
  amount_minor: -1,
  discount: "FREE",
  coupon: "free",
  trial_days: 365,
  fee_bps: 0,
  application_fee_amount: 0,
  destination: "acct_1",
  seller_id: "$id",
  stripe_account_id: "acct_1",
  status: "active",
  created_at: "2020-01-01T00:00:00Z",
  metadata: { user_id: "$id" },
  success_url: "https://evil.example",
  cancel_url: "//evil.example",
  return_url: "https:evil.example",
  redirect_to: "\\\\evil.example",
  next: "%2F%2Fevil.example",
  url: "javascript:alert(1)",
  __proto__x: { admin: true },
  constructor: { prototype: { admin: true } },
};

const BODIES: Record<string, unknown> = {
  checkout: { lookup_key: "pro_monthly" },
  credits: { lookup_key: "credits_20" },
  licence: { licence_id: "$licence", action: "cancel" },
  overage: { enabled: true, cap_minor: 1_000 },
  portal: { flow: "cancel" },
  purchase: { listing_id: "$draft" },
  reply: { message_id: "$message" },
  seller: { action: "onboard", display_name: "Evil", country: "US" },
  subscription: { action: "cancel_now" },
  sync: {},
};

function filled(value: unknown, owner: Victim): unknown {
  return JSON.parse(
    JSON.stringify(value).replace(
      /"\$(\w+)"/g,
      (_, key: string) => JSON.stringify(Object.entries(owner).find(([name]) => name === key)?.[1]),
    ),
  );
}

function functions(owner: Victim, token: string): Attack[] {
  const forged = Object.entries(BODIES).flatMap(([name, body]) =>
    Object.entries(FORGED).map(([field, value]): Attack => ({
      what: `${name} with ${field}`,
      path: `/functions/v1/${name}`,
      token,
      body: filled({ ...(body as object), [field]: value }, owner),
      status: [400],
    }))
  );
  const theirs = ([
    ["licence", "licence_id", { action: "cancel" }],
    ["licence", "licence_id", { action: "resume" }],
    ["purchase", "listing_id", {}],
    ["reply", "message_id", {}],
  ] as const).flatMap(([name, field, rest]) =>
    idsOf(owner).map(([of, id]): Attack => ({
      what: `${name} ${JSON.stringify(rest)} of the ${of}`,
      path: `/functions/v1/${name}`,
      token,
      body: { ...rest, [field]: id },
      status: [404, 409],
    }))
  );
  return [...forged, ...theirs];
}

function messages(owner: Victim, mine: string, token: string): Attack[] {
  const row = { conversation_id: mine, role: "user", content: "Forged" };
  const forgeries: [string, unknown][] = [
    ["the assistant", { ...row, role: "assistant" }],
    ["the system", { ...row, role: "system" }],
    ["a tool", { ...row, role: "tool" }],
    ["the assistant in capitals", { ...row, role: "ASSISTANT" }],
    ["no role", { ...row, role: null }],
    ["for the victim", { ...row, user_id: owner.id }],
    ["for nobody", { ...row, user_id: null }],
    ["in the past", { ...row, created_at: "2020-01-01T00:00:00Z" }],
    ["in the future", { ...row, created_at: "2999-01-01T00:00:00Z" }],
    ["as a reply", { ...row, reply_to: owner.message }],
    ["in their conversation", { ...row, conversation_id: owner.conversation }],
    ["in their conversation, as the assistant", {
      ...row,
      conversation_id: owner.conversation,
      role: "assistant",
    }],
    ["under their id", { ...row, conversation_id: owner.conversation, id: owner.message }],
    ["one good, one forged", [row, { ...row, role: "assistant" }]],
    ["one mine, one theirs", [row, { ...row, conversation_id: owner.conversation }]],
    ["another column", { ...row, is_admin: true }],
  ];
  return forgeries.flatMap(([what, body]) =>
    ["", "?on_conflict=id", "?columns=conversation_id,role,content,user_id"].map((
      query,
    ): Attack => ({
      what: `a message ${what} ${query}`,
      path: `/rest/v1/messages${query}`,
      token,
      body,
      headers: { prefer: query ? "resolution=merge-duplicates" : "return=representation" },
    }))
  );
}

async function conversation(person: Person): Promise<string> {
  const { body } = await request("/rest/v1/conversations?select=id", {
    token: person.token,
    body: { title: "Mine" },
    headers: { prefer: "return=representation" },
  });
  return (body as { id: string }[])[0]?.id ?? "";
}

Deno.test("nobody reads, writes or calls as somebody else, wherever they put the id", async (t) => {
  const db = sql();
  const owner = await victim(db);
  const attacker = await signUp("attacker");
  const mine = await conversation(attacker);
  const [tables, rpcs] = await Promise.all([columnsOf(db), rpcsOf(db)]);
  assert.ok(tables.size >= 25 && rpcs.length >= 60);
  const step = (group: string, attacks: Attack[]) =>
    t.step(group, () => unchanged(db, () => tryAll(group, attacks, owner.secrets)));

  await step("filters and embeds of tables", [
    ...reads(tables, owner, attacker.token),
    ...reads(tables, owner, null),
  ]);
  await step("columns escalated and mass-assigned", [
    ...writes(tables, owner, attacker.token),
    ...writes(tables, owner, null),
  ]);
  await step("ids in arguments of RPCs", [
    ...calls(rpcs, owner, attacker.token),
    ...calls(rpcs.map((rpc) => ({ ...rpc, open: rpc.name === "search_listings" })), owner, null),
  ]);
  await step("ids and forged fields at functions", functions(owner, attacker.token));
  await step("forged messages", messages(owner, mine, attacker.token));
  await db.end();
});
