-- The proof that what was used here, what was reported and what Stripe will bill is one number: ledger, outbox and Stripe's
-- event summaries side by side, per customer, metric and billing period.

create table billing.usage_checks (
  id bigint generated always as identity primary key,
  run_at timestamptz not null default now(),
  stripe_customer_id text not null,
  user_id uuid references auth.users (id) on delete set null,
  metric_id text not null references public.metrics (id),
  period_start timestamptz not null,
  ledger bigint not null,
  unclaimed bigint not null,
  outbox_sent bigint not null,
  outbox_waiting bigint not null,
  parked bigint not null,
  adjusted bigint not null,
  stripe bigint not null,
  drift bigint not null,
  verdict text not null check (verdict in ('equal', 'under_way', 'parked', 'drift')),
  note text
);

create index usage_checks_stripe_customer_id_idx
  on billing.usage_checks (stripe_customer_id, metric_id, period_start, run_at);
create index usage_checks_user_id_idx on billing.usage_checks (user_id);
create index usage_checks_metric_id_idx on billing.usage_checks (metric_id);
create index usage_checks_run_at_idx on billing.usage_checks (run_at);

comment on table billing.usage_checks is 'Every three-way check of a customer''s usage: ledger, outbox, Stripe.';
comment on column billing.usage_checks.drift is 'What Stripe has more than we know to have been delivered; negative: less.';
comment on column billing.usage_checks.verdict is
  'equal; under_way: the difference is what is being sent or taken back; parked: equal but for what waits for an operator; drift.';

alter table billing.usage_checks enable row level security;
revoke all on billing.usage_checks from public, anon, authenticated, service_role;
create policy "Nobody reads the checks" on billing.usage_checks
  for all to anon, authenticated using (false) with check (false);

create function public.usage_sums(
  p_stripe_customer_id text default null, p_since timestamptz default now() - interval '100 days',
  p_after text default '', p_limit integer default 1000
)
returns table (
  stripe_customer_id text, user_id uuid, metric_id text, meter_event_name text, period_start timestamptz,
  period_end timestamptz, ledger bigint, claimed bigint, sent bigint, waiting bigint, parked bigint, adjusted bigint,
  adjusting bigint, neighbours bigint
)
language sql stable
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
  select u.stripe_customer_id, u.user_id, u.metric_id, m.meter_event_name, u.period_start, u.period_end, u.quantity,
    u.claimed, s.sent, s.waiting, s.parked, s.adjusted, s.adjusting, n.neighbours
  from billing.overage_usage u
  join public.metrics m on m.id = u.metric_id
  cross join lateral (
    select
      coalesce(sum(o.quantity) filter (where o.kind = 'event' and o.status = 'sent'), 0)::bigint as sent,
      coalesce(sum(o.quantity) filter (where o.kind = 'event' and o.status = 'pending'), 0)::bigint as waiting,
      coalesce(sum(o.quantity) filter (where o.kind = 'event' and o.status = 'parked'), 0)::bigint as parked,
      coalesce(sum(o.quantity) filter (where o.kind = 'adjustment' and o.status = 'sent'), 0)::bigint as adjusted,
      coalesce(sum(o.quantity) filter (where o.kind = 'adjustment' and o.status <> 'sent'), 0)::bigint as adjusting
    from billing.usage_outbox o
    where o.stripe_customer_id = u.stripe_customer_id and o.metric_id = u.metric_id and o.period_start = u.period_start
  ) s
  cross join lateral (
    select coalesce(sum(case o.kind when 'event' then o.quantity else -o.quantity end), 0)::bigint as neighbours
    from billing.usage_outbox o
    where o.stripe_customer_id = u.stripe_customer_id and o.metric_id = u.metric_id
      and o.period_start <> u.period_start and o.status = 'sent'
      and o.event_time >= date_trunc('minute', u.period_start, 'UTC')
      and o.event_time < date_trunc('minute', u.period_end + interval '59.999999 seconds', 'UTC')
  ) n
  where u.period_end > p_since
    and (u.stripe_customer_id = p_stripe_customer_id or (p_stripe_customer_id is null and u.stripe_customer_id > p_after))
  order by u.stripe_customer_id, u.metric_id, u.period_start
  limit p_limit;
$$;

comment on function public.usage_sums(text, timestamptz, text, integer) is
  'Ledger and outbox per (customer, metric, billing period) that ended after p_since: ledger (all that was admitted), claimed, '
  'and of that sent, waiting, parked; adjusted (taken back, known to Stripe), adjusting (not yet). Of one customer, or of those '
  'after p_after. Stripe should say sent - adjusted, and beside it neighbours: its sums go by whole minutes, and periods '
  'do not, so the minutes in which this one begins and ends may hold usage of the next and the last one.';

create function public.note_usage_check(
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
    when v_drift = 0 then case when v_sums.parked > 0 then 'parked' else 'equal' end
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
  elsif v_verdict = 'equal' then
    update billing.problems p set resolved_at = now()
    where p.kind = 'usage_drift' and p.subject = v_subject and p.resolved_at is null;
  end if;
  return v_verdict;
end;
$$;

comment on function public.note_usage_check(text, text, timestamptz, bigint, text) is
  'Compares what Stripe''s event summaries say of a ledger row with ours as it is now, keeps the result, and returns the verdict: '
  'equal, under_way, parked or drift. A drift is also in billing.problems until a check finds it gone.';

create function billing.prune_metering() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_count bigint;
  v_pruned bigint := 0;
begin
  v_pruned := billing.prune_usage_days() + billing.prune_usage_requests();
  delete from public.notifications n where n.created_at < now() - interval '13 months';
  get diagnostics v_count = row_count;
  v_pruned := v_pruned + v_count;
  delete from billing.usage_checks c where c.run_at < now() - interval '13 months';
  get diagnostics v_count = row_count;
  v_pruned := v_pruned + v_count;
  delete from billing.usage_outbox o using billing.overage_usage u
  where u.period_end < now() - interval '13 months'
    and (o.stripe_customer_id, o.metric_id, o.period_start) = (u.stripe_customer_id, u.metric_id, u.period_start)
    and not exists (
      select from billing.usage_outbox p
      where (p.stripe_customer_id, p.metric_id, p.period_start) = (u.stripe_customer_id, u.metric_id, u.period_start)
        and p.status <> 'sent'
    );
  get diagnostics v_count = row_count;
  return v_pruned + v_count;
end;
$$;

comment on function billing.prune_metering() is
  'Removes days, notifications, checks and what was reported of billing periods that ended more than 13 months ago, and request '
  'ids older than two days. Never the ledger, which is what was billed, nor a period of which something was not sent.';

revoke all on function public.usage_sums(text, timestamptz, text, integer),
  public.note_usage_check(text, text, timestamptz, bigint, text), billing.prune_metering()
  from public, anon, authenticated, service_role;
grant execute on function public.usage_sums(text, timestamptz, text, integer),
  public.note_usage_check(text, text, timestamptz, bigint, text) to service_role;

select cron.schedule('tollgate-usage-sync', '*/5 * * * *', $$select billing.call_function('usage-sync')$$);
select cron.schedule('tollgate-usage-check', '41 * * * *', $$select billing.call_function('usage-check')$$);
select cron.schedule('tollgate-prune-metering', '37 3 * * *', $$select billing.prune_metering()$$);
