-- What a dashboard shows: numbers without people in them. Views with their owner's rights, so that the role of a dashboard reads
-- these and no table; supabase/privileges.txt lists what nobody was given.

create view billing.monitor_problems as
  select p.kind, count(*) as open, min(p.first_seen_at) as oldest_at, max(p.last_seen_at) as newest_at, sum(p.occurrences) as occurrences
  from billing.problems p where p.resolved_at is null group by p.kind;

comment on view billing.monitor_problems is 'Open problems by kind.';

create view billing.monitor_events as
  -- Those whose payload is kept, which are those of 90 days: their index goes by time.
  select e.received_at, e.type, e.status, e.attempts, extract(epoch from e.processed_at - e.received_at) as seconds
  from billing.stripe_events e where e.payload is not null;

comment on view billing.monitor_events is 'Events of Stripe of the last 90 days, and how long each took.';

create function billing.recent_runs() returns table (started_at timestamptz, job text, status text, seconds numeric)
language sql stable
-- Definer: pg_cron shows runs only to whom they belong, by current_user, which a view does not change.
security definer
set search_path = ''
as $$
  select d.start_time, j.jobname::text, d.status, extract(epoch from d.end_time - d.start_time)
  from (select l.* from cron.job_run_details l order by l.runid desc limit 40000) d
  join cron.job j on j.jobid = d.jobid;
$$;

comment on function billing.recent_runs() is 'The newest runs of the scheduled jobs: more than three days of them.';

create view billing.monitor_runs as
  select r.started_at, r.job, r.status, r.seconds from billing.recent_runs() r;

comment on view billing.monitor_runs is 'Runs of the scheduled jobs, of three days at least.';

create view billing.monitor_subscriptions as
  select s.plan_id, s.status, p.billing_interval, s.currency, count(*) as subscribers,
    -- Of prices with tiers the invoice says what they come to, and nobody before.
    sum(case p.billing_interval when 'year' then round(a.minor / 12.0) else a.minor end)
      filter (where s.status in ('active', 'past_due'))::bigint as monthly_minor
  from public.subscriptions s
  left join public.prices p on p.lookup_key = s.price_lookup_key
  left join public.price_currency_options o on o.lookup_key = s.price_lookup_key and o.currency = s.currency
  cross join lateral (
    select s.quantity * case when s.currency = p.currency then p.unit_amount_minor else o.unit_amount_minor end as minor
  ) a
  where s.status not in ('canceled', 'incomplete_expired')
  group by s.plan_id, s.status, p.billing_interval, s.currency;

comment on view billing.monitor_subscriptions is
  'Living subscriptions, and what they bring in a month at the prices of the catalogue, without overage, discounts and taxes.';

create view billing.monitor_revenue as
  select i.stripe_created_at, coalesce(s.plan_id, 'other') as plan_id, i.currency, i.status, i.total_minor, i.amount_paid_minor as paid_minor
  from public.invoices i left join public.subscriptions s on s.id = i.subscription_id;

comment on view billing.monitor_revenue is 'Invoices of subscriptions, without whose they are.';

create view billing.monitor_usage as
  select d.day, d.metric_id, count(*) as people, sum(d.used) as used, sum(d.overage) as overage, sum(d.overage_minor) as overage_minor,
    count(*) filter (where d.used >= d.allowance) as at_limit
  from (
    select day, metric_id, used, allowance, overage, overage_minor from billing.usage_days
    union all
    select period_day, metric_id, used, allowance, overage, overage_minor from billing.usage_counters where used > 0
  ) d
  group by d.day, d.metric_id;

comment on view billing.monitor_usage is 'What was used by the day and metric (people who used any), and how many of them reached their allowance.';

create view billing.monitor_sales as
  select t.occurred_at, t.kind, t.currency, t.amount_minor, t.fee_minor from billing.ledger_transactions t;

comment on view billing.monitor_sales is 'Movements of the marketplace''s ledger, without whose they are.';

create view billing.monitor_balances as
  select a.kind, a.currency, sum(e.amount_minor)::bigint as balance_minor
  from billing.ledger_accounts a join billing.ledger_entries e on e.account_id = a.id group by a.kind, a.currency;

comment on view billing.monitor_balances is 'What the accounts of a kind come to; creator: what creators have at Stripe.';

revoke all on billing.monitor_problems, billing.monitor_events, billing.monitor_runs, billing.monitor_subscriptions,
  billing.monitor_revenue, billing.monitor_usage, billing.monitor_sales, billing.monitor_balances
  from public, anon, authenticated, service_role;

-- No role is made here: roles belong to the server and not to the database, and a login has a password.
create function billing.allow_monitor(p_role regrole) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_view text;
begin
  perform billing.require(
    p_role::text not in ('anon', 'authenticated', 'authenticator', 'service_role'), 'a monitor is a role of its own'
  );
  execute format('grant usage on schema billing to %s', p_role);
  execute format('grant execute on function billing.run_checks(), billing.recent_runs() to %s', p_role);
  for v_view in
    select c.oid::regclass::text from pg_catalog.pg_class c
    where c.relnamespace = 'billing'::regnamespace and c.relkind = 'v' and (c.relname = 'health' or c.relname like 'monitor\_%')
  loop
    execute format('grant select on %s to %s', v_view, p_role);
  end loop;
end;
$$;

comment on function billing.allow_monitor(regrole) is
  'For operators: a role (create role … login password …) may read billing.health and the monitor views, and nothing else of ours.';

revoke all on function billing.recent_runs(), billing.allow_monitor(regrole) from public, anon, authenticated, service_role;
