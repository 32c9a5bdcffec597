-- An access token outlives its user by up to an hour. Nobody who is gone gets a customer at Stripe again.

create function public.require_user(p_user_id uuid) returns void
language plpgsql
-- auth.users is closed to the secret key's role.
security definer
set search_path = ''
as $$
begin
  if not exists (select from auth.users u where u.id = p_user_id) then
    perform billing.raise_http(401, 'unauthorized', 'This account does not exist any more.');
  end if;
end;
$$;

comment on function public.require_user(uuid) is
  'Refuses with 401 unauthorized when there is no such user: asked before a customer is created at Stripe.';

revoke all on function public.require_user(uuid) from public, anon, authenticated, service_role;
grant execute on function public.require_user(uuid) to service_role;
