-- How Stripe's truth gets in, second edition: invoices, grace, trials and scheduled changes come with the
-- snapshot, and a snapshot settles the events it covers.
--
-- One sequence orders everything. An event takes its number when it is received, a sync takes its token before
-- it fetches. So a token that is higher than an event's number belongs to a fetch that began after the event
-- was received, and nothing the event could tell is missing from it. No clocks are compared.
--
-- Who fetches is decided by a lease per customer: the one who gets it works off whatever arrives meanwhile,
-- everybody else has nothing to do. Twelve events at once are two fetches, or three.

alter table billing.stripe_events add column received_token bigint not null default 0;

comment on column billing.stripe_events.received_token is
  'Place in the order of sync tokens: covered by every snapshot with a higher token.';

create index stripe_events_stripe_customer_id_idx on billing.stripe_events (stripe_customer_id)
  where status in ('pending', 'parked');

alter table billing.sync_state
  alter column applied_at set default '-infinity',
  add column lease_token bigint,
  add column lease_until timestamptz;

create index sync_state_applied_at_idx on billing.sync_state (applied_at);

comment on column billing.sync_state.applied_at is '-infinity: a sync has begun and none was applied yet.';
comment on column billing.sync_state.lease_token is
  'Whose lease it is: the token of the sync under way. A holder that dies loses it at lease_until.';

create function billing.sync_user(p_stripe_customer_id text) returns uuid
language sql stable
set search_path = ''
as $$
  select c.user_id from public.customers c where c.stripe_customer_id = p_stripe_customer_id;
$$;

comment on function billing.sync_user(text) is 'The user of a Stripe customer; null when it is not ours.';

create function public.begin_sync(p_stripe_customer_id text) returns bigint
language plpgsql
-- Definer: the secret key has no access to the sync state, only this.
security definer
set search_path = ''
as $$
declare
  v_token bigint;
begin
  insert into billing.sync_state as s (user_id, last_token, lease_token, lease_until)
  values (
    billing.sync_user(p_stripe_customer_id), 0, nextval('billing.sync_token_seq'),
    clock_timestamp() + interval '90 seconds'
  )
  on conflict (user_id) do update set lease_token = excluded.lease_token, lease_until = excluded.lease_until
  where s.lease_until is null or s.lease_until < clock_timestamp()
  returning s.lease_token into v_token;
  return v_token;
end;
$$;

comment on function public.begin_sync(text) is
  'Takes the lease on a customer for 90 seconds and returns the token to fetch under; null while somebody else has it, '
  'who will see every event received until then. A customer that is not ours is a not-null violation (23502).';

create function public.continue_sync(p_stripe_customer_id text, p_token bigint) returns bigint
language plpgsql
-- Definer: see public.begin_sync().
security definer
set search_path = ''
as $$
declare
  v_next bigint;
begin
  -- Under the lock of the row: whoever receives an event now waits, and then finds either the lease given up
  -- or its event seen here.
  perform from billing.sync_state s
  where s.user_id = billing.sync_user(p_stripe_customer_id) and s.lease_token = p_token for no key update;
  if not found then
    return null;
  end if;
  if exists (
    select from billing.stripe_events e
    where e.stripe_customer_id = p_stripe_customer_id and e.status = 'pending' and e.received_token > p_token
  ) then
    v_next := nextval('billing.sync_token_seq');
  end if;
  update billing.sync_state s
  set lease_token = v_next, lease_until = case when v_next is not null then clock_timestamp() + interval '90 seconds' end
  where s.user_id = billing.sync_user(p_stripe_customer_id);
  return v_next;
end;
$$;

comment on function public.continue_sync(text, bigint) is
  'Ends the lease (null), or renews it with a new token when events came in that the last fetch does not cover.';

create function public.end_sync(p_stripe_customer_id text, p_token bigint) returns void
language sql
-- Definer: see public.begin_sync().
security definer
set search_path = ''
as $$
  update billing.sync_state s set lease_token = null, lease_until = null
  where s.user_id = billing.sync_user(p_stripe_customer_id) and s.lease_token = p_token;
$$;

comment on function public.end_sync(text, bigint) is 'Gives the lease up after a failure. Only one''s own.';

create or replace function public.receive_stripe_event(
  p_id text, p_type text, p_created timestamptz, p_payload jsonb, p_api_version text default null,
  p_stripe_customer_id text default null
) returns text
language plpgsql
-- Definer: the secret key needs no access to the table, only this.
security definer
set search_path = ''
as $$
declare
  v_status text;
begin
  perform billing.require(p_id <> '', 'p_id is missing');
  perform billing.require(p_type <> '', 'p_type is missing');
  perform billing.require(p_created is not null, 'p_created is missing');
  insert into billing.stripe_events (
    id, type, api_version, stripe_created_at, stripe_customer_id, payload, received_token
  )
  values (
    p_id, p_type, p_api_version, p_created, p_stripe_customer_id, p_payload,
    nextval('billing.sync_token_seq')
  )
  on conflict (id) do nothing;
  if found then
    return 'new';
  end if;
  select e.status into strict v_status from billing.stripe_events e where e.id = p_id;
  -- A parked event that is sent again is a person at work: let it be tried.
  return case v_status when 'parked' then 'pending' else v_status end;
end;
$$;

create function billing.settle_events(p_stripe_customer_id text, p_token bigint) returns text[]
language plpgsql
set search_path = ''
as $$
declare
  v_ids text[];
begin
  -- One order, as two snapshots may settle overlapping sets.
  with covered as (
    select e.id from billing.stripe_events e
    where e.stripe_customer_id = p_stripe_customer_id and e.status in ('pending', 'parked')
      and e.received_token < p_token
    order by e.id for no key update
  ), settled as (
    update billing.stripe_events e
    set status = 'processed', processed_at = now(), next_attempt_at = null, last_error = null
    from covered c where e.id = c.id
    returning e.id
  )
  select array_agg(s.id order by s.id) into v_ids from settled s;
  update billing.problems p set resolved_at = now()
  where p.kind = 'event_parked' and p.subject = any (v_ids) and p.resolved_at is null;
  return coalesce(v_ids, '{}');
end;
$$;

comment on function billing.settle_events(text, bigint) is
  'Marks the events processed that a snapshot with this token covers, and returns them.';

create function billing.given_subscriptions(p_user_id uuid, p_subscriptions jsonb)
returns setof public.subscriptions
language sql stable
set search_path = ''
as $$
  select
    r.id, p_user_id, r.status, r.price_lookup_key, p.plan_id, coalesce(r.quantity, 1), r.currency,
    r.current_period_start, r.current_period_end, r.cancel_at, coalesce(r.cancel_at_period_end, false),
    r.canceled_at, r.ended_at, r.trial_end, r.created, now(),
    -- The grace runs from when we first saw it, whatever Stripe tells us again.
    case when a.has_grace then coalesce(s.past_due_since, now()) end,
    r.pending_price_lookup_key, r.pending_change_at
  from jsonb_to_recordset(p_subscriptions) as r (
    id text, status text, price_lookup_key text, quantity integer, currency text,
    current_period_start timestamptz, current_period_end timestamptz, cancel_at timestamptz,
    cancel_at_period_end boolean, canceled_at timestamptz, ended_at timestamptz, trial_end timestamptz,
    created timestamptz, pending_price_lookup_key text, pending_change_at timestamptz
  )
  left join public.prices p on p.lookup_key = r.price_lookup_key
  left join billing.access_statuses a on a.status = r.status
  left join public.subscriptions s on s.id = r.id;
$$;

comment on function billing.given_subscriptions(uuid, jsonb) is 'The rows that a snapshot''s list of subscriptions stands for.';

create or replace function billing.store_subscriptions(p_user_id uuid, p_subscriptions jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Stripe never moves a subscription to another customer; if it looks so, we must not guess.
  perform billing.require(
    not exists (
      select from public.subscriptions s join jsonb_array_elements(p_subscriptions) e on e.value ->> 'id' = s.id
      where s.user_id <> p_user_id
    ),
    'a subscription belongs to another customer'
  );
  insert into public.subscriptions as s
  select * from billing.given_subscriptions(p_user_id, p_subscriptions)
  on conflict (id) do update set
    status = excluded.status,
    price_lookup_key = excluded.price_lookup_key,
    plan_id = excluded.plan_id,
    quantity = excluded.quantity,
    currency = excluded.currency,
    current_period_start = excluded.current_period_start,
    current_period_end = excluded.current_period_end,
    cancel_at = excluded.cancel_at,
    cancel_at_period_end = excluded.cancel_at_period_end,
    canceled_at = excluded.canceled_at,
    ended_at = excluded.ended_at,
    trial_end = excluded.trial_end,
    stripe_created_at = excluded.stripe_created_at,
    synced_at = excluded.synced_at,
    past_due_since = excluded.past_due_since,
    pending_price_lookup_key = excluded.pending_price_lookup_key,
    pending_change_at = excluded.pending_change_at;
  delete from public.subscriptions s
  where s.user_id = p_user_id
    and s.id not in (select e.value ->> 'id' from jsonb_array_elements(p_subscriptions) e);
  insert into billing.trial_uses (user_id, subscription_id)
  select p_user_id, e.value ->> 'id' from jsonb_array_elements(p_subscriptions) e
  where e.value ->> 'trial_end' is not null order by 2 limit 1
  on conflict (user_id) do nothing;
end;
$$;

create function billing.given_invoices(p_user_id uuid, p_invoices jsonb) returns setof public.invoices
language sql stable
set search_path = ''
as $$
  select
    r.id, p_user_id, r.subscription_id, r.number, r.status, r.currency, r.total_minor, r.amount_due_minor,
    r.amount_paid_minor, r.period_start, r.period_end, r.hosted_invoice_url, r.invoice_pdf, r.created, now()
  from jsonb_to_recordset(p_invoices) as r (
    id text, subscription_id text, number text, status text, currency text, total_minor bigint,
    amount_due_minor bigint, amount_paid_minor bigint, period_start timestamptz, period_end timestamptz,
    hosted_invoice_url text, invoice_pdf text, created timestamptz
  );
$$;

comment on function billing.given_invoices(uuid, jsonb) is 'The rows that a snapshot''s list of invoices stands for.';

create function billing.store_invoices(p_user_id uuid, p_invoices jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing.require(
    not exists (
      select from public.invoices i join jsonb_array_elements(p_invoices) e on e.value ->> 'id' = i.id
      where i.user_id <> p_user_id
    ),
    'an invoice belongs to another customer'
  );
  insert into public.invoices as i
  select * from billing.given_invoices(p_user_id, p_invoices)
  on conflict (id) do update set
    subscription_id = excluded.subscription_id,
    number = excluded.number,
    status = excluded.status,
    currency = excluded.currency,
    total_minor = excluded.total_minor,
    amount_due_minor = excluded.amount_due_minor,
    amount_paid_minor = excluded.amount_paid_minor,
    period_start = excluded.period_start,
    period_end = excluded.period_end,
    hosted_invoice_url = excluded.hosted_invoice_url,
    invoice_pdf = excluded.invoice_pdf,
    stripe_created_at = excluded.stripe_created_at,
    synced_at = excluded.synced_at;
  delete from public.invoices i
  where i.user_id = p_user_id
    and i.id not in (select e.value ->> 'id' from jsonb_array_elements(p_invoices) e);
end;
$$;

comment on function billing.store_invoices(uuid, jsonb) is 'Makes the stored invoices of a customer equal to the list.';

create function billing.snapshot_differences(p_user_id uuid, p_subscriptions jsonb, p_invoices jsonb)
returns table (field text, ours jsonb, stripe jsonb)
language sql stable
set search_path = ''
as $$
  with ours as (
    select 'subscription ' || s.id as subject, to_jsonb(s) as doc
    from public.subscriptions s where s.user_id = p_user_id
    union all
    select 'invoice ' || i.id, to_jsonb(i)
    from public.invoices i where i.user_id = p_user_id and p_invoices is not null
  ), theirs as (
    select 'subscription ' || s.id as subject, to_jsonb(s) as doc
    from billing.given_subscriptions(p_user_id, p_subscriptions) s
    union all
    select 'invoice ' || i.id, to_jsonb(i) from billing.given_invoices(p_user_id, p_invoices) i
  )
  select coalesce(o.subject, t.subject) || ' ' || k.key, o.doc -> k.key, t.doc -> k.key
  from ours o full join theirs t using (subject)
  cross join jsonb_object_keys(coalesce(o.doc, t.doc)) k (key)
  -- What is ours alone cannot drift: when we looked, and since when we count the grace.
  where k.key not in ('synced_at', 'past_due_since') and o.doc -> k.key is distinct from t.doc -> k.key
    and (o.doc is not null and t.doc is not null or k.key = 'status')
  order by 1;
$$;

comment on function billing.snapshot_differences(uuid, jsonb, jsonb) is
  'What a snapshot would change: per row and column; a row that is missing on one side is its status alone.';

drop function public.apply_customer_snapshot(text, bigint, jsonb);

create function billing.check_snapshot(p_token bigint, p_subscriptions jsonb, p_invoices jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A token from nowhere could be higher than all to come, and shut the customer out for ever.
  perform billing.require(
    p_token between 1 and (select q.last_value from billing.sync_token_seq q),
    'p_token is not one of next_sync_token()'
  );
  perform billing.require(jsonb_typeof(p_subscriptions) = 'array', 'p_subscriptions is not a list');
  perform billing.require(
    coalesce(jsonb_typeof(p_invoices), 'array') = 'array', 'p_invoices is not a list'
  );
  perform billing.require(
    (
      select count(*) = count(distinct e.value ->> 'id')
        and count(*) = count(*) filter (where e.value ->> 'id' <> '' and e.value ->> 'status' <> '')
      from jsonb_array_elements(p_subscriptions || coalesce(p_invoices, '[]')) e
    ),
    'every subscription and invoice needs an id of its own and a status'
  );
end;
$$;

comment on function billing.check_snapshot(bigint, jsonb, jsonb) is 'Refuses a snapshot that is not one.';

create function public.apply_customer_snapshot(
  p_stripe_customer_id text, p_token bigint, p_subscriptions jsonb, p_invoices jsonb default null,
  p_cause text default 'snapshot'
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
  v_repeated jsonb := '[]';
begin
  perform billing.require(p_stripe_customer_id <> '', 'p_stripe_customer_id is missing');
  perform billing.require(p_cause in ('snapshot', 'reconcile', 'rebuild'), 'p_cause is unknown');
  perform billing.check_snapshot(p_token, p_subscriptions, p_invoices);
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
    v_repeated := billing.note_drifts(v_user_id, p_stripe_customer_id, p_subscriptions, p_invoices);
  end if;
  perform billing.store_subscriptions(v_user_id, p_subscriptions);
  if p_invoices is not null then
    perform billing.store_invoices(v_user_id, p_invoices);
  end if;
  v_events := billing.settle_events(p_stripe_customer_id, p_token);
  v_plan := billing.refresh_entitlement(
    v_user_id, p_cause, jsonb_build_object('token', p_token, 'events', v_events)
  );
  perform billing.check_subscriptions(v_user_id, p_stripe_customer_id);
  return jsonb_build_object('applied', true, 'reason', null, 'plan', v_plan)
    || case when v_repeated <> '[]' then jsonb_build_object('repeated_drifts', v_repeated) else '{}' end;
end;
$$;

comment on function public.apply_customer_snapshot(text, bigint, jsonb, jsonb, text) is
  'Replaces what we know of a customer''s subscriptions and (unless null) invoices by the full lists fetched after p_token '
  'was taken, settles the events they cover, and derives the entitlement and the allowances, all in one transaction. An older '
  'token, or the same again, does nothing. Answers {applied, reason: stale_token | unknown_customer | null, plan, '
  'repeated_drifts?}.';

revoke all on function billing.sync_user(text), public.begin_sync(text), public.continue_sync(text, bigint),
  public.end_sync(text, bigint), billing.settle_events(text, bigint), billing.given_subscriptions(uuid, jsonb),
  billing.given_invoices(uuid, jsonb), billing.store_invoices(uuid, jsonb),
  billing.snapshot_differences(uuid, jsonb, jsonb), billing.check_snapshot(bigint, jsonb, jsonb),
  public.apply_customer_snapshot(text, bigint, jsonb, jsonb, text)
  from public, anon, authenticated, service_role;
grant execute on function public.begin_sync(text), public.continue_sync(text, bigint),
  public.end_sync(text, bigint), public.apply_customer_snapshot(text, bigint, jsonb, jsonb, text)
  to service_role;
