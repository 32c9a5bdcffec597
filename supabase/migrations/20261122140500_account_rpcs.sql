-- What a signed-in person may ask about themselves, second edition: an entitlement that has ended counts for
-- nothing, and payment problems, scheduled changes and grants are told.

create or replace function public.my_usage()
returns table (metric text, used bigint, limit_value bigint, resets_at timestamptz, plan text)
language sql stable
set search_path = ''
as $$
  select
    m.id,
    case when c.period_day < t.today then 0 else coalesce(c.used, 0) end,
    -- The cached allowance is what decides while it is valid; otherwise the plan is what will.
    case
      when c.valid_until > now() then c.allowance
      when l.plan_id is not null then l.limit_value
      else 0
    end,
    case when m.period = 'day' then (greatest(c.period_day, t.today) + 1)::timestamp at time zone 'UTC' end,
    p.id
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

create function billing.my_payment_problem() returns jsonb
language sql stable
set search_path = ''
as $$
  with live as (
    select s.*, coalesce(a.needs_attention, true) as needs_attention, coalesce(a.has_grace, false) as has_grace
    from public.subscriptions s left join billing.access_statuses a on a.status = s.status
    where s.user_id = (select auth.uid()) and s.status <> 'canceled'
      and (s.status <> 'incomplete_expired' or s.stripe_created_at > now() - interval '30 days')
  ),
  -- An attempt that came to nothing is no longer a problem once another one succeeded.
  problem as (
    select l.* from live l
    where l.needs_attention
      and (
        l.has_grace
        or not exists (select from live o where not o.needs_attention and o.stripe_created_at >= l.stripe_created_at)
      )
    order by l.has_grace desc, l.stripe_created_at desc nulls last, l.id desc
    limit 1
  )
  select jsonb_build_object(
    'status', p.status,
    'subscription_id', p.id,
    'hosted_invoice_url', (
      select i.hosted_invoice_url from public.invoices i
      where i.user_id = p.user_id and i.subscription_id = p.id and i.status = 'open'
        and i.hosted_invoice_url is not null
      order by i.stripe_created_at desc limit 1
    ),
    'grace_ends_at', case when p.has_grace then p.past_due_since + billing.grace_period() end
  )
  from problem p;
$$;

comment on function billing.my_payment_problem() is
  'The caller''s subscription that needs them to act, or null: {status, subscription_id, hosted_invoice_url, grace_ends_at}.';

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
      select jsonb_object_agg(m.id, case when l.plan_id is null then 0 else l.limit_value end)
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

comment on function public.my_entitlements() is
  'The caller''s plan, where it comes from, features, limits (null: unlimited), subscription, and what needs their attention.';

revoke all on function billing.my_payment_problem() from public, anon, authenticated, service_role;
grant execute on function billing.my_payment_problem() to authenticated;
