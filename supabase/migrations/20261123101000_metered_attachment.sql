-- Which metered items a subscription should have at Stripe and does not. The RPC set_overage() says yes here; a function
-- (or, if it is never called, usage-sync) then puts the items there. Until the snapshot shows them nothing is admitted.

create function public.wanted_metered_items(p_stripe_customer_id text)
returns table (
  subscription_id text, metric_id text, lookup_key text, currency text, unit_amount_minor numeric, item_id text
)
language sql stable
-- Definer: the secret key reads neither accounts nor items, only this.
security definer
set search_path = ''
as $$
  select s.subscription_id, o.metric_id, o.lookup_key, o.currency, o.unit_amount_minor, i.item_id
  from public.customers c
  join billing.overage_accounts a on a.user_id = c.user_id and a.enabled
  join lateral billing.metered_subscription(c.user_id) s
    on s.billable and s.subscription_id = a.subscription_id
  join public.overage_prices o on o.plan_id = s.plan_id and o.is_active
  left join billing.metered_items i on i.subscription_id = s.subscription_id and i.metric_id = o.metric_id
  where c.stripe_customer_id = p_stripe_customer_id
    and i.price_lookup_key is distinct from o.lookup_key
  order by o.metric_id;
$$;

comment on function public.wanted_metered_items(text) is
  'The metered prices of the plan that a customer said yes to and whose items are missing (item_id null) or of another '
  'plan''s price. Amounts in minor units of the price''s own currency.';

create function public.customers_without_metered_items(p_limit integer default 100)
returns setof text
language sql stable
-- Definer: see above.
security definer
set search_path = ''
as $$
  select c.stripe_customer_id
  from billing.overage_accounts a
  join public.customers c on c.user_id = a.user_id
  where a.enabled
    and exists (select from public.wanted_metered_items(c.stripe_customer_id))
  order by a.updated_at, c.stripe_customer_id
  limit p_limit;
$$;

comment on function public.customers_without_metered_items(integer) is
  'Customers who said yes and whose subscription does not have the right metered items yet.';

revoke all on function public.wanted_metered_items(text), public.customers_without_metered_items(integer)
  from public, anon, authenticated, service_role;
grant execute on function public.wanted_metered_items(text), public.customers_without_metered_items(integer)
  to service_role;
