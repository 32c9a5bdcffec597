-- A first month that credit of the buyer's at Stripe paid for wholly has no charge. It is paid all the same: the licence lives,
-- and an operator is told, because without a charge nothing was transferred to the creator.

create or replace function billing.purchase_state(p_purchase public.purchases)
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
  if found then
    select s.state, s.refunded_minor into status, refunded_minor from billing.charge_state(v_charge.id) s;
    paid_at := v_charge.created_at;
  elsif billing.is_paid_by_credit(p_purchase) then
    status := 'paid';
    refunded_minor := 0;
    paid_at := coalesce(p_purchase.paid_at, now());
  else
    status := billing.unpaid_status(p_purchase);
    refunded_minor := 0;
    holds := status in ('open', 'processing');
    return next;
    return;
  end if;
  holds := status in ('paid', 'partially_refunded', 'disputed');
  licence := case status when 'lost' then 'revoked' when 'refunded' then 'revoked' when 'disputed' then 'suspended'
    else 'active' end;
  reason := case status when 'lost' then 'dispute_lost' when 'refunded' then 'refunded'
    when 'disputed' then 'dispute_open' end;
  if p_purchase.kind = 'monthly' then
    select * into v_monthly from billing.monthly_right(p_purchase, paid_at);
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

create function billing.is_paid_by_credit(p_purchase public.purchases) returns boolean
language sql stable
set search_path = ''
as $$
  select p_purchase.kind = 'monthly' and p_purchase.session_status = 'complete'
    and p_purchase.payment_status in ('paid', 'no_payment_required')
    -- Once it was, it has been: what becomes of the subscription later is monthly_right()'s.
    and (p_purchase.subscription_status = 'active' or p_purchase.paid_at is not null);
$$;

comment on function billing.is_paid_by_credit(public.purchases) is
  'Whether a monthly licence without any charge is one whose month was paid for out of the buyer''s credit at Stripe.';

create function billing.tell_credit_sale() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if not exists (
    select from billing.purchase_charges c where c.purchase_id = new.id and c.status = 'succeeded'
  ) then
    perform billing.report_problem('licence_paid_by_credit', new.id::text, jsonb_build_object(
      'seller', new.seller_id, 'amount_minor', new.amount_minor, 'currency', new.currency, 'fee_minor', new.fee_minor
    ));
  end if;
  return null;
end;
$$;

comment on function billing.tell_credit_sale() is 'A sale that was paid without a charge: nothing went to the creator, an operator decides.';

create trigger purchases_after_paid_tell_credit after update of paid_at on public.purchases
  for each row when (old.paid_at is null and new.paid_at is not null and new.kind = 'monthly')
  execute function billing.tell_credit_sale();

revoke all on function billing.is_paid_by_credit(public.purchases), billing.tell_credit_sale()
  from public, anon, authenticated, service_role;
