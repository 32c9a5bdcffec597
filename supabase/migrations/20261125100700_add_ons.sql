-- Add-ons: a licence of the house that raises a limit while it lives. Whatever caches an allowance learns of it: the counter is
-- refreshed in the transaction that changes the licence, and ends with it by its own valid_until.

create view billing.add_ons with (security_invoker = true) as
select l.user_id, i.grants_metric_id as metric_id, i.grants_quantity as quantity, l.valid_until
from public.licences l join public.listings i on i.id = l.listing_id
where i.grants_metric_id is not null and l.status = 'active' and (l.valid_until is null or l.valid_until > now());

comment on view billing.add_ons is 'By how much whose limits are raised at this moment, and until when (null: for good).';

revoke all on billing.add_ons from public, anon, authenticated, service_role;

create or replace function billing.allowance(p_user_id uuid, p_metric_id text) returns bigint
language sql stable
set search_path = ''
as $$
  select b.limit_value + coalesce((
    select sum(a.quantity)::bigint from billing.add_ons a
    where a.user_id = p_user_id and a.metric_id = p_metric_id
  ), 0)
  from (
    select l.limit_value
    from public.plan_limits l
    where l.metric_id = p_metric_id and l.plan_id = billing.current_plan(p_user_id)
    union all
    select 0
    limit 1
  ) b;
$$;

create or replace function billing.allowance_until(p_user_id uuid) returns timestamptz
language sql stable
set search_path = ''
as $$
  select least(
    coalesce((select e.valid_until from public.entitlements e where e.user_id = p_user_id), 'infinity'),
    (select min(a.valid_until) from billing.add_ons a where a.user_id = p_user_id)
  );
$$;

create or replace function billing.stale_counters()
returns table (user_id uuid, metric_id text, allowance bigint)
language sql stable
set search_path = ''
as $$
  -- The rule of billing.allowance(), for everybody at once: a call per counter would take minutes.
  with ruled as (
    select c.user_id, c.metric_id, c.allowance as cached,
      case when l.plan_id is null then 0 else l.limit_value end + coalesce(a.quantity, 0) as allowance
    from billing.usage_counters c
    left join public.entitlements e on e.user_id = c.user_id
      and (e.valid_until is null or e.valid_until > now())
    left join public.plans d on d.is_default
    left join public.plan_limits l
      on l.plan_id = coalesce(e.plan_id, d.id) and l.metric_id = c.metric_id
    left join (
      select o.user_id, o.metric_id, sum(o.quantity)::bigint as quantity
      from billing.add_ons o group by o.user_id, o.metric_id
    ) a on a.user_id = c.user_id and a.metric_id = c.metric_id
  )
  select r.user_id, r.metric_id, r.allowance from ruled r where r.cached is distinct from r.allowance;
$$;

create function billing.refresh_counters(p_user_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform from billing.catalogue_state for share;
  perform billing.roll_counters(array[p_user_id]);
  -- An insert, because it waits for a counter that somebody is making with the old allowance.
  insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until, fast_until)
  select p_user_id, m.id, billing.first_period_day(m.period), 0, a.allowance, billing.allowance_until(p_user_id),
    billing.fast_until(a.allowance)
  from public.metrics m
  cross join lateral (select billing.allowance(p_user_id, m.id) as allowance) a
  order by m.id
  on conflict (user_id, metric_id) do update
  set allowance = excluded.allowance, valid_until = excluded.valid_until, fast_until = excluded.fast_until
  where (billing.usage_counters.allowance, billing.usage_counters.valid_until)
    is distinct from (excluded.allowance, excluded.valid_until);
end;
$$;

comment on function billing.refresh_counters(uuid) is
  'Caches anew what a user may use. The caller holds billing.lock_person().';

create or replace function billing.expire_people(p_user_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_user_id uuid;
begin
  if not exists (
    select from public.entitlements e where e.user_id = any (p_user_ids) and e.valid_until <= now()
  ) and not exists (
    select from billing.usage_counters c where c.user_id = any (p_user_ids) and c.valid_until <= now()
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
  -- What is left has an add-on that ended.
  perform billing.refresh_counters(c.user_id)
  from (
    select distinct c.user_id from billing.usage_counters c
    where c.user_id = any (p_user_ids) and c.valid_until <= now() order by c.user_id
  ) c;
end;
$$;

create function billing.my_add_on(p_metric_id text) returns bigint
language sql stable
-- Definer: my_entitlements() runs as the user, who reads no add-ons. Only the caller's own.
security definer
set search_path = ''
as $$
  select coalesce(sum(a.quantity), 0)::bigint from billing.add_ons a
  where a.user_id = auth.uid() and a.metric_id = p_metric_id;
$$;

comment on function billing.my_add_on(text) is 'By how much the caller''s add-ons raise a limit.';

create or replace function public.my_usage()
returns table (metric text, used bigint, limit_value bigint, resets_at timestamptz, plan text, overage bigint)
language sql stable
set search_path = ''
as $$
  select
    m.id,
    case when c.period_day < t.today then 0 else coalesce(c.used, 0) end,
    -- The cached allowance is what decides while it is valid; otherwise plan and add-ons are what will.
    case
      when c.valid_until > now() then c.allowance
      when l.plan_id is not null then l.limit_value + billing.my_add_on(m.id)
      else billing.my_add_on(m.id)
    end,
    case when m.period = 'day' then (greatest(c.period_day, t.today) + 1)::timestamp at time zone 'UTC' end,
    p.id,
    case when c.period_day < t.today then 0 else coalesce(c.overage, 0) end
  from public.metrics m
  cross join (select (now() at time zone 'UTC')::date as today) t
  left join billing.usage_counters c on c.metric_id = m.id and c.user_id = (select auth.uid())
  left join public.plans p on p.id = coalesce(
    (
      select e.plan_id from public.entitlements e
      where e.user_id = (select auth.uid()) and (e.valid_until is null or e.valid_until > now())
    ),
    (select d.id from public.plans d where d.is_default)
  )
  left join public.plan_limits l on l.plan_id = p.id and l.metric_id = m.id
  order by m.id;
$$;

create or replace function public.my_entitlements() returns jsonb
language sql stable
set search_path = ''
as $$
  with me as (
    select e.plan_id, e.source, e.subscription_id, e.valid_until
    from (values (true)) as one (row)
    left join public.entitlements e on e.user_id = (select auth.uid())
      and (e.valid_until is null or e.valid_until > now())
  ),
  plan as (
    select p.* from public.plans p, me
    where p.id = me.plan_id or (me.plan_id is null and p.is_default)
  ),
  -- The one that gives the plan; otherwise the newest that has not ended, so that an unpaid one is seen.
  subscription as (
    select s.* from public.subscriptions s, me
    where s.user_id = (select auth.uid())
      and (s.id = me.subscription_id
        or (me.subscription_id is null and s.ended_at is null
          and s.status not in ('canceled', 'incomplete_expired')))
    order by s.stripe_created_at desc nulls last, s.id desc
    limit 1
  ),
  problem as (select billing.my_payment_problem() as doc)
  select jsonb_build_object(
    'plan', (select jsonb_build_object('id', p.id, 'name', p.name, 'rank', p.rank) from plan p),
    'source', coalesce((select me.source from me), 'default'),
    'status', (select s.status from subscription s),
    'features', coalesce((
      select jsonb_agg(f.id order by f.rank)
      from plan p
      join public.plan_features pf on pf.plan_id = p.id
      join public.features f on f.id = pf.feature_id
    ), '[]'),
    'limits', coalesce((
      select jsonb_object_agg(
        m.id, case when l.plan_id is null then 0 else l.limit_value end + billing.my_add_on(m.id)
      )
      from public.metrics m
      left join public.plan_limits l on l.metric_id = m.id and l.plan_id = (select p.id from plan p)
    ), '{}'),
    'subscription', (
      select jsonb_build_object(
        'id', s.id,
        'status', s.status,
        'price_lookup_key', s.price_lookup_key,
        'quantity', s.quantity,
        'current_period_end', s.current_period_end,
        'cancel_at', s.cancel_at,
        'cancel_at_period_end', s.cancel_at_period_end,
        -- Stripe says "ending" in two ways; both mean it.
        'ends_at', coalesce(
          s.cancel_at, case when s.cancel_at_period_end then s.current_period_end end
        ),
        'trial_end', s.trial_end
      )
      from subscription s
    ),
    'payment_problem', (select p.doc - 'grace_ends_at' from problem p),
    'grace_ends_at', (select (p.doc ->> 'grace_ends_at')::timestamptz from problem p),
    'pending_change', (
      select jsonb_build_object('lookup_key', s.pending_price_lookup_key, 'at', s.pending_change_at)
      from subscription s where s.pending_price_lookup_key is not null
    ),
    'grant', (select jsonb_build_object('ends_at', me.valid_until) from me where me.source = 'grant')
  );
$$;

revoke all on function billing.refresh_counters(uuid), billing.my_add_on(text)
  from public, anon, authenticated, service_role;
grant execute on function billing.my_add_on(text) to authenticated;
