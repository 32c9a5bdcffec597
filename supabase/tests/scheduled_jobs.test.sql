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

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

create function pg_temp.refusal(p_statement text) returns jsonb
language plpgsql as $$
declare
  v_detail text;
begin
  execute p_statement;
  return null;
exception when sqlstate 'PGRST' then
  get stacked diagnostics v_detail = pg_exception_detail;
  return sqlerrm::jsonb || v_detail::jsonb;
end;
$$;
grant execute on function pg_temp.refusal(text) to public;

select no_plan();

-- The jobs are there, and what they call does not break.

select results_eq(
  $$select jobname::text collate "default", schedule, command, active from cron.job where jobname like 'tollgate-%' order by 1$$,
  $$values
    ('tollgate-audit-check', '43 4 * * *', 'select billing.call_function(''audit-check'')', true),
    ('tollgate-audit-months', '7 2 * * *', 'select billing.ensure_audit_partitions()', true),
    ('tollgate-deletions', '*/5 * * * *',
      'select billing.call_function(''deletions'') where exists (select from billing.deletions d where d.finished_at is null)', true),
    ('tollgate-drain-events', '* * * * *', 'select billing.call_function(''events-drain'')', true),
    ('tollgate-expire-entitlements', '* * * * *', 'select billing.expire_entitlements()', true),
    ('tollgate-ledger-check', '53 * * * *', 'select billing.call_function(''ledger-check'')', true),
    ('tollgate-marketplace-sync', '*/5 * * * *', 'select billing.call_function(''marketplace-sync'')', true),
    ('tollgate-notify', '* * * * *', 'select billing.call_function(''notify'') where billing.emails_enabled()', true),
    ('tollgate-prune-audit', '27 3 * * *', 'select billing.prune_audit_log()', true),
    ('tollgate-prune-events', '17 3 * * *', 'select billing.prune_stripe_events()', true),
    ('tollgate-prune-job-history', '37 3 * * *', 'select billing.prune_job_history()', true),
    ('tollgate-prune-ledger-checks', '47 3 * * *', 'select billing.prune_ledger_checks()', true),
    ('tollgate-prune-metering', '37 3 * * *', 'select billing.prune_metering()', true),
    ('tollgate-prune-rate-buckets', '*/5 * * * *', 'select billing.prune_rate_buckets()', true),
    ('tollgate-reconcile', '23 * * * *', 'select billing.call_function(''reconcile'')', true),
    ('tollgate-usage-check', '41 * * * *', 'select billing.call_function(''usage-check'')', true),
    ('tollgate-usage-sync', '*/5 * * * *', 'select billing.call_function(''usage-sync'')', true)$$,
  'the jobs are scheduled'
);
select is_empty(
  $$select jobname from cron.job where jobname like 'tollgate-%' and username <> current_user$$,
  'and run as the owner of the database'
);

insert into cron.job_run_details (jobid, runid, start_time, end_time) values
  (1, 900000001, now() - interval '15 days', now() - interval '15 days'),
  (1, 900000002, now() - interval '13 days', now() - interval '13 days');
select isnt(billing.prune_job_history(), 0::bigint, 'the history of the jobs is pruned');
select results_eq(
  'select runid from cron.job_run_details where runid > 900000000', array[900000002::bigint],
  'after 14 days, not before'
);

-- Without the secrets, and with them.
delete from vault.secrets where name in ('project_url', 'secret_key');
delete from billing.problems;
select is(billing.call_function('events-drain'), null, 'without the secrets nothing is called');
select results_eq(
  'select kind, subject, details from billing.problems',
  $$values ('missing_vault_secret', 'events-drain', '{"project_url": false, "secret_key": false}'::jsonb)$$,
  'and an operator is told'
);
select is(billing.call_function('events-drain'), null, 'again and again');
select is((select occurrences from billing.problems), 2::bigint, 'in one row');
select vault.create_secret('http://127.0.0.1:9/', 'project_url');
select is(billing.call_function('events-drain'), null, 'half of them does not do');
select vault.create_secret('sb_secret_test', 'secret_key');
select isnt(billing.call_function('events-drain'), null, 'with the secrets the function is called');
select results_eq(
  $$select method::text, url, headers ->> 'apikey', timeout_milliseconds
    from net.http_request_queue order by id desc limit 1$$,
  $$values ('POST', 'http://127.0.0.1:9/functions/v1/events-drain', 'sb_secret_test', 55000)$$,
  'at the project''s address, with the key'
);
select isnt((select resolved_at from billing.problems), null, 'and the problem is over');

select * from finish();
rollback;
