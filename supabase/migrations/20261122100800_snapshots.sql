-- How Stripe's truth gets in: link the customer once, take a token, fetch, apply the snapshot.
--
-- These are for the Edge Functions with the secret key. They are definer functions so that the secret key
-- itself needs no write access to any billing table: what it may do is what these functions do.

create function public.link_customer(p_user_id uuid, p_stripe_customer_id text) returns text
language plpgsql
-- Definer: see the top of this file.
security definer
set search_path = ''
as $$
declare
  v_linked text;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.require(p_stripe_customer_id ~ '^cus_\w+$', 'p_stripe_customer_id is not a customer id');
  insert into public.customers (user_id, stripe_customer_id)
  values (p_user_id, p_stripe_customer_id)
  on conflict (user_id) do nothing;
  select c.stripe_customer_id into strict v_linked
  from public.customers c where c.user_id = p_user_id;
  return v_linked;
end;
$$;

comment on function public.link_customer(uuid, text) is
  'Links a user to a Stripe customer and returns the customer that is linked: the first one wins, so two '
  'tabs get the same. A customer that is somebody else''s is a unique violation (23505).';

create function public.next_sync_token() returns bigint
language sql
-- Definer: see the top of this file.
security definer
set search_path = ''
as $$
  select nextval('billing.sync_token_seq');
$$;

comment on function public.next_sync_token() is 'Take it before fetching; apply the snapshot with it.';

create function billing.store_subscriptions(p_user_id uuid, p_subscriptions jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_given integer;
  v_stored integer;
begin
  select count(*) into v_given from jsonb_array_elements(p_subscriptions);
  insert into public.subscriptions as s (
    id, user_id, status, price_lookup_key, plan_id, quantity, currency, current_period_start,
    current_period_end, cancel_at, cancel_at_period_end, canceled_at, ended_at, trial_end,
    stripe_created_at, synced_at
  )
  select
    r.id, p_user_id, r.status, r.price_lookup_key, p.plan_id, coalesce(r.quantity, 1), r.currency,
    r.current_period_start, r.current_period_end, r.cancel_at, coalesce(r.cancel_at_period_end, false),
    r.canceled_at, r.ended_at, r.trial_end, r.created, now()
  from jsonb_to_recordset(p_subscriptions) as r (
    id text, status text, price_lookup_key text, quantity integer, currency text,
    current_period_start timestamptz, current_period_end timestamptz, cancel_at timestamptz,
    cancel_at_period_end boolean, canceled_at timestamptz, ended_at timestamptz, trial_end timestamptz,
    created timestamptz
  )
  left join public.prices p on p.lookup_key = r.price_lookup_key
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
    synced_at = excluded.synced_at
  where s.user_id = excluded.user_id;
  get diagnostics v_stored = row_count;
  -- Stripe never moves a subscription to another customer; if it looks so, we must not guess.
  perform billing.require(v_stored = v_given, 'a subscription belongs to another customer');
  delete from public.subscriptions s
  where s.user_id = p_user_id
    and s.id not in (select e.value ->> 'id' from jsonb_array_elements(p_subscriptions) e);
end;
$$;

comment on function billing.store_subscriptions(uuid, jsonb) is
  'Makes the stored subscriptions of a customer equal to the list.';

create function billing.refresh_entitlement(p_user_id uuid) returns text
language plpgsql
set search_path = ''
as $$
declare
  v_best record;
begin
  select s.id, s.plan_id into v_best
  from public.subscriptions s
  join billing.access_statuses a on a.status = s.status and a.grants_access
  join public.plans p on p.id = s.plan_id
  where s.user_id = p_user_id
  order by p.rank desc, s.stripe_created_at desc nulls last, s.id desc
  limit 1;
  if not found then
    delete from public.entitlements e where e.user_id = p_user_id and e.source = 'subscription';
  else
    insert into public.entitlements as e (user_id, plan_id, source, subscription_id)
    values (p_user_id, v_best.plan_id, 'subscription', v_best.id)
    on conflict (user_id) do update set
      plan_id = excluded.plan_id,
      source = excluded.source,
      subscription_id = excluded.subscription_id,
      updated_at = now()
    where (e.plan_id, e.source, e.subscription_id)
      is distinct from (excluded.plan_id, excluded.source, excluded.subscription_id);
  end if;
  return billing.current_plan(p_user_id);
end;
$$;

comment on function billing.refresh_entitlement(uuid) is
  'Derives the entitlement from the stored subscriptions: of those that grant access, the highest plan.';

create function billing.current_plan(p_user_id uuid) returns text
language sql stable
set search_path = ''
as $$
  select coalesce(
    (select e.plan_id from public.entitlements e where e.user_id = p_user_id),
    (select p.id from public.plans p where p.is_default)
  );
$$;

comment on function billing.current_plan(uuid) is 'The plan a user is on.';

create function billing.check_subscriptions(p_user_id uuid, p_stripe_customer_id text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_seen text[] := '{}'::text[];
  v_row record;
begin
  for v_row in
    select 'unknown_status' as kind, s.id as subject, jsonb_build_object('status', s.status) as details
    from public.subscriptions s
    where s.user_id = p_user_id
      and not exists (select from billing.access_statuses a where a.status = s.status)
    union all
    select 'unknown_price', s.id, jsonb_build_object('price_lookup_key', s.price_lookup_key)
    from public.subscriptions s
    left join billing.access_statuses a on a.status = s.status
    where s.user_id = p_user_id and s.plan_id is null and coalesce(a.grants_access, true)
    union all
    select 'several_live_subscriptions', p_stripe_customer_id,
      jsonb_build_object('subscriptions', jsonb_agg(s.id order by s.id))
    from public.subscriptions s
    join billing.access_statuses a on a.status = s.status and a.grants_access
    where s.user_id = p_user_id
    having count(*) > 1
  loop
    perform billing.report_problem(
      v_row.kind, v_row.subject,
      v_row.details || jsonb_build_object('stripe_customer_id', p_stripe_customer_id)
    );
    v_seen := v_seen || (v_row.kind || ' ' || v_row.subject);
  end loop;
  update billing.problems p set resolved_at = now()
  where p.kind in ('unknown_status', 'unknown_price', 'several_live_subscriptions')
    and p.details ->> 'stripe_customer_id' = p_stripe_customer_id
    and p.resolved_at is null
    and p.kind || ' ' || p.subject <> all (v_seen);
end;
$$;

comment on function billing.check_subscriptions(uuid, text) is
  'Reports what in a snapshot we do not understand, and resolves what is no longer so.';

create function public.apply_customer_snapshot(
  p_stripe_customer_id text, p_token bigint, p_subscriptions jsonb
) returns jsonb
language plpgsql
-- Definer: see the top of this file.
security definer
set search_path = ''
as $$
declare
  v_user_id uuid;
  v_plan text;
begin
  perform billing.require(p_stripe_customer_id <> '', 'p_stripe_customer_id is missing');
  -- A token from nowhere could be higher than all to come, and shut the customer out for ever.
  perform billing.require(
    p_token between 1 and (select q.last_value from billing.sync_token_seq q),
    'p_token is not one of next_sync_token()'
  );
  perform billing.require(jsonb_typeof(p_subscriptions) = 'array', 'p_subscriptions is not a list');
  perform billing.require(
    (
      select count(*) = count(distinct e.value ->> 'id')
        and count(*) = count(*) filter (where e.value ->> 'id' <> '' and e.value ->> 'status' <> '')
      from jsonb_array_elements(p_subscriptions) e
    ),
    'every subscription needs an id of its own and a status'
  );

  select c.user_id into v_user_id
  from public.customers c where c.stripe_customer_id = p_stripe_customer_id;
  if not found then
    perform billing.report_problem('unknown_customer', p_stripe_customer_id);
    return jsonb_build_object('applied', false, 'reason', 'unknown_customer', 'plan', null);
  end if;

  -- The row lock taken here also makes snapshots of one customer wait for each other.
  insert into billing.sync_state as s (user_id, last_token) values (v_user_id, p_token)
  on conflict (user_id) do update set last_token = excluded.last_token, applied_at = now()
  where s.last_token < excluded.last_token;
  if not found then
    return jsonb_build_object(
      'applied', false, 'reason', 'stale_token', 'plan', billing.current_plan(v_user_id)
    );
  end if;

  perform billing.store_subscriptions(v_user_id, p_subscriptions);
  v_plan := billing.refresh_entitlement(v_user_id);
  perform billing.check_subscriptions(v_user_id, p_stripe_customer_id);
  return jsonb_build_object('applied', true, 'reason', null, 'plan', v_plan);
end;
$$;

comment on function public.apply_customer_snapshot(text, bigint, jsonb) is
  'Replaces what we know of a customer''s subscriptions by the full list fetched after p_token was taken, '
  'and derives the entitlement and the allowances, all in one transaction. An older token, or the same '
  'again, does nothing. Answers {applied, reason: stale_token | unknown_customer | null, plan}.';

revoke all on function public.link_customer(uuid, text), public.next_sync_token(),
  public.apply_customer_snapshot(text, bigint, jsonb),
  billing.store_subscriptions(uuid, jsonb), billing.refresh_entitlement(uuid),
  billing.current_plan(uuid), billing.check_subscriptions(uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.link_customer(uuid, text), public.next_sync_token(),
  public.apply_customer_snapshot(text, bigint, jsonb) to service_role;
