-- What comes back after somebody has left.
--
-- A creator who has asked to be deleted stays closed, and one who is gone stays nameless, whatever Stripe says of the connected
-- account afterwards. The account outlives both (Stripe pays out what was earned), so its events go on coming, and a snapshot
-- would open the shop again and write the person's name into every listing.

create function billing.stay_left() returns trigger
language plpgsql
-- Definer: the record of the deletion is nobody's to read.
security definer
set search_path = ''
as $$
begin
  if new.user_id is null or billing.is_leaving(new.user_id) then
    new.status := 'closed';
    new.paused_reason := 'The creator has left.';
  end if;
  if new.user_id is null then
    new.display_name := 'A former creator';
    new.requirements := '{}';
    new.country := null;
  end if;
  return new;
end;
$$;

comment on function billing.stay_left() is
  'Whoever leaves sells nothing any more, and of whoever has left there is no name, no country and nothing that Stripe wants.';

revoke all on function billing.stay_left() from public, anon, authenticated, service_role;

-- In the order of their names: after sellers_before_update_close, which an active one would reopen.
create trigger sellers_before_update_stay_left before update on public.sellers
  for each row execute function billing.stay_left();

-- A payment that was on its way when its buyer left (a bank debit takes days) arrives for nobody. It was agreed to, so nothing
-- gives it back by itself; an operator is told, and billing.refund_purchase() gives it back.

create function billing.tell_paid_for_nobody() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform billing.report_problem('paid_after_deletion', new.id::text, jsonb_build_object(
    'amount_minor', new.amount_minor, 'currency', new.currency, 'listing', new.listing_id
  ));
  return null;
end;
$$;

comment on function billing.tell_paid_for_nobody() is 'A purchase was paid whose buyer is gone: an operator decides.';

revoke all on function billing.tell_paid_for_nobody() from public, anon, authenticated, service_role;

create trigger purchases_after_paid_tell_nobody after update of paid_at on public.purchases
  for each row when (old.paid_at is null and new.paid_at is not null and new.buyer_id is null)
  execute function billing.tell_paid_for_nobody();

-- Whatever is synced later (a refund, a dispute) would bring links back, to the receipt for one, which shows who paid.

create function billing.forget_links() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  -- Whichever there are, also those of columns to come.
  return jsonb_populate_record(new, (
    select jsonb_object_agg(k.name, null) from jsonb_object_keys(to_jsonb(new)) k (name) where k.name like '%\_url'
  ));
end;
$$;

comment on function billing.forget_links() is 'A purchase of nobody has no links: the pages at Stripe show a name and an address.';

revoke all on function billing.forget_links() from public, anon, authenticated, service_role;

create trigger purchases_before_write_forget_links before insert or update on public.purchases
  for each row when (new.buyer_id is null) execute function billing.forget_links();

-- What an operator was told about a person stands in billing.problems under ids of theirs, with details that may quote Stripe: a
-- receipt's link, an error with an address. And Auth keeps sign-ins that were begun, with a provider's tokens, without a foreign
-- key.

create function billing.forget_in_problems(p_user_id uuid, p_email text) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- Before anything of theirs is taken off them.
  v_subjects constant text[] := array(
    select d.stripe_customer_id from billing.deletions d where d.user_id = p_user_id
    union select d.stripe_account_id from billing.deletions d where d.user_id = p_user_id
    union select c.stripe_customer_id from public.customers c where c.user_id = p_user_id
    union select s.id from public.subscriptions s where s.user_id = p_user_id
    union select i.id from public.invoices i where i.user_id = p_user_id
    union select p.id::text from public.purchases p where p.buyer_id = p_user_id
  );
begin
  delete from billing.problems p where p.subject = p_user_id::text;
  update billing.problems p set details = '{}'
  where p.subject = any (v_subjects)
    or p.details ->> 'stripe_customer_id' = any (v_subjects)
    or strpos(p.details::text, p_user_id::text) > 0
    or strpos(lower(p.details::text), lower(nullif(p_email, ''))) > 0;
end;
$$;

comment on function billing.forget_in_problems(uuid, text) is
  'Of what operators were told about a person only what kind it was and when stays.';

create function billing.forget_in_inbox(p_user_id uuid) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_customers constant text[] := array(
    select d.stripe_customer_id from billing.deletions d where d.user_id = p_user_id
    union select c.stripe_customer_id from public.customers c where c.user_id = p_user_id
    -- Customers that came before: one that was removed at Stripe was replaced.
    union select unnest(l.stripe_ids) from billing.audit_log l
    where l.user_id = p_user_id and l.action like 'billing.customer.%'
  );
  v_account constant text := (select d.stripe_account_id from billing.deletions d where d.user_id = p_user_id);
  v_purchases constant uuid[] := array(select p.id from public.purchases p where p.buyer_id = p_user_id);
begin
  update billing.stripe_events e set payload = null
  where e.payload is not null and (
    e.stripe_customer_id = any (v_customers) or e.stripe_account_id = v_account or e.purchase_id = any (v_purchases)
  );
end;
$$;

comment on function billing.forget_in_inbox(uuid) is
  'Of a person''s events only the fact stays, also of those of a Stripe customer they had before.';

create or replace function billing.forget_in_auth_log(p_user_id uuid, p_email text) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Hosted Auth may keep a log with addresses in it; not every version has the table or lets us write it.
  if to_regclass('auth.audit_log_entries') is not null then
    execute 'delete from auth.audit_log_entries e where e.payload ->> ''actor_id'' = $1 or e.payload ->> ''actor_username'' = $2'
      using p_user_id::text, p_email;
  end if;
  -- Sign-ins that were begun, with a provider's tokens; Auth gives this table no foreign key.
  if to_regclass('auth.flow_state') is not null then
    execute 'delete from auth.flow_state f where f.user_id = $1' using p_user_id;
  end if;
exception when insufficient_privilege then
  perform billing.report_problem('auth_log_kept', p_user_id::text);
end;
$$;

comment on function billing.forget_in_auth_log(uuid, text) is 'Removes what Auth has kept about a person outside their row.';

create or replace function public.erase_person(p_user_id uuid, p_stripe_customer_id text) returns boolean
language plpgsql
-- Definer: removes the row of auth.users; see public.request_deletion().
security definer
set search_path = ''
as $$
declare
  v_deletion billing.deletions;
  v_email text;
begin
  -- In the order of public.apply_customer_snapshot(), which may be at it for a last event: the person comes third there.
  perform from billing.sync_state s where s.user_id = p_user_id for update;
  perform from public.customers c where c.user_id = p_user_id for update;
  perform billing.lock_person(p_user_id);
  -- And in that of public.apply_seller_snapshot(): the seller before their events.
  perform from public.sellers s where s.user_id = p_user_id for update;
  select * into v_deletion from billing.deletions d where d.user_id = p_user_id for no key update;
  if v_deletion.user_id is null or v_deletion.finished_at is not null then
    return v_deletion.finished_at is not null;
  end if;
  -- Only whose billing has ended, for the customer that it ended for.
  if not v_deletion.steps ? 'billing_ended' or exists (
    select from public.customers c
    where c.user_id = p_user_id and c.stripe_customer_id is distinct from p_stripe_customer_id
  ) then
    return false;
  end if;
  select u.email into v_email from auth.users u where u.id = p_user_id;
  perform billing.forget_in_problems(p_user_id, v_email);
  perform billing.forget_in_inbox(p_user_id);
  perform billing.forget_in_auth_log(p_user_id, v_email);

  -- Kept without the person. The pages at Stripe show a name and an address, so their links go.
  update public.invoices i set user_id = null, hosted_invoice_url = null, invoice_pdf = null where i.user_id = p_user_id;
  update public.purchases p set buyer_id = null where p.buyer_id = p_user_id;
  delete from public.listing_pictures i using public.listings l, public.sellers s
  where i.listing_id = l.id and l.seller_id = s.id and s.user_id = p_user_id;
  -- The name and all that is in the row goes with the id; see billing.stay_left().
  update public.sellers s set user_id = null where s.user_id = p_user_id;

  -- Removed. Everything else goes with the user, by its foreign key.
  delete from public.subscriptions s where s.user_id = p_user_id;
  delete from billing.reconcile_queue q where q.stripe_customer_id = v_deletion.stripe_customer_id;
  delete from billing.drifts f where f.stripe_customer_id = v_deletion.stripe_customer_id;
  delete from public.customers c where c.user_id = p_user_id;
  delete from auth.refresh_tokens t where t.user_id::text = p_user_id::text;
  delete from auth.users u where u.id = p_user_id;

  update billing.deletions d
  set steps = jsonb_build_object('erased', now()) || d.steps, last_error = null, next_attempt_at = null, finished_at = now()
  where d.user_id = p_user_id;
  return true;
end;
$$;

revoke all on function billing.forget_in_problems(uuid, text), billing.forget_in_inbox(uuid)
  from public, anon, authenticated, service_role;
