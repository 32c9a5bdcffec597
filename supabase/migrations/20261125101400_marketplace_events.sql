-- Events that are about a purchase or a connected account. An event has one subject: what settles it is a snapshot of that
-- subject, and a customer's snapshot settles nothing else.

alter table billing.stripe_events
  add column purchase_id uuid,
  add column stripe_account_id text,
  add constraint stripe_events_one_subject check (num_nonnulls(stripe_customer_id, purchase_id, stripe_account_id) <= 1);

create index stripe_events_purchase_id_idx on billing.stripe_events (purchase_id)
  where status in ('pending', 'parked');
create index stripe_events_stripe_account_id_idx on billing.stripe_events (stripe_account_id)
  where status in ('pending', 'parked');

comment on column billing.stripe_events.purchase_id is 'No foreign key: an event is kept whatever it names.';

drop function public.receive_stripe_event(text, text, timestamptz, jsonb, text, text);

create function public.receive_stripe_event(
  p_id text, p_type text, p_created timestamptz, p_payload jsonb, p_api_version text default null,
  p_stripe_customer_id text default null, p_purchase_id uuid default null, p_stripe_account_id text default null
) returns text
language plpgsql
-- Definer: the secret key needs no access to the table, only this.
security definer
set search_path = ''
as $$
declare
  v_status text;
begin
  perform billing.require(p_id <> '', 'p_id is missing');
  perform billing.require(p_type <> '', 'p_type is missing');
  perform billing.require(p_created is not null, 'p_created is missing');
  -- The narrowest subject there is: a purchase, then an account, then a customer.
  insert into billing.stripe_events (
    id, type, api_version, stripe_created_at, stripe_customer_id, purchase_id, stripe_account_id, payload, received_token
  )
  values (
    p_id, p_type, p_api_version, p_created,
    case when p_purchase_id is null and p_stripe_account_id is null then p_stripe_customer_id end,
    p_purchase_id,
    case when p_purchase_id is null then p_stripe_account_id end,
    p_payload, nextval('billing.sync_token_seq')
  )
  on conflict (id) do nothing;
  if found then
    return 'new';
  end if;
  select e.status into strict v_status from billing.stripe_events e where e.id = p_id;
  -- A parked event that is sent again is a person at work: let it be tried.
  return case v_status when 'parked' then 'pending' else v_status end;
end;
$$;

comment on function public.receive_stripe_event(text, text, timestamptz, jsonb, text, text, uuid, text) is
  'Keeps an event under its narrowest subject: a purchase, an account or a customer. Answers new, or for one that is known '
  'pending (work on it), processed or ignored (done).';

create function billing.settle_listed_events(p_ids text[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update billing.stripe_events e
  set status = 'processed', processed_at = now(), next_attempt_at = null, last_error = null
  where e.id = any (p_ids);
  update billing.problems p set resolved_at = now()
  where p.kind = 'event_parked' and p.subject = any (p_ids) and p.resolved_at is null;
end;
$$;

create function billing.settle_purchase_events(p_purchase_id uuid, p_token bigint) returns void
language sql
set search_path = ''
as $$
  select billing.settle_listed_events(array(
    select e.id from billing.stripe_events e
    where e.purchase_id = p_purchase_id and e.status in ('pending', 'parked') and e.received_token < p_token
    order by e.id for no key update
  ));
$$;

create function billing.settle_account_events(p_account text, p_token bigint) returns void
language sql
set search_path = ''
as $$
  select billing.settle_listed_events(array(
    select e.id from billing.stripe_events e
    where e.stripe_account_id = p_account and e.status in ('pending', 'parked') and e.received_token < p_token
    order by e.id for no key update
  ));
$$;

comment on function billing.settle_listed_events(text[]) is 'These events are done.';
comment on function billing.settle_purchase_events(uuid, bigint) is
  'Marks the events of a purchase processed that a snapshot with this token covers.';
comment on function billing.settle_account_events(text, bigint) is
  'Marks the events of an account processed that a snapshot with this token covers.';

drop function public.due_stripe_events(integer);

create function public.due_stripe_events(p_limit integer)
returns table (id text, type text, stripe_customer_id text, purchase_id uuid, stripe_account_id text)
language plpgsql
-- Definer: see public.receive_stripe_event().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  update billing.stripe_events e
  set next_attempt_at = now() + interval '2 minutes'
  where e.id in (
    select d.id from billing.stripe_events d
    where d.status = 'pending' and d.next_attempt_at <= now()
    order by d.next_attempt_at
    limit p_limit
    for no key update skip locked
  )
  returning e.id, e.type, e.stripe_customer_id, e.purchase_id, e.stripe_account_id;
end;
$$;

comment on function public.due_stripe_events(integer) is
  'Leases events to work on for two minutes. Whoever dies meanwhile loses nothing: they are due again.';

revoke all on function
  public.receive_stripe_event(text, text, timestamptz, jsonb, text, text, uuid, text),
  public.due_stripe_events(integer), billing.settle_purchase_events(uuid, bigint),
  billing.settle_account_events(text, bigint), billing.settle_listed_events(text[])
  from public, anon, authenticated, service_role;
grant execute on function
  public.receive_stripe_event(text, text, timestamptz, jsonb, text, text, uuid, text),
  public.due_stripe_events(integer) to service_role;
