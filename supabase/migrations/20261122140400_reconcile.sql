-- Reconcile: what was never delivered is found in Stripe's list of events, and what nothing ever announced by
-- looking at every customer once a day. It works from a queue, so that it goes on where it stopped.

create table billing.reconcile_runs (
  id bigint generated always as identity primary key,
  started_at timestamptz not null default now(),
  since timestamptz not null,
  cursor text,
  listed boolean not null default false,
  leased_until timestamptz,
  finished_at timestamptz,
  events_seen bigint not null default 0,
  events_missing bigint not null default 0,
  customers bigint not null default 0,
  drifts bigint not null default 0,
  last_error text
);

create unique index reconcile_runs_unfinished_idx on billing.reconcile_runs ((finished_at is null))
  where finished_at is null;

comment on table billing.reconcile_runs is 'Every run of reconcile; one at most is unfinished, and the next call goes on with it.';
comment on column billing.reconcile_runs.since is 'The watermark: events created from here on are listed.';
comment on column billing.reconcile_runs.cursor is 'The last event listed; the list goes back in time from it.';
comment on column billing.reconcile_runs.events_missing is 'Events that were never delivered to us.';

create table billing.reconcile_queue (
  stripe_customer_id text primary key,
  queued_at timestamptz not null default now()
);

comment on table billing.reconcile_queue is 'Customers that reconcile has still to look at.';

create table billing.drifts (
  stripe_customer_id text not null,
  field text not null,
  ours jsonb,
  stripe jsonb,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  times integer not null default 1,
  resolved_at timestamptz,
  primary key (stripe_customer_id, field)
);

comment on table billing.drifts is
  'Where reconcile found our rows to differ from Stripe before it repaired them. resolved_at: not so at the next look.';
comment on column billing.drifts.times is 'Looks in a row that found it. Twice means that repairs do not last.';

alter table billing.reconcile_runs enable row level security;
alter table billing.reconcile_queue enable row level security;
alter table billing.drifts enable row level security;
revoke all on billing.reconcile_runs, billing.reconcile_queue, billing.drifts
  from public, anon, authenticated, service_role;
create policy "Nobody reads the runs" on billing.reconcile_runs
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the queue" on billing.reconcile_queue
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the drifts" on billing.drifts
  for all to anon, authenticated using (false) with check (false);

create function billing.note_drifts(
  p_user_id uuid, p_stripe_customer_id text, p_subscriptions jsonb, p_invoices jsonb
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_drift record;
  v_seen text[] := '{}'::text[];
  v_times integer;
  v_repeated jsonb := '[]';
begin
  for v_drift in
    select * from billing.snapshot_differences(p_user_id, p_subscriptions, p_invoices)
  loop
    insert into billing.drifts as d (stripe_customer_id, field, ours, stripe)
    values (p_stripe_customer_id, v_drift.field, v_drift.ours, v_drift.stripe)
    on conflict (stripe_customer_id, field) do update set
      ours = excluded.ours, stripe = excluded.stripe, last_seen_at = now(), resolved_at = null,
      first_seen_at = case when d.resolved_at is null then d.first_seen_at else now() end,
      times = case when d.resolved_at is null then d.times + 1 else 1 end
    returning d.times into v_times;
    v_seen := v_seen || v_drift.field;
    if v_times > 1 then
      v_repeated := v_repeated || to_jsonb(v_drift.field);
    end if;
  end loop;
  update billing.drifts d set resolved_at = now()
  where d.stripe_customer_id = p_stripe_customer_id and d.resolved_at is null and d.field <> all (v_seen);
  update billing.reconcile_runs r set drifts = r.drifts + cardinality(v_seen) where r.finished_at is null;
  return v_repeated;
end;
$$;

comment on function billing.note_drifts(uuid, text, jsonb, jsonb) is
  'Notes what a snapshot of reconcile would change, resolves what it would not, and returns the fields found before too.';

create function public.begin_reconcile() returns jsonb
language plpgsql
-- Definer: the secret key has no access to the tables, only this.
security definer
set search_path = ''
as $$
declare
  v_run billing.reconcile_runs;
begin
  -- Ten minutes of overlap: Stripe's clock and ours differ, and an event may be listed late. 30 days: as far as Stripe reaches.
  insert into billing.reconcile_runs (since)
  select greatest(
    now() - interval '30 days',
    (select max(r.started_at) - interval '10 minutes' from billing.reconcile_runs r where r.finished_at is not null)
  )
  on conflict ((finished_at is null)) where finished_at is null do nothing;
  update billing.reconcile_runs r set leased_until = now() + interval '3 minutes'
  where r.finished_at is null and (r.leased_until is null or r.leased_until < now())
  returning * into v_run;
  if v_run.id is null then
    return jsonb_build_object('busy', true);
  end if;
  return jsonb_build_object(
    'busy', false, 'run', v_run.id, 'since', extract(epoch from v_run.since)::bigint,
    'cursor', v_run.cursor, 'listed', v_run.listed
  );
end;
$$;

comment on function public.begin_reconcile() is
  'Leases the unfinished run, or a new one: {busy, run, since (Unix seconds), cursor, listed}. Busy while somebody works on it.';

create function public.note_reconcile_page(p_run bigint, p_events jsonb, p_cursor text, p_listed boolean)
returns bigint
language plpgsql
-- Definer: see public.begin_reconcile().
security definer
set search_path = ''
as $$
declare
  v_missing bigint;
begin
  insert into billing.stripe_events (
    id, type, api_version, stripe_created_at, stripe_customer_id, payload, received_token
  )
  select e.id, e.type, e.api_version, e.created, e.customer, e.payload, nextval('billing.sync_token_seq')
  from jsonb_to_recordset(p_events) as e (
    id text, type text, api_version text, created timestamptz, customer text, payload jsonb
  )
  where billing.sync_user(e.customer) is not null
  on conflict (id) do nothing;
  get diagnostics v_missing = row_count;
  -- Besides what was never delivered: whatever was fetched so soon after an event that Stripe may have answered
  -- with the state before it.
  insert into billing.reconcile_queue (stripe_customer_id)
  select distinct e.customer
  from jsonb_to_recordset(p_events) as e (customer text, created timestamptz)
  join public.customers c on c.stripe_customer_id = e.customer
  left join billing.sync_state s on s.user_id = c.user_id
  where s.user_id is null or s.applied_at < e.created + interval '5 minutes'
  union
  select e.stripe_customer_id from billing.stripe_events e
  where e.id in (select x.value ->> 'id' from jsonb_array_elements(p_events) x) and e.status = 'pending'
  on conflict (stripe_customer_id) do nothing;
  update billing.reconcile_runs r
  set cursor = coalesce(nullif(p_cursor, ''), r.cursor), listed = p_listed, events_missing = r.events_missing + v_missing,
    events_seen = r.events_seen + jsonb_array_length(p_events), leased_until = now() + interval '3 minutes'
  where r.id = p_run;
  return v_missing;
end;
$$;

comment on function public.note_reconcile_page(bigint, jsonb, text, boolean) is
  'Keeps a page of Stripe''s events [{id, type, api_version, created, customer, payload}]: receives what was never delivered, '
  'queues the customers to look at, and remembers the place. Returns how many were missing.';

create function public.next_reconcile_customers(p_run bigint, p_limit integer) returns setof text
language plpgsql
-- Definer: see public.begin_reconcile().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  insert into billing.reconcile_queue (stripe_customer_id)
  select c.stripe_customer_id
  from billing.sync_state s join public.customers c on c.user_id = s.user_id
  where s.applied_at < now() - interval '1 day'
  order by s.applied_at limit p_limit
  on conflict (stripe_customer_id) do nothing;
  update billing.reconcile_runs r set leased_until = now() + interval '3 minutes' where r.id = p_run;
  return query
  select q.stripe_customer_id from billing.reconcile_queue q
  order by q.queued_at, q.stripe_customer_id limit p_limit;
end;
$$;

comment on function public.next_reconcile_customers(bigint, integer) is
  'The customers to look at next, those whose snapshot is older than a day included.';

create function public.reconciled(p_run bigint, p_stripe_customer_id text) returns void
language sql
-- Definer: see public.begin_reconcile().
security definer
set search_path = ''
as $$
  delete from billing.reconcile_queue q where q.stripe_customer_id = p_stripe_customer_id;
  update billing.reconcile_runs r
  set customers = r.customers + 1, leased_until = now() + interval '3 minutes'
  where r.id = p_run;
$$;

comment on function public.reconciled(bigint, text) is 'This customer has been looked at.';

create function public.end_reconcile(p_run bigint, p_done boolean, p_error text default null)
returns jsonb
language sql
-- Definer: see public.begin_reconcile().
security definer
set search_path = ''
as $$
  update billing.reconcile_runs r set
    leased_until = null,
    last_error = left(p_error, 2000),
    finished_at = case when p_done and r.listed then now() end
  where r.id = p_run
  returning jsonb_build_object(
    'finished', r.finished_at is not null, 'events_seen', r.events_seen, 'events_missing', r.events_missing,
    'customers', r.customers, 'drifts', r.drifts
  );
$$;

comment on function public.end_reconcile(bigint, boolean, text) is
  'Gives the run back: finished (customers that could not be understood stay in the queue for the next one), or to be gone '
  'on with by the next call. {finished, events_seen, events_missing, customers, drifts}';

create function public.customers_after(p_after text, p_limit integer) returns setof text
language sql stable
-- Definer: see public.begin_reconcile().
security definer
set search_path = ''
as $$
  select c.stripe_customer_id from public.customers c
  where c.stripe_customer_id > coalesce(p_after, '')
  order by c.stripe_customer_id limit least(p_limit, 1000);
$$;

comment on function public.customers_after(text, integer) is 'Stripe customers in the order of their ids, for rebuild.';

create function public.compare_customer_snapshot(
  p_stripe_customer_id text, p_subscriptions jsonb, p_invoices jsonb
) returns jsonb
language sql stable
-- Definer: see public.begin_reconcile().
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(d) order by d.field), '[]')
  from billing.snapshot_differences(billing.sync_user(p_stripe_customer_id), p_subscriptions, p_invoices) d;
$$;

comment on function public.compare_customer_snapshot(text, jsonb, jsonb) is
  'What applying this snapshot would change: [{field, ours, stripe}]. Changes nothing.';

revoke all on function billing.note_drifts(uuid, text, jsonb, jsonb), public.begin_reconcile(),
  public.note_reconcile_page(bigint, jsonb, text, boolean), public.next_reconcile_customers(bigint, integer),
  public.reconciled(bigint, text), public.end_reconcile(bigint, boolean, text), public.customers_after(text, integer),
  public.compare_customer_snapshot(text, jsonb, jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.begin_reconcile(),
  public.note_reconcile_page(bigint, jsonb, text, boolean), public.next_reconcile_customers(bigint, integer),
  public.reconciled(bigint, text), public.end_reconcile(bigint, boolean, text), public.customers_after(text, integer),
  public.compare_customer_snapshot(text, jsonb, jsonb)
  to service_role;

select cron.schedule('tollgate-reconcile', '23 * * * *', $$select billing.call_function('reconcile')$$);
