-- The gate for any table: billing.attach_quota('app.chat_messages', 'author_id', 'message') makes a row of that table one
-- use of the metric, in the transaction that writes it. public.messages is attached by the same call in the next migration.
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
  -- Beside a second relation Postgres prints every column with the name of its row, which is what a trigger needs.
  execute format(
    E'create temporary view tollgate_gate_probe as select (%s\n) as tollgate_condition from %s as %I cross join (select) as one',
    p_condition, p_table, p_row
  );
  v_definition := substring(
    pg_catalog.pg_get_viewdef('pg_temp.tollgate_gate_probe'::regclass) from '^ SELECT (.*) AS tollgate_condition\n   FROM '
  );
  drop view pg_temp.tollgate_gate_probe;
  if v_definition is null then
    raise exception 'the condition (%) cannot be read', p_condition using errcode = 'syntax_error';
  end if;
  return format('(%s)', v_definition);
end;
$$;

comment on function billing.gate_condition(regclass, text, text) is
  'The condition with every column named as one of that row (new or old); true without a condition.';

-- The triggers.

create function billing.free_gate_name(p_table regclass) returns name
language sql stable
set search_path = ''
as $$
  select n.name
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace s on s.oid = c.relnamespace
  cross join lateral (
    select (left('consume_' || s.nspname || '_' || c.relname, 48) || case when i > 1 then '_' || i else '' end)::name as name, i
    from generate_series(1, 10000) i
  ) n
  where c.oid = p_table and not exists (
    select from pg_catalog.pg_proc f
    where f.pronamespace = 'billing'::regnamespace and f.proname in (n.name, n.name || '_many')
  )
  order by n.i limit 1;
$$;

comment on function billing.free_gate_name(regclass) is 'A name for the trigger functions of a table that no function has yet.';

create function billing.create_gate_functions(p_gate billing.quota_gates) returns void
language plpgsql
set search_path = ''
as $$
begin
  execute format(
    'create function billing.%I() returns trigger language plpgsql security definer set search_path = '''' as %L',
    p_gate.function_name, format($body$
-- Definer: the writer must not be able to write counters. Whose the row is, the policies and the foreign keys have checked
-- already when an AFTER trigger runs.
begin
  -- One statement decides. fast_until is within the allowance (a constraint says so), so nothing passes here that the
  -- allowance does not cover.
  update billing.usage_counters c
  set used = c.used + 1
  where c.user_id = new.%1$I
    and c.metric_id = %2$L
    and c.period_day = (now() at time zone 'UTC')::date
    and c.valid_until > now()
    and c.used < c.fast_until;
  if not found then
    perform billing.consume(new.%1$I, %2$L, 1);
  end if;
  return null;
end;
$body$, p_gate.owner_column, p_gate.metric_id)
  );
  execute format(
    'create function billing.%I() returns trigger language plpgsql security definer set search_path = '''' as %L',
    p_gate.function_name || '_many', format($body$
#variable_conflict use_column
-- Definer: the writer must not be able to write counters.
declare
  v_users uuid[];
  v_quantities bigint[];
begin
  select array_agg(g.owner order by g.owner), array_agg(g.quantity order by g.owner) into v_users, v_quantities
  from (select new.%I as owner, count(*) as quantity from new_rows as new where %s group by 1) g;
  perform billing.consume_all(v_users, v_quantities, %L);
  return null;
end;
$body$, p_gate.owner_column, billing.gate_condition(p_gate.table_id, p_gate.condition, 'new'), p_gate.metric_id)
  );
  execute format(
    'revoke all on function billing.%I(), billing.%I() from public, anon, authenticated, service_role',
    p_gate.function_name, p_gate.function_name || '_many'
  );
  execute format('comment on function billing.%I() is %L', p_gate.function_name, format(
    'The hot path of %s: one %s of its owner''s day; beyond the allowance whatever billing.consume() decides.',
    p_gate.table_id, p_gate.metric_id));
  execute format('comment on function billing.%I() is %L', p_gate.function_name || '_many', format(
    'Everybody but clients: consumes for the rows of %s per user in one order.', p_gate.table_id));
end;
$$;

comment on function billing.create_gate_functions(billing.quota_gates) is 'Makes the two trigger functions of a table.';

create function billing.create_gate_triggers(p_gate billing.quota_gates) returns void
language plpgsql
set search_path = ''
as $$
begin
  execute format(
    'create trigger tollgate_after_insert_consume after insert on %s '
    'for each row when (current_user = ''authenticated'' and %s) execute function billing.%I()',
    p_gate.table_id, billing.gate_condition(p_gate.table_id, p_gate.condition, 'new'), p_gate.function_name
  );
  execute format(
    'create trigger tollgate_after_insert_consume_many after insert on %s referencing new table as new_rows '
    'for each statement when (current_user is distinct from ''authenticated'') execute function billing.%I()',
    p_gate.table_id, p_gate.function_name || '_many'
  );
  -- AFTER, because it must judge the row that was written, whatever other triggers made of it.
  execute format(
    'create trigger tollgate_after_update_refuse after update on %s '
    'for each row when (old.%3$I is distinct from new.%3$I%2$s) execute function billing.refuse_change()',
    p_gate.table_id,
    case when p_gate.condition is not null then format(
      ' or %s is distinct from %s', billing.gate_condition(p_gate.table_id, p_gate.condition, 'old'),
      billing.gate_condition(p_gate.table_id, p_gate.condition, 'new')
    ) else '' end,
    p_gate.owner_column
  );
end;
$$;

comment on function billing.create_gate_triggers(billing.quota_gates) is
  'Puts the triggers on a table. The conditions of the first two are each other''s complement: no insert escapes both.';

create function billing.remove_gate(p_gate billing.quota_gates) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_name text;
begin
  if exists (select from pg_catalog.pg_class c where c.oid = p_gate.table_id) then
    foreach v_name in array array[
      'tollgate_after_insert_consume', 'tollgate_after_insert_consume_many', 'tollgate_after_update_refuse'
    ] loop
      if exists (select from pg_catalog.pg_trigger t where t.tgrelid = p_gate.table_id and t.tgname = v_name) then
        execute format('drop trigger %I on %s', v_name, p_gate.table_id);
      end if;
    end loop;
  end if;
  if to_regprocedure(format('billing.%I()', p_gate.function_name)) is not null then
    execute format('drop function billing.%I()', p_gate.function_name);
  end if;
  if to_regprocedure(format('billing.%I()', p_gate.function_name || '_many')) is not null then
    execute format('drop function billing.%I()', p_gate.function_name || '_many');
  end if;
  delete from billing.quota_gates g where g.table_id = p_gate.table_id;
end;
$$;

comment on function billing.remove_gate(billing.quota_gates) is
  'Takes away what there is of a gate, also of one that is broken or whose table is gone.';

create view billing.attached_quotas with (security_invoker = true) as
select g.table_id as "table", g.owner_column, g.metric_id as metric, g.condition, g.attached_at,
  case
    when c.oid is null then 'table_dropped'
    when not exists (
      select from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and a.attname = g.owner_column and not a.attisdropped
    ) then 'column_missing'
    when (
      select count(*) from pg_catalog.pg_trigger t
      where t.tgrelid = c.oid and t.tgenabled in ('O', 'A') and t.tgname in (
        'tollgate_after_insert_consume', 'tollgate_after_insert_consume_many', 'tollgate_after_update_refuse'
      )
    ) <> 3 then 'open'
    when not c.relrowsecurity then 'no_row_security'
    else 'attached'
  end as status
from billing.quota_gates g
left join pg_catalog.pg_class c on c.oid = g.table_id;

comment on view billing.attached_quotas is
  'Tables whose rows are counted. status: attached; open (a trigger was dropped or disabled: rows pass uncounted); '
  'no_row_security (people can write in each other''s name); column_missing (every insert fails); table_dropped.';

revoke all on billing.attached_quotas from public, anon, authenticated, service_role;

-- For the owner of the database.

create function billing.attach_quota(
  p_table regclass, p_owner_column name, p_metric text, p_when text default null
) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_gate billing.quota_gates;
  v_gone billing.quota_gates;
begin
  perform billing.check_gate_table(p_table);
  -- What is checked from here on stays so until the triggers are there, and two of these wait for each other. Dropping a
  -- trigger needs the higher lock, and who would take that one later could wait in a circle.
  execute format('lock table %s in %s mode', p_table, case
    when exists (select from billing.quota_gates g where g.table_id = p_table) then 'access exclusive'
    else 'share row exclusive' end);
  perform billing.check_gate_table(p_table);
  perform billing.check_gate_policies(p_table);
  perform billing.check_gate_owner(p_table, p_owner_column);
  perform billing.check_gate_metric(p_metric);
  if p_when is not null then
    perform billing.check_gate_condition(p_table, p_when);
  end if;
  if exists (
    select from billing.quota_gates g join billing.attached_quotas a on a."table" = g.table_id
    where g.table_id = p_table and g.owner_column = p_owner_column and g.metric_id = p_metric
      and g.condition is not distinct from p_when and a.status = 'attached'
  ) then
    return;
  end if;
  for v_gone in
    select g.* from billing.quota_gates g
    where g.table_id = p_table or not exists (select from pg_catalog.pg_class c where c.oid = g.table_id)
  loop
    perform billing.remove_gate(v_gone);
  end loop;
  insert into billing.quota_gates (table_id, owner_column, metric_id, condition, function_name)
  values (p_table, p_owner_column, p_metric, p_when, billing.free_gate_name(p_table))
  returning * into v_gate;
  perform billing.create_gate_functions(v_gate);
  perform billing.create_gate_triggers(v_gate);
end;
$$;

comment on function billing.attach_quota(regclass, name, text, text) is
  'From now on each new row of the table (for which the condition holds, if there is one) takes one of the metric from its '
  'owner''s day, or is refused like a message: 429 <metric>_quota_exceeded, 402 spending_cap_reached. The same again changes '
  'nothing; other arguments replace what was attached. Rows that are there already cost nothing.';

create function billing.detach_quota(p_table regclass) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_gate billing.quota_gates;
begin
  if exists (select from pg_catalog.pg_class c where c.oid = p_table) then
    -- In the order of attach_quota().
    execute format('lock table %s in access exclusive mode', p_table);
  end if;
  select * into v_gate from billing.quota_gates g where g.table_id = p_table;
  if not found then
    return false;
  end if;
  perform billing.remove_gate(v_gate);
  return true;
end;
$$;

comment on function billing.detach_quota(regclass) is
  'Takes the gate from a table, which is as it was before; false when there was none. What was used stays used.';

revoke all on function billing.consume_all(uuid[], bigint[], text), billing.check_gate_table(regclass),
  billing.check_gate_policies(regclass), billing.check_gate_owner(regclass, name), billing.check_gate_metric(text),
  billing.check_gate_condition(regclass, text), billing.gate_condition(regclass, text, text),
  billing.free_gate_name(regclass), billing.create_gate_functions(billing.quota_gates),
  billing.create_gate_triggers(billing.quota_gates), billing.remove_gate(billing.quota_gates),
  billing.attach_quota(regclass, name, text, text), billing.detach_quota(regclass)
  from public, anon, authenticated, service_role;

select billing.audit_table(
  'billing.quota_gates', 'operator.quota_gate', '', 'table_id', 'owner_column,metric_id,condition'
);
