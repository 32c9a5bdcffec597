begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

create function pg_temp.become(p_role text, p_user_id uuid default null) returns void
language sql as $$
  select set_config('request.jwt.claim.sub', coalesce(p_user_id::text, ''), true),
    set_config('request.jwt.claims',
      jsonb_strip_nulls(jsonb_build_object('role', p_role, 'sub', p_user_id))::text, true),
    set_config('role', p_role, true);
$$;
grant execute on function pg_temp.become(text, uuid) to public;

select no_plan();

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

-- Other tests, and the jobs of this stack, leave traces; what is checked here begins from nothing. Rolled back at the end.
create function pg_temp.calm() returns void
language plpgsql as $$
begin
  delete from billing.stripe_events;
  delete from billing.problems;
  delete from billing.usage_checks;
  delete from billing.usage_outbox;
  delete from billing.ledger_checks;
  delete from billing.refund_requests;
  delete from billing.purchase_disputes;
  update public.purchases set due_at = null;
  delete from billing.notification_emails;
  delete from billing.deletions where finished_at is null;
  delete from billing.sync_state;
  delete from net._http_response;
  delete from billing.health_marks where name = 'usage_held';
  perform public.note_catalogue_check(jsonb_agg(jsonb_build_object('lookup_key', r.lookup_key, 'verdict', 'equal')))
  from public.catalogue_rows() r;
  delete from billing.reconcile_runs;
  delete from vault.secrets where name in ('project_url', 'secret_key');
  perform vault.create_secret('http://127.0.0.1:9', 'project_url');
  perform vault.create_secret('sb_secret_test', 'secret_key');
  update billing.usage_check_cursor set updated_at = now();
  update billing.ledger_check_cursor set updated_at = now();
  insert into billing.health_marks (name, at) values ('audit_verified', now())
  on conflict (name) do update set at = excluded.at;
  delete from cron.job_run_details;
  insert into cron.job_run_details (jobid, runid, status, start_time, end_time)
  select j.jobid, 2000000000 + j.jobid, 'succeeded', now(), now() from cron.job j;
end;
$$;

create function pg_temp.status_of(p_check text) returns text
language sql as $$ select h.status from billing.health h where h.check_name = p_check $$;

select pg_temp.calm();
select is_empty($$select check_name, status, hint from billing.health where status <> 'ok'$$, 'a project where nothing happened is well');
select cmp_ok((select count(*) from billing.health), '>=', 45::bigint, 'by every check');
select is_empty(
  $$select check_name from billing.health group by check_name having count(*) > 1$$, 'each of which is one row');
select results_eq(
  $$select jobname::text collate "default" from cron.job where jobname like 'tollgate-%' order by 1$$,
  $$select substr(check_name, 6) from billing.health_thresholds where check_name like 'cron:tollgate-%' order by 1$$,
  'every job of ours is one that must be there'
);

-- Each check goes red when its cause is made, warns before that, and green again. red: what is a failure; amber: what warns.
create temporary table causes (check_name text, expected text, cause text, cure text);
insert into causes values
  ('inbox_lag', 'warn',
    $$insert into billing.stripe_events (id, type, stripe_created_at, received_at) values ('evt_lag', 'invoice.paid', now(), now() - interval '10 minutes')$$,
    $$delete from billing.stripe_events$$),
  ('inbox_lag', 'fail',
    $$insert into billing.stripe_events (id, type, stripe_created_at, received_at) values ('evt_lag', 'invoice.paid', now(), now() - interval '31 minutes')$$,
    $$update billing.stripe_events set status = 'processed', next_attempt_at = null$$),
  ('events_pending', 'fail',
    $$insert into billing.stripe_events (id, type, stripe_created_at) select 'evt_many_' || i, 'invoice.paid', now() from generate_series(1, 1200) i$$,
    $$delete from billing.stripe_events$$),
  ('events_stuck', 'warn',
    $$insert into billing.stripe_events (id, type, stripe_created_at, attempts, last_error) values ('evt_stuck', 'invoice.paid', now(), 3, 'boom')$$,
    $$delete from billing.stripe_events$$),
  ('events_parked', 'warn',
    $$insert into billing.stripe_events (id, type, stripe_created_at, status, next_attempt_at) values ('evt_parked', 'invoice.paid', now(), 'parked', null)$$,
    $$select billing.replay_event('evt_parked')$$),
  ('problem:unknown_price', 'warn',
    $$select billing.report_problem('unknown_price', 'price_1')$$,
    $$update billing.problems set resolved_at = now()$$),
  ('problem:audit_broken', 'fail',
    $$select public.note_audit_check('{"fault": "row_changed"}')$$, $$select public.note_audit_check(null)$$),
  ('problem:deletion_failed', 'fail',
    $$select billing.report_problem('deletion_failed', 'x')$$, $$update billing.problems set resolved_at = now()$$),
  ('problem:ledger_mismatch', 'fail',
    $$select billing.report_problem('ledger_mismatch', 'x')$$, $$update billing.problems set resolved_at = now()$$),
  ('problem:missing_vault_secret', 'fail',
    $$select billing.report_problem('missing_vault_secret', 'x')$$, $$update billing.problems set resolved_at = now()$$),
  ('problem:paid_twice', 'warn',
    $$select billing.report_problem('paid_twice', 'x')$$, $$update billing.problems set resolved_at = now()$$),
  ('problem:reconcile_failed', 'warn',
    $$select billing.report_problem('reconcile_failed', 'cus_1')$$, $$update billing.problems set resolved_at = now()$$),
  ('problem:reconcile_failed', 'fail',
    $$select billing.report_problem('reconcile_failed', 'cus_' || i) from generate_series(1, 50) i$$, $$delete from billing.problems$$),
  ('usage_outbox_age', 'warn',
    $$select pg_temp.outbox('pending', now() - interval '40 minutes')$$, $$delete from billing.usage_outbox$$),
  ('usage_outbox_age', 'fail',
    $$select pg_temp.outbox('pending', now() - interval '3 hours')$$,
    $$select public.usage_sent(id) from billing.usage_outbox$$),
  ('usage_outbox_parked', 'warn', $$select pg_temp.outbox('parked', now())$$, $$delete from billing.usage_outbox$$),
  ('usage_drift', 'warn',
    $$select pg_temp.checked('drift')$$, $$select pg_temp.checked('equal')$$),
  ('usage_check_age', 'warn',
    $$update billing.usage_check_cursor set updated_at = now() - interval '4 hours'$$, $$select public.move_usage_check('')$$),
  ('usage_check_age', 'fail',
    $$update billing.usage_check_cursor set updated_at = now() - interval '9 hours'$$, $$select public.move_usage_check('')$$),
  ('ledger_check_age', 'fail',
    $$update billing.ledger_check_cursor set updated_at = now() - interval '9 hours'$$, $$select public.move_ledger_check()$$),
  ('ledger_drift', 'warn',
    $$insert into billing.ledger_checks (subject, currency, ledger_minor, stripe_minor) values ('acct_1:balance', 'usd', 5, 4)$$,
    $$insert into billing.ledger_checks (subject, currency, ledger_minor, stripe_minor) values ('acct_1:balance', 'usd', 5, 5)$$),
  ('purchases_overdue', 'fail',
    $$update public.purchases set due_at = now() - interval '7 hours' where id = 'c0000000-0000-4000-8000-000000000001'$$,
    $$update public.purchases set due_at = now() + interval '1 hour'$$),
  ('refunds_overdue', 'warn',
    $$insert into billing.refund_requests (purchase_id, charge_id, amount_minor, reason, created_at)
      values ('c0000000-0000-4000-8000-000000000001', 'ch_health', 1, 'test', now() - interval '1 hour')$$,
    $$update billing.refund_requests set status = 'failed'$$),
  ('disputes_overdue', 'warn',
    $$insert into billing.purchase_disputes (id, purchase_id, charge_id, status, amount_minor, currency, next_attempt_at)
      values ('dp_1', 'c0000000-0000-4000-8000-000000000001', 'ch_health', 'under_review', 1, 'usd', now() - interval '3 hours')$$,
    $$update billing.purchase_disputes set transfer_state = 'reversed'$$),
  ('dispute_evidence', 'warn',
    $$insert into billing.purchase_disputes (id, purchase_id, charge_id, status, amount_minor, currency, evidence_due_by)
      values ('dp_2', 'c0000000-0000-4000-8000-000000000001', 'ch_health', 'needs_response', 1, 'usd', now() + interval '2 days')$$,
    $$update billing.purchase_disputes set status = 'under_review'$$),
  ('emails_waiting', 'warn',
    $$select pg_temp.mail(now() - interval '1 hour', null)$$, $$delete from billing.notification_emails$$),
  ('emails_parked', 'warn',
    $$select pg_temp.mail(now(), now())$$, $$delete from billing.notification_emails$$),
  ('deletions_overdue', 'warn',
    $$insert into billing.deletions (user_id, requested_at) values ('b0000000-0000-4000-8000-00000000000d', now() - interval '13 hours')$$,
    $$delete from billing.deletions where finished_at is null$$),
  ('deletions_overdue', 'fail',
    $$insert into billing.deletions (user_id, requested_at) values ('b0000000-0000-4000-8000-00000000000d', now() - interval '25 hours')$$,
    $$update billing.deletions set finished_at = now(), next_attempt_at = null$$),
  ('snapshot_age', 'warn',
    $$insert into billing.sync_state (user_id, last_token, applied_at) values ('a0000000-0000-4000-8000-000000000001', 1, now() - interval '49 hours')$$,
    $$update billing.sync_state set applied_at = now()$$),
  ('reconcile_age', 'warn',
    $$insert into billing.reconcile_runs (since, finished_at) values (now(), now() - interval '4 hours')$$,
    $$insert into billing.reconcile_runs (since, finished_at) values (now(), now())$$),
  ('reconcile_age', 'fail',
    $$update billing.health_thresholds set added_at = now() - interval '9 hours'$$,
    $$insert into billing.reconcile_runs (since, finished_at) values (now(), now())$$),
  ('audit_age', 'fail',
    $$update billing.health_marks set at = now() - interval '3 days' where name = 'audit_verified'$$,
    $$select public.note_audit_check(null)$$),
  ('function_calls', 'warn',
    $$insert into net._http_response (id, status_code) select i, 500 from generate_series(1, 4) i$$,
    $$update net._http_response set created = now() - interval '20 minutes'$$),
  ('function_calls', 'fail',
    $$insert into net._http_response (id, error_msg, timed_out) select i, 'Timeout was reached', true from generate_series(1, 15) i$$,
    $$delete from net._http_response$$),
  ('catalogue', 'warn',
    $$update billing.catalogue_checks set verdict = 'differs' where lookup_key = 'pro_monthly'$$,
    $$select public.note_catalogue_check('[{"lookup_key": "pro_monthly", "verdict": "equal"}]')$$),
  ('catalogue', 'warn',
    $$insert into public.prices (lookup_key, plan_id, currency, unit_amount_minor, billing_interval) values ('pro_new', 'pro', 'usd', 1, 'month')$$,
    $$update public.prices set is_active = false where lookup_key = 'pro_new'$$),
  ('quota_gates', 'fail',
    $$alter table public.messages disable trigger tollgate_after_insert_consume$$,
    $$alter table public.messages enable trigger tollgate_after_insert_consume$$),
  ('usage_held', 'warn',
    $$insert into billing.health_marks (name, at) values ('usage_held', now() - interval '1 minute')$$, $$select public.release_usage()$$),
  ('vault_secrets', 'fail',
    $$delete from vault.secrets where name = 'secret_key'$$, $$select vault.create_secret('sb_secret_test', 'secret_key')$$),
  ('cron:tollgate-drain-events', 'warn',
    $$update cron.job_run_details set start_time = now() - interval '150 seconds'$$,
    $$update cron.job_run_details set start_time = now()$$),
  ('cron:tollgate-drain-events', 'fail',
    $$update cron.job_run_details set start_time = now() - interval '3 minutes'$$,
    $$update cron.job_run_details set start_time = now()$$),
  ('cron:tollgate-reconcile', 'fail',
    $$update cron.job_run_details set start_time = now() - interval '3 hours'$$,
    $$update cron.job_run_details set start_time = now()$$),
  ('cron:tollgate-audit-check', 'fail',
    $$update cron.job_run_details set start_time = now() - interval '3 days'$$,
    $$update cron.job_run_details set start_time = now()$$),
  ('cron:tollgate-reconcile', 'fail',
    $$insert into cron.job_run_details (jobid, runid, status, return_message, start_time, end_time)
      select jobid, 2100000000, 'failed', 'ERROR: no such function', now(), now() from cron.job where jobname = 'tollgate-reconcile'$$,
    $$insert into cron.job_run_details (jobid, runid, status, start_time, end_time)
      select jobid, 2100000001, 'succeeded', now(), now() from cron.job where jobname = 'tollgate-reconcile'$$),
  ('cron:tollgate-usage-sync', 'fail',
    $$select cron.alter_job(jobid, active := false) from cron.job where jobname = 'tollgate-usage-sync'$$,
    $$select cron.alter_job(jobid, active := true) from cron.job where jobname = 'tollgate-usage-sync'$$),
  ('cron:tollgate-usage-check', 'fail',
    $$select cron.unschedule('tollgate-usage-check')$$,
    $$select cron.schedule('tollgate-usage-check', '41 * * * *', 'select 1')$$),
  ('cron:tollgate-of-tomorrow', 'fail',
    $$select cron.schedule('tollgate-of-tomorrow', '* * * * *', 'select 1');
      insert into cron.job_run_details (jobid, runid, status, start_time, end_time)
      select jobid, 2100000002, 'failed', now(), now() from cron.job where jobname = 'tollgate-of-tomorrow'$$,
    $$select cron.unschedule('tollgate-of-tomorrow')$$),
  ('rate_buckets_size', 'fail',
    $$update billing.health_thresholds set warn = null, fail = 0 where check_name = 'rate_buckets_size'$$,
    $$update billing.health_thresholds set fail = 1024 where check_name = 'rate_buckets_size'$$),
  ('database_read_only', 'fail',
    $$select set_config('default_transaction_read_only', 'on', true)$$,
    $$select set_config('default_transaction_read_only', 'off', true)$$);

insert into public.customers (user_id, stripe_customer_id, created_at)
values ('a0000000-0000-4000-8000-000000000001', 'cus_health', now() - interval '30 days');
insert into billing.overage_usage (stripe_customer_id, metric_id, period_start, period_end, quantity, amount_minor)
values ('cus_health', 'message', '2026-11-01', '2026-12-01', 5, 10);
insert into public.sellers (id, user_id, stripe_account_id, status, display_name)
values ('d0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001', 'acct_health', 'active', 'Bob');
insert into public.listings (id, seller_id, title, description, category, kind, price_minor, currency)
values ('e0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000001', 'Help', 'Helps', 'agent', 'one_time', 900, 'usd');
insert into public.purchases (id, buyer_id, listing_id, seller_id, kind, title, amount_minor, currency, fee_bps, fee_minor, due_at)
values ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'e0000000-0000-4000-8000-000000000001',
  'd0000000-0000-4000-8000-000000000001', 'one_time', 'Help', 900, 'usd', 1000, 90, null);
insert into billing.purchase_charges (id, purchase_id, amount_minor, status, created_at)
values ('ch_health', 'c0000000-0000-4000-8000-000000000001', 900, 'succeeded', now());

create function pg_temp.outbox(p_status text, p_created_at timestamptz) returns void
language sql as $$
  insert into billing.usage_outbox (stripe_customer_id, metric_id, period_start, sequence, quantity, identifier,
    meter_event_name, event_time, status, parked_reason, created_at)
  values ('cus_health', 'message', '2026-11-01', 1, 5, 'health-1', 'tollgate_message', '2026-11-02', p_status,
    case when p_status = 'parked' then 'uncertain' end, p_created_at);
$$;
create function pg_temp.checked(p_verdict text) returns void
language sql as $$
  insert into billing.usage_checks (stripe_customer_id, metric_id, period_start, ledger, unclaimed, outbox_sent, outbox_waiting,
    parked, adjusted, stripe, drift, verdict)
  values ('cus_health', 'message', '2026-11-01', 5, 0, 5, 0, 0, 0, 6, 1, p_verdict);
$$;
create function pg_temp.mail(p_queued_at timestamptz, p_parked_at timestamptz) returns void
language sql as $$
  with notice as (
    insert into public.notifications (user_id, kind, metric_id, threshold, limit_value, period, title, body)
    values ('a0000000-0000-4000-8000-000000000001', 'allowance', 'message', 80, 50, gen_random_uuid()::text, 'x', 'x') returning id
  )
  insert into billing.notification_emails (notification_id, queued_at, parked_at) select id, p_queued_at, p_parked_at from notice;
$$;

create function pg_temp.try_cause(c causes) returns setof text
language plpgsql as $$
begin
  perform pg_temp.calm();
  return next is(coalesce(pg_temp.status_of(c.check_name), 'ok'), 'ok', c.check_name || ' is green');
  execute c.cause;
  return next is(pg_temp.status_of(c.check_name), c.expected, c.check_name || ' turns ' || c.expected);
  return next isnt((select h.hint from billing.health h where h.check_name = c.check_name), null, 'with a hint');
  return next is(
    public.read_health(0) ->> 'status', (select h.status from billing.health h limit 1), 'and the whole is as bad as the worst'
  );
  execute c.cure;
  return next is(coalesce(pg_temp.status_of(c.check_name), 'ok'), 'ok', c.check_name || ' is green again');
  update billing.health_thresholds set added_at = now();
end;
$$;

select pg_temp.try_cause(c) from causes c;

-- Every check has a cause above.
select is_empty(
  $$select check_name from billing.health_thresholds t
    where check_name not like '%:*' and not exists (select from causes c where c.check_name = t.check_name)
      and check_name not like 'cron:%'$$,
  'no check is left untried'
);

-- A check that cannot be computed is a failure, and the others are what they are.
select pg_temp.calm();
create role health_blind;
grant health_blind to postgres;
grant usage, create on schema billing to health_blind;
grant select on billing.health_thresholds to health_blind;
alter function billing.check_cron() owner to health_blind;
alter function billing.check_cron() security definer;
select is(pg_temp.status_of('cron:tollgate-reconcile'), 'fail', 'where pg_cron''s tables are not visible its checks fail');
select is((select hint from billing.health where check_name = 'cron:tollgate-reconcile'),
  'cannot be computed: permission denied for schema cron', 'and say why');
select is(pg_temp.status_of('inbox_lag'), 'ok', 'the others are computed');
alter function billing.check_cron() security invoker;
select is(pg_temp.status_of('cron:tollgate-reconcile'), 'ok', 'where they are it is well again');

insert into billing.health_thresholds (check_name, check_function, unit, fail, hint)
values ('my_own', 'check_of_mine', 'things', 1, 'Mine.');
select is(pg_temp.status_of('my_own'), 'fail', 'a check without its function fails');
create function billing.check_of_mine() returns setof billing.health_finding language sql as $$ select 'another', 0, null::timestamptz, null $$;
select matches((select hint from billing.health where check_name = 'my_own'), 'says nothing', 'and one that says nothing of it');
create or replace function billing.check_of_mine() returns setof billing.health_finding language sql as $$ select 'my_own', 0, null::timestamptz, null $$;
select is(pg_temp.status_of('my_own'), 'ok', 'an operator adds a check of their own');
create or replace function billing.check_of_mine() returns setof billing.health_finding language sql as $$ select 'my_own', 1 / 0, null::timestamptz, null $$;
select matches((select hint from billing.health where check_name = 'my_own'), 'division by zero', 'which may break');
delete from billing.health_thresholds where check_name = 'my_own';

-- Thresholds are rows, and a changed one is in the audit log.
select billing.report_problem('unknown_price', 'price_1');
update billing.health_thresholds set warn = 2 where check_name = 'problem:*';
select is(pg_temp.status_of('problem:unknown_price'), 'ok', 'a threshold counts at once');
select is((select after ->> 'warn' from billing.audit_log where action = 'operator.health_threshold.changed' order by id desc limit 1),
  '2', 'and who changed it is known');

-- The periods of schedules.
select results_eq(
  $$select billing.cron_period(s) from unnest(array['* * * * *', '*/5 * * * *', '41 * * * *', '3 */6 * * *', '43 4 * * *',
    '0 3 * * 1', '30 seconds', '@hourly', '@daily', '0 0 1 * *', '1,2 * * * *']) s$$,
  $$values (interval '1 minute'), ('5 minutes'), ('1 hour'), ('6 hours'), ('1 day'), ('7 days'), ('30 seconds'), ('1 hour'),
    ('1 day'), (null), (null)$$,
  'how often a schedule comes round'
);

-- The kept answer.
select pg_temp.calm();
select is(public.read_health(0) ->> 'status', 'ok', 'computed anew');
select public.note_audit_check('{"fault": "row_changed"}');
select is(public.read_health(60) ->> 'status', 'ok', 'who may wait gets what was computed before');
select is(public.read_health(0) ->> 'status', 'fail', 'who may not gets it anew');
select is(public.read_health(60) ->> 'status', 'fail', 'which then everybody gets');
select throws_like($$select public.read_health(-1)$$, '%p_max_age_seconds%', 'an age below zero is refused');

-- Replaying an event.
insert into billing.stripe_events (id, type, stripe_created_at, status, next_attempt_at, attempts, last_error)
values ('evt_again', 'invoice.paid', now(), 'parked', null, 12, 'boom');
select billing.report_problem('event_parked', 'evt_again');
select billing.replay_event('evt_again');
select results_eq(
  $$select status, attempts, last_error, next_attempt_at <= now() from billing.stripe_events where id = 'evt_again'$$,
  $$values ('pending', 0, null::text, true)$$, 'an event is taken again');
select isnt((select resolved_at from billing.problems where subject = 'evt_again'), null, 'and is nobody''s problem for now');
select throws_like($$select billing.replay_event('evt_none')$$, 'there is no event%', 'one that is not there is not');

-- Nobody but the secret key, and it only the outcome.
select pg_temp.become('service_role');
select isnt(public.read_health(60), null, 'the secret key reads the answer');
select throws_like($$select * from billing.health$$, 'permission denied%', 'and not the schema');
reset role;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select throws_like($$select public.read_health()$$, 'permission denied%', 'a person does not');
select throws_like($$select * from billing.health$$, 'permission denied%', 'nor the view');
select throws_like($$select * from billing.health_answer$$, 'permission denied%', 'nor the kept answer');
reset role;
select pg_temp.become('anon');
select throws_like($$select public.read_health()$$, 'permission denied%', 'a stranger does not');
select throws_like($$select * from billing.health$$, 'permission denied%', 'nor the view');
reset role;

select * from finish();
rollback;
