-- From the ledger to Stripe, exactly once: deltas become rows of an outbox in one transaction, each with an identifier that
-- depends on nothing but its place; who sends one marks it sent afterwards. A crash in between sends the same identifier
-- again, which Stripe answers with 400: delivered.
--
--   claim -> pending -> lease -> sent
--              |  ^        |
--              |  +- failed (again later)
--              +-> parked (too old, uncertain, rejected), for an operator; never dropped
--
-- Stripe remembers an identifier for 24 hours only (docs.stripe.com/api/billing/meter-event/create). What may have been
-- accepted and was not known to be for 23 hours is therefore parked and not sent again.

create table billing.usage_outbox (
  id bigint generated always as identity primary key,
  kind text not null default 'event' check (kind in ('event', 'adjustment')),
  stripe_customer_id text not null,
  metric_id text not null,
  period_start timestamptz not null,
  user_id uuid references auth.users (id) on delete set null,
  sequence integer not null check (sequence > 0),
  quantity bigint not null check (quantity > 0),
  identifier text not null unique check (char_length(identifier) between 1 and 100),
  adjusts bigint unique references billing.usage_outbox (id),
  meter_event_name text not null,
  event_time timestamptz not null,
  status text not null default 'pending' check (status in ('pending', 'sent', 'parked')),
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  lease bigint not null default 0,
  lease_until timestamptz,
  uncertain_since timestamptz,
  last_error text,
  reason text,
  created_at timestamptz not null default now(),
  sent_at timestamptz,
  parked_reason text,
  foreign key (stripe_customer_id, metric_id, period_start)
    references billing.overage_usage (stripe_customer_id, metric_id, period_start),
  check ((kind = 'adjustment') = (adjusts is not null)),
  check (status <> 'sent' or sent_at is not null),
  check (status <> 'parked' or parked_reason is not null),
  check (status = 'pending' or lease_until is null)
);

create index usage_outbox_pending_idx on billing.usage_outbox (stripe_customer_id, meter_event_name, id)
  where status = 'pending';
create index usage_outbox_ledger_idx on billing.usage_outbox (stripe_customer_id, metric_id, period_start);
create index usage_outbox_user_id_idx on billing.usage_outbox (user_id);

comment on table billing.usage_outbox is
  'What is to be reported to Stripe, and what became of it. The quantities of the events of a ledger row sum up to its claimed.';
comment on column billing.usage_outbox.identifier is
  'Stripe''s identifier of the meter event; of an adjustment our own, Stripe''s is that of the event it cancels.';
comment on column billing.usage_outbox.event_time is 'Inside the billing period, so that it lands on its invoice.';
comment on column billing.usage_outbox.lease is 'Counts leases: who has an old one may not give a newer one back.';
comment on column billing.usage_outbox.uncertain_since is
  'When Stripe may have accepted it without our knowing; null: surely not.';
comment on column billing.usage_outbox.reason is 'Why an operator corrects.';

alter table billing.usage_outbox enable row level security;
revoke all on billing.usage_outbox from public, anon, authenticated, service_role;
create policy "Nobody reads the outbox" on billing.usage_outbox
  for all to anon, authenticated using (false) with check (false);

create function billing.event_time(p_period_start timestamptz, p_period_end timestamptz) returns timestamptz
language sql stable
set search_path = ''
as $$
  -- Whole seconds, as Stripe takes them, and the last one that is over: a subscription that ends or changes in this second
  -- is billed up to it, without it.
  select date_trunc('second', greatest(
    p_period_start, least(now() - interval '1 second', p_period_end - interval '1 second')
  ), 'UTC');
$$;

comment on function billing.event_time(timestamptz, timestamptz) is
  'The time to report usage of a billing period under: the second before this one, but within the period.';

create function public.claim_usage(p_limit integer default 1000, p_stripe_customer_id text default null)
returns bigint
language plpgsql
-- Definer: the secret key has no access to the ledger, only this.
security definer
set search_path = ''
as $$
declare
  v_row record;
  v_claimed bigint := 0;
begin
  perform billing.require(p_limit between 1 and 10000, 'p_limit is not between 1 and 10000');
  if p_stripe_customer_id is not null then
    -- Somebody waits for this customer's usage (their invoice is about to close): wait for its writers.
    perform from billing.overage_usage u
    where u.stripe_customer_id = p_stripe_customer_id and u.waiting
    order by u.stripe_customer_id, u.metric_id, u.period_start for no key update;
  end if;
  for v_row in
    select u.stripe_customer_id, u.metric_id, u.period_start, u.period_end, u.user_id, u.quantity, u.claimed,
      u.sequence + 1 as sequence, m.meter_event_name
    from billing.overage_usage u join public.metrics m on m.id = u.metric_id and m.meter_event_name is not null
    where u.waiting and u.stripe_customer_id = coalesce(p_stripe_customer_id, u.stripe_customer_id)
    order by u.period_start, u.stripe_customer_id, u.metric_id
    limit p_limit
    for no key update of u skip locked
  loop
    insert into billing.usage_outbox (
      stripe_customer_id, metric_id, period_start, user_id, sequence, quantity, identifier, meter_event_name, event_time
    )
    values (
      v_row.stripe_customer_id, v_row.metric_id, v_row.period_start, v_row.user_id, v_row.sequence,
      v_row.quantity - v_row.claimed,
      format('%s-%s-%s-%s', v_row.stripe_customer_id, v_row.metric_id,
        extract(epoch from v_row.period_start)::bigint, v_row.sequence),
      v_row.meter_event_name, billing.event_time(v_row.period_start, v_row.period_end)
    );
    update billing.overage_usage u set claimed = v_row.quantity, sequence = v_row.sequence
    where u.stripe_customer_id = v_row.stripe_customer_id and u.metric_id = v_row.metric_id
      and u.period_start = v_row.period_start;
    v_claimed := v_claimed + 1;
  end loop;
  return v_claimed;
end;
$$;

comment on function public.claim_usage(integer, text) is
  'Makes outbox rows of what the ledger holds beyond what is claimed, and answers how many. With a customer only theirs, and '
  'all of it; without, rows that somebody is writing to are left to the next call.';

create function billing.park_usage(p_ids bigint[], p_reason text) returns void
language plpgsql
set search_path = ''
as $$
begin
  update billing.usage_outbox o
  set status = 'parked', parked_reason = p_reason, lease_until = null
  where o.id = any (p_ids);
  perform billing.report_problem('usage_parked', o.identifier, jsonb_build_object(
    'id', o.id, 'reason', p_reason, 'quantity', o.quantity, 'metric', o.metric_id,
    'stripe_customer_id', o.stripe_customer_id, 'period_start', o.period_start, 'last_error', o.last_error
  ))
  from billing.usage_outbox o where o.id = any (p_ids);
end;
$$;

comment on function billing.park_usage(bigint[], text) is 'Puts rows of the outbox aside with a reason, and tells an operator.';

create function billing.park_unsendable() returns void
language plpgsql
set search_path = ''
as $$
begin
  -- An hour less than Stripe's 35 days: on the way it grows older.
  perform billing.park_usage((
    select array_agg(o.id) from billing.usage_outbox o
    where o.status = 'pending' and o.kind = 'event' and o.event_time < now() - interval '35 days' + interval '1 hour'
      and coalesce(o.lease_until, '-infinity') <= clock_timestamp()
  ), 'too_old');
  perform billing.park_usage((
    select array_agg(o.id) from billing.usage_outbox o
    where o.status = 'pending' and o.uncertain_since < now() - interval '23 hours'
      and coalesce(o.lease_until, '-infinity') <= clock_timestamp()
  ), 'uncertain');
end;
$$;

comment on function billing.park_unsendable() is
  'Parks what Stripe would not take any more (too_old), and what it might count twice (uncertain).';

create function public.lease_usage(p_limit integer default 100, p_stripe_customer_id text default null)
returns table (
  id bigint, lease bigint, kind text, identifier text, cancels text, stripe_customer_id text, meter_event_name text,
  quantity bigint, event_time timestamptz, attempts integer, doubtful boolean
)
language plpgsql
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  -- One at a time: two that look at the same moment could each find another first row of one customer.
  perform pg_advisory_xact_lock(hashtextextended('tollgate lease_usage', 0));
  -- A lease that ran out without a word: its holder may have got through.
  update billing.usage_outbox o
  set uncertain_since = coalesce(o.uncertain_since, o.lease_until - interval '60 seconds'), lease_until = null
  where o.status = 'pending' and o.lease_until <= clock_timestamp();
  perform billing.park_unsendable();
  return query
  with heads as (
    select distinct on (o.stripe_customer_id, o.meter_event_name) o.id, o.next_attempt_at
    from billing.usage_outbox o
    where o.status = 'pending' and o.stripe_customer_id = coalesce(p_stripe_customer_id, o.stripe_customer_id)
      -- Not even when an older row comes to light while a younger one is on its way.
      and not exists (
        select from billing.usage_outbox b
        where b.status = 'pending' and b.stripe_customer_id = o.stripe_customer_id
          and b.meter_event_name = o.meter_event_name and b.lease_until is not null
      )
    order by o.stripe_customer_id, o.meter_event_name, o.id
  ), due as (
    select h.id from heads h where h.next_attempt_at <= clock_timestamp() order by h.next_attempt_at, h.id limit p_limit
  )
  update billing.usage_outbox o
  set lease = o.lease + 1, lease_until = clock_timestamp() + interval '60 seconds'
  from due
  where o.id = due.id and o.status = 'pending' and o.lease_until is null
  returning o.id, o.lease, o.kind, o.identifier,
    (select c.identifier from billing.usage_outbox c where c.id = o.adjusts),
    o.stripe_customer_id, o.meter_event_name, o.quantity, o.event_time, o.attempts,
    o.uncertain_since is not null;
end;
$$;

comment on function public.lease_usage(integer, text) is
  'Rows to send, for 60 seconds: at most one per customer and meter, the oldest, when it is due and nothing of theirs is on '
  'its way. kind event: report quantity under identifier; adjustment: cancel the event of identifier cancels. doubtful: '
  'an earlier attempt may have got through.';

create function public.usage_sent(p_id bigint) returns void
language plpgsql
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
declare
  v_identifier text;
begin
  -- Parked as well: the answer may come late.
  update billing.usage_outbox o
  set status = 'sent', sent_at = now(), lease_until = null, uncertain_since = null, last_error = null, parked_reason = null
  where o.id = p_id and o.status <> 'sent'
  returning o.identifier into v_identifier;
  if v_identifier is null then
    perform billing.require(exists (select from billing.usage_outbox o where o.id = p_id), 'there is no such row');
    return;
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'usage_parked' and p.subject = v_identifier and p.resolved_at is null;
end;
$$;

comment on function public.usage_sent(bigint) is 'Stripe has it (also: knows its identifier already). Again changes nothing.';

create function public.usage_failed(
  p_id bigint, p_error text, p_retry_at timestamptz default null, p_lease bigint default null,
  p_not_accepted boolean default false
) returns void
language plpgsql
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
begin
  -- 1, 2, 4 … minutes, at most an hour.
  update billing.usage_outbox o set
    attempts = o.attempts + 1,
    last_error = left(p_error, 2000),
    next_attempt_at = coalesce(p_retry_at, now() + least(
      interval '1 minute' * power(2, least(o.attempts, 10)), interval '1 hour'
    )),
    uncertain_since = case when p_not_accepted then o.uncertain_since
      else coalesce(o.uncertain_since, o.lease_until - interval '60 seconds', now()) end,
    lease_until = null
  where o.id = p_id and o.status = 'pending' and o.lease = coalesce(p_lease, o.lease);
  if not found then
    perform billing.require(exists (select from billing.usage_outbox o where o.id = p_id), 'there is no such row');
  end if;
end;
$$;

comment on function public.usage_failed(bigint, text, timestamptz, bigint, boolean) is
  'Sending failed: due again at p_retry_at (null: later and later). p_not_accepted when Stripe surely did not take it (429, '
  'no connection); otherwise it is parked after 23 hours, because Stripe would not know its identifier again. With a lease '
  'that is no longer the current one nothing happens.';

create function public.usage_parked(p_id bigint, p_reason text) returns void
language plpgsql
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_reason <> '', 'p_reason is missing');
  perform billing.require(exists (select from billing.usage_outbox o where o.id = p_id), 'there is no such row');
  perform billing.park_usage(array[p_id], p_reason);
end;
$$;

comment on function public.usage_parked(bigint, text) is
  'Stripe rejects it: it is put aside with the reason, where an operator sees it, and no longer holds up younger ones.';

create function public.usage_rejected(p_identifier text, p_reason text) returns boolean
language plpgsql
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_reason <> '', 'p_reason is missing');
  perform billing.park_usage(array[o.id], p_reason) from billing.usage_outbox o where o.identifier = p_identifier;
  return found;
end;
$$;

comment on function public.usage_rejected(text, text) is
  'Stripe reports afterwards that it did not count an event (thin error event): it is parked although it was sent. False: '
  'the identifier is not ours.';

create function billing.retry_usage(p_outbox_id bigint) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_identifier text;
begin
  update billing.usage_outbox o
  set status = 'pending', next_attempt_at = now(), sent_at = null, uncertain_since = null, parked_reason = null
  where o.id = p_outbox_id and o.status = 'parked'
  returning o.identifier into v_identifier;
  if v_identifier is null then
    raise exception 'row % is not parked', p_outbox_id using errcode = 'no_data_found';
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'usage_parked' and p.subject = v_identifier and p.resolved_at is null;
end;
$$;

comment on function billing.retry_usage(bigint) is
  'For operators: sends a parked row again. Look at Stripe''s event summaries first: an identifier that is older than a day '
  'is counted again.';

create function billing.correct_usage(p_outbox_id bigint, p_reason text) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_event billing.usage_outbox;
  v_amount numeric;
  v_id bigint;
begin
  -- The account before the ledger, as everywhere.
  perform from billing.overage_accounts a
  where a.user_id = (select o.user_id from billing.usage_outbox o where o.id = p_outbox_id) for no key update;
  select * into v_event from billing.usage_outbox o where o.id = p_outbox_id for no key update;
  if v_event.id is null or v_event.kind <> 'event' or v_event.status <> 'sent' then
    raise exception 'row % is not an event that was sent', p_outbox_id using errcode = 'no_data_found';
  end if;
  if v_event.sent_at < now() - interval '24 hours' then
    raise exception 'Stripe cancels an event within 24 hours only' using errcode = 'object_not_in_prerequisite_state',
      hint = 'Credit the customer (a credit note, or a credit grant).';
  end if;
  insert into billing.usage_outbox (
    kind, stripe_customer_id, metric_id, period_start, user_id, sequence, quantity, identifier, adjusts,
    meter_event_name, event_time, reason
  )
  values (
    'adjustment', v_event.stripe_customer_id, v_event.metric_id, v_event.period_start, v_event.user_id, v_event.sequence,
    v_event.quantity, v_event.identifier || '-cancel', v_event.id, v_event.meter_event_name, v_event.event_time, p_reason
  )
  returning id into v_id;
  -- At the average price of the period: which unit of it was taken back nobody can say.
  update billing.overage_usage u set
    corrected = u.corrected + v_event.quantity,
    amount_minor = u.amount_minor - round(u.amount_minor * v_event.quantity / (u.quantity - u.corrected), 6)
  where u.stripe_customer_id = v_event.stripe_customer_id and u.metric_id = v_event.metric_id
    and u.period_start = v_event.period_start;
  update billing.overage_accounts a set spent_minor = billing.overage_spent(a.user_id, a.period_start)
  where a.user_id = v_event.user_id and a.period_start = v_event.period_start;
  return v_id;
end;
$$;

comment on function billing.correct_usage(bigint, text) is
  'For operators: takes back an event that was sent within the last 24 hours, by a meter event adjustment in the outbox, and '
  'returns its number. The ledger keeps what was admitted and notes it as corrected; the cap gets it back.';

revoke all on function billing.event_time(timestamptz, timestamptz), public.claim_usage(integer, text),
  billing.park_usage(bigint[], text), billing.park_unsendable(), public.lease_usage(integer, text),
  public.usage_sent(bigint), public.usage_failed(bigint, text, timestamptz, bigint, boolean),
  public.usage_parked(bigint, text), public.usage_rejected(text, text), billing.retry_usage(bigint),
  billing.correct_usage(bigint, text)
  from public, anon, authenticated, service_role;
grant execute on function public.claim_usage(integer, text), public.lease_usage(integer, text),
  public.usage_sent(bigint), public.usage_failed(bigint, text, timestamptz, bigint, boolean),
  public.usage_parked(bigint, text), public.usage_rejected(text, text)
  to service_role;
