-- Leaving. A person asks once; from that transaction on they cannot sign in, nothing new can be bought in their name, and a
-- scheduled worker ends their billing at Stripe and then removes them here. What the law has us keep (invoices, the ledgers)
-- stays without the person. The record of the deletion outlives the user: it is the proof, and what keeps late events and
-- requests from bringing anything of them back.

create table billing.deletions (
  user_id uuid primary key,
  stripe_customer_id text unique,
  stripe_account_id text,
  requested_at timestamptz not null default now(),
  steps jsonb not null default '{}',
  attempts integer not null default 0 check (attempts >= 0),
  last_error text,
  next_attempt_at timestamptz default now(),
  finished_at timestamptz,
  constraint deletions_open_or_finished check ((finished_at is null) = (next_attempt_at is not null))
);

create index deletions_next_attempt_at_idx on billing.deletions (next_attempt_at) where finished_at is null;

comment on table billing.deletions is
  'Who asked to be deleted and how far it is. Ids and times only: it stays when the person is gone.';
comment on column billing.deletions.user_id is 'No foreign key: the row outlives the user.';
comment on column billing.deletions.steps is 'What was done, by name, and when it was first done: {billing_ended, chat_removed, …}.';
comment on column billing.deletions.next_attempt_at is 'When a worker may take it; a lease moves it on. Null once finished.';

alter table billing.deletions enable row level security;
revoke all on billing.deletions from public, anon, authenticated, service_role;
create policy "Nobody reads the deletions" on billing.deletions
  for all to anon, authenticated using (false) with check (false);

create function billing.deletion_record(p_deletion billing.deletions) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'state', case when p_deletion.finished_at is null then 'requested' else 'finished' end,
    'requested_at', p_deletion.requested_at,
    'finished_at', p_deletion.finished_at
  );
$$;

comment on function billing.deletion_record(billing.deletions) is 'What the person is told: {state, requested_at, finished_at}.';

create function public.request_deletion(p_user_id uuid) returns jsonb
language plpgsql
-- Definer: writes auth.users, which no role of the API may. The auth server has no admin API on every platform this runs on
-- (@supabase/lite), and a request and the end of signing in must be one transaction.
security definer
set search_path = ''
as $$
declare
  v_deletion billing.deletions;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.lock_person(p_user_id);
  insert into billing.deletions (user_id, stripe_customer_id, stripe_account_id)
  select u.id, (select c.stripe_customer_id from public.customers c where c.user_id = u.id),
    (select s.stripe_account_id from public.sellers s where s.user_id = u.id)
  from auth.users u where u.id = p_user_id
  on conflict (user_id) do nothing;
  select * into v_deletion from billing.deletions d where d.user_id = p_user_id;
  perform billing.require(found, 'there is no such user');
  -- No password, a ban (which Auth asks for at every sign-in and refresh, whatever the method), and no session left.
  update auth.users u set encrypted_password = '', banned_until = now() + interval '100 years' where u.id = p_user_id;
  delete from auth.sessions s where s.user_id = p_user_id;
  delete from auth.refresh_tokens t where t.user_id::text = p_user_id::text;
  -- Nothing more is spent beyond the allowance.
  update billing.overage_accounts a set enabled = false, updated_at = now() where a.user_id = p_user_id and a.enabled;
  -- Nothing more is sold.
  update public.sellers s set status = 'closed', paused_reason = 'The creator has left.'
  where s.user_id = p_user_id and s.status <> 'closed';
  return billing.deletion_record(v_deletion);
end;
$$;

comment on function public.request_deletion(uuid) is
  'Begins the deletion of a user, once: {state, requested_at, finished_at}. Ends their sessions and every way to sign in.';

create function billing.refuse_leaving() returns trigger
language plpgsql
-- Definer: the record is nobody's to read.
security definer
set search_path = ''
as $$
begin
  if billing.is_leaving((to_jsonb(new) ->> tg_argv[0])::uuid) then
    perform billing.raise_http(409, 'account_deleted', 'This account is being deleted.');
  end if;
  return new;
end;
$$;

comment on function billing.refuse_leaving() is
  'Nothing that may cost money begins for whoever asked to be deleted, also with a token that is still good. Argument: the '
  'column with the user.';

create trigger checkout_attempts_before_write_refuse_leaving before insert or update on billing.checkout_attempts
  for each row when (new.closed_at is null) execute function billing.refuse_leaving('user_id');
create trigger plan_changes_before_write_refuse_leaving before insert or update on billing.plan_changes
  for each row when (new.lease_token is not null) execute function billing.refuse_leaving('user_id');
create trigger customers_before_write_refuse_leaving before insert or update on public.customers
  for each row execute function billing.refuse_leaving('user_id');
create trigger overage_accounts_before_write_refuse_leaving
  before insert or update of enabled, cap_minor on billing.overage_accounts
  for each row when (new.enabled) execute function billing.refuse_leaving('user_id');
create trigger purchases_before_insert_refuse_leaving before insert on public.purchases
  for each row execute function billing.refuse_leaving('buyer_id');
create trigger sellers_before_insert_refuse_leaving before insert on public.sellers
  for each row execute function billing.refuse_leaving('user_id');

create function billing.is_leaving(p_user_id uuid) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from billing.deletions d where d.user_id = p_user_id);
$$;

comment on function billing.is_leaving(uuid) is 'Whether this person has asked to be deleted, or was.';

create function public.lease_deletions(p_limit integer)
returns table (user_id uuid, stripe_customer_id text, stripe_account_id text, ripe boolean)
language plpgsql
-- Definer: see public.request_deletion().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 100, 'p_limit is not between 1 and 100');
  return query
  update billing.deletions d
  set next_attempt_at = now() + interval '4 minutes',
    stripe_customer_id = coalesce(
      (select c.stripe_customer_id from public.customers c where c.user_id = d.user_id), d.stripe_customer_id
    ),
    stripe_account_id = coalesce(
      (select s.stripe_account_id from public.sellers s where s.user_id = d.user_id), d.stripe_account_id
    )
  where d.user_id in (
    select o.user_id from billing.deletions o
    where o.finished_at is null and o.next_attempt_at <= now()
    order by o.next_attempt_at limit p_limit
    for no key update skip locked
  )
  -- A request that was admitted just before may still be talking to Stripe; no function lives for so long.
  returning d.user_id, d.stripe_customer_id, d.stripe_account_id, d.requested_at < now() - interval '7 minutes';
end;
$$;

comment on function public.lease_deletions(integer) is
  'Deletions to work on, each leased for four minutes. ripe: no request that was admitted before it can still be running, so '
  'what ends now stays ended.';

create function public.note_deletion_step(p_user_id uuid, p_step text) returns void
language sql
-- Definer: see public.request_deletion().
security definer
set search_path = ''
as $$
  update billing.deletions d set steps = jsonb_build_object(p_step, now()) || d.steps
  where d.user_id = p_user_id and d.finished_at is null;
$$;

comment on function public.note_deletion_step(uuid, text) is 'Remembers when a step was first done.';

create function public.deletion_failed(p_user_id uuid, p_error text) returns void
language plpgsql
-- Definer: see public.request_deletion().
security definer
set search_path = ''
as $$
declare
  v_deletion billing.deletions;
begin
  update billing.deletions d
  set attempts = d.attempts + 1, last_error = left(p_error, 1000),
    next_attempt_at = now() + least(interval '5 minutes' * power(2, least(d.attempts, 10)), interval '1 hour')
  where d.user_id = p_user_id and d.finished_at is null
  returning * into v_deletion;
  if v_deletion.attempts >= 3 then
    perform billing.report_problem(
      'deletion_failed', p_user_id::text,
      jsonb_build_object('attempts', v_deletion.attempts, 'error', v_deletion.last_error)
    );
  end if;
end;
$$;

comment on function public.deletion_failed(uuid, text) is
  'Tries it again later, at most an hour. From the third time on an operator is told.';

create function public.deletion_waits(p_user_id uuid) returns void
language sql
-- Definer: see public.request_deletion().
security definer
set search_path = ''
as $$
  update billing.deletions d set next_attempt_at = greatest(now(), d.requested_at + interval '7 minutes')
  where d.user_id = p_user_id and d.finished_at is null;
$$;

comment on function public.deletion_waits(uuid) is 'Gives it back until it is ripe; see public.lease_deletions().';

create function public.remove_chat(p_user_id uuid, p_limit integer) returns bigint
language plpgsql
-- Definer: see public.request_deletion().
security definer
set search_path = ''
as $$
declare
  v_removed bigint;
begin
  perform billing.require(p_limit between 1 and 10000, 'p_limit is not between 1 and 10000');
  perform billing.require(billing.is_leaving(p_user_id), 'this person has not asked to be deleted');
  delete from public.messages m
  where m.id in (select o.id from public.messages o where o.user_id = p_user_id limit p_limit);
  get diagnostics v_removed = row_count;
  return v_removed;
end;
$$;

comment on function public.remove_chat(uuid, integer) is
  'Removes messages of somebody who is leaving, p_limit at a time, so that no statement takes long; answers how many.';

create function public.mirrored_subscriptions(p_user_id uuid) returns setof text
language sql stable
-- Definer: see public.request_deletion().
security definer
set search_path = ''
as $$
  select s.id from public.subscriptions s where s.user_id = p_user_id and s.status not in ('canceled', 'incomplete_expired')
  union
  select p.stripe_subscription_id from public.purchases p
  where p.buyer_id = p_user_id and p.stripe_subscription_id is not null
    and p.subscription_status is distinct from 'canceled';
$$;

comment on function public.mirrored_subscriptions(uuid) is
  'Subscriptions, plans and licences, that may still bill as far as our rows know.';

create function public.purchases_of_buyer(p_user_id uuid) returns setof uuid
language sql stable
-- Definer: see public.request_deletion().
security definer
set search_path = ''
as $$
  select p.id from public.purchases p
  where p.buyer_id = p_user_id and p.checkout_session_id is not null
    and (p.status in ('open', 'processing') or p.kind = 'monthly');
$$;

comment on function public.purchases_of_buyer(uuid) is
  'Purchases whose end must be in our rows before their buyer goes: unsettled ones and monthly ones.';

create function billing.forget_in_auth_log(p_user_id uuid, p_email text) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Hosted Auth may keep a log with addresses in it; not every version has the table or lets us write it.
  if to_regclass('auth.audit_log_entries') is not null then
    execute 'delete from auth.audit_log_entries e where e.payload ->> ''actor_id'' = $1 or e.payload ->> ''actor_username'' = $2'
      using p_user_id::text, p_email;
  end if;
exception when insufficient_privilege then
  perform billing.report_problem('auth_log_kept', p_user_id::text);
end;
$$;

comment on function billing.forget_in_auth_log(uuid, text) is 'Removes what Auth has logged about a person, where it does.';

create function public.erase_person(p_user_id uuid, p_stripe_customer_id text) returns boolean
language plpgsql
-- Definer: removes the row of auth.users; see public.request_deletion().
security definer
set search_path = ''
as $$
declare
  v_deletion billing.deletions;
  v_email text;
begin
  perform billing.lock_person(p_user_id);
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
  perform billing.forget_in_auth_log(p_user_id, v_email);

  -- Kept without the person. The pages at Stripe show a name and an address, so their links go.
  update public.invoices i set user_id = null, hosted_invoice_url = null, invoice_pdf = null where i.user_id = p_user_id;
  update billing.stripe_events e set payload = null
  where e.payload is not null and (
    e.stripe_customer_id = v_deletion.stripe_customer_id
    or e.stripe_account_id = v_deletion.stripe_account_id
    or e.purchase_id in (select p.id from public.purchases p where p.buyer_id = p_user_id)
  );
  update public.purchases p set buyer_id = null, receipt_url = null where p.buyer_id = p_user_id;
  delete from public.listing_pictures i using public.listings l, public.sellers s
  where i.listing_id = l.id and l.seller_id = s.id and s.user_id = p_user_id;
  update public.sellers s
  set user_id = null, display_name = 'A former creator', requirements = '{}', country = null
  where s.user_id = p_user_id;

  -- Removed. Everything else goes with the user, by its foreign key.
  delete from public.subscriptions s where s.user_id = p_user_id;
  delete from billing.reconcile_queue q where q.stripe_customer_id = v_deletion.stripe_customer_id;
  delete from billing.drifts f where f.stripe_customer_id = v_deletion.stripe_customer_id;
  delete from public.customers c where c.user_id = p_user_id;
  delete from auth.refresh_tokens t where t.user_id::text = p_user_id::text;
  delete from auth.users u where u.id = p_user_id;

  update billing.problems p set resolved_at = now()
  where p.kind = 'deletion_failed' and p.subject = p_user_id::text and p.resolved_at is null;
  update billing.deletions d
  set steps = jsonb_build_object('erased', now()) || d.steps, last_error = null, next_attempt_at = null, finished_at = now()
  where d.user_id = p_user_id;
  return true;
end;
$$;

comment on function public.erase_person(uuid, text) is
  'Removes a user and everything of theirs, in one transaction; what must stay stays without them. False while their billing '
  'has not ended, or when they have another Stripe customer than the one it ended for. Again does nothing.';

-- Invoices stay when their user goes. Still nobody removes a customer by accident: only public.erase_person() takes the
-- invoices off first.
alter table public.invoices alter column user_id drop not null;
comment on column public.invoices.user_id is 'Null once the person was deleted: the law has us keep the invoice, not whose it was.';

create index stripe_events_customer_payload_idx on billing.stripe_events (stripe_customer_id) where payload is not null;
create index stripe_events_account_payload_idx on billing.stripe_events (stripe_account_id) where payload is not null;
create index stripe_events_purchase_payload_idx on billing.stripe_events (purchase_id) where payload is not null;

create function billing.forget_payload() returns trigger
language plpgsql
-- Definer: see billing.refuse_leaving().
security definer
set search_path = ''
as $$
begin
  -- "customer.deleted" has the address in it, and comes when everything else is gone.
  if exists (select from billing.deletions d where d.stripe_customer_id = new.stripe_customer_id) or exists (
    select from public.purchases p where p.id = new.purchase_id and p.buyer_id is null
  ) or exists (
    select from public.sellers s where s.stripe_account_id = new.stripe_account_id and s.user_id is null
  ) then
    new.payload := null;
  end if;
  return new;
end;
$$;

comment on function billing.forget_payload() is 'Of somebody who has left only the fact of an event is kept, never its contents.';

create trigger stripe_events_before_insert_forget before insert on billing.stripe_events
  for each row execute function billing.forget_payload();

revoke all on function billing.deletion_record(billing.deletions), public.request_deletion(uuid), billing.refuse_leaving(),
  billing.is_leaving(uuid), public.lease_deletions(integer), public.note_deletion_step(uuid, text),
  public.deletion_failed(uuid, text), public.deletion_waits(uuid), public.remove_chat(uuid, integer),
  public.mirrored_subscriptions(uuid), public.purchases_of_buyer(uuid), billing.forget_in_auth_log(uuid, text),
  public.erase_person(uuid, text), billing.forget_payload()
  from public, anon, authenticated, service_role;
grant execute on function public.request_deletion(uuid), public.lease_deletions(integer),
  public.note_deletion_step(uuid, text), public.deletion_failed(uuid, text), public.deletion_waits(uuid),
  public.remove_chat(uuid, integer), public.mirrored_subscriptions(uuid), public.purchases_of_buyer(uuid),
  public.erase_person(uuid, text) to service_role;

select cron.schedule(
  'tollgate-deletions', '*/5 * * * *',
  $$select billing.call_function('deletions') where exists (select from billing.deletions d where d.finished_at is null)$$
);

select billing.audit_table(
  'billing.deletions'::regclass, 'person.deletion', 'user_id', 'user_id', 'requested_at,finished_at', 'stripe_customer_id,stripe_account_id'
);
