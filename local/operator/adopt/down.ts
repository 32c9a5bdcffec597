/**
 * The migration that takes Tollgate out of a database. One statement, so that it happens as a whole or not at all. It runs as
 * well where Tollgate never was, since a project's migrations also run from the first on an empty database.
 */
export function downMigration(schema: string, options: { dropData: boolean }): string {
  return `-- Takes Tollgate out: its jobs, its triggers on your tables, its schemas with all that is in them. Your tables stay.
-- Extensions stay too (pg_cron, pg_net, supabase_vault): something else may use them. So do secrets in the Vault.

do $remove$
declare
  v_gate regclass;
  v_missing text;${options.dropData ? "" : MONEY_DECLARED}
begin
${options.dropData ? "" : moneyGuard(schema)}
  if to_regclass('cron.job') is not null then
    perform cron.unschedule(j.jobname) from cron.job j where j.jobname like 'tollgate-%';
  end if;
  if to_regclass('billing.quota_gates') is not null then
    for v_gate in select g.table_id from billing.quota_gates g loop
      perform billing.detach_quota(v_gate);
    end loop;
    -- The audit log chains at commit what it was told just now; it must not wait for a table that is gone.
    set constraints all immediate;
  end if;
  create temporary table tollgate_before on commit drop as ${OBJECTS(schema)};
  drop schema if exists ${schema}, billing, billing_months cascade;
  -- Cascading must have taken nothing of yours: a view on our plans, say, or a foreign key to our customers.
  select string_agg(b.what, ', ' order by b.what) into v_missing
  from pg_temp.tollgate_before b
  where not exists (select from (${OBJECTS(schema)}) a where a.what = b.what);
  if v_missing is not null then
    raise exception 'these depend on Tollgate and would go with it: %', v_missing
      using errcode = 'dependent_objects_still_exist', hint = 'Drop or change them in a migration of yours before this one.';
  end if;
  drop table pg_temp.tollgate_before;
end;
$remove$;
`;
}

const MONEY_DECLARED = `
  v_table text;
  v_rows bigint;
  v_kept text[] := '{}';`;

/** Tables that say who paid what, or owes what. */
export const MONEY = (schema: string) => [
  ...["customers", "subscriptions", "invoices", "purchases", "credit_grants"].map((table) =>
    `${schema}.${table}`
  ),
  "billing.overage_usage",
  "billing.usage_outbox",
  "billing.ledger_transactions",
  "billing.ledger_entries",
];

function moneyGuard(schema: string): string {
  return `  -- What people paid is not dropped by the way.
  foreach v_table in array array[
${MONEY(schema).map((table) => `    '${table}'`).join(",\n")}
  ] loop
    if to_regclass(v_table) is not null then
      execute format('select count(*) from %s', v_table) into v_rows;
      if v_rows > 0 then
        v_kept := v_kept || format('%s (%s)', v_table, v_rows);
      end if;
    end if;
  end loop;
  if v_kept <> '{}' then
    raise exception 'Tollgate has data about money: %', array_to_string(v_kept, ', ')
      using errcode = 'object_not_in_prerequisite_state',
        hint = 'Export it and the audit log (docs/adopt.md), end what still runs at Stripe, and make this migration anew with --drop-data.';
  end if;
`;
}

/** Everything in the schemas of the application that a cascade could reach, by name. */
const OBJECTS = (schema: string) => `
    select i.type || ' ' || i.identity as what
    from (
      select 'pg_class'::regclass as class, c.oid, 0 as part, c.relnamespace as namespace from pg_class c
        where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      union all
      select 'pg_class'::regclass, a.attrelid, a.attnum, c.relnamespace
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f')
      union all
      select 'pg_proc'::regclass, p.oid, 0, p.pronamespace from pg_proc p
      union all
      select 'pg_type'::regclass, t.oid, 0, t.typnamespace from pg_type t where t.typtype in ('d', 'e', 'r', 'c')
      union all
      select 'pg_constraint'::regclass, k.oid, 0, k.connamespace from pg_constraint k
      union all
      select 'pg_trigger'::regclass, g.oid, 0, c.relnamespace
        from pg_trigger g join pg_class c on c.oid = g.tgrelid where not g.tgisinternal
      union all
      select 'pg_policy'::regclass, p.oid, 0, c.relnamespace from pg_policy p join pg_class c on c.oid = p.polrelid
      union all
      select 'pg_attrdef'::regclass, d.oid, 0, c.relnamespace from pg_attrdef d join pg_class c on c.oid = d.adrelid
    ) o
    join pg_namespace n on n.oid = o.namespace
    cross join lateral pg_identify_object(o.class, o.oid, o.part) i
    where n.nspname not in ('${schema}', 'billing', 'billing_months') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  `;
