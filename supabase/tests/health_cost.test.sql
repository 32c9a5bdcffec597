begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

select no_plan();

-- The checks cost the same however long the history is: a monitor asks every minute. Measured in pages that are touched.

create function pg_temp.pages_of(p_function text) returns bigint
language plpgsql as $$
declare
  v_plan json;
begin
  execute format('explain (analyze, buffers, costs off, timing off, summary off, format json) select * from billing.%I()', p_function)
    into v_plan;
  return (v_plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (v_plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
end;
$$;

create function pg_temp.measure() returns table (name text, pages bigint)
language plpgsql as $$
begin
  for name in select distinct check_function from billing.health_thresholds loop
    -- The first time also reads the catalogue.
    perform pg_temp.pages_of(name);
    pages := pg_temp.pages_of(name);
    return next;
  end loop;
end;
$$;

create temporary table before_growth as select * from pg_temp.measure();

insert into billing.stripe_events (id, type, stripe_created_at, received_at, status, next_attempt_at)
select 'evt_cost_' || i, 'invoice.paid', now(), now() - i * interval '1 minute', 'processed', null from generate_series(1, 20000) i;
insert into billing.problems (kind, subject, resolved_at)
select 'cost_' || i % 20, 'x' || i, now() from generate_series(1, 20000) i;
-- Many of one kind are still open: a count of them goes no further than its bound.
insert into billing.problems (kind, subject) select 'cost_open', 'x' || i from generate_series(1, 20000) i;
insert into billing.usage_checks (stripe_customer_id, metric_id, period_start, run_at, ledger, unclaimed, outbox_sent,
  outbox_waiting, parked, adjusted, stripe, drift, verdict)
select 'cus_cost_' || i % 1000, 'message', '2026-11-01', now() - i * interval '1 minute', 1, 0, 1, 0, 0, 0, 1, 0, 'equal'
from generate_series(1, 20000) i;
insert into billing.ledger_checks (run_at, subject, currency, ledger_minor, stripe_minor)
select now() - i * interval '1 minute', 'acct_' || i % 1000 || ':balance', 'usd', 1, 1 from generate_series(1, 20000) i;
insert into billing.reconcile_runs (since, finished_at) select now(), now() - i * interval '1 hour' from generate_series(1, 10000) i;
insert into net._http_response (id, status_code, created)
select i, 200, now() - interval '15 minutes' - i * interval '1 second' from generate_series(1, 20000) i;
insert into billing.overage_usage (stripe_customer_id, metric_id, period_start, period_end, quantity, claimed, amount_minor)
values ('cus_cost', 'message', '2026-11-01', '2026-12-01', 20000, 20000, 10);
insert into billing.usage_outbox (stripe_customer_id, metric_id, period_start, sequence, quantity, identifier,
  meter_event_name, event_time, status, sent_at)
select 'cus_cost', 'message', '2026-11-01', i, 1, 'cost-' || i, 'tollgate_message', '2026-11-02', 'sent', now()
from generate_series(1, 20000) i;
analyze billing.stripe_events, billing.problems, billing.usage_checks, billing.ledger_checks, billing.reconcile_runs, billing.usage_outbox;

select cmp_ok(a.pages, '<', b.pages + 150, format('%s touches %s pages, and %s before the history grew', a.name, a.pages, b.pages))
from pg_temp.measure() a join before_growth b on b.name = a.name where a.name <> 'check_cron';

-- pg_cron's history has no index to go by: it is read from its end, no further than 40,000 runs.
insert into cron.job_run_details (jobid, runid, status, start_time, end_time)
select 1, 1900000000 + i, 'succeeded', now(), now() from generate_series(1, 45000) i;
create temporary table with_40000 as select pg_temp.pages_of('check_cron') as pages;
insert into cron.job_run_details (jobid, runid, status, start_time, end_time)
select 1, 1900100000 + i, 'succeeded', now(), now() from generate_series(1, 60000) i;
select cmp_ok(pg_temp.pages_of('check_cron'), '<', (select w.pages + 150 from with_40000 w), 'more runs than those cost nothing more');

select * from finish();
rollback;
