-- The gate for any table: billing.attach_quota('app.chat_messages', 'author_id', 'message') makes a row of that table one
-- use of the metric, in the transaction that writes it. Here is what may be attached; the triggers and the call are in the
-- next file, and public.messages is attached in the one after it.
--
-- The triggers are those of *_quota_gate.sql, and why they are AFTER, and one per row for clients and one per statement for
-- everybody else, stands there. Their functions are made per table, with the owner's column and the metric in their text:
-- a function for all tables would have to look into the row by name, and every message would pay for that.
--
-- What cannot be held to the limit is refused when it is attached, not found out later; what breaks afterwards (a renamed
-- column, a dropped trigger) refuses inserts or shows in billing.attached_quotas.

create table billing.quota_gates (
  table_id regclass primary key,
  owner_column name not null,
  metric_id text not null references public.metrics (id),
  condition text check (condition <> ''),
  function_name name not null unique,
  attached_at timestamptz not null default now()
);

create index quota_gates_metric_id_idx on billing.quota_gates (metric_id);

comment on table billing.quota_gates is 'Tables whose rows are counted; written by billing.attach_quota() alone.';
comment on column billing.quota_gates.owner_column is 'Column with the id of the user whose quota a row takes from.';
comment on column billing.quota_gates.condition is 'Which rows count, as it was given; null: all.';
comment on column billing.quota_gates.function_name is
  'The trigger function for a client''s row; the one for everybody else''s statement has "_many" behind it.';

alter table billing.quota_gates enable row level security;
revoke all on billing.quota_gates from public, anon, authenticated, service_role;
create policy "Nobody reads the gates" on billing.quota_gates
  for all to anon, authenticated using (false) with check (false);

create function billing.consume_all(p_user_ids uuid[], p_quantities bigint[], p_metric_id text) returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_user_ids is null then
    return;
  end if;
  perform billing.ensure_counters(p_user_ids, p_metric_id);
  for v_place in 1 .. cardinality(p_user_ids) loop
    perform billing.consume(p_user_ids[v_place], p_metric_id, p_quantities[v_place]);
  end loop;
end;
$$;

comment on function billing.consume_all(uuid[], bigint[], text) is
  'Takes a quantity for each of these users, who come in the order of their ids, so that two of these cannot deadlock.';

-- What may be attached.

create function billing.check_gate_table(p_table regclass) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_table record;
begin
  select c.relkind, c.relpersistence, c.relispartition, c.relrowsecurity, n.nspname into v_table
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = p_table;
  if v_table.relkind is null then
    raise exception 'there is no table %', p_table using errcode = 'undefined_table';
  elsif v_table.relkind in ('v', 'm') then
    raise exception '% is a view', p_table using errcode = 'wrong_object_type',
      hint = 'Attach the table beneath it: whatever is written through the view is counted there.';
  elsif v_table.relkind = 'p' or v_table.relispartition
    or exists (select from pg_catalog.pg_inherits i where p_table in (i.inhrelid, i.inhparent)) then
    -- A statement's trigger fires on the table that the statement names: writing to a partition would pass by.
    raise exception '% is partitioned, a partition, or inherits', p_table using errcode = 'wrong_object_type',
      hint = 'Attach a plain table that gets one row for each thing that counts.';
  elsif v_table.relkind <> 'r' or v_table.relpersistence = 't' then
    raise exception '% is not a table that stays here', p_table using errcode = 'wrong_object_type';
  elsif v_table.nspname in ('billing', 'billing_months', 'pg_catalog', 'information_schema') then
    raise exception '% is not a table of the application', p_table using errcode = 'wrong_object_type';
  elsif not v_table.relrowsecurity then
    raise exception 'row level security is off on %', p_table using errcode = 'object_not_in_prerequisite_state',
      hint = 'Without it anybody writes rows in anybody''s name, and uses up their quota. '
        'Enable it, with a policy that lets people insert only what is theirs.';
  end if;
end;
$$;

comment on function billing.check_gate_table(regclass) is 'Refuses what cannot be held to a limit, and says why.';

create function billing.check_gate_policies(p_table regclass) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_policy name;
begin
  select p.polname into v_policy
  from pg_catalog.pg_policy p
  where p.polrelid = p_table and p.polpermissive and p.polcmd in ('a', '*')
    and pg_catalog.pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid) = 'true'
    and p.polroles && array[0::oid, to_regrole('anon')::oid, to_regrole('authenticated')::oid]
  limit 1;
  if found then
    raise exception 'the policy "%" of % lets anybody insert rows of anybody', v_policy, p_table
      using errcode = 'object_not_in_prerequisite_state',
        hint = 'They would use up each other''s quota. Let it check that the owner is (select auth.uid()).';
  end if;
end;
$$;

comment on function billing.check_gate_policies(regclass) is 'Refuses a table in which clients may write in anybody''s name.';

create function billing.check_gate_owner(p_table regclass, p_owner_column name) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_column record;
begin
  select a.atttypid, a.attnotnull into v_column
  from pg_catalog.pg_attribute a
  where a.attrelid = p_table and a.attname = p_owner_column and a.attnum > 0 and not a.attisdropped;
  if not found then
    raise exception '% has no column %', p_table, coalesce(quote_ident(p_owner_column), 'null')
      using errcode = 'undefined_column';
  elsif v_column.atttypid <> 'uuid'::regtype then
    raise exception '% of % is %, not uuid', quote_ident(p_owner_column), p_table, format_type(v_column.atttypid, null)
      using errcode = 'datatype_mismatch', hint = 'The owner is an id of auth.users.';
  elsif not v_column.attnotnull then
    raise exception '% of % may be null', quote_ident(p_owner_column), p_table
      using errcode = 'object_not_in_prerequisite_state',
        hint = 'A row of nobody would have no quota to take from. Make the column not null.';
  end if;
end;
$$;

comment on function billing.check_gate_owner(regclass, name) is 'Refuses an owner column that is not there, not uuid, or may be null.';

create function billing.check_gate_metric(p_metric_id text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_period text;
begin
  select m.period into v_period from public.metrics m where m.id = p_metric_id;
  if not found then
    raise exception 'there is no metric %', coalesce(quote_literal(p_metric_id), 'null') using errcode = 'undefined_object',
      hint = format('There is: %s. A new one is a row of metrics.', (select string_agg(m.id, ', ' order by m.id) from public.metrics m));
  elsif v_period <> 'day' then
    raise exception 'the metric % does not reset every day', quote_literal(p_metric_id) using errcode = 'wrong_object_type',
      hint = 'A number of things that may exist would have to count the rows that are there, and to give back.';
  end if;
end;
$$;

comment on function billing.check_gate_metric(text) is 'Refuses a metric that is not there or does not reset.';

-- Which rows count.

create function billing.check_gate_condition(p_table regclass, p_condition text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_probe refcursor;
begin
  if p_condition like '%tollgate\_gate\_row%' then
    raise exception 'this name is taken' using errcode = 'reserved_name';
  end if;
  -- A cursor takes one statement only, so the text cannot end this one and begin another.
  open v_probe for execute format(E'select from %s where (%s\n)', p_table, p_condition);
  close v_probe;
  -- What Postgres lets an index ask is what must hold here: about this row alone, and always with the same answer.
  execute format('create temporary table tollgate_gate_probe (like %s)', p_table);
  execute format(E'create index on pg_temp.tollgate_gate_probe ((true)) where (%s\n)', p_condition);
  drop table pg_temp.tollgate_gate_probe;
exception when others then
  raise exception 'the condition (%) cannot be used: %', p_condition, sqlerrm
    using errcode = sqlstate,
      hint = 'It is one expression over columns of the row, like role = ''user'', that gives the same answer every time.';
end;
$$;

comment on function billing.check_gate_condition(regclass, text) is
  'Refuses what is not one immutable expression over the columns of a row.';

create function billing.gate_condition(p_table regclass, p_condition text, p_row text) returns text
language plpgsql
set search_path = ''
as $$
declare
  v_definition text;
begin
  if p_condition is null then
    return 'true';
  end if;
  -- Beside a second relation Postgres prints every column with the name of its row, which is what a trigger needs. Not
  -- new or old at once: in a view of Postgres 15 these names are taken.
  execute format(
    E'create temporary view tollgate_gate_probe as select (%s\n) as tollgate_condition '
    'from %s as tollgate_gate_row cross join (select) as one', p_condition, p_table
  );
  v_definition := substring(
    pg_catalog.pg_get_viewdef(to_regclass('pg_temp.tollgate_gate_probe')) from '^ SELECT (.*) AS tollgate_condition\n   FROM '
  );
  drop view pg_temp.tollgate_gate_probe;
  if v_definition is null then
    raise exception 'the condition (%) cannot be read', p_condition using errcode = 'syntax_error';
  end if;
  return format('(%s)', replace(v_definition, 'tollgate_gate_row.', p_row || '.'));
end;
$$;

comment on function billing.gate_condition(regclass, text, text) is
  'The condition with every column named as one of that row (new or old); true without a condition.';

revoke all on function billing.consume_all(uuid[], bigint[], text), billing.check_gate_table(regclass),
  billing.check_gate_policies(regclass), billing.check_gate_owner(regclass, name), billing.check_gate_metric(text),
  billing.check_gate_condition(regclass, text), billing.gate_condition(regclass, text, text)
  from public, anon, authenticated, service_role;

select billing.audit_table(
  'billing.quota_gates', 'operator.quota_gate', '', 'table_id', 'owner_column,metric_id,condition'
);
