-- Metered items and prepaid credits come with the snapshot of a customer. What a snapshot does not name stays as it is.

create table public.credit_grants (
  id text primary key,
  user_id uuid not null references public.customers (user_id) on delete cascade,
  amount_minor bigint not null check (amount_minor >= 0),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  category text not null,
  name text,
  effective_at timestamptz,
  expires_at timestamptz,
  voided_at timestamptz,
  stripe_created_at timestamptz not null,
  synced_at timestamptz not null default now()
);

create index credit_grants_user_id_idx on public.credit_grants (user_id);

comment on table public.credit_grants is 'Stripe''s billing credit grants of a customer, from the snapshot.';
comment on column public.credit_grants.amount_minor is 'What was granted; what is left of all grants is in credit_balances.';

create table public.credit_balances (
  user_id uuid not null references public.customers (user_id) on delete cascade,
  currency text not null check (currency ~ '^[a-z]{3}$'),
  balance_minor bigint not null check (balance_minor >= 0),
  synced_at timestamptz not null default now(),
  primary key (user_id, currency)
);

comment on table public.credit_balances is 'Prepaid credit that is left, per currency: Stripe''s credit balance summary.';

alter table public.credit_grants enable row level security;
alter table public.credit_balances enable row level security;
revoke all on public.credit_grants, public.credit_balances from public, anon, authenticated, service_role;
grant select on public.credit_grants, public.credit_balances to authenticated, service_role;
create policy "Owners read their credit grants" on public.credit_grants
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Owners read their credit balances" on public.credit_balances
  for select to authenticated using (user_id = (select auth.uid()));

create function billing.given_metered_items(p_user_id uuid, p_items jsonb) returns setof billing.metered_items
language sql stable
set search_path = ''
as $$
  select r.id, p_user_id, r.subscription_id, m.id, r.price_lookup_key, r.currency,
    r.unit_amount_minor::numeric(20, 6), r.period_start, r.period_end, now()
  from jsonb_to_recordset(p_items) as r (
    id text, subscription_id text, price_lookup_key text, meter_event_name text, currency text,
    unit_amount_minor numeric, period_start timestamptz, period_end timestamptz
  )
  left join public.overage_prices o on o.lookup_key = r.price_lookup_key
  join public.metrics m on m.id = coalesce(
    (select k.id from public.metrics k where k.meter_event_name = r.meter_event_name), o.metric_id
  )
  where r.unit_amount_minor is not null;
$$;

comment on function billing.given_metered_items(uuid, jsonb) is
  'The rows that a snapshot''s metered items stand for: those whose meter or lookup key we know.';

create function billing.given_credit_grants(p_user_id uuid, p_grants jsonb) returns setof public.credit_grants
language sql stable
set search_path = ''
as $$
  select r.id, p_user_id, r.amount_minor, r.currency, coalesce(r.category, 'paid'), r.name, r.effective_at, r.expires_at,
    r.voided_at, r.created, now()
  from jsonb_to_recordset(p_grants) as r (
    id text, amount_minor bigint, currency text, category text, name text, effective_at timestamptz,
    expires_at timestamptz, voided_at timestamptz, created timestamptz
  );
$$;

comment on function billing.given_credit_grants(uuid, jsonb) is 'The rows that a snapshot''s credit grants stand for.';

create function billing.given_credit_balances(p_user_id uuid, p_balances jsonb) returns setof public.credit_balances
language sql stable
set search_path = ''
as $$
  select p_user_id, r.currency, r.balance_minor, now()
  from jsonb_to_recordset(p_balances) as r (currency text, balance_minor bigint);
$$;

comment on function billing.given_credit_balances(uuid, jsonb) is 'The rows that a snapshot''s credit balances stand for.';

create function billing.check_metering(p_metering jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_key text;
begin
  perform billing.require(jsonb_typeof(p_metering) = 'object', 'p_metering is not an object');
  for v_key in select jsonb_object_keys(p_metering) loop
    perform billing.require(
      v_key in ('metered_items', 'credit_grants', 'credit_balances'), format('p_metering.%s is unknown', v_key)
    );
    perform billing.require(
      jsonb_typeof(p_metering -> v_key) = 'array', format('p_metering.%s is not a list', v_key)
    );
    perform billing.require(
      (
        select count(*) = count(distinct e.value ->> k.name)
        from jsonb_array_elements(p_metering -> v_key) e
        cross join (select case v_key when 'credit_balances' then 'currency' else 'id' end as name) k
      ),
      format('every one of p_metering.%s needs a name of its own', v_key)
    );
  end loop;
end;
$$;

comment on function billing.check_metering(jsonb) is 'Refuses what is not {metered_items?, credit_grants?, credit_balances?}, each a list.';

create function billing.store_metered_items(p_user_id uuid, p_stripe_customer_id text, p_items jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_seen text[] := '{}'::text[];
  v_item jsonb;
begin
  delete from billing.metered_items i
  where i.user_id = p_user_id
    and i.item_id not in (select g.item_id from billing.given_metered_items(p_user_id, p_items) g);
  insert into billing.metered_items as i
  select g.* from billing.given_metered_items(p_user_id, p_items) g
  join public.subscriptions s on s.id = g.subscription_id and s.user_id = p_user_id
  on conflict (item_id) do update set
    subscription_id = excluded.subscription_id,
    metric_id = excluded.metric_id,
    price_lookup_key = excluded.price_lookup_key,
    currency = excluded.currency,
    unit_amount_minor = excluded.unit_amount_minor,
    period_start = excluded.period_start,
    period_end = excluded.period_end,
    synced_at = excluded.synced_at
  where i.user_id = excluded.user_id;
  for v_item in
    select e.value from jsonb_array_elements(p_items) e
    where not exists (select from billing.metered_items i where i.item_id = e.value ->> 'id' and i.user_id = p_user_id)
  loop
    perform billing.report_problem('unknown_metered_item', v_item ->> 'id', jsonb_build_object(
      'stripe_customer_id', p_stripe_customer_id, 'price_lookup_key', v_item ->> 'price_lookup_key'
    ));
    v_seen := v_seen || (v_item ->> 'id');
  end loop;
  update billing.problems p set resolved_at = now()
  where p.kind = 'unknown_metered_item' and p.details ->> 'stripe_customer_id' = p_stripe_customer_id
    and p.resolved_at is null and p.subject <> all (v_seen);
end;
$$;

comment on function billing.store_metered_items(uuid, text, jsonb) is
  'Makes the stored metered items of a customer equal to the list; what we do not know is reported and cannot be used.';

create function billing.store_credits(p_user_id uuid, p_grants jsonb, p_balances jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_grants is not null then
    delete from public.credit_grants c
    where c.user_id = p_user_id and c.id not in (select e.value ->> 'id' from jsonb_array_elements(p_grants) e);
    insert into public.credit_grants as c
    select * from billing.given_credit_grants(p_user_id, p_grants)
    on conflict (id) do update set
      amount_minor = excluded.amount_minor,
      currency = excluded.currency,
      category = excluded.category,
      name = excluded.name,
      effective_at = excluded.effective_at,
      expires_at = excluded.expires_at,
      voided_at = excluded.voided_at,
      stripe_created_at = excluded.stripe_created_at,
      synced_at = excluded.synced_at
    where c.user_id = excluded.user_id;
  end if;
  if p_balances is not null then
    delete from public.credit_balances b
    where b.user_id = p_user_id
      and b.currency not in (select e.value ->> 'currency' from jsonb_array_elements(p_balances) e);
    insert into public.credit_balances as b
    select * from billing.given_credit_balances(p_user_id, p_balances)
    on conflict (user_id, currency) do update set balance_minor = excluded.balance_minor, synced_at = excluded.synced_at;
  end if;
end;
$$;

comment on function billing.store_credits(uuid, jsonb, jsonb) is
  'Makes the stored credit grants and balances of a customer equal to the lists; null leaves them as they are.';

create function billing.refresh_overage(p_user_id uuid) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_account billing.overage_accounts;
  v_item record;
begin
  -- Without rolling it: the snapshot knows the period better.
  select * into v_account from billing.overage_accounts a where a.user_id = p_user_id for no key update;
  if not found then
    return;
  end if;
  if v_account.enabled and not exists (
    select from public.subscriptions s
    where s.id = v_account.subscription_id and s.status not in ('canceled', 'incomplete_expired')
  ) then
    update billing.overage_accounts a set enabled = false, updated_at = now() where a.user_id = p_user_id;
  end if;
  select i.period_start, i.period_end, i.currency into v_item
  from billing.metered_subscription(p_user_id) s
  join billing.metered_items i on i.subscription_id = s.subscription_id
  order by i.period_start desc, i.item_id limit 1;
  if not found then
    return;
  end if;
  -- A cap in another currency is not what its owner said.
  update billing.overage_accounts a set
    enabled = a.enabled and a.currency = v_item.currency,
    currency = v_item.currency,
    period_start = v_item.period_start,
    period_end = v_item.period_end,
    spent_minor = billing.overage_spent(p_user_id, v_item.period_start),
    updated_at = now()
  where a.user_id = p_user_id
    and (a.currency, a.period_start, a.period_end) is distinct from
      (v_item.currency, v_item.period_start, v_item.period_end);
  -- What was admitted into a period that has turned out to be another: it ends where Stripe says the next begins.
  update billing.overage_usage u
  set period_end = case when u.period_start = v_item.period_start then v_item.period_end else v_item.period_start end
  where u.user_id = p_user_id
    and (
      (u.period_start = v_item.period_start and u.period_end <> v_item.period_end)
      or (u.period_start < v_item.period_start and u.period_end > v_item.period_start)
    );
end;
$$;

comment on function billing.refresh_overage(uuid) is
  'Brings the overage account and the ledger into the period of the metered items, and ends the consent with its '
  'subscription. After the counters, as the order of locks says.';

create or replace function public.relink_customer(p_user_id uuid, p_gone text, p_stripe_customer_id text)
returns text
language plpgsql
-- Definer: the secret key needs no write access to the table, only this.
security definer
set search_path = ''
as $$
declare
  v_linked text;
begin
  perform billing.require(p_stripe_customer_id ~ '^cus_\w+$', 'p_stripe_customer_id is not a customer id');
  update public.customers c set stripe_customer_id = p_stripe_customer_id
  where c.user_id = p_user_id and c.stripe_customer_id = p_gone;
  -- A sync of the old customer that is under way can neither apply anything nor give its lease up any more, and nothing
  -- is admitted that would be billed to the new one for what the old one bought.
  if found then
    update billing.sync_state s set lease_token = null, lease_until = null where s.user_id = p_user_id;
    delete from billing.metered_items i where i.user_id = p_user_id;
  end if;
  select c.stripe_customer_id into v_linked from public.customers c where c.user_id = p_user_id;
  perform billing.require(v_linked is not null, 'the user has no customer');
  return v_linked;
end;
$$;

drop function public.compare_customer_snapshot(text, jsonb, jsonb);
drop function public.apply_customer_snapshot(text, bigint, jsonb, jsonb, text);
drop function billing.note_drifts(uuid, text, jsonb, jsonb);
drop function billing.snapshot_differences(uuid, jsonb, jsonb);

create function billing.snapshot_differences(
  p_user_id uuid, p_subscriptions jsonb, p_invoices jsonb, p_metering jsonb default '{}'
) returns table (field text, ours jsonb, stripe jsonb)
language sql stable
set search_path = ''
as $$
  with ours as (
    select 'subscription ' || s.id as subject, to_jsonb(s) as doc
    from public.subscriptions s where s.user_id = p_user_id
    union all
    select 'invoice ' || i.id, to_jsonb(i)
    from public.invoices i where i.user_id = p_user_id and p_invoices is not null
    union all
    select 'metered item ' || m.item_id, to_jsonb(m)
    from billing.metered_items m where m.user_id = p_user_id and p_metering ? 'metered_items'
    union all
    select 'credit grant ' || c.id, to_jsonb(c)
    from public.credit_grants c where c.user_id = p_user_id and p_metering ? 'credit_grants'
    union all
    select 'credit balance ' || b.currency, to_jsonb(b)
    from public.credit_balances b where b.user_id = p_user_id and p_metering ? 'credit_balances'
  ), theirs as (
    select 'subscription ' || s.id as subject, to_jsonb(s) as doc
    from billing.given_subscriptions(p_user_id, p_subscriptions) s
    union all
    select 'invoice ' || i.id, to_jsonb(i) from billing.given_invoices(p_user_id, p_invoices) i
    union all
    select 'metered item ' || m.item_id, to_jsonb(m)
    from billing.given_metered_items(p_user_id, p_metering -> 'metered_items') m
    union all
    select 'credit grant ' || c.id, to_jsonb(c)
    from billing.given_credit_grants(p_user_id, p_metering -> 'credit_grants') c
    union all
    select 'credit balance ' || b.currency, to_jsonb(b)
    from billing.given_credit_balances(p_user_id, p_metering -> 'credit_balances') b
  )
  select coalesce(o.subject, t.subject) || ' ' || k.key, o.doc -> k.key, t.doc -> k.key
  from ours o full join theirs t using (subject)
  cross join jsonb_object_keys(coalesce(o.doc, t.doc)) k (key)
  -- What is ours alone cannot drift: when we looked, and since when we count the grace.
  where k.key not in ('synced_at', 'past_due_since') and o.doc -> k.key is distinct from t.doc -> k.key
    and (o.doc is not null and t.doc is not null or k.key in ('status', 'metric_id', 'amount_minor', 'balance_minor'))
  order by 1;
$$;

comment on function billing.snapshot_differences(uuid, jsonb, jsonb, jsonb) is
  'What a snapshot would change: per row and column; a row that is missing on one side is one column alone (its status, '
  'metric or amount).';

create function billing.note_drifts(
  p_user_id uuid, p_stripe_customer_id text, p_subscriptions jsonb, p_invoices jsonb, p_metering jsonb default '{}'
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_drift record;
  v_seen text[] := '{}'::text[];
  v_times integer;
  v_repeated jsonb := '[]'::jsonb;
begin
  for v_drift in
    select * from billing.snapshot_differences(p_user_id, p_subscriptions, p_invoices, p_metering)
  loop
    insert into billing.drifts as d (stripe_customer_id, field, ours, stripe)
    values (p_stripe_customer_id, v_drift.field, v_drift.ours, v_drift.stripe)
    on conflict (stripe_customer_id, field) do update set
      ours = excluded.ours, stripe = excluded.stripe, last_seen_at = now(), resolved_at = null,
      first_seen_at = case when d.resolved_at is null then d.first_seen_at else now() end,
      times = case when d.resolved_at is null then d.times + 1 else 1 end
    returning d.times into v_times;
    v_seen := v_seen || v_drift.field;
    if v_times > 1 then
      v_repeated := v_repeated || to_jsonb(v_drift.field);
    end if;
  end loop;
  update billing.drifts d set resolved_at = now()
  where d.stripe_customer_id = p_stripe_customer_id and d.resolved_at is null and d.field <> all (v_seen);
  update billing.reconcile_runs r set drifts = r.drifts + cardinality(v_seen) where r.finished_at is null;
  return v_repeated;
end;
$$;

comment on function billing.note_drifts(uuid, text, jsonb, jsonb, jsonb) is
  'Notes what a snapshot of reconcile would change, resolves what it would not, and returns the fields found before too.';

create function public.compare_customer_snapshot(
  p_stripe_customer_id text, p_subscriptions jsonb, p_invoices jsonb, p_metering jsonb default '{}'
) returns jsonb
language sql stable
-- Definer: see public.begin_reconcile().
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(d) order by d.field), '[]')
  from billing.snapshot_differences(
    billing.sync_user(p_stripe_customer_id), p_subscriptions, p_invoices, p_metering
  ) d;
$$;

comment on function public.compare_customer_snapshot(text, jsonb, jsonb, jsonb) is
  'What applying this snapshot would change: [{field, ours, stripe}]. Changes nothing.';

create function public.apply_customer_snapshot(
  p_stripe_customer_id text, p_token bigint, p_subscriptions jsonb, p_invoices jsonb default null,
  p_cause text default 'snapshot', p_metering jsonb default '{}'
) returns jsonb
language plpgsql
-- Definer: the secret key has no write access to any billing table, only this.
security definer
set search_path = ''
as $$
declare
  v_user_id uuid;
  v_plan text;
  v_events text[];
  v_repeated jsonb := '[]'::jsonb;
begin
  perform billing.require(p_stripe_customer_id <> '', 'p_stripe_customer_id is missing');
  perform billing.require(p_cause in ('snapshot', 'reconcile', 'rebuild'), 'p_cause is unknown');
  perform billing.check_snapshot(p_token, p_subscriptions, p_invoices);
  perform billing.check_metering(p_metering);
  v_user_id := billing.sync_user(p_stripe_customer_id);
  if v_user_id is null then
    perform billing.report_problem('unknown_customer', p_stripe_customer_id);
    return jsonb_build_object('applied', false, 'reason', 'unknown_customer', 'plan', null);
  end if;

  -- The row lock taken here also makes snapshots of one customer wait for each other.
  insert into billing.sync_state as s (user_id, last_token, applied_at) values (v_user_id, p_token, now())
  on conflict (user_id) do update set last_token = excluded.last_token, applied_at = now()
  where s.last_token < excluded.last_token;
  if not found then
    return jsonb_build_object(
      'applied', false, 'reason', 'stale_token', 'plan', billing.current_plan(v_user_id)
    );
  end if;

  if p_cause = 'reconcile' then
    v_repeated := billing.note_drifts(v_user_id, p_stripe_customer_id, p_subscriptions, p_invoices, p_metering);
  end if;
  perform billing.store_subscriptions(v_user_id, p_subscriptions);
  if p_invoices is not null then
    perform billing.store_invoices(v_user_id, p_invoices);
  end if;
  if p_metering ? 'metered_items' then
    perform billing.store_metered_items(v_user_id, p_stripe_customer_id, p_metering -> 'metered_items');
  end if;
  perform billing.store_credits(v_user_id, p_metering -> 'credit_grants', p_metering -> 'credit_balances');
  v_events := billing.settle_events(p_stripe_customer_id, p_token);
  v_plan := billing.refresh_entitlement(
    v_user_id, p_cause, jsonb_build_object('token', p_token, 'events', v_events)
  );
  perform billing.refresh_overage(v_user_id);
  perform billing.check_subscriptions(v_user_id, p_stripe_customer_id);
  return jsonb_build_object('applied', true, 'reason', null, 'plan', v_plan)
    || case when v_repeated <> '[]' then jsonb_build_object('repeated_drifts', v_repeated) else '{}' end;
end;
$$;

comment on function public.apply_customer_snapshot(text, bigint, jsonb, jsonb, text, jsonb) is
  'Replaces what we know of a customer''s subscriptions and (unless null) invoices by the full lists fetched after p_token '
  'was taken, settles the events they cover, and derives the entitlement and the allowances, all in one transaction. '
  'p_metering {metered_items?: [{id, subscription_id, price_lookup_key, meter_event_name?, currency, unit_amount_minor '
  '(number or decimal text), period_start, period_end}], credit_grants?: [{id, amount_minor, currency, category, name, '
  'effective_at, expires_at, voided_at, created}], credit_balances?: [{currency, balance_minor}]}: what is absent stays. An older '
  'token, or the same again, does nothing. Answers {applied, reason: stale_token | unknown_customer | null, plan, '
  'repeated_drifts?}.';

revoke all on function billing.given_metered_items(uuid, jsonb), billing.given_credit_grants(uuid, jsonb),
  billing.given_credit_balances(uuid, jsonb), billing.check_metering(jsonb),
  billing.store_metered_items(uuid, text, jsonb), billing.store_credits(uuid, jsonb, jsonb),
  billing.refresh_overage(uuid), billing.snapshot_differences(uuid, jsonb, jsonb, jsonb),
  billing.note_drifts(uuid, text, jsonb, jsonb, jsonb), public.compare_customer_snapshot(text, jsonb, jsonb, jsonb),
  public.apply_customer_snapshot(text, bigint, jsonb, jsonb, text, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.compare_customer_snapshot(text, jsonb, jsonb, jsonb),
  public.apply_customer_snapshot(text, bigint, jsonb, jsonb, text, jsonb) to service_role;
