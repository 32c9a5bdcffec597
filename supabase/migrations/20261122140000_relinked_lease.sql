-- A person who is bound to another customer (public.relink_customer) starts with a free lease: whoever is
-- syncing the old customer can no longer find it to give it back, and the new one's events would wait for it.

create function billing.customer_relinked() returns trigger
language plpgsql
-- Definer: whoever may bind a customer need not be able to write the sync state.
security definer
set search_path = ''
as $$
begin
  update billing.sync_state s set lease_token = null, lease_until = null where s.user_id = new.user_id;
  return null;
end;
$$;

comment on function billing.customer_relinked() is 'Frees the lease of a person whose customer was replaced.';

revoke all on function billing.customer_relinked() from public, anon, authenticated, service_role;

create trigger customers_after_update_release after update of stripe_customer_id on public.customers
  for each row when (old.stripe_customer_id <> new.stripe_customer_id)
  execute function billing.customer_relinked();
