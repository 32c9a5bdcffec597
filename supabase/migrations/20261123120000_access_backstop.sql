-- Access is never longer than what we know to be paid: a subscription gives its plan until its period is over and the grace
-- period after that. A renewal moves the period on long before; if nothing about this customer could be read for all that
-- time, access ends instead of going on for ever.

create or replace function billing.best_plan(p_user_id uuid)
returns table (plan_id text, source text, subscription_id text, grant_id bigint, valid_until timestamptz)
language sql stable
set search_path = ''
as $$
  with rights as (
    select s.plan_id, 'subscription' as source, s.id as subscription_id, null::bigint as grant_id,
      least(
        case when a.has_grace then coalesce(s.past_due_since, now()) + billing.grace_period() end,
        -- A day at least, whatever the grace: Stripe itself takes an hour to renew.
        s.current_period_end + greatest(billing.grace_period(), interval '1 day')
      ) as valid_until,
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

select billing.refresh_entitlement(e.user_id, 'settings')
from public.entitlements e where e.source = 'subscription' order by e.user_id;
