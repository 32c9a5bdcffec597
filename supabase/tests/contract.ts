/**
 * `npm run privileges` writes supabase/privileges.txt from the migrations, on a stack of its own. Reasons that stand in the file
 * are kept; a new line that needs one gets WHY, which privileges.test.ts refuses until somebody has written it.
 */
import postgres from "postgres";
import { ROOT } from "../../local/paths.ts";
import { startStack } from "../../local/stack.ts";

export const CONTRACT_FILE = `${ROOT}/supabase/privileges.txt`;
export const WHY = "why?";

const HEADER =
  `# The privilege contract: everything anybody but the owner (postgres) may do with what is ours, one right a line.
# supabase/tests/privileges.test.ts compares it with the database and fails on any difference, in either direction.
#
# role  right  object. "all:" is a right to the whole table, columns to come included; without it, to these columns only.
# [definer] runs as its owner, [invoker] with the rights of the caller. PUBLIC is everybody. Behind "#" stands why: for all that
# PUBLIC and anon have, and for each definer function that a client calls.
#
# After a merge or a new grant: \`npm run privileges\`, read what changed, give the reasons. Nothing below is written by hand but these.
`;

/** The roles of the platform that a right could be given to by mistake; any other that has one appears by itself. */
const ROLES = [
  "PUBLIC",
  "anon",
  "authenticated",
  "service_role",
  "authenticator",
  "supabase_auth_admin",
  "supabase_functions_admin",
  "dashboard_user",
];
const CLIENTS = ["PUBLIC", "anon", "authenticated"];

/** Grants as they stand in the catalogue, exploded; a null list of grants means Postgres's defaults. The owner has its own anyway. */
const RIGHTS = `
with ours as (
  select oid, nspname, nspowner, nspacl from pg_namespace where nspname in ('public', 'billing')
), name_of as (
  select oid, rolname::text as role from pg_roles union all select 0, 'PUBLIC'
), relations as (
  select c.oid, n.nspname, c.relname, c.relkind, c.relowner, c.relacl
  from pg_class c join ours n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
), granted as (
  select x.grantee, lower(x.privilege_type) as right, x.is_grantable, 'schema ' || n.nspname as object
  from ours n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x where x.grantee <> n.nspowner
  union all
  select x.grantee, lower(x.privilege_type), x.is_grantable,
    case c.relkind when 'S' then format('sequence %s.%s', c.nspname, c.relname)
      else format('%s.%s (all: %s)', c.nspname, c.relname, (
        select string_agg(a.attname, ', ' order by a.attname) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)) end
  from relations c, aclexplode(coalesce(c.relacl, acldefault((case c.relkind when 'S' then 's' else 'r' end)::"char", c.relowner))) x
  where x.grantee <> c.relowner
  union all
  select x.grantee, lower(x.privilege_type), x.is_grantable,
    format('%s.%s (%s)', c.nspname, c.relname, string_agg(a.attname, ', ' order by a.attname))
  from relations c join pg_attribute a on a.attrelid = c.oid and not a.attisdropped, aclexplode(a.attacl) x
  where x.grantee <> c.relowner
  group by x.grantee, x.privilege_type, x.is_grantable, c.nspname, c.relname
  union all
  select x.grantee, lower(x.privilege_type), x.is_grantable, format('%s.%s(%s) [%s]', n.nspname, f.proname,
    pg_get_function_identity_arguments(f.oid), case when f.prosecdef then 'definer' else 'invoker' end)
  from pg_proc f join ours n on n.oid = f.pronamespace, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) x
  where x.grantee <> f.proowner
  union all
  select x.grantee, lower(x.privilege_type), x.is_grantable, format('type %s.%s', n.nspname, t.typname)
  from pg_type t join ours n on n.oid = t.typnamespace, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) x
  where x.grantee <> t.typowner and t.typtype in ('d', 'e', 'r')
  union all
  select m.member, 'become', m.admin_option, 'role ' || r.rolname
  from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles who on who.oid = m.member
  where r.rolname in ('anon', 'authenticated', 'service_role') and who.rolname not in ('postgres', 'supabase_admin')
  union all
  select r.oid, 'attribute', false, a.name
  from pg_roles r, lateral (values ('superuser', r.rolsuper), ('bypassrls', r.rolbypassrls), ('createrole', r.rolcreaterole),
    ('createdb', r.rolcreatedb), ('login', r.rolcanlogin), ('replication', r.rolreplication)) a (name, has)
  where r.rolname in ('anon', 'authenticated', 'service_role') and a.has
)
select n.role, g.right, g.object || case when g.is_grantable then ' with grant option' else '' end as object
from granted g join name_of n on n.oid = g.grantee
where n.role <> 'postgres'
order by n.role collate "C", g.object collate "C", g.right collate "C"`;

const POLICIES = `
select n.nspname || '.' || c.relname as "table",
  case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
  (select string_agg(case when o = 0 then 'PUBLIC' else pg_get_userbyid(o)::text end, ', ' order by o::regrole::text)
    from unnest(p.polroles) o) as roles,
  p.polname::text as name, p.polpermissive as permissive,
  pg_get_expr(p.polqual, p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as "check"
from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'billing')
order by n.nspname, c.relname, p.polcmd, p.polname`;

/** What is not a grant and opens as much: views with the rights of their owner, other owners, published tables, missing RLS. */
const EXCEPTIONS = `
select format('view %s.%s %s', n.nspname, c.relname,
  case when 'security_invoker=true' = any (c.reloptions) or 'security_invoker=on' = any (c.reloptions)
    then '[invoker]' else '[definer]' end) as line
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'billing') and c.relkind in ('v', 'm')
union all
select format('owner %s of %s.%s', pg_get_userbyid(o.owner), n.nspname, o.name)
from (select relnamespace as ns, relowner as owner, relname as name from pg_class
  union all select pronamespace, proowner, proname from pg_proc) o join pg_namespace n on n.oid = o.ns
where n.nspname in ('public', 'billing') and pg_get_userbyid(o.owner) <> 'postgres'
union all
select format('published %s.%s in %s', schemaname, tablename, pubname) from pg_publication_tables
where schemaname in ('public', 'billing')
union all
select format('no row level security on %s.%s', n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'billing') and c.relkind in ('r', 'p') and not c.relrowsecurity
order by 1`;

/** What an object made by a later migration gives away: the default of Postgres or what replaced it, and what the schema adds. */
const DEFAULTS = `
with kinds (code, name) as (values ('r'::"char", 'table'), ('S', 'sequence'), ('f', 'function')),
owner as (select oid from pg_roles where rolname = 'postgres'),
given as (
  select k.name, n.nspname, x.grantee, x.privilege_type
  from kinds k cross join owner o cross join pg_namespace n
  left join pg_default_acl g on g.defaclrole = o.oid and g.defaclnamespace = 0 and g.defaclobjtype = k.code
  left join pg_default_acl s on s.defaclrole = o.oid and s.defaclnamespace = n.oid and s.defaclobjtype = k.code,
  aclexplode(coalesce(g.defaclacl, acldefault(case k.code when 'S' then 's' else k.code end, o.oid)) || coalesce(s.defaclacl, '{}')) x
  where n.nspname in ('public', 'billing') and x.grantee <> o.oid
)
select format('a new %s in %s: %s', k.name, n.nspname, coalesce((
  select string_agg(distinct format('%s by %s', lower(g.privilege_type),
    case when g.grantee = 0 then 'PUBLIC' else pg_get_userbyid(g.grantee)::text end), ', ')
  from given g where g.name = k.name and g.nspname = n.nspname), 'nobody')) as line
from kinds k cross join pg_namespace n where n.nspname in ('public', 'billing') order by 1`;

interface Right {
  role: string;
  right: string;
  object: string;
}
interface Policy {
  table: string;
  command: string;
  roles: string;
  name: string;
  permissive: boolean;
  using: string | null;
  check: string | null;
}

/** The contract the database keeps, without reasons: comments of its sections and one line per right. */
export async function readContract(db: string | postgres.TransactionSql): Promise<string[]> {
  if (typeof db !== "string") return await describe(db);
  const sql = postgres(db, { max: 1, onnotice: () => {} });
  try {
    return await sql.begin(describe);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function describe(sql: postgres.TransactionSql): Promise<string[]> {
  // With an empty path every name is printed with its schema.
  await sql`set local search_path to ''`;
  const rights = await sql.unsafe<Right[]>(RIGHTS);
  const policies = await sql.unsafe<Policy[]>(POLICIES);
  const exceptions = await sql.unsafe<{ line: string }[]>(EXCEPTIONS);
  const defaults = await sql.unsafe<{ line: string }[]>(DEFAULTS);
  const roles = [...new Set([...ROLES, ...rights.map(({ role }) => role)])];
  return [
    ...roles.flatMap((role) => {
      const lines = byTable(rights.filter((right) => right.role === role));
      return section(role, lines.length > 0 ? lines : [`${role}  nothing`]);
    }),
    ...section("What later migrations make", defaults.map(({ line }) => line)),
    ...section("Views, and what is out of the ordinary", exceptions.map(({ line }) => line)),
    ...section("Policies", policies.map(describePolicy)),
  ];
}

/** Rights to the same columns share a line, so that a table is read at one glance. */
function byTable(rights: Right[]): string[] {
  const groups = Map.groupBy(rights, ({ role, object }) => `${role}  %  ${object}`);
  return [...groups].map(([line, group]) =>
    line.replace("%", () => group.map(({ right }) => right).join(","))
  );
}

function section(title: string, lines: string[]): string[] {
  return ["", `# ${title}`, "", ...lines];
}

function describePolicy(policy: Policy): string {
  const rule = [
    policy.using === null ? null : `using ${oneLine(policy.using)}`,
    policy.check === null ? null : `check ${oneLine(policy.check)}`,
  ].filter((part) => part !== null).join("; ");
  const kind = policy.permissive ? "" : " (restrictive)";
  return `policy ${policy.table} ${policy.command} to ${policy.roles}${kind} "${policy.name}": ${rule}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** The lines that say something, each with the reason behind it. */
export function parseContract(text: string): Map<string, string> {
  const entries = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"))
    .map((line): [string, string] => {
      const at = line.lastIndexOf("  # ");
      return at < 0 ? [line.trimEnd(), ""] : [line.slice(0, at), line.slice(at + 4).trim()];
    });
  return new Map(entries);
}

export function needsReason(line: string): boolean {
  const role = line.split("  ")[0] ?? "";
  if (role === "PUBLIC" || role === "anon") return !line.endsWith("  nothing");
  return CLIENTS.includes(role) && line.endsWith("[definer]");
}

/** The file as it should be: what the database keeps, with the reasons the file has given so far. */
export function writeContract(lines: string[], before: string): string {
  const reasons = parseContract(before);
  // A right whose columns or arguments changed keeps the reason of its object.
  const byObject = new Map([...reasons].map(([line, reason]) => [subject(line), reason]));
  const body = lines.map((line) => {
    if (line === "" || line.startsWith("#")) return line;
    const known = reasons.get(line) || byObject.get(subject(line)) || "";
    const reason = known || (needsReason(line) ? WHY : "");
    return reason ? `${line}  # ${reason}` : line;
  });
  return `${HEADER}${body.join("\n")}\n`;
}

function subject(line: string): string {
  return line.replace(/ ?\(.*$/, "");
}

if (import.meta.main) {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-privileges-" });
  const options = { dataDir, web: false, functions: false, cron: false, durable: false };
  const stack = await startStack(options);
  try {
    const before = await Deno.readTextFile(CONTRACT_FILE).catch(() => "");
    const text = writeContract(await readContract(stack.dbUrl), before);
    await Deno.writeTextFile(CONTRACT_FILE, text);
    const open = text.split("\n").filter((line) => line.endsWith(`  # ${WHY}`));
    for (const line of open) console.log(line);
    if (open.length > 0) console.log(`${open.length} lines need a reason.`);
  } finally {
    await stack.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
  Deno.exit(0);
}
