-- The inbox of Stripe's events. receive_stripe_event() commits on its own before any work is done, so that
-- there is always something left to retry and to look at.
--
--   receive -> pending -> finish -> processed | ignored
--                 |  ^
--                fail (again after a while) -> parked after the twelfth time

create table billing.stripe_events (
  id text primary key,
  type text not null,
  api_version text,
  stripe_created_at timestamptz not null,
  stripe_customer_id text,
  payload jsonb,
  status text not null default 'pending'
    check (status in ('pending', 'processed', 'ignored', 'parked')),
  attempts integer not null default 0,
  next_attempt_at timestamptz default now() + interval '2 minutes',
  last_error text,
  received_at timestamptz not null default now(),
  processed_at timestamptz,
  check ((status = 'pending') = (next_attempt_at is not null))
);

create index stripe_events_next_attempt_at_idx on billing.stripe_events (next_attempt_at)
  where status = 'pending';
create index stripe_events_received_at_idx on billing.stripe_events (received_at)
  where payload is not null;

comment on table billing.stripe_events is 'Every event Stripe delivered, once, and what became of it.';
comment on column billing.stripe_events.payload is 'As received; removed after 90 days.';
comment on column billing.stripe_events.next_attempt_at is
  'When the drain may take it: two minutes after receipt, because the webhook itself is working on it, and '
  'again two minutes after every lease.';
comment on column billing.stripe_events.attempts is 'How often working on it failed.';

alter table billing.stripe_events enable row level security;
revoke all on billing.stripe_events from public, anon, authenticated, service_role;

create policy "Nobody reads the inbox" on billing.stripe_events
  for all to anon, authenticated using (false) with check (false);

create function public.receive_stripe_event(
  p_id text, p_type text, p_created timestamptz, p_payload jsonb, p_api_version text default null,
  p_stripe_customer_id text default null
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
  insert into billing.stripe_events (
    id, type, api_version, stripe_created_at, stripe_customer_id, payload
  )
  values (p_id, p_type, p_api_version, p_created, p_stripe_customer_id, p_payload)
  on conflict (id) do nothing;
  if found then
    return 'new';
  end if;
  select e.status into strict v_status from billing.stripe_events e where e.id = p_id;
  -- A parked event that is sent again is a person at work: let it be tried.
  return case v_status when 'parked' then 'pending' else v_status end;
end;
$$;

comment on function public.receive_stripe_event(text, text, timestamptz, jsonb, text, text) is
  'Keeps an event. Answers new, or for one that is known pending (work on it), processed or ignored (done).';

create function public.finish_stripe_event(p_id text, p_outcome text) returns void
language plpgsql
-- Definer: see public.receive_stripe_event().
security definer
set search_path = ''
as $$
begin
  perform billing.require(
    p_outcome in ('processed', 'ignored'), 'p_outcome is neither processed nor ignored'
  );
  update billing.stripe_events e
  set status = p_outcome, processed_at = now(), next_attempt_at = null, last_error = null
  where e.id = p_id and e.status in ('pending', 'parked');
  if not found then
    perform billing.require(
      exists (select from billing.stripe_events e where e.id = p_id), 'there is no such event'
    );
    return;
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'event_parked' and p.subject = p_id and p.resolved_at is null;
end;
$$;

comment on function public.finish_stripe_event(text, text) is
  'The event is done. The first outcome stays; finishing again does nothing.';

create function public.fail_stripe_event(p_id text, p_error text) returns void
language plpgsql
-- Definer: see public.receive_stripe_event().
security definer
set search_path = ''
as $$
declare
  v_event billing.stripe_events;
begin
  -- 1, 2, 4 … minutes, at most six hours: the twelfth failure is about a day and a half after the first.
  update billing.stripe_events e set
    attempts = e.attempts + 1,
    last_error = left(p_error, 2000),
    status = case when e.attempts + 1 >= 12 then 'parked' else 'pending' end,
    next_attempt_at = case when e.attempts + 1 < 12 then
      now() + least(interval '1 minute' * power(2, e.attempts), interval '6 hours') end
  where e.id = p_id and e.status in ('pending', 'parked')
  returning * into v_event;
  if not found then
    perform billing.require(
      exists (select from billing.stripe_events e where e.id = p_id), 'there is no such event'
    );
    return;
  end if;
  if v_event.status = 'parked' then
    perform billing.report_problem('event_parked', p_id, jsonb_build_object(
      'type', v_event.type, 'stripe_customer_id', v_event.stripe_customer_id
    ));
  end if;
end;
$$;

comment on function public.fail_stripe_event(text, text) is
  'Working on the event failed: it is due again later, or parked after the twelfth time. A failure that '
  'comes after somebody else finished it does nothing.';

create function public.due_stripe_events(p_limit integer)
returns table (id text, type text, stripe_customer_id text)
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
  returning e.id, e.type, e.stripe_customer_id;
end;
$$;

comment on function public.due_stripe_events(integer) is
  'Leases events to work on for two minutes. Whoever dies meanwhile loses nothing: they are due again.';

create function billing.prune_stripe_events() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_pruned bigint;
begin
  update billing.stripe_events e set payload = null
  where e.payload is not null and e.received_at < now() - interval '90 days';
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$$;

comment on function billing.prune_stripe_events() is
  'Removes payloads older than 90 days: they hold personal data. The row stays, and still stops a repeat.';

revoke all on function
  public.receive_stripe_event(text, text, timestamptz, jsonb, text, text),
  public.finish_stripe_event(text, text), public.fail_stripe_event(text, text),
  public.due_stripe_events(integer), billing.prune_stripe_events()
  from public, anon, authenticated, service_role;
grant execute on function
  public.receive_stripe_event(text, text, timestamptz, jsonb, text, text),
  public.finish_stripe_event(text, text), public.fail_stripe_event(text, text),
  public.due_stripe_events(integer) to service_role;
