-- One counter row per (user, metric), with the allowance cached in it, so that the gate is one UPDATE of
-- one row whatever the history. This file keeps the cache true; the next one is the gate.
--
-- Who may race: a user's first message creates the row from the entitlement and the catalogue, while a
-- snapshot changes the entitlement, or an operator changes a limit. Three rules make it exact:
--   1. creating or refreshing counters locks billing.catalogue_state for share; changing the catalogue
--      updates that row, so the two wait for each other (and fail with 40001 under repeatable read);
--   2. creating a counter locks the user's entitlement row for share, if there is one;
--   3. a new or changed entitlement creates the missing counters itself, so that a creator that did not
--      see the entitlement meets the unique key.
-- Counters are locked last, and in the order of (user_id, metric_id). Only changing the catalogue takes the first
-- lock for itself, and it touches no entitlement, so nothing can wait in a circle.

create table billing.usage_counters (
  user_id uuid not null references auth.users (id) on delete cascade,
  metric_id text not null references public.metrics (id),
  period_day date not null,
  used bigint not null check (used >= 0),
  allowance bigint check (allowance >= 0),
  primary key (user_id, metric_id)
) with (fillfactor = 60);

-- Half-empty pages and no index on a column that changes: updates stay heap-only (HOT).
create index usage_counters_metric_id_idx on billing.usage_counters (metric_id);

comment on table billing.usage_counters is 'What a user has used of a metric, and what they may use.';
comment on column billing.usage_counters.period_day is
  'The UTC day that used belongs to; infinity when the metric never resets.';
comment on column billing.usage_counters.allowance is
  'Cached limit of the user''s plan, refreshed in the transaction that changes it; null is unlimited.';

alter table billing.usage_counters enable row level security;
revoke all on billing.usage_counters from public, anon, authenticated, service_role;
-- For my_usage(), which runs as the user. The schema is not exposed by the API.
grant usage on schema billing to authenticated;
grant select on billing.usage_counters to authenticated;

create policy "Owners read their counters" on billing.usage_counters
  for select to authenticated using (user_id = (select auth.uid()));

create table billing.catalogue_state (
  id boolean primary key default true check (id),
  changed_at timestamptz not null default now()
);

comment on table billing.catalogue_state is
  'One row, whose lock decides between changing the catalogue and caching what it says.';

insert into billing.catalogue_state default values;

alter table billing.catalogue_state enable row level security;
revoke all on billing.catalogue_state from public, anon, authenticated, service_role;

create policy "Nobody reads the catalogue's lock" on billing.catalogue_state
  for all to anon, authenticated using (false) with check (false);

create function billing.allowance(p_user_id uuid, p_metric_id text) returns bigint
language sql stable
set search_path = ''
as $$
  select l.limit_value
  from public.plan_limits l
  where l.metric_id = p_metric_id
    and l.plan_id = coalesce(
      (select e.plan_id from public.entitlements e where e.user_id = p_user_id),
      (select p.id from public.plans p where p.is_default)
    )
  union all
  select 0
  limit 1;
$$;

comment on function billing.allowance(uuid, text) is
  'What the user''s plan allows of the metric. Null is unlimited; 0 when no plan or limit says anything.';

create function billing.first_period_day(p_period text) returns date
language sql stable
set search_path = ''
as $$
  select case p_period when 'day' then (now() at time zone 'UTC')::date else 'infinity' end;
$$;

comment on function billing.first_period_day(text) is
  'The day a new counter starts with. Not current_date: a client can move that with Prefer: timezone.';

create function billing.ensure_counters(p_user_ids uuid[], p_metric_id text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_missing uuid[];
begin
  select array_agg(u.id order by u.id) into v_missing
  from unnest(p_user_ids) as u (id)
  where not exists (
    select from billing.usage_counters c where c.user_id = u.id and c.metric_id = p_metric_id
  );
  if v_missing is null then
    return;
  end if;
  perform from billing.catalogue_state for share;
  perform from public.entitlements e where e.user_id = any (v_missing) order by e.user_id for share;
  insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance)
  select u.id, m.id, billing.first_period_day(m.period), 0, billing.allowance(u.id, m.id)
  from unnest(v_missing) as u (id) cross join public.metrics m
  where m.id = p_metric_id
  order by u.id
  on conflict (user_id, metric_id) do nothing;
end;
$$;

comment on function billing.ensure_counters(uuid[], text) is
  'Creates the counters these users do not have yet. Before any counter is locked, so that the order of locks holds.';

create function billing.entitlements_changed() returns trigger
language plpgsql
-- Definer: whoever may change an entitlement need not be able to write counters.
security definer
set search_path = ''
as $$
begin
  perform from billing.catalogue_state for share;
  if tg_op in ('UPDATE', 'DELETE') then
    -- Only what exists: the user may be on the way out (on delete cascade).
    perform from billing.usage_counters c
      where c.user_id in (select o.user_id from old_rows o)
      order by c.user_id, c.metric_id for no key update;
    update billing.usage_counters c
    set allowance = billing.allowance(c.user_id, c.metric_id)
    where c.user_id in (select o.user_id from old_rows o)
      and c.allowance is distinct from billing.allowance(c.user_id, c.metric_id);
  end if;
  if tg_op in ('INSERT', 'UPDATE') then
    insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance)
    select n.user_id, m.id, billing.first_period_day(m.period), 0, billing.allowance(n.user_id, m.id)
    from new_rows n cross join public.metrics m
    order by n.user_id, m.id
    on conflict (user_id, metric_id) do update set allowance = excluded.allowance
    where billing.usage_counters.allowance is distinct from excluded.allowance;
  end if;
  return null;
end;
$$;

comment on function billing.entitlements_changed() is
  'Refreshes the cached allowances of the users whose entitlement changed.';

create trigger entitlements_after_insert_refresh after insert on public.entitlements
  referencing new table as new_rows
  for each statement execute function billing.entitlements_changed();
create trigger entitlements_after_update_refresh after update on public.entitlements
  referencing old table as old_rows new table as new_rows
  for each statement execute function billing.entitlements_changed();
create trigger entitlements_after_delete_refresh after delete on public.entitlements
  referencing old table as old_rows
  for each statement execute function billing.entitlements_changed();

create function billing.catalogue_changing() returns trigger
language plpgsql
-- Definer: see billing.entitlements_changed().
security definer
set search_path = ''
as $$
begin
  -- Under repeatable read the refresh afterwards would not see counters created while this waited.
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'plans and limits change under read committed only'
      using errcode = 'invalid_transaction_state';
  end if;
  update billing.catalogue_state set changed_at = now();
  return null;
end;
$$;

comment on function billing.catalogue_changing() is
  'Waits for everybody who is caching what the catalogue says, and makes the next ones wait.';

create function billing.catalogue_changed() returns trigger
language plpgsql
-- Definer: see billing.entitlements_changed().
security definer
set search_path = ''
as $$
begin
  -- The rule of billing.allowance(), for everybody at once: a call per counter would take minutes.
  with stale as (
    select c.user_id, c.metric_id, case when l.plan_id is null then 0 else l.limit_value end as allowance
    from billing.usage_counters c
    left join public.entitlements e on e.user_id = c.user_id
    left join public.plans d on d.is_default
    left join public.plan_limits l
      on l.plan_id = coalesce(e.plan_id, d.id) and l.metric_id = c.metric_id
    where c.allowance is distinct from case when l.plan_id is null then 0 else l.limit_value end
    order by c.user_id, c.metric_id
    for no key update of c
  )
  update billing.usage_counters c set allowance = s.allowance
  from stale s
  where c.user_id = s.user_id and c.metric_id = s.metric_id;
  return null;
end;
$$;

comment on function billing.catalogue_changed() is
  'Refreshes every cached allowance that is no longer true. Walks all counters; operators do this rarely.';

create trigger plan_limits_before_change_lock before insert or update or delete or truncate
  on public.plan_limits
  for each statement execute function billing.catalogue_changing();
create trigger plan_limits_after_change_refresh after insert or update or delete or truncate
  on public.plan_limits
  for each statement execute function billing.catalogue_changed();
create trigger plans_before_change_lock before insert or update or delete
  on public.plans
  for each statement execute function billing.catalogue_changing();
create trigger plans_after_change_refresh after insert or update or delete
  on public.plans
  for each statement execute function billing.catalogue_changed();

revoke all on function billing.allowance(uuid, text), billing.first_period_day(text),
  billing.ensure_counters(uuid[], text), billing.entitlements_changed(),
  billing.catalogue_changing(), billing.catalogue_changed()
  from public, anon, authenticated, service_role;
