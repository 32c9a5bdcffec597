-- Access that ends by itself: the grace after a failed payment, and plans that an operator grants.
--
-- Nothing waits for a job. An entitlement says until when it is valid, and every reader takes one that has
-- ended for the default plan. The gate has the same moment cached beside the allowance: a counter whose
-- allowance has ended is not taken, and the slow path derives the entitlement anew before it decides. The
-- job of every minute only tidies up behind them.
--
-- Deriving an entitlement is serialised per person by an advisory lock. The order of locks is: person (in the
-- order of user ids), catalogue_state, entitlement, counters. The job does not wait for a person, it skips them.

alter table billing.access_statuses
  add column has_grace boolean not null default false,
  add column needs_attention boolean not null default false,
  add constraint access_statuses_grace_is_access check (grants_access or not has_grace);

comment on column billing.access_statuses.has_grace is
  'Access only for the grace period after the status was first seen.';
comment on column billing.access_statuses.needs_attention is
  'Shown to its owner as a payment problem; so is every status that is not here.';

update billing.access_statuses set has_grace = true where status = 'past_due';
update billing.access_statuses set needs_attention = true
where status in ('past_due', 'incomplete', 'incomplete_expired', 'unpaid', 'paused');

-- Not a secret, and my_entitlements() runs as the user.
grant select on billing.access_statuses to authenticated;
drop policy "Nobody reads the statuses" on billing.access_statuses;
create policy "Signed-in people read the statuses" on billing.access_statuses
  for select to authenticated using (true);

alter table public.subscriptions
  add column past_due_since timestamptz,
  add column pending_price_lookup_key text,
  add column pending_change_at timestamptz;

comment on column public.subscriptions.past_due_since is
  'When a sync first saw that a payment has failed; null again once it is recovered. The grace runs from here.';
comment on column public.subscriptions.pending_price_lookup_key is
  'The price a schedule changes to at pending_change_at; null when nothing is scheduled.';

create table billing.grants (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  plan_id text not null references public.plans (id),
  starts_at timestamptz not null default now(),
  ends_at timestamptz,
  reason text not null check (reason <> ''),
  granted_by text not null default session_user,
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  check (ends_at > starts_at)
);

create index grants_user_id_idx on billing.grants (user_id);
create index grants_plan_id_idx on billing.grants (plan_id);

comment on table billing.grants is 'Plans given by an operator, by billing.grant_plan(). The highest plan counts.';
comment on column billing.grants.ends_at is 'Null: until it is revoked.';

create table billing.access_log (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  at timestamptz not null default now(),
  plan_id text not null references public.plans (id),
  source text not null,
  subscription_id text,
  grant_id bigint,
  valid_until timestamptz,
  cause text not null,
  ref jsonb not null default '{}'
);

create index access_log_user_id_at_idx on billing.access_log (user_id, at);
create index access_log_plan_id_idx on billing.access_log (plan_id);

comment on table billing.access_log is 'One row per change of an entitlement, with its cause; see billing.explain_access().';
comment on column billing.access_log.ref is 'What the cause points at: events, a token, an invoice, a grant.';

alter table billing.grants enable row level security;
alter table billing.access_log enable row level security;
revoke all on billing.grants, billing.access_log from public, anon, authenticated, service_role;
create policy "Nobody reads the grants" on billing.grants
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the access log" on billing.access_log
  for all to anon, authenticated using (false) with check (false);

alter table public.entitlements
  drop constraint entitlements_source_check,
  add constraint entitlements_source_check check (source in ('subscription', 'grant', 'default')),
  add column grant_id bigint references billing.grants (id) on delete set null,
  add column valid_until timestamptz;

create index entitlements_grant_id_idx on public.entitlements (grant_id);
create index entitlements_valid_until_idx on public.entitlements (valid_until)
  where valid_until is not null;

comment on column public.entitlements.valid_until is
  'When it ends by itself (the end of a grace or of a grant); null: not by itself. Once passed, the row counts for nothing.';

alter table billing.usage_counters
  add column valid_until timestamptz not null default 'infinity';

comment on column billing.usage_counters.valid_until is
  'When the cached allowance ends; the gate does not take it from then on.';

create function billing.lock_person(p_user_id uuid) returns void
language sql
set search_path = ''
as $$
  select pg_advisory_xact_lock(hashtextextended('tollgate person ' || p_user_id, 0));
$$;

comment on function billing.lock_person(uuid) is
  'Whoever derives an entitlement holds this until the end of the transaction.';

create function billing.try_lock_person(p_user_id uuid) returns boolean
language sql
set search_path = ''
as $$
  select pg_try_advisory_xact_lock(hashtextextended('tollgate person ' || p_user_id, 0));
$$;

comment on function billing.try_lock_person(uuid) is 'billing.lock_person() that does not wait.';

create function billing.best_plan(p_user_id uuid)
returns table (plan_id text, source text, subscription_id text, grant_id bigint, valid_until timestamptz)
language sql stable
set search_path = ''
as $$
  with rights as (
    select s.plan_id, 'subscription' as source, s.id as subscription_id, null::bigint as grant_id,
      case when a.has_grace then coalesce(s.past_due_since, now()) + billing.grace_period() end as valid_until,
      s.stripe_created_at as since
    from public.subscriptions s
    join billing.access_statuses a on a.status = s.status and a.grants_access
    where s.user_id = p_user_id
    union all
    select g.plan_id, 'grant', null, g.id, g.ends_at, g.starts_at
    from billing.grants g
    where g.user_id = p_user_id and g.revoked_at is null and g.starts_at <= now()
  )
  select r.plan_id, r.source, r.subscription_id, r.grant_id, r.valid_until
  from rights r join public.plans p on p.id = r.plan_id
  where r.valid_until is null or r.valid_until > now()
  order by p.rank desc, r.source desc, r.valid_until desc nulls first, r.since desc nulls last,
    r.subscription_id desc nulls last, r.grant_id desc nulls last
  limit 1;
$$;

comment on function billing.best_plan(uuid) is
  'Of everything that gives the user a plan at this moment the highest; of equals what they pay for. No row: nothing does.';

drop function billing.refresh_entitlement(uuid);

create function billing.refresh_entitlement(p_user_id uuid, p_cause text, p_ref jsonb default '{}')
returns text
language plpgsql
set search_path = ''
as $$
declare
  v_best record;
begin
  perform billing.lock_person(p_user_id);
  select * into v_best from billing.best_plan(p_user_id);
  if v_best.plan_id is null then
    delete from public.entitlements e where e.user_id = p_user_id and e.source <> 'default';
  else
    insert into public.entitlements as e (user_id, plan_id, source, subscription_id, grant_id, valid_until)
    values (p_user_id, v_best.plan_id, v_best.source, v_best.subscription_id, v_best.grant_id, v_best.valid_until)
    on conflict (user_id) do update set
      plan_id = excluded.plan_id,
      source = excluded.source,
      subscription_id = excluded.subscription_id,
      grant_id = excluded.grant_id,
      valid_until = excluded.valid_until,
      updated_at = now()
    where (e.plan_id, e.source, e.subscription_id, e.grant_id, e.valid_until) is distinct from
      (excluded.plan_id, excluded.source, excluded.subscription_id, excluded.grant_id, excluded.valid_until);
  end if;
  if found then
    insert into billing.access_log (user_id, plan_id, source, subscription_id, grant_id, valid_until, cause, ref)
    values (
      p_user_id, billing.current_plan(p_user_id), coalesce(v_best.source, 'default'), v_best.subscription_id,
      v_best.grant_id, v_best.valid_until, p_cause, p_ref
    );
  end if;
  return billing.current_plan(p_user_id);
end;
$$;

comment on function billing.refresh_entitlement(uuid, text, jsonb) is
  'Derives the entitlement from subscriptions and grants, and notes a change with its cause: snapshot, reconcile, '
  'rebuild, expired, granted, revoked or settings.';

create or replace function billing.current_plan(p_user_id uuid) returns text
language sql stable
set search_path = ''
as $$
  select coalesce(
    (
      select e.plan_id from public.entitlements e
      where e.user_id = p_user_id and (e.valid_until is null or e.valid_until > now())
    ),
    (select p.id from public.plans p where p.is_default)
  );
$$;

create or replace function billing.allowance(p_user_id uuid, p_metric_id text) returns bigint
language sql stable
set search_path = ''
as $$
  select l.limit_value
  from public.plan_limits l
  where l.metric_id = p_metric_id and l.plan_id = billing.current_plan(p_user_id)
  union all
  select 0
  limit 1;
$$;

create function billing.allowance_until(p_user_id uuid) returns timestamptz
language sql stable
set search_path = ''
as $$
  select coalesce(
    (select e.valid_until from public.entitlements e where e.user_id = p_user_id), 'infinity'
  );
$$;

comment on function billing.allowance_until(uuid) is 'When what billing.allowance() says stops being true by itself.';

create function billing.expire_people(p_user_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_user_id uuid;
begin
  if not exists (
    select from public.entitlements e where e.user_id = any (p_user_ids) and e.valid_until <= now()
  ) then
    return;
  end if;
  -- All of them, in one order and before any counter is locked, or two bulk inserts could wait for each other.
  for v_user_id in select distinct u.id from unnest(p_user_ids) u (id) order by 1 loop
    perform billing.lock_person(v_user_id);
  end loop;
  perform billing.refresh_entitlement(e.user_id, 'expired')
  from public.entitlements e
  where e.user_id = any (p_user_ids) and e.valid_until <= now();
end;
$$;

comment on function billing.expire_people(uuid[]) is
  'Derives anew what has ended for these users; the gate calls it before it decides.';

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
  insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until)
  select u.id, m.id, billing.first_period_day(m.period), 0, billing.allowance(u.id, m.id),
    billing.allowance_until(u.id)
  from unnest(v_missing) as u (id) cross join public.metrics m
  where m.id = p_metric_id
  order by u.id
  on conflict (user_id, metric_id) do nothing;
end;
$$;

comment on function billing.ensure_counters(uuid[], text) is
  'Ends what has ended, and creates the counters these users do not have yet. Before any counter is locked, so that '
  'the order of locks holds.';

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
    update billing.usage_counters c
    set allowance = billing.allowance(c.user_id, c.metric_id), valid_until = billing.allowance_until(c.user_id)
    where c.user_id in (select o.user_id from old_rows o)
      and (c.allowance, c.valid_until) is distinct from
        (billing.allowance(c.user_id, c.metric_id), billing.allowance_until(c.user_id));
  end if;
  if tg_op in ('INSERT', 'UPDATE') then
    insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until)
    select n.user_id, m.id, billing.first_period_day(m.period), 0, billing.allowance(n.user_id, m.id),
      billing.allowance_until(n.user_id)
    from new_rows n cross join public.metrics m
    order by n.user_id, m.id
    on conflict (user_id, metric_id) do update
    set allowance = excluded.allowance, valid_until = excluded.valid_until
    where (billing.usage_counters.allowance, billing.usage_counters.valid_until)
      is distinct from (excluded.allowance, excluded.valid_until);
  end if;
  return null;
end;
$$;

create or replace function billing.catalogue_changed() returns trigger
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
      and (e.valid_until is null or e.valid_until > now())
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

create or replace function billing.consume_message() returns trigger
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
    and c.valid_until > now()
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

create or replace function billing.refuse_quota(p_counter billing.usage_counters, p_used bigint)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_daily constant boolean := p_counter.period_day <> 'infinity';
  v_plan constant text := billing.current_plan(p_counter.user_id);
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
  -- A refusal rolls its transaction back, so no row can remember it. The server's log can.
  raise log 'tollgate refused % to % on % at % of %',
    p_counter.metric_id, p_counter.user_id, v_plan, p_used, p_counter.allowance;
  perform billing.raise_http(
    case when v_daily then 429 else 403 end,
    p_counter.metric_id || case when v_daily then '_quota_exceeded' else '_limit_reached' end,
    format('Limit reached: %s of %s %s.', p_used, p_counter.allowance, v_name),
    jsonb_build_object(
      'metric', p_counter.metric_id,
      'limit', p_counter.allowance,
      'used', p_used,
      'resets_at', to_char(v_resets_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      'plan', v_plan
    )::text,
    case when v_daily then 'Upgrade the plan, or wait for the reset.'
      else 'Upgrade the plan, or delete one.' end,
    v_headers
  );
end;
$$;

create function billing.expire_entitlements() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_user_id uuid;
  v_expired bigint := 0;
begin
  for v_user_id in
    select e.user_id from public.entitlements e
    where e.valid_until <= now() order by e.valid_until limit 1000
  loop
    if billing.try_lock_person(v_user_id) then
      perform billing.refresh_entitlement(v_user_id, 'expired');
      v_expired := v_expired + 1;
    end if;
  end loop;
  return v_expired;
end;
$$;

comment on function billing.expire_entitlements() is
  'Derives anew every entitlement that has ended. Somebody who is being worked on is left to the next run.';

create function billing.grant_plan(p_user_id uuid, p_plan_id text, p_ends_at timestamptz, p_reason text)
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_id bigint;
begin
  insert into billing.grants (user_id, plan_id, ends_at, reason)
  values (p_user_id, p_plan_id, p_ends_at, p_reason)
  returning id into v_id;
  perform billing.refresh_entitlement(p_user_id, 'granted', jsonb_build_object('grant', v_id));
  return v_id;
end;
$$;

comment on function billing.grant_plan(uuid, text, timestamptz, text) is
  'For operators: gives a user a plan until a time (null: until revoked), and returns the number of the grant. It wins over '
  'a lower paid plan while it lasts; a higher paid one stays.';

create function billing.revoke_grant(p_id bigint) returns text
language plpgsql
set search_path = ''
as $$
declare
  v_user_id uuid;
begin
  update billing.grants g set revoked_at = coalesce(g.revoked_at, now())
  where g.id = p_id returning g.user_id into v_user_id;
  if not found then
    raise exception 'there is no grant %', p_id using errcode = 'no_data_found';
  end if;
  return billing.refresh_entitlement(v_user_id, 'revoked', jsonb_build_object('grant', p_id));
end;
$$;

comment on function billing.revoke_grant(bigint) is
  'For operators: ends a grant now and returns the plan the user is on then. Revoking again changes nothing.';

create function billing.settings_changed() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform billing.refresh_entitlement(s.user_id, 'settings')
  from (
    select distinct s.user_id from public.subscriptions s
    where s.past_due_since is not null order by s.user_id
  ) s;
  return null;
end;
$$;

comment on function billing.settings_changed() is 'A longer or shorter grace counts at once for those who are in it.';

create trigger settings_after_update_refresh after update on billing.settings
  for each row when (new.key = 'grace_days' and old.value <> new.value)
  execute function billing.settings_changed();

revoke all on function billing.lock_person(uuid), billing.try_lock_person(uuid), billing.best_plan(uuid),
  billing.refresh_entitlement(uuid, text, jsonb), billing.allowance_until(uuid), billing.expire_people(uuid[]),
  billing.expire_entitlements(), billing.grant_plan(uuid, text, timestamptz, text), billing.revoke_grant(bigint),
  billing.settings_changed()
  from public, anon, authenticated, service_role;

select cron.schedule(
  'tollgate-expire-entitlements', '* * * * *', $$select billing.expire_entitlements()$$
);
