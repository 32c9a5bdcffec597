-- For operators: why somebody may go beyond their allowance, or not, is part of why they have access.

create or replace function billing.explain_access(p_user_id uuid, p_at timestamptz default now())
returns table (at timestamptz, kind text, plan_id text, why text, ref text)
language sql stable
set search_path = ''
as $$
  with said as (
    select l.* from billing.access_log l
    where l.user_id = p_user_id and l.at <= p_at order by l.at desc, l.id desc limit 1
  )
  select e.* from (
  -- 1. The plan at that time, and since when.
  select coalesce((select s.at from said s), u.created_at), 'plan',
    coalesce(
      (select s.plan_id from said s where s.valid_until is null or s.valid_until > p_at),
      (select d.id from public.plans d where d.is_default)
    ),
    coalesce(
      (
        select case
          when s.valid_until <= p_at then format('%s ended at %s by itself', s.source, s.valid_until)
          when s.source = 'default' then 'nothing else gives a plan, since: ' || s.cause
          else format('from %s, since: %s%s', s.source, s.cause, coalesce(', until ' || s.valid_until, ''))
        end
        from said s
      ),
      'nothing ever gave another plan'
    ),
    (select coalesce(s.subscription_id, 'grant ' || s.grant_id) from said s)
  from auth.users u where u.id = p_user_id
  union all
  -- 2. What made it so.
  select e.stripe_created_at, 'event', s.plan_id, e.type || ', ' || e.status, e.id
  from (
    select l.* from billing.access_log l
    where l.user_id = p_user_id and l.at <= p_at and l.ref -> 'events' <> '[]'
    order by l.at desc, l.id desc limit 1
  ) s
  cross join jsonb_array_elements_text(s.ref -> 'events') x (id)
  join billing.stripe_events e on e.id = x.id
  union all
  select g.starts_at, 'grant', g.plan_id,
    format('%s, by %s, until %s%s', g.reason, g.granted_by, coalesce(g.ends_at::text, 'revoked'),
      coalesce(', revoked ' || g.revoked_at, '')),
    'grant ' || g.id
  from billing.grants g
  where g.user_id = p_user_id and g.starts_at <= p_at
  union all
  -- 3. Every subscription as it is now, and why it counts or not.
  select coalesce(b.stripe_created_at, b.synced_at), 'subscription', b.plan_id,
    case
      when a.status is null then format('status %s is not known: no access', b.status)
      when b.plan_id is null then format('price %s is not in the catalogue: no access', b.price_lookup_key)
      when not a.grants_access then format('status %s gives no access', b.status)
      when a.has_grace then format('status %s since %s: access until %s', b.status, b.past_due_since,
        b.past_due_since + billing.grace_period())
      else format('status %s gives access', b.status)
    end,
    b.id
  from public.subscriptions b left join billing.access_statuses a on a.status = b.status
  where b.user_id = p_user_id
  union all
  select i.stripe_created_at, 'invoice', null,
    format('%s, %s of %s %s paid', i.status, i.amount_paid_minor, i.total_minor, i.currency), i.id
  from (
    select * from public.invoices v
    where v.user_id = p_user_id and v.stripe_created_at <= p_at
    order by v.stripe_created_at desc limit 3
  ) i
  union all
  -- 4. The limits that refuse now. Past refusals are in the server's log: a refusal rolls its transaction back.
  select p_at, 'limit', billing.current_plan(p_user_id),
    format('%s: %s of %s used%s', c.metric_id, c.used, coalesce(c.allowance::text, 'unlimited'),
      case when c.used >= c.allowance then ', the next one is refused' else '' end),
    c.metric_id
  from billing.usage_counters c
  where c.user_id = p_user_id and c.period_day >= (p_at at time zone 'UTC')::date
  union all
  -- 5. Beyond the allowance: what its owner said yes to, and what it has come to in the latest billing periods.
  select a.updated_at, 'overage', null,
    case
      when not a.enabled then 'off: the owner has not said yes to the present subscription'
      when s.subscription_id is distinct from a.subscription_id or s.billable is not true then
        format('on, but Stripe could not bill it: subscription %s', coalesce(s.status, 'gone'))
      when not exists (select from billing.metered_items i where i.subscription_id = a.subscription_id) then
        'on, but Stripe has no metered items yet'
      else format('on, %s of %s %s spent', ceil(a.spent_minor), a.cap_minor, a.currency)
    end,
    a.subscription_id
  from billing.overage_accounts a left join billing.metered_subscription(a.user_id) s on true
  where a.user_id = p_user_id
  union all
  select l.period_start, 'overage', null,
    format('%s: %s beyond the allowance, %s of them claimed, until %s', l.metric_id, l.quantity, l.claimed, l.period_end),
    l.stripe_customer_id
  from (
    select * from billing.overage_usage u
    where u.user_id = p_user_id and u.period_start <= p_at
    order by u.period_start desc, u.metric_id limit 6
  ) l
  ) e (at, kind, plan_id, why, ref)
  order by array_position(array['plan', 'subscription', 'grant', 'invoice', 'limit', 'overage'], e.kind), e.at desc;
$$;

comment on function billing.explain_access(uuid, timestamptz) is
  'For operators: which plan a user had at a time and why (kind plan), since which event, grant and invoice, what each '
  'subscription counts for, which limit refuses what, and what is paid beyond it. Subscriptions, limits and overage are '
  'those of now.';
