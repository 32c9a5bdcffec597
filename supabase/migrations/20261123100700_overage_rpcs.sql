-- What a signed-in person may ask, and say, about paying beyond the allowance. Definer functions, because prices mirrored
-- from Stripe, the ledger and the accounts are nobody's to read but through these; whose they are auth.uid() says.

create function billing.overage_terms(p_user_id uuid)
returns table (available boolean, reason text, subscription_id text, plan_id text, currency text)
language sql stable
set search_path = ''
as $$
  select t.reason is null, t.reason, t.subscription_id, t.plan_id, t.currency
  from (select p_user_id as id) u
  left join lateral billing.metered_subscription(u.id) s on true
  cross join lateral (
    select
      case
        when s.subscription_id is null then 'no_subscription'
        when not exists (
          select from public.overage_prices o where o.plan_id = s.plan_id and o.is_active
        ) then 'plan_without_overage'
        when not s.billable then 'subscription_not_active'
      end as reason,
      s.subscription_id, s.plan_id,
      coalesce(
        (
          select i.currency from billing.metered_items i
          where i.subscription_id = s.subscription_id order by i.period_start desc, i.item_id limit 1
        ),
        s.currency, 'usd'
      ) as currency
  ) t;
$$;

comment on function billing.overage_terms(uuid) is
  'Whether a user may go beyond the allowance for money, else why not (no_subscription, plan_without_overage, '
  'subscription_not_active), and of which subscription.';

create function billing.overage_metrics(p_user_id uuid, p_subscription_id text, p_plan_id text, p_currency text, p_period_start timestamptz)
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'metric', m.id,
    'name', m.name,
    'quantity', coalesce(u.quantity, 0),
    'unit_amount_minor', trim_scale(p.unit_amount_minor),
    'amount_minor', trim_scale(coalesce(u.amount_minor, 0))
  ) order by m.id), '[]')
  from public.metrics m
  left join lateral (
    select sum(l.quantity - l.corrected)::bigint as quantity, sum(l.amount_minor) as amount_minor
    from billing.overage_usage l
    where l.user_id = p_user_id and l.metric_id = m.id and l.period_start = p_period_start
  ) u on true
  -- Stripe's own price where there is one; what it will be otherwise.
  left join lateral (
    select coalesce(
      (
        select max(i.unit_amount_minor) from billing.metered_items i
        where i.subscription_id = p_subscription_id and i.metric_id = m.id
      ),
      (
        select coalesce(c.unit_amount_minor, case when o.currency = p_currency then o.unit_amount_minor end)
        from public.overage_prices o
        left join public.overage_price_currency_options c on c.lookup_key = o.lookup_key and c.currency = p_currency
        where o.plan_id = p_plan_id and o.metric_id = m.id and o.is_active
      )
    ) as unit_amount_minor
  ) p on true
  where p.unit_amount_minor is not null or u.quantity > 0;
$$;

comment on function billing.overage_metrics(uuid, text, text, text, timestamptz) is
  'What a billing period holds beyond the allowance, per metric that has a price.';

create function billing.my_credits(p_user_id uuid, p_currency text) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'balance_minor', b.balance_minor,
    'currency', b.currency,
    'next_expiry', (
      select min(g.expires_at) from public.credit_grants g
      where g.user_id = b.user_id and g.currency = b.currency and g.voided_at is null and g.expires_at > now()
        and coalesce(g.effective_at, '-infinity') <= now()
    )
  )
  from public.credit_balances b
  where b.user_id = p_user_id
  order by (b.currency = p_currency) desc, b.balance_minor desc, b.currency limit 1;
$$;

comment on function billing.my_credits(uuid, text) is
  'The prepaid credit a user has in this currency (else in another), and when the next of it expires; null without any.';

create function public.my_overage() returns jsonb
language sql stable
-- Definer: see the top of this file.
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'available', t.available,
    'reason', t.reason,
    'enabled', coalesce(a.enabled and a.subscription_id = t.subscription_id, false),
    'attached', exists (select from billing.metered_items i where i.subscription_id = t.subscription_id),
    'cap_minor', a.cap_minor,
    'currency', coalesce(a.currency, t.currency),
    'period_start', p.p_start,
    'period_end', p.p_end,
    'spent_minor', ceil(s.spent)::bigint,
    'projected_minor', ceil(greatest(s.spent, least(
      s.spent * extract(epoch from p.p_end - p.p_start)
        / greatest(extract(epoch from now() - p.p_start), 1),
      coalesce(a.cap_minor, s.spent)
    )))::bigint,
    'metrics', billing.overage_metrics(
      u.id, t.subscription_id, t.plan_id, coalesce(a.currency, t.currency), p.p_start
    ),
    'credits', billing.my_credits(u.id, coalesce(a.currency, t.currency))
  )
  from (select (select auth.uid()) as id) u
  cross join lateral billing.overage_terms(u.id) t
  left join billing.overage_accounts a on a.user_id = u.id
  left join lateral (
    select coalesce(a.period_start, i.period_start) as p_start, coalesce(a.period_end, i.period_end) as p_end
    from (select min(m.period_start) as period_start, min(m.period_end) as period_end
      from billing.metered_items m where m.subscription_id = t.subscription_id) i
  ) k on true
  left join lateral billing.present_period(k.p_start, k.p_end, now()) p on true
  left join lateral (select coalesce(billing.overage_spent(u.id, p.p_start), 0) as spent) s on true;
$$;

comment on function public.my_overage() is
  'The caller''s usage beyond the allowance: {available, reason, enabled, attached (Stripe has the metered items), cap_minor, '
  'currency, period_start, period_end, spent_minor (rounded up), projected_minor (straight on to the end of the period, '
  'within the cap), metrics: [{metric, name, quantity, unit_amount_minor, amount_minor}], credits: {balance_minor, '
  'currency, next_expiry} or null}. Times are null before the metered items are there.';

create function public.set_overage(p_enabled boolean, p_cap_minor bigint default null) returns jsonb
language plpgsql
-- Definer: see the top of this file.
security definer
set search_path = ''
as $$
declare
  v_user_id constant uuid := auth.uid();
  v_terms record;
begin
  perform billing.require(v_user_id is not null, 'nobody is signed in');
  perform billing.require(p_enabled is not null, 'p_enabled is missing');
  if not p_enabled then
    update billing.overage_accounts a set enabled = false, updated_at = now() where a.user_id = v_user_id;
    return public.my_overage();
  end if;
  if p_cap_minor is null or p_cap_minor not between 1 and 10000000 then
    perform billing.raise_http(
      422, 'invalid_cap', 'The spending cap must be between 1 and 10000000, in the smallest unit of the currency.'
    );
  end if;
  -- A snapshot of this person waits, or has been.
  perform billing.lock_person(v_user_id);
  select * into strict v_terms from billing.overage_terms(v_user_id);
  if not v_terms.available then
    perform billing.raise_http(
      403, 'overage_not_available', 'Paying beyond the allowance is not available.',
      jsonb_build_object('reason', v_terms.reason)::text, 'It needs an active subscription to a plan that offers it.'
    );
  end if;
  insert into billing.overage_accounts as a (user_id, enabled, subscription_id, cap_minor, currency)
  values (v_user_id, true, v_terms.subscription_id, p_cap_minor, v_terms.currency)
  on conflict (user_id) do update set
    enabled = true, subscription_id = excluded.subscription_id, cap_minor = excluded.cap_minor,
    currency = excluded.currency, updated_at = now();
  perform billing.refresh_overage(v_user_id);
  return public.my_overage();
end;
$$;

comment on function public.set_overage(boolean, bigint) is
  'The caller says yes to paying beyond the allowance with their present subscription, up to a cap per billing period in '
  'minor units of its currency, or no more. Answers my_overage(). Errors: 403 overage_not_available {reason}, 422 invalid_cap. '
  'A cap below what is spent already stops at once.';

create function public.usage_history(p_from date, p_to date, p_metric text default 'message')
returns table (day date, used bigint, allowance bigint, overage bigint, amount_minor numeric)
language plpgsql stable
-- Definer: see the top of this file.
security definer
set search_path = ''
as $$
begin
  if p_from is null or p_to is null or p_to < p_from or p_to - p_from > 400 then
    perform billing.raise_http(422, 'invalid_range', 'The range must be from a day to a later one, 400 days at most.');
  end if;
  return query
  select h.day, sum(h.used)::bigint, max(h.allowance), sum(h.overage)::bigint, trim_scale(sum(h.overage_minor))
  from (
    select d.day, d.used, d.allowance, d.overage, d.overage_minor
    from billing.usage_days d
    where d.user_id = (select auth.uid()) and d.metric_id = p_metric and d.day between p_from and p_to
    union all
    -- The latest day is the counter.
    select c.period_day, c.used, c.allowance, c.overage, c.overage_minor
    from billing.usage_counters c
    where c.user_id = (select auth.uid()) and c.metric_id = p_metric and c.period_day between p_from and p_to
  ) h
  group by h.day
  order by h.day;
end;
$$;

comment on function public.usage_history(date, date, text) is
  'What the caller used of a metric, per UTC day of the range (both ends included) that has any: used, allowance (null: unlimited), '
  'how much of it was beyond, and what that cost in minor units. 422 invalid_range beyond 400 days.';

revoke all on function billing.overage_terms(uuid), billing.overage_metrics(uuid, text, text, text, timestamptz),
  billing.my_credits(uuid, text), public.my_overage(), public.set_overage(boolean, bigint),
  public.usage_history(date, date, text)
  from public, anon, authenticated, service_role;
grant execute on function public.my_overage(), public.set_overage(boolean, bigint),
  public.usage_history(date, date, text) to authenticated;
