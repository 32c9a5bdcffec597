-- What an operator lets people run up: the highest cap that anybody may choose, and none for whoever still owes the bill of an
-- earlier subscription.

alter table billing.settings add constraint settings_overage_cap_maximum_is_amounts check (
  key <> 'overage_cap_maximum'
  or (
    jsonb_typeof(value) = 'object' and value ? 'default'
    and not jsonb_path_exists(value, '$.* ? (@.type() != "number" || @ < 1 || @ > 10000000 || @ != @.floor())')
  )
);

insert into billing.settings (key, value, description) values (
  'overage_cap_maximum', '{"default": 10000000}',
  'The highest spending cap, in minor units: {"default": n}, and by currency where it differs. 1 to 10000000.'
);

create function billing.overage_cap_maximum(p_currency text) returns bigint
language sql stable
set search_path = ''
as $$
  select coalesce(v.value ->> p_currency, v.value ->> 'default')::bigint
  from (select billing.setting('overage_cap_maximum') as value) v;
$$;

comment on function billing.overage_cap_maximum(text) is
  'The highest spending cap that may be chosen in a currency, in its minor units.';

create function billing.lower_overage_caps() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update billing.overage_accounts a
  set cap_minor = billing.overage_cap_maximum(a.currency), updated_at = now()
  where a.cap_minor > billing.overage_cap_maximum(a.currency);
  return null;
end;
$$;

comment on function billing.lower_overage_caps() is
  'A lower maximum counts at once, also for caps that were chosen before. A higher one raises nobody''s.';

create trigger settings_after_update_lower_overage_caps
  after update of value on billing.settings
  for each row when (new.key = 'overage_cap_maximum')
  execute function billing.lower_overage_caps();

create function billing.owes_earlier_invoice(p_user_id uuid, p_subscription_id text) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (
    select from public.invoices i
    join public.subscriptions s on s.id = i.subscription_id
    where i.user_id = p_user_id and i.subscription_id <> p_subscription_id
      and i.status in ('open', 'uncollectible') and i.amount_paid_minor < i.amount_due_minor
  );
$$;

comment on function billing.owes_earlier_invoice(uuid, text) is
  'Whether an invoice of another subscription to a plan than this one was never paid. Licences are another matter.';

create or replace function billing.overage_terms(p_user_id uuid)
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
        -- Nobody gets new credit while the bill of an earlier subscription is open. Who has it already keeps it.
        when billing.owes_earlier_invoice(u.id, s.subscription_id) and not exists (
          select from billing.overage_accounts a
          where a.user_id = u.id and a.enabled and a.subscription_id = s.subscription_id
        ) then 'unpaid_invoice'
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
  'subscription_not_active, unpaid_invoice), and of which subscription.';

create or replace function public.my_overage() returns jsonb
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
    'maximum_cap_minor', billing.overage_cap_maximum(coalesce(a.currency, t.currency)),
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
  'maximum_cap_minor, currency, period_start, period_end, spent_minor (rounded up), projected_minor (straight on to the end of '
  'the period, within the cap), metrics: [{metric, name, quantity, unit_amount_minor, amount_minor}], credits: {balance_minor, '
  'currency, next_expiry} or null}. Times are null before the metered items are there.';

create or replace function public.set_overage(p_enabled boolean, p_cap_minor bigint default null) returns jsonb
language plpgsql
-- Definer: see the top of this file.
security definer
set search_path = ''
as $$
declare
  v_user_id constant uuid := auth.uid();
  v_terms record;
  v_maximum bigint;
begin
  perform billing.require(v_user_id is not null, 'nobody is signed in');
  perform billing.require(p_enabled is not null, 'p_enabled is missing');
  if not p_enabled then
    update billing.overage_accounts a set enabled = false, updated_at = now() where a.user_id = v_user_id;
    return public.my_overage();
  end if;
  -- A snapshot of this person waits, or has been.
  perform billing.lock_person(v_user_id);
  select * into strict v_terms from billing.overage_terms(v_user_id);
  v_maximum := billing.overage_cap_maximum(v_terms.currency);
  if p_cap_minor is null or p_cap_minor not between 1 and v_maximum then
    perform billing.raise_http(
      422, 'invalid_cap',
      format('The spending cap must be between 1 and %s, in the smallest unit of the currency.', v_maximum),
      jsonb_build_object('maximum_cap_minor', v_maximum)::text
    );
  end if;
  if not v_terms.available then
    perform billing.raise_http(
      403, 'overage_not_available', 'Paying beyond the allowance is not available.',
      jsonb_build_object('reason', v_terms.reason)::text, case v_terms.reason
        when 'unpaid_invoice' then 'An invoice of an earlier subscription is to be paid first.'
        else 'It needs an active subscription to a plan that offers it.'
      end
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

revoke all on function billing.overage_cap_maximum(text), billing.lower_overage_caps(),
  billing.owes_earlier_invoice(uuid, text)
  from public, anon, authenticated, service_role;
