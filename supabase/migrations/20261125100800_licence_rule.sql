-- From what Stripe says to a licence: one rule, here and nowhere else.
--
-- The latest payment decides. Lost in a dispute or refunded in full: revoked. Disputed: suspended. Otherwise active; of a
-- monthly licence until its period is over, and while a renewal is late for the grace period.

create function billing.charge_state(p_charge_id text) returns table (state text, refunded_minor bigint)
language sql stable
set search_path = ''
as $$
  with sums as (
    select c.amount_minor,
      -- Pending counts: the money is on its way back.
      coalesce((
        select sum(r.amount_minor) from billing.purchase_refunds r
        where r.charge_id = c.id and r.status not in ('failed', 'canceled')
      ), 0)::bigint as refunded,
      array(
        select coalesce(s.effect, 'open') from billing.purchase_disputes d
        left join billing.dispute_statuses s on s.status = d.status
        where d.charge_id = c.id
      ) as effects
    from billing.purchase_charges c where c.id = p_charge_id
  )
  select case
    when 'lost' = any (s.effects) then 'lost'
    when s.refunded >= s.amount_minor then 'refunded'
    when 'open' = any (s.effects) then 'disputed'
    when s.refunded > 0 then 'partially_refunded'
    else 'paid'
  end, s.refunded
  from sums s;
$$;

comment on function billing.charge_state(text) is
  'What became of a payment: lost, refunded, disputed, partially_refunded or paid, and how much was refunded.';

create function billing.unpaid_status(p_purchase public.purchases) returns text
language sql stable
set search_path = ''
as $$
  select case
    when p_purchase.subscription_status in ('incomplete_expired', 'canceled') then 'failed'
    when p_purchase.session_status = 'expired' then 'expired'
    when p_purchase.session_status = 'complete' and (
      select c.status from billing.purchase_charges c
      where c.purchase_id = p_purchase.id order by c.created_at desc, c.id desc limit 1
    ) = 'failed' and p_purchase.kind = 'one_time' then 'failed'
    when p_purchase.session_status = 'complete' then 'processing'
    -- Over is over: a session that is still open for a moment does not begin it again.
    when p_purchase.status in ('expired', 'failed') then p_purchase.status
    else 'open'
  end;
$$;

comment on function billing.unpaid_status(public.purchases) is 'The status of a purchase that no payment has succeeded for.';

create function billing.monthly_right(p_purchase public.purchases, p_paid_at timestamptz)
returns table (status text, reason text, valid_until timestamptz)
language sql stable
set search_path = ''
as $$
  with period as (
    select coalesce(p_purchase.current_period_end, p_paid_at + interval '1 month') as ends_at,
      p_purchase.past_due_since + billing.grace_period() as grace_ends_at
  )
  select
    case p_purchase.subscription_status
      when 'active' then 'active' when 'trialing' then 'active' when 'canceled' then 'canceled' else 'past_due'
    end,
    case when p_purchase.subscription_status in ('active', 'trialing', 'canceled') and p_purchase.past_due_since is null
      then 'canceled' else 'payment_failed' end,
    case
      when p_purchase.subscription_status in ('active', 'trialing') then
        case when p_purchase.cancel_at_period_end or p_purchase.cancel_at is not null
          then least(p_purchase.cancel_at, p.ends_at)
          -- A day at least, whatever the grace: Stripe itself takes an hour to renew.
          else p.ends_at + greatest(billing.grace_period(), interval '1 day') end
      -- The period that has begun is not paid, so its end says nothing.
      when p_purchase.subscription_status in ('past_due', 'canceled') then coalesce(p.grace_ends_at, p.ends_at)
      -- unpaid, paused, incomplete, and whatever we do not know: nothing.
      else '-infinity'
    end
  from period p;
$$;

comment on function billing.monthly_right(public.purchases, timestamptz) is
  'Of a monthly licence that was paid: the status of the purchase, until when it is worth something, and why not after that.';

create function billing.purchase_state(p_purchase public.purchases)
returns table (
  status text, licence text, reason text, valid_until timestamptz, refunded_minor bigint, paid_at timestamptz, holds boolean
)
language plpgsql stable
set search_path = ''
as $$
declare
  v_charge billing.purchase_charges;
  v_monthly record;
begin
  select * into v_charge from billing.purchase_charges c
  where c.purchase_id = p_purchase.id and c.status = 'succeeded' order by c.created_at desc, c.id desc limit 1;
  if not found then
    status := billing.unpaid_status(p_purchase);
    refunded_minor := 0;
    holds := status in ('open', 'processing');
    return next;
    return;
  end if;
  select s.state, s.refunded_minor into status, refunded_minor from billing.charge_state(v_charge.id) s;
  paid_at := v_charge.created_at;
  holds := status in ('paid', 'partially_refunded', 'disputed');
  licence := case status when 'lost' then 'revoked' when 'refunded' then 'revoked' when 'disputed' then 'suspended'
    else 'active' end;
  reason := case status when 'lost' then 'dispute_lost' when 'refunded' then 'refunded'
    when 'disputed' then 'dispute_open' end;
  if p_purchase.kind = 'monthly' then
    select * into v_monthly from billing.monthly_right(p_purchase, v_charge.created_at);
    valid_until := v_monthly.valid_until;
    -- As long as Stripe goes on charging, a second one must not begin.
    holds := p_purchase.subscription_status not in ('canceled', 'incomplete_expired');
    if licence = 'active' then
      status := v_monthly.status;
      if coalesce(valid_until <= now(), false) then
        licence := 'revoked';
        reason := v_monthly.reason;
      end if;
    end if;
  end if;
  return next;
end;
$$;

comment on function billing.purchase_state(public.purchases) is
  'THE RULE: status and licence of a purchase from its charges, refunds, disputes and subscription. licence is null while '
  'nothing was paid.';

create function billing.take_hold(p_purchase public.purchases, out holds boolean, out stale_session_id text)
language plpgsql
set search_path = ''
as $$
declare
  v_other public.purchases;
begin
  holds := true;
  select * into v_other from public.purchases p
  where p.buyer_id = p_purchase.buyer_id and p.listing_id = p_purchase.listing_id and p.holds and p.id <> p_purchase.id
  for no key update;
  if not found then
    return;
  end if;
  if v_other.status = 'open' then
    stale_session_id := v_other.checkout_session_id;
    update public.purchases p
    set status = 'expired', holds = false, due_at = case when stale_session_id is not null then p.due_at end
    where p.id = v_other.id;
    return;
  end if;
  holds := false;
  perform billing.report_problem('paid_twice', p_purchase.id::text, jsonb_build_object('other', v_other.id));
end;
$$;

comment on function billing.take_hold(public.purchases) is
  'A purchase that was given up is paid after all (a session that was still open, a refund that failed): an unfinished other one '
  'ends, and its session with it; that two are paid is told to an operator.';

create function billing.purchase_due(p_purchase public.purchases) returns timestamptz
language sql stable
set search_path = ''
as $$
  select least(
    -- Waiting for a payment: the longer it takes, the more rarely we ask. Stripe gives up long before 60 days.
    case when p_purchase.status in ('open', 'processing', 'expired') and p_purchase.checkout_session_id is not null
        and coalesce(p_purchase.session_status, 'open') <> 'expired' and p_purchase.created_at > now() - interval '60 days'
      then now() + greatest(interval '4 minutes', (now() - p_purchase.created_at) / 10) end,
    case when p_purchase.status = 'open' and p_purchase.checkout_session_id is null
      then p_purchase.created_at + interval '25 hours' end,
    -- A month that is over, or a payment that is late.
    case when p_purchase.kind = 'monthly' and p_purchase.stripe_subscription_id is not null
        and p_purchase.subscription_status not in ('canceled', 'incomplete_expired')
      then case when p_purchase.past_due_since is not null then now() + interval '1 hour'
        else greatest(p_purchase.current_period_end, now() + interval '1 hour') end end,
    case when exists (
      select from billing.purchase_disputes d left join billing.dispute_statuses s on s.status = d.status
      where d.purchase_id = p_purchase.id
        and (coalesce(s.effect, 'open') = 'open' or d.status in ('warning_needs_response', 'warning_under_review'))
    ) then now() + interval '1 hour' end,
    case when exists (
      select from billing.purchase_refunds r
      where r.purchase_id = p_purchase.id and r.status in ('pending', 'requires_action')
    ) then now() + interval '1 hour' end
  );
$$;

comment on function billing.purchase_due(public.purchases) is
  'When to look at a purchase again because an event may have been lost; null: nothing is expected.';

create function billing.refresh_licence(p_purchase_id uuid) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_purchase public.purchases;
  v_state record;
  v_stale text;
begin
  select * into strict v_purchase from public.purchases p where p.id = p_purchase_id for no key update;
  select * into v_state from billing.purchase_state(v_purchase);
  if v_purchase.problem is not null then
    v_state.licence := case when v_state.licence is not null then 'revoked' end;
    v_state.reason := coalesce(v_state.reason, 'payment_failed');
  end if;
  if v_state.holds and not v_purchase.holds then
    select h.holds, h.stale_session_id into v_state.holds, v_stale from billing.take_hold(v_purchase) h;
  end if;
  update public.purchases p set
    status = v_state.status, holds = v_state.holds, refunded_minor = v_state.refunded_minor,
    paid_at = coalesce(p.paid_at, v_state.paid_at)
  where p.id = p_purchase_id;
  update public.purchases p set due_at = billing.purchase_due(p) where p.id = p_purchase_id;
  if v_purchase.paid_at is null and v_state.paid_at is not null then
    update public.listings l set sales_count = l.sales_count + 1 where l.id = v_purchase.listing_id;
  end if;
  perform billing.write_licence(v_purchase, v_state.licence, v_state.reason, v_state.valid_until);
  return jsonb_build_object(
    'status', v_state.status, 'licence', v_state.licence, 'stale_session_id', v_stale
  );
end;
$$;

comment on function billing.refresh_licence(uuid) is
  'Derives status and licence of a purchase: {status, licence, stale_session_id}. The caller holds billing.lock_person().';

create function billing.write_licence(
  p_purchase public.purchases, p_status text, p_reason text, p_valid_until timestamptz
) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Nobody to own it, or nothing was paid and nothing is there.
  if p_purchase.buyer_id is null or p_status is null then
    return;
  end if;
  insert into public.licences as l (user_id, listing_id, purchase_id, status, reason, valid_until)
  values (
    p_purchase.buyer_id, p_purchase.listing_id, p_purchase.id, p_status,
    case when p_status <> 'active' then p_reason end, nullif(p_valid_until, '-infinity')
  )
  on conflict (purchase_id) do update set
    status = excluded.status, reason = excluded.reason, valid_until = excluded.valid_until
  where (l.status, l.reason, l.valid_until) is distinct from (excluded.status, excluded.reason, excluded.valid_until);
  if found and exists (
    select from public.listings i where i.id = p_purchase.listing_id and i.grants_metric_id is not null
  ) then
    perform billing.refresh_counters(p_purchase.buyer_id);
  end if;
end;
$$;

comment on function billing.write_licence(public.purchases, text, text, timestamptz) is
  'Makes the licence what the rule says, and the limits with it.';

revoke all on function billing.charge_state(text), billing.purchase_due(public.purchases), billing.unpaid_status(public.purchases),
  billing.monthly_right(public.purchases, timestamptz), billing.purchase_state(public.purchases),
  billing.take_hold(public.purchases), billing.refresh_licence(uuid),
  billing.write_licence(public.purchases, text, text, timestamptz)
  from public, anon, authenticated, service_role;
