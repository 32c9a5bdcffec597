-- The check says "equal" only when all three are one number: what is used and not yet reported is under way.
-- And usage_history() refuses infinite dates like any other range that is too long.

create or replace function public.note_usage_check(
  p_stripe_customer_id text, p_metric_id text, p_period_start timestamptz, p_stripe bigint, p_note text default null
) returns text
language plpgsql
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
declare
  v_sums record;
  v_drift bigint;
  v_verdict text;
  v_subject constant text := format('%s %s %s', p_stripe_customer_id, p_metric_id,
    to_char(p_period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
begin
  select * into v_sums from public.usage_sums(p_stripe_customer_id, '-infinity') s
  where s.metric_id = p_metric_id and s.period_start = p_period_start;
  perform billing.require(found, 'the ledger has no such row');
  perform billing.require(p_stripe >= 0, 'p_stripe is missing');
  -- Its rows of the outbox may be gone; see billing.prune_metering().
  perform billing.require(v_sums.period_end > now() - interval '12 months', 'the period is too long ago');
  v_drift := p_stripe - (v_sums.sent - v_sums.adjusted);
  v_verdict := case
    when v_sums.claimed <> v_sums.sent + v_sums.waiting + v_sums.parked then 'drift'
    when v_drift = 0 and v_sums.parked > 0 then 'parked'
    -- Stripe has all that was sent, which is not yet all that was used.
    when v_drift = 0 then case when v_sums.ledger > v_sums.claimed or v_sums.waiting > 0 then 'under_way' else 'equal' end
    -- Sent and not yet marked, or taken back and not yet marked.
    when v_drift between -v_sums.adjusting and v_sums.waiting then 'under_way'
    -- An uncertain one may have been counted.
    when v_drift between 0 and v_sums.waiting + v_sums.parked then 'parked'
    else 'drift'
  end;
  insert into billing.usage_checks (
    stripe_customer_id, user_id, metric_id, period_start, ledger, unclaimed, outbox_sent, outbox_waiting, parked, adjusted,
    stripe, drift, verdict, note
  )
  values (
    p_stripe_customer_id, v_sums.user_id, p_metric_id, p_period_start, v_sums.ledger, v_sums.ledger - v_sums.claimed,
    v_sums.sent, v_sums.waiting, v_sums.parked, v_sums.adjusted, p_stripe, v_drift, v_verdict, p_note
  );
  if v_verdict = 'drift' then
    perform billing.report_problem('usage_drift', v_subject, jsonb_build_object(
      'ledger', v_sums.ledger, 'sent', v_sums.sent, 'adjusted', v_sums.adjusted, 'stripe', p_stripe, 'drift', v_drift
    ));
  elsif v_drift = 0 then
    update billing.problems p set resolved_at = now()
    where p.kind = 'usage_drift' and p.subject = v_subject and p.resolved_at is null;
  end if;
  return v_verdict;
end;
$$;

comment on function public.note_usage_check(text, text, timestamptz, bigint, text) is
  'Compares what Stripe''s event summaries say of a ledger row with ours as it is now, keeps the result, and returns the verdict: '
  'equal (ledger, outbox and Stripe are one number), under_way, parked or drift. A drift is also in billing.problems until a check finds it gone.';

create or replace function public.usage_history(p_from date, p_to date, p_metric text default 'message')
returns table (day date, used bigint, allowance bigint, overage bigint, amount_minor numeric)
language plpgsql stable
-- Definer: reads days and counters, of the caller only; nobody else reads these tables.
security definer
set search_path = ''
as $$
begin
  -- Infinite dates cannot be subtracted.
  if p_from is null or p_to is null or not isfinite(p_from) or not isfinite(p_to) or p_to < p_from
    or p_to - p_from > 400
  then
    perform billing.raise_http(422, 'invalid_range', 'The range must be from a day to a later one, 400 days at most.');
  end if;
  return query
  select h.day, sum(h.used)::bigint, max(h.allowance), sum(h.overage)::bigint, trim_scale(sum(h.overage_minor))
  from (
    select d.day, d.used, d.allowance, d.overage, d.overage_minor
    from billing.usage_days d
    where d.user_id = (select auth.uid()) and d.metric_id = p_metric and d.day between p_from and p_to
    union all
    -- The latest day is the counter.
    select c.period_day, c.used, c.allowance, c.overage, c.overage_minor
    from billing.usage_counters c
    where c.user_id = (select auth.uid()) and c.metric_id = p_metric and c.period_day between p_from and p_to
  ) h
  group by h.day
  order by h.day;
end;
$$;
