-- Attaching a table and detaching it; see the file before this one.

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

revoke all on function billing.free_gate_name(regclass), billing.create_gate_functions(billing.quota_gates),
  billing.create_gate_triggers(billing.quota_gates), billing.remove_gate(billing.quota_gates),
  billing.attach_quota(regclass, name, text, text), billing.detach_quota(regclass)
  from public, anon, authenticated, service_role;
