-- Credit that a customer has at Stripe is taken off the next invoice, whatever it is for: a month may be charged less than its
-- price. What decides is the price the subscription has now, which somebody could have changed in the portal.

create or replace function billing.purchase_misfit(p_purchase public.purchases, p_snapshot jsonb) returns text
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
      or (p_snapshot -> 'subscription' ->> 'amount_minor')::bigint <> p_purchase.amount_minor
      or exists (
        select from jsonb_array_elements(p_snapshot -> 'charges') e
        where e.value ->> 'status' = 'succeeded' and (
          case when p_purchase.kind = 'monthly' and p_snapshot -> 'subscription' ? 'amount_minor'
            then (e.value ->> 'amount_minor')::bigint > p_purchase.amount_minor
            else (e.value ->> 'amount_minor')::bigint <> p_purchase.amount_minor end
          or e.value ->> 'currency' <> p_purchase.currency
        )
      ) then 'amount'
  end;
$$;
