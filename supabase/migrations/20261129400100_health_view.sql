-- All checks at once: a view for operators, and an answer for the function `health`.

create function billing.check_database() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  -- Supabase makes a project read-only when its disk is full.
  select 'database_read_only',
    (pg_catalog.pg_is_in_recovery() or pg_catalog.current_setting('default_transaction_read_only')::boolean)::integer::numeric,
    null::timestamptz, null;
$$;

comment on function billing.check_database() is 'Whether anything can be written at all.';

insert into billing.health_thresholds (check_name, check_function, unit, warn, fail, hint) values
  ('database_read_only', 'check_database', 'flag', null, 1, 'Is the disk full? Dashboard, Database, Disk.'),
  ('inbox_lag', 'check_inbox', 'seconds', 300, 1800,
    'The oldest event of Stripe that waits. Is events-drain called (cron:tollgate-drain-events), and is Stripe there?'),
  ('events_pending', 'check_inbox', 'events', 200, 1000, 'Events that wait, counted up to 1000.'),
  ('events_stuck', 'check_inbox', 'events', 1, 20, 'Tried three times or more; last_error in billing.stripe_events says why.'),
  ('events_parked', 'check_inbox', 'events', 1, 20, 'Given up after twelve times: mend the cause, then select billing.replay_event(id).'),
  ('problem:*', 'check_problems', 'open rows', 1, null, 'Read details in billing.problems.'),
  ('problem:audit_broken', 'check_problems', 'open rows', null, 1, 'Evidence, not something to mend: npm run audit:verify, compare with a backup.'),
  ('problem:deletion_failed', 'check_problems', 'open rows', null, 1, 'Somebody waits to be deleted: last_error in billing.deletions.'),
  ('problem:ledger_mismatch', 'check_problems', 'open rows', null, 1, 'One object of Stripe with two amounts: look before you believe.'),
  ('problem:missing_vault_secret', 'check_problems', 'open rows', null, 1, 'Store project_url and secret_key in the Vault.'),
  ('problem:paid_twice', 'check_problems', 'open rows', 1, null, 'Refund one of the two payments: billing.refund_purchase().'),
  ('problem:reconcile_failed', 'check_problems', 'open rows', 1, 50, 'Customers that cannot be read from Stripe; details say why.'),
  ('usage_outbox_age', 'check_usage', 'seconds', 1800, 7200, 'Usage waits to be reported. Is usage-sync called, and is Stripe there?'),
  ('usage_outbox_parked', 'check_usage', 'rows', 1, 20, 'Put aside with parked_reason: billing.retry_usage(id) or public.usage_sent(id).'),
  ('usage_drift', 'check_usage', 'periods', 1, 20, 'Stripe counted something else than was sent: npm run usage:check.'),
  ('usage_check_age', 'check_usage', 'seconds', 10800, 28800, 'usage-check has not finished a page for so long.'),
  ('ledger_drift', 'check_marketplace', 'figures', 1, 20, 'Stripe has another figure than the ledger: billing.ledger_checks.'),
  ('ledger_check_age', 'check_marketplace', 'seconds', 10800, 28800, 'ledger-check has not finished a page for so long.'),
  ('refunds_overdue', 'check_marketplace', 'seconds', 1800, 21600, 'The oldest refund that was asked for and not made: last_error in billing.refund_requests.'),
  ('disputes_overdue', 'check_marketplace', 'seconds', 7200, 86400, 'A creator''s share is to be taken back or paid again: last_error in billing.purchase_disputes.'),
  ('dispute_evidence', 'check_marketplace', 'disputes', 1, null, 'Evidence is due within three days: answer in Stripe''s dashboard.'),
  ('purchases_overdue', 'check_marketplace', 'seconds', 1800, 21600, 'A sale (and its licence) waits to be looked at: is marketplace-sync called?'),
  ('emails_waiting', 'check_people', 'seconds', 1800, 14400, 'The oldest notice on its way by e-mail: last_error in billing.notification_emails.'),
  ('emails_parked', 'check_people', 'e-mails', 1, 50, 'Given up: billing.retry_notification(id).'),
  ('deletions_overdue', 'check_people', 'seconds', 43200, 86400, 'Somebody waits to be deleted: last_error in billing.deletions.'),
  ('snapshot_age', 'check_people', 'seconds', 172800, 345600, 'The customer looked at longest ago. Does reconcile come round?'),
  ('reconcile_age', 'check_reconcile', 'seconds', 10800, 28800, 'reconcile has not finished for so long: last_error in billing.reconcile_runs.'),
  ('audit_age', 'check_audit', 'seconds', 108000, 216000, 'audit-check has not proved the whole chain for so long: npm run audit:verify.'),
  ('function_calls', 'check_calls', 'calls', 3, 15, 'Calls by pg_net within 15 minutes that were refused. 401: the Vault''s secret_key is not the project''s. The functions'' log says more.'),
  ('vault_secrets', 'check_vault', 'missing', null, 1, 'select vault.create_secret(…): without them pg_cron calls nothing.'),
  ('rate_buckets_size', 'check_rate_buckets', 'MB', 128, 1024, 'Is tollgate-prune-rate-buckets running? vacuum full billing.rate_buckets gives disk back.'),
  ('cron:*', 'check_cron', 'periods', 2, 3, 'A job of ours that pg_cron does not run.');

-- Those that must be there; a job without a row is checked as cron:*.
insert into billing.health_thresholds (check_name, check_function, unit, warn, fail, hint)
select 'cron:' || j.jobname::text, 'check_cron', 'periods', 2, 3,
  'How many of its periods ago it last began (1000: missing, off or failed). Look at cron.job_run_details.'
from cron.job j where j.jobname like 'tollgate-%';

create function billing.run_checks()
returns table (check_name text, status text, value numeric, threshold numeric, since timestamptz, hint text, unit text)
language plpgsql stable
-- Definer: the role of a monitor, and the secret key, may know the outcome and read none of the rows behind it.
security definer
set search_path = ''
-- Who waits for a lock has an answer too: this check cannot be computed now.
set lock_timeout = '500ms'
as $$
declare
  v_function text;
  v_part billing.health_finding[];
  v_found billing.health_finding[] := '{}'::billing.health_finding[];
  v_errors jsonb := '{}'::jsonb;
begin
  for v_function in select distinct t.check_function from billing.health_thresholds t loop
    begin
      execute format('select array_agg(f) from billing.%I() f', v_function) into v_part;
      v_found := v_found || coalesce(v_part, '{}'::billing.health_finding[]);
    exception when others then
      v_errors := v_errors || jsonb_build_object(v_function, sqlerrm);
    end;
  end loop;
  return query
  with rated as (
    select coalesce(f.check_name, t.check_name) as check_name, t.check_function, f.value, t.warn, t.fail, f.since, f.note,
      t.hint, t.unit
    from billing.health_thresholds t left join unnest(v_found) f on f.check_name = t.check_name
    where t.check_name not like '%:*'
    union all
    select f.check_name, t.check_function, f.value, t.warn, t.fail, f.since, f.note, t.hint, t.unit
    from unnest(v_found) f join billing.health_thresholds t on t.check_name = split_part(f.check_name, ':', 1) || ':*'
    where not exists (select from billing.health_thresholds o where o.check_name = f.check_name)
  ), judged as (
    select r.*, case when r.value is null or r.value >= r.fail then 'fail' when r.value >= r.warn then 'warn' else 'ok' end as status
    from rated r
  )
  select j.check_name, j.status, j.value, case when j.status = 'fail' then j.fail else coalesce(j.warn, j.fail) end, j.since,
    case when j.value is null
      then 'cannot be computed: ' || coalesce(v_errors ->> j.check_function, j.check_function || ' says nothing of it')
      when j.status = 'ok' then j.hint
      else concat_ws('; ', j.note, j.hint) end,
    j.unit
  from judged j
  order by array_position(array['fail', 'warn', 'ok'], j.status), j.check_name;
end;
$$;

comment on function billing.run_checks() is
  'Every check beside its threshold, the worst first. A check that raises or says nothing is a failure with its reason.';

create view billing.health with (security_invoker = true) as
  select c.check_name, c.status, c.value, c.threshold, c.since, c.hint, c.unit from billing.run_checks() c;

comment on view billing.health is
  'For operators and monitors: one row per check, ok, warn or fail, the worst first. value and threshold are in unit.';

revoke all on billing.health from public, anon, authenticated, service_role;

-- The function `health` may be asked by anybody, so its answer is kept for a moment: however many ask, the checks are
-- computed once. Unlogged: after a crash they are computed again.
create unlogged table billing.health_answer (
  id boolean primary key default true check (id),
  at timestamptz not null,
  answer jsonb not null
);

comment on table billing.health_answer is 'The last answer of public.read_health(): one row.';

alter table billing.health_answer enable row level security;
revoke all on billing.health_answer from public, anon, authenticated, service_role;
create policy "Nobody reads the kept answer" on billing.health_answer
  for all to anon, authenticated using (false) with check (false);

create function billing.health_answer_of(p_max_age_seconds integer) returns jsonb
language sql volatile
set search_path = ''
as $$
  select a.answer from billing.health_answer a
  where a.at > clock_timestamp() - p_max_age_seconds * interval '1 second';
$$;

comment on function billing.health_answer_of(integer) is 'The kept answer, unless it is older.';

create function public.read_health(p_max_age_seconds integer default 10) returns jsonb
language plpgsql
-- Definer: the schema billing is closed to the secret key.
security definer
set search_path = ''
as $$
declare
  v_answer jsonb := billing.health_answer_of(p_max_age_seconds);
begin
  perform billing.require(p_max_age_seconds between 0 and 3600, 'p_max_age_seconds is not between 0 and 3600');
  if v_answer is not null then
    return v_answer;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('tollgate read_health', 0));
  -- Who waited finds what the one before computed.
  v_answer := billing.health_answer_of(p_max_age_seconds);
  if v_answer is not null then
    return v_answer;
  end if;
  select jsonb_build_object(
    'status', case when bool_or(c.status = 'fail') then 'fail' when bool_or(c.status = 'warn') then 'warn' else 'ok' end,
    'at', clock_timestamp(),
    'checks', jsonb_agg(to_jsonb(c))
  ) into v_answer
  from billing.run_checks() c;
  if not current_setting('transaction_read_only')::boolean then
    insert into billing.health_answer as a (at, answer) values (clock_timestamp(), v_answer)
    on conflict (id) do update set at = excluded.at, answer = excluded.answer;
  end if;
  return v_answer;
end;
$$;

comment on function public.read_health(integer) is
  '{status, at, checks: [{check_name, status, value, threshold, since, hint, unit}]}, the worst first; not older than '
  'p_max_age_seconds. status is that of the worst check.';

create function billing.replay_event(p_id text) returns void
language plpgsql
set search_path = ''
as $$
begin
  update billing.stripe_events e
  set status = 'pending', attempts = 0, next_attempt_at = now(), processed_at = null, last_error = null
  where e.id = p_id;
  if not found then
    raise exception 'there is no event %', p_id using errcode = 'no_data_found';
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'event_parked' and p.subject = p_id and p.resolved_at is null;
end;
$$;

comment on function billing.replay_event(text) is
  'For operators: events-drain takes the event again within a minute, whatever became of it. It is a hint, so this is harmless.';

revoke all on function billing.check_database(), billing.run_checks(), billing.health_answer_of(integer),
  public.read_health(integer), billing.replay_event(text)
  from public, anon, authenticated, service_role;
grant execute on function public.read_health(integer) to service_role;
