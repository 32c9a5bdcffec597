-- How Stripe's truth about a purchase gets in. Facts (money that moved) are posted whatever the token says, since they are
-- for ever; everything else only when the snapshot is newer than the one applied last.

create function billing.purchase_misfit(p_purchase public.purchases, p_snapshot jsonb) returns text
language sql stable
set search_path = ''
as $$
  select case
    when p_snapshot ->> 'customer' <> p_purchase.stripe_customer_id then 'customer'
    when exists (
      select from public.purchases o
      where o.id <> p_purchase.id and (
        o.payment_intent_id = p_snapshot ->> 'payment_intent_id'
        or o.stripe_subscription_id = p_snapshot -> 'subscription' ->> 'id'
      )
    ) or exists (
      select from billing.purchase_charges c join jsonb_array_elements(p_snapshot -> 'charges') e
        on e.value ->> 'id' = c.id
      where c.purchase_id <> p_purchase.id
    ) then 'bound_elsewhere'
    when p_snapshot ->> 'currency' <> p_purchase.currency
      or (p_snapshot ->> 'amount_minor')::bigint <> p_purchase.amount_minor
      or exists (
        select from jsonb_array_elements(p_snapshot -> 'charges') e
        where e.value ->> 'status' = 'succeeded' and (
          (e.value ->> 'amount_minor')::bigint <> p_purchase.amount_minor
          or e.value ->> 'currency' <> p_purchase.currency
        )
      ) then 'amount'
  end;
$$;

comment on function billing.purchase_misfit(public.purchases, jsonb) is
  'What of a snapshot does not fit the purchase: customer, bound_elsewhere or amount. Null: it fits.';

create function billing.store_purchase(p_purchase public.purchases, p_snapshot jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- A snapshot of a session that was replaced meanwhile says nothing about the one that is open now.
  v_session constant boolean := coalesce(p_snapshot ->> 'session_id' = p_purchase.checkout_session_id, true);
  v_subscription constant jsonb := nullif(p_snapshot -> 'subscription', 'null');
  v_status constant text := coalesce(v_subscription ->> 'status', p_purchase.subscription_status);
begin
  update public.purchases p set
    problem = null,
    session_status = case when v_session then coalesce(p_snapshot ->> 'session_status', p.session_status)
      else p.session_status end,
    payment_status = case when v_session then coalesce(p_snapshot ->> 'payment_status', p.payment_status)
      else p.payment_status end,
    payment_intent_id = coalesce(p_snapshot ->> 'payment_intent_id', p.payment_intent_id),
    charge_id = coalesce(p_snapshot ->> 'charge_id', p.charge_id),
    receipt_url = coalesce(p_snapshot ->> 'receipt_url', p.receipt_url),
    stripe_subscription_id = coalesce(v_subscription ->> 'id', p.stripe_subscription_id),
    subscription_status = v_status,
    current_period_end = coalesce((v_subscription ->> 'current_period_end')::timestamptz, p.current_period_end),
    cancel_at_period_end = coalesce((v_subscription ->> 'cancel_at_period_end')::boolean, p.cancel_at_period_end),
    cancel_at = case when v_subscription is null then p.cancel_at
      else (v_subscription ->> 'cancel_at')::timestamptz end,
    past_due_since = case
      when v_status in ('active', 'trialing') then null
      when v_status in ('past_due', 'unpaid') then coalesce(p.past_due_since, now())
      else p.past_due_since
    end
  where p.id = p_purchase.id;
  if v_status is not null and not exists (select from billing.access_statuses a where a.status = v_status) then
    perform billing.report_problem(
      'unknown_status', p_purchase.id::text, jsonb_build_object('subscription_status', v_status)
    );
  end if;
  perform billing.store_charges(p_purchase, p_snapshot);
end;
$$;

comment on function billing.store_purchase(public.purchases, jsonb) is 'Keeps what a snapshot says about a purchase.';

create function billing.store_charges(p_purchase public.purchases, p_snapshot jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.purchase_charges as c (id, purchase_id, amount_minor, status, created_at)
  select e.id, p_purchase.id, e.amount_minor, e.status, coalesce(e.created, now())
  from jsonb_to_recordset(p_snapshot -> 'charges') e (id text, amount_minor bigint, status text, created timestamptz)
  on conflict (id) do update set amount_minor = excluded.amount_minor, status = excluded.status
  where c.purchase_id = excluded.purchase_id;
  insert into billing.purchase_refunds as r (id, purchase_id, charge_id, amount_minor, status)
  select e.id, p_purchase.id, e.charge_id, e.amount_minor, e.status
  from jsonb_to_recordset(p_snapshot -> 'refunds') e (id text, charge_id text, amount_minor bigint, status text)
  on conflict (id) do update set amount_minor = excluded.amount_minor, status = excluded.status
  where r.purchase_id = excluded.purchase_id;
  insert into billing.purchase_disputes as d (
    id, purchase_id, charge_id, status, amount_minor, currency, reason, evidence_due_by
  )
  select e.id, p_purchase.id, e.charge_id, e.status, e.amount_minor, coalesce(e.currency, p_purchase.currency), e.reason,
    e.evidence_due_by
  from jsonb_to_recordset(p_snapshot -> 'disputes') e (
    id text, charge_id text, status text, amount_minor bigint, currency text, reason text, evidence_due_by timestamptz
  )
  on conflict (id) do update set
    status = excluded.status, amount_minor = excluded.amount_minor, reason = excluded.reason,
    evidence_due_by = excluded.evidence_due_by
  where d.purchase_id = excluded.purchase_id;
  perform billing.report_problem('unknown_dispute_status', d.id, jsonb_build_object('status', d.status))
  from billing.purchase_disputes d
  where d.purchase_id = p_purchase.id
    and not exists (select from billing.dispute_statuses s where s.status = d.status);
end;
$$;

comment on function billing.store_charges(public.purchases, jsonb) is 'Keeps the charges, refunds and disputes of a snapshot.';

create function billing.check_purchase_snapshot(p_token bigint, p_snapshot jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A token from nowhere could be higher than all to come, and shut the purchase out for ever.
  perform billing.require(
    p_token between 1 and (select q.last_value from billing.sync_token_seq q),
    'p_token is not one of next_sync_token()'
  );
  perform billing.require(jsonb_typeof(p_snapshot) = 'object', 'p_snapshot is not an object');
  perform billing.require(
    (
      select bool_and(jsonb_typeof(coalesce(p_snapshot -> l.name, '[]')) = 'array')
      from unnest(array['charges', 'refunds', 'disputes', 'facts', 'payouts']) l (name)
    ),
    'charges, refunds, disputes, facts and payouts are lists'
  );
end;
$$;

comment on function billing.check_purchase_snapshot(bigint, jsonb) is 'Refuses a snapshot that is not one.';

create function public.apply_purchase_snapshot(p_purchase_id uuid, p_token bigint, p_snapshot jsonb) returns jsonb
language plpgsql
-- Definer: the secret key has no write access to any of these tables, only this.
security definer
set search_path = ''
as $$
declare
  v_snapshot constant jsonb := '{"charges": [], "refunds": [], "disputes": [], "facts": []}'::jsonb
    || jsonb_strip_nulls(p_snapshot);
  v_purchase public.purchases;
  v_misfit text;
  v_applied boolean;
  v_answer jsonb;
begin
  perform billing.check_purchase_snapshot(p_token, p_snapshot);
  perform billing.lock_person(p.buyer_id) from public.purchases p where p.id = p_purchase_id;
  select * into v_purchase from public.purchases p where p.id = p_purchase_id for no key update;
  if not found then
    perform billing.raise_http(404, 'purchase_not_found', 'There is no such purchase.');
  end if;
  v_misfit := billing.purchase_misfit(v_purchase, v_snapshot);
  if v_misfit is null or v_misfit = 'amount' then
    perform billing.post_facts(
      v_snapshot -> 'facts', v_purchase.id, v_purchase.seller_id,
      coalesce(v_snapshot ->> 'charge_id', v_purchase.charge_id)
    );
  end if;
  update public.purchases p set applied_token = p_token, problem = v_misfit
  where p.id = p_purchase_id and p.applied_token < p_token;
  v_applied := found;
  if v_applied and v_misfit is not null then
    perform billing.report_problem(
      'purchase_not_understood', p_purchase_id::text, jsonb_build_object('misfit', v_misfit, 'snapshot', p_snapshot)
    );
  elsif v_applied then
    perform billing.store_purchase(v_purchase, v_snapshot);
    update billing.problems b set resolved_at = now()
    where b.kind = 'purchase_not_understood' and b.subject = p_purchase_id::text and b.resolved_at is null;
  end if;
  v_answer := billing.refresh_licence(p_purchase_id) || jsonb_build_object('applied', v_applied, 'problem', v_misfit);
  if v_applied then
    perform billing.settle_purchase_events(p_purchase_id, p_token);
  end if;
  return v_answer;
end;
$$;

comment on function public.apply_purchase_snapshot(uuid, bigint, jsonb) is
  'Posts the facts of a snapshot fetched after p_token was taken and, unless a newer one was applied, makes purchase and licence '
  'what it says, all in one transaction. Answers {status, licence: active | suspended | revoked | null, applied, problem: '
  'customer | bound_elsewhere | amount | null, stale_session_id: a Checkout session to expire, or null}. 404 '
  'purchase_not_found.';

revoke all on function billing.purchase_misfit(public.purchases, jsonb),
  billing.store_purchase(public.purchases, jsonb), billing.store_charges(public.purchases, jsonb),
  billing.check_purchase_snapshot(bigint, jsonb), public.apply_purchase_snapshot(uuid, bigint, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.apply_purchase_snapshot(uuid, bigint, jsonb) to service_role;
