-- Is everything well? One row per check, each computed by a function of its own and laid beside a threshold, which is a row.
--
-- A check costs the same however long the history is: it reads the oldest row of a partial index, or counts no further than
-- a bound. None can fail the whole: what a check raises is its hint, and its status is fail. So is a check that says nothing.

create table billing.health_thresholds (
  check_name text primary key check (check_name ~ '^[a-z][a-z0-9_]*(:(\*|[a-z0-9_-]+))?$'),
  check_function text not null check (check_function ~ '^check_[a-z_]+$'),
  unit text not null check (unit <> ''),
  warn numeric,
  fail numeric,
  hint text not null check (hint <> ''),
  added_at timestamptz not null default now(),
  check (warn is not null or fail is not null),
  check (warn <= fail)
);

comment on table billing.health_thresholds is
  'What is checked and from which value on it is a warning or a failure. Operators edit warn and fail; <name>:* is for what '
  'has no row of its own.';
comment on column billing.health_thresholds.check_function is 'A function billing.<name>(), which answers (check_name, value, since, note).';
comment on column billing.health_thresholds.unit is 'Of value, warn and fail.';
comment on column billing.health_thresholds.warn is 'From this value on a warning; null: never.';
comment on column billing.health_thresholds.fail is 'From this value on a failure; null: never.';
comment on column billing.health_thresholds.hint is 'What to do about it.';
comment on column billing.health_thresholds.added_at is 'What has never happened yet counts as having happened then.';

create type billing.health_finding as (check_name text, value numeric, since timestamptz, note text);

comment on type billing.health_finding is
  'What a check found; note says more than the hint of its threshold. Without a value it could not be computed.';

create table billing.health_marks (
  name text primary key check (name <> ''),
  at timestamptz not null
);

comment on table billing.health_marks is 'When something last went well of which no other row tells.';

alter table billing.health_thresholds enable row level security;
alter table billing.health_marks enable row level security;
revoke all on billing.health_thresholds, billing.health_marks from public, anon, authenticated, service_role;
create policy "Nobody reads the thresholds" on billing.health_thresholds
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the marks" on billing.health_marks
  for all to anon, authenticated using (false) with check (false);
select billing.audit_table('billing.health_thresholds', 'operator.health_threshold', '', 'check_name', 'warn,fail');

create function billing.seconds_since(p_at timestamptz) returns numeric
language sql stable
set search_path = ''
as $$
  select case when p_at is null then 0 else greatest(0, round(extract(epoch from now() - p_at))) end;
$$;

comment on function billing.seconds_since(timestamptz) is 'Whole seconds; 0 for null and for what is to come.';

-- The inbox.

create index stripe_events_pending_received_at_idx on billing.stripe_events (received_at) where status = 'pending';
create index stripe_events_parked_received_at_idx on billing.stripe_events (received_at) where status = 'parked';

create function billing.check_inbox() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  -- What waits in vain is the oldest, so the first thousand tell.
  with oldest as (
    select e.received_at, e.attempts, e.last_error from billing.stripe_events e
    where e.status = 'pending' order by e.received_at limit 1000
  ), parked as (
    select e.received_at, e.type from billing.stripe_events e
    where e.status = 'parked' order by e.received_at limit 1000
  )
  select 'inbox_lag', billing.seconds_since(min(o.received_at)), min(o.received_at), null from oldest o
  union all
  select 'events_pending', count(*), min(o.received_at), null from oldest o
  union all
  select 'events_stuck', count(*), min(o.received_at), max(left(o.last_error, 200)) from oldest o where o.attempts >= 3
  union all
  select 'events_parked', count(*), min(p.received_at), max(p.type) from parked p;
$$;

comment on function billing.check_inbox() is 'Events of Stripe that wait, that wait in vain, and that were put aside.';

-- Problems.

create index problems_open_idx on billing.problems (kind) where resolved_at is null;

create function billing.check_problems() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  -- From kind to kind along the index: a kind with a hundred thousand rows costs no more than one with a thousand.
  with recursive kinds (kind) as (
    (select p.kind from billing.problems p where p.resolved_at is null order by p.kind limit 1)
    union all
    select (select p.kind from billing.problems p where p.resolved_at is null and p.kind > k.kind order by p.kind limit 1)
    from kinds k where k.kind is not null
  ), open as (
    select k.kind, c.* from kinds k cross join lateral (
      select count(*) as number, min(p.first_seen_at) as since, min(p.subject) as subject
      from (
        select p.first_seen_at, p.subject from billing.problems p
        where p.resolved_at is null and p.kind = k.kind limit 1000
      ) p
    ) c where k.kind is not null
  )
  select 'problem:' || t.kind, coalesce(o.number, 0), o.since, 'e.g. ' || o.subject
  from (
    select substr(h.check_name, 9) as kind from billing.health_thresholds h
    where h.check_name like 'problem:%' and h.check_name <> 'problem:*'
    union
    select o.kind from open o
  ) t left join open o on o.kind = t.kind;
$$;

comment on function billing.check_problems() is 'Open rows of billing.problems, by kind.';

-- Usage on its way to Stripe.

create index usage_outbox_pending_created_at_idx on billing.usage_outbox (created_at) where status = 'pending';
create index usage_outbox_parked_created_at_idx on billing.usage_outbox (created_at) where status = 'parked';
create index usage_checks_drift_run_at_idx on billing.usage_checks (run_at) where verdict = 'drift';

create function billing.check_usage() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  select 'usage_outbox_age', billing.seconds_since(min(o.created_at)), min(o.created_at), null
  from billing.usage_outbox o where o.status = 'pending'
  union all
  select 'usage_outbox_parked', count(*), min(o.created_at), max(o.parked_reason)
  from (
    select o.created_at, left(o.parked_reason, 200) as parked_reason from billing.usage_outbox o
    where o.status = 'parked' order by o.created_at limit 1000
  ) o
  union all
  select 'usage_check_age', billing.seconds_since(max(c.updated_at)), max(c.updated_at), null from billing.usage_check_cursor c
  union all
  -- The last word on each of those who differed within two days.
  select 'usage_drift', count(distinct (d.stripe_customer_id, d.metric_id, d.period_start)), min(d.run_at),
    max(d.stripe_customer_id)
  from (
    select d.* from billing.usage_checks d
    where d.verdict = 'drift' and d.run_at > now() - interval '2 days' order by d.run_at desc limit 1000
  ) d
  where not exists (
    select from billing.usage_checks l
    where l.stripe_customer_id = d.stripe_customer_id and l.metric_id = d.metric_id and l.period_start = d.period_start
      and l.run_at >= d.run_at and l.id > d.id and l.verdict <> 'drift'
  );
$$;

comment on function billing.check_usage() is 'What is billed beyond allowances: on its way, put aside, checked, and found to differ.';

-- The marketplace.

create index ledger_checks_drift_run_at_idx on billing.ledger_checks (run_at) where drift_minor <> 0;
create index ledger_checks_subject_run_at_idx on billing.ledger_checks (subject, currency, run_at);
create index purchase_disputes_evidence_due_by_idx on billing.purchase_disputes (evidence_due_by)
  where status in ('needs_response', 'warning_needs_response');
create index purchase_disputes_work_idx on billing.purchase_disputes (next_attempt_at)
  where (transfer_state = 'none' and status in ('needs_response', 'under_review', 'lost'))
    or (transfer_state = 'reversed' and status = 'won' and reversed_minor > 0);
create index refund_requests_pending_created_at_idx on billing.refund_requests (created_at) where status = 'pending';

create function billing.check_marketplace() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  select 'ledger_check_age', billing.seconds_since(max(c.updated_at)), max(c.updated_at), null from billing.ledger_check_cursor c
  union all
  select 'ledger_drift', count(distinct (d.subject, d.currency)), min(d.run_at), max(d.subject)
  from (
    select d.* from billing.ledger_checks d
    where d.drift_minor <> 0 and d.run_at > now() - interval '2 days' order by d.run_at desc limit 1000
  ) d
  where not exists (
    select from billing.ledger_checks l
    where l.subject = d.subject and l.currency = d.currency and l.run_at >= d.run_at and l.id > d.id and l.drift_minor = 0
  )
  union all
  select 'refunds_overdue', billing.seconds_since(min(r.created_at)), min(r.created_at), null
  from billing.refund_requests r where r.status = 'pending'
  union all
  -- Money that is to be taken back or paid again, and was not.
  select 'disputes_overdue', billing.seconds_since(min(d.next_attempt_at)), min(d.next_attempt_at), null
  from billing.purchase_disputes d
  where ((d.transfer_state = 'none' and d.status in ('needs_response', 'under_review', 'lost'))
      or (d.transfer_state = 'reversed' and d.status = 'won' and d.reversed_minor > 0))
    -- The house's own sales have no share of anybody's to move.
    and exists (select from public.purchases p where p.id = d.purchase_id and p.seller_id is not null)
  union all
  select 'dispute_evidence', count(*), min(d.evidence_due_by), max(d.id)
  from (
    select d.evidence_due_by, d.id from billing.purchase_disputes d
    where d.status in ('needs_response', 'warning_needs_response') and d.evidence_due_by < now() + interval '3 days'
    order by d.evidence_due_by limit 1000
  ) d
  union all
  select 'purchases_overdue', billing.seconds_since(min(p.due_at)), min(p.due_at), null
  from public.purchases p where p.due_at <= now();
$$;

comment on function billing.check_marketplace() is
  'Sales that wait for Stripe''s word, refunds and disputes that wait for us, and whether the ledger is checked and holds.';

-- People: their snapshots, e-mails and deletions.

create index notification_emails_queued_at_idx on billing.notification_emails (queued_at) where parked_at is null;
create index notification_emails_parked_at_idx on billing.notification_emails (parked_at) where parked_at is not null;
create index deletions_requested_at_idx on billing.deletions (requested_at) where finished_at is null;

create function billing.check_people() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  select 'emails_waiting', billing.seconds_since(min(e.queued_at)), min(e.queued_at), null
  from billing.notification_emails e where e.parked_at is null
  union all
  select 'emails_parked', count(*), min(e.parked_at), null
  from (select e.parked_at from billing.notification_emails e where e.parked_at is not null limit 1000) e
  union all
  select 'deletions_overdue', billing.seconds_since(min(d.requested_at)), min(d.requested_at), null
  from billing.deletions d where d.finished_at is null
  union all
  select 'snapshot_age', billing.seconds_since(min(o.since)), min(o.since), max(o.stripe_customer_id)
  from (
    -- Whose first fetch has not come through yet waits since they became a customer.
    select greatest(s.applied_at, c.created_at) as since, c.stripe_customer_id
    from billing.sync_state s join public.customers c on c.user_id = s.user_id
    order by s.applied_at limit 100
  ) o;
$$;

comment on function billing.check_people() is 'E-mails, people who leave, and how old the oldest snapshot of a customer is.';

-- The work that is to be done again and again.

create function billing.check_reconcile() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  select 'reconcile_age', billing.seconds_since(coalesce(r.finished_at, t.added_at)), coalesce(r.finished_at, t.added_at),
    (select left(l.last_error, 200) from billing.reconcile_runs l order by l.id desc limit 1)
  from billing.health_thresholds t left join (
    select r.finished_at from billing.reconcile_runs r where r.finished_at is not null order by r.id desc limit 1
  ) r on true
  where t.check_name = 'reconcile_age';
$$;

comment on function billing.check_reconcile() is 'When the database last said what Stripe says.';

create or replace function public.note_audit_check(p_fault jsonb) returns void
language plpgsql
-- Definer: the secret key tells an operator, and writes no problem of its own.
security definer
set search_path = ''
as $$
begin
  if p_fault is null then
    update billing.problems p set resolved_at = now()
    where p.kind = 'audit_broken' and p.resolved_at is null;
    insert into billing.health_marks as m (name, at) values ('audit_verified', now())
    on conflict (name) do update set at = excluded.at;
  else
    perform billing.report_problem('audit_broken', coalesce(p_fault ->> 'fault', 'unknown'), p_fault);
  end if;
end;
$$;

create function billing.check_audit() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  select 'audit_age', billing.seconds_since(coalesce(m.at, t.added_at)), coalesce(m.at, t.added_at),
    case when m.at is null then 'never verified yet' end
  from billing.health_thresholds t left join billing.health_marks m on m.name = 'audit_verified'
  where t.check_name = 'audit_age';
$$;

comment on function billing.check_audit() is 'When the whole chain of the audit log was last proved.';

create function billing.cron_period(p_schedule text) returns interval
language sql immutable
set search_path = ''
as $$
  select case
    when s ~ '^\d+ seconds?$' then split_part(s, ' ', 1)::integer * interval '1 second'
    when s ~ '^@hourly$' then interval '1 hour'
    when s ~ '^@(daily|midnight)$' then interval '1 day'
    when s ~ '^@weekly$' then interval '7 days'
    when s ~ '^\*(/1)? \* \* \* \*$' then interval '1 minute'
    when s ~ '^\*/\d+ \* \* \* \*$' then substring(s from '^\*/(\d+)')::integer * interval '1 minute'
    when s ~ '^\d+ \* \* \* \*$' then interval '1 hour'
    when s ~ '^\d+ \*/\d+ \* \* \*$' then substring(s from '^\d+ \*/(\d+)')::integer * interval '1 hour'
    when s ~ '^\d+ \d+ \* \* \*$' then interval '1 day'
    when s ~ '^\d+ \d+ \* \* [\da-z]+$' then interval '7 days'
  end
  from lower(trim(regexp_replace(p_schedule, '\s+', ' ', 'g'))) s;
$$;

comment on function billing.cron_period(text) is
  'How often a schedule of pg_cron comes round; null when that is not at equal distances, or rarer than weekly.';

create function billing.check_cron() returns setof billing.health_finding
language plpgsql stable
set search_path = ''
-- Whatever the statistics say of a table that is not ours: from its end, by its key.
set enable_seqscan = off
as $$
begin
  -- pg_cron's history has no index but its key. The newest 40,000 runs are more than three days of all our jobs.
  return query
  with runs as (
    select d.jobid, max(d.start_time) as last_start,
      max(d.runid) filter (where d.status in ('succeeded', 'failed')) as last_run
    from (select l.* from cron.job_run_details l order by l.runid desc limit 40000) d
    group by d.jobid
  ), jobs as (
    -- pg_cron's names have a collation of their own.
    select coalesce(j.jobname, substr(t.check_name, 6)) as jobname, j.jobid, j.active, j.schedule, t.added_at
    from (select h.* from billing.health_thresholds h where h.check_name like 'cron:%' and h.check_name <> 'cron:*') t
    full join (
      select c.jobname::text collate "default" as jobname, c.jobid, c.active, c.schedule from cron.job c
      where c.jobname like 'tollgate-%'
    ) j on 'cron:' || j.jobname = t.check_name
  )
  select 'cron:' || j.jobname,
    case
      when j.jobid is null or not j.active or d.status = 'failed' then 1000
      else coalesce(trunc(
        extract(epoch from now() - coalesce(r.last_start, j.added_at)) / extract(epoch from billing.cron_period(j.schedule)), 1
      ), 0)
    end,
    coalesce(r.last_start, j.added_at),
    case
      when j.jobid is null then 'there is no such job'
      when not j.active then 'the job is switched off'
      when d.status = 'failed' then 'the last run failed: ' || left(d.return_message, 200)
      when r.jobid is null then 'no run of it is recorded'
    end
  from jobs j
  left join runs r on r.jobid = j.jobid
  -- One by one: a join might read the whole history.
  left join lateral (
    select l.status, l.return_message from cron.job_run_details l where l.runid = r.last_run limit 1
  ) d on true;
end;
$$;

comment on function billing.check_cron() is
  'Of every job how many of its periods ago it last began; 1000 when it is missing, off, or failed the last time.';

create function billing.check_calls() returns setof billing.health_finding
language plpgsql stable
set search_path = ''
as $$
begin
  return query
  select 'function_calls', count(*)::numeric, min(r.created), max(coalesce(r.status_code::text, left(r.error_msg, 200)))
  from (
    select r.created, r.status_code, r.error_msg from net._http_response r
    where r.created > now() - interval '15 minutes' order by r.created desc limit 1000
  ) r
  where r.status_code is null or r.status_code >= 400;
end;
$$;

comment on function billing.check_calls() is
  'Calls by pg_net that were refused or had no answer: what pg_cron calls done when the request is only sent.';

-- What the rest stands on.

create function billing.check_vault() returns setof billing.health_finding
language plpgsql stable
set search_path = ''
as $$
begin
  return query
  select 'vault_secrets', count(*)::numeric, null::timestamptz, 'missing: ' || string_agg(w.name, ', ' order by w.name)
  from unnest(array['project_url', 'secret_key']) w (name)
  where not exists (select from vault.secrets s where s.name = w.name);
end;
$$;

comment on function billing.check_vault() is 'Entries of the Vault without which pg_cron cannot call a function.';

create function billing.check_rate_buckets() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  select 'rate_buckets_size', round(pg_catalog.pg_total_relation_size('billing.rate_buckets') / 1048576.0, 1), null::timestamptz, null;
$$;

comment on function billing.check_rate_buckets() is 'How large the table of the rate limits is: a job empties it every five minutes.';

revoke all on function billing.seconds_since(timestamptz), billing.check_inbox(), billing.check_problems(),
  billing.check_usage(), billing.check_marketplace(), billing.check_people(), billing.check_reconcile(),
  billing.check_audit(), billing.cron_period(text), billing.check_cron(), billing.check_calls(), billing.check_vault(),
  billing.check_rate_buckets()
  from public, anon, authenticated, service_role;
