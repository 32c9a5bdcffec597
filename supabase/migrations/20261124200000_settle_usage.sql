-- Whoever asks for one customer's rows is about to close an invoice or to end a subscription: what failed before and waits for
-- a later attempt is theirs too, or it would be reported after nothing bills it any more.

create or replace function public.lease_usage(p_limit integer default 100, p_stripe_customer_id text default null)
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
    select h.id from heads h
    where h.next_attempt_at <= clock_timestamp() or p_stripe_customer_id is not null
    order by h.next_attempt_at, h.id limit p_limit
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
  'Rows to send, for 60 seconds: at most one per customer and meter, the oldest, when it is due (of one customer: also when '
  'not) and nothing of theirs is on its way. kind event: report quantity under identifier; adjustment: cancel the event of '
  'identifier cancels. doubtful: an earlier attempt may have got through.';
