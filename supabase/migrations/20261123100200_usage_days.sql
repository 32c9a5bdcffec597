-- Daily aggregates: when a counter moves on to another day, the day it leaves is kept. What the history costs grows with
-- the days that somebody was active, not with their messages. The latest day is the counter itself.
--
-- The counter also learns how far the gate may go without thinking (fast_until), so that the notices at 80 % and 100 %
-- cost nothing on the way there.

alter table billing.usage_counters
  add column overage bigint not null default 0 check (overage >= 0),
  add column overage_minor numeric(20, 6) not null default 0 check (overage_minor >= 0),
  add column fast_until bigint not null default 0;

comment on column billing.usage_counters.overage is 'How much of used was beyond the allowance, and is charged.';
comment on column billing.usage_counters.overage_minor is 'What that costs, in minor units.';
comment on column billing.usage_counters.fast_until is
  'While used is below it, the gate takes one more without looking at anything else: one less than the next mark (80 % or '
  '100 % of the allowance), since who reaches a mark writes the notice. Starts anew with every change of the allowance.';

create function billing.fast_until(p_allowance bigint, p_used bigint default 0) returns bigint
-- Not SQL: with a search_path of its own that would be planned anew at every call.
language plpgsql immutable
set search_path = ''
as $$
begin
  return case
    when p_allowance is null then 9223372036854775807
    when p_used < ceil(p_allowance * 0.8) then greatest(ceil(p_allowance * 0.8)::bigint - 1, 0)
    else greatest(p_allowance - 1, 0)
  end;
end;
$$;

comment on function billing.fast_until(bigint, bigint) is
  'One less than the next mark that a counter with this allowance reaches: 80 %, then all of it.';

update billing.usage_counters set fast_until = billing.fast_until(allowance);
-- Whoever lowers an allowance and forgets fast_until gets an error, not a gate that is open too far.
alter table billing.usage_counters
  alter column fast_until drop default,
  add constraint usage_counters_fast_until_within_allowance check (fast_until <= allowance);

create table billing.usage_days (
  user_id uuid not null references auth.users (id) on delete cascade,
  metric_id text not null references public.metrics (id),
  day date not null,
  used bigint not null check (used >= 0),
  allowance bigint check (allowance >= 0),
  overage bigint not null check (overage >= 0),
  overage_minor numeric(20, 6) not null check (overage_minor >= 0),
  primary key (user_id, metric_id, day)
);

create index usage_days_metric_id_idx on billing.usage_days (metric_id);
create index usage_days_day_idx on billing.usage_days (day);

comment on table billing.usage_days is
  'What was used on the days before the one a counter is at, for 13 months. Days without use have no row.';
comment on column billing.usage_days.allowance is 'At the end of that day; null is unlimited.';
comment on column billing.usage_days.overage_minor is 'What the overage of the day costs, in minor units.';

alter table billing.usage_days enable row level security;
revoke all on billing.usage_days from public, anon, authenticated, service_role;
create policy "Nobody reads the days" on billing.usage_days
  for all to anon, authenticated using (false) with check (false);

create function billing.roll_counters(p_user_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_today constant date := (now() at time zone 'UTC')::date;
begin
  perform from billing.usage_counters c
  where c.user_id = any (p_user_ids) and c.period_day < v_today
  order by c.user_id, c.metric_id for no key update;
  if not found then
    return;
  end if;
  -- auth.users: they may be on the way out (on delete cascade).
  insert into billing.usage_days as d (user_id, metric_id, day, used, allowance, overage, overage_minor)
  select c.user_id, c.metric_id, c.period_day, c.used, c.allowance, c.overage, c.overage_minor
  from billing.usage_counters c join auth.users u on u.id = c.user_id
  where c.user_id = any (p_user_ids) and c.period_day < v_today and c.used > 0
  on conflict (user_id, metric_id, day) do update set
    used = d.used + excluded.used,
    allowance = excluded.allowance,
    overage = d.overage + excluded.overage,
    overage_minor = d.overage_minor + excluded.overage_minor;
  update billing.usage_counters c
  set period_day = v_today, used = 0, overage = 0, overage_minor = 0, fast_until = billing.fast_until(c.allowance)
  where c.user_id = any (p_user_ids) and c.period_day < v_today;
end;
$$;

comment on function billing.roll_counters(uuid[]) is
  'Moves the counters of these users on to today, and keeps the days they leave.';

create function billing.prune_usage_days() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_pruned bigint;
begin
  delete from billing.usage_days d where d.day < ((now() at time zone 'UTC') - interval '13 months')::date;
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$$;

comment on function billing.prune_usage_days() is 'Removes days older than 13 months.';

-- The places that cache an allowance, as they were but for fast_until, and for the day that must be kept with the
-- allowance it had.

create or replace function billing.ensure_counters(p_user_ids uuid[], p_metric_id text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_missing uuid[];
begin
  perform billing.expire_people(p_user_ids);
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
  insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until, fast_until)
  select u.id, m.id, billing.first_period_day(m.period), 0, a.allowance, billing.allowance_until(u.id),
    billing.fast_until(a.allowance)
  from unnest(v_missing) as u (id) cross join public.metrics m
  cross join lateral (select billing.allowance(u.id, m.id) as allowance) a
  where m.id = p_metric_id
  order by u.id
  on conflict (user_id, metric_id) do nothing;
end;
$$;

create or replace function billing.entitlements_changed() returns trigger
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
    perform billing.roll_counters((select array_agg(o.user_id) from old_rows o));
    update billing.usage_counters c
    set allowance = n.allowance, valid_until = n.valid_until, fast_until = billing.fast_until(n.allowance)
    from billing.usage_counters k
    cross join lateral (
      select billing.allowance(k.user_id, k.metric_id) as allowance, billing.allowance_until(k.user_id) as valid_until
    ) n
    where k.user_id in (select o.user_id from old_rows o)
      and c.user_id = k.user_id and c.metric_id = k.metric_id
      and (c.allowance, c.valid_until) is distinct from (n.allowance, n.valid_until);
  end if;
  if tg_op in ('INSERT', 'UPDATE') then
    perform billing.roll_counters((select array_agg(n.user_id) from new_rows n));
    insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until, fast_until)
    select n.user_id, m.id, billing.first_period_day(m.period), 0, a.allowance, billing.allowance_until(n.user_id),
      billing.fast_until(a.allowance)
    from new_rows n cross join public.metrics m
    cross join lateral (select billing.allowance(n.user_id, m.id) as allowance) a
    order by n.user_id, m.id
    on conflict (user_id, metric_id) do update
    set allowance = excluded.allowance, valid_until = excluded.valid_until, fast_until = excluded.fast_until
    where (billing.usage_counters.allowance, billing.usage_counters.valid_until)
      is distinct from (excluded.allowance, excluded.valid_until);
  end if;
  return null;
end;
$$;

create function billing.stale_counters()
returns table (user_id uuid, metric_id text, allowance bigint)
language sql stable
set search_path = ''
as $$
  -- The rule of billing.allowance(), for everybody at once: a call per counter would take minutes.
  select c.user_id, c.metric_id, case when l.plan_id is null then 0 else l.limit_value end
  from billing.usage_counters c
  left join public.entitlements e on e.user_id = c.user_id
    and (e.valid_until is null or e.valid_until > now())
  left join public.plans d on d.is_default
  left join public.plan_limits l
    on l.plan_id = coalesce(e.plan_id, d.id) and l.metric_id = c.metric_id
  where c.allowance is distinct from case when l.plan_id is null then 0 else l.limit_value end;
$$;

comment on function billing.stale_counters() is 'Counters whose cached allowance is not what it should be, and what it should be.';

create or replace function billing.catalogue_changed() returns trigger
language plpgsql
-- Definer: see billing.entitlements_changed().
security definer
set search_path = ''
as $$
begin
  perform billing.roll_counters((select array_agg(distinct s.user_id) from billing.stale_counters() s));
  with locked as (
    select c.user_id, c.metric_id, s.allowance
    from billing.stale_counters() s
    join billing.usage_counters c on c.user_id = s.user_id and c.metric_id = s.metric_id
    order by c.user_id, c.metric_id
    for no key update of c
  )
  update billing.usage_counters c
  set allowance = l.allowance, fast_until = billing.fast_until(l.allowance)
  from locked l
  where c.user_id = l.user_id and c.metric_id = l.metric_id;
  return null;
end;
$$;

revoke all on function billing.fast_until(bigint, bigint), billing.roll_counters(uuid[]), billing.prune_usage_days(),
  billing.stale_counters()
  from public, anon, authenticated, service_role;
