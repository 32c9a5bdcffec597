-- The gate: a message of a user, or an agent, cannot come to be unless its place in the quota was taken
-- in the same transaction, whoever writes it.
--
-- AFTER triggers, because a BEFORE trigger runs ahead of the policies and of "on conflict do nothing": it
-- would let a stranger lock and read a victim's counter, and burn quota for rows that are never written.
--
-- Row or statement level: a client writes rows of one user only (the policy says so), so it takes the row
-- trigger, which is the cheaper one for a single row. Everybody else may write rows of many users in one
-- statement; there the statement trigger takes the counters in the order of user_id, so that two bulk
-- inserts cannot deadlock. The two WHEN clauses are each other's complement: no insert escapes both.

create function billing.refuse_quota(p_counter billing.usage_counters, p_used bigint) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_daily constant boolean := p_counter.period_day <> 'infinity';
  v_name text;
  v_resets_at timestamptz;
  v_headers jsonb := '{}'::jsonb;
begin
  select lower(m.name) into v_name from public.metrics m where m.id = p_counter.metric_id;
  if v_daily then
    v_resets_at := (p_counter.period_day + 1)::timestamp at time zone 'UTC';
    v_headers := jsonb_build_object('Retry-After', greatest(
      1, ceil(extract(epoch from v_resets_at - clock_timestamp()))
    )::bigint::text);
  end if;
  perform billing.raise_http(
    case when v_daily then 429 else 403 end,
    p_counter.metric_id || case when v_daily then '_quota_exceeded' else '_limit_reached' end,
    format('Limit reached: %s of %s %s.', p_used, p_counter.allowance, v_name),
    jsonb_build_object(
      'metric', p_counter.metric_id,
      'limit', p_counter.allowance,
      'used', p_used,
      'resets_at', to_char(v_resets_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      'plan', coalesce(
        (select e.plan_id from public.entitlements e where e.user_id = p_counter.user_id),
        (select p.id from public.plans p where p.is_default)
      )
    )::text,
    case when v_daily then 'Upgrade the plan, or wait for the reset.'
      else 'Upgrade the plan, or delete one.' end,
    v_headers
  );
end;
$$;

comment on function billing.refuse_quota(billing.usage_counters, bigint) is
  'Raises <metric>_quota_exceeded (429, Retry-After in seconds) for a metric that resets, '
  '<metric>_limit_reached (403) for one that does not.';

create function billing.consume(p_user_id uuid, p_metric_id text, p_quantity bigint) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_today constant date := (now() at time zone 'UTC')::date;
  v_counter billing.usage_counters;
  v_used bigint;
begin
  perform billing.ensure_counters(array[p_user_id], p_metric_id);
  select * into strict v_counter from billing.usage_counters c
  where c.user_id = p_user_id and c.metric_id = p_metric_id
  for no key update;
  v_used := case when v_counter.period_day < v_today then 0 else v_counter.used end;
  v_counter.period_day := greatest(v_counter.period_day, v_today);
  if v_used + p_quantity > v_counter.allowance then
    perform billing.refuse_quota(v_counter, v_used);
  end if;
  update billing.usage_counters c
  set used = v_used + p_quantity, period_day = v_counter.period_day
  where c.user_id = p_user_id and c.metric_id = p_metric_id;
end;
$$;

comment on function billing.consume(uuid, text, bigint) is
  'Takes a quantity of a metric for a user, all of it or nothing. The thorough path: creates the counter, '
  'and decides a refusal under the lock of the row, so that what it says is what was true.';

create function billing.consume_message() returns trigger
language plpgsql
-- Definer: the writer must not be able to write counters. The user is the row's, which the policies and the
-- foreign key have already checked when an AFTER trigger runs.
security definer
set search_path = ''
as $$
declare
  v_today constant date := (now() at time zone 'UTC')::date;
begin
  -- One statement decides. A day in the future (the clock went back) goes on being counted.
  update billing.usage_counters c
  set used = case when c.period_day < v_today then 0 else c.used end + 1,
    period_day = greatest(c.period_day, v_today)
  where c.user_id = new.user_id
    and c.metric_id = 'message'
    and (
      c.allowance is null
      or case when c.period_day < v_today then 0 else c.used end < c.allowance
    );
  if not found then
    perform billing.consume(new.user_id, 'message', 1);
  end if;
  return null;
end;
$$;

comment on function billing.consume_message() is
  'The hot path: one message of its owner''s day, or 429 message_quota_exceeded.';

create function billing.messages_written() returns trigger
language plpgsql
-- Definer: see billing.consume_message().
security definer
set search_path = ''
as $$
declare
  v_users uuid[];
  v_conversations uuid[];
  v_row record;
begin
  select
    array_agg(distinct n.user_id order by n.user_id) filter (where n.role = 'user'),
    array_agg(distinct n.conversation_id) filter (where n.role = 'assistant')
  into v_users, v_conversations
  from new_rows n;
  if v_users is not null then
    perform billing.ensure_counters(v_users, 'message');
    for v_row in
      select n.user_id, count(*) as quantity from new_rows n
      where n.role = 'user' group by n.user_id order by n.user_id
    loop
      perform billing.consume(v_row.user_id, 'message', v_row.quantity);
    end loop;
  end if;
  if v_conversations is not null then
    perform from public.conversations c
      where c.id = any (v_conversations) order by c.id for no key update;
    update public.conversations c set updated_at = now() where c.id = any (v_conversations);
  end if;
  return null;
end;
$$;

comment on function billing.messages_written() is
  'Everybody but clients: consumes per user in one order, and dates the conversations that got an answer.';

create trigger messages_after_insert_consume after insert on public.messages
  for each row when (new.role = 'user' and current_user = 'authenticated')
  execute function billing.consume_message();
create trigger messages_after_insert_consume_many after insert on public.messages
  referencing new table as new_rows
  for each statement when (current_user is distinct from 'authenticated')
  execute function billing.messages_written();

create function billing.agents_changed() returns trigger
language plpgsql
-- Definer: see billing.consume_message().
security definer
set search_path = ''
as $$
declare
  v_row record;
begin
  if tg_op = 'INSERT' then
    perform billing.ensure_counters(
      (select array_agg(distinct n.user_id) from new_rows n), 'agent'
    );
    for v_row in
      select n.user_id, count(*) as quantity from new_rows n group by n.user_id order by n.user_id
    loop
      perform billing.consume(v_row.user_id, 'agent', v_row.quantity);
    end loop;
  else
    for v_row in
      select o.user_id, count(*) as quantity from old_rows o group by o.user_id order by o.user_id
    loop
      -- Not below zero, and no error when the counter went first: deleting must always be possible.
      update billing.usage_counters c set used = greatest(0, c.used - v_row.quantity)
      where c.user_id = v_row.user_id and c.metric_id = 'agent';
    end loop;
  end if;
  return null;
end;
$$;

comment on function billing.agents_changed() is
  'Takes a place per new agent, or 403 agent_limit_reached; gives it back when the agent is deleted.';

create trigger agents_after_insert_consume after insert on public.agents
  referencing new table as new_rows
  for each statement execute function billing.agents_changed();
create trigger agents_after_delete_release after delete on public.agents
  referencing old table as old_rows
  for each statement execute function billing.agents_changed();

create function billing.refuse_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'what a row of %.% was counted as cannot change', tg_table_schema, tg_table_name
    using errcode = 'integrity_constraint_violation',
      hint = 'Delete the row and insert another one.';
end;
$$;

comment on function billing.refuse_change() is
  'An answer cannot become a question, and no row another user''s: both would pass by the counters.';

-- AFTER, because it must judge the row that was written, whatever other triggers made of it.
create trigger messages_after_update_refuse after update on public.messages
  for each row
  when (old.role is distinct from new.role or old.user_id is distinct from new.user_id)
  execute function billing.refuse_change();
create trigger agents_after_update_refuse after update on public.agents
  for each row when (old.user_id is distinct from new.user_id)
  execute function billing.refuse_change();

revoke all on function billing.refuse_quota(billing.usage_counters, bigint),
  billing.consume(uuid, text, bigint), billing.consume_message(), billing.messages_written(),
  billing.agents_changed(), billing.refuse_change()
  from public, anon, authenticated, service_role;
