-- A customer that Stripe does not know any more (deleted in the dashboard, or made with another account's key)
-- must not lock its person out: the next checkout binds them to a new one.

create function public.relink_customer(p_user_id uuid, p_gone text, p_stripe_customer_id text)
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
  select c.stripe_customer_id into v_linked from public.customers c where c.user_id = p_user_id;
  perform billing.require(v_linked is not null, 'the user has no customer');
  return v_linked;
end;
$$;

comment on function public.relink_customer(uuid, text, text) is
  'Replaces the customer p_gone of a user and returns the one that is linked now: of two callers the first '
  'wins. The next snapshot removes what belonged to the old one.';

revoke all on function public.relink_customer(uuid, text, text)
  from public, anon, authenticated, service_role;
grant execute on function public.relink_customer(uuid, text, text) to service_role;
