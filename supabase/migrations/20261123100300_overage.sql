-- Beyond the allowance: who may go on, what a unit costs, and the ledger of what is to be billed.
--
-- Fail closed on money: a unit is admitted only when Stripe could bill it, that is while the subscription is active, is
-- not past its end, and has the metered item of the metric; only after its owner said yes to this subscription; and only
-- within the cap they set. Locks go: person, catalogue_state, entitlement, counters, overage account, ledger.

create table billing.metered_items (
  item_id text primary key,
  user_id uuid not null references public.customers (user_id) on delete cascade,
  subscription_id text not null references public.subscriptions (id) on delete cascade,
  metric_id text not null references public.metrics (id),
  price_lookup_key text,
  currency text not null check (currency ~ '^[a-z]{3}$'),
  unit_amount_minor numeric(20, 6) not null check (unit_amount_minor >= 0),
  period_start timestamptz not null,
  period_end timestamptz not null,
  synced_at timestamptz not null default now(),
  check (period_end > period_start)
);

create index metered_items_user_id_idx on billing.metered_items (user_id);
create index metered_items_subscription_id_idx on billing.metered_items (subscription_id);
create index metered_items_metric_id_idx on billing.metered_items (metric_id);

comment on table billing.metered_items is
  'Metered items of the subscriptions of a customer, from the snapshot: what Stripe will bill a unit at, and when.';
comment on column billing.metered_items.unit_amount_minor is 'Stripe''s truth, in minor units with up to six decimals.';

create table billing.overage_accounts (
  user_id uuid primary key references auth.users (id) on delete cascade,
  enabled boolean not null default false,
  subscription_id text,
  cap_minor bigint check (cap_minor between 1 and 10000000),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  period_start timestamptz,
  period_end timestamptz,
  spent_minor numeric(20, 6) not null default 0 check (spent_minor >= 0),
  updated_at timestamptz not null default now(),
  check (not enabled or (cap_minor is not null and subscription_id is not null)),
  check ((period_start is null) = (period_end is null)),
  check (period_end > period_start)
) with (fillfactor = 60);

comment on table billing.overage_accounts is
  'Who said yes to paying beyond the allowance, up to what, and what this billing period has come to.';
comment on column billing.overage_accounts.subscription_id is
  'The subscription the owner said yes to. Consent ends with it: another subscription is asked about again.';
comment on column billing.overage_accounts.period_start is
  'Period of the metered items; null until there are some. Past its end it goes on by a month at a time until the '
  'snapshot with Stripe''s next period is there.';
comment on column billing.overage_accounts.spent_minor is 'The sum of the ledger in this period, in minor units.';

create table billing.overage_usage (
  stripe_customer_id text not null check (stripe_customer_id <> ''),
  metric_id text not null references public.metrics (id),
  period_start timestamptz not null,
  period_end timestamptz not null,
  user_id uuid references auth.users (id) on delete set null,
  quantity bigint not null check (quantity >= 0),
  claimed bigint not null default 0,
  corrected bigint not null default 0,
  sequence integer not null default 0 check (sequence >= 0),
  amount_minor numeric(20, 6) not null check (amount_minor >= 0),
  waiting boolean generated always as (claimed < quantity) stored,
  primary key (stripe_customer_id, metric_id, period_start),
  check (period_end > period_start),
  check (claimed between 0 and quantity),
  check (corrected between 0 and claimed)
) with (fillfactor = 60);

-- On a generated column and not "where claimed < quantity": an update that leaves it as it is stays heap-only.
create index overage_usage_waiting_idx on billing.overage_usage (period_start, stripe_customer_id, metric_id) where waiting;
create index overage_usage_user_id_period_start_idx on billing.overage_usage (user_id, period_start);
create index overage_usage_metric_id_idx on billing.overage_usage (metric_id);

comment on table billing.overage_usage is
  'THE LEDGER: what is billed beyond allowances, per Stripe customer, metric and billing period. Raised in the transaction '
  'that admits; never lowered, never deleted. It belongs to the Stripe customer, so it survives its user.';
comment on column billing.overage_usage.claimed is 'How much of quantity is in the outbox; the sum of its events.';
comment on column billing.overage_usage.corrected is 'How much of claimed was taken back by billing.correct_usage().';
comment on column billing.overage_usage.sequence is 'The last event made of it; part of the event''s identifier.';
comment on column billing.overage_usage.amount_minor is 'What it costs less what was corrected, at the price each unit was admitted at.';

alter table billing.metered_items enable row level security;
alter table billing.overage_accounts enable row level security;
alter table billing.overage_usage enable row level security;
revoke all on billing.metered_items, billing.overage_accounts, billing.overage_usage
  from public, anon, authenticated, service_role;
create policy "Nobody reads the metered items" on billing.metered_items
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the overage accounts" on billing.overage_accounts
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the ledger" on billing.overage_usage
  for all to anon, authenticated using (false) with check (false);

create function billing.refuse_ledger_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'the ledger is only ever added to' using errcode = 'integrity_constraint_violation',
    hint = 'Correct what was reported with billing.correct_usage().';
end;
$$;

comment on function billing.refuse_ledger_change() is 'What was admitted and what was claimed never becomes less.';

create trigger overage_usage_after_update_refuse after update on billing.overage_usage
  for each row when (
    new.quantity < old.quantity or new.claimed < old.claimed or new.corrected < old.corrected
    or new.sequence < old.sequence or new.stripe_customer_id <> old.stripe_customer_id
    or new.metric_id <> old.metric_id or new.period_start <> old.period_start
  )
  execute function billing.refuse_ledger_change();
create trigger overage_usage_after_delete_refuse after delete on billing.overage_usage
  for each row execute function billing.refuse_ledger_change();
create trigger overage_usage_before_truncate_refuse before truncate on billing.overage_usage
  for each statement execute function billing.refuse_ledger_change();

create function billing.present_period(inout p_start timestamptz, inout p_end timestamptz, p_at timestamptz)
language plpgsql immutable
set search_path = ''
as $$
begin
  -- In UTC: what a month later is must not depend on the caller's time zone.
  while p_start < p_end and p_end <= p_at loop
    p_start := p_end;
    p_end := ((p_end at time zone 'UTC') + interval '1 month') at time zone 'UTC';
  end loop;
end;
$$;

comment on function billing.present_period(timestamptz, timestamptz, timestamptz) is
  'The billing period a moment belongs to when nothing newer than this one is known: on by a month at a time.';

create function billing.metered_subscription(p_user_id uuid)
returns table (subscription_id text, plan_id text, status text, currency text, billable boolean)
-- Not SQL: see billing.fast_until(). This one is on the way of every message beyond the allowance.
language plpgsql stable
set search_path = ''
as $$
begin
  return query
  select s.id, s.plan_id, s.status, s.currency,
    -- Active, and neither over nor about to become something else that no snapshot has told yet.
    s.status = 'active' and s.ended_at is null
      and coalesce(s.cancel_at, case when s.cancel_at_period_end then s.current_period_end end, 'infinity') > now()
      and coalesce(s.pending_change_at, 'infinity') > now()
  from public.subscriptions s
  left join public.entitlements e on e.user_id = s.user_id
  where s.user_id = p_user_id and s.status not in ('canceled', 'incomplete_expired')
  order by (s.status = 'active') desc, (s.id = e.subscription_id) desc nulls last,
    s.stripe_created_at desc nulls last, s.id desc
  limit 1;
end;
$$;

comment on function billing.metered_subscription(uuid) is
  'The subscription that pays for what a user takes beyond the allowance, and whether it can be billed now.';

create function billing.overage_spent(p_user_id uuid, p_period_start timestamptz) returns numeric
language sql stable
set search_path = ''
as $$
  select coalesce(sum(u.amount_minor), 0)
  from billing.overage_usage u where u.user_id = p_user_id and u.period_start = p_period_start;
$$;

comment on function billing.overage_spent(uuid, timestamptz) is 'What the ledger of a billing period comes to, in minor units.';

create function billing.lock_overage_account(p_user_id uuid) returns billing.overage_accounts
language plpgsql
set search_path = ''
as $$
declare
  v_account billing.overage_accounts;
begin
  select * into v_account from billing.overage_accounts a where a.user_id = p_user_id for no key update;
  if v_account.period_end <= now() then
    -- Stripe's next period begins where this one ends, so what is admitted now is on the right line already.
    select p.p_start, p.p_end into v_account.period_start, v_account.period_end
    from billing.present_period(v_account.period_start, v_account.period_end, now()) p;
    v_account.spent_minor := billing.overage_spent(p_user_id, v_account.period_start);
    update billing.overage_accounts a
    set period_start = v_account.period_start, period_end = v_account.period_end,
      spent_minor = v_account.spent_minor, updated_at = now()
    where a.user_id = p_user_id;
  end if;
  return v_account;
end;
$$;

comment on function billing.lock_overage_account(uuid) is
  'The account, locked, in the period of this moment; all null when there is none.';

create function billing.refuse_spending(p_account billing.overage_accounts, p_metric_id text) returns void
language plpgsql
set search_path = ''
as $$
begin
  raise log 'tollgate refused % to % at a spending cap of %', p_metric_id, p_account.user_id, p_account.cap_minor;
  perform billing.raise_http(
    402, 'spending_cap_reached',
    format('Spending cap reached: %s of %s.', billing.format_money(p_account.spent_minor, p_account.currency),
      billing.format_money(p_account.cap_minor, p_account.currency)),
    jsonb_build_object(
      'metric', p_metric_id,
      'cap_minor', p_account.cap_minor,
      'spent_minor', ceil(p_account.spent_minor)::bigint,
      'currency', p_account.currency,
      'period_end', to_char(p_account.period_end at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    )::text,
    'Raise the cap, upgrade the plan, or wait for the reset.'
  );
end;
$$;

comment on function billing.refuse_spending(billing.overage_accounts, text) is 'Raises spending_cap_reached (402).';

create function billing.admit_overage(p_user_id uuid, p_metric_id text, p_quantity bigint) returns numeric
language plpgsql
set search_path = ''
as $$
declare
  v_account billing.overage_accounts;
  v_item record;
  v_amount numeric;
begin
  v_account := billing.lock_overage_account(p_user_id);
  if v_account.enabled is not true or v_account.period_start is null then
    return null;
  end if;
  -- After the lock, so that it is the state that the snapshot before us left.
  select i.unit_amount_minor, c.stripe_customer_id into v_item
  from billing.metered_subscription(p_user_id) s
  join billing.metered_items i on i.subscription_id = s.subscription_id and i.metric_id = p_metric_id
  join public.customers c on c.user_id = p_user_id
  where s.billable and s.subscription_id = v_account.subscription_id and i.currency = v_account.currency
  order by i.unit_amount_minor desc, i.item_id limit 1;
  if not found then
    return null;
  end if;
  v_amount := p_quantity * v_item.unit_amount_minor;
  update billing.overage_accounts a set spent_minor = a.spent_minor + v_amount
  where a.user_id = p_user_id and a.enabled and a.spent_minor + v_amount <= a.cap_minor;
  if not found then
    perform billing.refuse_spending(v_account, p_metric_id);
  end if;
  insert into billing.overage_usage as u (
    stripe_customer_id, metric_id, period_start, period_end, user_id, quantity, amount_minor
  )
  values (
    v_item.stripe_customer_id, p_metric_id, v_account.period_start, v_account.period_end, p_user_id, p_quantity, v_amount
  )
  on conflict (stripe_customer_id, metric_id, period_start) do update
  set quantity = u.quantity + excluded.quantity, amount_minor = u.amount_minor + excluded.amount_minor;
  perform billing.notice_spending(v_account, v_amount, v_item.unit_amount_minor);
  return v_amount;
end;
$$;

comment on function billing.admit_overage(uuid, text, bigint) is
  'Takes a quantity beyond the allowance, writes it into the ledger and returns what it costs in minor units. Null: the '
  'user has not said yes, or Stripe could not bill it. 402 spending_cap_reached when the cap would be passed.';

create function billing.notice_spending(p_before billing.overage_accounts, p_amount numeric, p_unit numeric) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_spent constant numeric := p_before.spent_minor + p_amount;
begin
  -- All of it is used when no further unit fits.
  if v_spent + p_unit > p_before.cap_minor then
    perform billing.notify_spending(
      p_before.user_id, p_before.period_start, 100, v_spent, p_before.cap_minor, p_before.currency
    );
  elsif p_before.spent_minor < p_before.cap_minor * 0.8 and v_spent >= p_before.cap_minor * 0.8 then
    perform billing.notify_spending(
      p_before.user_id, p_before.period_start, 80, v_spent, p_before.cap_minor, p_before.currency
    );
  end if;
end;
$$;

comment on function billing.notice_spending(billing.overage_accounts, numeric, numeric) is
  'Writes the notice when this amount reaches 80 % or 100 % of the cap.';

revoke all on function billing.refuse_ledger_change(),
  billing.present_period(timestamptz, timestamptz, timestamptz), billing.metered_subscription(uuid),
  billing.overage_spent(uuid, timestamptz), billing.lock_overage_account(uuid),
  billing.refuse_spending(billing.overage_accounts, text), billing.admit_overage(uuid, text, bigint),
  billing.notice_spending(billing.overage_accounts, numeric, numeric)
  from public, anon, authenticated, service_role;
