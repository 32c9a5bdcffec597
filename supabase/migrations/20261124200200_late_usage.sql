-- Stripe takes and counts usage of a period whose invoice is final, and bills it on none. The check finds such a row equal, so
-- an operator is told when it is sent.

create or replace function public.usage_sent(p_id bigint) returns void
language plpgsql
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
declare
  v_sent billing.usage_outbox;
begin
  -- Parked as well: the answer may come late.
  update billing.usage_outbox o
  set status = 'sent', sent_at = now(), lease_until = null, uncertain_since = null, last_error = null, parked_reason = null
  where o.id = p_id and o.status <> 'sent'
  returning * into v_sent;
  if v_sent.id is null then
    perform billing.require(exists (select from billing.usage_outbox o where o.id = p_id), 'there is no such row');
    return;
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'usage_parked' and p.subject = v_sent.identifier and p.resolved_at is null;
  -- An invoice stays a draft for an hour.
  perform billing.report_problem('usage_late', v_sent.identifier, jsonb_build_object(
    'id', v_sent.id, 'quantity', v_sent.quantity, 'metric', v_sent.metric_id,
    'stripe_customer_id', v_sent.stripe_customer_id, 'period_start', u.period_start, 'period_end', u.period_end
  ))
  from billing.overage_usage u
  where (u.stripe_customer_id, u.metric_id, u.period_start)
      = (v_sent.stripe_customer_id, v_sent.metric_id, v_sent.period_start)
    and v_sent.kind = 'event' and u.period_end < now() - interval '1 hour';
end;
$$;

comment on function public.usage_sent(bigint) is
  'Stripe has it (also: knows its identifier already). Again changes nothing. usage_late in billing.problems when the invoice '
  'of its period may have been final by then.';
