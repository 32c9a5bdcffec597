-- Generated from the migrations by `deno run -A supabase/tests/schema.ts`; a test fails when it drifts.
-- To read, not to run: objects stand in the order of their names.

-- cluster/misc

select cron.schedule_in_database('tollgate-audit-check', '43 4 * * *', 'select billing.call_function(''audit-check'')', 'postgres', null, true);

select cron.schedule_in_database('tollgate-audit-months', '7 2 * * *', 'select billing.ensure_audit_partitions()', 'postgres', null, true);

select
  cron.schedule_in_database('tollgate-deletions', '*/5 * * * *',
  'select billing.call_function(''deletions'') where exists (select from billing.deletions d where d.finished_at is null)', 'postgres', null, true);

select cron.schedule_in_database('tollgate-drain-events', '* * * * *', 'select billing.call_function(''events-drain'')', 'postgres', null, true);

select cron.schedule_in_database('tollgate-expire-entitlements', '* * * * *', 'select billing.expire_entitlements()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-ledger-check', '53 * * * *', 'select billing.call_function(''ledger-check'')', 'postgres', null, true);

select cron.schedule_in_database('tollgate-marketplace-sync', '*/5 * * * *', 'select billing.call_function(''marketplace-sync'')', 'postgres', null, true);

select cron.schedule_in_database('tollgate-notify', '* * * * *', 'select billing.call_function(''notify'') where billing.emails_enabled()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-prune-audit', '27 3 * * *', 'select billing.prune_audit_log()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-prune-events', '17 3 * * *', 'select billing.prune_stripe_events()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-prune-job-history', '37 3 * * *', 'select billing.prune_job_history()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-prune-ledger-checks', '47 3 * * *', 'select billing.prune_ledger_checks()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-prune-metering', '37 3 * * *', 'select billing.prune_metering()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-prune-rate-buckets', '*/5 * * * *', 'select billing.prune_rate_buckets()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-reconcile', '23 * * * *', 'select billing.call_function(''reconcile'')', 'postgres', null, true);

select cron.schedule_in_database('tollgate-usage-check', '41 * * * *', 'select billing.call_function(''usage-check'')', 'postgres', null, true);

select cron.schedule_in_database('tollgate-usage-sync', '*/5 * * * *', 'select billing.call_function(''usage-sync'')', 'postgres', null, true);

-- cluster/roles

alter default privileges for role "postgres" revoke all on FUNCTIONS from public;

-- billing/functions/admit_overage

create or replace function billing.admit_overage (
  p_user_id   uuid,
  p_metric_id text,
  p_quantity  bigint
)
  returns numeric
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_account billing.overage_accounts;
  v_item record;
  v_amount numeric;
begin
  v_account := billing.lock_overage_account(p_user_id);
  if v_account.enabled is not true or v_account.period_start is null then
    return null;
  end if;
  -- After the lock, so that it is the state that the snapshot before us left.
  select i.unit_amount_minor, c.stripe_customer_id into v_item
  from billing.metered_subscription(p_user_id) s
  join billing.metered_items i on i.subscription_id = s.subscription_id and i.metric_id = p_metric_id
  join public.customers c on c.user_id = p_user_id
  where s.billable and s.subscription_id = v_account.subscription_id and i.currency = v_account.currency
  order by i.unit_amount_minor desc, i.item_id limit 1;
  if not found then
    return null;
  end if;
  v_amount := p_quantity * v_item.unit_amount_minor;
  update billing.overage_accounts a set spent_minor = a.spent_minor + v_amount
  where a.user_id = p_user_id and a.enabled and a.spent_minor + v_amount <= a.cap_minor;
  if not found then
    perform billing.refuse_spending(v_account, p_metric_id);
  end if;
  insert into billing.overage_usage as u (
    stripe_customer_id, metric_id, period_start, period_end, user_id, quantity, amount_minor
  )
  values (
    v_item.stripe_customer_id, p_metric_id, v_account.period_start, v_account.period_end, p_user_id, p_quantity, v_amount
  )
  on conflict (stripe_customer_id, metric_id, period_start) do update
  set quantity = u.quantity + excluded.quantity, amount_minor = u.amount_minor + excluded.amount_minor;
  perform billing.notice_spending(v_account, v_amount, v_item.unit_amount_minor);
  return v_amount;
end;
$function$;

comment on function "billing"."admit_overage"(uuid, text, bigint) is 'Takes a quantity beyond the allowance, writes it into the ledger and returns what it costs in minor units. Null: the user has not said yes, or Stripe could not bill it. 402 spending_cap_reached when the cap would be passed.';

revoke all on function "billing"."admit_overage"(uuid, text, bigint) from public;

grant execute on function "billing"."admit_overage"(uuid, text, bigint) to "postgres";

-- billing/functions/adopt_one

create or replace function billing.adopt_one (
  p_check billing.usage_checks
)
  returns table (
    taken bigint,
    lost  bigint
  )
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_ledger billing.overage_usage;
  v_row record;
  v_left bigint;
begin
  -- The account before the ledger, as everywhere.
  perform from billing.overage_accounts a where a.user_id = p_check.user_id for no key update;
  select * into v_ledger from billing.overage_usage u
  where u.stripe_customer_id = p_check.stripe_customer_id and u.metric_id = p_check.metric_id
    and u.period_start = p_check.period_start for no key update;
  select p_check.stripe - (s.sent - s.adjusted) into v_left
  from public.usage_sums(p_check.stripe_customer_id, '-infinity') s
  where s.metric_id = p_check.metric_id and s.period_start = p_check.period_start;
  taken := greatest(v_left, 0);
  -- Rows that were sent after the backup, in the order in which they were.
  for v_row in
    select o.id, o.quantity from billing.usage_outbox o
    where o.stripe_customer_id = p_check.stripe_customer_id and o.metric_id = p_check.metric_id
      and o.period_start = p_check.period_start and o.kind = 'event' and o.status <> 'sent'
    order by o.id
  loop
    if v_row.quantity <= v_left then
      perform public.usage_sent(v_row.id);
      v_left := v_left - v_row.quantity;
    end if;
  end loop;
  -- Then what was not claimed at the time of the backup, then what was used after it, of which no row is left.
  lost := greatest(v_left - coalesce((
    select h.unclaimed from billing.held_usage h
    where h.stripe_customer_id = p_check.stripe_customer_id and h.metric_id = p_check.metric_id
      and h.period_start = p_check.period_start
  ), 0), 0);
  if v_left > 0 then
    perform billing.adopt_quantity(v_ledger, v_left, lost);
    delete from billing.held_usage h
    where h.stripe_customer_id = p_check.stripe_customer_id and h.metric_id = p_check.metric_id
      and h.period_start = p_check.period_start;
  end if;
  return next;
end;
$function$;

comment on function "billing"."adopt_one"(billing.usage_checks) is 'Makes a ledger row and its outbox say what Stripe counted: taken of what was sent without our knowing, lost of that was never in the ledger.';

revoke all on function "billing"."adopt_one"(billing.usage_checks) from public;

grant execute on function "billing"."adopt_one"(billing.usage_checks) to "postgres";

-- billing/functions/adopt_quantity

create or replace function billing.adopt_quantity (
  p_ledger   billing.overage_usage,
  p_quantity bigint,
  p_lost     bigint
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_price constant numeric := coalesce(
    (select max(i.unit_amount_minor) from billing.metered_items i
      where i.user_id = p_ledger.user_id and i.metric_id = p_ledger.metric_id),
    p_ledger.amount_minor / nullif(p_ledger.quantity, 0), 0
  );
begin
  insert into billing.usage_outbox (
    stripe_customer_id, metric_id, period_start, user_id, sequence, quantity, identifier, meter_event_name, event_time,
    status, sent_at, reason
  )
  select p_ledger.stripe_customer_id, p_ledger.metric_id, p_ledger.period_start, p_ledger.user_id, p_ledger.sequence + 1,
    p_quantity, format('%s-%s-%s-%s', p_ledger.stripe_customer_id, p_ledger.metric_id,
      extract(epoch from p_ledger.period_start)::bigint, p_ledger.sequence + 1),
    -- Nowhere near the minutes that this period shares with its neighbours.
    m.meter_event_name, p_ledger.period_start + (p_ledger.period_end - p_ledger.period_start) / 2, 'sent', now(),
    'taken over from Stripe after a backup was restored'
  from public.metrics m where m.id = p_ledger.metric_id;
  update billing.overage_usage u set
    quantity = u.quantity + p_lost, claimed = u.claimed + p_quantity, sequence = u.sequence + 1,
    amount_minor = u.amount_minor + round(p_lost * v_price, 6)
  where u.stripe_customer_id = p_ledger.stripe_customer_id and u.metric_id = p_ledger.metric_id
    and u.period_start = p_ledger.period_start;
  update billing.overage_accounts a set spent_minor = billing.overage_spent(a.user_id, a.period_start)
  where a.user_id = p_ledger.user_id and a.period_start = p_ledger.period_start;
end;
$function$;

comment on function "billing"."adopt_quantity"(billing.overage_usage, bigint, bigint) is 'Adds what Stripe counted and we have no row of: as sent, and what was lost of it to ledger and cap, at today''s price.';

revoke all on function "billing"."adopt_quantity"(billing.overage_usage, bigint, bigint) from public;

grant execute on function "billing"."adopt_quantity"(billing.overage_usage, bigint, bigint) to "postgres";

-- billing/functions/agents_changed

create or replace function billing.agents_changed()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_row record;
begin
  if tg_op = 'INSERT' then
    perform billing.ensure_counters(
      (select array_agg(distinct n.user_id) from new_rows n), 'agent'
    );
    for v_row in
      select n.user_id, count(*) as quantity from new_rows n group by n.user_id order by n.user_id
    loop
      perform billing.consume(v_row.user_id, 'agent', v_row.quantity);
    end loop;
  else
    for v_row in
      select o.user_id, count(*) as quantity from old_rows o group by o.user_id order by o.user_id
    loop
      -- Not below zero, and no error when the counter went first: deleting must always be possible.
      update billing.usage_counters c set used = greatest(0, c.used - v_row.quantity)
      where c.user_id = v_row.user_id and c.metric_id = 'agent';
    end loop;
  end if;
  return null;
end;
$function$;

comment on function "billing"."agents_changed"() is 'Takes a place per new agent, or 403 agent_limit_reached; gives it back when the agent is deleted.';

revoke all on function "billing"."agents_changed"() from public;

grant execute on function "billing"."agents_changed"() to "postgres";

-- billing/functions/allow_monitor

create or replace function billing.allow_monitor (
  p_role regrole
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
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
$function$;

comment on function "billing"."allow_monitor"(regrole) is 'For operators: a role (create role … login password …) may read billing.health and the monitor views, and nothing else of ours.';

revoke all on function "billing"."allow_monitor"(regrole) from public;

grant execute on function "billing"."allow_monitor"(regrole) to "postgres";

-- billing/functions/allowance

create or replace function billing.allowance (
  p_user_id   uuid,
  p_metric_id text
)
  returns bigint
  language sql
  stable
  set search_path to ''
  AS $function$
  select b.limit_value + coalesce((
    select sum(a.quantity)::bigint from billing.add_ons a
    where a.user_id = p_user_id and a.metric_id = p_metric_id
  ), 0)
  from (
    select l.limit_value
    from public.plan_limits l
    where l.metric_id = p_metric_id and l.plan_id = billing.current_plan(p_user_id)
    union all
    select 0
    limit 1
  ) b;
$function$;

comment on function "billing"."allowance"(uuid, text) is 'What the user''s plan allows of the metric. Null is unlimited; 0 when no plan or limit says anything.';

revoke all on function "billing"."allowance"(uuid, text) from public;

grant execute on function "billing"."allowance"(uuid, text) to "postgres";

-- billing/functions/allowance_until

create or replace function billing.allowance_until (
  p_user_id uuid
)
  returns timestamp with time zone
  language sql
  stable
  set search_path to ''
  AS $function$
  select least(
    coalesce((select e.valid_until from public.entitlements e where e.user_id = p_user_id), 'infinity'),
    (select min(a.valid_until) from billing.add_ons a where a.user_id = p_user_id)
  );
$function$;

comment on function "billing"."allowance_until"(uuid) is 'When what billing.allowance() says stops being true by itself.';

revoke all on function "billing"."allowance_until"(uuid) from public;

grant execute on function "billing"."allowance_until"(uuid) to "postgres";

-- billing/functions/attach_quota

create or replace function billing.attach_quota (
  p_table        regclass,
  p_owner_column name,
  p_metric       text,
  p_when         text     default null::text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_gate billing.quota_gates;
  v_gone billing.quota_gates;
begin
  perform billing.check_gate_table(p_table);
  -- What is checked from here on stays so until the triggers are there, and two of these wait for each other. Dropping a
  -- trigger needs the higher lock, and who would take that one later could wait in a circle.
  execute format('lock table %s in %s mode', p_table, case
    when exists (select from billing.quota_gates g where g.table_id = p_table) then 'access exclusive'
    else 'share row exclusive' end);
  perform billing.check_gate_table(p_table);
  perform billing.check_gate_policies(p_table);
  perform billing.check_gate_owner(p_table, p_owner_column);
  perform billing.check_gate_metric(p_metric);
  if p_when is not null then
    perform billing.check_gate_condition(p_table, p_when);
  end if;
  if exists (
    select from billing.quota_gates g join billing.attached_quotas a on a."table" = g.table_id
    where g.table_id = p_table and g.owner_column = p_owner_column and g.metric_id = p_metric
      and g.condition is not distinct from p_when and a.status = 'attached'
  ) then
    return;
  end if;
  for v_gone in
    select g.* from billing.quota_gates g
    where g.table_id = p_table or not exists (select from pg_catalog.pg_class c where c.oid = g.table_id)
  loop
    perform billing.remove_gate(v_gone);
  end loop;
  insert into billing.quota_gates (table_id, owner_column, metric_id, condition, function_name)
  values (p_table, p_owner_column, p_metric, p_when, billing.free_gate_name(p_table))
  returning * into v_gate;
  perform billing.create_gate_functions(v_gate);
  perform billing.create_gate_triggers(v_gate);
end;
$function$;

comment on function "billing"."attach_quota"(regclass, name, text, text) is 'From now on each new row of the table (for which the condition holds, if there is one) takes one of the metric from its owner''s day, or is refused like a message: 429 <metric>_quota_exceeded, 402 spending_cap_reached. The same again changes nothing; other arguments replace what was attached. Rows that are there already cost nothing.';

revoke all on function "billing"."attach_quota"(regclass, name, text, text) from public;

grant execute on function "billing"."attach_quota"(regclass, name, text, text) to "postgres";

-- billing/functions/audit

create or replace function billing.audit()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_old constant jsonb := to_jsonb(old);
  v_new constant jsonb := to_jsonb(new);
  v_row constant jsonb := coalesce(v_new, v_old);
  v_before constant jsonb := billing.audit_told(v_old, tg_argv[3], tg_argv[2]);
  v_after constant jsonb := billing.audit_told(v_new, tg_argv[3], tg_argv[2]);
  v_user_id uuid;
  v_actor constant text := billing.audit_actor();
begin
  if v_before = v_after then
    return null;
  end if;
  v_user_id := coalesce(v_row ->> tg_argv[1], v_old ->> tg_argv[1])::uuid;
  perform billing.ensure_audit_partition(now());
  insert into billing.audit_log (actor, on_behalf_of, action, subject, user_id, before, after, request_id, stripe_ids)
  select v_actor,
    -- Only our functions are believed.
    case when v_actor = 'service_role' then billing.audit_header('x-on-behalf-of') end,
    tg_argv[0] || case tg_op when 'INSERT' then '.created' when 'UPDATE' then '.changed' else '.removed' end,
    split_part(tg_argv[0], '.', 2) || ':' || (
      select string_agg(coalesce(v_row ->> k.name, ''), '/' order by k.place)
      from unnest(string_to_array(tg_argv[2], ',')) with ordinality k (name, place)
    ),
    v_user_id, v_before, v_after, billing.audit_header('x-request-id'),
    array(
      select v_row ->> s.name from unnest(string_to_array(tg_argv[4], ',')) s (name) where v_row ->> s.name is not null
      union
      select c.stripe_customer_id from public.customers c where c.user_id = v_user_id
      order by 1
    );
  return null;
end;
$function$;

comment on function "billing"."audit"() is 'Writes what a row was and is into the audit log. Arguments: area.thing, the column of the user or "", the columns of the key, the told columns, the columns with ids of Stripe. A change of other columns is not told.';

revoke all on function "billing"."audit"() from public;

grant execute on function "billing"."audit"() to "postgres";

-- billing/functions/audit_actor

create or replace function billing.audit_actor()
  returns text
  language sql
  stable
  set search_path to ''
  AS $function$
  select case
    when c.role = 'service_role' then 'service_role'
    when c.role is not null then coalesce('user:' || (c.claims ->> 'sub'), c.role)
    when current_setting('application_name', true) like 'pg\_cron%' then 'system'
    else 'operator:' || session_user
  end
  from (
    select r.claims, coalesce(r.claims ->> 'role', nullif(current_setting('request.jwt.claim.role', true), '')) as role
    from (select nullif(current_setting('request.jwt.claims', true), '')::jsonb as claims) r
  ) c;
$function$;

comment on function "billing"."audit_actor"() is 'Who acts: as the verified token of the request says, and without one the database role that has signed in.';

revoke all on function "billing"."audit_actor"() from public;

grant execute on function "billing"."audit_actor"() to "postgres";

-- billing/functions/audit_header

create or replace function billing.audit_header (
  p_name text
)
  returns uuid
  language plpgsql
  stable
  set search_path to ''
  AS $function$
declare
  v_value constant text := nullif(current_setting('request.headers', true), '')::jsonb ->> p_name;
begin
  if v_value ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then
    return v_value::uuid;
  end if;
  return null;
end;
$function$;

comment on function "billing"."audit_header"(text) is 'A header of the request that holds a UUID; null without one, or when it is anything else.';

revoke all on function "billing"."audit_header"(text) from public;

grant execute on function "billing"."audit_header"(text) to "postgres";

-- billing/functions/audit_partition

create or replace function billing.audit_partition (
  p_at timestamp with time zone
)
  returns text
  language sql
  immutable
  set search_path to ''
  AS $function$
  select to_char(p_at at time zone 'UTC', '"audit_log_"YYYY_MM');
$function$;

comment on function "billing"."audit_partition"(timestamp with time zone) is 'The name of the partition of a moment.';

revoke all on function "billing"."audit_partition"(timestamp with time zone) from public;

grant execute on function "billing"."audit_partition"(timestamp with time zone) to "postgres";

-- billing/functions/audit_row_hash

create or replace function billing.audit_row_hash (
  p_row billing.audit_log
)
  returns bytea
  language sql
  stable
  set search_path to ''
  AS $function$
  -- jsonb has one way to print a value, whatever the session's settings; a time is printed by hand.
  select sha256(convert_to(jsonb_build_array(
    p_row.id, to_char(p_row.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), p_row.actor, p_row.on_behalf_of, p_row.action,
    p_row.subject, p_row.user_id, p_row.before, p_row.after, p_row.request_id, p_row.stripe_ids
  )::text, 'UTF8'));
$function$;

comment on function "billing"."audit_row_hash"(billing.audit_log) is 'sha256 of a row of the log in its canonical form.';

revoke all on function "billing"."audit_row_hash"(billing.audit_log) from public;

grant execute on function "billing"."audit_row_hash"(billing.audit_log) to "postgres";

-- billing/functions/audit_table

create or replace function billing.audit_table (
  p_table  regclass,
  p_action text,
  p_user   text,
  p_key    text,
  p_told   text,
  p_stripe text     default ''::text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  execute format(
    'create trigger %I after insert or delete or update of %s on %s for each row execute function billing.audit(%L, %L, %L, %L, %L)',
    (select c.relname from pg_catalog.pg_class c where c.oid = p_table) || '_after_change_audit',
    replace(p_told, '#', ''), p_table, p_action, p_user, p_key, p_told, p_stripe
  );
end;
$function$;

comment on function "billing"."audit_table"(regclass, text, text, text, text, text) is 'Audits a table from now on; for migrations. The arguments are those of billing.audit(); # behind a told column: only a fingerprint.';

revoke all on function "billing"."audit_table"(regclass, text, text, text, text, text) from public;

grant execute on function "billing"."audit_table"(regclass, text, text, text, text, text) to "postgres";

-- billing/functions/audit_told

create or replace function billing.audit_told (
  p_row  jsonb,
  p_told text,
  p_key  text
)
  returns jsonb
  language sql
  immutable
  set search_path to ''
  AS $function$
  select jsonb_object_agg(t.name, case
    when t.name not like '%#' then p_row -> t.name
    -- With the key in it, so that equal texts of two rows do not look equal.
    when p_row ->> trim('#' from t.name) is not null then to_jsonb(left(encode(sha256(convert_to(
      (select string_agg(p_row ->> k.name, '/' order by k.place)
        from unnest(string_to_array(p_key, ',')) with ordinality k (name, place))
      || ' ' || (p_row ->> trim('#' from t.name)), 'UTF8')), 'hex'), 16))
  end)
  from unnest(string_to_array(p_told, ',')) t (name)
  where p_row is not null;
$function$;

comment on function "billing"."audit_told"(jsonb, text, text) is 'What the log tells of a row: the listed columns; of one with # only a fingerprint, which says that a text was changed and never the text. Null: there is no row.';

revoke all on function "billing"."audit_told"(jsonb, text, text) from public;

grant execute on function "billing"."audit_told"(jsonb, text, text) to "postgres";

-- billing/functions/best_plan

create or replace function billing.best_plan (
  p_user_id uuid
)
  returns table (
    plan_id         text,
    source          text,
    subscription_id text,
    grant_id        bigint,
    valid_until     timestamp with time zone
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  with rights as (
    select s.plan_id, 'subscription' as source, s.id as subscription_id, null::bigint as grant_id,
      least(
        case when a.has_grace then coalesce(s.past_due_since, now()) + billing.grace_period() end,
        -- A day at least, whatever the grace: Stripe itself takes an hour to renew.
        s.current_period_end + greatest(billing.grace_period(), interval '1 day')
      ) as valid_until,
      s.stripe_created_at as since
    from public.subscriptions s
    join billing.access_statuses a on a.status = s.status and a.grants_access
    where s.user_id = p_user_id
    union all
    select g.plan_id, 'grant', null, g.id, g.ends_at, g.starts_at
    from billing.grants g
    where g.user_id = p_user_id and g.revoked_at is null and g.starts_at <= now()
  )
  select r.plan_id, r.source, r.subscription_id, r.grant_id, r.valid_until
  from rights r join public.plans p on p.id = r.plan_id
  where r.valid_until is null or r.valid_until > now()
  order by p.rank desc, r.source desc, r.valid_until desc nulls first, r.since desc nulls last,
    r.subscription_id desc nulls last, r.grant_id desc nulls last
  limit 1;
$function$;

comment on function "billing"."best_plan"(uuid) is 'Of everything that gives the user a plan at this moment the highest; of equals what they pay for. No row: nothing does.';

revoke all on function "billing"."best_plan"(uuid) from public;

grant execute on function "billing"."best_plan"(uuid) to "postgres";

-- billing/functions/call_function

create or replace function billing.call_function (
  p_name text
)
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_url text;
  v_key text;
  v_request_id bigint;
begin
  select max(s.decrypted_secret) filter (where s.name = 'project_url'),
    max(s.decrypted_secret) filter (where s.name = 'secret_key')
  into v_url, v_key
  from vault.decrypted_secrets s
  where s.name in ('project_url', 'secret_key');
  if v_url is null or v_key is null then
    -- Not an exception: a project without the secrets is not broken, it is not set up.
    perform billing.report_problem('missing_vault_secret', p_name, jsonb_build_object(
      'project_url', v_url is not null, 'secret_key', v_key is not null
    ));
    return null;
  end if;
  select net.http_post(
    url := rtrim(v_url, '/') || '/functions/v1/' || p_name,
    body := '{}'::jsonb,
    headers := jsonb_build_object('Content-Type', 'application/json', 'apikey', v_key),
    timeout_milliseconds := 55000
  ) into v_request_id;
  update billing.problems p set resolved_at = now()
  where p.kind = 'missing_vault_secret' and p.subject = p_name and p.resolved_at is null;
  return v_request_id;
end;
$function$;

comment on function "billing"."call_function"(text) is 'Posts {} to an Edge Function with the secret key; URL and key come from the Vault (project_url, secret_key). Returns pg_net''s request id, or null and a row in billing.problems without the secrets.';

revoke all on function "billing"."call_function"(text) from public;

grant execute on function "billing"."call_function"(text) to "postgres";

-- billing/functions/catalogue_changed

create or replace function billing.catalogue_changed()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.roll_counters((select array_agg(distinct s.user_id) from billing.stale_counters() s));
  with locked as (
    select c.user_id, c.metric_id, s.allowance
    from billing.stale_counters() s
    join billing.usage_counters c on c.user_id = s.user_id and c.metric_id = s.metric_id
    order by c.user_id, c.metric_id
    for no key update of c
  )
  update billing.usage_counters c
  set allowance = l.allowance, fast_until = billing.fast_until(l.allowance)
  from locked l
  where c.user_id = l.user_id and c.metric_id = l.metric_id;
  return null;
end;
$function$;

comment on function "billing"."catalogue_changed"() is 'Refreshes every cached allowance that is no longer true. Walks all counters; operators do this rarely.';

revoke all on function "billing"."catalogue_changed"() from public;

grant execute on function "billing"."catalogue_changed"() to "postgres";

-- billing/functions/catalogue_changing

create or replace function billing.catalogue_changing()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  -- Under repeatable read the refresh afterwards would not see counters created while this waited.
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'plans and limits change under read committed only'
      using errcode = 'invalid_transaction_state';
  end if;
  update billing.catalogue_state set changed_at = now();
  return null;
end;
$function$;

comment on function "billing"."catalogue_changing"() is 'Waits for everybody who is caching what the catalogue says, and makes the next ones wait.';

revoke all on function "billing"."catalogue_changing"() from public;

grant execute on function "billing"."catalogue_changing"() to "postgres";

-- billing/functions/chain_audit

create or replace function billing.chain_audit()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_row_hash constant bytea := billing.audit_row_hash(new);
begin
  with head as (
    update billing.audit_head h set seq = h.seq + 1, hash = sha256(h.hash || v_row_hash) returning h.seq, h.hash
  )
  insert into billing.audit_chain (seq, audit_id, audit_at, row_hash, hash)
  select h.seq, new.id, new.at, v_row_hash, h.hash from head h;
  return null;
end;
$function$;

comment on function "billing"."chain_audit"() is 'At commit: the next number, and the hash over the previous one and this row.';

revoke all on function "billing"."chain_audit"() from public;

grant execute on function "billing"."chain_audit"() to "postgres";

-- billing/functions/charge_state

create or replace function billing.charge_state (
  p_charge_id text
)
  returns table (
    state          text,
    refunded_minor bigint
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  with sums as (
    select c.amount_minor,
      -- Pending counts: the money is on its way back.
      coalesce((
        select sum(r.amount_minor) from billing.purchase_refunds r
        where r.charge_id = c.id and r.status not in ('failed', 'canceled')
      ), 0)::bigint as refunded,
      array(
        select coalesce(s.effect, 'open') from billing.purchase_disputes d
        left join billing.dispute_statuses s on s.status = d.status
        where d.charge_id = c.id
      ) as effects
    from billing.purchase_charges c where c.id = p_charge_id
  )
  select case
    when 'lost' = any (s.effects) then 'lost'
    when s.refunded >= s.amount_minor then 'refunded'
    when 'open' = any (s.effects) then 'disputed'
    when s.refunded > 0 then 'partially_refunded'
    else 'paid'
  end, s.refunded
  from sums s;
$function$;

comment on function "billing"."charge_state"(text) is 'What became of a payment: lost, refunded, disputed, partially_refunded or paid, and how much was refunded.';

revoke all on function "billing"."charge_state"(text) from public;

grant execute on function "billing"."charge_state"(text) to "postgres";

-- billing/functions/check_audit

create or replace function billing.check_audit()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
  select 'audit_age', billing.seconds_since(coalesce(m.at, t.added_at)), coalesce(m.at, t.added_at),
    case when m.at is null then 'never verified yet' end
  from billing.health_thresholds t left join billing.health_marks m on m.name = 'audit_verified'
  where t.check_name = 'audit_age';
$function$;

comment on function "billing"."check_audit"() is 'When the whole chain of the audit log was last proved.';

revoke all on function "billing"."check_audit"() from public;

grant execute on function "billing"."check_audit"() to "postgres";

-- billing/functions/check_audit_anchor

create or replace function billing.check_audit_anchor()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_retained constant timestamptz := (
    date_trunc('month', now() at time zone 'UTC')
    - (billing.setting('audit_retention_months') #>> '{}')::integer * interval '1 month'
  ) at time zone 'UTC';
begin
  if new.seq < old.seq or new.retained_from < old.retained_from
    or new.retained_from > greatest(old.retained_from, v_retained)
    or exists (
      select from billing.audit_chain c where c.seq > old.seq and c.seq <= new.seq and c.audit_at >= new.retained_from
    )
    or (new.seq <> old.seq and not exists (
      select from billing.audit_chain c where c.seq = new.seq and c.hash = new.hash
    ))
    or (new.seq = old.seq and new.hash <> old.hash) then
    raise exception 'the audit log is only forgotten by its retention' using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end;
$function$;

comment on function "billing"."check_audit_anchor"() is 'The chain begins behind links that are older than the setting audit_retention_months, and nowhere else.';

revoke all on function "billing"."check_audit_anchor"() from public;

grant execute on function "billing"."check_audit_anchor"() to "postgres";

-- billing/functions/check_calls

create or replace function billing.check_calls()
  returns SETOF billing.health_finding
  language plpgsql
  stable
  set search_path to ''
  AS $function$
begin
  return query
  select 'function_calls', count(*)::numeric, min(r.created), max(coalesce(r.status_code::text, left(r.error_msg, 200)))
  from (
    select r.created, r.status_code, r.error_msg from net._http_response r
    where r.created > now() - interval '15 minutes' order by r.created desc limit 1000
  ) r
  where r.status_code is null or r.status_code >= 400;
end;
$function$;

comment on function "billing"."check_calls"() is 'Calls by pg_net that were refused or had no answer: what pg_cron calls done when the request is only sent.';

revoke all on function "billing"."check_calls"() from public;

grant execute on function "billing"."check_calls"() to "postgres";

-- billing/functions/check_catalogue

create or replace function billing.check_catalogue()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
  select 'catalogue', count(*), min(c.checked_at),
    string_agg(r.lookup_key || ' ' || coalesce(c.verdict, 'never synced'), ', ' order by r.lookup_key)
  from public.catalogue_rows() r left join billing.catalogue_checks c on c.lookup_key = r.lookup_key
  where c.verdict is distinct from 'equal';
$function$;

comment on function "billing"."check_catalogue"() is 'Rows of the catalogue that are sold and that Stripe has not, or otherwise.';

revoke all on function "billing"."check_catalogue"() from public;

grant execute on function "billing"."check_catalogue"() to "postgres";

-- billing/functions/check_cron

create or replace function billing.check_cron()
  returns SETOF billing.health_finding
  language plpgsql
  stable
  set search_path to ''
  set enable_seqscan to 'off'
  AS $function$
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
$function$;

comment on function "billing"."check_cron"() is 'Of every job how many of its periods ago it last began; 1000 when it is missing, off, or failed the last time.';

revoke all on function "billing"."check_cron"() from public;

grant execute on function "billing"."check_cron"() to "postgres";

-- billing/functions/check_database

create or replace function billing.check_database()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
  -- Supabase makes a project read-only when its disk is full.
  select 'database_read_only',
    (pg_catalog.pg_is_in_recovery() or pg_catalog.current_setting('default_transaction_read_only')::boolean)::integer::numeric,
    null::timestamptz, null;
$function$;

comment on function "billing"."check_database"() is 'Whether anything can be written at all.';

revoke all on function "billing"."check_database"() from public;

grant execute on function "billing"."check_database"() to "postgres";

-- billing/functions/check_gate_condition

create or replace function billing.check_gate_condition (
  p_table     regclass,
  p_condition text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_probe refcursor;
begin
  if p_condition like '%tollgate\_gate\_row%' then
    raise exception 'this name is taken' using errcode = 'reserved_name';
  end if;
  -- A cursor takes one statement only, so the text cannot end this one and begin another.
  open v_probe for execute format(E'select from %s where (%s\n)', p_table, p_condition);
  close v_probe;
  -- What Postgres lets an index ask is what must hold here: about this row alone, and always with the same answer.
  execute format('create temporary table tollgate_gate_probe (like %s)', p_table);
  execute format(E'create index on pg_temp.tollgate_gate_probe ((true)) where (%s\n)', p_condition);
  drop table pg_temp.tollgate_gate_probe;
exception when others then
  raise exception 'the condition (%) cannot be used: %', p_condition, sqlerrm
    using errcode = sqlstate,
      hint = 'It is one expression over columns of the row, like role = ''user'', that gives the same answer every time.';
end;
$function$;

comment on function "billing"."check_gate_condition"(regclass, text) is 'Refuses what is not one immutable expression over the columns of a row.';

revoke all on function "billing"."check_gate_condition"(regclass, text) from public;

grant execute on function "billing"."check_gate_condition"(regclass, text) to "postgres";

-- billing/functions/check_gate_metric

create or replace function billing.check_gate_metric (
  p_metric_id text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_period text;
begin
  select m.period into v_period from public.metrics m where m.id = p_metric_id;
  if not found then
    raise exception 'there is no metric %', coalesce(quote_literal(p_metric_id), 'null') using errcode = 'undefined_object',
      hint = format('There is: %s. A new one is a row of metrics.', (select string_agg(m.id, ', ' order by m.id) from public.metrics m));
  elsif v_period <> 'day' then
    raise exception 'the metric % does not reset every day', quote_literal(p_metric_id) using errcode = 'wrong_object_type',
      hint = 'A number of things that may exist would have to count the rows that are there, and to give back.';
  end if;
end;
$function$;

comment on function "billing"."check_gate_metric"(text) is 'Refuses a metric that is not there or does not reset.';

revoke all on function "billing"."check_gate_metric"(text) from public;

grant execute on function "billing"."check_gate_metric"(text) to "postgres";

-- billing/functions/check_gate_owner

create or replace function billing.check_gate_owner (
  p_table        regclass,
  p_owner_column name
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_column record;
begin
  select a.atttypid, a.attnotnull into v_column
  from pg_catalog.pg_attribute a
  where a.attrelid = p_table and a.attname = p_owner_column and a.attnum > 0 and not a.attisdropped;
  if not found then
    raise exception '% has no column %', p_table, coalesce(quote_ident(p_owner_column), 'null')
      using errcode = 'undefined_column';
  elsif v_column.atttypid <> 'uuid'::regtype then
    raise exception '% of % is %, not uuid', quote_ident(p_owner_column), p_table, format_type(v_column.atttypid, null)
      using errcode = 'datatype_mismatch', hint = 'The owner is an id of auth.users.';
  elsif not v_column.attnotnull then
    raise exception '% of % may be null', quote_ident(p_owner_column), p_table
      using errcode = 'object_not_in_prerequisite_state',
        hint = 'A row of nobody would have no quota to take from. Make the column not null.';
  end if;
end;
$function$;

comment on function "billing"."check_gate_owner"(regclass, name) is 'Refuses an owner column that is not there, not uuid, or may be null.';

revoke all on function "billing"."check_gate_owner"(regclass, name) from public;

grant execute on function "billing"."check_gate_owner"(regclass, name) to "postgres";

-- billing/functions/check_gate_policies

create or replace function billing.check_gate_policies (
  p_table regclass
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_policy name;
begin
  select p.polname into v_policy
  from pg_catalog.pg_policy p
  where p.polrelid = p_table and p.polpermissive and p.polcmd in ('a', '*')
    and pg_catalog.pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid) = 'true'
    and p.polroles && array[0::oid, to_regrole('anon')::oid, to_regrole('authenticated')::oid]
  limit 1;
  if found then
    raise exception 'the policy "%" of % lets anybody insert rows of anybody', v_policy, p_table
      using errcode = 'object_not_in_prerequisite_state',
        hint = 'They would use up each other''s quota. Let it check that the owner is (select auth.uid()).';
  end if;
end;
$function$;

comment on function "billing"."check_gate_policies"(regclass) is 'Refuses a table in which clients may write in anybody''s name.';

revoke all on function "billing"."check_gate_policies"(regclass) from public;

grant execute on function "billing"."check_gate_policies"(regclass) to "postgres";

-- billing/functions/check_gate_table

create or replace function billing.check_gate_table (
  p_table regclass
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_table record;
begin
  select c.relkind, c.relpersistence, c.relispartition, c.relrowsecurity, n.nspname into v_table
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = p_table;
  if v_table.relkind is null then
    raise exception 'there is no table %', p_table using errcode = 'undefined_table';
  elsif v_table.relkind in ('v', 'm') then
    raise exception '% is a view', p_table using errcode = 'wrong_object_type',
      hint = 'Attach the table beneath it: whatever is written through the view is counted there.';
  elsif v_table.relkind = 'p' or v_table.relispartition
    or exists (select from pg_catalog.pg_inherits i where p_table in (i.inhrelid, i.inhparent)) then
    -- A statement's trigger fires on the table that the statement names: writing to a partition would pass by.
    raise exception '% is partitioned, a partition, or inherits', p_table using errcode = 'wrong_object_type',
      hint = 'Attach a plain table that gets one row for each thing that counts.';
  elsif v_table.relkind <> 'r' or v_table.relpersistence = 't' then
    raise exception '% is not a table that stays here', p_table using errcode = 'wrong_object_type';
  elsif v_table.nspname in ('billing', 'billing_months', 'pg_catalog', 'information_schema') then
    raise exception '% is not a table of the application', p_table using errcode = 'wrong_object_type';
  elsif not v_table.relrowsecurity then
    raise exception 'row level security is off on %', p_table using errcode = 'object_not_in_prerequisite_state',
      hint = 'Without it anybody writes rows in anybody''s name, and uses up their quota. '
        'Enable it, with a policy that lets people insert only what is theirs.';
  end if;
end;
$function$;

comment on function "billing"."check_gate_table"(regclass) is 'Refuses what cannot be held to a limit, and says why.';

revoke all on function "billing"."check_gate_table"(regclass) from public;

grant execute on function "billing"."check_gate_table"(regclass) to "postgres";

-- billing/functions/check_gates

create or replace function billing.check_gates()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
  select 'quota_gates', count(*), min(q.attached_at), string_agg(q."table" || ': ' || q.status, ', ' order by q."table")
  from billing.attached_quotas q where q.status <> 'attached';
$function$;

comment on function "billing"."check_gates"() is 'Tables that were attached to a quota and whose rows are not, or not safely, counted.';

revoke all on function "billing"."check_gates"() from public;

grant execute on function "billing"."check_gates"() to "postgres";

-- billing/functions/check_hold

create or replace function billing.check_hold()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
  select 'usage_held', billing.seconds_since(billing.usage_held_at()), billing.usage_held_at(), null;
$function$;

comment on function "billing"."check_hold"() is 'Whether usage is held back since a backup was restored.';

revoke all on function "billing"."check_hold"() from public;

grant execute on function "billing"."check_hold"() to "postgres";

-- billing/functions/check_inbox

create or replace function billing.check_inbox()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
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
$function$;

comment on function "billing"."check_inbox"() is 'Events of Stripe that wait, that wait in vain, and that were put aside.';

revoke all on function "billing"."check_inbox"() from public;

grant execute on function "billing"."check_inbox"() to "postgres";

-- billing/functions/check_marketplace

create or replace function billing.check_marketplace()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
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
$function$;

comment on function "billing"."check_marketplace"() is 'Sales that wait for Stripe''s word, refunds and disputes that wait for us, and whether the ledger is checked and holds.';

revoke all on function "billing"."check_marketplace"() from public;

grant execute on function "billing"."check_marketplace"() to "postgres";

-- billing/functions/check_metering

create or replace function billing.check_metering (
  p_metering jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_key text;
begin
  perform billing.require(jsonb_typeof(p_metering) = 'object', 'p_metering is not an object');
  for v_key in select jsonb_object_keys(p_metering) loop
    perform billing.require(
      v_key in ('metered_items', 'credit_grants', 'credit_balances'), format('p_metering.%s is unknown', v_key)
    );
    perform billing.require(
      jsonb_typeof(p_metering -> v_key) = 'array', format('p_metering.%s is not a list', v_key)
    );
    perform billing.require(
      (
        select count(*) = count(distinct e.value ->> k.name)
        from jsonb_array_elements(p_metering -> v_key) e
        cross join (select case v_key when 'credit_balances' then 'currency' else 'id' end as name) k
      ),
      format('every one of p_metering.%s needs a name of its own', v_key)
    );
  end loop;
end;
$function$;

comment on function "billing"."check_metering"(jsonb) is 'Refuses what is not {metered_items?, credit_grants?, credit_balances?}, each a list.';

revoke all on function "billing"."check_metering"(jsonb) from public;

grant execute on function "billing"."check_metering"(jsonb) to "postgres";

-- billing/functions/check_people

create or replace function billing.check_people()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
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
$function$;

comment on function "billing"."check_people"() is 'E-mails, people who leave, and how old the oldest snapshot of a customer is.';

revoke all on function "billing"."check_people"() from public;

grant execute on function "billing"."check_people"() to "postgres";

-- billing/functions/check_posting

create or replace function billing.check_posting()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_transaction_id constant bigint := (to_jsonb(new) ->> tg_argv[0])::bigint;
  v_sum record;
begin
  select count(*) as entries, coalesce(sum(e.amount_minor), 0) as total, count(distinct a.currency) as currencies,
    bool_and(a.currency = t.currency) as same, bool_and(t.posted_at = now()) as fresh
  into v_sum
  from billing.ledger_transactions t
  join billing.ledger_entries e on e.transaction_id = t.id
  join billing.ledger_accounts a on a.id = e.account_id
  where t.id = v_transaction_id;
  if v_sum.entries < 2 or v_sum.total <> 0 or v_sum.currencies <> 1 or not v_sum.same or not v_sum.fresh then
    raise exception 'ledger transaction % is not balanced: % entries, sum %', v_transaction_id, v_sum.entries, v_sum.total
      using errcode = 'integrity_constraint_violation',
        hint = 'Two entries at least, in one currency, that sum to zero, posted with their transaction.';
  end if;
  return null;
end;
$function$;

comment on function "billing"."check_posting"() is 'At commit: two entries at least, one currency, sum zero, and nothing is added to an older transaction.';

revoke all on function "billing"."check_posting"() from public;

grant execute on function "billing"."check_posting"() to "postgres";

-- billing/functions/check_problems

create or replace function billing.check_problems()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
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
$function$;

comment on function "billing"."check_problems"() is 'Open rows of billing.problems, by kind.';

revoke all on function "billing"."check_problems"() from public;

grant execute on function "billing"."check_problems"() to "postgres";

-- billing/functions/check_purchase_snapshot

create or replace function billing.check_purchase_snapshot (
  p_token    bigint,
  p_snapshot jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- A token from nowhere could be higher than all to come, and shut the purchase out for ever.
  perform billing.require(
    p_token between 1 and (select q.last_value from billing.sync_token_seq q),
    'p_token is not one of next_sync_token()'
  );
  perform billing.require(jsonb_typeof(p_snapshot) = 'object', 'p_snapshot is not an object');
  perform billing.require(
    (
      select bool_and(jsonb_typeof(coalesce(p_snapshot -> l.name, '[]')) = 'array')
      from unnest(array['charges', 'refunds', 'disputes', 'facts', 'payouts']) l (name)
    ),
    'charges, refunds, disputes, facts and payouts are lists'
  );
end;
$function$;

comment on function "billing"."check_purchase_snapshot"(bigint, jsonb) is 'Refuses a snapshot that is not one.';

revoke all on function "billing"."check_purchase_snapshot"(bigint, jsonb) from public;

grant execute on function "billing"."check_purchase_snapshot"(bigint, jsonb) to "postgres";

-- billing/functions/check_range

create or replace function billing.check_range (
  p_from date,
  p_to   date
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- Infinite dates cannot be subtracted.
  if p_from is null or p_to is null or not isfinite(p_from) or not isfinite(p_to) or p_to < p_from
    or p_to - p_from > 400
  then
    perform billing.raise_http(422, 'invalid_range', 'The range must be from a day to a later one, 400 days at most.');
  end if;
end;
$function$;

comment on function "billing"."check_range"(date, date) is 'Refuses more than 400 days: 422 invalid_range.';

revoke all on function "billing"."check_range"(date, date) from public;

grant execute on function "billing"."check_range"(date, date) to "postgres";

-- billing/functions/check_rate_buckets

create or replace function billing.check_rate_buckets()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
  select 'rate_buckets_size', round(pg_catalog.pg_total_relation_size('billing.rate_buckets') / 1048576.0, 1), null::timestamptz, null;
$function$;

comment on function "billing"."check_rate_buckets"() is 'How large the table of the rate limits is: a job empties it every five minutes.';

revoke all on function "billing"."check_rate_buckets"() from public;

grant execute on function "billing"."check_rate_buckets"() to "postgres";

-- billing/functions/check_reconcile

create or replace function billing.check_reconcile()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
  select 'reconcile_age', billing.seconds_since(coalesce(r.finished_at, t.added_at)), coalesce(r.finished_at, t.added_at),
    (select left(l.last_error, 200) from billing.reconcile_runs l order by l.id desc limit 1)
  from billing.health_thresholds t left join (
    select r.finished_at from billing.reconcile_runs r where r.finished_at is not null order by r.id desc limit 1
  ) r on true
  where t.check_name = 'reconcile_age';
$function$;

comment on function "billing"."check_reconcile"() is 'When the database last said what Stripe says.';

revoke all on function "billing"."check_reconcile"() from public;

grant execute on function "billing"."check_reconcile"() to "postgres";

-- billing/functions/check_snapshot

create or replace function billing.check_snapshot (
  p_token         bigint,
  p_subscriptions jsonb,
  p_invoices      jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- A token from nowhere could be higher than all to come, and shut the customer out for ever.
  perform billing.require(
    p_token between 1 and (select q.last_value from billing.sync_token_seq q),
    'p_token is not one of next_sync_token()'
  );
  perform billing.require(jsonb_typeof(p_subscriptions) = 'array', 'p_subscriptions is not a list');
  perform billing.require(
    coalesce(jsonb_typeof(p_invoices), 'array') = 'array', 'p_invoices is not a list'
  );
  perform billing.require(
    (
      select count(*) = count(distinct e.value ->> 'id')
        and count(*) = count(*) filter (where e.value ->> 'id' <> '' and e.value ->> 'status' <> '')
      from jsonb_array_elements(p_subscriptions || coalesce(p_invoices, '[]')) e
    ),
    'every subscription and invoice needs an id of its own and a status'
  );
end;
$function$;

comment on function "billing"."check_snapshot"(bigint, jsonb, jsonb) is 'Refuses a snapshot that is not one.';

revoke all on function "billing"."check_snapshot"(bigint, jsonb, jsonb) from public;

grant execute on function "billing"."check_snapshot"(bigint, jsonb, jsonb) to "postgres";

-- billing/functions/check_subscriptions

create or replace function billing.check_subscriptions (
  p_user_id            uuid,
  p_stripe_customer_id text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_seen text[] := '{}'::text[];
  v_row record;
begin
  for v_row in
    select 'unknown_status' as kind, s.id as subject, jsonb_build_object('status', s.status) as details
    from public.subscriptions s
    where s.user_id = p_user_id
      and not exists (select from billing.access_statuses a where a.status = s.status)
    union all
    select 'unknown_price', s.id, jsonb_build_object('price_lookup_key', s.price_lookup_key)
    from public.subscriptions s
    left join billing.access_statuses a on a.status = s.status
    where s.user_id = p_user_id and s.plan_id is null and coalesce(a.grants_access, true)
    union all
    select 'several_live_subscriptions', p_stripe_customer_id,
      jsonb_build_object('subscriptions', jsonb_agg(s.id order by s.id))
    from public.subscriptions s
    join billing.access_statuses a on a.status = s.status and a.grants_access
    where s.user_id = p_user_id
    having count(*) > 1
  loop
    perform billing.report_problem(
      v_row.kind, v_row.subject,
      v_row.details || jsonb_build_object('stripe_customer_id', p_stripe_customer_id)
    );
    v_seen := v_seen || (v_row.kind || ' ' || v_row.subject);
  end loop;
  update billing.problems p set resolved_at = now()
  where p.kind in ('unknown_status', 'unknown_price', 'several_live_subscriptions')
    and p.details ->> 'stripe_customer_id' = p_stripe_customer_id
    and p.resolved_at is null
    and p.kind || ' ' || p.subject <> all (v_seen);
end;
$function$;

comment on function "billing"."check_subscriptions"(uuid, text) is 'Reports what in a snapshot we do not understand, and resolves what is no longer so.';

revoke all on function "billing"."check_subscriptions"(uuid, text) from public;

grant execute on function "billing"."check_subscriptions"(uuid, text) to "postgres";

-- billing/functions/check_usage

create or replace function billing.check_usage()
  returns SETOF billing.health_finding
  language sql
  stable
  set search_path to ''
  AS $function$
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
$function$;

comment on function "billing"."check_usage"() is 'What is billed beyond allowances: on its way, put aside, checked, and found to differ.';

revoke all on function "billing"."check_usage"() from public;

grant execute on function "billing"."check_usage"() to "postgres";

-- billing/functions/check_vault

create or replace function billing.check_vault()
  returns SETOF billing.health_finding
  language plpgsql
  stable
  set search_path to ''
  AS $function$
begin
  return query
  select 'vault_secrets', count(*)::numeric, null::timestamptz, 'missing: ' || string_agg(w.name, ', ' order by w.name)
  from unnest(array['project_url', 'secret_key']) w (name)
  where not exists (select from vault.secrets s where s.name = w.name);
end;
$function$;

comment on function "billing"."check_vault"() is 'Entries of the Vault without which pg_cron cannot call a function.';

revoke all on function "billing"."check_vault"() from public;

grant execute on function "billing"."check_vault"() to "postgres";

-- billing/functions/claim_usage_unheld

create or replace function billing.claim_usage_unheld (
  p_limit              integer default 1000,
  p_stripe_customer_id text    default null::text
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_row record;
  v_claimed bigint := 0;
begin
  perform billing.require(p_limit between 1 and 10000, 'p_limit is not between 1 and 10000');
  if p_stripe_customer_id is not null then
    -- Somebody waits for this customer's usage (their invoice is about to close): wait for its writers.
    perform from billing.overage_usage u
    where u.stripe_customer_id = p_stripe_customer_id and u.waiting
    order by u.stripe_customer_id, u.metric_id, u.period_start for no key update;
  end if;
  for v_row in
    select u.stripe_customer_id, u.metric_id, u.period_start, u.period_end, u.user_id, u.quantity, u.claimed,
      u.sequence + 1 as sequence, m.meter_event_name
    from billing.overage_usage u join public.metrics m on m.id = u.metric_id and m.meter_event_name is not null
    where u.waiting and u.stripe_customer_id = coalesce(p_stripe_customer_id, u.stripe_customer_id)
    order by u.period_start, u.stripe_customer_id, u.metric_id
    limit p_limit
    for no key update of u skip locked
  loop
    insert into billing.usage_outbox (
      stripe_customer_id, metric_id, period_start, user_id, sequence, quantity, identifier, meter_event_name, event_time
    )
    values (
      v_row.stripe_customer_id, v_row.metric_id, v_row.period_start, v_row.user_id, v_row.sequence,
      v_row.quantity - v_row.claimed,
      format('%s-%s-%s-%s', v_row.stripe_customer_id, v_row.metric_id,
        extract(epoch from v_row.period_start)::bigint, v_row.sequence),
      v_row.meter_event_name, billing.event_time(v_row.period_start, v_row.period_end)
    );
    update billing.overage_usage u set claimed = v_row.quantity, sequence = v_row.sequence
    where u.stripe_customer_id = v_row.stripe_customer_id and u.metric_id = v_row.metric_id
      and u.period_start = v_row.period_start;
    v_claimed := v_claimed + 1;
  end loop;
  return v_claimed;
end;
$function$;

comment on function "billing"."claim_usage_unheld"(integer, text) is 'public.claim_usage() while nothing is held back.';

revoke all on function "billing"."claim_usage_unheld"(integer, text) from public;

grant execute on function "billing"."claim_usage_unheld"(integer, text) to "postgres";

-- billing/functions/consume

create or replace function billing.consume (
  p_user_id   uuid,
  p_metric_id text,
  p_quantity  bigint
)
  returns billing.usage_counters
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_today constant date := (now() at time zone 'UTC')::date;
  v_before billing.usage_counters;
  v_after billing.usage_counters;
  v_excess bigint;
  v_amount numeric;
begin
  perform billing.ensure_counters(array[p_user_id], p_metric_id);
  select * into strict v_before from billing.usage_counters c
  where c.user_id = p_user_id and c.metric_id = p_metric_id
  for no key update;
  if v_before.period_day < v_today then
    perform billing.roll_counter(v_before);
    v_before.period_day := v_today;
    v_before.used := 0;
    v_before.overage := 0;
    v_before.overage_minor := 0;
    v_before.fast_until := billing.fast_until(v_before.allowance);
  end if;
  -- Of this quantity what is beyond the allowance; whatever was beyond it before is paid for already.
  v_excess := coalesce(greatest(0, v_before.used + p_quantity - greatest(v_before.used, v_before.allowance)), 0);
  if v_excess > 0 and v_before.allowance is not null then
    if v_before.period_day <> 'infinity' then
      v_amount := billing.admit_overage(p_user_id, p_metric_id, v_excess);
    end if;
    if v_amount is null then
      perform billing.refuse_quota(v_before, v_before.used);
    end if;
  else
    v_excess := 0;
  end if;
  update billing.usage_counters c set
    used = v_before.used + p_quantity,
    period_day = v_before.period_day,
    overage = v_before.overage + v_excess,
    overage_minor = v_before.overage_minor + coalesce(v_amount, 0),
    fast_until = billing.fast_until(v_before.allowance, v_before.used + p_quantity)
  where c.user_id = p_user_id and c.metric_id = p_metric_id
  returning * into v_after;
  perform billing.notice_allowance(v_before, v_after);
  return v_after;
end;
$function$;

comment on function "billing"."consume"(uuid, text, bigint) is 'Takes a quantity of a metric for a user, all of it or nothing, and returns the counter. The thorough path: creates the counter, keeps the day that is over, goes beyond the allowance for those who pay for it, writes notices, and decides a refusal under the lock of the row, so that what it says is what was true.';

revoke all on function "billing"."consume"(uuid, text, bigint) from public;

grant execute on function "billing"."consume"(uuid, text, bigint) to "postgres";

-- billing/functions/consume_all

create or replace function billing.consume_all (
  p_user_ids   uuid[],
  p_quantities bigint[],
  p_metric_id  text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  if p_user_ids is null then
    return;
  end if;
  perform billing.ensure_counters(p_user_ids, p_metric_id);
  for v_place in 1 .. cardinality(p_user_ids) loop
    perform billing.consume(p_user_ids[v_place], p_metric_id, p_quantities[v_place]);
  end loop;
end;
$function$;

comment on function "billing"."consume_all"(uuid[], bigint[], text) is 'Takes a quantity for each of these users, who come in the order of their ids, so that two of these cannot deadlock.';

revoke all on function "billing"."consume_all"(uuid[], bigint[], text) from public;

grant execute on function "billing"."consume_all"(uuid[], bigint[], text) to "postgres";

-- billing/functions/consume_public_messages

create or replace function billing.consume_public_messages()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
-- Definer: the writer must not be able to write counters. Whose the row is, the policies and the foreign keys have checked
-- already when an AFTER trigger runs.
begin
  -- One statement decides. fast_until is within the allowance (a constraint says so), so nothing passes here that the
  -- allowance does not cover.
  update billing.usage_counters c
  set used = c.used + 1
  where c.user_id = new.user_id
    and c.metric_id = 'message'
    and c.period_day = (now() at time zone 'UTC')::date
    and c.valid_until > now()
    and c.used < c.fast_until;
  if not found then
    perform billing.consume(new.user_id, 'message', 1);
  end if;
  return null;
end;
$function$;

comment on function "billing"."consume_public_messages"() is 'The hot path of public.messages: one message of its owner''s day; beyond the allowance whatever billing.consume() decides.';

revoke all on function "billing"."consume_public_messages"() from public;

grant execute on function "billing"."consume_public_messages"() to "postgres";

-- billing/functions/consume_public_messages_many

create or replace function billing.consume_public_messages_many()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
#variable_conflict use_column
-- Definer: the writer must not be able to write counters.
declare
  v_users uuid[];
  v_quantities bigint[];
begin
  select array_agg(g.owner order by g.owner), array_agg(g.quantity order by g.owner) into v_users, v_quantities
  from (select new.user_id as owner, count(*) as quantity from new_rows as new where ((new.role = 'user'::text)) group by 1) g;
  perform billing.consume_all(v_users, v_quantities, 'message');
  return null;
end;
$function$;

comment on function "billing"."consume_public_messages_many"() is 'Everybody but clients: consumes for the rows of public.messages per user in one order.';

revoke all on function "billing"."consume_public_messages_many"() from public;

grant execute on function "billing"."consume_public_messages_many"() to "postgres";

-- billing/functions/correct_usage

create or replace function billing.correct_usage (
  p_outbox_id bigint,
  p_reason    text
)
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_event billing.usage_outbox;
  v_id bigint;
begin
  -- The account before the ledger, as everywhere.
  perform from billing.overage_accounts a
  where a.user_id = (select o.user_id from billing.usage_outbox o where o.id = p_outbox_id) for no key update;
  select * into v_event from billing.usage_outbox o where o.id = p_outbox_id for no key update;
  if v_event.id is null or v_event.kind <> 'event' or v_event.status <> 'sent' then
    raise exception 'row % is not an event that was sent', p_outbox_id using errcode = 'no_data_found';
  end if;
  if v_event.sent_at < now() - interval '24 hours' then
    raise exception 'Stripe cancels an event within 24 hours only' using errcode = 'object_not_in_prerequisite_state',
      hint = 'Credit the customer (a credit note, or a credit grant).';
  end if;
  insert into billing.usage_outbox (
    kind, stripe_customer_id, metric_id, period_start, user_id, sequence, quantity, identifier, adjusts,
    meter_event_name, event_time, reason
  )
  values (
    'adjustment', v_event.stripe_customer_id, v_event.metric_id, v_event.period_start, v_event.user_id, v_event.sequence,
    v_event.quantity, v_event.identifier || '-cancel', v_event.id, v_event.meter_event_name, v_event.event_time, p_reason
  )
  returning id into v_id;
  -- At the average price of the period: which unit of it was taken back nobody can say.
  update billing.overage_usage u set
    corrected = u.corrected + v_event.quantity,
    amount_minor = u.amount_minor - round(u.amount_minor * v_event.quantity / (u.quantity - u.corrected), 6)
  where u.stripe_customer_id = v_event.stripe_customer_id and u.metric_id = v_event.metric_id
    and u.period_start = v_event.period_start;
  update billing.overage_accounts a set spent_minor = billing.overage_spent(a.user_id, a.period_start)
  where a.user_id = v_event.user_id and a.period_start = v_event.period_start;
  return v_id;
end;
$function$;

comment on function "billing"."correct_usage"(bigint, text) is 'For operators: takes back an event that was sent within the last 24 hours, by a meter event adjustment in the outbox, and returns its number. The ledger keeps what was admitted and notes it as corrected; the cap gets it back.';

revoke all on function "billing"."correct_usage"(bigint, text) from public;

grant execute on function "billing"."correct_usage"(bigint, text) to "postgres";

-- billing/functions/create_gate_functions

create or replace function billing.create_gate_functions (
  p_gate billing.quota_gates
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  execute format(
    'create function billing.%I() returns trigger language plpgsql security definer set search_path = '''' as %L',
    p_gate.function_name, format($body$
-- Definer: the writer must not be able to write counters. Whose the row is, the policies and the foreign keys have checked
-- already when an AFTER trigger runs.
begin
  -- One statement decides. fast_until is within the allowance (a constraint says so), so nothing passes here that the
  -- allowance does not cover.
  update billing.usage_counters c
  set used = c.used + 1
  where c.user_id = new.%1$I
    and c.metric_id = %2$L
    and c.period_day = (now() at time zone 'UTC')::date
    and c.valid_until > now()
    and c.used < c.fast_until;
  if not found then
    perform billing.consume(new.%1$I, %2$L, 1);
  end if;
  return null;
end;
$body$, p_gate.owner_column, p_gate.metric_id)
  );
  execute format(
    'create function billing.%I() returns trigger language plpgsql security definer set search_path = '''' as %L',
    p_gate.function_name || '_many', format($body$
#variable_conflict use_column
-- Definer: the writer must not be able to write counters.
declare
  v_users uuid[];
  v_quantities bigint[];
begin
  select array_agg(g.owner order by g.owner), array_agg(g.quantity order by g.owner) into v_users, v_quantities
  from (select new.%I as owner, count(*) as quantity from new_rows as new where %s group by 1) g;
  perform billing.consume_all(v_users, v_quantities, %L);
  return null;
end;
$body$, p_gate.owner_column, billing.gate_condition(p_gate.table_id, p_gate.condition, 'new'), p_gate.metric_id)
  );
  execute format(
    'revoke all on function billing.%I(), billing.%I() from public, anon, authenticated, service_role',
    p_gate.function_name, p_gate.function_name || '_many'
  );
  execute format('comment on function billing.%I() is %L', p_gate.function_name, format(
    'The hot path of %s: one %s of its owner''s day; beyond the allowance whatever billing.consume() decides.',
    p_gate.table_id, p_gate.metric_id));
  execute format('comment on function billing.%I() is %L', p_gate.function_name || '_many', format(
    'Everybody but clients: consumes for the rows of %s per user in one order.', p_gate.table_id));
end;
$function$;

comment on function "billing"."create_gate_functions"(billing.quota_gates) is 'Makes the two trigger functions of a table.';

revoke all on function "billing"."create_gate_functions"(billing.quota_gates) from public;

grant execute on function "billing"."create_gate_functions"(billing.quota_gates) to "postgres";

-- billing/functions/create_gate_triggers

create or replace function billing.create_gate_triggers (
  p_gate billing.quota_gates
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  execute format(
    'create trigger tollgate_after_insert_consume after insert on %s '
    'for each row when (current_user = ''authenticated'' and %s) execute function billing.%I()',
    p_gate.table_id, billing.gate_condition(p_gate.table_id, p_gate.condition, 'new'), p_gate.function_name
  );
  execute format(
    'create trigger tollgate_after_insert_consume_many after insert on %s referencing new table as new_rows '
    'for each statement when (current_user is distinct from ''authenticated'') execute function billing.%I()',
    p_gate.table_id, p_gate.function_name || '_many'
  );
  -- AFTER, because it must judge the row that was written, whatever other triggers made of it.
  execute format(
    'create trigger tollgate_after_update_refuse after update on %s '
    'for each row when (old.%3$I is distinct from new.%3$I%2$s) execute function billing.refuse_change()',
    p_gate.table_id,
    case when p_gate.condition is not null then format(
      ' or %s is distinct from %s', billing.gate_condition(p_gate.table_id, p_gate.condition, 'old'),
      billing.gate_condition(p_gate.table_id, p_gate.condition, 'new')
    ) else '' end,
    p_gate.owner_column
  );
end;
$function$;

comment on function "billing"."create_gate_triggers"(billing.quota_gates) is 'Puts the triggers on a table. The conditions of the first two are each other''s complement: no insert escapes both.';

revoke all on function "billing"."create_gate_triggers"(billing.quota_gates) from public;

grant execute on function "billing"."create_gate_triggers"(billing.quota_gates) to "postgres";

-- billing/functions/creator_sums

create or replace function billing.creator_sums (
  p_seller_id uuid
)
  returns table (
    currency       text,
    balance_minor  bigint,
    earned_minor   bigint,
    paid_out_minor bigint,
    sales          bigint
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  select a.currency,
    coalesce(sum(e.amount_minor), 0)::bigint,
    coalesce(sum(e.amount_minor) filter (where t.kind not in ('payout', 'payout_failed')), 0)::bigint,
    -coalesce(sum(e.amount_minor) filter (where t.kind in ('payout', 'payout_failed')), 0)::bigint,
    count(distinct t.charge_id) filter (where t.kind = 'transfer')
  from billing.ledger_accounts a
  left join billing.ledger_entries e on e.account_id = a.id
  left join billing.ledger_transactions t on t.id = e.transaction_id
  where a.seller_id = p_seller_id and a.kind = 'creator'
  group by a.currency;
$function$;

comment on function "billing"."creator_sums"(uuid) is 'Per currency: the balance of the connected account, what was earned after fees, refunds and disputes, what was paid out, and the number of payments.';

revoke all on function "billing"."creator_sums"(uuid) from public;

grant execute on function "billing"."creator_sums"(uuid) to "postgres";

-- billing/functions/credit_offer

create or replace function billing.credit_offer (
  p_lookup_key text,
  p_currency   text
)
  returns table (
    title        text,
    price_minor  bigint,
    credit_minor bigint
  )
  language plpgsql
  stable
  set search_path to ''
  AS $function$
declare
  v_pack public.credit_packs;
begin
  select * into v_pack from public.credit_packs p where p.lookup_key = p_lookup_key and p.is_active;
  if not found then
    perform billing.raise_http(404, 'price_not_found', 'There is no such price.');
  end if;
  return query
  select v_pack.name, v_pack.price_minor, v_pack.credit_minor where v_pack.currency = p_currency
  union all
  select v_pack.name, o.price_minor, o.credit_minor from public.credit_pack_currency_options o
  where o.lookup_key = p_lookup_key and o.currency = p_currency
  limit 1;
  if not found then
    perform billing.raise_http(409, 'currency_mismatch', 'This credit is not sold in this currency.');
  end if;
end;
$function$;

comment on function "billing"."credit_offer"(text, text) is 'What a pack is called, costs and holds in a currency. 404 price_not_found, 409 currency_mismatch.';

revoke all on function "billing"."credit_offer"(text, text) from public;

grant execute on function "billing"."credit_offer"(text, text) to "postgres";

-- billing/functions/cron_period

create or replace function billing.cron_period (
  p_schedule text
)
  returns interval
  language sql
  immutable
  set search_path to ''
  AS $function$
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
$function$;

comment on function "billing"."cron_period"(text) is 'How often a schedule of pg_cron comes round; null when that is not at equal distances, or rarer than weekly.';

revoke all on function "billing"."cron_period"(text) from public;

grant execute on function "billing"."cron_period"(text) to "postgres";

-- billing/functions/current_plan

create or replace function billing.current_plan (
  p_user_id uuid
)
  returns text
  language sql
  stable
  set search_path to ''
  AS $function$
  select coalesce(
    (
      select e.plan_id from public.entitlements e
      where e.user_id = p_user_id and (e.valid_until is null or e.valid_until > now())
    ),
    (select p.id from public.plans p where p.is_default)
  );
$function$;

comment on function "billing"."current_plan"(uuid) is 'The plan a user is on.';

revoke all on function "billing"."current_plan"(uuid) from public;

grant execute on function "billing"."current_plan"(uuid) to "postgres";

-- billing/functions/deletion_record

create or replace function billing.deletion_record (
  p_deletion billing.deletions
)
  returns jsonb
  language sql
  stable
  set search_path to ''
  AS $function$
  select jsonb_build_object(
    'state', case when p_deletion.finished_at is null then 'requested' else 'finished' end,
    'requested_at', p_deletion.requested_at,
    'finished_at', p_deletion.finished_at
  );
$function$;

comment on function "billing"."deletion_record"(billing.deletions) is 'What the person is told: {state, requested_at, finished_at}.';

revoke all on function "billing"."deletion_record"(billing.deletions) from public;

grant execute on function "billing"."deletion_record"(billing.deletions) to "postgres";

-- billing/functions/detach_quota

create or replace function billing.detach_quota (
  p_table regclass
)
  returns boolean
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_gate billing.quota_gates;
begin
  if exists (select from pg_catalog.pg_class c where c.oid = p_table) then
    -- In the order of attach_quota().
    execute format('lock table %s in access exclusive mode', p_table);
  end if;
  select * into v_gate from billing.quota_gates g where g.table_id = p_table;
  if not found then
    return false;
  end if;
  perform billing.remove_gate(v_gate);
  return true;
end;
$function$;

comment on function "billing"."detach_quota"(regclass) is 'Takes the gate from a table, which is as it was before; false when there was none. What was used stays used.';

revoke all on function "billing"."detach_quota"(regclass) from public;

grant execute on function "billing"."detach_quota"(regclass) to "postgres";

-- billing/functions/dispute_action

create or replace function billing.dispute_action (
  p_dispute billing.purchase_disputes
)
  returns text
  language sql
  stable
  set search_path to ''
  AS $function$
  select case
    when p_dispute.transfer_state = 'none' and p_dispute.status in ('needs_response', 'under_review', 'lost') then 'reverse'
    when p_dispute.status <> 'won' then null
    -- We know of nothing that was taken back, but who died may have done it: Stripe knows.
    when p_dispute.transfer_state = 'none'
      or (p_dispute.transfer_state = 'failed' and p_dispute.reversed_minor is null) then 'settle'
    when p_dispute.transfer_state = 'reversed' and p_dispute.reversed_minor > 0 then 'pay'
    when p_dispute.transfer_state = 'paid_back'
      and (select s.refunded_minor from billing.charge_state(p_dispute.charge_id) s) > p_dispute.shared_minor then 'share'
  end;
$function$;

comment on function "billing"."dispute_action"(billing.purchase_disputes) is 'What is to be done now: reverse, settle, pay or share, see public.dispute_work(); null: nothing.';

revoke all on function "billing"."dispute_action"(billing.purchase_disputes) from public;

grant execute on function "billing"."dispute_action"(billing.purchase_disputes) to "postgres";

-- billing/functions/emails_enabled

create or replace function billing.emails_enabled()
  returns boolean
  language sql
  stable
  set search_path to ''
  AS $function$
  select (billing.setting('notification_emails'))::boolean;
$function$;

comment on function "billing"."emails_enabled"() is 'Whether notices are sent by e-mail.';

revoke all on function "billing"."emails_enabled"() from public;

grant execute on function "billing"."emails_enabled"() to "postgres";

-- billing/functions/ensure_audit_partition

create or replace function billing.ensure_audit_partition (
  p_at timestamp with time zone
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_name constant text := billing.audit_partition(p_at);
  v_from constant timestamptz := date_trunc('month', p_at at time zone 'UTC') at time zone 'UTC';
  v_to constant timestamptz := (date_trunc('month', p_at at time zone 'UTC') + interval '1 month') at time zone 'UTC';
begin
  if to_regclass('billing_months.' || v_name) is not null then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('tollgate audit partition', 0));
  if to_regclass('billing_months.' || v_name) is not null then
    return;
  end if;
  execute format('create table billing_months.%I (like billing.audit_log including defaults including constraints)', v_name);
  execute format('alter table billing_months.%I enable row level security', v_name);
  execute format('revoke all on billing_months.%I from public, anon, authenticated, service_role', v_name);
  execute format(
    'create policy "Nobody reads the audit log" on billing_months.%I for all to anon, authenticated using (false) with check (false)',
    v_name
  );
  execute format(
    'create trigger audit_log_before_truncate_refuse before truncate on billing_months.%I '
    'for each statement execute function billing.refuse_audit_change()', v_name
  );
  execute format('alter table billing_months.%I enable always trigger audit_log_before_truncate_refuse', v_name);
  -- Attached, not created as a partition: that would lock out everybody who writes to the log.
  execute format(
    'alter table billing.audit_log attach partition billing_months.%I for values from (%L) to (%L)', v_name, v_from, v_to
  );
end;
$function$;

comment on function "billing"."ensure_audit_partition"(timestamp with time zone) is 'Makes the partition of a moment unless it is there.';

revoke all on function "billing"."ensure_audit_partition"(timestamp with time zone) from public;

grant execute on function "billing"."ensure_audit_partition"(timestamp with time zone) to "postgres";

-- billing/functions/ensure_audit_partitions

create or replace function billing.ensure_audit_partitions()
  returns void
  language sql
  set search_path to ''
  AS $function$
  select billing.ensure_audit_partition(now() + n * interval '1 month') from generate_series(0, 3) n;
$function$;

comment on function "billing"."ensure_audit_partitions"() is 'Makes the partitions of this month and the next three.';

revoke all on function "billing"."ensure_audit_partitions"() from public;

grant execute on function "billing"."ensure_audit_partitions"() to "postgres";

-- billing/functions/ensure_counters

create or replace function billing.ensure_counters (
  p_user_ids  uuid[],
  p_metric_id text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_missing uuid[];
begin
  perform billing.expire_people(p_user_ids);
  select array_agg(u.id order by u.id) into v_missing
  from unnest(p_user_ids) as u (id)
  where not exists (
    select from billing.usage_counters c where c.user_id = u.id and c.metric_id = p_metric_id
  );
  if v_missing is null then
    return;
  end if;
  perform from billing.catalogue_state for share;
  perform from public.entitlements e where e.user_id = any (v_missing) order by e.user_id for share;
  insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until, fast_until)
  select u.id, m.id, billing.first_period_day(m.period), 0, a.allowance, billing.allowance_until(u.id),
    billing.fast_until(a.allowance)
  from unnest(v_missing) as u (id) cross join public.metrics m
  cross join lateral (select billing.allowance(u.id, m.id) as allowance) a
  where m.id = p_metric_id
  order by u.id
  on conflict (user_id, metric_id) do nothing;
end;
$function$;

comment on function "billing"."ensure_counters"(uuid[], text) is 'Ends what has ended, and creates the counters these users do not have yet. Before any counter is locked, so that the order of locks holds.';

revoke all on function "billing"."ensure_counters"(uuid[], text) from public;

grant execute on function "billing"."ensure_counters"(uuid[], text) to "postgres";

-- billing/functions/ensure_ledger_accounts

create or replace function billing.ensure_ledger_accounts (
  p_seller_id  uuid,
  p_currencies text[]
)
  returns void
  language sql
  set search_path to ''
  AS $function$
  -- In one order, so that two snapshots that open the same accounts do not wait for each other.
  insert into billing.ledger_accounts (kind, seller_id, currency)
  select k.kind, case when k.kind like 'creator%' then p_seller_id end, c.currency
  from unnest(array['buyers', 'creator', 'creator_bank', 'disputes', 'platform', 'refunds', 'stripe_fees']) k (kind)
  cross join (select distinct u.currency from unnest(p_currencies) u (currency)) c
  where p_seller_id is not null or k.kind not like 'creator%'
  order by c.currency, k.kind
  on conflict do nothing;
$function$;

comment on function "billing"."ensure_ledger_accounts"(uuid, text[]) is 'Opens the accounts a sale of this creator may touch.';

revoke all on function "billing"."ensure_ledger_accounts"(uuid, text[]) from public;

grant execute on function "billing"."ensure_ledger_accounts"(uuid, text[]) to "postgres";

-- billing/functions/entitlements_changed

create or replace function billing.entitlements_changed()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform from billing.catalogue_state for share;
  if tg_op in ('UPDATE', 'DELETE') then
    -- Only what exists: the user may be on the way out (on delete cascade).
    perform from billing.usage_counters c
      where c.user_id in (select o.user_id from old_rows o)
      order by c.user_id, c.metric_id for no key update;
    perform billing.roll_counters((select array_agg(o.user_id) from old_rows o));
    update billing.usage_counters c
    set allowance = n.allowance, valid_until = n.valid_until, fast_until = billing.fast_until(n.allowance)
    from billing.usage_counters k
    cross join lateral (
      select billing.allowance(k.user_id, k.metric_id) as allowance, billing.allowance_until(k.user_id) as valid_until
    ) n
    where k.user_id in (select o.user_id from old_rows o)
      and c.user_id = k.user_id and c.metric_id = k.metric_id
      and (c.allowance, c.valid_until) is distinct from (n.allowance, n.valid_until);
  end if;
  if tg_op in ('INSERT', 'UPDATE') then
    perform billing.roll_counters((select array_agg(n.user_id) from new_rows n));
    insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until, fast_until)
    select n.user_id, m.id, billing.first_period_day(m.period), 0, a.allowance, billing.allowance_until(n.user_id),
      billing.fast_until(a.allowance)
    from new_rows n cross join public.metrics m
    cross join lateral (select billing.allowance(n.user_id, m.id) as allowance) a
    order by n.user_id, m.id
    on conflict (user_id, metric_id) do update
    set allowance = excluded.allowance, valid_until = excluded.valid_until, fast_until = excluded.fast_until
    where (billing.usage_counters.allowance, billing.usage_counters.valid_until)
      is distinct from (excluded.allowance, excluded.valid_until);
  end if;
  return null;
end;
$function$;

comment on function "billing"."entitlements_changed"() is 'Refreshes the cached allowances of the users whose entitlement changed.';

revoke all on function "billing"."entitlements_changed"() from public;

grant execute on function "billing"."entitlements_changed"() to "postgres";

-- billing/functions/event_time

create or replace function billing.event_time (
  p_period_start timestamp with time zone,
  p_period_end   timestamp with time zone
)
  returns timestamp with time zone
  language sql
  stable
  set search_path to ''
  AS $function$
  -- Whole seconds, as Stripe takes them, and the last one that is over: a subscription that ends or changes in this second
  -- is billed up to it, without it.
  select date_trunc('second', greatest(
    p_period_start, least(now() - interval '1 second', p_period_end - interval '1 second')
  ), 'UTC');
$function$;

comment on function "billing"."event_time"(timestamp with time zone, timestamp with time zone) is 'The time to report usage of a billing period under: the second before this one, but within the period.';

revoke all on function "billing"."event_time"(timestamp with time zone, timestamp with time zone) from public;

grant execute on function "billing"."event_time"(timestamp with time zone, timestamp with time zone) to "postgres";

-- billing/functions/expire_entitlements

create or replace function billing.expire_entitlements()
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_user_id uuid;
  v_expired bigint := 0;
begin
  for v_user_id in
    select e.user_id from public.entitlements e
    where e.valid_until <= now() order by e.valid_until limit 1000
  loop
    if billing.try_lock_person(v_user_id) then
      perform billing.refresh_entitlement(v_user_id, 'expired');
      v_expired := v_expired + 1;
    end if;
  end loop;
  return v_expired;
end;
$function$;

comment on function "billing"."expire_entitlements"() is 'Derives anew every entitlement that has ended. Somebody who is being worked on is left to the next run.';

revoke all on function "billing"."expire_entitlements"() from public;

grant execute on function "billing"."expire_entitlements"() to "postgres";

-- billing/functions/expire_people

create or replace function billing.expire_people (
  p_user_ids uuid[]
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_user_id uuid;
begin
  if not exists (
    select from public.entitlements e where e.user_id = any (p_user_ids) and e.valid_until <= now()
  ) and not exists (
    select from billing.usage_counters c where c.user_id = any (p_user_ids) and c.valid_until <= now()
  ) then
    return;
  end if;
  -- All of them, in one order and before any counter is locked, or two bulk inserts could wait for each other.
  for v_user_id in select distinct u.id from unnest(p_user_ids) u (id) order by 1 loop
    perform billing.lock_person(v_user_id);
  end loop;
  perform billing.refresh_entitlement(e.user_id, 'expired')
  from public.entitlements e
  where e.user_id = any (p_user_ids) and e.valid_until <= now();
  -- What is left has an add-on that ended.
  perform billing.refresh_counters(c.user_id)
  from (
    select distinct c.user_id from billing.usage_counters c
    where c.user_id = any (p_user_ids) and c.valid_until <= now() order by c.user_id
  ) c;
end;
$function$;

comment on function "billing"."expire_people"(uuid[]) is 'Derives anew what has ended for these users; the gate calls it before it decides.';

revoke all on function "billing"."expire_people"(uuid[]) from public;

grant execute on function "billing"."expire_people"(uuid[]) to "postgres";

-- billing/functions/explain_access

create or replace function billing.explain_access (
  p_user_id uuid,
  p_at      timestamp with time zone default now()
)
  returns table (
    at      timestamp with time zone,
    kind    text,
    plan_id text,
    why     text,
    ref     text
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  with said as (
    select l.* from billing.access_log l
    where l.user_id = p_user_id and l.at <= p_at order by l.at desc, l.id desc limit 1
  )
  select e.* from (
  -- 1. The plan at that time, and since when.
  select coalesce((select s.at from said s), u.created_at), 'plan',
    coalesce(
      (select s.plan_id from said s where s.valid_until is null or s.valid_until > p_at),
      (select d.id from public.plans d where d.is_default)
    ),
    coalesce(
      (
        select case
          when s.valid_until <= p_at then format('%s ended at %s by itself', s.source, s.valid_until)
          when s.source = 'default' then 'nothing else gives a plan, since: ' || s.cause
          else format('from %s, since: %s%s', s.source, s.cause, coalesce(', until ' || s.valid_until, ''))
        end
        from said s
      ),
      'nothing ever gave another plan'
    ),
    (select coalesce(s.subscription_id, 'grant ' || s.grant_id) from said s)
  from auth.users u where u.id = p_user_id
  union all
  -- 2. What made it so.
  select e.stripe_created_at, 'event', s.plan_id, e.type || ', ' || e.status, e.id
  from (
    select l.* from billing.access_log l
    where l.user_id = p_user_id and l.at <= p_at and l.ref -> 'events' <> '[]'
    order by l.at desc, l.id desc limit 1
  ) s
  cross join jsonb_array_elements_text(s.ref -> 'events') x (id)
  join billing.stripe_events e on e.id = x.id
  union all
  select g.starts_at, 'grant', g.plan_id,
    format('%s, by %s, until %s%s', g.reason, g.granted_by, coalesce(g.ends_at::text, 'revoked'),
      coalesce(', revoked ' || g.revoked_at, '')),
    'grant ' || g.id
  from billing.grants g
  where g.user_id = p_user_id and g.starts_at <= p_at
  union all
  -- 3. Every subscription as it is now, and why it counts or not.
  select coalesce(b.stripe_created_at, b.synced_at), 'subscription', b.plan_id,
    case
      when a.status is null then format('status %s is not known: no access', b.status)
      when b.plan_id is null then format('price %s is not in the catalogue: no access', b.price_lookup_key)
      when not a.grants_access then format('status %s gives no access', b.status)
      when a.has_grace then format('status %s since %s: access until %s', b.status, b.past_due_since,
        b.past_due_since + billing.grace_period())
      else format('status %s gives access', b.status)
    end,
    b.id
  from public.subscriptions b left join billing.access_statuses a on a.status = b.status
  where b.user_id = p_user_id
  union all
  select i.stripe_created_at, 'invoice', null,
    format('%s, %s of %s %s paid', i.status, i.amount_paid_minor, i.total_minor, i.currency), i.id
  from (
    select * from public.invoices v
    where v.user_id = p_user_id and v.stripe_created_at <= p_at
    order by v.stripe_created_at desc limit 3
  ) i
  union all
  -- 4. The limits that refuse now. Past refusals are in the server's log: a refusal rolls its transaction back.
  select p_at, 'limit', billing.current_plan(p_user_id),
    format('%s: %s of %s used%s', c.metric_id, c.used, coalesce(c.allowance::text, 'unlimited'),
      case when c.used >= c.allowance then ', the next one is refused' else '' end),
    c.metric_id
  from billing.usage_counters c
  where c.user_id = p_user_id and c.period_day >= (p_at at time zone 'UTC')::date
  union all
  -- 5. Beyond the allowance: what its owner said yes to, and what it has come to in the latest billing periods.
  select a.updated_at, 'overage', null,
    case
      when not a.enabled then 'off: the owner has not said yes to the present subscription'
      when s.subscription_id is distinct from a.subscription_id or s.billable is not true then
        format('on, but Stripe could not bill it: subscription %s', coalesce(s.status, 'gone'))
      when not exists (select from billing.metered_items i where i.subscription_id = a.subscription_id) then
        'on, but Stripe has no metered items yet'
      else format('on, %s of %s %s spent', ceil(a.spent_minor), a.cap_minor, a.currency)
    end,
    a.subscription_id
  from billing.overage_accounts a left join billing.metered_subscription(a.user_id) s on true
  where a.user_id = p_user_id
  union all
  select l.period_start, 'overage', null,
    format('%s: %s beyond the allowance, %s of them claimed, until %s', l.metric_id, l.quantity, l.claimed, l.period_end),
    l.stripe_customer_id
  from (
    select * from billing.overage_usage u
    where u.user_id = p_user_id and u.period_start <= p_at
    order by u.period_start desc, u.metric_id limit 6
  ) l
  ) e (at, kind, plan_id, why, ref)
  order by array_position(array['plan', 'subscription', 'grant', 'invoice', 'limit', 'overage'], e.kind), e.at desc;
$function$;

comment on function "billing"."explain_access"(uuid, timestamp with time zone) is 'For operators: which plan a user had at a time and why (kind plan), since which event, grant and invoice, what each subscription counts for, which limit refuses what, and what is paid beyond it. Subscriptions, limits and overage are those of now.';

revoke all on function "billing"."explain_access"(uuid, timestamp with time zone) from public;

grant execute on function "billing"."explain_access"(uuid, timestamp with time zone) to "postgres";

-- billing/functions/export_query

create or replace function billing.export_query (
  p_section text
)
  returns text
  language sql
  immutable
  set search_path to ''
  AS $function$
  -- $1 is the person. Each gives a key to page by, and the row. Left out are secrets, and what is another person's.
  select case p_section
    when 'profile' then
      'select u.id::text as key, jsonb_build_object(''id'', u.id, ''email'', u.email, ''phone'', u.phone,
        ''created_at'', u.created_at, ''last_sign_in_at'', u.last_sign_in_at,
        ''user_metadata'', u.raw_user_meta_data) as data from auth.users u where u.id = $1'
    when 'sign_in_methods' then
      'select i.id::text as key, jsonb_build_object(''provider'', i.provider, ''identity'', i.identity_data,
        ''created_at'', i.created_at) as data from auth.identities i where i.user_id = $1'
    when 'sessions' then
      'select s.id::text as key, jsonb_build_object(''created_at'', s.created_at, ''ip'', s.ip,
        ''user_agent'', s.user_agent) as data from auth.sessions s where s.user_id = $1'
    when 'conversations' then
      'select c.id::text as key, to_jsonb(c) as data from public.conversations c where c.user_id = $1'
    when 'messages' then
      'select m.id::text as key, to_jsonb(m) as data from public.messages m where m.user_id = $1'
    when 'agents' then
      -- The text of a bought agent is its creator's.
      'select a.id::text as key, case when a.source_listing_id is null then to_jsonb(a)
        else to_jsonb(a) - ''instructions'' end as data from public.agents a where a.user_id = $1'
    when 'usage_counters' then
      'select c.metric_id as key, to_jsonb(c) as data from billing.usage_counters c where c.user_id = $1'
    when 'usage_days' then
      'select d.day || '' '' || d.metric_id as key, to_jsonb(d) as data from billing.usage_days d where d.user_id = $1'
    when 'usage_requests' then
      'select r.request_id::text as key, to_jsonb(r) as data from billing.usage_requests r where r.user_id = $1'
    when 'notifications' then
      'select n.id::text as key, to_jsonb(n) as data from public.notifications n where n.user_id = $1'
    when 'notification_optouts' then
      'select o.user_id::text as key, to_jsonb(o) as data from billing.notification_optouts o where o.user_id = $1'
    when 'notification_emails' then
      'select lpad(e.notification_id::text, 20, ''0'') as key, to_jsonb(e) - array[''lease'', ''lease_until'', ''last_error''] as data
       from billing.notification_emails e join public.notifications n on n.id = e.notification_id and n.user_id = $1'
    when 'customers' then
      'select c.user_id::text as key, to_jsonb(c) as data from public.customers c where c.user_id = $1'
    when 'entitlements' then
      'select e.user_id::text as key, to_jsonb(e) as data from public.entitlements e where e.user_id = $1'
    when 'access_log' then
      'select lpad(l.id::text, 20, ''0'') as key, to_jsonb(l) as data from billing.access_log l where l.user_id = $1'
    when 'audit_log' then
      -- Who did it is told only where it was oneself.
      'select lpad(l.id::text, 20, ''0'') as key, to_jsonb(l) - ''actor'' - ''on_behalf_of'' ||
        jsonb_build_object(''by_oneself'', l.actor = ''user:'' || $1::text or coalesce(l.on_behalf_of = $1, false)) as data
        from billing.audit_log l where l.user_id = $1'
    when 'grants' then
      -- Which operator granted it is the operator's data.
      'select lpad(g.id::text, 20, ''0'') as key, to_jsonb(g) - ''granted_by'' as data from billing.grants g where g.user_id = $1'
    when 'trial_uses' then
      'select to_jsonb(t)::text as key, to_jsonb(t) as data from billing.trial_uses t where t.user_id = $1'
    when 'checkout_attempts' then
      'select a.attempt::text as key, to_jsonb(a) as data from billing.checkout_attempts a where a.user_id = $1'
    when 'subscriptions' then
      'select s.id as key, to_jsonb(s) as data from public.subscriptions s where s.user_id = $1'
    when 'metered_items' then
      'select to_jsonb(i)::text as key, to_jsonb(i) as data from billing.metered_items i where i.user_id = $1'
    when 'invoices' then
      'select i.id as key, to_jsonb(i) as data from public.invoices i where i.user_id = $1'
    when 'overage_accounts' then
      'select a.user_id::text as key, to_jsonb(a) as data from billing.overage_accounts a where a.user_id = $1'
    when 'overage_usage' then
      'select u.stripe_customer_id || '' '' || u.metric_id || '' '' || u.period_start as key, to_jsonb(u) as data
       from billing.overage_usage u where u.user_id = $1'
    when 'usage_outbox' then
      'select lpad(o.id::text, 20, ''0'') as key, to_jsonb(o) as data from billing.usage_outbox o where o.user_id = $1'
    when 'usage_checks' then
      'select lpad(c.id::text, 20, ''0'') as key, to_jsonb(c) as data from billing.usage_checks c where c.user_id = $1'
    when 'credit_balances' then
      'select to_jsonb(b)::text as key, to_jsonb(b) as data from public.credit_balances b where b.user_id = $1'
    when 'credit_grants' then
      'select g.id as key, to_jsonb(g) as data from public.credit_grants g where g.user_id = $1'
    when 'purchases' then
      -- How a sale is shared is between the platform and the creator.
      'select p.id::text as key, to_jsonb(p) - array[''fee_bps'', ''fee_minor'', ''seller_id''] as data
       from public.purchases p where p.buyer_id = $1'
    when 'charges' then
      'select c.id as key, to_jsonb(c) as data from billing.purchase_charges c
       join public.purchases p on p.id = c.purchase_id and p.buyer_id = $1'
    when 'refunds' then
      'select r.id as key, to_jsonb(r) as data from billing.purchase_refunds r
       join public.purchases p on p.id = r.purchase_id and p.buyer_id = $1'
    when 'refund_requests' then
      -- Which operator it was, and what went wrong on the way, is ours.
      'select r.id::text as key, to_jsonb(r) - array[''requested_by'', ''last_error'', ''attempts'', ''next_attempt_at''] as data
       from billing.refund_requests r join public.purchases p on p.id = r.purchase_id and p.buyer_id = $1'
    when 'disputes' then
      -- What becomes of the creator's share is between the platform and the creator.
      'select d.id as key, jsonb_build_object(''id'', d.id, ''purchase_id'', d.purchase_id, ''charge_id'', d.charge_id,
        ''status'', d.status, ''amount_minor'', d.amount_minor, ''currency'', d.currency, ''reason'', d.reason,
        ''seen_at'', d.seen_at) as data from billing.purchase_disputes d
       join public.purchases p on p.id = d.purchase_id and p.buyer_id = $1'
    when 'licences' then
      'select l.id::text as key, to_jsonb(l) as data from public.licences l where l.user_id = $1'
    when 'sellers' then
      'select s.id::text as key, to_jsonb(s) as data from public.sellers s where s.user_id = $1'
    when 'listings' then
      'select l.id::text as key, to_jsonb(l) - ''search'' || jsonb_build_object(''definition'', to_jsonb(d), ''picture'', p.data) as data
       from public.listings l
       join public.sellers s on s.id = l.seller_id and s.user_id = $1
       left join public.listing_definitions d on d.listing_id = l.id
       left join public.listing_pictures p on p.listing_id = l.id'
    when 'sales' then
      -- Without the buyer.
      'select p.id::text as key, jsonb_build_object(''listing_id'', p.listing_id, ''title'', p.title, ''kind'', p.kind,
        ''amount_minor'', p.amount_minor, ''fee_minor'', p.fee_minor, ''refunded_minor'', p.refunded_minor,
        ''currency'', p.currency, ''status'', p.status, ''paid_at'', p.paid_at) as data
       from public.purchases p join public.sellers s on s.id = p.seller_id and s.user_id = $1
       where p.paid_at is not null'
    when 'earnings' then
      -- The account of a creator, movement by movement; a buyer is in none of them.
      'select lpad(e.id::text, 20, ''0'') as key, jsonb_build_object(''kind'', t.kind, ''purchase_id'', t.purchase_id,
        ''amount_minor'', e.amount_minor, ''currency'', t.currency, ''occurred_at'', t.occurred_at) as data
       from billing.ledger_accounts a
       join public.sellers s on s.id = a.seller_id and s.user_id = $1
       join billing.ledger_entries e on e.account_id = a.id and a.kind = ''creator''
       join billing.ledger_transactions t on t.id = e.transaction_id'
    when 'payouts' then
      'select o.id as key, to_jsonb(o) as data from billing.payouts o
       join public.sellers s on s.id = o.seller_id and s.user_id = $1'
    when 'stripe_events' then
      -- What Stripe told us, as long as we have it. Of a payment to a creator only the fact: the creator is in it.
      'select e.id as key, jsonb_build_object(''id'', e.id, ''type'', e.type, ''created_at'', e.stripe_created_at,
        ''contents'', case when e.purchase_id is null and not e.payload @? ''$.** ? (exists (@.transfer_data ? (@ != null))
          || exists (@.application_fee_amount ? (@ != null)) || exists (@.application_fee_percent ? (@ != null))
          || exists (@.on_behalf_of ? (@ != null)))'' then e.payload end) as data
       from billing.stripe_events e
       where e.payload is not null and (
         e.stripe_customer_id = (select c.stripe_customer_id from public.customers c where c.user_id = $1)
         or e.purchase_id = any (array(select p.id from public.purchases p where p.buyer_id = $1))
         or e.stripe_account_id = (select s.stripe_account_id from public.sellers s where s.user_id = $1))'
    when 'deletion' then
      'select d.user_id::text as key, billing.deletion_record(d) as data from billing.deletions d where d.user_id = $1'
  end;
$function$;

comment on function "billing"."export_query"(text) is 'Where a section of the export comes from. Text of ours, not of a request: the section only chooses. Null: no such section.';

revoke all on function "billing"."export_query"(text) from public;

grant execute on function "billing"."export_query"(text) to "postgres";

-- billing/functions/fast_until

create or replace function billing.fast_until (
  p_allowance bigint,
  p_used      bigint default 0
)
  returns bigint
  language plpgsql
  immutable
  set search_path to ''
  AS $function$
begin
  return case
    when p_allowance is null then 9223372036854775807
    when p_used < ceil(p_allowance * 0.8) then greatest(ceil(p_allowance * 0.8)::bigint - 1, 0)
    else greatest(p_allowance - 1, 0)
  end;
end;
$function$;

comment on function "billing"."fast_until"(bigint, bigint) is 'One less than the next mark that a counter with this allowance reaches: 80 %, then all of it.';

revoke all on function "billing"."fast_until"(bigint, bigint) from public;

grant execute on function "billing"."fast_until"(bigint, bigint) to "postgres";

-- billing/functions/fee_bps

create or replace function billing.fee_bps (
  p_seller_id uuid
)
  returns integer
  language sql
  stable
  set search_path to ''
  AS $function$
  select coalesce(
    (select s.fee_bps from public.sellers s where s.id = p_seller_id),
    (billing.setting('platform_fee_bps') #>> '{}')::integer
  );
$function$;

comment on function "billing"."fee_bps"(uuid) is 'The fee of a creator in hundredths of a percent.';

revoke all on function "billing"."fee_bps"(uuid) from public;

grant execute on function "billing"."fee_bps"(uuid) to "postgres";

-- billing/functions/first_period_day

create or replace function billing.first_period_day (
  p_period text
)
  returns date
  language sql
  stable
  set search_path to ''
  AS $function$
  select case p_period when 'day' then (now() at time zone 'UTC')::date else 'infinity' end;
$function$;

comment on function "billing"."first_period_day"(text) is 'The day a new counter starts with. Not current_date: a client can move that with Prefer: timezone.';

revoke all on function "billing"."first_period_day"(text) from public;

grant execute on function "billing"."first_period_day"(text) to "postgres";

-- billing/functions/forget_in_auth_log

create or replace function billing.forget_in_auth_log (
  p_user_id uuid,
  p_email   text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- Hosted Auth may keep a log with addresses in it; not every version has the table or lets us write it.
  if to_regclass('auth.audit_log_entries') is not null then
    execute 'delete from auth.audit_log_entries e where e.payload ->> ''actor_id'' = $1 or e.payload ->> ''actor_username'' = $2'
      using p_user_id::text, p_email;
  end if;
  -- Sign-ins that were begun, with a provider's tokens; Auth gives this table no foreign key.
  if to_regclass('auth.flow_state') is not null then
    execute 'delete from auth.flow_state f where f.user_id = $1' using p_user_id;
  end if;
exception when insufficient_privilege then
  perform billing.report_problem('auth_log_kept', p_user_id::text);
end;
$function$;

comment on function "billing"."forget_in_auth_log"(uuid, text) is 'Removes what Auth has kept about a person outside their row.';

revoke all on function "billing"."forget_in_auth_log"(uuid, text) from public;

grant execute on function "billing"."forget_in_auth_log"(uuid, text) to "postgres";

-- billing/functions/forget_in_inbox

create or replace function billing.forget_in_inbox (
  p_user_id uuid
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_customers constant text[] := array(
    select d.stripe_customer_id from billing.deletions d where d.user_id = p_user_id
    union select c.stripe_customer_id from public.customers c where c.user_id = p_user_id
    -- Customers that came before: one that was removed at Stripe was replaced.
    union select unnest(l.stripe_ids) from billing.audit_log l
    where l.user_id = p_user_id and l.action like 'billing.customer.%'
  );
  v_account constant text := (select d.stripe_account_id from billing.deletions d where d.user_id = p_user_id);
  v_purchases constant uuid[] := array(select p.id from public.purchases p where p.buyer_id = p_user_id);
begin
  update billing.stripe_events e set payload = null
  where e.payload is not null and (
    e.stripe_customer_id = any (v_customers) or e.stripe_account_id = v_account or e.purchase_id = any (v_purchases)
  );
end;
$function$;

comment on function "billing"."forget_in_inbox"(uuid) is 'Of a person''s events only the fact stays, also of those of a Stripe customer they had before.';

revoke all on function "billing"."forget_in_inbox"(uuid) from public;

grant execute on function "billing"."forget_in_inbox"(uuid) to "postgres";

-- billing/functions/forget_in_problems

create or replace function billing.forget_in_problems (
  p_user_id uuid,
  p_email   text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  -- Before anything of theirs is taken off them.
  v_subjects constant text[] := array(
    select d.stripe_customer_id from billing.deletions d where d.user_id = p_user_id
    union select d.stripe_account_id from billing.deletions d where d.user_id = p_user_id
    union select c.stripe_customer_id from public.customers c where c.user_id = p_user_id
    union select s.id from public.subscriptions s where s.user_id = p_user_id
    union select i.id from public.invoices i where i.user_id = p_user_id
    union select p.id::text from public.purchases p where p.buyer_id = p_user_id
  );
begin
  delete from billing.problems p where p.subject = p_user_id::text;
  update billing.problems p set details = '{}'
  where p.subject = any (v_subjects)
    or p.details ->> 'stripe_customer_id' = any (v_subjects)
    or strpos(p.details::text, p_user_id::text) > 0
    or strpos(lower(p.details::text), lower(nullif(p_email, ''))) > 0;
end;
$function$;

comment on function "billing"."forget_in_problems"(uuid, text) is 'Of what operators were told about a person only what kind it was and when stays.';

revoke all on function "billing"."forget_in_problems"(uuid, text) from public;

grant execute on function "billing"."forget_in_problems"(uuid, text) to "postgres";

-- billing/functions/forget_links

create or replace function billing.forget_links()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- Whichever there are, also those of columns to come.
  return jsonb_populate_record(new, (
    select jsonb_object_agg(k.name, null) from jsonb_object_keys(to_jsonb(new)) k (name) where k.name like '%\_url'
  ));
end;
$function$;

comment on function "billing"."forget_links"() is 'A purchase of nobody has no links: the pages at Stripe show a name and an address.';

revoke all on function "billing"."forget_links"() from public;

grant execute on function "billing"."forget_links"() to "postgres";

-- billing/functions/forget_payload

create or replace function billing.forget_payload()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  -- "customer.deleted" has the address in it, and comes when everything else is gone.
  if exists (select from billing.deletions d where d.stripe_customer_id = new.stripe_customer_id) or exists (
    select from public.purchases p where p.id = new.purchase_id and p.buyer_id is null
  ) or exists (
    select from public.sellers s where s.stripe_account_id = new.stripe_account_id and s.user_id is null
  ) then
    new.payload := null;
  end if;
  return new;
end;
$function$;

comment on function "billing"."forget_payload"() is 'Of somebody who has left only the fact of an event is kept, never its contents.';

revoke all on function "billing"."forget_payload"() from public;

grant execute on function "billing"."forget_payload"() to "postgres";

-- billing/functions/format_money

create or replace function billing.format_money (
  p_minor    numeric,
  p_currency text
)
  returns text
  language sql
  immutable
  set search_path to ''
  AS $function$
  -- Stripe's zero-decimal currencies: https://docs.stripe.com/currencies#zero-decimal
  select case
    when p_currency in ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'ugx', 'vnd', 'vuv',
      'xaf', 'xof', 'xpf') then ceil(p_minor)::text
    else to_char(ceil(p_minor) / 100, 'FM999999999990.00')
  end || ' ' || upper(p_currency);
$function$;

comment on function "billing"."format_money"(numeric, text) is 'An amount in minor units, in words: 12.30 USD. Rounded up.';

revoke all on function "billing"."format_money"(numeric, text) from public;

grant execute on function "billing"."format_money"(numeric, text) to "postgres";

-- billing/functions/free_gate_name

create or replace function billing.free_gate_name (
  p_table regclass
)
  returns name
  language sql
  stable
  set search_path to ''
  AS $function$
  select n.name
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace s on s.oid = c.relnamespace
  cross join lateral (
    select (left('consume_' || s.nspname || '_' || c.relname, 48) || case when i > 1 then '_' || i else '' end)::name as name, i
    from generate_series(1, 10000) i
  ) n
  where c.oid = p_table and not exists (
    select from pg_catalog.pg_proc f
    where f.pronamespace = 'billing'::regnamespace and f.proname in (n.name, n.name || '_many')
  )
  order by n.i limit 1;
$function$;

comment on function "billing"."free_gate_name"(regclass) is 'A name for the trigger functions of a table that no function has yet.';

revoke all on function "billing"."free_gate_name"(regclass) from public;

grant execute on function "billing"."free_gate_name"(regclass) to "postgres";

-- billing/functions/gate_condition

create or replace function billing.gate_condition (
  p_table     regclass,
  p_condition text,
  p_row       text
)
  returns text
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_definition text;
begin
  if p_condition is null then
    return 'true';
  end if;
  -- Beside a second relation Postgres prints every column with the name of its row, which is what a trigger needs. Not
  -- new or old at once: in a view of Postgres 15 these names are taken.
  execute format(
    E'create temporary view tollgate_gate_probe as select (%s\n) as tollgate_condition '
    'from %s as tollgate_gate_row cross join (select) as one', p_condition, p_table
  );
  v_definition := substring(
    pg_catalog.pg_get_viewdef(to_regclass('pg_temp.tollgate_gate_probe')) from '^ SELECT (.*) AS tollgate_condition\n   FROM '
  );
  drop view pg_temp.tollgate_gate_probe;
  if v_definition is null then
    raise exception 'the condition (%) cannot be read', p_condition using errcode = 'syntax_error';
  end if;
  return format('(%s)', replace(v_definition, 'tollgate_gate_row.', p_row || '.'));
end;
$function$;

comment on function "billing"."gate_condition"(regclass, text, text) is 'The condition with every column named as one of that row (new or old); true without a condition.';

revoke all on function "billing"."gate_condition"(regclass, text, text) from public;

grant execute on function "billing"."gate_condition"(regclass, text, text) to "postgres";

-- billing/functions/given_credit_balances

create or replace function billing.given_credit_balances (
  p_user_id  uuid,
  p_balances jsonb
)
  returns SETOF public.credit_balances
  language sql
  stable
  set search_path to ''
  AS $function$
  select p_user_id, r.currency, r.balance_minor, now()
  from jsonb_to_recordset(p_balances) as r (currency text, balance_minor bigint);
$function$;

comment on function "billing"."given_credit_balances"(uuid, jsonb) is 'The rows that a snapshot''s credit balances stand for.';

revoke all on function "billing"."given_credit_balances"(uuid, jsonb) from public;

grant execute on function "billing"."given_credit_balances"(uuid, jsonb) to "postgres";

-- billing/functions/given_credit_grants

create or replace function billing.given_credit_grants (
  p_user_id uuid,
  p_grants  jsonb
)
  returns SETOF public.credit_grants
  language sql
  stable
  set search_path to ''
  AS $function$
  select r.id, p_user_id, r.amount_minor, r.currency, coalesce(r.category, 'paid'), r.name, r.effective_at, r.expires_at,
    r.voided_at, r.created, now()
  from jsonb_to_recordset(p_grants) as r (
    id text, amount_minor bigint, currency text, category text, name text, effective_at timestamptz,
    expires_at timestamptz, voided_at timestamptz, created timestamptz
  );
$function$;

comment on function "billing"."given_credit_grants"(uuid, jsonb) is 'The rows that a snapshot''s credit grants stand for.';

revoke all on function "billing"."given_credit_grants"(uuid, jsonb) from public;

grant execute on function "billing"."given_credit_grants"(uuid, jsonb) to "postgres";

-- billing/functions/given_invoices

create or replace function billing.given_invoices (
  p_user_id  uuid,
  p_invoices jsonb
)
  returns SETOF public.invoices
  language sql
  stable
  set search_path to ''
  AS $function$
  select
    r.id, p_user_id, r.subscription_id, r.number, r.status, r.currency, r.total_minor, r.amount_due_minor,
    r.amount_paid_minor, r.period_start, r.period_end, r.hosted_invoice_url, r.invoice_pdf, r.created, now()
  from jsonb_to_recordset(p_invoices) as r (
    id text, subscription_id text, number text, status text, currency text, total_minor bigint,
    amount_due_minor bigint, amount_paid_minor bigint, period_start timestamptz, period_end timestamptz,
    hosted_invoice_url text, invoice_pdf text, created timestamptz
  );
$function$;

comment on function "billing"."given_invoices"(uuid, jsonb) is 'The rows that a snapshot''s list of invoices stands for.';

revoke all on function "billing"."given_invoices"(uuid, jsonb) from public;

grant execute on function "billing"."given_invoices"(uuid, jsonb) to "postgres";

-- billing/functions/given_metered_items

create or replace function billing.given_metered_items (
  p_user_id uuid,
  p_items   jsonb
)
  returns SETOF billing.metered_items
  language sql
  stable
  set search_path to ''
  AS $function$
  select r.id, p_user_id, r.subscription_id, m.id, r.price_lookup_key, r.currency,
    r.unit_amount_minor::numeric(20, 6), r.period_start, r.period_end, now()
  from jsonb_to_recordset(p_items) as r (
    id text, subscription_id text, price_lookup_key text, meter_event_name text, currency text,
    unit_amount_minor numeric, period_start timestamptz, period_end timestamptz
  )
  left join public.overage_prices o on o.lookup_key = r.price_lookup_key
  join public.metrics m on m.id = coalesce(
    (select k.id from public.metrics k where k.meter_event_name = r.meter_event_name), o.metric_id
  )
  where r.unit_amount_minor is not null;
$function$;

comment on function "billing"."given_metered_items"(uuid, jsonb) is 'The rows that a snapshot''s metered items stand for: those whose meter or lookup key we know.';

revoke all on function "billing"."given_metered_items"(uuid, jsonb) from public;

grant execute on function "billing"."given_metered_items"(uuid, jsonb) to "postgres";

-- billing/functions/given_subscriptions

create or replace function billing.given_subscriptions (
  p_user_id       uuid,
  p_subscriptions jsonb
)
  returns SETOF public.subscriptions
  language sql
  stable
  set search_path to ''
  AS $function$
  select
    r.id, p_user_id, r.status, r.price_lookup_key, p.plan_id, coalesce(r.quantity, 1), r.currency,
    r.current_period_start, r.current_period_end, r.cancel_at, coalesce(r.cancel_at_period_end, false),
    r.canceled_at, r.ended_at, r.trial_end, r.created, now(),
    -- The grace runs from when we first saw it, whatever Stripe tells us again.
    case when a.has_grace then coalesce(s.past_due_since, now()) end,
    r.pending_price_lookup_key, r.pending_change_at
  from jsonb_to_recordset(p_subscriptions) as r (
    id text, status text, price_lookup_key text, quantity integer, currency text,
    current_period_start timestamptz, current_period_end timestamptz, cancel_at timestamptz,
    cancel_at_period_end boolean, canceled_at timestamptz, ended_at timestamptz, trial_end timestamptz,
    created timestamptz, pending_price_lookup_key text, pending_change_at timestamptz
  )
  left join public.prices p on p.lookup_key = r.price_lookup_key
  left join billing.access_statuses a on a.status = r.status
  left join public.subscriptions s on s.id = r.id;
$function$;

comment on function "billing"."given_subscriptions"(uuid, jsonb) is 'The rows that a snapshot''s list of subscriptions stands for.';

revoke all on function "billing"."given_subscriptions"(uuid, jsonb) from public;

grant execute on function "billing"."given_subscriptions"(uuid, jsonb) to "postgres";

-- billing/functions/grace_period

create or replace function billing.grace_period()
  returns interval
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select (billing.setting('grace_days') #>> '{}')::numeric * interval '1 day';
$function$;

comment on function "billing"."grace_period"() is 'How long access lasts after a payment has failed.';

revoke all on function "billing"."grace_period"() from public;

grant execute on function "billing"."grace_period"() to "authenticated", "postgres";

-- billing/functions/grant_plan

create or replace function billing.grant_plan (
  p_user_id uuid,
  p_plan_id text,
  p_ends_at timestamp with time zone,
  p_reason  text
)
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_id bigint;
begin
  insert into billing.grants (user_id, plan_id, ends_at, reason)
  values (p_user_id, p_plan_id, p_ends_at, p_reason)
  returning id into v_id;
  perform billing.refresh_entitlement(p_user_id, 'granted', jsonb_build_object('grant', v_id));
  return v_id;
end;
$function$;

comment on function "billing"."grant_plan"(uuid, text, timestamp with time zone, text) is 'For operators: gives a user a plan until a time (null: until revoked), and returns the number of the grant. It wins over a lower paid plan while it lasts; a higher paid one stays.';

revoke all on function "billing"."grant_plan"(uuid, text, timestamp with time zone, text) from public;

grant execute on function "billing"."grant_plan"(uuid, text, timestamp with time zone, text) to "postgres";

-- billing/functions/has_licence

create or replace function billing.has_licence (
  p_listing_id uuid
)
  returns boolean
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select exists (
    select from public.licences l
    where l.user_id = auth.uid() and l.listing_id = p_listing_id and l.status = 'active'
      and (l.valid_until is null or l.valid_until > now())
  );
$function$;

comment on function "billing"."has_licence"(uuid) is 'Whether the caller may use what this listing sells, at this moment.';

revoke all on function "billing"."has_licence"(uuid) from public;

grant execute on function "billing"."has_licence"(uuid) to "authenticated", "postgres";

-- billing/functions/health_answer_of

create or replace function billing.health_answer_of (
  p_max_age_seconds integer
)
  returns jsonb
  language sql
  set search_path to ''
  AS $function$
  select a.answer from billing.health_answer a
  where a.at > clock_timestamp() - p_max_age_seconds * interval '1 second';
$function$;

comment on function "billing"."health_answer_of"(integer) is 'The kept answer, unless it is older.';

revoke all on function "billing"."health_answer_of"(integer) from public;

grant execute on function "billing"."health_answer_of"(integer) to "postgres";

-- billing/functions/is_count

create or replace function billing.is_count (
  p_value jsonb
)
  returns boolean
  language sql
  immutable
  set search_path to ''
  AS $function$
  select coalesce(jsonb_typeof(p_value) = 'number' and p_value #>> '{}' ~ '^[0-9]{1,15}$', false);
$function$;

comment on function "billing"."is_count"(jsonb) is 'Whether this is a whole number that is not negative.';

revoke all on function "billing"."is_count"(jsonb) from public;

grant execute on function "billing"."is_count"(jsonb) to "postgres";

-- billing/functions/is_leaving

create or replace function billing.is_leaving (
  p_user_id uuid
)
  returns boolean
  language sql
  stable
  set search_path to ''
  AS $function$
  select exists (select from billing.deletions d where d.user_id = p_user_id);
$function$;

comment on function "billing"."is_leaving"(uuid) is 'Whether this person has asked to be deleted, or was.';

revoke all on function "billing"."is_leaving"(uuid) from public;

grant execute on function "billing"."is_leaving"(uuid) to "postgres";

-- billing/functions/is_listing_seller

create or replace function billing.is_listing_seller (
  p_listing_id uuid
)
  returns boolean
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select exists (
    select from public.listings l join public.sellers s on s.id = l.seller_id
    where l.id = p_listing_id and s.user_id = auth.uid()
  );
$function$;

comment on function "billing"."is_listing_seller"(uuid) is 'Whether the caller is who sells this listing.';

revoke all on function "billing"."is_listing_seller"(uuid) from public;

grant execute on function "billing"."is_listing_seller"(uuid) to "authenticated", "postgres";

-- billing/functions/is_paid_by_credit

create or replace function billing.is_paid_by_credit (
  p_purchase public.purchases
)
  returns boolean
  language sql
  stable
  set search_path to ''
  AS $function$
  select p_purchase.kind = 'monthly' and p_purchase.session_status = 'complete'
    and p_purchase.payment_status in ('paid', 'no_payment_required')
    -- Once it was, it has been: what becomes of the subscription later is monthly_right()'s.
    and (p_purchase.subscription_status = 'active' or p_purchase.paid_at is not null);
$function$;

comment on function "billing"."is_paid_by_credit"(public.purchases) is 'Whether a monthly licence without any charge is one whose month was paid for out of the buyer''s credit at Stripe.';

revoke all on function "billing"."is_paid_by_credit"(public.purchases) from public;

grant execute on function "billing"."is_paid_by_credit"(public.purchases) to "postgres";

-- billing/functions/is_tier_table

create or replace function billing.is_tier_table (
  p_tiers jsonb
)
  returns boolean
  language sql
  immutable
  set search_path to ''
  AS $function$
  with tiers as (
    select t.ordinality as position, t.value as tier, t.value -> 'up_to' as up_to,
      lag(t.value -> 'up_to') over (order by t.ordinality) as before,
      t.ordinality = count(*) over () as is_last
    from jsonb_array_elements(
      case jsonb_typeof(p_tiers) when 'array' then p_tiers else '[]' end
    ) with ordinality t
  )
  select coalesce(bool_and(
    jsonb_typeof(tier) = 'object'
    and tier - array['up_to', 'unit_amount_minor', 'flat_amount_minor'] = '{}'
    and billing.is_count(tier -> 'unit_amount_minor') and billing.is_count(tier -> 'flat_amount_minor')
    and case when is_last then up_to = 'null' else
      billing.is_count(up_to) and up_to > coalesce(before, '0')
    end
  ), false)
  from tiers;
$function$;

comment on function "billing"."is_tier_table"(jsonb) is 'Whether this is a list of {up_to, unit_amount_minor, flat_amount_minor}, up_to rising and null in the last one.';

revoke all on function "billing"."is_tier_table"(jsonb) from public;

grant execute on function "billing"."is_tier_table"(jsonb) to "postgres";

-- billing/functions/listing_of_caller

create or replace function billing.listing_of_caller()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  new.seller_id := billing.my_seller_id();
  if new.seller_id is null then
    perform billing.raise_http(403, 'seller_required', 'Become a creator first.');
  end if;
  return new;
end;
$function$;

comment on function "billing"."listing_of_caller"() is 'A client''s listing is their own, whatever they send. 403 seller_required.';

revoke all on function "billing"."listing_of_caller"() from public;

grant execute on function "billing"."listing_of_caller"() to "postgres";

-- billing/functions/listing_written

create or replace function billing.listing_written()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_seller public.sellers;
begin
  if new.price_minor < (
    select c.minimum_minor from public.marketplace_currencies c where c.currency = new.currency
  ) then
    perform billing.raise_http(422, 'price_too_low', 'The price is below the least that can be charged in this currency.');
  end if;
  if tg_op = 'UPDATE' and old.version > 0 and (
    (new.kind, new.category) <> (old.kind, old.category)
    or (new.grants_metric_id, new.grants_quantity, new.seller_id)
      is distinct from (old.grants_metric_id, old.grants_quantity, old.seller_id)
  ) then
    perform billing.raise_http(
      409, 'listing_published', 'How a published listing is sold, and what it grants, cannot change.', null,
      'Withdraw it and make another one.'
    );
  end if;
  if tg_op = 'INSERT' then
    -- A change of the seller that is under way would not see this listing: wait for it.
    perform from public.sellers s where s.id = new.seller_id for share;
  end if;
  select * into v_seller from public.sellers s where s.id = new.seller_id;
  if found then
    new.seller_name := v_seller.display_name;
    new.sales_paused := v_seller.status <> 'active';
  end if;
  return new;
end;
$function$;

comment on function "billing"."listing_written"() is 'Keeps the price above the minimum, what was published as it was sold, and the copy of the seller''s state.';

revoke all on function "billing"."listing_written"() from public;

grant execute on function "billing"."listing_written"() to "postgres";

-- billing/functions/lock_overage_account

create or replace function billing.lock_overage_account (
  p_user_id uuid
)
  returns billing.overage_accounts
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_account billing.overage_accounts;
begin
  select * into v_account from billing.overage_accounts a where a.user_id = p_user_id for no key update;
  if v_account.period_end <= now() then
    -- Stripe's next period begins where this one ends, so what is admitted now is on the right line already.
    select p.p_start, p.p_end into v_account.period_start, v_account.period_end
    from billing.present_period(v_account.period_start, v_account.period_end, now()) p;
    v_account.spent_minor := billing.overage_spent(p_user_id, v_account.period_start);
    update billing.overage_accounts a
    set period_start = v_account.period_start, period_end = v_account.period_end,
      spent_minor = v_account.spent_minor, updated_at = now()
    where a.user_id = p_user_id;
  end if;
  return v_account;
end;
$function$;

comment on function "billing"."lock_overage_account"(uuid) is 'The account, locked, in the period of this moment; all null when there is none.';

revoke all on function "billing"."lock_overage_account"(uuid) from public;

grant execute on function "billing"."lock_overage_account"(uuid) to "postgres";

-- billing/functions/lock_person

create or replace function billing.lock_person (
  p_user_id uuid
)
  returns void
  language sql
  set search_path to ''
  AS $function$
  select pg_advisory_xact_lock(hashtextextended('tollgate person ' || p_user_id, 0));
$function$;

comment on function "billing"."lock_person"(uuid) is 'Whoever derives an entitlement holds this until the end of the transaction.';

revoke all on function "billing"."lock_person"(uuid) from public;

grant execute on function "billing"."lock_person"(uuid) to "postgres";

-- billing/functions/lower_overage_caps

create or replace function billing.lower_overage_caps()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  update billing.overage_accounts a
  set cap_minor = billing.overage_cap_maximum(a.currency), updated_at = now()
  where a.cap_minor > billing.overage_cap_maximum(a.currency);
  return null;
end;
$function$;

comment on function "billing"."lower_overage_caps"() is 'A lower maximum counts at once, also for caps that were chosen before. A higher one raises nobody''s.';

revoke all on function "billing"."lower_overage_caps"() from public;

grant execute on function "billing"."lower_overage_caps"() to "postgres";

-- billing/functions/messages_answered

create or replace function billing.messages_answered()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_conversations constant uuid[] := (
    select array_agg(distinct n.conversation_id) from new_rows n where n.role = 'assistant'
  );
begin
  if v_conversations is not null then
    perform from public.conversations c
      where c.id = any (v_conversations) order by c.id for no key update;
    update public.conversations c set updated_at = now() where c.id = any (v_conversations);
  end if;
  return null;
end;
$function$;

comment on function "billing"."messages_answered"() is 'Dates the conversations that got an answer. Clients write none.';

revoke all on function "billing"."messages_answered"() from public;

grant execute on function "billing"."messages_answered"() to "postgres";

-- billing/functions/metered_subscription

create or replace function billing.metered_subscription (
  p_user_id uuid
)
  returns table (
    subscription_id text,
    plan_id         text,
    status          text,
    currency        text,
    billable        boolean
  )
  language plpgsql
  stable
  set search_path to ''
  AS $function$
begin
  return query
  select s.id, s.plan_id, s.status, s.currency,
    -- Active, and neither over nor about to become something else that no snapshot has told yet.
    s.status = 'active' and s.ended_at is null
      and coalesce(s.cancel_at, case when s.cancel_at_period_end then s.current_period_end end, 'infinity') > now()
      and coalesce(s.pending_change_at, 'infinity') > now()
  from public.subscriptions s
  left join public.entitlements e on e.user_id = s.user_id
  where s.user_id = p_user_id and s.status not in ('canceled', 'incomplete_expired')
  order by (s.status = 'active') desc, (s.id = e.subscription_id) desc nulls last,
    s.stripe_created_at desc nulls last, s.id desc
  limit 1;
end;
$function$;

comment on function "billing"."metered_subscription"(uuid) is 'The subscription that pays for what a user takes beyond the allowance, and whether it can be billed now.';

revoke all on function "billing"."metered_subscription"(uuid) from public;

grant execute on function "billing"."metered_subscription"(uuid) to "postgres";

-- billing/functions/monthly_right

create or replace function billing.monthly_right (
  p_purchase public.purchases,
  p_paid_at  timestamp with time zone
)
  returns table (
    status      text,
    reason      text,
    valid_until timestamp with time zone
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  with period as (
    select coalesce(p_purchase.current_period_end, p_paid_at + interval '1 month') as ends_at,
      p_purchase.past_due_since + billing.grace_period() as grace_ends_at
  )
  select
    case p_purchase.subscription_status
      when 'active' then 'active' when 'trialing' then 'active' when 'canceled' then 'canceled' else 'past_due'
    end,
    case when p_purchase.subscription_status in ('active', 'trialing', 'canceled') and p_purchase.past_due_since is null
      then 'canceled' else 'payment_failed' end,
    case
      when p_purchase.subscription_status in ('active', 'trialing') then
        case when p_purchase.cancel_at_period_end or p_purchase.cancel_at is not null
          then least(p_purchase.cancel_at, p.ends_at)
          -- A day at least, whatever the grace: Stripe itself takes an hour to renew.
          else p.ends_at + greatest(billing.grace_period(), interval '1 day') end
      -- The period that has begun is not paid, so its end says nothing.
      when p_purchase.subscription_status in ('past_due', 'canceled') then coalesce(p.grace_ends_at, p.ends_at)
      -- unpaid, paused, incomplete, and whatever we do not know: nothing.
      else '-infinity'
    end
  from period p;
$function$;

comment on function "billing"."monthly_right"(public.purchases, timestamp with time zone) is 'Of a monthly licence that was paid: the status of the purchase, until when it is worth something, and why not after that.';

revoke all on function "billing"."monthly_right"(public.purchases, timestamp with time zone) from public;

grant execute on function "billing"."monthly_right"(public.purchases, timestamp with time zone) to "postgres";

-- billing/functions/my_add_on

create or replace function billing.my_add_on (
  p_metric_id text
)
  returns bigint
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select coalesce(sum(a.quantity), 0)::bigint from billing.add_ons a
  where a.user_id = auth.uid() and a.metric_id = p_metric_id;
$function$;

comment on function "billing"."my_add_on"(text) is 'By how much the caller''s add-ons raise a limit.';

revoke all on function "billing"."my_add_on"(text) from public;

grant execute on function "billing"."my_add_on"(text) to "authenticated", "postgres";

-- billing/functions/my_credits

create or replace function billing.my_credits (
  p_user_id  uuid,
  p_currency text
)
  returns jsonb
  language sql
  stable
  set search_path to ''
  AS $function$
  select jsonb_build_object(
    'balance_minor', b.balance_minor,
    'currency', b.currency,
    'next_expiry', (
      select min(g.expires_at) from public.credit_grants g
      where g.user_id = b.user_id and g.currency = b.currency and g.voided_at is null and g.expires_at > now()
        and coalesce(g.effective_at, '-infinity') <= now()
    )
  )
  from public.credit_balances b
  where b.user_id = p_user_id
  order by (b.currency = p_currency) desc, b.balance_minor desc, b.currency limit 1;
$function$;

comment on function "billing"."my_credits"(uuid, text) is 'The prepaid credit a user has in this currency (else in another), and when the next of it expires; null without any.';

revoke all on function "billing"."my_credits"(uuid, text) from public;

grant execute on function "billing"."my_credits"(uuid, text) to "postgres";

-- billing/functions/my_payment_problem

create or replace function billing.my_payment_problem()
  returns jsonb
  language sql
  stable
  set search_path to ''
  AS $function$
  with live as (
    select s.*, coalesce(a.needs_attention, true) as needs_attention, coalesce(a.has_grace, false) as has_grace
    from public.subscriptions s left join billing.access_statuses a on a.status = s.status
    where s.user_id = (select auth.uid()) and s.status <> 'canceled'
      and (s.status <> 'incomplete_expired' or s.stripe_created_at > now() - interval '30 days')
  ),
  -- An attempt that came to nothing is no longer a problem once another one succeeded.
  problem as (
    select l.* from live l
    where l.needs_attention
      and (
        l.has_grace
        or not exists (select from live o where not o.needs_attention and o.stripe_created_at >= l.stripe_created_at)
      )
    order by l.has_grace desc, l.stripe_created_at desc nulls last, l.id desc
    limit 1
  )
  select jsonb_build_object(
    'status', p.status,
    'subscription_id', p.id,
    'hosted_invoice_url', (
      select i.hosted_invoice_url from public.invoices i
      where i.user_id = p.user_id and i.subscription_id = p.id and i.status = 'open'
        and i.hosted_invoice_url is not null
      order by i.stripe_created_at desc limit 1
    ),
    'grace_ends_at', case when p.has_grace then p.past_due_since + billing.grace_period() end
  )
  from problem p;
$function$;

comment on function "billing"."my_payment_problem"() is 'The caller''s subscription that needs them to act, or null: {status, subscription_id, hosted_invoice_url, grace_ends_at}.';

revoke all on function "billing"."my_payment_problem"() from public;

grant execute on function "billing"."my_payment_problem"() to "authenticated", "postgres";

-- billing/functions/my_seller_id

create or replace function billing.my_seller_id()
  returns uuid
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select s.id from public.sellers s where s.user_id = auth.uid();
$function$;

comment on function "billing"."my_seller_id"() is 'The seller the caller is; null for everybody else.';

revoke all on function "billing"."my_seller_id"() from public;

grant execute on function "billing"."my_seller_id"() to "authenticated", "postgres";

-- billing/functions/note_credit_state

create or replace function billing.note_credit_state (
  p_purchase       public.purchases,
  p_status         text,
  p_refunded_minor bigint
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- Once for each change: a problem that an operator has resolved does not come back with the next snapshot.
  if p_status = 'partially_refunded' and p_refunded_minor <> p_purchase.refunded_minor then
    perform billing.report_problem('credit_partly_refunded', p_purchase.id::text, jsonb_build_object(
      'refunded_minor', p_refunded_minor, 'amount_minor', p_purchase.amount_minor, 'currency', p_purchase.currency,
      'session', p_purchase.checkout_session_id
    ));
  elsif p_purchase.status = 'disputed' and p_status in ('paid', 'partially_refunded') then
    perform billing.report_problem('credit_dispute_won', p_purchase.id::text, jsonb_build_object(
      'credit_minor', p_purchase.credit_minor, 'currency', p_purchase.currency, 'session', p_purchase.checkout_session_id
    ));
  elsif p_status in ('refunded', 'lost') then
    update billing.problems b set resolved_at = now()
    where b.kind in ('credit_partly_refunded', 'credit_dispute_won') and b.subject = p_purchase.id::text
      and b.resolved_at is null;
  end if;
end;
$function$;

comment on function "billing"."note_credit_state"(public.purchases, text, bigint) is 'Tells an operator what nobody decides about credit by itself: a partial refund takes none of it back, and a dispute that was won gives back only what had not been used.';

revoke all on function "billing"."note_credit_state"(public.purchases, text, bigint) from public;

grant execute on function "billing"."note_credit_state"(public.purchases, text, bigint) to "postgres";

-- billing/functions/note_drifts

create or replace function billing.note_drifts (
  p_user_id            uuid,
  p_stripe_customer_id text,
  p_subscriptions      jsonb,
  p_invoices           jsonb,
  p_metering           jsonb default '{}'::jsonb
)
  returns jsonb
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_drift record;
  v_seen text[] := '{}'::text[];
  v_times integer;
  v_repeated jsonb := '[]'::jsonb;
begin
  for v_drift in
    select * from billing.snapshot_differences(p_user_id, p_subscriptions, p_invoices, p_metering)
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
$function$;

comment on function "billing"."note_drifts"(uuid, text, jsonb, jsonb, jsonb) is 'Notes what a snapshot of reconcile would change, resolves what it would not, and returns the fields found before too.';

revoke all on function "billing"."note_drifts"(uuid, text, jsonb, jsonb, jsonb) from public;

grant execute on function "billing"."note_drifts"(uuid, text, jsonb, jsonb, jsonb) to "postgres";

-- billing/functions/notice_allowance

create or replace function billing.notice_allowance (
  p_before billing.usage_counters,
  p_after  billing.usage_counters
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_mark constant bigint := ceil(p_after.allowance * 0.8);
  -- The counter has not been looked at since the allowance changed or the day began.
  v_fresh constant boolean := p_before.fast_until < p_after.allowance - 1;
begin
  if p_after.period_day = 'infinity' or p_after.allowance is null or p_after.allowance = 0 then
    return;
  end if;
  if p_after.used >= p_after.allowance and (v_fresh or p_before.used < p_after.allowance) then
    perform billing.notify_allowance(
      p_after.user_id, p_after.metric_id, p_after.period_day, 100, p_after.used, p_after.allowance
    );
  elsif p_after.used >= v_mark and p_after.used < p_after.allowance and (v_fresh or p_before.used < v_mark) then
    perform billing.notify_allowance(
      p_after.user_id, p_after.metric_id, p_after.period_day, 80, p_after.used, p_after.allowance
    );
  end if;
end;
$function$;

comment on function "billing"."notice_allowance"(billing.usage_counters, billing.usage_counters) is 'Writes the notice when a counter has come to 80 % or 100 % of its allowance. Not for metrics that never reset.';

revoke all on function "billing"."notice_allowance"(billing.usage_counters, billing.usage_counters) from public;

grant execute on function "billing"."notice_allowance"(billing.usage_counters, billing.usage_counters) to "postgres";

-- billing/functions/notice_spending

create or replace function billing.notice_spending (
  p_before billing.overage_accounts,
  p_amount numeric,
  p_unit   numeric
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_spent constant numeric := p_before.spent_minor + p_amount;
begin
  -- All of it is used when no further unit fits.
  if v_spent + p_unit > p_before.cap_minor then
    perform billing.notify_spending(
      p_before.user_id, p_before.period_start, 100, v_spent, p_before.cap_minor, p_before.currency
    );
  elsif p_before.spent_minor < p_before.cap_minor * 0.8 and v_spent >= p_before.cap_minor * 0.8 then
    perform billing.notify_spending(
      p_before.user_id, p_before.period_start, 80, v_spent, p_before.cap_minor, p_before.currency
    );
  end if;
end;
$function$;

comment on function "billing"."notice_spending"(billing.overage_accounts, numeric, numeric) is 'Writes the notice when this amount reaches 80 % or 100 % of the cap.';

revoke all on function "billing"."notice_spending"(billing.overage_accounts, numeric, numeric) from public;

grant execute on function "billing"."notice_spending"(billing.overage_accounts, numeric, numeric) to "postgres";

-- billing/functions/notify_allowance

create or replace function billing.notify_allowance (
  p_user_id   uuid,
  p_metric_id text,
  p_day       date,
  p_threshold integer,
  p_used      bigint,
  p_allowance bigint
)
  returns void
  language sql
  set search_path to ''
  AS $function$
  insert into public.notifications (user_id, kind, metric_id, threshold, limit_value, period, title, body)
  select p_user_id, 'allowance', m.id, p_threshold, p_allowance, p_day::text,
    format('%s %% of today''s %s used', p_threshold, lower(m.name)),
    format('You have used %s of %s %s. They reset at midnight UTC.', p_used, p_allowance, lower(m.name))
  from public.metrics m where m.id = p_metric_id
  on conflict do nothing;
$function$;

comment on function "billing"."notify_allowance"(uuid, text, date, integer, bigint, bigint) is 'Tells a user that a share of the day''s allowance is used; once a day, threshold and limit.';

revoke all on function "billing"."notify_allowance"(uuid, text, date, integer, bigint, bigint) from public;

grant execute on function "billing"."notify_allowance"(uuid, text, date, integer, bigint, bigint) to "postgres";

-- billing/functions/notify_spending

create or replace function billing.notify_spending (
  p_user_id      uuid,
  p_period_start timestamp with time zone,
  p_threshold    integer,
  p_spent_minor  numeric,
  p_cap_minor    bigint,
  p_currency     text
)
  returns void
  language sql
  set search_path to ''
  AS $function$
  insert into public.notifications (user_id, kind, threshold, limit_value, period, title, body)
  values (
    p_user_id, 'spending_cap', p_threshold, p_cap_minor,
    to_char(p_period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    format('%s %% of your spending cap used', p_threshold),
    format('You have spent %s of %s beyond your plan.', billing.format_money(p_spent_minor, p_currency),
      billing.format_money(p_cap_minor, p_currency))
      || case when p_threshold = 100 then ' Nothing more is charged until you raise the cap or the period ends.' else '' end
  )
  on conflict do nothing;
$function$;

comment on function "billing"."notify_spending"(uuid, timestamp with time zone, integer, numeric, bigint, text) is 'Tells a user that a share of their spending cap is used; once a period, threshold and cap.';

revoke all on function "billing"."notify_spending"(uuid, timestamp with time zone, integer, numeric, bigint, text) from public;

grant execute on function "billing"."notify_spending"(uuid, timestamp with time zone, integer, numeric, bigint, text) to "postgres";

-- billing/functions/overage_cap_maximum

create or replace function billing.overage_cap_maximum (
  p_currency text
)
  returns bigint
  language sql
  stable
  set search_path to ''
  AS $function$
  select coalesce(v.value ->> p_currency, v.value ->> 'default')::bigint
  from (select billing.setting('overage_cap_maximum') as value) v;
$function$;

comment on function "billing"."overage_cap_maximum"(text) is 'The highest spending cap that may be chosen in a currency, in its minor units.';

revoke all on function "billing"."overage_cap_maximum"(text) from public;

grant execute on function "billing"."overage_cap_maximum"(text) to "postgres";

-- billing/functions/overage_metrics

create or replace function billing.overage_metrics (
  p_user_id         uuid,
  p_subscription_id text,
  p_plan_id         text,
  p_currency        text,
  p_period_start    timestamp with time zone
)
  returns jsonb
  language sql
  stable
  set search_path to ''
  AS $function$
  select coalesce(jsonb_agg(jsonb_build_object(
    'metric', m.id,
    'name', m.name,
    'quantity', coalesce(u.quantity, 0),
    'unit_amount_minor', trim_scale(p.unit_amount_minor),
    'amount_minor', trim_scale(coalesce(u.amount_minor, 0))
  ) order by m.id), '[]')
  from public.metrics m
  left join lateral (
    select sum(l.quantity - l.corrected)::bigint as quantity, sum(l.amount_minor) as amount_minor
    from billing.overage_usage l
    where l.user_id = p_user_id and l.metric_id = m.id and l.period_start = p_period_start
  ) u on true
  -- Stripe's own price where there is one; what it will be otherwise.
  left join lateral (
    select coalesce(
      (
        select max(i.unit_amount_minor) from billing.metered_items i
        where i.subscription_id = p_subscription_id and i.metric_id = m.id
      ),
      (
        select coalesce(c.unit_amount_minor, case when o.currency = p_currency then o.unit_amount_minor end)
        from public.overage_prices o
        left join public.overage_price_currency_options c on c.lookup_key = o.lookup_key and c.currency = p_currency
        where o.plan_id = p_plan_id and o.metric_id = m.id and o.is_active
      )
    ) as unit_amount_minor
  ) p on true
  where p.unit_amount_minor is not null or u.quantity > 0;
$function$;

comment on function "billing"."overage_metrics"(uuid, text, text, text, timestamp with time zone) is 'What a billing period holds beyond the allowance, per metric that has a price.';

revoke all on function "billing"."overage_metrics"(uuid, text, text, text, timestamp with time zone) from public;

grant execute on function "billing"."overage_metrics"(uuid, text, text, text, timestamp with time zone) to "postgres";

-- billing/functions/overage_spent

create or replace function billing.overage_spent (
  p_user_id      uuid,
  p_period_start timestamp with time zone
)
  returns numeric
  language sql
  stable
  set search_path to ''
  AS $function$
  select coalesce(sum(u.amount_minor), 0)
  from billing.overage_usage u where u.user_id = p_user_id and u.period_start = p_period_start;
$function$;

comment on function "billing"."overage_spent"(uuid, timestamp with time zone) is 'What the ledger of a billing period comes to, in minor units.';

revoke all on function "billing"."overage_spent"(uuid, timestamp with time zone) from public;

grant execute on function "billing"."overage_spent"(uuid, timestamp with time zone) to "postgres";

-- billing/functions/overage_terms

create or replace function billing.overage_terms (
  p_user_id uuid
)
  returns table (
    available       boolean,
    reason          text,
    subscription_id text,
    plan_id         text,
    currency        text
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  select t.reason is null, t.reason, t.subscription_id, t.plan_id, t.currency
  from (select p_user_id as id) u
  left join lateral billing.metered_subscription(u.id) s on true
  cross join lateral (
    select
      case
        when s.subscription_id is null then 'no_subscription'
        when not exists (
          select from public.overage_prices o where o.plan_id = s.plan_id and o.is_active
        ) then 'plan_without_overage'
        when not s.billable then 'subscription_not_active'
        -- Nobody gets new credit while the bill of an earlier subscription is open. Who has it already keeps it.
        when billing.owes_earlier_invoice(u.id, s.subscription_id) and not exists (
          select from billing.overage_accounts a
          where a.user_id = u.id and a.enabled and a.subscription_id = s.subscription_id
        ) then 'unpaid_invoice'
      end as reason,
      s.subscription_id, s.plan_id,
      coalesce(
        (
          select i.currency from billing.metered_items i
          where i.subscription_id = s.subscription_id order by i.period_start desc, i.item_id limit 1
        ),
        s.currency, 'usd'
      ) as currency
  ) t;
$function$;

comment on function "billing"."overage_terms"(uuid) is 'Whether a user may go beyond the allowance for money, else why not (no_subscription, plan_without_overage, subscription_not_active, unpaid_invoice), and of which subscription.';

revoke all on function "billing"."overage_terms"(uuid) from public;

grant execute on function "billing"."overage_terms"(uuid) to "postgres";

-- billing/functions/owes_earlier_invoice

create or replace function billing.owes_earlier_invoice (
  p_user_id         uuid,
  p_subscription_id text
)
  returns boolean
  language sql
  stable
  set search_path to ''
  AS $function$
  select exists (
    select from public.invoices i
    join public.subscriptions s on s.id = i.subscription_id
    where i.user_id = p_user_id and i.subscription_id <> p_subscription_id
      and i.status in ('open', 'uncollectible') and i.amount_paid_minor < i.amount_due_minor
  );
$function$;

comment on function "billing"."owes_earlier_invoice"(uuid, text) is 'Whether an invoice of another subscription to a plan than this one was never paid. Licences are another matter.';

revoke all on function "billing"."owes_earlier_invoice"(uuid, text) from public;

grant execute on function "billing"."owes_earlier_invoice"(uuid, text) to "postgres";

-- billing/functions/park_notifications

create or replace function billing.park_notifications (
  p_ids bigint[]
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  update billing.notification_emails e set parked_at = now(), lease_until = null
  where e.notification_id = any (p_ids);
  perform billing.report_problem('notification_parked', e.notification_id::text, jsonb_build_object(
    'user_id', n.user_id, 'attempts', e.attempts, 'last_error', e.last_error
  ))
  from billing.notification_emails e join public.notifications n on n.id = e.notification_id
  where e.notification_id = any (p_ids);
end;
$function$;

comment on function "billing"."park_notifications"(bigint[]) is 'Puts e-mails aside that cannot be sent, and tells an operator.';

revoke all on function "billing"."park_notifications"(bigint[]) from public;

grant execute on function "billing"."park_notifications"(bigint[]) to "postgres";

-- billing/functions/park_unsendable

create or replace function billing.park_unsendable()
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- An hour less than Stripe's 35 days: on the way it grows older.
  perform billing.park_usage((
    select array_agg(o.id) from billing.usage_outbox o
    where o.status = 'pending' and o.kind = 'event' and o.event_time < now() - interval '35 days' + interval '1 hour'
      and coalesce(o.lease_until, '-infinity') <= clock_timestamp()
  ), 'too_old');
  perform billing.park_usage((
    select array_agg(o.id) from billing.usage_outbox o
    where o.status = 'pending' and o.uncertain_since < now() - interval '23 hours'
      and coalesce(o.lease_until, '-infinity') <= clock_timestamp()
  ), 'uncertain');
end;
$function$;

comment on function "billing"."park_unsendable"() is 'Parks what Stripe would not take any more (too_old), and what it might count twice (uncertain).';

revoke all on function "billing"."park_unsendable"() from public;

grant execute on function "billing"."park_unsendable"() to "postgres";

-- billing/functions/park_usage

create or replace function billing.park_usage (
  p_ids    bigint[],
  p_reason text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  update billing.usage_outbox o
  set status = 'parked', parked_reason = p_reason, lease_until = null
  where o.id = any (p_ids);
  perform billing.report_problem('usage_parked', o.identifier, jsonb_build_object(
    'id', o.id, 'reason', p_reason, 'quantity', o.quantity, 'metric', o.metric_id,
    'stripe_customer_id', o.stripe_customer_id, 'period_start', o.period_start, 'last_error', o.last_error
  ))
  from billing.usage_outbox o where o.id = any (p_ids);
end;
$function$;

comment on function "billing"."park_usage"(bigint[], text) is 'Puts rows of the outbox aside with a reason, and tells an operator.';

revoke all on function "billing"."park_usage"(bigint[], text) from public;

grant execute on function "billing"."park_usage"(bigint[], text) to "postgres";

-- billing/functions/paused_reason

create or replace function billing.paused_reason (
  p_status   text,
  p_snapshot jsonb
)
  returns text
  language sql
  immutable
  set search_path to ''
  AS $function$
  select case
    when p_status = 'active' then null
    when p_status = 'closed' then 'The account at Stripe is closed.'
    when jsonb_array_length(coalesce(p_snapshot -> 'requirements', '[]')) > 0 then
      'Stripe needs to know more before money can be sent to this account.'
    when p_snapshot ->> 'transfers_status' = 'pending' then 'Stripe is checking what was entered.'
    when p_status = 'onboarding' then 'Onboarding with Stripe is not finished.'
    else 'Stripe does not allow transfers to this account at the moment.'
  end;
$function$;

comment on function "billing"."paused_reason"(text, jsonb) is 'In plain words why a creator cannot sell; null when they can.';

revoke all on function "billing"."paused_reason"(text, jsonb) from public;

grant execute on function "billing"."paused_reason"(text, jsonb) to "postgres";

-- billing/functions/post_facts

create or replace function billing.post_facts (
  p_facts       jsonb,
  p_purchase_id uuid,
  p_seller_id   uuid,
  p_charge_id   text
)
  returns integer
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_fact jsonb;
  v_refusal text;
  v_id bigint;
  v_posted integer := 0;
begin
  perform billing.ensure_ledger_accounts(
    p_seller_id, (select array_agg(f.value ->> 'currency') from jsonb_array_elements(p_facts) f)
  );
  for v_fact in select f.value from jsonb_array_elements(p_facts) f order by f.value ->> 'source' loop
    v_refusal := billing.refuse_fact(v_fact, p_purchase_id, p_seller_id);
    if v_refusal is not null then
      perform billing.report_problem(v_refusal, v_fact ->> 'source', v_fact);
      continue;
    end if;
    insert into billing.ledger_transactions (
      source, kind, purchase_id, seller_id, charge_id, amount_minor, fee_minor, currency, occurred_at
    )
    select v_fact ->> 'source', v_fact ->> 'kind', p_purchase_id, p_seller_id,
      coalesce(v_fact ->> 'charge_id', case when v_fact ->> 'kind' = 'charge' then v_fact ->> 'source' end, p_charge_id),
      (v_fact ->> 'amount_minor')::bigint, coalesce((v_fact ->> 'fee_minor')::bigint, 0), v_fact ->> 'currency',
      (v_fact ->> 'occurred_at')::timestamptz
    on conflict (source) do nothing
    returning id into v_id;
    continue when not found;
    insert into billing.ledger_entries (transaction_id, account_id, amount_minor)
    select v_id, a.id, e.amount_minor
    from billing.postings(
      v_fact ->> 'kind', (v_fact ->> 'amount_minor')::bigint, coalesce((v_fact ->> 'fee_minor')::bigint, 0)
    ) e
    join billing.ledger_accounts a on a.kind = e.account_kind and a.currency = v_fact ->> 'currency'
      and a.seller_id is not distinct from case when e.account_kind like 'creator%' then p_seller_id end;
    v_posted := v_posted + 1;
  end loop;
  return v_posted;
end;
$function$;

comment on function "billing"."post_facts"(jsonb, uuid, uuid, text) is 'Posts facts [{source, kind, amount_minor, fee_minor?, currency, occurred_at, charge_id?, seller_account?}], each once, and returns how many were new. What cannot be posted is a problem for an operator.';

revoke all on function "billing"."post_facts"(jsonb, uuid, uuid, text) from public;

grant execute on function "billing"."post_facts"(jsonb, uuid, uuid, text) to "postgres";

-- billing/functions/postings

create or replace function billing.postings (
  p_kind   text,
  p_amount bigint,
  p_fee    bigint
)
  returns table (
    account_kind text,
    amount_minor bigint
  )
  language sql
  immutable
  set search_path to ''
  AS $function$
  select e.account_kind, e.amount
  from (values
    ('charge', 'buyers', -p_amount), ('charge', 'platform', p_amount - p_fee), ('charge', 'stripe_fees', p_fee),
    ('transfer', 'platform', -p_amount), ('transfer', 'creator', p_amount),
    ('application_fee', 'creator', -p_amount), ('application_fee', 'platform', p_amount),
    ('refund', 'platform', -p_amount), ('refund', 'refunds', p_amount),
    ('refund_failed', 'refunds', -p_amount), ('refund_failed', 'platform', p_amount),
    ('transfer_reversal', 'creator', -p_amount), ('transfer_reversal', 'platform', p_amount),
    ('fee_refund', 'platform', -p_amount), ('fee_refund', 'creator', p_amount),
    ('dispute', 'platform', p_amount - p_fee), ('dispute', 'disputes', -p_amount), ('dispute', 'stripe_fees', p_fee),
    ('payout', 'creator', -p_amount), ('payout', 'creator_bank', p_amount),
    ('payout_failed', 'creator_bank', -p_amount), ('payout_failed', 'creator', p_amount)
  ) e (kind, account_kind, amount)
  where e.kind = p_kind and e.amount <> 0;
$function$;

comment on function "billing"."postings"(text, bigint, bigint) is 'The entries of a kind of transaction: this table is the whole chart of how money moves.';

revoke all on function "billing"."postings"(text, bigint, bigint) from public;

grant execute on function "billing"."postings"(text, bigint, bigint) to "postgres";

-- billing/functions/present_period

create or replace function billing.present_period (
  INOUT p_start timestamp with time zone,
  INOUT p_end timestamp with time zone,
  p_at  timestamp with time zone
)
  returns record
  language plpgsql
  immutable
  set search_path to ''
  AS $function$
begin
  -- In UTC: what a month later is must not depend on the caller's time zone.
  while p_start < p_end and p_end <= p_at loop
    p_start := p_end;
    p_end := ((p_end at time zone 'UTC') + interval '1 month') at time zone 'UTC';
  end loop;
end;
$function$;

comment on function "billing"."present_period"(timestamp with time zone, timestamp with time zone, timestamp with time zone) is 'The billing period a moment belongs to when nothing newer than this one is known: on by a month at a time.';

revoke all on function "billing"."present_period"(timestamp with time zone, timestamp with time zone, timestamp with time zone) from public;

grant execute on function "billing"."present_period"(timestamp with time zone, timestamp with time zone, timestamp with time zone) to "postgres";

-- billing/functions/prune_audit_log

create or replace function billing.prune_audit_log()
  returns bigint
  language plpgsql
  set search_path to ''
  set lock_timeout to '3s'
  AS $function$
declare
  v_from constant timestamptz := (
    date_trunc('month', now() at time zone 'UTC')
    - (billing.setting('audit_retention_months') #>> '{}')::integer * interval '1 month'
  ) at time zone 'UTC';
  v_last billing.audit_chain;
  v_name text;
  v_dropped bigint := 0;
begin
  for v_name in
    select c.relname from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'billing.audit_log'::regclass and c.relname < billing.audit_partition(v_from)
    order by 1
  loop
    execute format('drop table billing_months.%I', v_name);
    v_dropped := v_dropped + 1;
  end loop;
  -- A link may be younger than links of later months: its transaction took long. What is before the first that is kept goes.
  select c.* into v_last from billing.audit_chain c
  where c.seq < coalesce(
    (select min(k.seq) from billing.audit_chain k where k.audit_at >= v_from), (select h.seq + 1 from billing.audit_head h)
  )
  order by c.seq desc limit 1;
  update billing.audit_anchor a
  set seq = coalesce(v_last.seq, a.seq), hash = coalesce(v_last.hash, a.hash), retained_from = greatest(a.retained_from, v_from);
  delete from billing.audit_chain c where c.seq <= v_last.seq;
  return v_dropped;
end;
$function$;

comment on function "billing"."prune_audit_log"() is 'Drops the months that are over by the setting audit_retention_months, and begins the chain behind them.';

revoke all on function "billing"."prune_audit_log"() from public;

grant execute on function "billing"."prune_audit_log"() to "postgres";

-- billing/functions/prune_job_history

create or replace function billing.prune_job_history()
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_pruned bigint;
begin
  delete from cron.job_run_details d where d.end_time < now() - interval '14 days';
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$function$;

comment on function "billing"."prune_job_history"() is 'Forgets runs of scheduled jobs after 14 days: pg_cron keeps them for ever, and every minute adds some.';

revoke all on function "billing"."prune_job_history"() from public;

grant execute on function "billing"."prune_job_history"() to "postgres";

-- billing/functions/prune_ledger_checks

create or replace function billing.prune_ledger_checks()
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_pruned bigint;
begin
  delete from billing.ledger_checks c where c.run_at < now() - interval '13 months';
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$function$;

comment on function "billing"."prune_ledger_checks"() is 'Forgets comparisons older than 13 months.';

revoke all on function "billing"."prune_ledger_checks"() from public;

grant execute on function "billing"."prune_ledger_checks"() to "postgres";

-- billing/functions/prune_metering

create or replace function billing.prune_metering()
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
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
$function$;

comment on function "billing"."prune_metering"() is 'Removes days, notifications, checks and what was reported of billing periods that ended more than 13 months ago, and request ids older than two days. Never the ledger, which is what was billed, nor a period of which something was not sent.';

revoke all on function "billing"."prune_metering"() from public;

grant execute on function "billing"."prune_metering"() to "postgres";

-- billing/functions/prune_rate_buckets

create or replace function billing.prune_rate_buckets()
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_count bigint;
begin
  -- Never waits for a call, and no call waits for more than the row it wants.
  delete from billing.rate_buckets b
  where b.key in (select o.key from billing.rate_buckets o where o.tat < now() for update skip locked);
  get diagnostics v_count = row_count;
  return v_count;
end;
$function$;

comment on function "billing"."prune_rate_buckets"() is 'Removes the buckets that say nothing any more, so that the table is never larger than the callers of one period.';

revoke all on function "billing"."prune_rate_buckets"() from public;

grant execute on function "billing"."prune_rate_buckets"() to "postgres";

-- billing/functions/prune_stripe_events

create or replace function billing.prune_stripe_events()
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_pruned bigint;
begin
  update billing.stripe_events e set payload = null
  where e.payload is not null and e.received_at < now() - interval '90 days';
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$function$;

comment on function "billing"."prune_stripe_events"() is 'Removes payloads older than 90 days: they hold personal data. The row stays, and still stops a repeat.';

revoke all on function "billing"."prune_stripe_events"() from public;

grant execute on function "billing"."prune_stripe_events"() to "postgres";

-- billing/functions/prune_usage_days

create or replace function billing.prune_usage_days()
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_pruned bigint;
begin
  delete from billing.usage_days d where d.day < ((now() at time zone 'UTC') - interval '13 months')::date;
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$function$;

comment on function "billing"."prune_usage_days"() is 'Removes days older than 13 months.';

revoke all on function "billing"."prune_usage_days"() from public;

grant execute on function "billing"."prune_usage_days"() to "postgres";

-- billing/functions/prune_usage_requests

create or replace function billing.prune_usage_requests()
  returns bigint
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_pruned bigint;
begin
  delete from billing.usage_requests r where r.created_at < now() - interval '2 days';
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$function$;

comment on function "billing"."prune_usage_requests"() is 'Forgets request ids older than two days.';

revoke all on function "billing"."prune_usage_requests"() from public;

grant execute on function "billing"."prune_usage_requests"() to "postgres";

-- billing/functions/purchase_due

create or replace function billing.purchase_due (
  p_purchase public.purchases
)
  returns timestamp with time zone
  language sql
  stable
  set search_path to ''
  AS $function$
  select least(
    -- Waiting for a payment: the longer it takes, the more rarely we ask. Stripe gives up long before 60 days.
    case when p_purchase.status in ('open', 'processing', 'expired') and p_purchase.checkout_session_id is not null
        and coalesce(p_purchase.session_status, 'open') <> 'expired' and p_purchase.created_at > now() - interval '60 days'
      then now() + greatest(interval '4 minutes', (now() - p_purchase.created_at) / 10) end,
    case when p_purchase.status = 'open' and p_purchase.checkout_session_id is null
      then p_purchase.created_at + interval '25 hours' end,
    -- A month that is over, or a payment that is late; or nothing may be charged any more, and Stripe still would.
    case when p_purchase.kind = 'monthly' and p_purchase.stripe_subscription_id is not null
        and p_purchase.subscription_status not in ('canceled', 'incomplete_expired')
      then case when p_purchase.status in ('refunded', 'lost') then now() + interval '4 minutes'
        when p_purchase.past_due_since is not null then now() + interval '1 hour'
        else greatest(p_purchase.current_period_end, now() + interval '1 hour') end end,
    -- It is over, and a month that nobody has to pay any more can still be paid.
    case when p_purchase.open_invoice_url is not null
        and p_purchase.subscription_status in ('canceled', 'incomplete_expired')
      then now() + interval '4 minutes' end,
    case when exists (
      select from billing.purchase_disputes d left join billing.dispute_statuses s on s.status = d.status
      where d.purchase_id = p_purchase.id
        and (coalesce(s.effect, 'open') = 'open' or d.status in ('warning_needs_response', 'warning_under_review'))
    ) then now() + interval '1 hour' end,
    case when exists (
      select from billing.purchase_refunds r
      where r.purchase_id = p_purchase.id and r.status in ('pending', 'requires_action')
    ) then now() + interval '1 hour' end
  );
$function$;

comment on function "billing"."purchase_due"(public.purchases) is 'When to look at a purchase again because an event may have been lost; null: nothing is expected.';

revoke all on function "billing"."purchase_due"(public.purchases) from public;

grant execute on function "billing"."purchase_due"(public.purchases) to "postgres";

-- billing/functions/purchase_misfit

create or replace function billing.purchase_misfit (
  p_purchase public.purchases,
  p_snapshot jsonb
)
  returns text
  language sql
  stable
  set search_path to ''
  AS $function$
  select case
    when p_snapshot ->> 'customer' <> p_purchase.stripe_customer_id then 'customer'
    when exists (
      select from public.purchases o
      where o.id <> p_purchase.id and (
        o.payment_intent_id = p_snapshot ->> 'payment_intent_id'
        or o.stripe_subscription_id = p_snapshot -> 'subscription' ->> 'id'
      )
    ) or exists (
      select from billing.purchase_charges c join jsonb_array_elements(p_snapshot -> 'charges') e
        on e.value ->> 'id' = c.id
      where c.purchase_id <> p_purchase.id
    ) then 'bound_elsewhere'
    when p_snapshot ->> 'currency' <> p_purchase.currency
      or (p_snapshot ->> 'amount_minor')::bigint <> p_purchase.amount_minor
      or (p_snapshot -> 'subscription' ->> 'amount_minor')::bigint <> p_purchase.amount_minor
      or exists (
        select from jsonb_array_elements(p_snapshot -> 'charges') e
        where e.value ->> 'status' = 'succeeded' and (
          case when p_purchase.kind = 'monthly' and p_snapshot -> 'subscription' ? 'amount_minor'
            then (e.value ->> 'amount_minor')::bigint > p_purchase.amount_minor
            else (e.value ->> 'amount_minor')::bigint <> p_purchase.amount_minor end
          or e.value ->> 'currency' <> p_purchase.currency
        )
      ) then 'amount'
  end;
$function$;

comment on function "billing"."purchase_misfit"(public.purchases, jsonb) is 'What of a snapshot does not fit the purchase: customer, bound_elsewhere or amount. Null: it fits.';

revoke all on function "billing"."purchase_misfit"(public.purchases, jsonb) from public;

grant execute on function "billing"."purchase_misfit"(public.purchases, jsonb) to "postgres";

-- billing/functions/purchase_reference

create or replace function billing.purchase_reference (
  p_purchase_id uuid
)
  returns text
  language sql
  immutable
  set search_path to ''
  AS $function$
  select upper(left(md5(p_purchase_id::text), 8));
$function$;

comment on function "billing"."purchase_reference"(uuid) is 'A short name for a purchase that buyer, creator and support may say to each other; it leads to nobody.';

revoke all on function "billing"."purchase_reference"(uuid) from public;

grant execute on function "billing"."purchase_reference"(uuid) to "postgres";

-- billing/functions/purchase_state

create or replace function billing.purchase_state (
  p_purchase public.purchases
)
  returns table (
    status         text,
    licence        text,
    reason         text,
    valid_until    timestamp with time zone,
    refunded_minor bigint,
    paid_at        timestamp with time zone,
    holds          boolean
  )
  language plpgsql
  stable
  set search_path to ''
  AS $function$
declare
  v_charge billing.purchase_charges;
  v_monthly record;
begin
  select * into v_charge from billing.purchase_charges c
  where c.purchase_id = p_purchase.id and c.status = 'succeeded' order by c.created_at desc, c.id desc limit 1;
  if found then
    select s.state, s.refunded_minor into status, refunded_minor from billing.charge_state(v_charge.id) s;
    paid_at := v_charge.created_at;
  elsif billing.is_paid_by_credit(p_purchase) then
    status := 'paid';
    refunded_minor := 0;
    paid_at := coalesce(p_purchase.paid_at, now());
  else
    status := billing.unpaid_status(p_purchase);
    refunded_minor := 0;
    holds := status in ('open', 'processing');
    return next;
    return;
  end if;
  holds := status in ('paid', 'partially_refunded', 'disputed');
  licence := case status when 'lost' then 'revoked' when 'refunded' then 'revoked' when 'disputed' then 'suspended'
    else 'active' end;
  reason := case status when 'lost' then 'dispute_lost' when 'refunded' then 'refunded'
    when 'disputed' then 'dispute_open' end;
  if p_purchase.kind = 'monthly' then
    select * into v_monthly from billing.monthly_right(p_purchase, paid_at);
    valid_until := v_monthly.valid_until;
    -- As long as Stripe goes on charging, a second one must not begin.
    holds := p_purchase.subscription_status not in ('canceled', 'incomplete_expired');
    if licence = 'active' then
      status := v_monthly.status;
      if coalesce(valid_until <= now(), false) then
        licence := 'revoked';
        reason := v_monthly.reason;
      end if;
    end if;
  end if;
  return next;
end;
$function$;

comment on function "billing"."purchase_state"(public.purchases) is 'THE RULE: status and licence of a purchase from its charges, refunds, disputes and subscription. licence is null while nothing was paid.';

revoke all on function "billing"."purchase_state"(public.purchases) from public;

grant execute on function "billing"."purchase_state"(public.purchases) to "postgres";

-- billing/functions/purchase_terms

create or replace function billing.purchase_terms (
  p_purchase public.purchases
)
  returns jsonb
  language sql
  stable
  set search_path to ''
  AS $function$
  select jsonb_build_object(
    'purchase_id', p_purchase.id,
    'status', p_purchase.status,
    'attempt', p_purchase.attempt,
    'listing_id', p_purchase.listing_id,
    'credit_pack', p_purchase.credit_pack,
    'seller_id', p_purchase.seller_id,
    'buyer_id', p_purchase.buyer_id,
    'customer', p_purchase.stripe_customer_id,
    'title', p_purchase.title,
    'kind', p_purchase.kind,
    'amount_minor', p_purchase.amount_minor,
    'currency', p_purchase.currency,
    'fee_minor', p_purchase.fee_minor,
    'fee_bps', p_purchase.fee_bps,
    'destination', (select s.stripe_account_id from public.sellers s where s.id = p_purchase.seller_id),
    'session_id', p_purchase.checkout_session_id,
    'payment_intent_id', p_purchase.payment_intent_id,
    'charge_id', p_purchase.charge_id,
    'subscription_id', p_purchase.stripe_subscription_id,
    'created_at', p_purchase.created_at
  );
$function$;

comment on function "billing"."purchase_terms"(public.purchases) is 'A purchase as the functions need it.';

revoke all on function "billing"."purchase_terms"(public.purchases) from public;

grant execute on function "billing"."purchase_terms"(public.purchases) to "postgres";

-- billing/functions/raise_http

create or replace function billing.raise_http (
  p_status  integer,
  p_code    text,
  p_message text,
  p_details text    default null::text,
  p_hint    text    default null::text,
  p_headers jsonb   default '{}'::jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  raise sqlstate 'PGRST' using
    message = jsonb_build_object(
      'code', p_code, 'message', p_message, 'details', p_details, 'hint', p_hint
    )::text,
    detail = jsonb_build_object('status', p_status, 'headers', p_headers)::text;
end;
$function$;

comment on function "billing"."raise_http"(integer, text, text, text, text, jsonb) is 'Refuses with an HTTP status, a code, and headers, in the form PostgREST turns into the response (docs.postgrest.org, "Raise errors with HTTP status codes"). Never returns.';

revoke all on function "billing"."raise_http"(integer, text, text, text, text, jsonb) from public;

grant execute on function "billing"."raise_http"(integer, text, text, text, text, jsonb) to "postgres";

-- billing/functions/rate_bucket

create or replace function billing.rate_bucket (
  p_name  text,
  p_limit billing.rate_limits,
  p_who   text
)
  returns bytea
  language sql
  stable
  set search_path to ''
  AS $function$
  -- Two rounds, as in HMAC. Nothing but the last has a space, so what is hashed can be read in one way only. With the limit in
  -- it, a limit that is changed begins with new buckets: an old one could hold somebody for what used to be the period.
  select substr(sha256(k.key || sha256(k.key || convert_to(
    concat_ws(' ', p_name, p_limit.scope, p_limit.burst, p_limit.period_seconds, p_who), 'UTF8'
  ))), 1, 16)
  from billing.rate_key k;
$function$;

comment on function "billing"."rate_bucket"(text, billing.rate_limits, text) is 'The key of a bucket.';

revoke all on function "billing"."rate_bucket"(text, billing.rate_limits, text) from public;

grant execute on function "billing"."rate_bucket"(text, billing.rate_limits, text) to "postgres";

-- billing/functions/recent_runs

create or replace function billing.recent_runs()
  returns table (
    started_at timestamp with time zone,
    job        text,
    status     text,
    seconds    numeric
  )
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select d.start_time, j.jobname::text, d.status, extract(epoch from d.end_time - d.start_time)
  from (select l.* from cron.job_run_details l order by l.runid desc limit 40000) d
  join cron.job j on j.jobid = d.jobid;
$function$;

comment on function "billing"."recent_runs"() is 'The newest runs of the scheduled jobs: more than three days of them.';

revoke all on function "billing"."recent_runs"() from public;

grant execute on function "billing"."recent_runs"() to "postgres";

-- billing/functions/refresh_counters

create or replace function billing.refresh_counters (
  p_user_id uuid
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  perform from billing.catalogue_state for share;
  perform billing.roll_counters(array[p_user_id]);
  -- An insert, because it waits for a counter that somebody is making with the old allowance.
  insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until, fast_until)
  select p_user_id, m.id, billing.first_period_day(m.period), 0, a.allowance, billing.allowance_until(p_user_id),
    billing.fast_until(a.allowance)
  from public.metrics m
  cross join lateral (select billing.allowance(p_user_id, m.id) as allowance) a
  order by m.id
  on conflict (user_id, metric_id) do update
  set allowance = excluded.allowance, valid_until = excluded.valid_until, fast_until = excluded.fast_until
  where (billing.usage_counters.allowance, billing.usage_counters.valid_until)
    is distinct from (excluded.allowance, excluded.valid_until);
end;
$function$;

comment on function "billing"."refresh_counters"(uuid) is 'Caches anew what a user may use. The caller holds billing.lock_person().';

revoke all on function "billing"."refresh_counters"(uuid) from public;

grant execute on function "billing"."refresh_counters"(uuid) to "postgres";

-- billing/functions/refresh_entitlement

create or replace function billing.refresh_entitlement (
  p_user_id uuid,
  p_cause   text,
  p_ref     jsonb default '{}'::jsonb
)
  returns text
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_best record;
begin
  perform billing.lock_person(p_user_id);
  select * into v_best from billing.best_plan(p_user_id);
  if v_best.plan_id is null then
    delete from public.entitlements e where e.user_id = p_user_id and e.source <> 'default';
  else
    insert into public.entitlements as e (user_id, plan_id, source, subscription_id, grant_id, valid_until)
    values (p_user_id, v_best.plan_id, v_best.source, v_best.subscription_id, v_best.grant_id, v_best.valid_until)
    on conflict (user_id) do update set
      plan_id = excluded.plan_id,
      source = excluded.source,
      subscription_id = excluded.subscription_id,
      grant_id = excluded.grant_id,
      valid_until = excluded.valid_until,
      updated_at = now()
    where (e.plan_id, e.source, e.subscription_id, e.grant_id, e.valid_until) is distinct from
      (excluded.plan_id, excluded.source, excluded.subscription_id, excluded.grant_id, excluded.valid_until);
  end if;
  if found then
    insert into billing.access_log (user_id, plan_id, source, subscription_id, grant_id, valid_until, cause, ref)
    values (
      p_user_id, billing.current_plan(p_user_id), coalesce(v_best.source, 'default'), v_best.subscription_id,
      v_best.grant_id, v_best.valid_until, p_cause, p_ref
    );
  end if;
  return billing.current_plan(p_user_id);
end;
$function$;

comment on function "billing"."refresh_entitlement"(uuid, text, jsonb) is 'Derives the entitlement from subscriptions and grants, and notes a change with its cause: snapshot, reconcile, rebuild, expired, granted, revoked or settings.';

revoke all on function "billing"."refresh_entitlement"(uuid, text, jsonb) from public;

grant execute on function "billing"."refresh_entitlement"(uuid, text, jsonb) to "postgres";

-- billing/functions/refresh_licence

create or replace function billing.refresh_licence (
  p_purchase_id uuid
)
  returns jsonb
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_purchase public.purchases;
  v_state record;
  v_stale text;
begin
  select * into strict v_purchase from public.purchases p where p.id = p_purchase_id for no key update;
  select * into v_state from billing.purchase_state(v_purchase);
  if v_purchase.problem is not null then
    v_state.licence := case when v_state.licence is not null then 'revoked' end;
    v_state.reason := coalesce(v_state.reason, 'payment_failed');
  end if;
  if v_purchase.credit_pack is not null then
    -- Nothing to hold and nothing to own: it may be bought again as soon as it is paid.
    v_state.holds := v_purchase.holds and v_state.status = 'open';
    v_state.licence := null;
    perform billing.note_credit_state(v_purchase, v_state.status, v_state.refunded_minor);
  elsif v_state.holds and not v_purchase.holds then
    select h.holds, h.stale_session_id into v_state.holds, v_stale from billing.take_hold(v_purchase) h;
  end if;
  update public.purchases p set
    status = v_state.status, holds = v_state.holds, refunded_minor = v_state.refunded_minor,
    paid_at = coalesce(p.paid_at, v_state.paid_at)
  where p.id = p_purchase_id;
  update public.purchases p set due_at = billing.purchase_due(p) where p.id = p_purchase_id;
  if v_purchase.paid_at is null and v_state.paid_at is not null then
    update public.listings l set sales_count = l.sales_count + 1 where l.id = v_purchase.listing_id;
  end if;
  perform billing.write_licence(v_purchase, v_state.licence, v_state.reason, v_state.valid_until);
  return jsonb_build_object(
    'status', v_state.status, 'licence', v_state.licence, 'stale_session_id', v_stale
  );
end;
$function$;

comment on function "billing"."refresh_licence"(uuid) is 'Derives status and licence of a purchase: {status, licence, stale_session_id}; of a credit pack there is no licence. The caller holds billing.lock_person().';

revoke all on function "billing"."refresh_licence"(uuid) from public;

grant execute on function "billing"."refresh_licence"(uuid) to "postgres";

-- billing/functions/refresh_overage

create or replace function billing.refresh_overage (
  p_user_id uuid
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_account billing.overage_accounts;
  v_item record;
begin
  -- Without rolling it: the snapshot knows the period better.
  select * into v_account from billing.overage_accounts a where a.user_id = p_user_id for no key update;
  if not found then
    return;
  end if;
  if v_account.enabled and not exists (
    select from public.subscriptions s
    where s.id = v_account.subscription_id and s.status not in ('canceled', 'incomplete_expired')
  ) then
    update billing.overage_accounts a set enabled = false, updated_at = now() where a.user_id = p_user_id;
  end if;
  select i.period_start, i.period_end, i.currency into v_item
  from billing.metered_subscription(p_user_id) s
  join billing.metered_items i on i.subscription_id = s.subscription_id
  order by i.period_start desc, i.item_id limit 1;
  if not found then
    return;
  end if;
  -- A cap in another currency is not what its owner said.
  update billing.overage_accounts a set
    enabled = a.enabled and a.currency = v_item.currency,
    currency = v_item.currency,
    period_start = v_item.period_start,
    period_end = v_item.period_end,
    spent_minor = billing.overage_spent(p_user_id, v_item.period_start),
    updated_at = now()
  where a.user_id = p_user_id
    and (a.currency, a.period_start, a.period_end) is distinct from
      (v_item.currency, v_item.period_start, v_item.period_end);
  -- What was admitted into a period that has turned out to be another: it ends where Stripe says the next begins.
  update billing.overage_usage u
  set period_end = case when u.period_start = v_item.period_start then v_item.period_end else v_item.period_start end
  where u.user_id = p_user_id
    and (
      (u.period_start = v_item.period_start and u.period_end <> v_item.period_end)
      or (u.period_start < v_item.period_start and u.period_end > v_item.period_start)
    );
end;
$function$;

comment on function "billing"."refresh_overage"(uuid) is 'Brings the overage account and the ledger into the period of the metered items, and ends the consent with its subscription. After the counters, as the order of locks says.';

revoke all on function "billing"."refresh_overage"(uuid) from public;

grant execute on function "billing"."refresh_overage"(uuid) to "postgres";

-- billing/functions/refund_purchase

create or replace function billing.refund_purchase (
  p_purchase_id  uuid,
  p_amount_minor bigint default null::bigint,
  p_reason       text   default null::text
)
  returns uuid
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_charge text;
  v_left bigint;
  v_id uuid;
begin
  -- Two operators at once: the second sees the request of the first.
  perform from public.purchases p where p.id = p_purchase_id for no key update;
  select c.id into v_charge from billing.purchase_charges c
  where c.purchase_id = p_purchase_id and c.status = 'succeeded' order by c.created_at desc, c.id desc limit 1;
  if not found then
    raise exception 'purchase % was never paid', p_purchase_id using errcode = 'no_data_found';
  end if;
  if (select s.state from billing.charge_state(v_charge) s) in ('disputed', 'lost') then
    raise exception 'purchase % is disputed', p_purchase_id using errcode = 'object_not_in_prerequisite_state',
      hint = 'The bank decides about the money; Stripe refuses to refund it.';
  end if;
  v_left := billing.refundable(v_charge);
  if coalesce(p_amount_minor, v_left) not between 1 and v_left then
    raise exception 'of purchase % there is % left to refund', p_purchase_id, v_left
      using errcode = 'check_violation';
  end if;
  insert into billing.refund_requests (purchase_id, charge_id, amount_minor, reason)
  values (p_purchase_id, v_charge, coalesce(p_amount_minor, v_left), coalesce(nullif(p_reason, ''), 'requested_by_customer'))
  returning id into v_id;
  return v_id;
end;
$function$;

comment on function "billing"."refund_purchase"(uuid, bigint, text) is 'For operators: gives back an amount in minor units, or the rest, of the last payment of a purchase. A function does it within minutes; all of it revokes the licence. Refuses more than is left, and what is disputed.';

revoke all on function "billing"."refund_purchase"(uuid, bigint, text) from public;

grant execute on function "billing"."refund_purchase"(uuid, bigint, text) to "postgres";

-- billing/functions/refundable

create or replace function billing.refundable (
  p_charge_id text
)
  returns bigint
  language sql
  stable
  set search_path to ''
  AS $function$
  select c.amount_minor
    - (select s.refunded_minor from billing.charge_state(c.id) s)
    - coalesce((
      select sum(r.amount_minor) from billing.refund_requests r
      where r.charge_id = c.id and (
        r.status = 'pending' or (r.status = 'sent' and not exists (
          select from billing.purchase_refunds f where f.id = r.stripe_refund_id
        ))
      )
    ), 0)::bigint
  from billing.purchase_charges c where c.id = p_charge_id;
$function$;

comment on function "billing"."refundable"(text) is 'What is left of a payment, less what is asked back already.';

revoke all on function "billing"."refundable"(text) from public;

grant execute on function "billing"."refundable"(text) to "postgres";

-- billing/functions/refuse_audit_change

create or replace function billing.refuse_audit_change()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- Retention moves the anchor first, and then forgets what is before it.
  if tg_op = 'DELETE' and tg_table_name = 'audit_chain' then
    if old.seq <= (select a.seq from billing.audit_anchor a) then
      return old;
    end if;
  end if;
  raise exception 'the audit log is only ever added to' using errcode = 'integrity_constraint_violation';
end;
$function$;

comment on function "billing"."refuse_audit_change"() is 'Nobody changes or removes what is in the audit log, the owner included.';

revoke all on function "billing"."refuse_audit_change"() from public;

grant execute on function "billing"."refuse_audit_change"() to "postgres";

-- billing/functions/refuse_change

create or replace function billing.refuse_change()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  raise exception 'what a row of %.% was counted as cannot change', tg_table_schema, tg_table_name
    using errcode = 'integrity_constraint_violation',
      hint = 'Delete the row and insert another one.';
end;
$function$;

comment on function "billing"."refuse_change"() is 'An answer cannot become a question, and no row another user''s: both would pass by the counters.';

revoke all on function "billing"."refuse_change"() from public;

grant execute on function "billing"."refuse_change"() to "postgres";

-- billing/functions/refuse_fact

create or replace function billing.refuse_fact (
  p_fact        jsonb,
  p_purchase_id uuid,
  p_seller_id   uuid
)
  returns text
  language plpgsql
  stable
  set search_path to ''
  AS $function$
declare
  v_kind constant text := p_fact ->> 'kind';
  v_amount constant bigint := (p_fact ->> 'amount_minor')::bigint;
  v_fee constant bigint := coalesce((p_fact ->> 'fee_minor')::bigint, 0);
  v_account constant text := p_fact ->> 'seller_account';
  v_currency constant text := (select p.currency from public.purchases p where p.id = p_purchase_id);
  v_posted billing.ledger_transactions;
begin
  if (select count(*) from billing.postings(v_kind, v_amount, v_fee)) < 2 or p_fact ->> 'occurred_at' is null
    or (v_kind not in ('dispute', 'payout', 'payout_failed') and (v_amount < 0 or v_fee < 0)) then
    return 'ledger_not_understood';
  end if;
  if v_currency <> p_fact ->> 'currency' or v_currency <> p_fact ->> 'settlement_currency' then
    return 'ledger_currency';
  end if;
  if v_account is not null and not exists (
    select from public.sellers s where s.id = p_seller_id and s.stripe_account_id = v_account
  ) or (p_seller_id is null and exists (
    select from billing.postings(v_kind, v_amount, v_fee) e where e.account_kind like 'creator%'
  )) then
    return 'ledger_mismatch';
  end if;
  select * into v_posted from billing.ledger_transactions t where t.source = p_fact ->> 'source';
  if found and (v_posted.kind, v_posted.amount_minor, v_posted.fee_minor, v_posted.currency, v_posted.purchase_id,
    v_posted.seller_id) is distinct from (v_kind, v_amount, v_fee, p_fact ->> 'currency', p_purchase_id, p_seller_id) then
    return 'ledger_mismatch';
  end if;
  return null;
end;
$function$;

comment on function "billing"."refuse_fact"(jsonb, uuid, uuid) is 'Why a fact cannot be posted: ledger_not_understood, ledger_currency (it was settled in another currency than the sale''s), or ledger_mismatch with what is posted under its source or with the creator. Null: it can, or it is posted already.';

revoke all on function "billing"."refuse_fact"(jsonb, uuid, uuid) from public;

grant execute on function "billing"."refuse_fact"(jsonb, uuid, uuid) to "postgres";

-- billing/functions/refuse_leaving

create or replace function billing.refuse_leaving()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  if billing.is_leaving((to_jsonb(new) ->> tg_argv[0])::uuid) then
    perform billing.raise_http(409, 'account_deleted', 'This account is being deleted.');
  end if;
  return new;
end;
$function$;

comment on function "billing"."refuse_leaving"() is 'Nothing that may cost money begins for whoever asked to be deleted, also with a token that is still good. Argument: the column with the user.';

revoke all on function "billing"."refuse_leaving"() from public;

grant execute on function "billing"."refuse_leaving"() to "postgres";

-- billing/functions/refuse_ledger_change

create or replace function billing.refuse_ledger_change()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  raise exception 'the ledger is only ever added to' using errcode = 'integrity_constraint_violation',
    hint = 'Correct what was reported with billing.correct_usage().';
end;
$function$;

comment on function "billing"."refuse_ledger_change"() is 'What was admitted and what was claimed never becomes less.';

revoke all on function "billing"."refuse_ledger_change"() from public;

grant execute on function "billing"."refuse_ledger_change"() to "postgres";

-- billing/functions/refuse_options_of_tiers

create or replace function billing.refuse_options_of_tiers()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  if exists (
    select from public.prices p
    join public.price_currency_options o on o.lookup_key = p.lookup_key
    where p.lookup_key = new.lookup_key and p.tiers is not null
  ) then
    raise exception 'price % has tiers, which are sold in its own currency only', new.lookup_key
      using errcode = 'check_violation';
  end if;
  return null;
end;
$function$;

comment on function "billing"."refuse_options_of_tiers"() is 'An amount in another currency would say nothing about tiers.';

revoke all on function "billing"."refuse_options_of_tiers"() from public;

grant execute on function "billing"."refuse_options_of_tiers"() to "postgres";

-- billing/functions/refuse_posting_change

create or replace function billing.refuse_posting_change()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  raise exception 'the ledger of the marketplace is only ever added to' using
    errcode = 'integrity_constraint_violation', hint = 'What was wrong is put right by another transaction.';
end;
$function$;

comment on function "billing"."refuse_posting_change"() is 'Nobody changes or removes what was posted.';

revoke all on function "billing"."refuse_posting_change"() from public;

grant execute on function "billing"."refuse_posting_change"() to "postgres";

-- billing/functions/refuse_purchase

create or replace function billing.refuse_purchase (
  p_user_id uuid,
  p_listing public.listings,
  p_seller  public.sellers
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_held text;
begin
  if p_listing.id is null or p_listing.status = 'draft' then
    perform billing.raise_http(404, 'listing_not_found', 'There is no such listing.');
  end if;
  select p.status into v_held from public.purchases p
  where p.buyer_id = p_user_id and p.listing_id = p_listing.id and p.holds and p.status <> 'open';
  if exists (
    select from public.licences l
    where l.user_id = p_user_id and l.listing_id = p_listing.id and l.status <> 'revoked'
      and (l.valid_until is null or l.valid_until > now())
  ) or v_held not in ('processing', 'past_due') then
    perform billing.raise_http(409, 'already_owned', 'You have bought this already.');
  end if;
  if v_held = 'past_due' then
    perform billing.raise_http(
      409, 'licence_unpaid', 'Its renewal could not be paid. Pay it or cancel it in your library.'
    );
  end if;
  if v_held = 'processing' then
    perform billing.raise_http(409, 'purchase_processing', 'Your payment for this is still being processed.');
  end if;
  if p_seller.user_id = p_user_id then
    perform billing.raise_http(409, 'own_listing', 'This is your own listing.');
  end if;
  if p_listing.status <> 'published' then
    perform billing.raise_http(409, 'listing_not_available', 'This is not for sale any more.');
  end if;
  if p_listing.seller_id is not null and (p_seller.status <> 'active' or p_seller.stripe_account_id is null) then
    perform billing.raise_http(
      409, 'seller_paused', 'The creator cannot sell at the moment.',
      jsonb_build_object('reason', coalesce(p_seller.paused_reason, 'Onboarding with Stripe is not finished.'))::text
    );
  end if;
end;
$function$;

comment on function "billing"."refuse_purchase"(uuid, public.listings, public.sellers) is 'Refuses what cannot be bought: 404 listing_not_found (a draft too: nobody learns of it), 409 already_owned, licence_unpaid (its renewal failed, and it is not cancelled), purchase_processing, own_listing, listing_not_available, seller_paused.';

revoke all on function "billing"."refuse_purchase"(uuid, public.listings, public.sellers) from public;

grant execute on function "billing"."refuse_purchase"(uuid, public.listings, public.sellers) to "postgres";

-- billing/functions/refuse_quota

create or replace function billing.refuse_quota (
  p_counter billing.usage_counters,
  p_used    bigint
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_daily constant boolean := p_counter.period_day <> 'infinity';
  v_plan constant text := billing.current_plan(p_counter.user_id);
  v_name text;
  v_resets_at timestamptz;
  v_headers jsonb := '{}'::jsonb;
begin
  select lower(m.name) into v_name from public.metrics m where m.id = p_counter.metric_id;
  if v_daily then
    v_resets_at := (p_counter.period_day + 1)::timestamp at time zone 'UTC';
    v_headers := jsonb_build_object('Retry-After', greatest(
      1, ceil(extract(epoch from v_resets_at - clock_timestamp()))
    )::bigint::text);
  end if;
  -- A refusal rolls its transaction back, so no row can remember it. The server's log can.
  raise log 'tollgate refused % to % on % at % of %',
    p_counter.metric_id, p_counter.user_id, v_plan, p_used, p_counter.allowance;
  perform billing.raise_http(
    case when v_daily then 429 else 403 end,
    p_counter.metric_id || case when v_daily then '_quota_exceeded' else '_limit_reached' end,
    format('Limit reached: %s of %s %s.', p_used, p_counter.allowance, v_name),
    jsonb_build_object(
      'metric', p_counter.metric_id,
      'limit', p_counter.allowance,
      'used', p_used,
      'resets_at', to_char(v_resets_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      'plan', v_plan
    )::text,
    case when v_daily then 'Upgrade the plan, or wait for the reset.'
      else 'Upgrade the plan, or delete one.' end,
    v_headers
  );
end;
$function$;

comment on function "billing"."refuse_quota"(billing.usage_counters, bigint) is 'Raises <metric>_quota_exceeded (429, Retry-After in seconds) for a metric that resets, <metric>_limit_reached (403) for one that does not.';

revoke all on function "billing"."refuse_quota"(billing.usage_counters, bigint) from public;

grant execute on function "billing"."refuse_quota"(billing.usage_counters, bigint) to "postgres";

-- billing/functions/refuse_spending

create or replace function billing.refuse_spending (
  p_account   billing.overage_accounts,
  p_metric_id text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  raise log 'tollgate refused % to % at a spending cap of %', p_metric_id, p_account.user_id, p_account.cap_minor;
  perform billing.raise_http(
    402, 'spending_cap_reached',
    format('Spending cap reached: %s of %s.', billing.format_money(p_account.spent_minor, p_account.currency),
      billing.format_money(p_account.cap_minor, p_account.currency)),
    jsonb_build_object(
      'metric', p_metric_id,
      'cap_minor', p_account.cap_minor,
      'spent_minor', ceil(p_account.spent_minor)::bigint,
      'currency', p_account.currency,
      'period_end', to_char(p_account.period_end at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    )::text,
    'Raise the cap, upgrade the plan, or wait for the reset.'
  );
end;
$function$;

comment on function "billing"."refuse_spending"(billing.overage_accounts, text) is 'Raises spending_cap_reached (402).';

revoke all on function "billing"."refuse_spending"(billing.overage_accounts, text) from public;

grant execute on function "billing"."refuse_spending"(billing.overage_accounts, text) to "postgres";

-- billing/functions/refuse_while_held

create or replace function billing.refuse_while_held()
  returns void
  language plpgsql
  stable
  set search_path to ''
  AS $function$
begin
  if billing.usage_held_at() is not null then
    perform billing.raise_http(409, 'usage_held', 'Usage is not reported at the moment. Try again in some minutes.');
  end if;
end;
$function$;

comment on function "billing"."refuse_while_held"() is 'An error, not an empty answer: whoever must know that all is reported may not believe it.';

revoke all on function "billing"."refuse_while_held"() from public;

grant execute on function "billing"."refuse_while_held"() to "postgres";

-- billing/functions/remove_gate

create or replace function billing.remove_gate (
  p_gate billing.quota_gates
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_name text;
begin
  if exists (select from pg_catalog.pg_class c where c.oid = p_gate.table_id) then
    foreach v_name in array array[
      'tollgate_after_insert_consume', 'tollgate_after_insert_consume_many', 'tollgate_after_update_refuse'
    ] loop
      if exists (select from pg_catalog.pg_trigger t where t.tgrelid = p_gate.table_id and t.tgname = v_name) then
        execute format('drop trigger %I on %s', v_name, p_gate.table_id);
      end if;
    end loop;
  end if;
  if to_regprocedure(format('billing.%I()', p_gate.function_name)) is not null then
    execute format('drop function billing.%I()', p_gate.function_name);
  end if;
  if to_regprocedure(format('billing.%I()', p_gate.function_name || '_many')) is not null then
    execute format('drop function billing.%I()', p_gate.function_name || '_many');
  end if;
  delete from billing.quota_gates g where g.table_id = p_gate.table_id;
end;
$function$;

comment on function "billing"."remove_gate"(billing.quota_gates) is 'Takes away what there is of a gate, also of one that is broken or whose table is gone.';

revoke all on function "billing"."remove_gate"(billing.quota_gates) from public;

grant execute on function "billing"."remove_gate"(billing.quota_gates) to "postgres";

-- billing/functions/replay_event

create or replace function billing.replay_event (
  p_id text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
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
$function$;

comment on function "billing"."replay_event"(text) is 'For operators: events-drain takes the event again within a minute, whatever became of it. It is a hint, so this is harmless.';

revoke all on function "billing"."replay_event"(text) from public;

grant execute on function "billing"."replay_event"(text) to "postgres";

-- billing/functions/report_problem

create or replace function billing.report_problem (
  p_kind    text,
  p_subject text,
  p_details jsonb default '{}'::jsonb
)
  returns void
  language sql
  set search_path to ''
  AS $function$
  insert into billing.problems (kind, subject, details)
  values (p_kind, p_subject, p_details)
  on conflict (kind, subject) do update
    set details = excluded.details,
      occurrences = billing.problems.occurrences + 1,
      last_seen_at = now(),
      resolved_at = null;
$function$;

comment on function "billing"."report_problem"(text, text, jsonb) is 'Notes a problem, or that it happened again.';

revoke all on function "billing"."report_problem"(text, text, jsonb) from public;

grant execute on function "billing"."report_problem"(text, text, jsonb) to "postgres";

-- billing/functions/require

create or replace function billing.require (
  p_condition boolean,
  p_message   text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- "is not true", because null is not a yes.
  if p_condition is not true then
    perform billing.raise_http(400, 'invalid_request', p_message);
  end if;
end;
$function$;

comment on function "billing"."require"(boolean, text) is 'Answers 400 invalid_request unless the condition is true. Null counts as false.';

revoke all on function "billing"."require"(boolean, text) from public;

grant execute on function "billing"."require"(boolean, text) to "postgres";

-- billing/functions/retry_dispute

create or replace function billing.retry_dispute (
  p_dispute_id text
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- The count of attempts stays: it is part of the key, and Stripe keeps a refusal under its key for a day.
  update billing.purchase_disputes d set
    transfer_state = case when d.reversed_minor is null then 'none' else 'reversed' end, next_attempt_at = now()
  where d.id = p_dispute_id and d.transfer_state = 'failed';
  if not found then
    raise exception 'there is no dispute % that failed', p_dispute_id using errcode = 'no_data_found';
  end if;
end;
$function$;

comment on function "billing"."retry_dispute"(text) is 'For operators: what failed about the creator''s share of a dispute is tried once more.';

revoke all on function "billing"."retry_dispute"(text) from public;

grant execute on function "billing"."retry_dispute"(text) to "postgres";

-- billing/functions/retry_notification

create or replace function billing.retry_notification (
  p_id bigint
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  update billing.notification_emails e
  set parked_at = null, queued_at = now(), next_attempt_at = now(), attempts = 0
  where e.notification_id = p_id and e.parked_at is not null;
  if not found then
    raise exception 'notice % is not parked', p_id using errcode = 'no_data_found';
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'notification_parked' and p.subject = p_id::text and p.resolved_at is null;
end;
$function$;

comment on function "billing"."retry_notification"(bigint) is 'For operators: sends a parked e-mail again.';

revoke all on function "billing"."retry_notification"(bigint) from public;

grant execute on function "billing"."retry_notification"(bigint) to "postgres";

-- billing/functions/retry_usage

create or replace function billing.retry_usage (
  p_outbox_id bigint
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_identifier text;
begin
  update billing.usage_outbox o
  set status = 'pending', next_attempt_at = now(), sent_at = null, uncertain_since = null, parked_reason = null
  where o.id = p_outbox_id and o.status = 'parked'
  returning o.identifier into v_identifier;
  if v_identifier is null then
    raise exception 'row % is not parked', p_outbox_id using errcode = 'no_data_found';
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'usage_parked' and p.subject = v_identifier and p.resolved_at is null;
end;
$function$;

comment on function "billing"."retry_usage"(bigint) is 'For operators: sends a parked row again. Look at Stripe''s event summaries first: an identifier that is older than a day is counted again.';

revoke all on function "billing"."retry_usage"(bigint) from public;

grant execute on function "billing"."retry_usage"(bigint) to "postgres";

-- billing/functions/revoke_grant

create or replace function billing.revoke_grant (
  p_id bigint
)
  returns text
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_user_id uuid;
begin
  update billing.grants g set revoked_at = coalesce(g.revoked_at, now())
  where g.id = p_id returning g.user_id into v_user_id;
  if not found then
    raise exception 'there is no grant %', p_id using errcode = 'no_data_found';
  end if;
  return billing.refresh_entitlement(v_user_id, 'revoked', jsonb_build_object('grant', p_id));
end;
$function$;

comment on function "billing"."revoke_grant"(bigint) is 'For operators: ends a grant now and returns the plan the user is on then. Revoking again changes nothing.';

revoke all on function "billing"."revoke_grant"(bigint) from public;

grant execute on function "billing"."revoke_grant"(bigint) to "postgres";

-- billing/functions/roll_counter

create or replace function billing.roll_counter (
  p_counter billing.usage_counters
)
  returns void
  language sql
  set search_path to ''
  AS $function$
  insert into billing.usage_days as d (user_id, metric_id, day, used, allowance, overage, overage_minor)
  select p_counter.user_id, p_counter.metric_id, p_counter.period_day, p_counter.used, p_counter.allowance,
    p_counter.overage, p_counter.overage_minor
  where p_counter.used > 0
  on conflict (user_id, metric_id, day) do update set
    used = d.used + excluded.used,
    allowance = excluded.allowance,
    overage = d.overage + excluded.overage,
    overage_minor = d.overage_minor + excluded.overage_minor;
$function$;

comment on function "billing"."roll_counter"(billing.usage_counters) is 'Keeps the day a counter is about to leave.';

revoke all on function "billing"."roll_counter"(billing.usage_counters) from public;

grant execute on function "billing"."roll_counter"(billing.usage_counters) to "postgres";

-- billing/functions/roll_counters

create or replace function billing.roll_counters (
  p_user_ids uuid[]
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_today constant date := (now() at time zone 'UTC')::date;
begin
  perform from billing.usage_counters c
  where c.user_id = any (p_user_ids) and c.period_day < v_today
  order by c.user_id, c.metric_id for no key update;
  if not found then
    return;
  end if;
  -- auth.users: they may be on the way out (on delete cascade).
  insert into billing.usage_days as d (user_id, metric_id, day, used, allowance, overage, overage_minor)
  select c.user_id, c.metric_id, c.period_day, c.used, c.allowance, c.overage, c.overage_minor
  from billing.usage_counters c join auth.users u on u.id = c.user_id
  where c.user_id = any (p_user_ids) and c.period_day < v_today and c.used > 0
  on conflict (user_id, metric_id, day) do update set
    used = d.used + excluded.used,
    allowance = excluded.allowance,
    overage = d.overage + excluded.overage,
    overage_minor = d.overage_minor + excluded.overage_minor;
  update billing.usage_counters c
  set period_day = v_today, used = 0, overage = 0, overage_minor = 0, fast_until = billing.fast_until(c.allowance)
  where c.user_id = any (p_user_ids) and c.period_day < v_today;
end;
$function$;

comment on function "billing"."roll_counters"(uuid[]) is 'Moves the counters of these users on to today, and keeps the days they leave.';

revoke all on function "billing"."roll_counters"(uuid[]) from public;

grant execute on function "billing"."roll_counters"(uuid[]) to "postgres";

-- billing/functions/run_checks

create or replace function billing.run_checks()
  returns table (
    check_name text,
    status     text,
    value      numeric,
    threshold  numeric,
    since      timestamp with time zone,
    hint       text,
    unit       text
  )
  language plpgsql
  stable
  security definer
  set search_path to ''
  set lock_timeout to '500ms'
  AS $function$
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
$function$;

comment on function "billing"."run_checks"() is 'Every check beside its threshold, the worst first. A check that raises or says nothing is a failure with its reason.';

revoke all on function "billing"."run_checks"() from public;

grant execute on function "billing"."run_checks"() to "postgres";

-- billing/functions/search_query

create or replace function billing.search_query (
  p_query text
)
  returns tsquery
  language sql
  immutable
  set search_path to ''
  AS $function$
  -- Lexemes only, quoted: nothing of the query's own syntax gets through. Each may be the beginning of a word.
  select string_agg(quote_literal(w.lexeme) || ':*', ' & ')::tsquery
  from unnest(to_tsvector('pg_catalog.simple', left(p_query, 200))) w;
$function$;

comment on function "billing"."search_query"(text) is 'What somebody types as a query: every word, or the beginning of it. Null: nothing.';

revoke all on function "billing"."search_query"(text) from public;

grant execute on function "billing"."search_query"(text) to "postgres";

-- billing/functions/seconds_since

create or replace function billing.seconds_since (
  p_at timestamp with time zone
)
  returns numeric
  language sql
  stable
  set search_path to ''
  AS $function$
  select case when p_at is null then 0 else greatest(0, round(extract(epoch from now() - p_at))) end;
$function$;

comment on function "billing"."seconds_since"(timestamp with time zone) is 'Whole seconds; 0 for null and for what is to come.';

revoke all on function "billing"."seconds_since"(timestamp with time zone) from public;

grant execute on function "billing"."seconds_since"(timestamp with time zone) to "postgres";

-- billing/functions/seller_changed

create or replace function billing.seller_changed()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  update public.listings l
  set seller_name = new.display_name, sales_paused = new.status <> 'active',
    -- Licences stay: only selling ends.
    status = case when new.status = 'closed' and l.status = 'published' then 'withdrawn' else l.status end
  where l.seller_id = new.id;
  if new.user_id is null then
    delete from public.listings l where l.seller_id = new.id and l.version = 0;
  end if;
  return null;
end;
$function$;

comment on function "billing"."seller_changed"() is 'The listings show the creator''s name and state; those of a closed one are withdrawn, and the drafts of one who left go.';

revoke all on function "billing"."seller_changed"() from public;

grant execute on function "billing"."seller_changed"() to "postgres";

-- billing/functions/seller_changing

create or replace function billing.seller_changing()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  new.updated_at := now();
  if old.user_id is not null and new.user_id is null then
    new.status := 'closed';
    new.paused_reason := 'The creator has left.';
  end if;
  if new.status = 'active' then
    new.paused_reason := null;
    new.activated_at := coalesce(new.activated_at, now());
  end if;
  return new;
end;
$function$;

comment on function "billing"."seller_changing"() is 'A creator whose account is deleted is closed.';

revoke all on function "billing"."seller_changing"() from public;

grant execute on function "billing"."seller_changing"() to "postgres";

-- billing/functions/seller_status

create or replace function billing.seller_status (
  p_seller   public.sellers,
  p_snapshot jsonb
)
  returns text
  language sql
  immutable
  set search_path to ''
  AS $function$
  -- An allow-list: whatever else Stripe calls it, nothing is sold.
  select case
    when (p_snapshot ->> 'closed')::boolean or p_seller.user_id is null then 'closed'
    when p_snapshot ->> 'transfers_status' = 'active' then 'active'
    when p_seller.activated_at is not null then 'paused'
    else 'onboarding'
  end;
$function$;

comment on function "billing"."seller_status"(public.sellers, jsonb) is 'What a snapshot of the account makes of a seller.';

revoke all on function "billing"."seller_status"(public.sellers, jsonb) from public;

grant execute on function "billing"."seller_status"(public.sellers, jsonb) to "postgres";

-- billing/functions/set_seller_fee

create or replace function billing.set_seller_fee (
  p_seller_id uuid,
  p_bps       integer
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  update public.sellers s set fee_bps = p_bps where s.id = p_seller_id;
  if not found then
    raise exception 'there is no seller %', p_seller_id using errcode = 'no_data_found';
  end if;
end;
$function$;

comment on function "billing"."set_seller_fee"(uuid, integer) is 'For operators: the fee of one creator in hundredths of a percent, null for that of everybody. From the next purchase on.';

revoke all on function "billing"."set_seller_fee"(uuid, integer) from public;

grant execute on function "billing"."set_seller_fee"(uuid, integer) to "postgres";

-- billing/functions/setting

create or replace function billing.setting (
  p_key text
)
  returns jsonb
  language plpgsql
  stable
  set search_path to ''
  AS $function$
declare
  v_value jsonb;
begin
  select s.value into strict v_value from billing.settings s where s.key = p_key;
  return v_value;
end;
$function$;

comment on function "billing"."setting"(text) is 'The value of a setting; an exception when the row is missing.';

revoke all on function "billing"."setting"(text) from public;

grant execute on function "billing"."setting"(text) to "postgres";

-- billing/functions/settings_changed

create or replace function billing.settings_changed()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  perform billing.refresh_entitlement(s.user_id, 'settings')
  from (
    select distinct s.user_id from public.subscriptions s
    where s.past_due_since is not null order by s.user_id
  ) s;
  return null;
end;
$function$;

comment on function "billing"."settings_changed"() is 'A longer or shorter grace counts at once for those who are in it.';

revoke all on function "billing"."settings_changed"() from public;

grant execute on function "billing"."settings_changed"() to "postgres";

-- billing/functions/settle_account_events

create or replace function billing.settle_account_events (
  p_account text,
  p_token   bigint
)
  returns void
  language sql
  set search_path to ''
  AS $function$
  select billing.settle_listed_events(array(
    select e.id from billing.stripe_events e
    where e.stripe_account_id = p_account and e.status in ('pending', 'parked') and e.received_token < p_token
    order by e.id for no key update
  ));
$function$;

comment on function "billing"."settle_account_events"(text, bigint) is 'Marks the events of an account processed that a snapshot with this token covers.';

revoke all on function "billing"."settle_account_events"(text, bigint) from public;

grant execute on function "billing"."settle_account_events"(text, bigint) to "postgres";

-- billing/functions/settle_events

create or replace function billing.settle_events (
  p_stripe_customer_id text,
  p_token              bigint
)
  returns text[]
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_ids text[];
begin
  -- One order, as two snapshots may settle overlapping sets.
  with covered as (
    select e.id from billing.stripe_events e
    where e.stripe_customer_id = p_stripe_customer_id and e.status in ('pending', 'parked')
      and e.received_token < p_token
    order by e.id for no key update
  ), settled as (
    update billing.stripe_events e
    set status = 'processed', processed_at = now(), next_attempt_at = null, last_error = null
    from covered c where e.id = c.id
    returning e.id
  )
  select array_agg(s.id order by s.id) into v_ids from settled s;
  update billing.problems p set resolved_at = now()
  where p.kind = 'event_parked' and p.subject = any (v_ids) and p.resolved_at is null;
  return coalesce(v_ids, '{}');
end;
$function$;

comment on function "billing"."settle_events"(text, bigint) is 'Marks the events processed that a snapshot with this token covers, and returns them.';

revoke all on function "billing"."settle_events"(text, bigint) from public;

grant execute on function "billing"."settle_events"(text, bigint) to "postgres";

-- billing/functions/settle_listed_events

create or replace function billing.settle_listed_events (
  p_ids text[]
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  update billing.stripe_events e
  set status = 'processed', processed_at = now(), next_attempt_at = null, last_error = null
  where e.id = any (p_ids);
  update billing.problems p set resolved_at = now()
  where p.kind = 'event_parked' and p.subject = any (p_ids) and p.resolved_at is null;
end;
$function$;

comment on function "billing"."settle_listed_events"(text[]) is 'These events are done.';

revoke all on function "billing"."settle_listed_events"(text[]) from public;

grant execute on function "billing"."settle_listed_events"(text[]) to "postgres";

-- billing/functions/settle_purchase_events

create or replace function billing.settle_purchase_events (
  p_purchase_id uuid,
  p_token       bigint
)
  returns void
  language sql
  set search_path to ''
  AS $function$
  select billing.settle_listed_events(array(
    select e.id from billing.stripe_events e
    where e.purchase_id = p_purchase_id and e.status in ('pending', 'parked') and e.received_token < p_token
    order by e.id for no key update
  ));
$function$;

comment on function "billing"."settle_purchase_events"(uuid, bigint) is 'Marks the events of a purchase processed that a snapshot with this token covers.';

revoke all on function "billing"."settle_purchase_events"(uuid, bigint) from public;

grant execute on function "billing"."settle_purchase_events"(uuid, bigint) to "postgres";

-- billing/functions/snapshot_differences

create or replace function billing.snapshot_differences (
  p_user_id       uuid,
  p_subscriptions jsonb,
  p_invoices      jsonb,
  p_metering      jsonb default '{}'::jsonb
)
  returns table (
    field  text,
    ours   jsonb,
    stripe jsonb
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  with ours as (
    select 'subscription ' || s.id as subject, to_jsonb(s) as doc
    from public.subscriptions s where s.user_id = p_user_id
    union all
    select 'invoice ' || i.id, to_jsonb(i)
    from public.invoices i where i.user_id = p_user_id and p_invoices is not null
    union all
    select 'metered item ' || m.item_id, to_jsonb(m)
    from billing.metered_items m where m.user_id = p_user_id and p_metering ? 'metered_items'
    union all
    select 'credit grant ' || c.id, to_jsonb(c)
    from public.credit_grants c where c.user_id = p_user_id and p_metering ? 'credit_grants'
    union all
    select 'credit balance ' || b.currency, to_jsonb(b)
    from public.credit_balances b where b.user_id = p_user_id and p_metering ? 'credit_balances'
  ), theirs as (
    select 'subscription ' || s.id as subject, to_jsonb(s) as doc
    from billing.given_subscriptions(p_user_id, p_subscriptions) s
    union all
    select 'invoice ' || i.id, to_jsonb(i) from billing.given_invoices(p_user_id, p_invoices) i
    union all
    select 'metered item ' || m.item_id, to_jsonb(m)
    from billing.given_metered_items(p_user_id, p_metering -> 'metered_items') m
    union all
    select 'credit grant ' || c.id, to_jsonb(c)
    from billing.given_credit_grants(p_user_id, p_metering -> 'credit_grants') c
    union all
    select 'credit balance ' || b.currency, to_jsonb(b)
    from billing.given_credit_balances(p_user_id, p_metering -> 'credit_balances') b
  )
  select coalesce(o.subject, t.subject) || ' ' || k.key, o.doc -> k.key, t.doc -> k.key
  from ours o full join theirs t using (subject)
  cross join jsonb_object_keys(coalesce(o.doc, t.doc)) k (key)
  -- What is ours alone cannot drift: when we looked, and since when we count the grace.
  where k.key not in ('synced_at', 'past_due_since') and o.doc -> k.key is distinct from t.doc -> k.key
    and (o.doc is not null and t.doc is not null or k.key in ('status', 'metric_id', 'amount_minor', 'balance_minor'))
  order by 1;
$function$;

comment on function "billing"."snapshot_differences"(uuid, jsonb, jsonb, jsonb) is 'What a snapshot would change: per row and column; a row that is missing on one side is one column alone (its status, metric or amount).';

revoke all on function "billing"."snapshot_differences"(uuid, jsonb, jsonb, jsonb) from public;

grant execute on function "billing"."snapshot_differences"(uuid, jsonb, jsonb, jsonb) to "postgres";

-- billing/functions/stale_counters

create or replace function billing.stale_counters()
  returns table (
    user_id   uuid,
    metric_id text,
    allowance bigint
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  -- The rule of billing.allowance(), for everybody at once: a call per counter would take minutes.
  with ruled as (
    select c.user_id, c.metric_id, c.allowance as cached,
      case when l.plan_id is null then 0 else l.limit_value end + coalesce(a.quantity, 0) as allowance
    from billing.usage_counters c
    left join public.entitlements e on e.user_id = c.user_id
      and (e.valid_until is null or e.valid_until > now())
    left join public.plans d on d.is_default
    left join public.plan_limits l
      on l.plan_id = coalesce(e.plan_id, d.id) and l.metric_id = c.metric_id
    left join (
      select o.user_id, o.metric_id, sum(o.quantity)::bigint as quantity
      from billing.add_ons o group by o.user_id, o.metric_id
    ) a on a.user_id = c.user_id and a.metric_id = c.metric_id
  )
  select r.user_id, r.metric_id, r.allowance from ruled r where r.cached is distinct from r.allowance;
$function$;

comment on function "billing"."stale_counters"() is 'Counters whose cached allowance is not what it should be, and what it should be.';

revoke all on function "billing"."stale_counters"() from public;

grant execute on function "billing"."stale_counters"() to "postgres";

-- billing/functions/stay_left

create or replace function billing.stay_left()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  if new.user_id is null or billing.is_leaving(new.user_id) then
    new.status := 'closed';
    new.paused_reason := 'The creator has left.';
  end if;
  if new.user_id is null then
    new.display_name := 'A former creator';
    new.requirements := '{}';
    new.country := null;
  end if;
  return new;
end;
$function$;

comment on function "billing"."stay_left"() is 'Whoever leaves sells nothing any more, and of whoever has left there is no name, no country and nothing that Stripe wants.';

revoke all on function "billing"."stay_left"() from public;

grant execute on function "billing"."stay_left"() to "postgres";

-- billing/functions/store_charges

create or replace function billing.store_charges (
  p_purchase public.purchases,
  p_snapshot jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  insert into billing.purchase_charges as c (id, purchase_id, amount_minor, status, created_at)
  select e.id, p_purchase.id, e.amount_minor, e.status, coalesce(e.created, now())
  from jsonb_to_recordset(p_snapshot -> 'charges') e (id text, amount_minor bigint, status text, created timestamptz)
  on conflict (id) do update set amount_minor = excluded.amount_minor, status = excluded.status
  where c.purchase_id = excluded.purchase_id;
  insert into billing.purchase_refunds as r (id, purchase_id, charge_id, amount_minor, status)
  select e.id, p_purchase.id, e.charge_id, e.amount_minor, e.status
  from jsonb_to_recordset(p_snapshot -> 'refunds') e (id text, charge_id text, amount_minor bigint, status text)
  on conflict (id) do update set amount_minor = excluded.amount_minor, status = excluded.status
  where r.purchase_id = excluded.purchase_id;
  insert into billing.purchase_disputes as d (
    id, purchase_id, charge_id, status, amount_minor, currency, reason, evidence_due_by
  )
  select e.id, p_purchase.id, e.charge_id, e.status, e.amount_minor, coalesce(e.currency, p_purchase.currency), e.reason,
    e.evidence_due_by
  from jsonb_to_recordset(p_snapshot -> 'disputes') e (
    id text, charge_id text, status text, amount_minor bigint, currency text, reason text, evidence_due_by timestamptz
  )
  on conflict (id) do update set
    status = excluded.status, amount_minor = excluded.amount_minor, reason = excluded.reason,
    evidence_due_by = excluded.evidence_due_by
  where d.purchase_id = excluded.purchase_id;
  perform billing.report_problem('unknown_dispute_status', d.id, jsonb_build_object('status', d.status))
  from billing.purchase_disputes d
  where d.purchase_id = p_purchase.id
    and not exists (select from billing.dispute_statuses s where s.status = d.status);
end;
$function$;

comment on function "billing"."store_charges"(public.purchases, jsonb) is 'Keeps the charges, refunds and disputes of a snapshot.';

revoke all on function "billing"."store_charges"(public.purchases, jsonb) from public;

grant execute on function "billing"."store_charges"(public.purchases, jsonb) to "postgres";

-- billing/functions/store_credits

create or replace function billing.store_credits (
  p_user_id  uuid,
  p_grants   jsonb,
  p_balances jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  if p_grants is not null then
    delete from public.credit_grants c
    where c.user_id = p_user_id and c.id not in (select e.value ->> 'id' from jsonb_array_elements(p_grants) e);
    insert into public.credit_grants as c
    select * from billing.given_credit_grants(p_user_id, p_grants)
    on conflict (id) do update set
      amount_minor = excluded.amount_minor,
      currency = excluded.currency,
      category = excluded.category,
      name = excluded.name,
      effective_at = excluded.effective_at,
      expires_at = excluded.expires_at,
      voided_at = excluded.voided_at,
      stripe_created_at = excluded.stripe_created_at,
      synced_at = excluded.synced_at
    where c.user_id = excluded.user_id;
  end if;
  if p_balances is not null then
    delete from public.credit_balances b
    where b.user_id = p_user_id
      and b.currency not in (select e.value ->> 'currency' from jsonb_array_elements(p_balances) e);
    insert into public.credit_balances as b
    select * from billing.given_credit_balances(p_user_id, p_balances)
    on conflict (user_id, currency) do update set balance_minor = excluded.balance_minor, synced_at = excluded.synced_at;
  end if;
end;
$function$;

comment on function "billing"."store_credits"(uuid, jsonb, jsonb) is 'Makes the stored credit grants and balances of a customer equal to the lists; null leaves them as they are.';

revoke all on function "billing"."store_credits"(uuid, jsonb, jsonb) from public;

grant execute on function "billing"."store_credits"(uuid, jsonb, jsonb) to "postgres";

-- billing/functions/store_invoices

create or replace function billing.store_invoices (
  p_user_id  uuid,
  p_invoices jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  perform billing.require(
    not exists (
      select from public.invoices i join jsonb_array_elements(p_invoices) e on e.value ->> 'id' = i.id
      where i.user_id <> p_user_id
    ),
    'an invoice belongs to another customer'
  );
  insert into public.invoices as i
  select * from billing.given_invoices(p_user_id, p_invoices)
  on conflict (id) do update set
    subscription_id = excluded.subscription_id,
    number = excluded.number,
    status = excluded.status,
    currency = excluded.currency,
    total_minor = excluded.total_minor,
    amount_due_minor = excluded.amount_due_minor,
    amount_paid_minor = excluded.amount_paid_minor,
    period_start = excluded.period_start,
    period_end = excluded.period_end,
    hosted_invoice_url = excluded.hosted_invoice_url,
    invoice_pdf = excluded.invoice_pdf,
    stripe_created_at = excluded.stripe_created_at,
    synced_at = excluded.synced_at;
  delete from public.invoices i
  where i.user_id = p_user_id
    and i.id not in (select e.value ->> 'id' from jsonb_array_elements(p_invoices) e);
end;
$function$;

comment on function "billing"."store_invoices"(uuid, jsonb) is 'Makes the stored invoices of a customer equal to the list.';

revoke all on function "billing"."store_invoices"(uuid, jsonb) from public;

grant execute on function "billing"."store_invoices"(uuid, jsonb) to "postgres";

-- billing/functions/store_metered_items

create or replace function billing.store_metered_items (
  p_user_id            uuid,
  p_stripe_customer_id text,
  p_items              jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_seen text[] := '{}'::text[];
  v_item jsonb;
begin
  delete from billing.metered_items i
  where i.user_id = p_user_id
    and i.item_id not in (select g.item_id from billing.given_metered_items(p_user_id, p_items) g);
  insert into billing.metered_items as i
  select g.* from billing.given_metered_items(p_user_id, p_items) g
  join public.subscriptions s on s.id = g.subscription_id and s.user_id = p_user_id
  on conflict (item_id) do update set
    subscription_id = excluded.subscription_id,
    metric_id = excluded.metric_id,
    price_lookup_key = excluded.price_lookup_key,
    currency = excluded.currency,
    unit_amount_minor = excluded.unit_amount_minor,
    period_start = excluded.period_start,
    period_end = excluded.period_end,
    synced_at = excluded.synced_at
  where i.user_id = excluded.user_id;
  for v_item in
    select e.value from jsonb_array_elements(p_items) e
    where not exists (select from billing.metered_items i where i.item_id = e.value ->> 'id' and i.user_id = p_user_id)
  loop
    perform billing.report_problem('unknown_metered_item', v_item ->> 'id', jsonb_build_object(
      'stripe_customer_id', p_stripe_customer_id, 'price_lookup_key', v_item ->> 'price_lookup_key'
    ));
    v_seen := v_seen || (v_item ->> 'id');
  end loop;
  update billing.problems p set resolved_at = now()
  where p.kind = 'unknown_metered_item' and p.details ->> 'stripe_customer_id' = p_stripe_customer_id
    and p.resolved_at is null and p.subject <> all (v_seen);
end;
$function$;

comment on function "billing"."store_metered_items"(uuid, text, jsonb) is 'Makes the stored metered items of a customer equal to the list; what we do not know is reported and cannot be used.';

revoke all on function "billing"."store_metered_items"(uuid, text, jsonb) from public;

grant execute on function "billing"."store_metered_items"(uuid, text, jsonb) to "postgres";

-- billing/functions/store_payouts

create or replace function billing.store_payouts (
  p_seller  public.sellers,
  p_payouts jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  insert into billing.payouts as o (id, seller_id, amount_minor, currency, status, created_at, arrival_date)
  select e.id, p_seller.id, e.amount_minor, e.currency, e.status, e.created, e.arrival_date::date
  from jsonb_to_recordset(p_payouts) e (
    id text, amount_minor bigint, currency text, status text, created timestamptz, arrival_date timestamptz
  )
  on conflict (id) do update set status = excluded.status, arrival_date = excluded.arrival_date;
  perform billing.post_facts(coalesce(jsonb_agg(f.fact), '[]'), null, p_seller.id, null)
  from (
    select jsonb_build_object(
      'source', e.value ->> 'id' || k.suffix, 'kind', k.kind, 'amount_minor', e.value -> 'amount_minor',
      'currency', e.value ->> 'currency', 'occurred_at', e.value ->> 'created'
    ) as fact
    from jsonb_array_elements(p_payouts) e
    join (values ('', 'payout'), (':failed', 'payout_failed')) k (suffix, kind)
      on k.suffix = '' or e.value ->> 'status' in ('failed', 'canceled')
  ) f;
end;
$function$;

comment on function "billing"."store_payouts"(public.sellers, jsonb) is 'Keeps the payouts of an account and posts them; one that failed or was canceled came back.';

revoke all on function "billing"."store_payouts"(public.sellers, jsonb) from public;

grant execute on function "billing"."store_payouts"(public.sellers, jsonb) to "postgres";

-- billing/functions/store_purchase

create or replace function billing.store_purchase (
  p_purchase public.purchases,
  p_snapshot jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  -- A snapshot of a session that was replaced meanwhile says nothing about the one that is open now.
  v_session constant boolean := coalesce(p_snapshot ->> 'session_id' = p_purchase.checkout_session_id, true);
  v_subscription constant jsonb := nullif(p_snapshot -> 'subscription', 'null');
  v_status constant text := coalesce(v_subscription ->> 'status', p_purchase.subscription_status);
begin
  update public.purchases p set
    problem = null,
    session_status = case when v_session then coalesce(p_snapshot ->> 'session_status', p.session_status)
      else p.session_status end,
    payment_status = case when v_session then coalesce(p_snapshot ->> 'payment_status', p.payment_status)
      else p.payment_status end,
    payment_intent_id = coalesce(p_snapshot ->> 'payment_intent_id', p.payment_intent_id),
    charge_id = coalesce(p_snapshot ->> 'charge_id', p.charge_id),
    receipt_url = coalesce(p_snapshot ->> 'receipt_url', p.receipt_url),
    stripe_subscription_id = coalesce(v_subscription ->> 'id', p.stripe_subscription_id),
    subscription_status = v_status,
    current_period_end = coalesce((v_subscription ->> 'current_period_end')::timestamptz, p.current_period_end),
    cancel_at_period_end = coalesce((v_subscription ->> 'cancel_at_period_end')::boolean, p.cancel_at_period_end),
    cancel_at = case when v_subscription is null then p.cancel_at
      else (v_subscription ->> 'cancel_at')::timestamptz end,
    open_invoice_url = case when v_subscription is null then p.open_invoice_url
      else p_snapshot -> 'open_invoice' ->> 'url' end,
    open_minor = case when v_subscription is null then p.open_minor
      else (p_snapshot -> 'open_invoice' ->> 'amount_minor')::bigint end,
    past_due_since = case
      when v_status in ('active', 'trialing') then null
      when v_status in ('past_due', 'unpaid') then coalesce(p.past_due_since, now())
      else p.past_due_since
    end
  where p.id = p_purchase.id;
  if v_status is not null and not exists (select from billing.access_statuses a where a.status = v_status) then
    perform billing.report_problem(
      'unknown_status', p_purchase.id::text, jsonb_build_object('subscription_status', v_status)
    );
  end if;
  perform billing.store_charges(p_purchase, p_snapshot);
end;
$function$;

comment on function "billing"."store_purchase"(public.purchases, jsonb) is 'Keeps what a snapshot says about a purchase.';

revoke all on function "billing"."store_purchase"(public.purchases, jsonb) from public;

grant execute on function "billing"."store_purchase"(public.purchases, jsonb) to "postgres";

-- billing/functions/store_subscriptions

create or replace function billing.store_subscriptions (
  p_user_id       uuid,
  p_subscriptions jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- Stripe never moves a subscription to another customer; if it looks so, we must not guess.
  perform billing.require(
    not exists (
      select from public.subscriptions s join jsonb_array_elements(p_subscriptions) e on e.value ->> 'id' = s.id
      where s.user_id <> p_user_id
    ),
    'a subscription belongs to another customer'
  );
  insert into public.subscriptions as s
  select * from billing.given_subscriptions(p_user_id, p_subscriptions)
  on conflict (id) do update set
    status = excluded.status,
    price_lookup_key = excluded.price_lookup_key,
    plan_id = excluded.plan_id,
    quantity = excluded.quantity,
    currency = excluded.currency,
    current_period_start = excluded.current_period_start,
    current_period_end = excluded.current_period_end,
    cancel_at = excluded.cancel_at,
    cancel_at_period_end = excluded.cancel_at_period_end,
    canceled_at = excluded.canceled_at,
    ended_at = excluded.ended_at,
    trial_end = excluded.trial_end,
    stripe_created_at = excluded.stripe_created_at,
    synced_at = excluded.synced_at,
    past_due_since = excluded.past_due_since,
    pending_price_lookup_key = excluded.pending_price_lookup_key,
    pending_change_at = excluded.pending_change_at;
  delete from public.subscriptions s
  where s.user_id = p_user_id
    and s.id not in (select e.value ->> 'id' from jsonb_array_elements(p_subscriptions) e);
  insert into billing.trial_uses (user_id, subscription_id)
  select p_user_id, e.value ->> 'id' from jsonb_array_elements(p_subscriptions) e
  where e.value ->> 'trial_end' is not null order by 2 limit 1
  on conflict (user_id) do nothing;
end;
$function$;

comment on function "billing"."store_subscriptions"(uuid, jsonb) is 'Makes the stored subscriptions of a customer equal to the list.';

revoke all on function "billing"."store_subscriptions"(uuid, jsonb) from public;

grant execute on function "billing"."store_subscriptions"(uuid, jsonb) to "postgres";

-- billing/functions/sync_user

create or replace function billing.sync_user (
  p_stripe_customer_id text
)
  returns uuid
  language sql
  stable
  set search_path to ''
  AS $function$
  select c.user_id from public.customers c where c.stripe_customer_id = p_stripe_customer_id;
$function$;

comment on function "billing"."sync_user"(text) is 'The user of a Stripe customer; null when it is not ours.';

revoke all on function "billing"."sync_user"(text) from public;

grant execute on function "billing"."sync_user"(text) to "postgres";

-- billing/functions/take_hold

create or replace function billing.take_hold (
  p_purchase public.purchases,
  OUT        holds boolean,
  OUT        stale_session_id text
)
  returns record
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_other public.purchases;
begin
  holds := true;
  select * into v_other from public.purchases p
  where p.buyer_id = p_purchase.buyer_id and p.listing_id = p_purchase.listing_id and p.holds and p.id <> p_purchase.id
  for no key update;
  if not found then
    return;
  end if;
  if v_other.status = 'open' then
    stale_session_id := v_other.checkout_session_id;
    update public.purchases p
    set status = 'expired', holds = false, due_at = case when stale_session_id is not null then p.due_at end
    where p.id = v_other.id;
    return;
  end if;
  holds := false;
  perform billing.report_problem('paid_twice', p_purchase.id::text, jsonb_build_object('other', v_other.id));
end;
$function$;

comment on function "billing"."take_hold"(public.purchases) is 'A purchase that was given up is paid after all (a session that was still open, a refund that failed): an unfinished other one ends, and its session with it; that two are paid is told to an operator.';

revoke all on function "billing"."take_hold"(public.purchases) from public;

grant execute on function "billing"."take_hold"(public.purchases) to "postgres";

-- billing/functions/tell_credit_sale

create or replace function billing.tell_credit_sale()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  if not exists (
    select from billing.purchase_charges c where c.purchase_id = new.id and c.status = 'succeeded'
  ) then
    perform billing.report_problem('licence_paid_by_credit', new.id::text, jsonb_build_object(
      'seller', new.seller_id, 'amount_minor', new.amount_minor, 'currency', new.currency, 'fee_minor', new.fee_minor
    ));
  end if;
  return null;
end;
$function$;

comment on function "billing"."tell_credit_sale"() is 'A sale that was paid without a charge: nothing went to the creator, an operator decides.';

revoke all on function "billing"."tell_credit_sale"() from public;

grant execute on function "billing"."tell_credit_sale"() to "postgres";

-- billing/functions/tell_paid_for_nobody

create or replace function billing.tell_paid_for_nobody()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  perform billing.report_problem('paid_after_deletion', new.id::text, jsonb_build_object(
    'amount_minor', new.amount_minor, 'currency', new.currency, 'listing', new.listing_id
  ));
  return null;
end;
$function$;

comment on function "billing"."tell_paid_for_nobody"() is 'A purchase was paid whose buyer is gone: an operator decides.';

revoke all on function "billing"."tell_paid_for_nobody"() from public;

grant execute on function "billing"."tell_paid_for_nobody"() to "postgres";

-- billing/functions/touch_updated_at

create or replace function billing.touch_updated_at()
  returns trigger
  language plpgsql
  set search_path to ''
  AS $function$
begin
  new.updated_at := now();
  return new;
end;
$function$;

comment on function "billing"."touch_updated_at"() is 'Sets updated_at of the row that is written.';

revoke all on function "billing"."touch_updated_at"() from public;

grant execute on function "billing"."touch_updated_at"() to "postgres";

-- billing/functions/try_lock_person

create or replace function billing.try_lock_person (
  p_user_id uuid
)
  returns boolean
  language sql
  set search_path to ''
  AS $function$
  select pg_try_advisory_xact_lock(hashtextextended('tollgate person ' || p_user_id, 0));
$function$;

comment on function "billing"."try_lock_person"(uuid) is 'billing.lock_person() that does not wait.';

revoke all on function "billing"."try_lock_person"(uuid) from public;

grant execute on function "billing"."try_lock_person"(uuid) to "postgres";

-- billing/functions/unpaid_status

create or replace function billing.unpaid_status (
  p_purchase public.purchases
)
  returns text
  language sql
  stable
  set search_path to ''
  AS $function$
  select case
    when p_purchase.subscription_status in ('incomplete_expired', 'canceled') then 'failed'
    when p_purchase.session_status = 'expired' then 'expired'
    when p_purchase.session_status = 'complete' and (
      select c.status from billing.purchase_charges c
      where c.purchase_id = p_purchase.id order by c.created_at desc, c.id desc limit 1
    ) = 'failed' and p_purchase.kind = 'one_time' then 'failed'
    when p_purchase.session_status = 'complete' then 'processing'
    -- Over is over: a session that is still open for a moment does not begin it again.
    when p_purchase.status in ('expired', 'failed') then p_purchase.status
    else 'open'
  end;
$function$;

comment on function "billing"."unpaid_status"(public.purchases) is 'The status of a purchase that no payment has succeeded for.';

revoke all on function "billing"."unpaid_status"(public.purchases) from public;

grant execute on function "billing"."unpaid_status"(public.purchases) to "postgres";

-- billing/functions/usage_held_at

create or replace function billing.usage_held_at()
  returns timestamp with time zone
  language sql
  stable
  set search_path to ''
  AS $function$
  select m.at from billing.health_marks m where m.name = 'usage_held';
$function$;

comment on function "billing"."usage_held_at"() is 'Since when no usage is reported; null: it is.';

revoke all on function "billing"."usage_held_at"() from public;

grant execute on function "billing"."usage_held_at"() to "postgres";

-- billing/functions/write_licence

create or replace function billing.write_licence (
  p_purchase    public.purchases,
  p_status      text,
  p_reason      text,
  p_valid_until timestamp with time zone
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
begin
  -- Nobody to own it, or nothing was paid and nothing is there.
  if p_purchase.buyer_id is null or p_status is null then
    return;
  end if;
  insert into public.licences as l (user_id, listing_id, purchase_id, status, reason, valid_until)
  values (
    p_purchase.buyer_id, p_purchase.listing_id, p_purchase.id, p_status,
    case when p_status <> 'active' then p_reason end, nullif(p_valid_until, '-infinity')
  )
  on conflict (purchase_id) do update set
    status = excluded.status, reason = excluded.reason, valid_until = excluded.valid_until
  where (l.status, l.reason, l.valid_until) is distinct from (excluded.status, excluded.reason, excluded.valid_until);
  if found and exists (
    select from public.listings i where i.id = p_purchase.listing_id and i.grants_metric_id is not null
  ) then
    perform billing.refresh_counters(p_purchase.buyer_id);
  end if;
end;
$function$;

comment on function "billing"."write_licence"(public.purchases, text, text, timestamp with time zone) is 'Makes the licence what the rule says, and the limits with it.';

revoke all on function "billing"."write_licence"(public.purchases, text, text, timestamp with time zone) from public;

grant execute on function "billing"."write_licence"(public.purchases, text, text, timestamp with time zone) to "postgres";

-- billing/schema

create schema "billing";

comment on schema "billing" is 'Private side of Tollgate: counters, inbox, sync state, trigger functions. Never exposed by the API.';

grant usage on schema "billing" to "authenticated";

grant create, usage on schema "billing" to "postgres";

-- billing/sequences/sync_token_seq

create sequence "billing"."sync_token_seq" as bigint increment by 1 minvalue 1 maxvalue 9223372036854775807 START with 1 cache 1 no cycle;

comment on sequence "billing"."sync_token_seq" is 'Tokens of public.next_sync_token().';

grant select, update, usage on sequence "billing"."sync_token_seq" to "postgres";

-- billing/tables/access_log

create table "billing"."access_log" (
  "id"              bigint                   generated always as identity not null,
  "user_id"         uuid                     not null,
  "at"              timestamp with time zone not null default now(),
  "plan_id"         text                     not null,
  "source"          text                     not null,
  "subscription_id" text,
  "grant_id"        bigint,
  "valid_until"     timestamp with time zone,
  "cause"           text                     not null,
  "ref"             jsonb                    not null default '{}'::jsonb,
  constraint "access_log_pkey" primary key (id),
  constraint "access_log_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "access_log_plan_id_fkey" foreign key (plan_id) references public.plans(id)
);

alter table "billing"."access_log"
  enable row level security;

create index access_log_plan_id_idx on billing.access_log using btree (plan_id);

create index access_log_user_id_at_idx on billing.access_log using btree (user_id, at);

create policy "Nobody reads the access log" on "billing"."access_log"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."access_log"."ref" is 'What the cause points at: events, a token, an invoice, a grant.';

comment on table "billing"."access_log" is 'One row per change of an entitlement, with its cause; see billing.explain_access().';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."access_log" to "postgres";

-- billing/tables/access_statuses

create table "billing"."access_statuses" (
  "status"          text    not null,
  "grants_access"   boolean not null,
  "has_grace"       boolean not null default false,
  "needs_attention" boolean not null default false,
  constraint "access_statuses_grace_is_access" check ((grants_access OR (NOT has_grace))),
  constraint "access_statuses_pkey" primary key (status)
);

alter table "billing"."access_statuses"
  enable row level security;

create trigger access_statuses_after_change_audit
  after insert or delete or update of grants_access, has_grace, needs_attention on billing.access_statuses
  for each row
  execute function billing.audit('operator.access_status', '', 'status', 'grants_access,has_grace,needs_attention', '');

create policy "Signed-in people read the statuses" on "billing"."access_statuses"
  for select
  to "authenticated"
  using (true);

comment on column "billing"."access_statuses"."has_grace" is 'Access only for the grace period after the status was first seen.';

comment on column "billing"."access_statuses"."needs_attention" is 'Shown to its owner as a payment problem; so is every status that is not here.';

comment on table "billing"."access_statuses" is 'Subscription statuses we know. Access is an allow-list: a status that is not here grants nothing and is reported in billing.problems.';

grant select on table "billing"."access_statuses" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."access_statuses" to "postgres";

-- billing/tables/audit_anchor

create table "billing"."audit_anchor" (
  "id"            boolean                  not null default true,
  "seq"           bigint                   not null,
  "hash"          bytea                    not null,
  "retained_from" timestamp with time zone not null,
  constraint "audit_anchor_id_check" check (id),
  constraint "audit_anchor_pkey" primary key (id)
);

alter table "billing"."audit_anchor"
  enable row level security;

create trigger audit_anchor_before_delete_refuse
  before delete on billing.audit_anchor
  for each row
  execute function billing.refuse_audit_change();

alter table "billing"."audit_anchor"
  enable always trigger "audit_anchor_before_delete_refuse";

create trigger audit_anchor_before_truncate_refuse
  before truncate on billing.audit_anchor
  for each STATEMENT
  execute function billing.refuse_audit_change();

alter table "billing"."audit_anchor"
  enable always trigger "audit_anchor_before_truncate_refuse";

create trigger audit_anchor_before_update_check
  before update on billing.audit_anchor
  for each row
  execute function billing.check_audit_anchor();

alter table "billing"."audit_anchor"
  enable always trigger "audit_anchor_before_update_check";

create policy "Nobody reads the anchor of the audit chain" on "billing"."audit_anchor"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."audit_anchor" is 'Where the chain begins: the last link that was forgotten. Rows of the log before retained_from are gone by retention.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."audit_anchor" to "postgres";

-- billing/tables/audit_chain

create table "billing"."audit_chain" (
  "seq"      bigint                   not null,
  "audit_id" bigint                   not null,
  "audit_at" timestamp with time zone not null,
  "row_hash" bytea                    not null,
  "hash"     bytea                    not null,
  constraint "audit_chain_audit_id_key" unique (audit_id),
  constraint "audit_chain_pkey" primary key (seq)
);

alter table "billing"."audit_chain"
  enable row level security;

create trigger audit_chain_before_change_refuse
  before delete or update on billing.audit_chain
  for each row
  execute function billing.refuse_audit_change();

alter table "billing"."audit_chain"
  enable always trigger "audit_chain_before_change_refuse";

create trigger audit_chain_before_truncate_refuse
  before truncate on billing.audit_chain
  for each STATEMENT
  execute function billing.refuse_audit_change();

alter table "billing"."audit_chain"
  enable always trigger "audit_chain_before_truncate_refuse";

create policy "Nobody reads the audit chain" on "billing"."audit_chain"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."audit_chain" is 'The log in the order of commits: hash is sha256 of the previous hash and row_hash. Apart from the log, because a row that may never change cannot be given its hash at commit.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."audit_chain" to "postgres";

-- billing/tables/audit_head

create table "billing"."audit_head" (
  "id"   boolean not null default true,
  "seq"  bigint  not null,
  "hash" bytea   not null,
  constraint "audit_head_id_check" check (id),
  constraint "audit_head_pkey" primary key (id)
);

alter table "billing"."audit_head"
  enable row level security;

alter table "billing"."audit_head"
  set (fillfactor=10);

create trigger audit_head_before_delete_refuse
  before delete on billing.audit_head
  for each row
  execute function billing.refuse_audit_change();

alter table "billing"."audit_head"
  enable always trigger "audit_head_before_delete_refuse";

create trigger audit_head_before_truncate_refuse
  before truncate on billing.audit_head
  for each STATEMENT
  execute function billing.refuse_audit_change();

alter table "billing"."audit_head"
  enable always trigger "audit_head_before_truncate_refuse";

create policy "Nobody reads the head of the audit chain" on "billing"."audit_head"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."audit_head" is 'The end of the chain: one row, which every audited commit locks.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."audit_head" to "postgres";

-- billing/tables/audit_log

create table "billing"."audit_log" (
  "id"           bigint                   generated always as identity not null,
  "at"           timestamp with time zone not null,
  "actor"        text                     not null,
  "on_behalf_of" uuid,
  "action"       text                     not null,
  "subject"      text                     not null,
  "user_id"      uuid,
  "before"       jsonb,
  "after"        jsonb,
  "request_id"   uuid,
  "stripe_ids"   text[]                   not null
) partition by range (at);

alter table "billing"."audit_log"
  enable row level security;

alter table "billing"."audit_log"
  alter column "at" set default now();

alter table "billing"."audit_log"
  add constraint "audit_log_pkey" primary key (at, id);

create index audit_log_subject_at_idx on only billing.audit_log using btree (subject, at);

create index audit_log_user_id_at_idx on only billing.audit_log using btree (user_id, at);

create constraint TRIGGER audit_log_after_insert_chain
  after insert on billing.audit_log deferrable initially deferred
  for each row
  execute function billing.chain_audit();

create trigger audit_log_before_change_refuse
  before delete or update on billing.audit_log
  for each row
  execute function billing.refuse_audit_change();

alter table "billing"."audit_log"
  enable always trigger "audit_log_before_change_refuse";

create trigger audit_log_before_truncate_refuse
  before truncate on billing.audit_log
  for each STATEMENT
  execute function billing.refuse_audit_change();

alter table "billing"."audit_log"
  enable always trigger "audit_log_before_truncate_refuse";

create policy "Nobody reads the audit log" on "billing"."audit_log"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."audit_log"."action" is '<area>.<thing>.<created, changed or removed>.';

comment on column "billing"."audit_log"."actor" is 'user:<id>, service_role (a function of ours), operator:<database role>, or system (a job).';

comment on column "billing"."audit_log"."before" is 'The told columns as they were; null: there was no row.';

comment on column "billing"."audit_log"."on_behalf_of" is 'Whose call made the function do it; null for jobs and events.';

comment on column "billing"."audit_log"."request_id" is 'As in the answer''s x-request-id and the functions'' log.';

comment on column "billing"."audit_log"."user_id" is 'Whom it is about. No foreign key: what happened outlives the person, who is then only a number.';

comment on table "billing"."audit_log" is 'What happened, one row per change, kept for the setting audit_retention_months. Only ever added to.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."audit_log" to "postgres";

-- billing/tables/catalogue_checks

create table "billing"."catalogue_checks" (
  "lookup_key" text                     not null,
  "verdict"    text                     not null,
  "checked_at" timestamp with time zone not null default now(),
  constraint "catalogue_checks_pkey" primary key (lookup_key),
  constraint "catalogue_checks_verdict_check" check ((verdict = ANY (ARRAY['equal'::text, 'missing'::text, 'differs'::text])))
);

alter table "billing"."catalogue_checks"
  enable row level security;

create policy "Nobody reads the checks of the catalogue" on "billing"."catalogue_checks"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."catalogue_checks"."verdict" is 'missing: Stripe has no active price with this lookup key. differs: it has, with another amount, currency, interval or tiers.';

comment on table "billing"."catalogue_checks" is 'What Stripe''s price of each row that is sold was like when it was last looked at.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."catalogue_checks" to "postgres";

-- billing/tables/catalogue_state

create table "billing"."catalogue_state" (
  "id"         boolean                  not null default true,
  "changed_at" timestamp with time zone not null default now(),
  constraint "catalogue_state_id_check" check (id),
  constraint "catalogue_state_pkey" primary key (id)
);

alter table "billing"."catalogue_state"
  enable row level security;

create policy "Nobody reads the catalogue's lock" on "billing"."catalogue_state"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."catalogue_state" is 'One row, whose lock decides between changing the catalogue and caching what it says.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."catalogue_state" to "postgres";

-- billing/tables/checkout_attempts

create table "billing"."checkout_attempts" (
  "user_id"    uuid                     not null,
  "attempt"    bigint                   not null,
  "lookup_key" text                     not null,
  "started_at" timestamp with time zone not null default now(),
  "closed_at"  timestamp with time zone,
  constraint "checkout_attempts_pkey" primary key (user_id),
  constraint "checkout_attempts_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "checkout_attempts_lookup_key_fkey" foreign key (lookup_key) references public.prices(lookup_key)
);

alter table "billing"."checkout_attempts"
  enable row level security;

create index checkout_attempts_lookup_key_idx on billing.checkout_attempts using btree (lookup_key);

create trigger checkout_attempts_after_change_audit
  after insert or delete or update of lookup_key, attempt, closed_at on billing.checkout_attempts
  for each row
  execute function billing.audit('billing.checkout', 'user_id', 'user_id', 'lookup_key,attempt,closed_at', '');

create trigger checkout_attempts_before_write_refuse_leaving
  before insert or update on billing.checkout_attempts
  for each row
  when ((new.closed_at IS NULL))
  execute function billing.refuse_leaving('user_id');

create policy "Nobody reads checkout attempts" on "billing"."checkout_attempts"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."checkout_attempts"."attempt" is 'Counts up per user, never reused.';

comment on column "billing"."checkout_attempts"."closed_at" is 'Paid, expired or given up; the next one is another.';

comment on table "billing"."checkout_attempts" is 'The latest checkout of each user; earlier ones are superseded.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."checkout_attempts" to "postgres";

-- billing/tables/deletions

create table "billing"."deletions" (
  "user_id"            uuid                     not null,
  "stripe_customer_id" text,
  "stripe_account_id"  text,
  "requested_at"       timestamp with time zone not null default now(),
  "steps"              jsonb                    not null default '{}'::jsonb,
  "attempts"           integer                  not null default 0,
  "last_error"         text,
  "next_attempt_at"    timestamp with time zone default now(),
  "finished_at"        timestamp with time zone,
  constraint "deletions_attempts_check" check ((attempts >= 0)),
  constraint "deletions_open_or_finished" check (((finished_at IS NULL) = (next_attempt_at IS NOT NULL))),
  constraint "deletions_pkey" primary key (user_id),
  constraint "deletions_stripe_customer_id_key" unique (stripe_customer_id)
);

alter table "billing"."deletions"
  enable row level security;

create index deletions_next_attempt_at_idx on billing.deletions using btree (next_attempt_at)
  where (finished_at is null);

create index deletions_requested_at_idx on billing.deletions using btree (requested_at)
  where (finished_at is null);

create trigger deletions_after_change_audit
  after insert or delete or update of requested_at, finished_at on billing.deletions
  for each row
  execute function billing.audit('person.deletion', 'user_id', 'user_id', 'requested_at,finished_at', 'stripe_customer_id,stripe_account_id');

create policy "Nobody reads the deletions" on "billing"."deletions"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."deletions"."next_attempt_at" is 'When a worker may take it; a lease moves it on. Null once finished.';

comment on column "billing"."deletions"."steps" is 'What was done, by name, and when it was first done: {billing_ended, chat_removed, …}.';

comment on column "billing"."deletions"."user_id" is 'No foreign key: the row outlives the user.';

comment on table "billing"."deletions" is 'Who asked to be deleted and how far it is. Ids and times only: it stays when the person is gone.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."deletions" to "postgres";

-- billing/tables/deployments

create table "billing"."deployments" (
  "id"          bigint                   generated always as identity not null,
  "deployed_at" timestamp with time zone not null default now(),
  "version"     text                     not null,
  "commit"      text,
  "fingerprint" text                     not null,
  "functions"   jsonb                    not null,
  constraint "deployments_commit_check" check ((commit <> ''::text)),
  constraint "deployments_fingerprint_check" check ((fingerprint ~ '^[0-9a-f]{64}$'::text)),
  constraint "deployments_functions_check" check ((jsonb_typeof(functions) = 'object'::text)),
  constraint "deployments_pkey" primary key (id),
  constraint "deployments_version_check" check ((version <> ''::text))
);

alter table "billing"."deployments"
  enable row level security;

create policy "Nobody reads the deployments" on "billing"."deployments"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."deployments"."commit" is 'Git''s short name of the commit; with + when not all of it was committed.';

comment on column "billing"."deployments"."fingerprint" is 'SHA-256 over every uploaded file and setting of the functions.';

comment on column "billing"."deployments"."functions" is 'The version the project gave to each function, by its name.';

comment on column "billing"."deployments"."version" is 'Of package.json.';

comment on table "billing"."deployments" is 'One row for every time the Edge Functions were deployed by `npm run deploy`; the newest is what runs, unless somebody deployed by hand.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."deployments" to "postgres";

-- billing/tables/dispute_statuses

create table "billing"."dispute_statuses" (
  "status" text not null,
  "effect" text not null,
  constraint "dispute_statuses_effect_check" check ((effect = ANY (ARRAY['none'::text, 'open'::text, 'lost'::text]))),
  constraint "dispute_statuses_pkey" primary key (status)
);

alter table "billing"."dispute_statuses"
  enable row level security;

create trigger dispute_statuses_after_change_audit
  after insert or delete or update of effect on billing.dispute_statuses
  for each row
  execute function billing.audit('operator.dispute_status', '', 'status', 'effect', '');

create policy "Nobody reads the dispute statuses" on "billing"."dispute_statuses"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."dispute_statuses" is 'Dispute statuses we know (docs.stripe.com/api/disputes/object). One that is not here suspends, and is reported.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."dispute_statuses" to "postgres";

-- billing/tables/drifts

create table "billing"."drifts" (
  "stripe_customer_id" text                     not null,
  "field"              text                     not null,
  "ours"               jsonb,
  "stripe"             jsonb,
  "first_seen_at"      timestamp with time zone not null default now(),
  "last_seen_at"       timestamp with time zone not null default now(),
  "times"              integer                  not null default 1,
  "resolved_at"        timestamp with time zone,
  constraint "drifts_pkey" primary key (stripe_customer_id, field)
);

alter table "billing"."drifts"
  enable row level security;

create policy "Nobody reads the drifts" on "billing"."drifts"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."drifts"."times" is 'Looks in a row that found it. Twice means that repairs do not last.';

comment on table "billing"."drifts" is 'Where reconcile found our rows to differ from Stripe before it repaired them. resolved_at: not so at the next look.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."drifts" to "postgres";

-- billing/tables/grants

create table "billing"."grants" (
  "id"         bigint                   generated always as identity not null,
  "user_id"    uuid                     not null,
  "plan_id"    text                     not null,
  "starts_at"  timestamp with time zone not null default now(),
  "ends_at"    timestamp with time zone,
  "reason"     text                     not null,
  "granted_by" text                     not null default SESSION_USER,
  "created_at" timestamp with time zone not null default now(),
  "revoked_at" timestamp with time zone,
  constraint "grants_check" check ((ends_at > starts_at)),
  constraint "grants_pkey" primary key (id),
  constraint "grants_reason_check" check ((reason <> ''::text)),
  constraint "grants_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "grants_plan_id_fkey" foreign key (plan_id) references public.plans(id)
);

alter table "billing"."grants"
  enable row level security;

create index grants_plan_id_idx on billing.grants using btree (plan_id);

create index grants_user_id_idx on billing.grants using btree (user_id);

create trigger grants_after_change_audit
  after insert or delete or update of plan_id, starts_at, ends_at, reason, granted_by, revoked_at on billing.grants
  for each row
  execute function billing.audit('grant.plan', 'user_id', 'id', 'plan_id,starts_at,ends_at,reason,granted_by,revoked_at', '');

create policy "Nobody reads the grants" on "billing"."grants"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."grants"."ends_at" is 'Null: until it is revoked.';

comment on table "billing"."grants" is 'Plans given by an operator, by billing.grant_plan(). The highest plan counts.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."grants" to "postgres";

-- billing/tables/health_answer

create unlogged table "billing"."health_answer" (
  "id"     boolean                  not null default true,
  "at"     timestamp with time zone not null,
  "answer" jsonb                    not null,
  constraint "health_answer_id_check" check (id),
  constraint "health_answer_pkey" primary key (id)
);

alter table "billing"."health_answer"
  enable row level security;

create policy "Nobody reads the kept answer" on "billing"."health_answer"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."health_answer" is 'The last answer of public.read_health(): one row.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."health_answer" to "postgres";

-- billing/tables/health_marks

create table "billing"."health_marks" (
  "name" text                     not null,
  "at"   timestamp with time zone not null,
  constraint "health_marks_name_check" check ((name <> ''::text)),
  constraint "health_marks_pkey" primary key (name)
);

alter table "billing"."health_marks"
  enable row level security;

create policy "Nobody reads the marks" on "billing"."health_marks"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."health_marks" is 'When something last went well of which no other row tells.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."health_marks" to "postgres";

-- billing/tables/health_thresholds

create table "billing"."health_thresholds" (
  "check_name"     text                     not null,
  "check_function" text                     not null,
  "unit"           text                     not null,
  "warn"           numeric,
  "fail"           numeric,
  "hint"           text                     not null,
  "added_at"       timestamp with time zone not null default now(),
  constraint "health_thresholds_check1" check ((warn <= fail)),
  constraint "health_thresholds_check_function_check" check ((check_function ~ '^check_[a-z_]+$'::text)),
  constraint "health_thresholds_check_name_check" check ((check_name ~ '^[a-z][a-z0-9_]*(:(\*|[a-z0-9_-]+))?$'::text)),
  constraint "health_thresholds_check" check (((warn IS NOT NULL) OR (fail IS NOT NULL))),
  constraint "health_thresholds_hint_check" check ((hint <> ''::text)),
  constraint "health_thresholds_pkey" primary key (check_name),
  constraint "health_thresholds_unit_check" check ((unit <> ''::text))
);

alter table "billing"."health_thresholds"
  enable row level security;

create trigger health_thresholds_after_change_audit
  after insert or delete or update of warn, fail on billing.health_thresholds
  for each row
  execute function billing.audit('operator.health_threshold', '', 'check_name', 'warn,fail', '');

create policy "Nobody reads the thresholds" on "billing"."health_thresholds"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."health_thresholds"."added_at" is 'What has never happened yet counts as having happened then.';

comment on column "billing"."health_thresholds"."check_function" is 'A function billing.<name>(), which answers (check_name, value, since, note).';

comment on column "billing"."health_thresholds"."fail" is 'From this value on a failure; null: never.';

comment on column "billing"."health_thresholds"."hint" is 'What to do about it.';

comment on column "billing"."health_thresholds"."unit" is 'Of value, warn and fail.';

comment on column "billing"."health_thresholds"."warn" is 'From this value on a warning; null: never.';

comment on table "billing"."health_thresholds" is 'What is checked and from which value on it is a warning or a failure. Operators edit warn and fail; <name>:* is for what has no row of its own.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."health_thresholds" to "postgres";

-- billing/tables/held_usage

create table "billing"."held_usage" (
  "stripe_customer_id" text                     not null,
  "metric_id"          text                     not null,
  "period_start"       timestamp with time zone not null,
  "unclaimed"          bigint                   not null,
  constraint "held_usage_pkey" primary key (stripe_customer_id, metric_id, period_start),
  constraint "held_usage_unclaimed_check" check ((unclaimed > 0)),
  constraint "held_usage_metric_id_fkey" foreign key (metric_id) references public.metrics(id)
);

alter table "billing"."held_usage"
  enable row level security;

create index held_usage_metric_id_idx on billing.held_usage using btree (metric_id);

create policy "Nobody reads what is held back" on "billing"."held_usage"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."held_usage" is 'While usage is held back: what of the ledger was in no row of the outbox when that began. What is used meanwhile is not among it.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."held_usage" to "postgres";

-- billing/tables/ledger_accounts

create table "billing"."ledger_accounts" (
  "id"        bigint generated always as identity not null,
  "kind"      text   not null,
  "seller_id" uuid,
  "currency"  text   not null,
  constraint "ledger_accounts_check" check (((seller_id IS NOT NULL) = (kind = ANY (ARRAY['creator'::text, 'creator_bank'::text])))),
  constraint "ledger_accounts_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "ledger_accounts_kind_check"
    check ((kind = ANY (ARRAY['buyers'::text, 'platform'::text, 'stripe_fees'::text, 'creator'::text, 'creator_bank'::text, 'refunds'::text, 'disputes'::text]))),
  constraint "ledger_accounts_kind_seller_id_currency_key" unique nulls not DISTINCT (kind, seller_id, currency),
  constraint "ledger_accounts_pkey" primary key (id),
  constraint "ledger_accounts_seller_id_fkey" foreign key (seller_id) references public.sellers(id)
);

alter table "billing"."ledger_accounts"
  enable row level security;

create index ledger_accounts_seller_id_idx on billing.ledger_accounts using btree (seller_id);

create trigger ledger_accounts_before_change_refuse
  before delete or update on billing.ledger_accounts
  for each row
  execute function billing.refuse_posting_change();

create trigger ledger_accounts_before_truncate_refuse
  before truncate on billing.ledger_accounts
  for each STATEMENT
  execute function billing.refuse_posting_change();

create policy "Nobody reads the ledger's accounts" on "billing"."ledger_accounts"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."ledger_accounts" is 'Accounts of the ledger, one per kind, creator and currency.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."ledger_accounts" to "postgres";

-- billing/tables/ledger_check_cursor

create table "billing"."ledger_check_cursor" (
  "is_only"          boolean                  not null default true,
  "after"            uuid,
  "round_started_at" timestamp with time zone not null default now(),
  "updated_at"       timestamp with time zone not null default now(),
  "platform_after"   text,
  "platform_from"    timestamp with time zone not null default now(),
  constraint "ledger_check_cursor_is_only_check" check (is_only),
  constraint "ledger_check_cursor_pkey" primary key (is_only)
);

alter table "billing"."ledger_check_cursor"
  enable row level security;

create policy "Nobody reads where the ledger check is" on "billing"."ledger_check_cursor"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."ledger_check_cursor"."after" is 'The seller that was checked last; null: begin with the first.';

comment on column "billing"."ledger_check_cursor"."platform_after" is 'The balance transaction of ours that was compared last; null: begin with the first since platform_from.';

comment on column "billing"."ledger_check_cursor"."round_started_at" is 'When this round through all creators began.';

comment on table "billing"."ledger_check_cursor" is 'Where the scheduled check of the ledger goes on.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."ledger_check_cursor" to "postgres";

-- billing/tables/ledger_checks

create table "billing"."ledger_checks" (
  "id"           bigint                   generated always as identity not null,
  "run_at"       timestamp with time zone not null default now(),
  "subject"      text                     not null,
  "currency"     text                     not null,
  "ledger_minor" bigint                   not null,
  "stripe_minor" bigint                   not null,
  "note"         text,
  constraint "ledger_checks_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "ledger_checks_pkey" primary key (id),
  constraint "ledger_checks_subject_check" check ((subject <> ''::text))
);

alter table "billing"."ledger_checks"
  enable row level security;

alter table "billing"."ledger_checks"
  add column "drift_minor" bigint generated always as ((ledger_minor - stripe_minor)) stored;

create index ledger_checks_drift_run_at_idx on billing.ledger_checks using btree (run_at)
  where (drift_minor <> 0);

create index ledger_checks_run_at_idx on billing.ledger_checks using btree (run_at);

create index ledger_checks_subject_run_at_idx on billing.ledger_checks using btree (subject, currency, run_at);

create policy "Nobody reads the ledger checks" on "billing"."ledger_checks"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."ledger_checks" is 'What the ledger and Stripe said at the same time. A drift is a problem ledger_drift.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."ledger_checks" to "postgres";

-- billing/tables/ledger_entries

create table "billing"."ledger_entries" (
  "id"             bigint generated always as identity not null,
  "transaction_id" bigint not null,
  "account_id"     bigint not null,
  "amount_minor"   bigint not null,
  constraint "ledger_entries_account_id_fkey" foreign key (account_id) references billing.ledger_accounts(id),
  constraint "ledger_entries_amount_minor_check" check ((amount_minor <> 0)),
  constraint "ledger_entries_pkey" primary key (id),
  constraint "ledger_entries_transaction_id_fkey" foreign key (transaction_id) references billing.ledger_transactions(id)
);

alter table "billing"."ledger_entries"
  enable row level security;

create index ledger_entries_account_id_idx on billing.ledger_entries using btree (account_id);

create index ledger_entries_transaction_id_idx on billing.ledger_entries using btree (transaction_id);

create constraint TRIGGER ledger_entries_after_insert_check
  after insert on billing.ledger_entries deferrable initially deferred
  for each row
  execute function billing.check_posting('transaction_id');

create trigger ledger_entries_before_change_refuse
  before delete or update on billing.ledger_entries
  for each row
  execute function billing.refuse_posting_change();

create trigger ledger_entries_before_truncate_refuse
  before truncate on billing.ledger_entries
  for each STATEMENT
  execute function billing.refuse_posting_change();

create policy "Nobody reads the ledger's entries" on "billing"."ledger_entries"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."ledger_entries"."amount_minor" is 'In the smallest unit of the account''s currency; negative takes away.';

comment on table "billing"."ledger_entries" is 'What a transaction adds to its accounts; the sum is zero.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."ledger_entries" to "postgres";

-- billing/tables/ledger_transactions

create table "billing"."ledger_transactions" (
  "id"           bigint                   generated always as identity not null,
  "source"       text                     not null,
  "kind"         text                     not null,
  "purchase_id"  uuid,
  "seller_id"    uuid,
  "charge_id"    text,
  "amount_minor" bigint                   not null,
  "fee_minor"    bigint                   not null default 0,
  "currency"     text                     not null,
  "occurred_at"  timestamp with time zone not null,
  "posted_at"    timestamp with time zone not null default now(),
  constraint "ledger_transactions_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "ledger_transactions_kind_check"
    check
    ((kind = ANY (ARRAY['charge'::text, 'transfer'::text, 'application_fee'::text, 'refund'::text, 'refund_failed'::text, 'transfer_reversal'::text, 'fee_refund'::text,
    'dispute'::text, 'payout'::text, 'payout_failed'::text]))),
  constraint "ledger_transactions_pkey" primary key (id),
  constraint "ledger_transactions_source_check" check ((source <> ''::text)),
  constraint "ledger_transactions_source_key" unique (source),
  constraint "ledger_transactions_purchase_id_fkey" foreign key (purchase_id) references public.purchases(id),
  constraint "ledger_transactions_seller_id_fkey" foreign key (seller_id) references public.sellers(id)
);

alter table "billing"."ledger_transactions"
  enable row level security;

create index ledger_transactions_charge_id_idx on billing.ledger_transactions using btree (charge_id);

create index ledger_transactions_purchase_id_idx on billing.ledger_transactions using btree (purchase_id);

create index ledger_transactions_seller_id_occurred_at_idx on billing.ledger_transactions using btree (seller_id, occurred_at);

create constraint TRIGGER ledger_transactions_after_insert_check
  after insert on billing.ledger_transactions deferrable initially deferred
  for each row
  execute function billing.check_posting('id');

create trigger ledger_transactions_before_change_refuse
  before delete or update on billing.ledger_transactions
  for each row
  execute function billing.refuse_posting_change();

create trigger ledger_transactions_before_truncate_refuse
  before truncate on billing.ledger_transactions
  for each STATEMENT
  execute function billing.refuse_posting_change();

create policy "Nobody reads the ledger's transactions" on "billing"."ledger_transactions"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."ledger_transactions"."amount_minor" is 'As Stripe said it; signed for disputes only. A repeat must say the same.';

comment on column "billing"."ledger_transactions"."charge_id" is 'The payment it belongs to.';

comment on column "billing"."ledger_transactions"."fee_minor" is 'Stripe''s own fee of a charge or a dispute.';

comment on column "billing"."ledger_transactions"."source" is 'Stripe''s id, or id:failed for what came back; unique.';

comment on table "billing"."ledger_transactions" is 'What happened, once per object of Stripe.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."ledger_transactions" to "postgres";

-- billing/tables/metered_items

create table "billing"."metered_items" (
  "item_id"           text                     not null,
  "user_id"           uuid                     not null,
  "subscription_id"   text                     not null,
  "metric_id"         text                     not null,
  "price_lookup_key"  text,
  "currency"          text                     not null,
  "unit_amount_minor" numeric(20,6)            not null,
  "period_start"      timestamp with time zone not null,
  "period_end"        timestamp with time zone not null,
  "synced_at"         timestamp with time zone not null default now(),
  constraint "metered_items_check" check ((period_end > period_start)),
  constraint "metered_items_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "metered_items_pkey" primary key (item_id),
  constraint "metered_items_unit_amount_minor_check" check ((unit_amount_minor >= (0)::numeric)),
  constraint "metered_items_user_id_fkey" foreign key (user_id) references public.customers(user_id) on delete cascade,
  constraint "metered_items_metric_id_fkey" foreign key (metric_id) references public.metrics(id),
  constraint "metered_items_subscription_id_fkey" foreign key (subscription_id) references public.subscriptions(id) on delete cascade
);

alter table "billing"."metered_items"
  enable row level security;

create index metered_items_metric_id_idx on billing.metered_items using btree (metric_id);

create index metered_items_subscription_id_idx on billing.metered_items using btree (subscription_id);

create index metered_items_user_id_idx on billing.metered_items using btree (user_id);

create policy "Nobody reads the metered items" on "billing"."metered_items"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."metered_items"."unit_amount_minor" is 'Stripe''s truth, in minor units with up to six decimals.';

comment on table "billing"."metered_items" is 'Metered items of the subscriptions of a customer, from the snapshot: what Stripe will bill a unit at, and when.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."metered_items" to "postgres";

-- billing/tables/notification_emails

create table "billing"."notification_emails" (
  "notification_id" bigint                   not null,
  "queued_at"       timestamp with time zone not null,
  "parked_at"       timestamp with time zone,
  "attempts"        integer                  not null default 0,
  "next_attempt_at" timestamp with time zone not null default now(),
  "lease"           bigint                   not null default 0,
  "lease_until"     timestamp with time zone,
  "last_error"      text,
  constraint "notification_emails_check" check (((parked_at IS NULL) OR (lease_until IS NULL))),
  constraint "notification_emails_pkey" primary key (notification_id),
  constraint "notification_emails_notification_id_fkey" foreign key (notification_id) references public.notifications(id) on delete cascade
);

alter table "billing"."notification_emails"
  enable row level security;

create index notification_emails_next_attempt_at_idx on billing.notification_emails using btree (next_attempt_at)
  where (parked_at is null);

create index notification_emails_parked_at_idx on billing.notification_emails using btree (parked_at)
  where (parked_at is not null);

create index notification_emails_queued_at_idx on billing.notification_emails using btree (queued_at)
  where (parked_at is null);

create trigger notification_emails_after_change_audit
  after update of parked_at on billing.notification_emails
  for each row
  when ((old.parked_at IS DISTINCT FROM new.parked_at))
  execute function billing.audit('operator.notification_email', '', 'notification_id', 'parked_at', '');

create policy "Nobody reads the e-mails" on "billing"."notification_emails"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."notification_emails"."lease" is 'Counts leases: who has an old one may not give a newer one back.';

comment on column "billing"."notification_emails"."queued_at" is 'Since when it is to be sent: as the notice was written, or as an operator asked again. After a day it is not sent any more.';

comment on table "billing"."notification_emails" is 'Notices on their way out: leased, to be tried again, or parked. A notice that was sent has no row, only its sent_at.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."notification_emails" to "postgres";

-- billing/tables/notification_optouts

create table "billing"."notification_optouts" (
  "user_id"    uuid                     not null,
  "created_at" timestamp with time zone not null default now(),
  constraint "notification_optouts_pkey" primary key (user_id),
  constraint "notification_optouts_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade
);

alter table "billing"."notification_optouts"
  enable row level security;

create trigger notification_optouts_after_change_audit
  after insert or delete or update of created_at on billing.notification_optouts
  for each row
  execute function billing.audit('billing.notification_optout', 'user_id', 'user_id', 'created_at', '');

create policy "Nobody reads who wants no e-mails" on "billing"."notification_optouts"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."notification_optouts" is 'Who does not want notices by e-mail.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."notification_optouts" to "postgres";

-- billing/tables/overage_accounts

create table "billing"."overage_accounts" (
  "user_id"         uuid                     not null,
  "enabled"         boolean                  not null default false,
  "subscription_id" text,
  "cap_minor"       bigint,
  "currency"        text                     not null,
  "period_start"    timestamp with time zone,
  "period_end"      timestamp with time zone,
  "spent_minor"     numeric(20,6)            not null default 0,
  "updated_at"      timestamp with time zone not null default now(),
  constraint "overage_accounts_cap_minor_check" check (((cap_minor >= 1) AND (cap_minor <= 10000000))),
  constraint "overage_accounts_check1" check (((period_start IS NULL) = (period_end IS NULL))),
  constraint "overage_accounts_check2" check ((period_end > period_start)),
  constraint "overage_accounts_check" check (((NOT enabled) OR ((cap_minor IS NOT NULL) AND (subscription_id IS NOT NULL)))),
  constraint "overage_accounts_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "overage_accounts_pkey" primary key (user_id),
  constraint "overage_accounts_spent_minor_check" check ((spent_minor >= (0)::numeric)),
  constraint "overage_accounts_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade
);

alter table "billing"."overage_accounts"
  enable row level security;

alter table "billing"."overage_accounts"
  set (fillfactor=60);

create trigger overage_accounts_after_change_audit
  after insert or delete or update of enabled, subscription_id, cap_minor, currency on billing.overage_accounts
  for each row
  execute function billing.audit('billing.overage', 'user_id', 'user_id', 'enabled,subscription_id,cap_minor,currency', 'subscription_id');

create trigger overage_accounts_before_write_refuse_leaving
  before insert or update of enabled, cap_minor on billing.overage_accounts
  for each row
  when (new.enabled)
  execute function billing.refuse_leaving('user_id');

create policy "Nobody reads the overage accounts" on "billing"."overage_accounts"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."overage_accounts"."period_start" is 'Period of the metered items; null until there are some. Past its end it goes on by a month at a time until the snapshot with Stripe''s next period is there.';

comment on column "billing"."overage_accounts"."spent_minor" is 'The sum of the ledger in this period, in minor units.';

comment on column "billing"."overage_accounts"."subscription_id" is 'The subscription the owner said yes to. Consent ends with it: another subscription is asked about again.';

comment on table "billing"."overage_accounts" is 'Who said yes to paying beyond the allowance, up to what, and what this billing period has come to.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."overage_accounts" to "postgres";

-- billing/tables/overage_usage

create table "billing"."overage_usage" (
  "stripe_customer_id" text                     not null,
  "metric_id"          text                     not null,
  "period_start"       timestamp with time zone not null,
  "period_end"         timestamp with time zone not null,
  "user_id"            uuid,
  "quantity"           bigint                   not null,
  "claimed"            bigint                   not null default 0,
  "corrected"          bigint                   not null default 0,
  "sequence"           integer                  not null default 0,
  "amount_minor"       numeric(20,6)            not null,
  constraint "overage_usage_amount_minor_check" check ((amount_minor >= (0)::numeric)),
  constraint "overage_usage_check1" check (((claimed >= 0) AND (claimed <= quantity))),
  constraint "overage_usage_check2" check (((corrected >= 0) AND (corrected <= claimed))),
  constraint "overage_usage_check" check ((period_end > period_start)),
  constraint "overage_usage_pkey" primary key (stripe_customer_id, metric_id, period_start),
  constraint "overage_usage_quantity_check" check ((quantity >= 0)),
  constraint "overage_usage_sequence_check" check ((sequence >= 0)),
  constraint "overage_usage_stripe_customer_id_check" check ((stripe_customer_id <> ''::text)),
  constraint "overage_usage_user_id_fkey" foreign key (user_id) references auth.users(id) on delete set null,
  constraint "overage_usage_metric_id_fkey" foreign key (metric_id) references public.metrics(id)
);

alter table "billing"."overage_usage"
  enable row level security;

alter table "billing"."overage_usage"
  set (fillfactor=60);

alter table "billing"."overage_usage"
  add column "waiting" boolean generated always as ((claimed < quantity)) stored;

create index overage_usage_metric_id_idx on billing.overage_usage using btree (metric_id);

create index overage_usage_user_id_period_start_idx on billing.overage_usage using btree (user_id, period_start);

create index overage_usage_waiting_idx on billing.overage_usage using btree (period_start, stripe_customer_id, metric_id)
  where waiting;

create trigger overage_usage_after_delete_refuse
  after delete on billing.overage_usage
  for each row
  execute function billing.refuse_ledger_change();

create trigger overage_usage_after_update_refuse
  after update on billing.overage_usage
  for each row
  when
    (((new.quantity < old.quantity) OR (new.claimed < old.claimed) OR (new.corrected < old.corrected) OR (new.sequence < old.sequence) OR (new.stripe_customer_id <>
    old.stripe_customer_id) OR (new.metric_id <> old.metric_id) OR (new.period_start <> old.period_start)))
  execute function billing.refuse_ledger_change();

create trigger overage_usage_before_truncate_refuse
  before truncate on billing.overage_usage
  for each STATEMENT
  execute function billing.refuse_ledger_change();

create policy "Nobody reads the ledger" on "billing"."overage_usage"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."overage_usage"."amount_minor" is 'What it costs less what was corrected, at the price each unit was admitted at.';

comment on column "billing"."overage_usage"."claimed" is 'How much of quantity is in the outbox; the sum of its events.';

comment on column "billing"."overage_usage"."corrected" is 'How much of claimed was taken back by billing.correct_usage().';

comment on column "billing"."overage_usage"."sequence" is 'The last event made of it; part of the event''s identifier.';

comment on table "billing"."overage_usage" is 'THE LEDGER: what is billed beyond allowances, per Stripe customer, metric and billing period. Raised in the transaction that admits; never lowered, never deleted. It belongs to the Stripe customer, so it survives its user.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."overage_usage" to "postgres";

-- billing/tables/payouts

create table "billing"."payouts" (
  "id"           text                     not null,
  "seller_id"    uuid                     not null,
  "amount_minor" bigint                   not null,
  "currency"     text                     not null,
  "status"       text                     not null,
  "created_at"   timestamp with time zone not null,
  "arrival_date" date,
  constraint "payouts_amount_minor_check" check ((amount_minor <> 0)),
  constraint "payouts_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "payouts_pkey" primary key (id),
  constraint "payouts_seller_id_fkey" foreign key (seller_id) references public.sellers(id)
);

alter table "billing"."payouts"
  enable row level security;

create index payouts_seller_id_created_at_idx on billing.payouts using btree (seller_id, created_at);

create trigger payouts_after_change_audit
  after insert or delete or update of seller_id, amount_minor, currency, status, arrival_date on billing.payouts
  for each row
  execute function billing.audit('billing.payout', '', 'id', 'seller_id,amount_minor,currency,status,arrival_date', 'id');

create policy "Nobody reads the payouts" on "billing"."payouts"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."payouts" is 'Payouts of connected accounts to the banks of their creators, as Stripe says.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."payouts" to "postgres";

-- billing/tables/plan_changes

create table "billing"."plan_changes" (
  "user_id"     uuid                     not null,
  "lease_token" bigint,
  "lease_until" timestamp with time zone,
  "changed_at"  timestamp with time zone,
  constraint "plan_changes_pkey" primary key (user_id),
  constraint "plan_changes_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade
);

alter table "billing"."plan_changes"
  enable row level security;

create trigger plan_changes_before_write_refuse_leaving
  before insert or update on billing.plan_changes
  for each row
  when ((new.lease_token IS NOT NULL))
  execute function billing.refuse_leaving('user_id');

create policy "Nobody reads plan changes" on "billing"."plan_changes"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."plan_changes"."changed_at" is 'A preview made in this second or before it is no longer true. Null: there was no change yet.';

comment on column "billing"."plan_changes"."lease_token" is 'Whose lease it is. A holder that dies loses it at lease_until.';

comment on table "billing"."plan_changes" is 'Who is changing their subscription, and when something was last charged by it.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."plan_changes" to "postgres";

-- billing/tables/problems

create table "billing"."problems" (
  "kind"          text                     not null,
  "subject"       text                     not null,
  "details"       jsonb                    not null default '{}'::jsonb,
  "occurrences"   bigint                   not null default 1,
  "first_seen_at" timestamp with time zone not null default now(),
  "last_seen_at"  timestamp with time zone not null default now(),
  "resolved_at"   timestamp with time zone,
  constraint "problems_pkey" primary key (kind, subject)
);

alter table "billing"."problems"
  enable row level security;

create index problems_open_idx on billing.problems using btree (kind)
  where (resolved_at is null);

create policy "Nobody reads the problems" on "billing"."problems"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."problems"."resolved_at" is 'When it was last seen to be gone; null while it lasts.';

comment on column "billing"."problems"."subject" is 'Id of what it is about: a subscription, a customer, an event.';

comment on table "billing"."problems" is 'What an operator should look at: one row per kind and subject, however often it happens.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."problems" to "postgres";

-- billing/tables/purchase_charges

create table "billing"."purchase_charges" (
  "id"           text                     not null,
  "purchase_id"  uuid                     not null,
  "amount_minor" bigint                   not null,
  "status"       text                     not null,
  "created_at"   timestamp with time zone not null,
  constraint "purchase_charges_amount_minor_check" check ((amount_minor >= 0)),
  constraint "purchase_charges_pkey" primary key (id),
  constraint "purchase_charges_purchase_id_fkey" foreign key (purchase_id) references public.purchases(id)
);

alter table "billing"."purchase_charges"
  enable row level security;

create index purchase_charges_purchase_id_created_at_idx on billing.purchase_charges using btree (purchase_id, created_at);

create trigger purchase_charges_after_change_audit
  after insert or delete or update of purchase_id, amount_minor, status on billing.purchase_charges
  for each row
  execute function billing.audit('billing.charge', '', 'id', 'purchase_id,amount_minor,status', 'id');

create policy "Nobody reads the charges" on "billing"."purchase_charges"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."purchase_charges" is 'Stripe''s charges of a purchase; a monthly one has one a month.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."purchase_charges" to "postgres";

-- billing/tables/purchase_disputes

create table "billing"."purchase_disputes" (
  "id"              text                     not null,
  "purchase_id"     uuid                     not null,
  "charge_id"       text                     not null,
  "status"          text                     not null,
  "amount_minor"    bigint                   not null,
  "currency"        text                     not null,
  "reason"          text,
  "evidence_due_by" timestamp with time zone,
  "seen_at"         timestamp with time zone not null default now(),
  "transfer_state"  text                     not null default 'none'::text,
  "reversed_minor"  bigint,
  "attempts"        integer                  not null default 0,
  "next_attempt_at" timestamp with time zone not null default now(),
  "last_error"      text,
  "shared_minor"    bigint                   not null default 0,
  constraint "purchase_disputes_amount_minor_check" check ((amount_minor >= 0)),
  constraint "purchase_disputes_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "purchase_disputes_pkey" primary key (id),
  constraint "purchase_disputes_shared_minor_check" check ((shared_minor >= 0)),
  constraint "purchase_disputes_transfer_state_check" check ((transfer_state = ANY (ARRAY['none'::text, 'reversed'::text, 'paid_back'::text, 'failed'::text]))),
  constraint "purchase_disputes_purchase_id_fkey" foreign key (purchase_id) references public.purchases(id)
);

alter table "billing"."purchase_disputes"
  enable row level security;

create index purchase_disputes_charge_id_idx on billing.purchase_disputes using btree (charge_id);

create index purchase_disputes_evidence_due_by_idx on billing.purchase_disputes using btree (evidence_due_by)
  where (status = ANY (ARRAY['needs_response'::text, 'warning_needs_response'::text]));

create index purchase_disputes_next_attempt_at_idx on billing.purchase_disputes using btree (next_attempt_at);

create index purchase_disputes_purchase_id_idx on billing.purchase_disputes using btree (purchase_id);

create index purchase_disputes_work_idx on billing.purchase_disputes using btree (next_attempt_at)
  where
    (((transfer_state = 'none'::text) AND (status = ANY (ARRAY['needs_response'::text, 'under_review'::text, 'lost'::text]))) or ((transfer_state = 'reversed'::text) AND (status =
    'won'::text) AND (reversed_minor > 0)));

create trigger purchase_disputes_after_change_audit
  after insert or delete or update of purchase_id, charge_id, status, amount_minor, currency, transfer_state, reversed_minor on billing.purchase_disputes
  for each row
  execute function billing.audit('billing.dispute', '', 'id', 'purchase_id,charge_id,status,amount_minor,currency,transfer_state,reversed_minor', 'id,charge_id');

create policy "Nobody reads the disputes" on "billing"."purchase_disputes"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."purchase_disputes"."shared_minor" is 'Of a won dispute: how much of the payment had been refunded when what was paid again was last brought into line with it.';

comment on column "billing"."purchase_disputes"."transfer_state" is 'The creator''s share: taken back while the bank holds the money, paid again when the dispute is won, or failed.';

comment on table "billing"."purchase_disputes" is 'Stripe''s disputes of those charges, and what became of the creator''s share.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."purchase_disputes" to "postgres";

-- billing/tables/purchase_refunds

create table "billing"."purchase_refunds" (
  "id"           text   not null,
  "purchase_id"  uuid   not null,
  "charge_id"    text   not null,
  "amount_minor" bigint not null,
  "status"       text   not null,
  constraint "purchase_refunds_amount_minor_check" check ((amount_minor >= 0)),
  constraint "purchase_refunds_pkey" primary key (id),
  constraint "purchase_refunds_purchase_id_fkey" foreign key (purchase_id) references public.purchases(id)
);

alter table "billing"."purchase_refunds"
  enable row level security;

create index purchase_refunds_charge_id_idx on billing.purchase_refunds using btree (charge_id);

create index purchase_refunds_purchase_id_idx on billing.purchase_refunds using btree (purchase_id);

create trigger purchase_refunds_after_change_audit
  after insert or delete or update of purchase_id, charge_id, amount_minor, status on billing.purchase_refunds
  for each row
  execute function billing.audit('refund.refund', '', 'id', 'purchase_id,charge_id,amount_minor,status', 'id,charge_id');

create policy "Nobody reads the refunds" on "billing"."purchase_refunds"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."purchase_refunds" is 'Stripe''s refunds of those charges.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."purchase_refunds" to "postgres";

-- billing/tables/quota_gates

create table "billing"."quota_gates" (
  "table_id"      regclass                 not null,
  "owner_column"  name                     not null,
  "metric_id"     text                     not null,
  "condition"     text,
  "function_name" name                     not null,
  "attached_at"   timestamp with time zone not null default now(),
  constraint "quota_gates_condition_check" check ((condition <> ''::text)),
  constraint "quota_gates_function_name_key" unique (function_name),
  constraint "quota_gates_pkey" primary key (table_id),
  constraint "quota_gates_metric_id_fkey" foreign key (metric_id) references public.metrics(id)
);

alter table "billing"."quota_gates"
  enable row level security;

create index quota_gates_metric_id_idx on billing.quota_gates using btree (metric_id);

create trigger quota_gates_after_change_audit
  after insert or delete or update of owner_column, metric_id, condition on billing.quota_gates
  for each row
  execute function billing.audit('operator.quota_gate', '', 'table_id', 'owner_column,metric_id,condition', '');

create policy "Nobody reads the gates" on "billing"."quota_gates"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."quota_gates"."condition" is 'Which rows count, as it was given; null: all.';

comment on column "billing"."quota_gates"."function_name" is 'The trigger function for a client''s row; the one for everybody else''s statement has "_many" behind it.';

comment on column "billing"."quota_gates"."owner_column" is 'Column with the id of the user whose quota a row takes from.';

comment on table "billing"."quota_gates" is 'Tables whose rows are counted; written by billing.attach_quota() alone.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."quota_gates" to "postgres";

-- billing/tables/rate_buckets

create unlogged table "billing"."rate_buckets" (
  "key" bytea                    not null,
  "tat" timestamp with time zone not null,
  constraint "rate_buckets_key_check" check ((octet_length(key) = 16)),
  constraint "rate_buckets_pkey" primary key (key)
);

alter table "billing"."rate_buckets"
  enable row level security;

alter table "billing"."rate_buckets"
  set (fillfactor=70);

create policy "Nobody reads the buckets" on "billing"."rate_buckets"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."rate_buckets"."key" is 'Keyed hash of function, limit and person or address; neither is stored anywhere.';

comment on column "billing"."rate_buckets"."tat" is 'Theoretical arrival time of the next call. No index: every call changes it, and the table is as small as a few minutes'' callers.';

comment on table "billing"."rate_buckets" is 'Calls of late, per function and person or address. Unlogged: after a crash of the database everybody begins anew.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."rate_buckets" to "postgres";

-- billing/tables/rate_key

create table "billing"."rate_key" (
  "id"  boolean not null default true,
  "key" bytea   not null,
  constraint "rate_key_id_check" check (id),
  constraint "rate_key_key_check" check ((octet_length(key) = 32)),
  constraint "rate_key_pkey" primary key (id)
);

alter table "billing"."rate_key"
  enable row level security;

create policy "Nobody reads the key of the buckets" on "billing"."rate_key"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."rate_key" is 'The key of the hashes in billing.rate_buckets: one row, made here, and never given out. Another key empties the buckets.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."rate_key" to "postgres";

-- billing/tables/rate_limits

create table "billing"."rate_limits" (
  "name"           text    not null,
  "scope"          text    not null,
  "burst"          integer not null,
  "period_seconds" integer not null,
  constraint "rate_limits_burst_check" check (((burst >= 1) AND (burst <= 1000000))),
  constraint "rate_limits_name_check" check (((name = '*'::text) OR (name ~ '^[a-z][a-z0-9-]*$'::text))),
  constraint "rate_limits_period_seconds_check" check (((period_seconds >= 1) AND (period_seconds <= 86400))),
  constraint "rate_limits_pkey" primary key (name, scope),
  constraint "rate_limits_scope_check" check ((scope = ANY (ARRAY['user'::text, 'address'::text])))
);

alter table "billing"."rate_limits"
  enable row level security;

create trigger rate_limits_after_change_audit
  after insert or delete or update of burst, period_seconds on billing.rate_limits
  for each row
  execute function billing.audit('operator.rate_limit', '', 'name,scope', 'burst,period_seconds', '');

create policy "Nobody reads the rate limits" on "billing"."rate_limits"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."rate_limits"."name" is 'The function; * is every function without a row of its own, each with buckets of its own.';

comment on column "billing"."rate_limits"."scope" is 'Whose calls are counted together: one person''s, or one address''s, behind which may be a whole office.';

comment on table "billing"."rate_limits" is 'How often a function may be called: burst calls at once, and burst calls every period. Operators edit the rows, and a changed one counts from the next call on, from nothing.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."rate_limits" to "postgres";

-- billing/tables/reconcile_queue

create table "billing"."reconcile_queue" (
  "stripe_customer_id" text                     not null,
  "queued_at"          timestamp with time zone not null default now(),
  constraint "reconcile_queue_pkey" primary key (stripe_customer_id)
);

alter table "billing"."reconcile_queue"
  enable row level security;

create policy "Nobody reads the queue" on "billing"."reconcile_queue"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."reconcile_queue" is 'Customers that reconcile has still to look at.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."reconcile_queue" to "postgres";

-- billing/tables/reconcile_runs

create table "billing"."reconcile_runs" (
  "id"             bigint                   generated always as identity not null,
  "started_at"     timestamp with time zone not null default now(),
  "since"          timestamp with time zone not null,
  "cursor"         text,
  "listed"         boolean                  not null default false,
  "leased_until"   timestamp with time zone,
  "finished_at"    timestamp with time zone,
  "events_seen"    bigint                   not null default 0,
  "events_missing" bigint                   not null default 0,
  "customers"      bigint                   not null default 0,
  "drifts"         bigint                   not null default 0,
  "last_error"     text,
  constraint "reconcile_runs_pkey" primary key (id)
);

alter table "billing"."reconcile_runs"
  enable row level security;

create unique index reconcile_runs_unfinished_idx on billing.reconcile_runs using btree (((finished_at is null)))
  where (finished_at is null);

create policy "Nobody reads the runs" on "billing"."reconcile_runs"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."reconcile_runs"."cursor" is 'The last event listed; the list goes back in time from it.';

comment on column "billing"."reconcile_runs"."events_missing" is 'Events that were never delivered to us.';

comment on column "billing"."reconcile_runs"."since" is 'The watermark: events created from here on are listed.';

comment on table "billing"."reconcile_runs" is 'Every run of reconcile; one at most is unfinished, and the next call goes on with it.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."reconcile_runs" to "postgres";

-- billing/tables/refund_requests

create table "billing"."refund_requests" (
  "id"               uuid                     not null default gen_random_uuid(),
  "purchase_id"      uuid                     not null,
  "charge_id"        text                     not null,
  "amount_minor"     bigint                   not null,
  "reason"           text                     not null,
  "requested_by"     text                     not null default SESSION_USER,
  "status"           text                     not null default 'pending'::text,
  "stripe_refund_id" text,
  "last_error"       text,
  "attempts"         integer                  not null default 0,
  "next_attempt_at"  timestamp with time zone not null default now(),
  "created_at"       timestamp with time zone not null default now(),
  constraint "refund_requests_amount_minor_check" check ((amount_minor > 0)),
  constraint "refund_requests_charge_id_fkey" foreign key (charge_id) references billing.purchase_charges(id),
  constraint "refund_requests_check" check (((status <> 'sent'::text) OR (stripe_refund_id IS NOT NULL))),
  constraint "refund_requests_pkey" primary key (id),
  constraint "refund_requests_reason_check" check ((reason <> ''::text)),
  constraint "refund_requests_status_check" check ((status = ANY (ARRAY['pending'::text, 'sent'::text, 'failed'::text]))),
  constraint "refund_requests_stripe_refund_id_key" unique (stripe_refund_id),
  constraint "refund_requests_purchase_id_fkey" foreign key (purchase_id) references public.purchases(id)
);

alter table "billing"."refund_requests"
  enable row level security;

create index refund_requests_charge_id_idx on billing.refund_requests using btree (charge_id);

create index refund_requests_next_attempt_at_idx on billing.refund_requests using btree (next_attempt_at)
  where (status = 'pending'::text);

create index refund_requests_pending_created_at_idx on billing.refund_requests using btree (created_at)
  where (status = 'pending'::text);

create index refund_requests_purchase_id_idx on billing.refund_requests using btree (purchase_id);

create trigger refund_requests_after_change_audit
  after insert or delete or update of purchase_id, charge_id, amount_minor, reason, requested_by, status, stripe_refund_id on billing.refund_requests
  for each row
  execute function billing.audit('refund.request', '', 'id', 'purchase_id,charge_id,amount_minor,reason,requested_by,status,stripe_refund_id', 'charge_id,stripe_refund_id');

create policy "Nobody reads the refund requests" on "billing"."refund_requests"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."refund_requests"."amount_minor" is 'Decided when it was asked for, so that a repeat means the same.';

comment on table "billing"."refund_requests" is 'Refunds by operators, by billing.refund_purchase(). The id is the idempotency key, so asking Stripe twice refunds once.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."refund_requests" to "postgres";

-- billing/tables/settings

create table "billing"."settings" (
  "key"         text  not null,
  "value"       jsonb not null,
  "description" text  not null,
  constraint "settings_audit_retention_is_months"
    check
    (((key <> 'audit_retention_months'::text) OR ((jsonb_typeof(value) = 'number'::text) AND ((((value #>> '{}'::text[]))::numeric >= (1)::numeric) AND (((value #>>
    '{}'::text[]))::numeric <= (1200)::numeric)) AND ((((value #>> '{}'::text[]))::numeric % (1)::numeric) = (0)::numeric)))),
  constraint "settings_description_check" check ((description <> ''::text)),
  constraint "settings_grace_days_is_days"
    check
    (((key <> 'grace_days'::text) OR ((jsonb_typeof(value) = 'number'::text) AND ((((value #>> '{}'::text[]))::numeric >= (0)::numeric) AND (((value #>> '{}'::text[]))::numeric <=
    (90)::numeric))))),
  constraint "settings_key_check" check ((key ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "settings_overage_cap_maximum_is_amounts"
    check
    (((key <> 'overage_cap_maximum'::text) OR ((jsonb_typeof(value) = 'object'::text) AND (value ? 'default'::text) AND (NOT jsonb_path_exists(value,
    '$.*?(((@.type() != "number" || @ < 1) || @ > 10000000) || @ != @.floor())'::jsonpath))))),
  constraint "settings_pkey" primary key (key),
  constraint "settings_platform_fee_is_bps"
    check
    (((key <> 'platform_fee_bps'::text) OR ((jsonb_typeof(value) = 'number'::text) AND ((((value #>> '{}'::text[]))::numeric >= (0)::numeric) AND (((value #>>
    '{}'::text[]))::numeric <= (10000)::numeric)) AND ((((value #>> '{}'::text[]))::numeric % (1)::numeric) = (0)::numeric)))),
  constraint "settings_switches_are_booleans"
    check (((key <> ALL (ARRAY['automatic_tax'::text, 'allow_promotion_codes'::text, 'notification_emails'::text])) OR (jsonb_typeof(value) = 'boolean'::text)))
);

alter table "billing"."settings"
  enable row level security;

create trigger settings_after_change_audit
  after insert or delete or update of value on billing.settings
  for each row
  execute function billing.audit('operator.setting', '', 'key', 'value', '');

create trigger settings_after_update_lower_overage_caps
  after update of value on billing.settings
  for each row
  when ((new.key = 'overage_cap_maximum'::text))
  execute function billing.lower_overage_caps();

create trigger settings_after_update_refresh
  after update on billing.settings
  for each row
  when (((new.key = 'grace_days'::text) AND (old.value <> new.value)))
  execute function billing.settings_changed();

create policy "Nobody reads the settings" on "billing"."settings"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."settings" is 'Settings of the product, for operators. A missing row is a mistake, not a default.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."settings" to "postgres";

-- billing/tables/stripe_events

create table "billing"."stripe_events" (
  "id"                 text                     not null,
  "type"               text                     not null,
  "api_version"        text,
  "stripe_created_at"  timestamp with time zone not null,
  "stripe_customer_id" text,
  "payload"            jsonb,
  "status"             text                     not null default 'pending'::text,
  "attempts"           integer                  not null default 0,
  "next_attempt_at"    timestamp with time zone default (now() + '00:02:00'::interval),
  "last_error"         text,
  "received_at"        timestamp with time zone not null default now(),
  "processed_at"       timestamp with time zone,
  "received_token"     bigint                   not null default 0,
  "purchase_id"        uuid,
  "stripe_account_id"  text,
  constraint "stripe_events_check" check (((status = 'pending'::text) = (next_attempt_at IS NOT NULL))),
  constraint "stripe_events_one_subject" check ((num_nonnulls(stripe_customer_id, purchase_id, stripe_account_id) <= 1)),
  constraint "stripe_events_pkey" primary key (id),
  constraint "stripe_events_status_check" check ((status = ANY (ARRAY['pending'::text, 'processed'::text, 'ignored'::text, 'parked'::text])))
);

alter table "billing"."stripe_events"
  enable row level security;

create index stripe_events_account_payload_idx on billing.stripe_events using btree (stripe_account_id)
  where (payload is not null);

create index stripe_events_customer_payload_idx on billing.stripe_events using btree (stripe_customer_id)
  where (payload is not null);

create index stripe_events_next_attempt_at_idx on billing.stripe_events using btree (next_attempt_at)
  where (status = 'pending'::text);

create index stripe_events_parked_received_at_idx on billing.stripe_events using btree (received_at)
  where (status = 'parked'::text);

create index stripe_events_pending_received_at_idx on billing.stripe_events using btree (received_at)
  where (status = 'pending'::text);

create index stripe_events_purchase_id_idx on billing.stripe_events using btree (purchase_id)
  where (status = ANY (ARRAY['pending'::text, 'parked'::text]));

create index stripe_events_purchase_payload_idx on billing.stripe_events using btree (purchase_id)
  where (payload is not null);

create index stripe_events_received_at_idx on billing.stripe_events using btree (received_at)
  where (payload is not null);

create index stripe_events_stripe_account_id_idx on billing.stripe_events using btree (stripe_account_id)
  where (status = ANY (ARRAY['pending'::text, 'parked'::text]));

create index stripe_events_stripe_customer_id_idx on billing.stripe_events using btree (stripe_customer_id)
  where (status = ANY (ARRAY['pending'::text, 'parked'::text]));

create trigger stripe_events_before_insert_forget
  before insert on billing.stripe_events
  for each row
  execute function billing.forget_payload();

create policy "Nobody reads the inbox" on "billing"."stripe_events"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."stripe_events"."attempts" is 'How often working on it failed.';

comment on column "billing"."stripe_events"."next_attempt_at" is 'When the drain may take it: two minutes after receipt, because the webhook itself is working on it, and again two minutes after every lease.';

comment on column "billing"."stripe_events"."payload" is 'As received; removed after 90 days.';

comment on column "billing"."stripe_events"."purchase_id" is 'No foreign key: an event is kept whatever it names.';

comment on column "billing"."stripe_events"."received_token" is 'Place in the order of sync tokens: covered by every snapshot with a higher token.';

comment on table "billing"."stripe_events" is 'Every event Stripe delivered, once, and what became of it.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."stripe_events" to "postgres";

-- billing/tables/sync_state

create table "billing"."sync_state" (
  "user_id"     uuid                     not null,
  "last_token"  bigint                   not null,
  "applied_at"  timestamp with time zone not null default '-infinity'::timestamp with time zone,
  "lease_token" bigint,
  "lease_until" timestamp with time zone,
  constraint "sync_state_pkey" primary key (user_id),
  constraint "sync_state_user_id_fkey" foreign key (user_id) references public.customers(user_id) on delete cascade
);

alter table "billing"."sync_state"
  enable row level security;

create index sync_state_applied_at_idx on billing.sync_state using btree (applied_at);

create policy "Nobody reads the sync state" on "billing"."sync_state"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."sync_state"."applied_at" is '-infinity: a sync has begun and none was applied yet.';

comment on column "billing"."sync_state"."lease_token" is 'Whose lease it is: the token of the sync under way. A holder that dies loses it at lease_until.';

comment on table "billing"."sync_state" is 'The newest snapshot applied per customer. A sync takes its token before it fetches, so a higher token means a later fetch; a snapshot with a lower one is old news.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."sync_state" to "postgres";

-- billing/tables/trial_uses

create table "billing"."trial_uses" (
  "user_id"         uuid                     not null,
  "subscription_id" text                     not null,
  "used_at"         timestamp with time zone not null default now(),
  constraint "trial_uses_pkey" primary key (user_id),
  constraint "trial_uses_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade
);

alter table "billing"."trial_uses"
  enable row level security;

create trigger trial_uses_after_change_audit
  after insert or delete or update of subscription_id, used_at on billing.trial_uses
  for each row
  execute function billing.audit('billing.trial', 'user_id', 'user_id', 'subscription_id,used_at', 'subscription_id');

create policy "Nobody reads who had a trial" on "billing"."trial_uses"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."trial_uses" is 'Who has had a trial, once and for ever: the row stays when the subscription goes.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."trial_uses" to "postgres";

-- billing/tables/usage_check_cursor

create table "billing"."usage_check_cursor" (
  "is_only"          boolean                  not null default true,
  "after"            text                     not null default ''::text,
  "round_started_at" timestamp with time zone not null default now(),
  "updated_at"       timestamp with time zone not null default now(),
  constraint "usage_check_cursor_is_only_check" check (is_only),
  constraint "usage_check_cursor_pkey" primary key (is_only)
);

alter table "billing"."usage_check_cursor"
  enable row level security;

create policy "Nobody reads where the check is" on "billing"."usage_check_cursor"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."usage_check_cursor"."after" is 'The Stripe customer that was checked last; empty: begin with the first.';

comment on column "billing"."usage_check_cursor"."round_started_at" is 'When this round through all customers began.';

comment on table "billing"."usage_check_cursor" is 'Where the scheduled check of usage goes on.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."usage_check_cursor" to "postgres";

-- billing/tables/usage_checks

create table "billing"."usage_checks" (
  "id"                 bigint                   generated always as identity not null,
  "run_at"             timestamp with time zone not null default now(),
  "stripe_customer_id" text                     not null,
  "user_id"            uuid,
  "metric_id"          text                     not null,
  "period_start"       timestamp with time zone not null,
  "ledger"             bigint                   not null,
  "unclaimed"          bigint                   not null,
  "outbox_sent"        bigint                   not null,
  "outbox_waiting"     bigint                   not null,
  "parked"             bigint                   not null,
  "adjusted"           bigint                   not null,
  "stripe"             bigint                   not null,
  "drift"              bigint                   not null,
  "verdict"            text                     not null,
  "note"               text,
  constraint "usage_checks_pkey" primary key (id),
  constraint "usage_checks_user_id_fkey" foreign key (user_id) references auth.users(id) on delete set null,
  constraint "usage_checks_verdict_check" check ((verdict = ANY (ARRAY['equal'::text, 'under_way'::text, 'parked'::text, 'drift'::text]))),
  constraint "usage_checks_metric_id_fkey" foreign key (metric_id) references public.metrics(id)
);

alter table "billing"."usage_checks"
  enable row level security;

create index usage_checks_drift_run_at_idx on billing.usage_checks using btree (run_at)
  where (verdict = 'drift'::text);

create index usage_checks_metric_id_idx on billing.usage_checks using btree (metric_id);

create index usage_checks_run_at_idx on billing.usage_checks using btree (run_at);

create index usage_checks_stripe_customer_id_idx on billing.usage_checks using btree (stripe_customer_id, metric_id, period_start, run_at);

create index usage_checks_user_id_idx on billing.usage_checks using btree (user_id);

create policy "Nobody reads the checks" on "billing"."usage_checks"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."usage_checks"."drift" is 'What Stripe has more than we know to have been delivered; negative: less.';

comment on column "billing"."usage_checks"."verdict" is 'equal; under_way: the difference is what is being sent or taken back; parked: equal but for what waits for an operator; drift.';

comment on table "billing"."usage_checks" is 'Every three-way check of a customer''s usage: ledger, outbox, Stripe.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."usage_checks" to "postgres";

-- billing/tables/usage_counters

create table "billing"."usage_counters" (
  "user_id"       uuid                     not null,
  "metric_id"     text                     not null,
  "period_day"    date                     not null,
  "used"          bigint                   not null,
  "allowance"     bigint,
  "valid_until"   timestamp with time zone not null default 'infinity'::timestamp with time zone,
  "overage"       bigint                   not null default 0,
  "overage_minor" numeric(20,6)            not null default 0,
  "fast_until"    bigint                   not null,
  constraint "usage_counters_allowance_check" check ((allowance >= 0)),
  constraint "usage_counters_fast_until_within_allowance" check ((fast_until <= allowance)),
  constraint "usage_counters_overage_check" check ((overage >= 0)),
  constraint "usage_counters_overage_minor_check" check ((overage_minor >= (0)::numeric)),
  constraint "usage_counters_pkey" primary key (user_id, metric_id),
  constraint "usage_counters_used_check" check ((used >= 0)),
  constraint "usage_counters_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "usage_counters_metric_id_fkey" foreign key (metric_id) references public.metrics(id)
);

alter table "billing"."usage_counters"
  enable row level security;

alter table "billing"."usage_counters"
  set (fillfactor=60);

create index usage_counters_metric_id_idx on billing.usage_counters using btree (metric_id);

create policy "Owners read their counters" on "billing"."usage_counters"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "billing"."usage_counters"."allowance" is 'Cached limit of the user''s plan, refreshed in the transaction that changes it; null is unlimited.';

comment on column "billing"."usage_counters"."fast_until" is 'While used is below it, the gate takes one more without looking at anything else: one less than the next mark (80 % or 100 % of the allowance), since who reaches a mark writes the notice. Starts anew with every change of the allowance.';

comment on column "billing"."usage_counters"."overage" is 'How much of used was beyond the allowance, and is charged.';

comment on column "billing"."usage_counters"."overage_minor" is 'What that costs, in minor units.';

comment on column "billing"."usage_counters"."period_day" is 'The UTC day that used belongs to; infinity when the metric never resets.';

comment on column "billing"."usage_counters"."valid_until" is 'When the cached allowance ends; the gate does not take it from then on.';

comment on table "billing"."usage_counters" is 'What a user has used of a metric, and what they may use.';

grant select on table "billing"."usage_counters" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."usage_counters" to "postgres";

-- billing/tables/usage_days

create table "billing"."usage_days" (
  "user_id"       uuid          not null,
  "metric_id"     text          not null,
  "day"           date          not null,
  "used"          bigint        not null,
  "allowance"     bigint,
  "overage"       bigint        not null,
  "overage_minor" numeric(20,6) not null,
  constraint "usage_days_allowance_check" check ((allowance >= 0)),
  constraint "usage_days_overage_check" check ((overage >= 0)),
  constraint "usage_days_overage_minor_check" check ((overage_minor >= (0)::numeric)),
  constraint "usage_days_pkey" primary key (user_id, metric_id, day),
  constraint "usage_days_used_check" check ((used >= 0)),
  constraint "usage_days_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "usage_days_metric_id_fkey" foreign key (metric_id) references public.metrics(id)
);

alter table "billing"."usage_days"
  enable row level security;

create index usage_days_day_idx on billing.usage_days using btree (day);

create index usage_days_metric_id_idx on billing.usage_days using btree (metric_id);

create policy "Nobody reads the days" on "billing"."usage_days"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."usage_days"."allowance" is 'At the end of that day; null is unlimited.';

comment on column "billing"."usage_days"."overage_minor" is 'What the overage of the day costs, in minor units.';

comment on table "billing"."usage_days" is 'What was used on the days before the one a counter is at, for 13 months. Days without use have no row.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."usage_days" to "postgres";

-- billing/tables/usage_outbox

create table "billing"."usage_outbox" (
  "id"                 bigint                   generated always as identity not null,
  "kind"               text                     not null default 'event'::text,
  "stripe_customer_id" text                     not null,
  "metric_id"          text                     not null,
  "period_start"       timestamp with time zone not null,
  "user_id"            uuid,
  "sequence"           integer                  not null,
  "quantity"           bigint                   not null,
  "identifier"         text                     not null,
  "adjusts"            bigint,
  "meter_event_name"   text                     not null,
  "event_time"         timestamp with time zone not null,
  "status"             text                     not null default 'pending'::text,
  "attempts"           integer                  not null default 0,
  "next_attempt_at"    timestamp with time zone not null default now(),
  "lease"              bigint                   not null default 0,
  "lease_until"        timestamp with time zone,
  "uncertain_since"    timestamp with time zone,
  "last_error"         text,
  "reason"             text,
  "created_at"         timestamp with time zone not null default now(),
  "sent_at"            timestamp with time zone,
  "parked_reason"      text,
  constraint "usage_outbox_adjusts_key" unique (adjusts),
  constraint "usage_outbox_check1" check (((status <> 'sent'::text) OR (sent_at IS NOT NULL))),
  constraint "usage_outbox_check2" check (((status <> 'parked'::text) OR (parked_reason IS NOT NULL))),
  constraint "usage_outbox_check3" check (((status = 'pending'::text) OR (lease_until IS NULL))),
  constraint "usage_outbox_check" check (((kind = 'adjustment'::text) = (adjusts IS NOT NULL))),
  constraint "usage_outbox_identifier_check" check (((char_length(identifier) >= 1) AND (char_length(identifier) <= 100))),
  constraint "usage_outbox_identifier_key" unique (identifier),
  constraint "usage_outbox_kind_check" check ((kind = ANY (ARRAY['event'::text, 'adjustment'::text]))),
  constraint "usage_outbox_pkey" primary key (id),
  constraint "usage_outbox_adjusts_fkey" foreign key (adjusts) references billing.usage_outbox(id),
  constraint "usage_outbox_quantity_check" check ((quantity > 0)),
  constraint "usage_outbox_sequence_check" check ((sequence > 0)),
  constraint "usage_outbox_status_check" check ((status = ANY (ARRAY['pending'::text, 'sent'::text, 'parked'::text]))),
  constraint "usage_outbox_stripe_customer_id_metric_id_period_start_fkey" foreign key (stripe_customer_id, metric_id, period_start)
    references billing.overage_usage(stripe_customer_id, metric_id, period_start),
  constraint "usage_outbox_user_id_fkey" foreign key (user_id) references auth.users(id) on delete set null
);

alter table "billing"."usage_outbox"
  enable row level security;

create index usage_outbox_ledger_idx on billing.usage_outbox using btree (stripe_customer_id, metric_id, period_start);

create index usage_outbox_parked_created_at_idx on billing.usage_outbox using btree (created_at)
  where (status = 'parked'::text);

create index usage_outbox_pending_created_at_idx on billing.usage_outbox using btree (created_at)
  where (status = 'pending'::text);

create index usage_outbox_pending_idx on billing.usage_outbox using btree (stripe_customer_id, meter_event_name, id)
  where (status = 'pending'::text);

create index usage_outbox_user_id_idx on billing.usage_outbox using btree (user_id);

create trigger usage_outbox_after_change_audit
  after update of status on billing.usage_outbox
  for each row
  when (((old.status <> new.status) AND ((old.status = 'parked'::text) OR (new.status = 'parked'::text))))
  execute function billing.audit('billing.usage_report', 'user_id', 'id', 'kind,status,quantity,metric_id,adjusts,parked_reason', 'stripe_customer_id');

create trigger usage_outbox_after_insert_audit
  after insert on billing.usage_outbox
  for each row
  when ((new.kind = 'adjustment'::text))
  execute function billing.audit('billing.usage_correction', 'user_id', 'id', 'kind,status,quantity,metric_id,adjusts,parked_reason', 'stripe_customer_id');

create policy "Nobody reads the outbox" on "billing"."usage_outbox"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."usage_outbox"."event_time" is 'Inside the billing period, so that it lands on its invoice.';

comment on column "billing"."usage_outbox"."identifier" is 'Stripe''s identifier of the meter event; of an adjustment our own, Stripe''s is that of the event it cancels.';

comment on column "billing"."usage_outbox"."lease" is 'Counts leases: who has an old one may not give a newer one back.';

comment on column "billing"."usage_outbox"."reason" is 'Why an operator corrects.';

comment on column "billing"."usage_outbox"."uncertain_since" is 'When Stripe may have accepted it without our knowing; null: surely not.';

comment on table "billing"."usage_outbox" is 'What is to be reported to Stripe, and what became of it. The quantities of the events of a ledger row sum up to its claimed.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."usage_outbox" to "postgres";

-- billing/tables/usage_requests

create table "billing"."usage_requests" (
  "user_id"    uuid                     not null,
  "metric_id"  text                     not null,
  "request_id" uuid                     not null,
  "quantity"   bigint                   not null,
  "answer"     jsonb,
  "created_at" timestamp with time zone not null default now(),
  constraint "usage_requests_pkey" primary key (user_id, metric_id, request_id),
  constraint "usage_requests_quantity_check" check ((quantity > 0)),
  constraint "usage_requests_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "usage_requests_metric_id_fkey" foreign key (metric_id) references public.metrics(id)
);

alter table "billing"."usage_requests"
  enable row level security;

create index usage_requests_created_at_idx on billing.usage_requests using btree (created_at);

create index usage_requests_metric_id_idx on billing.usage_requests using btree (metric_id);

create policy "Nobody reads the requests" on "billing"."usage_requests"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."usage_requests" is 'Requests of public.consume_usage() that had an id, for two days: the same id again costs nothing.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."usage_requests" to "postgres";

-- billing/types/health_finding

create type "billing"."health_finding" as (
  "check_name" text,
  "value"      numeric,
  "since"      timestamp with time zone,
  "note"       text
);

comment on type "billing"."health_finding" is 'What a check found; note says more than the hint of its threshold. Without a value it could not be computed.';

grant usage on type "billing"."health_finding" to "postgres";

-- billing/views/add_ons

create view "billing"."add_ons" with (security_invoker=true) AS  SELECT l.user_id,
    i.grants_metric_id AS metric_id,
    i.grants_quantity AS quantity,
    l.valid_until
   FROM (public.licences l
     JOIN public.listings i ON ((i.id = l.listing_id)))
  WHERE ((i.grants_metric_id IS NOT NULL) AND (l.status = 'active'::text) AND ((l.valid_until IS NULL) OR (l.valid_until > now())));

comment on view "billing"."add_ons" is 'By how much whose limits are raised at this moment, and until when (null: for good).';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."add_ons" to "postgres";

-- billing/views/attached_quotas

create view "billing"."attached_quotas" with (security_invoker=true) AS  SELECT g.table_id AS "table",
    g.owner_column,
    g.metric_id AS metric,
    g.condition,
    g.attached_at,
        CASE
            WHEN (c.oid IS NULL) THEN 'table_dropped'::text
            WHEN (NOT (EXISTS ( SELECT
               FROM pg_attribute a
              WHERE ((a.attrelid = c.oid) AND (a.attname = g.owner_column) AND (NOT a.attisdropped))))) THEN 'column_missing'::text
            WHEN (( SELECT count(*) AS count
               FROM pg_trigger t
              WHERE ((t.tgrelid = c.oid) AND (t.tgenabled = ANY (ARRAY['O'::"char", 'A'::"char"])) AND (t.tgname = ANY (ARRAY['tollgate_after_insert_consume'::name, 'tollgate_after_insert_consume_many'::name, 'tollgate_after_update_refuse'::name])))) <> 3) THEN 'open'::text
            WHEN (NOT c.relrowsecurity) THEN 'no_row_security'::text
            ELSE 'attached'::text
        END AS status
   FROM (billing.quota_gates g
     LEFT JOIN pg_class c ON ((c.oid = (g.table_id)::oid)));

comment on view "billing"."attached_quotas" is 'Tables whose rows are counted. status: attached; open (a trigger was dropped or disabled: rows pass uncounted); no_row_security (people can write in each other''s name); column_missing (every insert fails); table_dropped.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."attached_quotas" to "postgres";

-- billing/views/disputes

create view "billing"."disputes" with (security_invoker=true) AS  SELECT d.id,
    d.status,
    d.reason,
    d.amount_minor,
    d.currency,
    d.evidence_due_by,
    d.transfer_state,
    d.last_error,
    d.purchase_id,
    p.title,
    p.seller_id,
    p.status AS purchase_status,
    d.seen_at
   FROM (billing.purchase_disputes d
     JOIN public.purchases p ON ((p.id = d.purchase_id)))
  ORDER BY d.evidence_due_by, d.seen_at;

comment on view "billing"."disputes" is 'For operators: all disputes, the most urgent first.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."disputes" to "postgres";

-- billing/views/health

create view "billing"."health" with (security_invoker=true) AS  SELECT check_name,
    status,
    value,
    threshold,
    since,
    hint,
    unit
   FROM billing.run_checks() c(check_name, status, value, threshold, since, hint, unit);

comment on view "billing"."health" is 'For operators and monitors: one row per check, ok, warn or fail, the worst first. value and threshold are in unit.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."health" to "postgres";

-- billing/views/ledger_balances

create view "billing"."ledger_balances" with (security_invoker=true) AS  SELECT a.id AS account_id,
    a.kind,
    a.seller_id,
    a.currency,
    (COALESCE(sum(e.amount_minor), (0)::numeric))::bigint AS balance_minor
   FROM (billing.ledger_accounts a
     LEFT JOIN billing.ledger_entries e ON ((e.account_id = a.id)))
  GROUP BY a.id;

comment on view "billing"."ledger_balances" is 'What every account comes to. Over all of a currency the sum is zero.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."ledger_balances" to "postgres";

-- billing/views/monitor_balances

create view "billing"."monitor_balances" AS  SELECT a.kind,
    a.currency,
    (sum(e.amount_minor))::bigint AS balance_minor
   FROM (billing.ledger_accounts a
     JOIN billing.ledger_entries e ON ((e.account_id = a.id)))
  GROUP BY a.kind, a.currency;

comment on view "billing"."monitor_balances" is 'What the accounts of a kind come to; creator: what creators have at Stripe.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."monitor_balances" to "postgres";

-- billing/views/monitor_events

create view "billing"."monitor_events" AS  SELECT received_at,
    type,
    status,
    attempts,
    EXTRACT(epoch FROM (processed_at - received_at)) AS seconds
   FROM billing.stripe_events e
  WHERE (payload IS NOT NULL);

comment on view "billing"."monitor_events" is 'Events of Stripe of the last 90 days, and how long each took.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."monitor_events" to "postgres";

-- billing/views/monitor_problems

create view "billing"."monitor_problems" AS  SELECT kind,
    count(*) AS open,
    min(first_seen_at) AS oldest_at,
    max(last_seen_at) AS newest_at,
    sum(occurrences) AS occurrences
   FROM billing.problems p
  WHERE (resolved_at IS NULL)
  GROUP BY kind;

comment on view "billing"."monitor_problems" is 'Open problems by kind.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."monitor_problems" to "postgres";

-- billing/views/monitor_revenue

create view "billing"."monitor_revenue" AS  SELECT i.stripe_created_at,
    COALESCE(s.plan_id, 'other'::text) AS plan_id,
    i.currency,
    i.status,
    i.total_minor,
    i.amount_paid_minor AS paid_minor
   FROM (public.invoices i
     LEFT JOIN public.subscriptions s ON ((s.id = i.subscription_id)));

comment on view "billing"."monitor_revenue" is 'Invoices of subscriptions, without whose they are.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."monitor_revenue" to "postgres";

-- billing/views/monitor_runs

create view "billing"."monitor_runs" AS  SELECT started_at,
    job,
    status,
    seconds
   FROM billing.recent_runs() r(started_at, job, status, seconds);

comment on view "billing"."monitor_runs" is 'Runs of the scheduled jobs, of three days at least.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."monitor_runs" to "postgres";

-- billing/views/monitor_sales

create view "billing"."monitor_sales" AS  SELECT occurred_at,
    kind,
    currency,
    amount_minor,
    fee_minor
   FROM billing.ledger_transactions t;

comment on view "billing"."monitor_sales" is 'Movements of the marketplace''s ledger, without whose they are.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."monitor_sales" to "postgres";

-- billing/views/monitor_subscriptions

create view "billing"."monitor_subscriptions" AS  SELECT s.plan_id,
    s.status,
    p.billing_interval,
    s.currency,
    count(*) AS subscribers,
    (sum(
        CASE p.billing_interval
            WHEN 'year'::text THEN round(((a.minor)::numeric / 12.0))
            ELSE (a.minor)::numeric
        END) FILTER (WHERE (s.status = ANY (ARRAY['active'::text, 'past_due'::text]))))::bigint AS monthly_minor
   FROM (((public.subscriptions s
     LEFT JOIN public.prices p ON ((p.lookup_key = s.price_lookup_key)))
     LEFT JOIN public.price_currency_options o ON (((o.lookup_key = s.price_lookup_key) AND (o.currency = s.currency))))
     CROSS JOIN LATERAL ( SELECT (s.quantity *
                CASE
                    WHEN (s.currency = p.currency) THEN p.unit_amount_minor
                    ELSE o.unit_amount_minor
                END) AS minor) a)
  WHERE (s.status <> ALL (ARRAY['canceled'::text, 'incomplete_expired'::text]))
  GROUP BY s.plan_id, s.status, p.billing_interval, s.currency;

comment on view "billing"."monitor_subscriptions" is 'Living subscriptions, and what they bring in a month at the prices of the catalogue, without overage, discounts and taxes.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."monitor_subscriptions" to "postgres";

-- billing/views/monitor_usage

create view "billing"."monitor_usage" AS  SELECT day,
    metric_id,
    count(*) AS people,
    sum(used) AS used,
    sum(overage) AS overage,
    sum(overage_minor) AS overage_minor,
    count(*) FILTER (WHERE (used >= allowance)) AS at_limit
   FROM ( SELECT usage_days.day,
            usage_days.metric_id,
            usage_days.used,
            usage_days.allowance,
            usage_days.overage,
            usage_days.overage_minor
           FROM billing.usage_days
        UNION ALL
         SELECT usage_counters.period_day,
            usage_counters.metric_id,
            usage_counters.used,
            usage_counters.allowance,
            usage_counters.overage,
            usage_counters.overage_minor
           FROM billing.usage_counters
          WHERE (usage_counters.used > 0)) d
  GROUP BY day, metric_id;

comment on view "billing"."monitor_usage" is 'What was used by the day and metric (people who used any), and how many of them reached their allowance.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."monitor_usage" to "postgres";

-- billing_months/schema

create schema "billing_months";

comment on schema "billing_months" is 'Partitions by month, made and dropped by jobs; what they are for, the parents in billing say.';

grant create, usage on schema "billing_months" to "postgres";

-- public/default_privileges

alter default privileges for role "postgres" in schema "public" revoke all on FUNCTIONS from public;

-- public/functions/adopt_customer

create or replace function public.adopt_customer (
  p_user_id            uuid,
  p_stripe_customer_id text
)
  returns text
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_linked constant text := (select c.stripe_customer_id from public.customers c where c.user_id = p_user_id);
begin
  perform billing.require(p_user_id is not null and p_stripe_customer_id ~ '^cus_\w+$', 'a user and a customer are needed');
  if v_linked = p_stripe_customer_id then
    return 'known';
  elsif exists (select from billing.deletions d where d.user_id = p_user_id) then
    return 'known';
  elsif v_linked is not null then
    perform billing.report_problem('second_customer', p_stripe_customer_id,
      jsonb_build_object('user_id', p_user_id, 'linked', v_linked));
    return 'other_customer';
  elsif not exists (select from auth.users u where u.id = p_user_id) then
    perform billing.report_problem('customer_without_user', p_stripe_customer_id, jsonb_build_object('user_id', p_user_id));
    return 'no_user';
  end if;
  insert into public.customers (user_id, stripe_customer_id) values (p_user_id, p_stripe_customer_id);
  return 'linked';
end;
$function$;

comment on function "public"."adopt_customer"(uuid, text) is 'After a backup was restored: binds a customer of Stripe''s to the user whose id we wrote there, unless we know better. linked, known, no_user or other_customer; the last two are told to an operator.';

revoke all on function "public"."adopt_customer"(uuid, text) from public;

grant execute on function "public"."adopt_customer"(uuid, text) to "postgres", "service_role";

-- public/functions/adopt_purchase

create or replace function public.adopt_purchase (
  p_purchase_id  uuid,
  p_buyer_id     uuid,
  p_session_id   text,
  p_listing_id   uuid,
  p_kind         text,
  p_amount_minor bigint,
  p_currency     text,
  p_fee_bps      integer,
  p_fee_minor    bigint
)
  returns text
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_purchase_id is not null and p_session_id <> '', 'a purchase and its session are needed');
  if exists (select from public.purchases p where p.id = p_purchase_id) then
    -- Its session may be a later one than that of the backup.
    update public.purchases p set checkout_session_id = p_session_id, session_status = null, due_at = now()
    where p.id = p_purchase_id and p.paid_at is null and p.checkout_session_id is distinct from p_session_id
      and not exists (select from public.purchases o where o.checkout_session_id = p_session_id);
    return 'known';
  end if;
  insert into public.purchases (
    id, buyer_id, listing_id, seller_id, kind, title, amount_minor, currency, fee_bps, fee_minor, checkout_session_id, due_at
  )
  select p_purchase_id, u.id, l.id, l.seller_id, p_kind, l.title, p_amount_minor, p_currency, p_fee_bps, p_fee_minor,
    p_session_id, now()
  from public.listings l, auth.users u
  where l.id = p_listing_id and u.id = p_buyer_id
    and not exists (select from billing.deletions d where d.user_id = u.id)
    and not exists (
      select from public.purchases o where o.buyer_id = u.id and o.listing_id = l.id and o.holds
    );
  if found then
    return 'recreated';
  end if;
  perform billing.report_problem('sale_without_row', p_purchase_id::text, jsonb_build_object(
    'session', p_session_id, 'buyer_id', p_buyer_id, 'listing_id', p_listing_id
  ));
  return 'lost';
end;
$function$;

comment on function "public"."adopt_purchase"(uuid, uuid, text, uuid, text, bigint, text, integer, bigint) is 'After a backup was restored: makes the row of a sale again from its Checkout session. recreated, known or, told to an operator, lost (a credit pack, whose credit Stripe has anyway; buyer or listing gone; or the buyer has another purchase of it).';

revoke all on function "public"."adopt_purchase"(uuid, uuid, text, uuid, text, bigint, text, integer, bigint) from public;

grant execute on function "public"."adopt_purchase"(uuid, uuid, text, uuid, text, bigint, text, integer, bigint) to "postgres", "service_role";

-- public/functions/adopt_usage

create or replace function public.adopt_usage()
  returns table (
    stripe_customer_id text,
    metric_id          text,
    period_start       timestamp with time zone,
    taken              bigint,
    lost               bigint
  )
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_check billing.usage_checks;
begin
  perform billing.require(billing.usage_held_at() is not null, 'usage is not held back');
  for v_check in
    select distinct on (c.stripe_customer_id, c.metric_id, c.period_start) c.* from billing.usage_checks c
    where c.run_at >= billing.usage_held_at()
    order by c.stripe_customer_id, c.metric_id, c.period_start, c.id desc
  loop
    select a.taken, a.lost into taken, lost from billing.adopt_one(v_check) a;
    if taken > 0 then
      stripe_customer_id := v_check.stripe_customer_id;
      metric_id := v_check.metric_id;
      period_start := v_check.period_start;
      return next;
    end if;
  end loop;
end;
$function$;

comment on function "public"."adopt_usage"() is 'Takes over what Stripe had counted at the checks since usage is held back, and answers where it was more than we had sent: taken, and lost of that, which is in no row of ours.';

revoke all on function "public"."adopt_usage"() from public;

grant execute on function "public"."adopt_usage"() to "postgres", "service_role";

-- public/functions/apply_customer_snapshot

create or replace function public.apply_customer_snapshot (
  p_stripe_customer_id text,
  p_token              bigint,
  p_subscriptions      jsonb,
  p_invoices           jsonb  default null::jsonb,
  p_cause              text   default 'snapshot'::text,
  p_metering           jsonb  default '{}'::jsonb
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_user_id uuid;
  v_plan text;
  v_events text[];
  v_repeated jsonb := '[]'::jsonb;
begin
  perform billing.require(p_stripe_customer_id <> '', 'p_stripe_customer_id is missing');
  perform billing.require(p_cause in ('snapshot', 'reconcile', 'rebuild'), 'p_cause is unknown');
  perform billing.check_snapshot(p_token, p_subscriptions, p_invoices);
  perform billing.check_metering(p_metering);
  v_user_id := billing.sync_user(p_stripe_customer_id);
  if v_user_id is null then
    perform billing.report_problem('unknown_customer', p_stripe_customer_id);
    return jsonb_build_object('applied', false, 'reason', 'unknown_customer', 'plan', null);
  end if;

  -- The row lock taken here also makes snapshots of one customer wait for each other.
  insert into billing.sync_state as s (user_id, last_token, applied_at) values (v_user_id, p_token, now())
  on conflict (user_id) do update set last_token = excluded.last_token, applied_at = now()
  where s.last_token < excluded.last_token;
  if not found then
    return jsonb_build_object(
      'applied', false, 'reason', 'stale_token', 'plan', billing.current_plan(v_user_id)
    );
  end if;

  if p_cause = 'reconcile' then
    v_repeated := billing.note_drifts(v_user_id, p_stripe_customer_id, p_subscriptions, p_invoices, p_metering);
  end if;
  perform billing.store_subscriptions(v_user_id, p_subscriptions);
  if p_invoices is not null then
    perform billing.store_invoices(v_user_id, p_invoices);
  end if;
  if p_metering ? 'metered_items' then
    perform billing.store_metered_items(v_user_id, p_stripe_customer_id, p_metering -> 'metered_items');
  end if;
  perform billing.store_credits(v_user_id, p_metering -> 'credit_grants', p_metering -> 'credit_balances');
  v_events := billing.settle_events(p_stripe_customer_id, p_token);
  v_plan := billing.refresh_entitlement(
    v_user_id, p_cause, jsonb_build_object('token', p_token, 'events', v_events)
  );
  perform billing.refresh_overage(v_user_id);
  perform billing.check_subscriptions(v_user_id, p_stripe_customer_id);
  return jsonb_build_object('applied', true, 'reason', null, 'plan', v_plan)
    || case when v_repeated <> '[]' then jsonb_build_object('repeated_drifts', v_repeated) else '{}' end;
end;
$function$;

comment on function "public"."apply_customer_snapshot"(text, bigint, jsonb, jsonb, text, jsonb) is 'Replaces what we know of a customer''s subscriptions and (unless null) invoices by the full lists fetched after p_token was taken, settles the events they cover, and derives the entitlement and the allowances, all in one transaction. p_metering {metered_items?: [{id, subscription_id, price_lookup_key, meter_event_name?, currency, unit_amount_minor (number or decimal text), period_start, period_end}], credit_grants?: [{id, amount_minor, currency, category, name, effective_at, expires_at, voided_at, created}], credit_balances?: [{currency, balance_minor}]}: what is absent stays. An older token, or the same again, does nothing. Answers {applied, reason: stale_token | unknown_customer | null, plan, repeated_drifts?}.';

revoke all on function "public"."apply_customer_snapshot"(text, bigint, jsonb, jsonb, text, jsonb) from public;

grant execute on function "public"."apply_customer_snapshot"(text, bigint, jsonb, jsonb, text, jsonb) to "postgres", "service_role";

-- public/functions/apply_purchase_snapshot

create or replace function public.apply_purchase_snapshot (
  p_purchase_id uuid,
  p_token       bigint,
  p_snapshot    jsonb
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_snapshot constant jsonb := '{"charges": [], "refunds": [], "disputes": [], "facts": []}'::jsonb
    || jsonb_strip_nulls(p_snapshot);
  v_purchase public.purchases;
  v_misfit text;
  v_applied boolean;
  v_answer jsonb;
begin
  perform billing.check_purchase_snapshot(p_token, p_snapshot);
  perform billing.lock_person(p.buyer_id) from public.purchases p where p.id = p_purchase_id;
  select * into v_purchase from public.purchases p where p.id = p_purchase_id for no key update;
  if not found then
    perform billing.raise_http(404, 'purchase_not_found', 'There is no such purchase.');
  end if;
  v_misfit := billing.purchase_misfit(v_purchase, v_snapshot);
  if v_misfit is null or v_misfit = 'amount' then
    perform billing.post_facts(
      v_snapshot -> 'facts', v_purchase.id, v_purchase.seller_id,
      coalesce(v_snapshot ->> 'charge_id', v_purchase.charge_id)
    );
  end if;
  update public.purchases p set applied_token = p_token, problem = v_misfit
  where p.id = p_purchase_id and p.applied_token < p_token;
  v_applied := found;
  if v_applied and v_misfit is not null then
    perform billing.report_problem(
      'purchase_not_understood', p_purchase_id::text, jsonb_build_object('misfit', v_misfit, 'snapshot', p_snapshot)
    );
  elsif v_applied then
    perform billing.store_purchase(v_purchase, v_snapshot);
    update billing.problems b set resolved_at = now()
    where b.kind = 'purchase_not_understood' and b.subject = p_purchase_id::text and b.resolved_at is null;
  end if;
  v_answer := billing.refresh_licence(p_purchase_id) || jsonb_build_object('applied', v_applied, 'problem', v_misfit);
  if v_applied then
    perform billing.settle_purchase_events(p_purchase_id, p_token);
  end if;
  return v_answer;
end;
$function$;

comment on function "public"."apply_purchase_snapshot"(uuid, bigint, jsonb) is 'Posts the facts of a snapshot fetched after p_token was taken and, unless a newer one was applied, makes purchase and licence what it says, all in one transaction. Answers {status, licence: active | suspended | revoked | null, applied, problem: customer | bound_elsewhere | amount | null, stale_session_id: a Checkout session to expire, or null}. 404 purchase_not_found.';

revoke all on function "public"."apply_purchase_snapshot"(uuid, bigint, jsonb) from public;

grant execute on function "public"."apply_purchase_snapshot"(uuid, bigint, jsonb) to "postgres", "service_role";

-- public/functions/apply_seller_snapshot

create or replace function public.apply_seller_snapshot (
  p_account  text,
  p_token    bigint,
  p_snapshot jsonb
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_seller public.sellers;
  v_applied boolean;
  v_status text;
begin
  perform billing.check_purchase_snapshot(p_token, p_snapshot);
  select * into v_seller from public.sellers s where s.stripe_account_id = p_account for no key update;
  if not found then
    perform billing.report_problem('unknown_account', p_account);
    return jsonb_build_object('applied', false, 'status', null, 'reason', 'unknown_account');
  end if;
  v_applied := v_seller.applied_token < p_token;
  perform billing.store_payouts(v_seller, coalesce(nullif(p_snapshot -> 'payouts', 'null'), '[]'));
  if v_applied then
    v_status := billing.seller_status(v_seller, p_snapshot);
    update public.sellers s set
      applied_token = p_token, status = v_status, paused_reason = billing.paused_reason(v_status, p_snapshot),
      requirements = array(
        select jsonb_array_elements_text(coalesce(nullif(p_snapshot -> 'requirements', 'null'), '[]'))
      ),
      display_name = coalesce(nullif(left(trim(p_snapshot ->> 'display_name'), 100), ''), s.display_name)
    where s.id = v_seller.id
    returning * into v_seller;
    perform billing.settle_account_events(p_account, p_token);
  end if;
  return jsonb_build_object(
    'applied', v_applied, 'seller_id', v_seller.id, 'status', v_seller.status, 'reason', v_seller.paused_reason
  );
end;
$function$;

comment on function "public"."apply_seller_snapshot"(text, bigint, jsonb) is 'Makes a seller what a snapshot of the account, fetched after p_token was taken, says: {transfers_status, closed, requirements, display_name?, payouts: [{id, amount_minor, currency, status, created, arrival_date}]}. Payouts are posted whatever the token. Answers {applied, seller_id, status, reason}.';

revoke all on function "public"."apply_seller_snapshot"(text, bigint, jsonb) from public;

grant execute on function "public"."apply_seller_snapshot"(text, bigint, jsonb) to "postgres", "service_role";

-- public/functions/begin_checkout

create or replace function public.begin_checkout (
  p_user_id    uuid,
  p_lookup_key text
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_attempt bigint;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  if not exists (select from public.prices p where p.lookup_key = p_lookup_key and p.is_active) then
    perform billing.raise_http(404, 'price_not_found', 'There is no such price.');
  end if;
  -- 23 hours: Stripe remembers an idempotency key for 24, and a Checkout session lives as long.
  insert into billing.checkout_attempts as a (user_id, attempt, lookup_key)
  values (p_user_id, 1, p_lookup_key)
  on conflict (user_id) do update set (attempt, lookup_key, started_at, closed_at) = (
    select case when b.is_spent then a.attempt + 1 else a.attempt end,
      excluded.lookup_key,
      case when b.is_spent then now() else a.started_at end,
      null::timestamptz
    from (
      select a.lookup_key <> excluded.lookup_key
        or a.closed_at is not null
        or a.started_at <= now() - interval '23 hours'
    ) b (is_spent)
  )
  returning a.attempt into v_attempt;
  return v_attempt;
end;
$function$;

comment on function "public"."begin_checkout"(uuid, text) is 'The number of the user''s checkout of this price: the same for 23 hours unless closed or superseded. 404 price_not_found unless the price is active.';

revoke all on function "public"."begin_checkout"(uuid, text) from public;

grant execute on function "public"."begin_checkout"(uuid, text) to "postgres", "service_role";

-- public/functions/begin_credit_purchase

create or replace function public.begin_credit_purchase (
  p_user_id    uuid,
  p_lookup_key text,
  p_currency   text
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_offer record;
  v_purchase public.purchases;
  v_stale text;
begin
  perform billing.require(
    p_user_id is not null and p_lookup_key is not null and p_currency is not null,
    'p_user_id, p_lookup_key or p_currency is missing'
  );
  perform billing.lock_person(p_user_id);
  select * into strict v_offer from billing.credit_offer(p_lookup_key, p_currency);
  select * into v_purchase from public.purchases p
  where p.buyer_id = p_user_id and p.credit_pack = p_lookup_key and p.holds for no key update;
  if found and (v_purchase.amount_minor, v_purchase.currency, v_purchase.credit_minor)
    is distinct from (v_offer.price_minor, p_currency, v_offer.credit_minor) then
    -- See public.begin_purchase().
    v_stale := v_purchase.checkout_session_id;
    update public.purchases p
    set status = 'expired', holds = false, due_at = case when v_stale is not null then p.due_at end
    where p.id = v_purchase.id;
    v_purchase := null;
  end if;
  if v_purchase.id is null then
    insert into public.purchases (
      buyer_id, credit_pack, credit_minor, kind, title, amount_minor, currency, fee_bps, fee_minor, stripe_customer_id
    )
    values (
      p_user_id, p_lookup_key, v_offer.credit_minor, 'one_time', v_offer.title, v_offer.price_minor, p_currency, 0, 0,
      (select c.stripe_customer_id from public.customers c where c.user_id = p_user_id)
    )
    returning * into v_purchase;
  end if;
  return billing.purchase_terms(v_purchase) || jsonb_build_object('stale_session_id', v_stale);
end;
$function$;

comment on function "public"."begin_credit_purchase"(uuid, text, text) is 'The purchase of a credit pack by a user in a currency, at the price of this moment: an unfinished one again if it is the same offer, else a new one. Answers purchase_terms() and stale_session_id, the session of another offer. Errors: see billing.credit_offer().';

revoke all on function "public"."begin_credit_purchase"(uuid, text, text) from public;

grant execute on function "public"."begin_credit_purchase"(uuid, text, text) to "postgres", "service_role";

-- public/functions/begin_plan_change

create or replace function public.begin_plan_change (
  p_user_id uuid
)
  returns table (
    token      bigint,
    changed_at timestamp with time zone
  )
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  return query
  insert into billing.plan_changes as c (user_id, lease_token, lease_until)
  values (p_user_id, nextval('billing.sync_token_seq'), clock_timestamp() + interval '2 minutes')
  on conflict (user_id) do update set
    lease_token = excluded.lease_token,
    lease_until = excluded.lease_until,
    -- Whoever died with the lease may have changed something before.
    changed_at = case when c.lease_until is null then c.changed_at else clock_timestamp() end
  where c.lease_until is null or c.lease_until < clock_timestamp()
  returning c.lease_token, c.changed_at;
end;
$function$;

comment on function "public"."begin_plan_change"(uuid) is 'Takes the lease on a user''s subscription for two minutes; no row while somebody else has it.';

revoke all on function "public"."begin_plan_change"(uuid) from public;

grant execute on function "public"."begin_plan_change"(uuid) to "postgres", "service_role";

-- public/functions/begin_purchase

create or replace function public.begin_purchase (
  p_user_id    uuid,
  p_listing_id uuid
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_listing public.listings;
  v_seller public.sellers;
  v_purchase public.purchases;
  v_fee_bps integer;
  v_fee bigint;
  v_stale text;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.lock_person(p_user_id);
  select s.* into v_seller from public.sellers s
  where s.id = (select l.seller_id from public.listings l where l.id = p_listing_id) for share;
  select * into v_listing from public.listings l where l.id = p_listing_id for share;
  perform billing.refuse_purchase(p_user_id, v_listing, v_seller);
  v_fee_bps := case when v_listing.seller_id is null then 0 else billing.fee_bps(v_listing.seller_id) end;
  v_fee := round(v_listing.price_minor * v_fee_bps / 10000.0);
  select * into v_purchase from public.purchases p
  where p.buyer_id = p_user_id and p.listing_id = p_listing_id and p.holds for no key update;
  if found and (v_purchase.amount_minor, v_purchase.currency, v_purchase.kind, v_purchase.fee_minor)
    is distinct from (v_listing.price_minor, v_listing.currency, v_listing.kind, v_fee) then
    -- What was asked for before has another price: that one is over, and its session with it.
    v_stale := v_purchase.checkout_session_id;
    update public.purchases p
    set status = 'expired', holds = false, due_at = case when v_stale is not null then p.due_at end
    where p.id = v_purchase.id;
    v_purchase := null;
  end if;
  if v_purchase.id is null then
    insert into public.purchases (
      buyer_id, listing_id, seller_id, kind, title, amount_minor, currency, fee_bps, fee_minor, stripe_customer_id
    )
    values (
      p_user_id, p_listing_id, v_listing.seller_id, v_listing.kind, v_listing.title, v_listing.price_minor,
      v_listing.currency, v_fee_bps, v_fee,
      (select c.stripe_customer_id from public.customers c where c.user_id = p_user_id)
    )
    returning * into v_purchase;
  end if;
  return billing.purchase_terms(v_purchase) || jsonb_build_object('stale_session_id', v_stale);
end;
$function$;

comment on function "public"."begin_purchase"(uuid, uuid) is 'The purchase of a listing by a user at the price of this moment: an unfinished one again if it has the same price, else a new one. Answers purchase_terms() and stale_session_id, the session of one that had another price. Errors: see billing.refuse_purchase().';

revoke all on function "public"."begin_purchase"(uuid, uuid) from public;

grant execute on function "public"."begin_purchase"(uuid, uuid) to "postgres", "service_role";

-- public/functions/begin_reconcile

create or replace function public.begin_reconcile()
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
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
$function$;

comment on function "public"."begin_reconcile"() is 'Leases the unfinished run, or a new one: {busy, run, since (Unix seconds), cursor, listed}. Busy while somebody works on it.';

revoke all on function "public"."begin_reconcile"() from public;

grant execute on function "public"."begin_reconcile"() to "postgres", "service_role";

-- public/functions/begin_seller

create or replace function public.begin_seller (
  p_user_id      uuid,
  p_display_name text,
  p_country      text
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_seller public.sellers;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.require(
    char_length(trim(p_display_name)) between 1 and 100, 'p_display_name is not of 1 to 100 characters'
  );
  perform billing.require(p_country ~ '^[A-Z]{2}$', 'p_country is not a country');
  -- Onboarding again may correct the name; the country is Stripe's once there is an account.
  insert into public.sellers as s (user_id, display_name, country)
  values (p_user_id, trim(p_display_name), p_country)
  on conflict (user_id) do update set
    display_name = excluded.display_name,
    country = case when s.stripe_account_id is null then excluded.country else s.country end
  returning * into v_seller;
  if v_seller.status = 'closed' then
    perform billing.raise_http(409, 'seller_closed', 'This creator account is closed.', v_seller.paused_reason);
  end if;
  return jsonb_build_object(
    'seller_id', v_seller.id, 'stripe_account_id', v_seller.stripe_account_id, 'status', v_seller.status,
    'country', v_seller.country
  );
end;
$function$;

comment on function "public"."begin_seller"(uuid, text, text) is 'The seller of a user, made now if there was none: {seller_id, stripe_account_id or null, status, country}. 409 seller_closed.';

revoke all on function "public"."begin_seller"(uuid, text, text) from public;

grant execute on function "public"."begin_seller"(uuid, text, text) to "postgres", "service_role";

-- public/functions/begin_sync

create or replace function public.begin_sync (
  p_stripe_customer_id text
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_token bigint;
begin
  insert into billing.sync_state as s (user_id, last_token, lease_token, lease_until)
  values (
    billing.sync_user(p_stripe_customer_id), 0, nextval('billing.sync_token_seq'),
    clock_timestamp() + interval '90 seconds'
  )
  on conflict (user_id) do update set lease_token = excluded.lease_token, lease_until = excluded.lease_until
  where s.lease_until is null or s.lease_until < clock_timestamp()
  returning s.lease_token into v_token;
  return v_token;
end;
$function$;

comment on function "public"."begin_sync"(text) is 'Takes the lease on a customer for 90 seconds and returns the token to fetch under; null while somebody else has it, who will see every event received until then. A customer that is not ours is a not-null violation (23502).';

revoke all on function "public"."begin_sync"(text) from public;

grant execute on function "public"."begin_sync"(text) to "postgres", "service_role";

-- public/functions/catalogue_rows

create or replace function public.catalogue_rows()
  returns table (
    lookup_key       text,
    currency         text,
    amount_minor     numeric,
    billing_interval text,
    tiers_mode       text,
    tiers            jsonb,
    options          jsonb
  )
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select p.lookup_key, p.currency, p.unit_amount_minor::numeric, p.billing_interval, p.tiers_mode, p.tiers, coalesce((
    select jsonb_object_agg(o.currency, o.unit_amount_minor) from public.price_currency_options o
    where o.lookup_key = p.lookup_key
  ), '{}')
  from public.prices p where p.is_active
  union all
  select p.lookup_key, p.currency, trim_scale(p.unit_amount_minor), 'month', null, null, coalesce((
    select jsonb_object_agg(o.currency, trim_scale(o.unit_amount_minor)) from public.overage_price_currency_options o
    where o.lookup_key = p.lookup_key
  ), '{}')
  from public.overage_prices p where p.is_active
  union all
  select p.lookup_key, p.currency, p.price_minor::numeric, null, null, null, coalesce((
    select jsonb_object_agg(o.currency, o.price_minor) from public.credit_pack_currency_options o
    where o.lookup_key = p.lookup_key
  ), '{}')
  from public.credit_packs p where p.is_active;
$function$;

comment on function "public"."catalogue_rows"() is 'Everything that is sold by a lookup key: plans, usage beyond them and credit packs. options are amounts in other currencies; billing_interval is null for what is paid once.';

revoke all on function "public"."catalogue_rows"() from public;

grant execute on function "public"."catalogue_rows"() to "postgres", "service_role";

-- public/functions/checkout_terms

create or replace function public.checkout_terms (
  p_user_id    uuid,
  p_lookup_key text
)
  returns jsonb
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select jsonb_build_object(
    'trial_days', case when t.user_id is null then p.trial_days else 0 end,
    'automatic_tax', billing.setting('automatic_tax'),
    'allow_promotion_codes', billing.setting('allow_promotion_codes')
  )
  from public.prices p left join billing.trial_uses t on t.user_id = p_user_id
  where p.lookup_key = p_lookup_key;
$function$;

comment on function "public"."checkout_terms"(uuid, text) is '{trial_days, automatic_tax, allow_promotion_codes} for a checkout of this price by this user. trial_days is 0 for somebody who has had a trial, whatever became of it.';

revoke all on function "public"."checkout_terms"(uuid, text) from public;

grant execute on function "public"."checkout_terms"(uuid, text) to "postgres", "service_role";

-- public/functions/claim_usage

create or replace function public.claim_usage (
  p_limit              integer default 1000,
  p_stripe_customer_id text    default null::text
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.refuse_while_held();
  return billing.claim_usage_unheld(p_limit, p_stripe_customer_id);
end;
$function$;

comment on function "public"."claim_usage"(integer, text) is 'Makes outbox rows of what the ledger holds beyond what is claimed, and answers how many. With a customer only theirs, and all of it; without, rows that somebody is writing to are left to the next call. An error while usage is held back.';

revoke all on function "public"."claim_usage"(integer, text) from public;

grant execute on function "public"."claim_usage"(integer, text) to "postgres", "service_role";

-- public/functions/clone_listing

create or replace function public.clone_listing (
  p_listing_id uuid
)
  returns public.agents
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_agent public.agents;
begin
  if not billing.has_licence(p_listing_id) then
    perform billing.raise_http(403, 'licence_required', 'You have no licence for this.');
  end if;
  insert into public.agents (user_id, name, instructions, source_listing_id)
  select auth.uid(), d.name, d.instructions, d.listing_id
  from public.listing_definitions d where d.listing_id = p_listing_id
  returning * into v_agent;
  if v_agent.id is null then
    perform billing.raise_http(409, 'nothing_to_clone', 'There is no agent in this.');
  end if;
  return v_agent;
end;
$function$;

comment on function "public"."clone_listing"(uuid) is 'Makes an agent of the caller''s own from a bought one, and answers it. It takes a place of the agent limit. 403 licence_required, 403 agent_limit_reached, 409 nothing_to_clone (an add-on).';

revoke all on function "public"."clone_listing"(uuid) from public;

grant execute on function "public"."clone_listing"(uuid) to "authenticated", "postgres";

-- public/functions/close_checkout

create or replace function public.close_checkout (
  p_user_id uuid,
  p_attempt bigint
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.checkout_attempts a set closed_at = now()
  where a.user_id = p_user_id and a.attempt = p_attempt and a.closed_at is null;
$function$;

comment on function "public"."close_checkout"(uuid, bigint) is 'Ends an attempt, so that the next checkout gets another number. Closing an old one does nothing.';

revoke all on function "public"."close_checkout"(uuid, bigint) from public;

grant execute on function "public"."close_checkout"(uuid, bigint) to "postgres", "service_role";

-- public/functions/compare_customer_snapshot

create or replace function public.compare_customer_snapshot (
  p_stripe_customer_id text,
  p_subscriptions      jsonb,
  p_invoices           jsonb,
  p_metering           jsonb default '{}'::jsonb
)
  returns jsonb
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select coalesce(jsonb_agg(to_jsonb(d) order by d.field), '[]')
  from billing.snapshot_differences(
    billing.sync_user(p_stripe_customer_id), p_subscriptions, p_invoices, p_metering
  ) d;
$function$;

comment on function "public"."compare_customer_snapshot"(text, jsonb, jsonb, jsonb) is 'What applying this snapshot would change: [{field, ours, stripe}]. Changes nothing.';

revoke all on function "public"."compare_customer_snapshot"(text, jsonb, jsonb, jsonb) from public;

grant execute on function "public"."compare_customer_snapshot"(text, jsonb, jsonb, jsonb) to "postgres", "service_role";

-- public/functions/consume_usage

create or replace function public.consume_usage (
  p_user_id    uuid,
  p_metric     text,
  p_quantity   bigint,
  p_request_id uuid   default null::uuid
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_counter billing.usage_counters;
  v_request billing.usage_requests;
  v_answer jsonb;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.require(p_quantity between 1 and 1000000000, 'p_quantity is not between 1 and 1000000000');
  perform billing.require(
    exists (select from public.metrics m where m.id = p_metric and m.period <> 'none'),
    'p_metric is not a metric that can be consumed'
  );
  if p_request_id is not null then
    -- Waits for the same request under way, and then finds it (or its place, when it was refused).
    insert into billing.usage_requests (user_id, metric_id, request_id, quantity)
    values (p_user_id, p_metric, p_request_id, p_quantity)
    on conflict (user_id, metric_id, request_id) do nothing;
    if not found then
      select * into strict v_request from billing.usage_requests r
      where r.user_id = p_user_id and r.metric_id = p_metric and r.request_id = p_request_id;
      perform billing.require(v_request.quantity = p_quantity, 'p_request_id was used for another quantity');
      return v_request.answer;
    end if;
  end if;
  v_counter := billing.consume(p_user_id, p_metric, p_quantity);
  v_answer := jsonb_build_object(
    'used', v_counter.used, 'allowance', v_counter.allowance, 'overage', v_counter.overage
  );
  update billing.usage_requests r set answer = v_answer
  where r.user_id = p_user_id and r.metric_id = p_metric and r.request_id = p_request_id;
  return v_answer;
end;
$function$;

comment on function "public"."consume_usage"(uuid, text, bigint, uuid) is 'Takes a quantity of a metric for a user by the same way as a message: {used, allowance (null: unlimited), overage} of the day. All of it or nothing. A request id makes a repeat within two days free and answers what the first one did. Errors: 429 <metric>_quota_exceeded, 402 spending_cap_reached. One metric a transaction: two would take locks out of order.';

revoke all on function "public"."consume_usage"(uuid, text, bigint, uuid) from public;

grant execute on function "public"."consume_usage"(uuid, text, bigint, uuid) to "postgres", "service_role";

-- public/functions/continue_sync

create or replace function public.continue_sync (
  p_stripe_customer_id text,
  p_token              bigint
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_next bigint;
begin
  -- Under the lock of the row: whoever receives an event now waits, and then finds either the lease given up
  -- or its event seen here.
  perform from billing.sync_state s
  where s.user_id = billing.sync_user(p_stripe_customer_id) and s.lease_token = p_token for no key update;
  if not found then
    return null;
  end if;
  if exists (
    select from billing.stripe_events e
    where e.stripe_customer_id = p_stripe_customer_id and e.status = 'pending' and e.received_token > p_token
  ) then
    v_next := nextval('billing.sync_token_seq');
  end if;
  update billing.sync_state s
  set lease_token = v_next, lease_until = case when v_next is not null then clock_timestamp() + interval '90 seconds' end
  where s.user_id = billing.sync_user(p_stripe_customer_id);
  return v_next;
end;
$function$;

comment on function "public"."continue_sync"(text, bigint) is 'Ends the lease (null), or renews it with a new token when events came in that the last fetch does not cover.';

revoke all on function "public"."continue_sync"(text, bigint) from public;

grant execute on function "public"."continue_sync"(text, bigint) to "postgres", "service_role";

-- public/functions/customers_after

create or replace function public.customers_after (
  p_after text,
  p_limit integer
)
  returns SETOF text
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select c.stripe_customer_id from public.customers c
  where c.stripe_customer_id > coalesce(p_after, '')
  order by c.stripe_customer_id limit least(p_limit, 1000);
$function$;

comment on function "public"."customers_after"(text, integer) is 'Stripe customers in the order of their ids, for rebuild.';

revoke all on function "public"."customers_after"(text, integer) from public;

grant execute on function "public"."customers_after"(text, integer) to "postgres", "service_role";

-- public/functions/customers_without_metered_items

create or replace function public.customers_without_metered_items (
  p_limit integer default 100
)
  returns SETOF text
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select c.stripe_customer_id
  from billing.overage_accounts a
  join public.customers c on c.user_id = a.user_id
  where a.enabled
    and exists (select from public.wanted_metered_items(c.stripe_customer_id))
  order by a.updated_at, c.stripe_customer_id
  limit p_limit;
$function$;

comment on function "public"."customers_without_metered_items"(integer) is 'Customers who said yes and whose subscription does not have the right metered items yet.';

revoke all on function "public"."customers_without_metered_items"(integer) from public;

grant execute on function "public"."customers_without_metered_items"(integer) to "postgres", "service_role";

-- public/functions/deletion_failed

create or replace function public.deletion_failed (
  p_user_id uuid,
  p_error   text
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_deletion billing.deletions;
begin
  update billing.deletions d
  set attempts = d.attempts + 1, last_error = left(p_error, 1000),
    next_attempt_at = now() + least(interval '5 minutes' * power(2, least(d.attempts, 10)), interval '1 hour')
  where d.user_id = p_user_id and d.finished_at is null
  returning * into v_deletion;
  if v_deletion.attempts >= 3 then
    perform billing.report_problem(
      'deletion_failed', p_user_id::text,
      jsonb_build_object('attempts', v_deletion.attempts, 'error', v_deletion.last_error)
    );
  end if;
end;
$function$;

comment on function "public"."deletion_failed"(uuid, text) is 'Tries it again later, at most an hour. From the third time on an operator is told.';

revoke all on function "public"."deletion_failed"(uuid, text) from public;

grant execute on function "public"."deletion_failed"(uuid, text) to "postgres", "service_role";

-- public/functions/deletion_waits

create or replace function public.deletion_waits (
  p_user_id uuid
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.deletions d set next_attempt_at = greatest(now(), d.requested_at + interval '7 minutes')
  where d.user_id = p_user_id and d.finished_at is null;
$function$;

comment on function "public"."deletion_waits"(uuid) is 'Gives it back until it is ripe; see public.lease_deletions().';

revoke all on function "public"."deletion_waits"(uuid) from public;

grant execute on function "public"."deletion_waits"(uuid) to "postgres", "service_role";

-- public/functions/discard_copies

create or replace function public.discard_copies (
  p_listing_id uuid
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_count bigint;
begin
  delete from public.agents a where a.user_id = auth.uid() and a.source_listing_id = p_listing_id;
  get diagnostics v_count = row_count;
  return v_count;
end;
$function$;

comment on function "public"."discard_copies"(uuid) is 'Deletes the caller''s clones of a listing, also those they cannot see any more, and says how many there were.';

revoke all on function "public"."discard_copies"(uuid) from public;

grant execute on function "public"."discard_copies"(uuid) to "authenticated", "postgres";

-- public/functions/dispute_work

create or replace function public.dispute_work (
  p_limit integer
)
  returns table (
    dispute_id   text,
    action       text,
    purchase_id  uuid,
    charge_id    text,
    amount_minor bigint,
    currency     text,
    destination  text,
    attempts     integer
  )
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  with due as (
    select d.id, billing.dispute_action(d) as action
    from billing.purchase_disputes d
    join public.purchases p on p.id = d.purchase_id and p.seller_id is not null
    where d.next_attempt_at <= now() and billing.dispute_action(d) is not null
    order by d.next_attempt_at limit p_limit
    for no key update of d skip locked
  ), leased as (
    update billing.purchase_disputes d set next_attempt_at = now() + interval '2 minutes'
    from due where d.id = due.id
    returning d.*, due.action
  )
  select l.id, l.action, l.purchase_id, l.charge_id,
    case l.action when 'pay' then l.reversed_minor else l.amount_minor end, l.currency, s.stripe_account_id, l.attempts
  from leased l
  join public.purchases p on p.id = l.purchase_id
  join public.sellers s on s.id = p.seller_id;
end;
$function$;

comment on function "public"."dispute_work"(integer) is 'What is to be done about the creator''s share of disputed payments, leased for two minutes: reverse the transfer (amount: what is disputed); settle, which is to look at Stripe for what was reversed before it was won; pay it again because it was won (amount: what the creator lost by the reversal); share, which is to take back of that what was refunded since.';

revoke all on function "public"."dispute_work"(integer) from public;

grant execute on function "public"."dispute_work"(integer) to "postgres", "service_role";

-- public/functions/drifting_movements

create or replace function public.drifting_movements (
  p_limit integer default 20
)
  returns SETOF text
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select split_part(b.subject, ' ', 1) from billing.problems b
  where b.kind = 'ledger_drift' and b.subject like 'txn\_%' and b.resolved_at is null
  order by b.last_seen_at limit least(p_limit, 100);
$function$;

comment on function "public"."drifting_movements"(integer) is 'Balance transactions that did not agree with the ledger when they were last compared.';

revoke all on function "public"."drifting_movements"(integer) from public;

grant execute on function "public"."drifting_movements"(integer) to "postgres", "service_role";

-- public/functions/due_purchases

create or replace function public.due_purchases (
  p_limit integer
)
  returns SETOF uuid
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  -- One that never got a session cannot be paid.
  update public.purchases p set status = 'expired', holds = false, due_at = null
  where p.due_at <= now() and p.status = 'open' and p.checkout_session_id is null
    and p.created_at < now() - interval '25 hours';
  -- Given up: syncPurchase() closes the session of such a one. Every open purchase is due at some time.
  update public.purchases p set status = 'expired', holds = false, due_at = now()
  where p.id in (
    select o.id from public.purchases o join public.listings l on l.id = o.listing_id
    where o.due_at is not null and o.status = 'open' and o.checkout_session_id is not null and l.status = 'withdrawn'
    for no key update of o skip locked
  );
  return query
  update public.purchases p set due_at = now() + interval '4 minutes'
  where p.id in (
    select d.id from public.purchases d
    where d.due_at <= now() and not (d.status = 'open' and d.checkout_session_id is null)
    order by d.due_at limit p_limit
    for no key update skip locked
  )
  returning p.id;
end;
$function$;

comment on function "public"."due_purchases"(integer) is 'Purchases to look at again because an event may have been lost: unsettled, renewing, disputed, being refunded; and those whose listing was withdrawn before they were paid, whose session is to be closed. Each at most once in four minutes.';

revoke all on function "public"."due_purchases"(integer) from public;

grant execute on function "public"."due_purchases"(integer) to "postgres", "service_role";

-- public/functions/due_stripe_events

create or replace function public.due_stripe_events (
  p_limit integer
)
  returns table (
    id                 text,
    type               text,
    stripe_customer_id text,
    purchase_id        uuid,
    stripe_account_id  text
  )
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  update billing.stripe_events e
  set next_attempt_at = now() + interval '2 minutes'
  where e.id in (
    select d.id from billing.stripe_events d
    where d.status = 'pending' and d.next_attempt_at <= now()
    order by d.next_attempt_at
    limit p_limit
    for no key update skip locked
  )
  returning e.id, e.type, e.stripe_customer_id, e.purchase_id, e.stripe_account_id;
end;
$function$;

comment on function "public"."due_stripe_events"(integer) is 'Leases events to work on for two minutes. Whoever dies meanwhile loses nothing: they are due again.';

revoke all on function "public"."due_stripe_events"(integer) from public;

grant execute on function "public"."due_stripe_events"(integer) to "postgres", "service_role";

-- public/functions/end_plan_change

create or replace function public.end_plan_change (
  p_user_id uuid,
  p_token   bigint,
  p_changed boolean
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.plan_changes c
  set lease_token = null, lease_until = null,
    changed_at = case when p_changed then clock_timestamp() else c.changed_at end
  where c.user_id = p_user_id and c.lease_token = p_token;
$function$;

comment on function "public"."end_plan_change"(uuid, bigint, boolean) is 'Gives the lease up, only one''s own; p_changed: previews made until now are no longer true.';

revoke all on function "public"."end_plan_change"(uuid, bigint, boolean) from public;

grant execute on function "public"."end_plan_change"(uuid, bigint, boolean) to "postgres", "service_role";

-- public/functions/end_purchase_attempt

create or replace function public.end_purchase_attempt (
  p_purchase_id uuid,
  p_attempt     integer
)
  returns integer
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_attempt integer;
begin
  update public.purchases p
  set attempt = p.attempt + 1, checkout_session_id = null, session_status = null, payment_status = null
  where p.id = p_purchase_id and p.attempt = p_attempt and p.status = 'open';
  select p.attempt into v_attempt from public.purchases p where p.id = p_purchase_id;
  return v_attempt;
end;
$function$;

comment on function "public"."end_purchase_attempt"(uuid, integer) is 'The session of this attempt is spent: the purchase goes on with the next, whose number is returned. Again does nothing.';

revoke all on function "public"."end_purchase_attempt"(uuid, integer) from public;

grant execute on function "public"."end_purchase_attempt"(uuid, integer) to "postgres", "service_role";

-- public/functions/end_reconcile

create or replace function public.end_reconcile (
  p_run   bigint,
  p_done  boolean,
  p_error text    default null::text
)
  returns jsonb
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.reconcile_runs r set
    leased_until = null,
    last_error = left(p_error, 2000),
    finished_at = case when p_done and r.listed then now() end
  where r.id = p_run
  returning jsonb_build_object(
    'finished', r.finished_at is not null, 'events_seen', r.events_seen, 'events_missing', r.events_missing,
    'customers', r.customers, 'drifts', r.drifts
  );
$function$;

comment on function "public"."end_reconcile"(bigint, boolean, text) is 'Gives the run back: finished (customers that could not be understood stay in the queue for the next one), or to be gone on with by the next call. {finished, events_seen, events_missing, customers, drifts}';

revoke all on function "public"."end_reconcile"(bigint, boolean, text) from public;

grant execute on function "public"."end_reconcile"(bigint, boolean, text) to "postgres", "service_role";

-- public/functions/end_sync

create or replace function public.end_sync (
  p_stripe_customer_id text,
  p_token              bigint
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.sync_state s set lease_token = null, lease_until = null
  where s.user_id = billing.sync_user(p_stripe_customer_id) and s.lease_token = p_token;
$function$;

comment on function "public"."end_sync"(text, bigint) is 'Gives the lease up after a failure. Only one''s own.';

revoke all on function "public"."end_sync"(text, bigint) from public;

grant execute on function "public"."end_sync"(text, bigint) to "postgres", "service_role";

-- public/functions/erase_person

create or replace function public.erase_person (
  p_user_id            uuid,
  p_stripe_customer_id text
)
  returns boolean
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_deletion billing.deletions;
  v_email text;
begin
  -- In the order of public.apply_customer_snapshot(), which may be at it for a last event: the person comes third there.
  perform from billing.sync_state s where s.user_id = p_user_id for update;
  perform from public.customers c where c.user_id = p_user_id for update;
  perform billing.lock_person(p_user_id);
  -- And in that of public.apply_seller_snapshot(): the seller before their events.
  perform from public.sellers s where s.user_id = p_user_id for update;
  select * into v_deletion from billing.deletions d where d.user_id = p_user_id for no key update;
  if v_deletion.user_id is null or v_deletion.finished_at is not null then
    return v_deletion.finished_at is not null;
  end if;
  -- Only whose billing has ended, for the customer that it ended for.
  if not v_deletion.steps ? 'billing_ended' or exists (
    select from public.customers c
    where c.user_id = p_user_id and c.stripe_customer_id is distinct from p_stripe_customer_id
  ) then
    return false;
  end if;
  select u.email into v_email from auth.users u where u.id = p_user_id;
  perform billing.forget_in_problems(p_user_id, v_email);
  perform billing.forget_in_inbox(p_user_id);
  perform billing.forget_in_auth_log(p_user_id, v_email);

  -- Kept without the person. The pages at Stripe show a name and an address, so their links go.
  update public.invoices i set user_id = null, hosted_invoice_url = null, invoice_pdf = null where i.user_id = p_user_id;
  update public.purchases p set buyer_id = null where p.buyer_id = p_user_id;
  delete from public.listing_pictures i using public.listings l, public.sellers s
  where i.listing_id = l.id and l.seller_id = s.id and s.user_id = p_user_id;
  -- The name and all that is in the row goes with the id; see billing.stay_left().
  update public.sellers s set user_id = null where s.user_id = p_user_id;

  -- Removed. Everything else goes with the user, by its foreign key.
  delete from public.subscriptions s where s.user_id = p_user_id;
  delete from billing.reconcile_queue q where q.stripe_customer_id = v_deletion.stripe_customer_id;
  delete from billing.drifts f where f.stripe_customer_id = v_deletion.stripe_customer_id;
  delete from public.customers c where c.user_id = p_user_id;
  delete from auth.refresh_tokens t where t.user_id::text = p_user_id::text;
  delete from auth.users u where u.id = p_user_id;

  update billing.deletions d
  set steps = jsonb_build_object('erased', now()) || d.steps, last_error = null, next_attempt_at = null, finished_at = now()
  where d.user_id = p_user_id;
  return true;
end;
$function$;

comment on function "public"."erase_person"(uuid, text) is 'Removes a user and everything of theirs, in one transaction; what must stay stays without them. False while their billing has not ended, or when they have another Stripe customer than the one it ended for. Again does nothing.';

revoke all on function "public"."erase_person"(uuid, text) from public;

grant execute on function "public"."erase_person"(uuid, text) to "postgres", "service_role";

-- public/functions/fail_stripe_event

create or replace function public.fail_stripe_event (
  p_id    text,
  p_error text
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_event billing.stripe_events;
begin
  -- 1, 2, 4 … minutes, at most six hours: the twelfth failure is about a day and a half after the first.
  update billing.stripe_events e set
    attempts = e.attempts + 1,
    last_error = left(p_error, 2000),
    status = case when e.attempts + 1 >= 12 then 'parked' else 'pending' end,
    next_attempt_at = case when e.attempts + 1 < 12 then
      now() + least(interval '1 minute' * power(2, e.attempts), interval '6 hours') end
  where e.id = p_id and e.status in ('pending', 'parked')
  returning * into v_event;
  if not found then
    perform billing.require(
      exists (select from billing.stripe_events e where e.id = p_id), 'there is no such event'
    );
    return;
  end if;
  if v_event.status = 'parked' then
    perform billing.report_problem('event_parked', p_id, jsonb_build_object(
      'type', v_event.type, 'stripe_customer_id', v_event.stripe_customer_id
    ));
  end if;
end;
$function$;

comment on function "public"."fail_stripe_event"(text, text) is 'Working on the event failed: it is due again later, or parked after the twelfth time. A failure that comes after somebody else finished it does nothing.';

revoke all on function "public"."fail_stripe_event"(text, text) from public;

grant execute on function "public"."fail_stripe_event"(text, text) to "postgres", "service_role";

-- public/functions/find_purchase

create or replace function public.find_purchase (
  p_purchase_id    uuid default null::uuid,
  p_session        text default null::text,
  p_payment_intent text default null::text,
  p_charge         text default null::text,
  p_subscription   text default null::text
)
  returns uuid
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select coalesce(
    (select p.id from public.purchases p where p.checkout_session_id = p_session),
    (select p.id from public.purchases p where p.payment_intent_id = p_payment_intent),
    (select p.id from public.purchases p where p.stripe_subscription_id = p_subscription),
    (select c.purchase_id from billing.purchase_charges c where c.id = p_charge),
    (select p.id from public.purchases p where p.charge_id = p_charge limit 1),
    (select p.id from public.purchases p where p.id = p_purchase_id)
  );
$function$;

comment on function "public"."find_purchase"(uuid, text, text, text, text) is 'The purchase that something of Stripe belongs to: by what we bound first, by the hint p_purchase_id last. Null: not ours.';

revoke all on function "public"."find_purchase"(uuid, text, text, text, text) from public;

grant execute on function "public"."find_purchase"(uuid, text, text, text, text) to "postgres", "service_role";

-- public/functions/finish_stripe_event

create or replace function public.finish_stripe_event (
  p_id      text,
  p_outcome text
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(
    p_outcome in ('processed', 'ignored'), 'p_outcome is neither processed nor ignored'
  );
  update billing.stripe_events e
  set status = p_outcome, processed_at = now(), next_attempt_at = null, last_error = null
  where e.id = p_id and e.status in ('pending', 'parked');
  if not found then
    perform billing.require(
      exists (select from billing.stripe_events e where e.id = p_id), 'there is no such event'
    );
    return;
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'event_parked' and p.subject = p_id and p.resolved_at is null;
end;
$function$;

comment on function "public"."finish_stripe_event"(text, text) is 'The event is done. The first outcome stays; finishing again does nothing.';

revoke all on function "public"."finish_stripe_event"(text, text) from public;

grant execute on function "public"."finish_stripe_event"(text, text) to "postgres", "service_role";

-- public/functions/hold_usage

create or replace function public.hold_usage()
  returns timestamp with time zone
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  -- Waits for who is leasing: afterwards nobody takes a row.
  perform pg_advisory_xact_lock(hashtextextended('tollgate lease_usage', 0));
  insert into billing.health_marks (name, at) values ('usage_held', now()) on conflict (name) do nothing;
  if found then
    insert into billing.held_usage (stripe_customer_id, metric_id, period_start, unclaimed)
    select u.stripe_customer_id, u.metric_id, u.period_start, u.quantity - u.claimed
    from billing.overage_usage u where u.waiting;
  end if;
  return billing.usage_held_at();
end;
$function$;

comment on function "public"."hold_usage"() is 'From now on no usage is claimed or sent: who tries gets an error and tries again. Answers since when. See release_usage().';

revoke all on function "public"."hold_usage"() from public;

grant execute on function "public"."hold_usage"() to "postgres", "service_role";

-- public/functions/is_current_checkout

create or replace function public.is_current_checkout (
  p_user_id uuid,
  p_attempt bigint
)
  returns boolean
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select exists (
    select from billing.checkout_attempts a
    where a.user_id = p_user_id and a.attempt = p_attempt and a.closed_at is null
  );
$function$;

comment on function "public"."is_current_checkout"(uuid, bigint) is 'False once the attempt was closed or superseded by another one.';

revoke all on function "public"."is_current_checkout"(uuid, bigint) from public;

grant execute on function "public"."is_current_checkout"(uuid, bigint) to "postgres", "service_role";

-- public/functions/lease_deletions

create or replace function public.lease_deletions (
  p_limit integer
)
  returns table (
    user_id            uuid,
    stripe_customer_id text,
    stripe_account_id  text,
    ripe               boolean
  )
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_limit between 1 and 100, 'p_limit is not between 1 and 100');
  return query
  update billing.deletions d
  set next_attempt_at = now() + interval '4 minutes',
    stripe_customer_id = coalesce(
      (select c.stripe_customer_id from public.customers c where c.user_id = d.user_id), d.stripe_customer_id
    ),
    stripe_account_id = coalesce(
      (select s.stripe_account_id from public.sellers s where s.user_id = d.user_id), d.stripe_account_id
    )
  where d.user_id in (
    select o.user_id from billing.deletions o
    where o.finished_at is null and o.next_attempt_at <= now()
    order by o.next_attempt_at limit p_limit
    for no key update skip locked
  )
  -- A request that was admitted just before may still be talking to Stripe; no function lives for so long.
  returning d.user_id, d.stripe_customer_id, d.stripe_account_id, d.requested_at < now() - interval '7 minutes';
end;
$function$;

comment on function "public"."lease_deletions"(integer) is 'Deletions to work on, each leased for four minutes. ripe: no request that was admitted before it can still be running, so what ends now stays ended.';

revoke all on function "public"."lease_deletions"(integer) from public;

grant execute on function "public"."lease_deletions"(integer) to "postgres", "service_role";

-- public/functions/lease_notifications

create or replace function public.lease_notifications (
  p_limit integer default 20
)
  returns table (
    id         bigint,
    lease      bigint,
    email      text,
    kind       text,
    title      text,
    body       text,
    created_at timestamp with time zone
  )
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_limit between 1 and 100, 'p_limit is not between 1 and 100');
  if not billing.emails_enabled() then
    return;
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'email_not_configured' and p.resolved_at is null;
  -- Whoever had it twelve times and never said a word will not the thirteenth time either.
  perform billing.park_notifications((
    select array_agg(e.notification_id) from billing.notification_emails e
    where e.parked_at is null and e.attempts >= 12 and coalesce(e.lease_until, '-infinity') <= clock_timestamp()
  ));
  return query
  with candidates as (
    -- A day: what was written before is no news when sending is switched on, or works again.
    select n.id from public.notifications n
    where n.sent_at is null and n.read_at is null and n.created_at > now() - interval '1 day'
      and not exists (select from billing.notification_emails e where e.notification_id = n.id)
    union all
    select e.notification_id from billing.notification_emails e
    where e.parked_at is null and e.next_attempt_at <= clock_timestamp() and e.queued_at > now() - interval '1 day'
      and coalesce(e.lease_until, '-infinity') <= clock_timestamp()
  ),
  due as (
    select n.id, n.created_at
    from candidates c
    join public.notifications n on n.id = c.id and n.sent_at is null and n.read_at is null
    join auth.users u on u.id = n.user_id and u.email <> '' and u.email_confirmed_at is not null
    where not exists (select from billing.notification_optouts o where o.user_id = n.user_id)
    order by n.id
    limit p_limit
    for no key update of n skip locked
  ),
  leased as (
    insert into billing.notification_emails as e (notification_id, queued_at, attempts, lease, lease_until)
    select d.id, d.created_at, 1, 1, clock_timestamp() + interval '5 minutes' from due d
    -- Somebody who looked at the same moment may have been first.
    on conflict (notification_id) do update
      set attempts = e.attempts + 1, lease = e.lease + 1, lease_until = excluded.lease_until
      where e.parked_at is null and e.next_attempt_at <= clock_timestamp()
        and coalesce(e.lease_until, '-infinity') <= clock_timestamp()
    returning e.notification_id, e.lease
  )
  select n.id, l.lease, u.email::text, n.kind, n.title, n.body, n.created_at
  from leased l
  join public.notifications n on n.id = l.notification_id
  join auth.users u on u.id = n.user_id
  order by n.id;
end;
$function$;

comment on function "public"."lease_notifications"(integer) is 'Notices to send by e-mail now, each leased for five minutes (longer than any function lives): unread, not older than a day, of people with a confirmed address who did not switch it off. None while the setting notification_emails is false.';

revoke all on function "public"."lease_notifications"(integer) from public;

grant execute on function "public"."lease_notifications"(integer) to "postgres", "service_role";

-- public/functions/lease_refunds

create or replace function public.lease_refunds (
  p_limit integer
)
  returns table (
    id           uuid,
    purchase_id  uuid,
    charge_id    text,
    amount_minor bigint,
    currency     text,
    reason       text,
    seller_id    uuid,
    fee_minor    bigint,
    attempts     integer
  )
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  with leased as (
    update billing.refund_requests r set next_attempt_at = now() + interval '2 minutes'
    where r.id in (
      select d.id from billing.refund_requests d
      where d.status = 'pending' and d.next_attempt_at <= now()
      order by d.next_attempt_at limit p_limit
      for no key update skip locked
    )
    returning r.*
  )
  select l.id, l.purchase_id, l.charge_id, l.amount_minor, p.currency, l.reason, p.seller_id, p.fee_minor, l.attempts
  from leased l join public.purchases p on p.id = l.purchase_id;
end;
$function$;

comment on function "public"."lease_refunds"(integer) is 'Refunds to ask Stripe for, leased for two minutes. seller_id null: of the house, there is no transfer to reverse.';

revoke all on function "public"."lease_refunds"(integer) from public;

grant execute on function "public"."lease_refunds"(integer) to "postgres", "service_role";

-- public/functions/lease_usage

create or replace function public.lease_usage (
  p_limit              integer default 100,
  p_stripe_customer_id text    default null::text
)
  returns table (
    id                 bigint,
    lease              bigint,
    kind               text,
    identifier         text,
    cancels            text,
    stripe_customer_id text,
    meter_event_name   text,
    quantity           bigint,
    event_time         timestamp with time zone,
    attempts           integer,
    doubtful           boolean
  )
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  -- One at a time: two that look at the same moment could each find another first row of one customer.
  perform pg_advisory_xact_lock(hashtextextended('tollgate lease_usage', 0));
  perform billing.refuse_while_held();
  -- A lease that ran out without a word: its holder may have got through.
  update billing.usage_outbox o
  set uncertain_since = coalesce(o.uncertain_since, o.lease_until - interval '60 seconds'), lease_until = null
  where o.status = 'pending' and o.lease_until <= clock_timestamp();
  perform billing.park_unsendable();
  return query
  with heads as (
    select distinct on (o.stripe_customer_id, o.meter_event_name) o.id, o.next_attempt_at
    from billing.usage_outbox o
    where o.status = 'pending' and o.stripe_customer_id = coalesce(p_stripe_customer_id, o.stripe_customer_id)
      -- Not even when an older row comes to light while a younger one is on its way.
      and not exists (
        select from billing.usage_outbox b
        where b.status = 'pending' and b.stripe_customer_id = o.stripe_customer_id
          and b.meter_event_name = o.meter_event_name and b.lease_until is not null
      )
    order by o.stripe_customer_id, o.meter_event_name, o.id
  ), due as (
    select h.id from heads h
    where h.next_attempt_at <= clock_timestamp() or p_stripe_customer_id is not null
    order by h.next_attempt_at, h.id limit p_limit
  )
  update billing.usage_outbox o
  set lease = o.lease + 1, lease_until = clock_timestamp() + interval '60 seconds'
  from due
  where o.id = due.id and o.status = 'pending' and o.lease_until is null
  returning o.id, o.lease, o.kind, o.identifier,
    (select c.identifier from billing.usage_outbox c where c.id = o.adjusts),
    o.stripe_customer_id, o.meter_event_name, o.quantity, o.event_time, o.attempts,
    o.uncertain_since is not null;
end;
$function$;

comment on function "public"."lease_usage"(integer, text) is 'Rows to send, for 60 seconds: at most one per customer and meter, the oldest, when it is due (of one customer: also when not) and nothing of theirs is on its way. kind event: report quantity under identifier; adjustment: cancel the event of identifier cancels. doubtful: an earlier attempt may have got through.';

revoke all on function "public"."lease_usage"(integer, text) from public;

grant execute on function "public"."lease_usage"(integer, text) to "postgres", "service_role";

-- public/functions/ledger_check_cursor

create or replace function public.ledger_check_cursor()
  returns uuid
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select c.after from billing.ledger_check_cursor c;
$function$;

comment on function "public"."ledger_check_cursor"() is 'Where the scheduled check of the ledger goes on: p_after of seller_ledger(). Null: with the first creator.';

revoke all on function "public"."ledger_check_cursor"() from public;

grant execute on function "public"."ledger_check_cursor"() to "postgres", "service_role";

-- public/functions/ledger_sellers

create or replace function public.ledger_sellers (
  p_after uuid    default null::uuid,
  p_limit integer default 50
)
  returns table (
    seller_id uuid,
    account   text
  )
  language plpgsql
  stable
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  select s.id, s.stripe_account_id from public.sellers s
  where s.stripe_account_id is not null and (p_after is null or s.id > p_after)
  order by s.id limit p_limit;
end;
$function$;

comment on function "public"."ledger_sellers"(uuid, integer) is 'A page of all creators that have an account at Stripe, by seller id.';

revoke all on function "public"."ledger_sellers"(uuid, integer) from public;

grant execute on function "public"."ledger_sellers"(uuid, integer) to "postgres", "service_role";

-- public/functions/link_customer

create or replace function public.link_customer (
  p_user_id            uuid,
  p_stripe_customer_id text
)
  returns text
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_linked text;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.require(p_stripe_customer_id ~ '^cus_\w+$', 'p_stripe_customer_id is not a customer id');
  insert into public.customers (user_id, stripe_customer_id)
  values (p_user_id, p_stripe_customer_id)
  on conflict (user_id) do nothing;
  select c.stripe_customer_id into strict v_linked
  from public.customers c where c.user_id = p_user_id;
  return v_linked;
end;
$function$;

comment on function "public"."link_customer"(uuid, text) is 'Links a user to a Stripe customer and returns the customer that is linked: the first one wins, so two tabs get the same. A customer that is somebody else''s is a unique violation (23505).';

revoke all on function "public"."link_customer"(uuid, text) from public;

grant execute on function "public"."link_customer"(uuid, text) to "postgres", "service_role";

-- public/functions/link_seller_account

create or replace function public.link_seller_account (
  p_seller_id uuid,
  p_account   text
)
  returns text
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_linked text;
begin
  perform billing.require(p_account ~ '^acct_\w+$', 'p_account is not an account id');
  update public.sellers s set stripe_account_id = coalesce(s.stripe_account_id, p_account)
  where s.id = p_seller_id returning s.stripe_account_id into v_linked;
  perform billing.require(v_linked is not null, 'there is no such seller');
  return v_linked;
end;
$function$;

comment on function "public"."link_seller_account"(uuid, text) is 'Binds a connected account and returns the one that is bound: of two callers the first wins.';

revoke all on function "public"."link_seller_account"(uuid, text) from public;

grant execute on function "public"."link_seller_account"(uuid, text) to "postgres", "service_role";

-- public/functions/mark_notifications_read

create or replace function public.mark_notifications_read (
  p_up_to bigint default null::bigint
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_read bigint;
begin
  update public.notifications n set read_at = now()
  where n.user_id = (select auth.uid()) and n.read_at is null and n.id <= coalesce(p_up_to, n.id);
  get diagnostics v_read = row_count;
  return v_read;
end;
$function$;

comment on function "public"."mark_notifications_read"(bigint) is 'Marks the caller''s unread notifications as read, up to an id (null: all), and answers how many.';

revoke all on function "public"."mark_notifications_read"(bigint) from public;

grant execute on function "public"."mark_notifications_read"(bigint) to "authenticated", "postgres";

-- public/functions/mirrored_subscriptions

create or replace function public.mirrored_subscriptions (
  p_user_id uuid
)
  returns SETOF text
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select s.id from public.subscriptions s where s.user_id = p_user_id and s.status not in ('canceled', 'incomplete_expired')
  union
  select p.stripe_subscription_id from public.purchases p
  where p.buyer_id = p_user_id and p.stripe_subscription_id is not null
    and p.subscription_status is distinct from 'canceled';
$function$;

comment on function "public"."mirrored_subscriptions"(uuid) is 'Subscriptions, plans and licences, that may still bill as far as our rows know.';

revoke all on function "public"."mirrored_subscriptions"(uuid) from public;

grant execute on function "public"."mirrored_subscriptions"(uuid) to "postgres", "service_role";

-- public/functions/move_ledger_check

create or replace function public.move_ledger_check (
  p_after uuid default null::uuid
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.ledger_check_cursor c set
    after = p_after,
    round_started_at = case when p_after is null then now() else c.round_started_at end,
    updated_at = now();
$function$;

comment on function "public"."move_ledger_check"(uuid) is 'Remembers the last creator whose ledger was checked; null when all were, and the next round begins.';

revoke all on function "public"."move_ledger_check"(uuid) from public;

grant execute on function "public"."move_ledger_check"(uuid) to "postgres", "service_role";

-- public/functions/move_platform_check

create or replace function public.move_platform_check (
  p_after text
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.ledger_check_cursor c set platform_after = p_after, updated_at = now();
$function$;

comment on function "public"."move_platform_check"(text) is 'Remembers the balance transaction of ours that was compared last.';

revoke all on function "public"."move_platform_check"(text) from public;

grant execute on function "public"."move_platform_check"(text) to "postgres", "service_role";

-- public/functions/move_usage_check

create or replace function public.move_usage_check (
  p_after text
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.usage_check_cursor c set
    after = coalesce(p_after, ''),
    round_started_at = case when coalesce(p_after, '') = '' then now() else c.round_started_at end,
    updated_at = now();
$function$;

comment on function "public"."move_usage_check"(text) is 'Remembers the last customer whose usage was checked; empty when everybody was, and the next round begins.';

revoke all on function "public"."move_usage_check"(text) from public;

grant execute on function "public"."move_usage_check"(text) to "postgres", "service_role";

-- public/functions/my_data

create or replace function public.my_data (
  p_section text,
  p_after   text    default ''::text,
  p_limit   integer default 500
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_user uuid := auth.uid();
  v_query text := billing.export_query(p_section);
  v_page jsonb;
begin
  if v_user is null then
    perform billing.raise_http(401, 'unauthorized', 'Sign in first.');
  end if;
  perform billing.require(v_query is not null, 'p_section is not a section of the export');
  perform billing.require(p_after is not null, 'p_after is missing');
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  execute format(
    'select jsonb_build_object(''rows'', coalesce(jsonb_agg(p.data order by p.key collate "C"), ''[]''),
       ''next'', case when count(*) = $3 then max(p.key collate "C") end)
     from (select q.key, q.data from (%s) q where $2 = '''' or q.key collate "C" > $2 order by q.key collate "C" limit $3) p',
    v_query
  ) into v_page using v_user, p_after, p_limit;
  return v_page;
end;
$function$;

comment on function "public"."my_data"(text, text, integer) is 'A page of one section of everything about the caller: {rows, next}; next is p_after of the next page, null after the last.';

revoke all on function "public"."my_data"(text, text, integer) from public;

grant execute on function "public"."my_data"(text, text, integer) to "authenticated", "postgres";

-- public/functions/my_earnings

create or replace function public.my_earnings (
  p_from     date,
  p_to       date,
  p_currency text
)
  returns table (
    day          date,
    sales        bigint,
    gross_minor  bigint,
    earned_minor bigint
  )
  language plpgsql
  stable
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.check_range(p_from, p_to);
  return query
  select (t.occurred_at at time zone 'UTC')::date, count(*) filter (where t.kind = 'transfer'),
    coalesce(sum(e.amount_minor) filter (where t.kind = 'transfer'), 0)::bigint, sum(e.amount_minor)::bigint
  from billing.ledger_transactions t
  join billing.ledger_entries e on e.transaction_id = t.id
  join billing.ledger_accounts a on a.id = e.account_id and a.kind = 'creator'
  where t.seller_id = billing.my_seller_id() and t.currency = p_currency
    and t.kind not in ('payout', 'payout_failed')
    and t.occurred_at >= p_from::timestamp at time zone 'UTC'
    and t.occurred_at < (p_to + 1)::timestamp at time zone 'UTC'
  group by 1 order by 1;
end;
$function$;

comment on function "public"."my_earnings"(date, date, text) is 'Per UTC day that has any: payments, what they came to, and what the caller earned that day after fees, refunds and disputes (may be negative), in minor units. 422 invalid_range.';

revoke all on function "public"."my_earnings"(date, date, text) from public;

grant execute on function "public"."my_earnings"(date, date, text) to "authenticated", "postgres";

-- public/functions/my_entitlements

create or replace function public.my_entitlements()
  returns jsonb
  language sql
  stable
  set search_path to ''
  AS $function$
  with me as (
    select e.plan_id, e.source, e.subscription_id, e.valid_until
    from (values (true)) as one (row)
    left join public.entitlements e on e.user_id = (select auth.uid())
      and (e.valid_until is null or e.valid_until > now())
  ),
  plan as (
    select p.* from public.plans p, me
    where p.id = me.plan_id or (me.plan_id is null and p.is_default)
  ),
  -- The one that gives the plan; otherwise the newest that has not ended, so that an unpaid one is seen.
  subscription as (
    select s.* from public.subscriptions s, me
    where s.user_id = (select auth.uid())
      and (s.id = me.subscription_id
        or (me.subscription_id is null and s.ended_at is null
          and s.status not in ('canceled', 'incomplete_expired')))
    order by s.stripe_created_at desc nulls last, s.id desc
    limit 1
  ),
  problem as (select billing.my_payment_problem() as doc)
  select jsonb_build_object(
    'plan', (select jsonb_build_object('id', p.id, 'name', p.name, 'rank', p.rank) from plan p),
    'source', coalesce((select me.source from me), 'default'),
    'status', (select s.status from subscription s),
    'features', coalesce((
      select jsonb_agg(f.id order by f.rank)
      from plan p
      join public.plan_features pf on pf.plan_id = p.id
      join public.features f on f.id = pf.feature_id
    ), '[]'),
    'limits', coalesce((
      select jsonb_object_agg(
        m.id, case when l.plan_id is null then 0 else l.limit_value end + billing.my_add_on(m.id)
      )
      from public.metrics m
      left join public.plan_limits l on l.metric_id = m.id and l.plan_id = (select p.id from plan p)
    ), '{}'),
    'subscription', (
      select jsonb_build_object(
        'id', s.id,
        'status', s.status,
        'price_lookup_key', s.price_lookup_key,
        'quantity', s.quantity,
        'current_period_end', s.current_period_end,
        'cancel_at', s.cancel_at,
        'cancel_at_period_end', s.cancel_at_period_end,
        -- Stripe says "ending" in two ways; both mean it.
        'ends_at', coalesce(
          s.cancel_at, case when s.cancel_at_period_end then s.current_period_end end
        ),
        'trial_end', s.trial_end
      )
      from subscription s
    ),
    'payment_problem', (select p.doc - 'grace_ends_at' from problem p),
    'grace_ends_at', (select (p.doc ->> 'grace_ends_at')::timestamptz from problem p),
    'pending_change', (
      select jsonb_build_object('lookup_key', s.pending_price_lookup_key, 'at', s.pending_change_at)
      from subscription s where s.pending_price_lookup_key is not null
    ),
    'grant', (select jsonb_build_object('ends_at', me.valid_until) from me where me.source = 'grant')
  );
$function$;

comment on function "public"."my_entitlements"() is 'The caller''s plan, where it comes from, features, limits (null: unlimited), subscription, and what needs their attention.';

revoke all on function "public"."my_entitlements"() from public;

grant execute on function "public"."my_entitlements"() to "authenticated", "postgres";

-- public/functions/my_library

create or replace function public.my_library()
  returns table (
    licence_id           uuid,
    purchase_id          uuid,
    listing_id           uuid,
    reference            text,
    title                text,
    description          text,
    category             text,
    kind                 text,
    seller_name          text,
    listing_status       text,
    version              integer,
    status               text,
    reason               text,
    valid_until          timestamp with time zone,
    purchase_status      text,
    amount_minor         bigint,
    refunded_minor       bigint,
    currency             text,
    receipt_url          text,
    current_period_end   timestamp with time zone,
    cancel_at_period_end boolean,
    paid_at              timestamp with time zone,
    created_at           timestamp with time zone,
    copies               bigint,
    open_invoice_url     text,
    open_minor           bigint
  )
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select l.id, p.id, i.id, billing.purchase_reference(p.id), p.title, i.description, i.category, p.kind,
    i.seller_name, i.status, i.version,
    -- A licence that has ended by itself, before the next snapshot says so.
    case when l.status = 'active' and l.valid_until <= now() then 'revoked' else l.status end,
    case when l.status = 'active' and l.valid_until <= now()
      then (case when p.past_due_since is null then 'canceled' else 'payment_failed' end) else l.reason end,
    l.valid_until, p.status, p.amount_minor, p.refunded_minor, p.currency, p.receipt_url, p.current_period_end,
    p.cancel_at_period_end or p.cancel_at is not null, p.paid_at, p.created_at,
    (select count(*) from public.agents a where a.user_id = p.buyer_id and a.source_listing_id = i.id),
    o.url, o.minor
  from public.purchases p
  join public.listings i on i.id = p.listing_id
  left join public.licences l on l.purchase_id = p.id
  -- What is left when it is over need not be paid.
  left join lateral (
    select p.open_invoice_url as url, p.open_minor as minor where p.status = 'past_due'
  ) o on true
  where p.buyer_id = (select auth.uid()) and (l.id is not null or p.status = 'processing')
  order by p.created_at desc, p.id;
$function$;

comment on function "public"."my_library"() is 'What the caller has bought, newest first; also what they paid for and is still being processed (licence_id null). status and reason are the licence''s, purchase_status the payment''s (past_due: the renewal failed; open_invoice_url is where the open_minor can be paid); amounts in minor units; copies: clones that exist. Pictures are in listing_pictures.';

revoke all on function "public"."my_library"() from public;

grant execute on function "public"."my_library"() to "authenticated", "postgres";

-- public/functions/my_notification_emails

create or replace function public.my_notification_emails()
  returns jsonb
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select jsonb_build_object(
    'available', billing.emails_enabled(),
    'enabled', not exists (select from billing.notification_optouts o where o.user_id = (select auth.uid()))
  );
$function$;

comment on function "public"."my_notification_emails"() is 'Whether notices are sent by e-mail here (available), and whether the caller wants them (enabled).';

revoke all on function "public"."my_notification_emails"() from public;

grant execute on function "public"."my_notification_emails"() to "authenticated", "postgres";

-- public/functions/my_overage

create or replace function public.my_overage()
  returns jsonb
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select jsonb_build_object(
    'available', t.available,
    'reason', t.reason,
    'enabled', coalesce(a.enabled and a.subscription_id = t.subscription_id, false),
    'attached', exists (select from billing.metered_items i where i.subscription_id = t.subscription_id),
    'cap_minor', a.cap_minor,
    'maximum_cap_minor', billing.overage_cap_maximum(coalesce(a.currency, t.currency)),
    'currency', coalesce(a.currency, t.currency),
    'period_start', p.p_start,
    'period_end', p.p_end,
    'spent_minor', ceil(s.spent)::bigint,
    'projected_minor', ceil(greatest(s.spent, least(
      s.spent * extract(epoch from p.p_end - p.p_start)
        / greatest(extract(epoch from now() - p.p_start), 1),
      coalesce(a.cap_minor, s.spent)
    )))::bigint,
    'metrics', billing.overage_metrics(
      u.id, t.subscription_id, t.plan_id, coalesce(a.currency, t.currency), p.p_start
    ),
    'credits', billing.my_credits(u.id, coalesce(a.currency, t.currency))
  )
  from (select (select auth.uid()) as id) u
  cross join lateral billing.overage_terms(u.id) t
  left join billing.overage_accounts a on a.user_id = u.id
  left join lateral (
    select coalesce(a.period_start, i.period_start) as p_start, coalesce(a.period_end, i.period_end) as p_end
    from (select min(m.period_start) as period_start, min(m.period_end) as period_end
      from billing.metered_items m where m.subscription_id = t.subscription_id) i
  ) k on true
  left join lateral billing.present_period(k.p_start, k.p_end, now()) p on true
  left join lateral (select coalesce(billing.overage_spent(u.id, p.p_start), 0) as spent) s on true;
$function$;

comment on function "public"."my_overage"() is 'The caller''s usage beyond the allowance: {available, reason, enabled, attached (Stripe has the metered items), cap_minor, maximum_cap_minor, currency, period_start, period_end, spent_minor (rounded up), projected_minor (straight on to the end of the period, within the cap), metrics: [{metric, name, quantity, unit_amount_minor, amount_minor}], credits: {balance_minor, currency, next_expiry} or null}. Times are null before the metered items are there.';

revoke all on function "public"."my_overage"() from public;

grant execute on function "public"."my_overage"() to "authenticated", "postgres";

-- public/functions/my_payouts

create or replace function public.my_payouts()
  returns table (
    id           text,
    amount_minor bigint,
    currency     text,
    status       text,
    created_at   timestamp with time zone,
    arrival_date date
  )
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select o.id, o.amount_minor, o.currency, o.status, o.created_at, o.arrival_date
  from billing.payouts o where o.seller_id = billing.my_seller_id()
  order by o.created_at desc, o.id limit 200;
$function$;

comment on function "public"."my_payouts"() is 'The caller''s payouts to their bank, newest first, 200 at most.';

revoke all on function "public"."my_payouts"() from public;

grant execute on function "public"."my_payouts"() to "authenticated", "postgres";

-- public/functions/my_sales

create or replace function public.my_sales (
  p_from date,
  p_to   date
)
  returns table (
    day          date,
    listing_id   uuid,
    title        text,
    reference    text,
    amount_minor bigint,
    fee_minor    bigint,
    earned_minor bigint,
    currency     text,
    status       text
  )
  language plpgsql
  stable
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.check_range(p_from, p_to);
  return query
  select (c.created_at at time zone 'UTC')::date, p.listing_id, p.title, billing.purchase_reference(p.id), c.amount_minor,
    coalesce(m.fee, 0)::bigint, coalesce(m.earned, 0)::bigint, p.currency, s.state
  from public.purchases p
  join billing.purchase_charges c on c.purchase_id = p.id and c.status = 'succeeded'
  cross join lateral billing.charge_state(c.id) s
  left join lateral (
    select -sum(e.amount_minor) filter (where t.kind in ('application_fee', 'fee_refund')) as fee,
      sum(e.amount_minor) as earned
    from billing.ledger_transactions t
    join billing.ledger_entries e on e.transaction_id = t.id
    join billing.ledger_accounts a on a.id = e.account_id and a.kind = 'creator'
    where t.charge_id = c.id and t.purchase_id = p.id
  ) m on true
  where p.seller_id = billing.my_seller_id()
    and c.created_at >= p_from::timestamp at time zone 'UTC'
    and c.created_at < (p_to + 1)::timestamp at time zone 'UTC'
  order by c.created_at desc, c.id;
end;
$function$;

comment on function "public"."my_sales"(date, date) is 'Payments for the caller''s listings in a range of UTC days, newest first: amount, fee kept by the platform (less what was given back), earned after refunds and disputes, in minor units; status paid, partially_refunded, refunded, disputed or lost. The reference is what the buyer sees as well. 422 invalid_range.';

revoke all on function "public"."my_sales"(date, date) from public;

grant execute on function "public"."my_sales"(date, date) to "authenticated", "postgres";

-- public/functions/my_seller

create or replace function public.my_seller()
  returns jsonb
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select jsonb_build_object(
    'id', s.id, 'status', s.status, 'paused_reason', s.paused_reason, 'requirements', to_jsonb(s.requirements),
    'display_name', s.display_name, 'country', s.country, 'fee_bps', billing.fee_bps(s.id),
    'currencies', coalesce(
      (select jsonb_agg(to_jsonb(c) order by c.currency) from billing.creator_sums(s.id) c), '[]'
    )
  )
  from public.sellers s where s.user_id = auth.uid();
$function$;

comment on function "public"."my_seller"() is 'The creator the caller is: {id, status, paused_reason, requirements, display_name, country, fee_bps, currencies: [{currency, balance_minor, earned_minor, paid_out_minor, sales}]}, or null. A balance below zero is taken from later sales.';

revoke all on function "public"."my_seller"() from public;

grant execute on function "public"."my_seller"() to "authenticated", "postgres";

-- public/functions/my_usage

create or replace function public.my_usage()
  returns table (
    metric      text,
    used        bigint,
    limit_value bigint,
    resets_at   timestamp with time zone,
    plan        text,
    overage     bigint
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  select
    m.id,
    case when c.period_day < t.today then 0 else coalesce(c.used, 0) end,
    -- The cached allowance is what decides while it is valid; otherwise plan and add-ons are what will.
    case
      when c.valid_until > now() then c.allowance
      when l.plan_id is not null then l.limit_value + billing.my_add_on(m.id)
      else billing.my_add_on(m.id)
    end,
    case when m.period = 'day' then (greatest(c.period_day, t.today) + 1)::timestamp at time zone 'UTC' end,
    p.id,
    case when c.period_day < t.today then 0 else coalesce(c.overage, 0) end
  from public.metrics m
  cross join (select (now() at time zone 'UTC')::date as today) t
  left join billing.usage_counters c on c.metric_id = m.id and c.user_id = (select auth.uid())
  left join public.plans p on p.id = coalesce(
    (
      select e.plan_id from public.entitlements e
      where e.user_id = (select auth.uid()) and (e.valid_until is null or e.valid_until > now())
    ),
    (select d.id from public.plans d where d.is_default)
  )
  left join public.plan_limits l on l.plan_id = p.id and l.metric_id = m.id
  order by m.id;
$function$;

comment on function "public"."my_usage"() is 'What the caller has used, one row per metric: used, limit_value (null is unlimited), resets_at (null is never), plan, and overage: how much of used is beyond the allowance and paid for.';

revoke all on function "public"."my_usage"() from public;

grant execute on function "public"."my_usage"() to "authenticated", "postgres";

-- public/functions/next_reconcile_customers

create or replace function public.next_reconcile_customers (
  p_run   bigint,
  p_limit integer
)
  returns SETOF text
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
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
$function$;

comment on function "public"."next_reconcile_customers"(bigint, integer) is 'The customers to look at next, those whose snapshot is older than a day included.';

revoke all on function "public"."next_reconcile_customers"(bigint, integer) from public;

grant execute on function "public"."next_reconcile_customers"(bigint, integer) to "postgres", "service_role";

-- public/functions/next_sync_token

create or replace function public.next_sync_token()
  returns bigint
  language sql
  security definer
  set search_path to ''
  AS $function$
  select nextval('billing.sync_token_seq');
$function$;

comment on function "public"."next_sync_token"() is 'Take it before fetching; apply the snapshot with it.';

revoke all on function "public"."next_sync_token"() from public;

grant execute on function "public"."next_sync_token"() to "postgres", "service_role";

-- public/functions/note_audit_check

create or replace function public.note_audit_check (
  p_fault jsonb
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
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
$function$;

comment on function "public"."note_audit_check"(jsonb) is 'What the check of the whole chain found; null: it holds.';

revoke all on function "public"."note_audit_check"(jsonb) from public;

grant execute on function "public"."note_audit_check"(jsonb) to "postgres", "service_role";

-- public/functions/note_catalogue_check

create or replace function public.note_catalogue_check (
  p_verdicts jsonb
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  insert into billing.catalogue_checks as c (lookup_key, verdict)
  select v.lookup_key, v.verdict from jsonb_to_recordset(p_verdicts) v (lookup_key text, verdict text)
  on conflict (lookup_key) do update set verdict = excluded.verdict, checked_at = now();
$function$;

comment on function "public"."note_catalogue_check"(jsonb) is 'Keeps what was found: [{lookup_key, verdict}].';

revoke all on function "public"."note_catalogue_check"(jsonb) from public;

grant execute on function "public"."note_catalogue_check"(jsonb) to "postgres", "service_role";

-- public/functions/note_deletion_step

create or replace function public.note_deletion_step (
  p_user_id uuid,
  p_step    text
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.deletions d set steps = jsonb_build_object(p_step, now()) || d.steps
  where d.user_id = p_user_id and d.finished_at is null;
$function$;

comment on function "public"."note_deletion_step"(uuid, text) is 'Remembers when a step was first done.';

revoke all on function "public"."note_deletion_step"(uuid, text) from public;

grant execute on function "public"."note_deletion_step"(uuid, text) to "postgres", "service_role";

-- public/functions/note_dispute_work

create or replace function public.note_dispute_work (
  p_dispute_id   text,
  p_done         text   default null::text,
  p_error        text   default null::text,
  p_amount_minor bigint default null::bigint
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_dispute billing.purchase_disputes;
begin
  perform billing.require(
    coalesce(p_done, 'failed') in ('reversed', 'paid_back', 'shared', 'failed'),
    'p_done is none of reversed, paid_back, shared, failed'
  );
  update billing.purchase_disputes d set
    attempts = case when coalesce(p_done, 'failed') = 'failed' then d.attempts + 1 else 0 end,
    last_error = left(p_error, 2000),
    next_attempt_at = case when p_done is not null then now()
      else now() + least(interval '1 minute' * power(2, d.attempts), interval '6 hours') end,
    transfer_state = case
      when p_done = 'shared' then d.transfer_state
      when p_done is not null then p_done
      when d.attempts + 1 >= 8 then 'failed' else d.transfer_state end,
    reversed_minor = case when p_done = 'reversed' then coalesce(p_amount_minor, d.amount_minor) else d.reversed_minor end,
    shared_minor = case when p_done = 'shared' then coalesce(p_amount_minor, d.shared_minor) else d.shared_minor end
  where d.id = p_dispute_id and (
    p_done is null or p_done = 'shared' or d.transfer_state <> p_done
    -- Somebody slow had taken it back after all when it was settled.
    or (p_done = 'reversed' and p_amount_minor > d.reversed_minor)
  )
  returning * into v_dispute;
  if v_dispute.transfer_state = 'failed' then
    perform billing.report_problem('reversal_failed', p_dispute_id, jsonb_build_object(
      'purchase', v_dispute.purchase_id, 'amount_minor', v_dispute.amount_minor, 'error', v_dispute.last_error
    ));
  elsif p_done is not null then
    update billing.problems b set resolved_at = now()
    where b.kind = 'reversal_failed' and b.subject = p_dispute_id and b.resolved_at is null;
  end if;
  if p_done = 'reversed' and p_error is not null then
    perform billing.report_problem('fee_refund_failed', p_dispute_id, jsonb_build_object(
      'purchase', v_dispute.purchase_id, 'reversed_minor', v_dispute.reversed_minor, 'error', v_dispute.last_error
    ));
  end if;
end;
$function$;

comment on function "public"."note_dispute_work"(text, text, text, bigint) is 'What came of it: p_done reversed (p_amount_minor: net of the fee given back, which a won dispute pays again; with p_error: Stripe does not give the fee back, a problem fee_refund_failed), paid_back, shared (p_amount_minor: what had been refunded of the payment), or failed for good; p_done null with p_error: again later, eight times at most. failed is a problem reversal_failed: the platform bears it.';

revoke all on function "public"."note_dispute_work"(text, text, text, bigint) from public;

grant execute on function "public"."note_dispute_work"(text, text, text, bigint) to "postgres", "service_role";

-- public/functions/note_ledger_check

create or replace function public.note_ledger_check (
  p_subject      text,
  p_currency     text,
  p_ledger_minor bigint,
  p_stripe_minor bigint,
  p_note         text   default null::text
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_subject constant text := p_subject || ' ' || p_currency;
  v_drift bigint;
begin
  insert into billing.ledger_checks (subject, currency, ledger_minor, stripe_minor, note)
  values (p_subject, p_currency, p_ledger_minor, p_stripe_minor, p_note)
  returning drift_minor into v_drift;
  if v_drift = 0 then
    update billing.problems p set resolved_at = now()
    where p.kind = 'ledger_drift' and p.subject = v_subject and p.resolved_at is null;
  else
    perform billing.report_problem('ledger_drift', v_subject, jsonb_build_object(
      'ledger_minor', p_ledger_minor, 'stripe_minor', p_stripe_minor, 'drift_minor', v_drift, 'note', p_note
    ));
  end if;
  return v_drift;
end;
$function$;

comment on function "public"."note_ledger_check"(text, text, bigint, bigint, text) is 'Keeps a comparison and returns the drift; one that is not zero is a problem until a later check finds none.';

revoke all on function "public"."note_ledger_check"(text, text, bigint, bigint, text) from public;

grant execute on function "public"."note_ledger_check"(text, text, bigint, bigint, text) to "postgres", "service_role";

-- public/functions/note_purchase_session

create or replace function public.note_purchase_session (
  p_purchase_id uuid,
  p_attempt     integer,
  p_session_id  text
)
  returns text
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_session text;
begin
  perform billing.require(p_session_id ~ '^cs_\w+$', 'p_session_id is not a session id');
  update public.purchases p set
    checkout_session_id = coalesce(p.checkout_session_id, p_session_id),
    stripe_customer_id = (select c.stripe_customer_id from public.customers c where c.user_id = p.buyer_id)
  where p.id = p_purchase_id and p.attempt = p_attempt and p.status = 'open'
  returning p.checkout_session_id into v_session;
  return v_session;
end;
$function$;

comment on function "public"."note_purchase_session"(uuid, integer, text) is 'Binds the Checkout session of an attempt and returns the one that is bound, the first; null when the attempt is over.';

revoke all on function "public"."note_purchase_session"(uuid, integer, text) from public;

grant execute on function "public"."note_purchase_session"(uuid, integer, text) to "postgres", "service_role";

-- public/functions/note_reconcile_page

create or replace function public.note_reconcile_page (
  p_run    bigint,
  p_events jsonb,
  p_cursor text,
  p_listed boolean
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
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
$function$;

comment on function "public"."note_reconcile_page"(bigint, jsonb, text, boolean) is 'Keeps a page of Stripe''s events [{id, type, api_version, created, customer, payload}]: receives what was never delivered, queues the customers to look at, and remembers the place. Returns how many were missing.';

revoke all on function "public"."note_reconcile_page"(bigint, jsonb, text, boolean) from public;

grant execute on function "public"."note_reconcile_page"(bigint, jsonb, text, boolean) to "postgres", "service_role";

-- public/functions/note_usage_check

create or replace function public.note_usage_check (
  p_stripe_customer_id text,
  p_metric_id          text,
  p_period_start       timestamp with time zone,
  p_stripe             bigint,
  p_note               text                     default null::text
)
  returns text
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
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
$function$;

comment on function "public"."note_usage_check"(text, text, timestamp with time zone, bigint, text) is 'Compares what Stripe''s event summaries say of a ledger row with ours as it is now, keeps the result, and returns the verdict: equal (ledger, outbox and Stripe are one number), under_way, parked or drift. A drift is also in billing.problems until a check finds it gone.';

revoke all on function "public"."note_usage_check"(text, text, timestamp with time zone, bigint, text) from public;

grant execute on function "public"."note_usage_check"(text, text, timestamp with time zone, bigint, text) to "postgres", "service_role";

-- public/functions/notification_failed

create or replace function public.notification_failed (
  p_id       bigint,
  p_lease    bigint,
  p_error    text,
  p_for_good boolean default false
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_error <> '', 'p_error is missing');
  -- 1, 2, 4 … minutes, at most an hour: twelve attempts are about six hours.
  update billing.notification_emails e set
    last_error = left(p_error, 2000),
    next_attempt_at = now() + least(interval '1 minute' * power(2, least(e.attempts - 1, 10)), interval '1 hour'),
    lease_until = null
  where e.notification_id = p_id and e.lease = p_lease and e.parked_at is null;
  if not found then
    return;
  end if;
  perform billing.park_notifications((
    select array_agg(e.notification_id) from billing.notification_emails e
    where e.notification_id = p_id and (p_for_good or e.attempts >= 12)
  ));
end;
$function$;

comment on function "public"."notification_failed"(bigint, bigint, text, boolean) is 'Sending failed: due again later and later, parked after the twelfth time or when the recipient is refused for good. With a lease that is no longer the current one nothing happens.';

revoke all on function "public"."notification_failed"(bigint, bigint, text, boolean) from public;

grant execute on function "public"."notification_failed"(bigint, bigint, text, boolean) to "postgres", "service_role";

-- public/functions/notification_sent

create or replace function public.notification_sent (
  p_id bigint
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  update public.notifications n set sent_at = now() where n.id = p_id and n.sent_at is null;
  delete from billing.notification_emails e where e.notification_id = p_id;
  update billing.problems p set resolved_at = now()
  where p.kind = 'notification_parked' and p.subject = p_id::text and p.resolved_at is null;
end;
$function$;

comment on function "public"."notification_sent"(bigint) is 'The mail server has taken the e-mail. Again changes nothing.';

revoke all on function "public"."notification_sent"(bigint) from public;

grant execute on function "public"."notification_sent"(bigint) to "postgres", "service_role";

-- public/functions/open_ledgers

create or replace function public.open_ledgers()
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_opened bigint;
begin
  perform billing.require(billing.usage_held_at() is not null, 'usage is not held back');
  -- Periods that began since the backup, of which Stripe may have counted something.
  insert into billing.overage_usage (stripe_customer_id, metric_id, period_start, period_end, user_id, quantity, amount_minor)
  select c.stripe_customer_id, i.metric_id, i.period_start, i.period_end, i.user_id, 0, 0
  from billing.metered_items i join public.customers c on c.user_id = i.user_id
  on conflict (stripe_customer_id, metric_id, period_start) do nothing;
  get diagnostics v_opened = row_count;
  -- Beyond every identifier that was used since the backup: a claim is made every five minutes and with some events.
  update billing.overage_usage u set sequence = (u.sequence / 1000000 + 1) * 1000000
  where u.period_end > billing.usage_held_at() - interval '35 days';
  return v_opened;
end;
$function$;

comment on function "public"."open_ledgers"() is 'Ledger rows for the billing periods of today, so that they are checked, and sequences that no lost row has used.';

revoke all on function "public"."open_ledgers"() from public;

grant execute on function "public"."open_ledgers"() to "postgres", "service_role";

-- public/functions/platform_check_cursor

create or replace function public.platform_check_cursor()
  returns jsonb
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select jsonb_build_object('after', c.platform_after, 'from', extract(epoch from c.platform_from)::bigint)
  from billing.ledger_check_cursor c;
$function$;

comment on function "public"."platform_check_cursor"() is 'Where the comparison of our own balance goes on: {after: a balance transaction or null, from: Unix seconds}.';

revoke all on function "public"."platform_check_cursor"() from public;

grant execute on function "public"."platform_check_cursor"() to "postgres", "service_role";

-- public/functions/platform_ledger

create or replace function public.platform_ledger()
  returns table (
    currency text,
    kind     text,
    balance  bigint
  )
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select b.currency, b.kind, sum(b.balance_minor)::bigint
  from billing.ledger_balances b group by b.currency, b.kind order by b.currency, b.kind;
$function$;

comment on function "public"."platform_ledger"() is 'What the accounts of each kind come to per currency; over a currency it is zero.';

revoke all on function "public"."platform_ledger"() from public;

grant execute on function "public"."platform_ledger"() to "postgres", "service_role";

-- public/functions/platform_movements

create or replace function public.platform_movements (
  p_movements jsonb
)
  returns table (
    id           text,
    purchase_id  uuid,
    ledger_minor bigint
  )
  language plpgsql
  stable
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(
    jsonb_typeof(p_movements) = 'array' and jsonb_array_length(p_movements) <= 1000, 'p_movements is no list of at most 1000'
  );
  return query
  select m.id,
    coalesce(
      (select t.purchase_id from billing.ledger_transactions t where t.source = m.source),
      (select c.purchase_id from billing.purchase_charges c where c.id = any (m.parents) limit 1),
      (select t.purchase_id from billing.ledger_transactions t where t.source = any (m.parents) limit 1),
      (select p.id from public.purchases p where p.id = m.purchase)
    ),
    coalesce((
      select sum(e.amount_minor) from billing.ledger_transactions t
      join billing.ledger_entries e on e.transaction_id = t.id
      join billing.ledger_accounts a on a.id = e.account_id and a.kind = 'platform' and a.currency = m.currency
      where t.source = m.source
    ), 0)::bigint
  from jsonb_to_recordset(p_movements) m (id text, source text, currency text, parents text[], purchase uuid);
end;
$function$;

comment on function "public"."platform_movements"(jsonb) is 'Of balance transactions [{id, source: what the ledger posts it under, currency, parents: payments, transfers or fees it belongs to, purchase?}]: the purchase each is of (null: none that we know) and what the ledger added to the platform for it.';

revoke all on function "public"."platform_movements"(jsonb) from public;

grant execute on function "public"."platform_movements"(jsonb) to "postgres", "service_role";

-- public/functions/publish_listing

create or replace function public.publish_listing (
  p_listing_id uuid
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_seller public.sellers;
  v_listing public.listings;
  v_agent public.agents;
begin
  select * into v_seller from public.sellers s where s.user_id = auth.uid() for share;
  if not found then
    perform billing.raise_http(403, 'seller_required', 'Become a creator first.');
  end if;
  select * into v_listing from public.listings l
  where l.id = p_listing_id and l.seller_id = v_seller.id for no key update;
  if not found then
    perform billing.raise_http(404, 'listing_not_found', 'There is no such listing.');
  end if;
  if v_seller.status <> 'active' then
    perform billing.raise_http(
      409, 'seller_paused', 'You cannot sell at the moment.', jsonb_build_object('reason', coalesce(
        v_seller.paused_reason, 'Onboarding with Stripe is not finished.'
      ))::text
    );
  end if;
  -- A bought agent cannot be sold again.
  select * into v_agent from public.agents a
  where a.id = v_listing.agent_id and a.user_id = v_seller.user_id and a.source_listing_id is null;
  if v_agent.id is null or trim(v_agent.instructions) = '' then
    perform billing.raise_http(
      422, 'listing_incomplete', 'A listing needs an agent of yours that has instructions.',
      jsonb_build_object('missing', case when v_agent.id is null then 'agent' else 'instructions' end)::text
    );
  end if;
  update public.listings l
  set status = 'published', version = l.version + 1, published_at = coalesce(l.published_at, now())
  where l.id = p_listing_id returning * into v_listing;
  insert into public.listing_definitions as d (listing_id, version, name, instructions)
  values (p_listing_id, v_listing.version, v_agent.name, v_agent.instructions)
  on conflict (listing_id) do update set
    version = excluded.version, name = excluded.name, instructions = excluded.instructions, updated_at = now();
  return to_jsonb(v_listing) - 'search';
end;
$function$;

comment on function "public"."publish_listing"(uuid) is 'Publishes a listing of the caller, or a new version of it: the agent as it is now is what buyers get. Answers the listing. 403 seller_required, 404 listing_not_found, 409 seller_paused {reason}, 422 listing_incomplete {missing}.';

revoke all on function "public"."publish_listing"(uuid) from public;

grant execute on function "public"."publish_listing"(uuid) to "authenticated", "postgres";

-- public/functions/purchase_terms

create or replace function public.purchase_terms (
  p_purchase_id uuid
)
  returns jsonb
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select billing.purchase_terms(p) from public.purchases p where p.id = p_purchase_id;
$function$;

comment on function "public"."purchase_terms"(uuid) is '{purchase_id, status, attempt, listing_id, credit_pack, seller_id, buyer_id, customer, title, kind, amount_minor, currency, fee_minor, fee_bps, destination, session_id, payment_intent_id, charge_id, subscription_id, created_at}; null when there is none.';

revoke all on function "public"."purchase_terms"(uuid) from public;

grant execute on function "public"."purchase_terms"(uuid) to "postgres", "service_role";

-- public/functions/purchases_of_buyer

create or replace function public.purchases_of_buyer (
  p_user_id uuid
)
  returns SETOF uuid
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select p.id from public.purchases p
  where p.buyer_id = p_user_id and p.checkout_session_id is not null
    and (p.status in ('open', 'processing') or p.kind = 'monthly');
$function$;

comment on function "public"."purchases_of_buyer"(uuid) is 'Purchases whose end must be in our rows before their buyer goes: unsettled ones and monthly ones.';

revoke all on function "public"."purchases_of_buyer"(uuid) from public;

grant execute on function "public"."purchases_of_buyer"(uuid) to "postgres", "service_role";

-- public/functions/read_health

create or replace function public.read_health (
  p_max_age_seconds integer default 10
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
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
$function$;

comment on function "public"."read_health"(integer) is '{status, at, checks: [{check_name, status, value, threshold, since, hint, unit}]}, the worst first; not older than p_max_age_seconds. status is that of the worst check.';

revoke all on function "public"."read_health"(integer) from public;

grant execute on function "public"."read_health"(integer) to "postgres", "service_role";

-- public/functions/receive_stripe_event

create or replace function public.receive_stripe_event (
  p_id                 text,
  p_type               text,
  p_created            timestamp with time zone,
  p_payload            jsonb,
  p_api_version        text                     default null::text,
  p_stripe_customer_id text                     default null::text,
  p_purchase_id        uuid                     default null::uuid,
  p_stripe_account_id  text                     default null::text
)
  returns text
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_status text;
begin
  perform billing.require(p_id <> '', 'p_id is missing');
  perform billing.require(p_type <> '', 'p_type is missing');
  perform billing.require(p_created is not null, 'p_created is missing');
  -- The narrowest subject there is: a purchase, then an account, then a customer.
  insert into billing.stripe_events (
    id, type, api_version, stripe_created_at, stripe_customer_id, purchase_id, stripe_account_id, payload, received_token
  )
  values (
    p_id, p_type, p_api_version, p_created,
    case when p_purchase_id is null and p_stripe_account_id is null then p_stripe_customer_id end,
    p_purchase_id,
    case when p_purchase_id is null then p_stripe_account_id end,
    p_payload, nextval('billing.sync_token_seq')
  )
  on conflict (id) do nothing;
  if found then
    return 'new';
  end if;
  select e.status into strict v_status from billing.stripe_events e where e.id = p_id;
  -- A parked event that is sent again is a person at work: let it be tried.
  return case v_status when 'parked' then 'pending' else v_status end;
end;
$function$;

comment on function "public"."receive_stripe_event"(text, text, timestamp with time zone, jsonb, text, text, uuid, text) is 'Keeps an event under its narrowest subject: a purchase, an account or a customer. Answers new, or for one that is known pending (work on it), processed or ignored (done).';

revoke all on function "public"."receive_stripe_event"(text, text, timestamp with time zone, jsonb, text, text, uuid, text) from public;

grant execute on function "public"."receive_stripe_event"(text, text, timestamp with time zone, jsonb, text, text, uuid, text) to "postgres", "service_role";

-- public/functions/reconcile_failed

create or replace function public.reconcile_failed (
  p_run                bigint,
  p_stripe_customer_id text,
  p_reason             text
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_reason <> '', 'p_reason is missing');
  update billing.reconcile_queue q set queued_at = clock_timestamp()
  where q.stripe_customer_id = p_stripe_customer_id;
  update billing.reconcile_runs r set leased_until = now() + interval '3 minutes' where r.id = p_run;
  perform billing.report_problem(
    'reconcile_failed', p_stripe_customer_id, jsonb_build_object('run', p_run, 'reason', p_reason)
  );
end;
$function$;

comment on function "public"."reconcile_failed"(bigint, text, text) is 'This customer could not be synced: a problem for an operator, and tried again after all the others.';

revoke all on function "public"."reconcile_failed"(bigint, text, text) from public;

grant execute on function "public"."reconcile_failed"(bigint, text, text) to "postgres", "service_role";

-- public/functions/reconciled

create or replace function public.reconciled (
  p_run                bigint,
  p_stripe_customer_id text
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  delete from billing.reconcile_queue q where q.stripe_customer_id = p_stripe_customer_id;
  update billing.problems p set resolved_at = now()
  where p.kind = 'reconcile_failed' and p.subject = p_stripe_customer_id and p.resolved_at is null;
  update billing.reconcile_runs r
  set customers = r.customers + 1, leased_until = now() + interval '3 minutes'
  where r.id = p_run;
$function$;

comment on function "public"."reconciled"(bigint, text) is 'This customer has been looked at.';

revoke all on function "public"."reconciled"(bigint, text) from public;

grant execute on function "public"."reconciled"(bigint, text) to "postgres", "service_role";

-- public/functions/refund_failed

create or replace function public.refund_failed (
  p_id    uuid,
  p_error text,
  p_final boolean
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_request billing.refund_requests;
begin
  update billing.refund_requests r set
    attempts = r.attempts + 1,
    last_error = left(p_error, 2000),
    status = case when p_final or r.attempts + 1 >= 12 then 'failed' else 'pending' end,
    next_attempt_at = now() + least(interval '1 minute' * power(2, r.attempts), interval '6 hours')
  where r.id = p_id and r.status = 'pending'
  returning * into v_request;
  if v_request.status = 'failed' then
    perform billing.report_problem('refund_failed', p_id::text, jsonb_build_object(
      'purchase', v_request.purchase_id, 'amount_minor', v_request.amount_minor, 'error', v_request.last_error
    ));
  end if;
end;
$function$;

comment on function "public"."refund_failed"(uuid, text, boolean) is 'It did not work: again later, or (p_final, or the twelfth time) a problem for an operator.';

revoke all on function "public"."refund_failed"(uuid, text, boolean) from public;

grant execute on function "public"."refund_failed"(uuid, text, boolean) to "postgres", "service_role";

-- public/functions/refund_sent

create or replace function public.refund_sent (
  p_id     uuid,
  p_refund text
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  update billing.refund_requests r set status = 'sent', stripe_refund_id = p_refund, last_error = null
  where r.id = p_id and r.status <> 'sent';
$function$;

comment on function "public"."refund_sent"(uuid, text) is 'Stripe has made this refund of the request.';

revoke all on function "public"."refund_sent"(uuid, text) from public;

grant execute on function "public"."refund_sent"(uuid, text) to "postgres", "service_role";

-- public/functions/release_usage

create or replace function public.release_usage()
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  delete from billing.held_usage;
  delete from billing.health_marks m where m.name = 'usage_held';
$function$;

comment on function "public"."release_usage"() is 'Usage is reported again.';

revoke all on function "public"."release_usage"() from public;

grant execute on function "public"."release_usage"() to "postgres", "service_role";

-- public/functions/relink_customer

create or replace function public.relink_customer (
  p_user_id            uuid,
  p_gone               text,
  p_stripe_customer_id text
)
  returns text
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_linked text;
begin
  perform billing.require(p_stripe_customer_id ~ '^cus_\w+$', 'p_stripe_customer_id is not a customer id');
  update public.customers c set stripe_customer_id = p_stripe_customer_id
  where c.user_id = p_user_id and c.stripe_customer_id = p_gone;
  -- A sync of the old customer that is under way can neither apply anything nor give its lease up any more, and nothing
  -- is admitted that would be billed to the new one for what the old one bought.
  if found then
    update billing.sync_state s set lease_token = null, lease_until = null where s.user_id = p_user_id;
    delete from billing.metered_items i where i.user_id = p_user_id;
  end if;
  select c.stripe_customer_id into v_linked from public.customers c where c.user_id = p_user_id;
  perform billing.require(v_linked is not null, 'the user has no customer');
  return v_linked;
end;
$function$;

comment on function "public"."relink_customer"(uuid, text, text) is 'Replaces the customer p_gone of a user and returns the one that is linked now: of two callers the first wins. The next snapshot removes what belonged to the old one.';

revoke all on function "public"."relink_customer"(uuid, text, text) from public;

grant execute on function "public"."relink_customer"(uuid, text, text) to "postgres", "service_role";

-- public/functions/remove_chat

create or replace function public.remove_chat (
  p_user_id uuid,
  p_limit   integer
)
  returns bigint
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_removed bigint;
begin
  perform billing.require(p_limit between 1 and 10000, 'p_limit is not between 1 and 10000');
  perform billing.require(billing.is_leaving(p_user_id), 'this person has not asked to be deleted');
  delete from public.messages m
  where m.id in (select o.id from public.messages o where o.user_id = p_user_id limit p_limit);
  get diagnostics v_removed = row_count;
  return v_removed;
end;
$function$;

comment on function "public"."remove_chat"(uuid, integer) is 'Removes messages of somebody who is leaving, p_limit at a time, so that no statement takes long; answers how many.';

revoke all on function "public"."remove_chat"(uuid, integer) from public;

grant execute on function "public"."remove_chat"(uuid, integer) to "postgres", "service_role";

-- public/functions/report_email_setup

create or replace function public.report_email_setup (
  p_problem text
)
  returns void
  language sql
  security definer
  set search_path to ''
  AS $function$
  select billing.report_problem('email_not_configured', 'notify', jsonb_build_object('problem', p_problem))
  where billing.emails_enabled();
$function$;

comment on function "public"."report_email_setup"(text) is 'Tells an operator that notices are to be sent and the function has no usable mail server; resolved when it has.';

revoke all on function "public"."report_email_setup"(text) from public;

grant execute on function "public"."report_email_setup"(text) to "postgres", "service_role";

-- public/functions/request_deletion

create or replace function public.request_deletion (
  p_user_id uuid
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_deletion billing.deletions;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.lock_person(p_user_id);
  insert into billing.deletions (user_id, stripe_customer_id, stripe_account_id)
  select u.id, (select c.stripe_customer_id from public.customers c where c.user_id = u.id),
    (select s.stripe_account_id from public.sellers s where s.user_id = u.id)
  from auth.users u where u.id = p_user_id
  on conflict (user_id) do nothing;
  select * into v_deletion from billing.deletions d where d.user_id = p_user_id;
  perform billing.require(found, 'there is no such user');
  -- No password, a ban (which Auth asks for at every sign-in and refresh, whatever the method), and no session left.
  update auth.users u set encrypted_password = '', banned_until = now() + interval '100 years' where u.id = p_user_id;
  delete from auth.sessions s where s.user_id = p_user_id;
  delete from auth.refresh_tokens t where t.user_id::text = p_user_id::text;
  -- Nothing more is spent beyond the allowance.
  update billing.overage_accounts a set enabled = false, updated_at = now() where a.user_id = p_user_id and a.enabled;
  -- Nothing more is sold.
  update public.sellers s set status = 'closed', paused_reason = 'The creator has left.'
  where s.user_id = p_user_id and s.status <> 'closed';
  return billing.deletion_record(v_deletion);
end;
$function$;

comment on function "public"."request_deletion"(uuid) is 'Begins the deletion of a user, once: {state, requested_at, finished_at}. Ends their sessions and every way to sign in.';

revoke all on function "public"."request_deletion"(uuid) from public;

grant execute on function "public"."request_deletion"(uuid) to "postgres", "service_role";

-- public/functions/require_user

create or replace function public.require_user (
  p_user_id uuid
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  if not exists (select from auth.users u where u.id = p_user_id) then
    perform billing.raise_http(401, 'unauthorized', 'This account does not exist any more.');
  end if;
end;
$function$;

comment on function "public"."require_user"(uuid) is 'Refuses with 401 unauthorized when there is no such user: asked before a customer is created at Stripe.';

revoke all on function "public"."require_user"(uuid) from public;

grant execute on function "public"."require_user"(uuid) to "postgres", "service_role";

-- public/functions/search_listings

create or replace function public.search_listings (
  p_query    text    default ''::text,
  p_sort     text    default 'newest'::text,
  p_category text    default null::text,
  p_kind     text    default null::text,
  p_limit    integer default 24,
  p_offset   integer default 0,
  p_currency text    default null::text
)
  returns table (
    id           uuid,
    title        text,
    description  text,
    category     text,
    kind         text,
    price_minor  bigint,
    currency     text,
    seller_name  text,
    sales_count  bigint,
    sales_paused boolean,
    published_at timestamp with time zone,
    owned        boolean,
    own          boolean,
    total        bigint
  )
  language plpgsql
  stable
  security definer
  set search_path to ''
  AS $function$
declare
  v_query constant tsquery := billing.search_query(p_query);
  v_by_price constant boolean := p_sort in ('price_low', 'price_high');
begin
  perform billing.require(
    p_sort in ('newest', 'popular', 'price_low', 'price_high', 'relevance'), 'p_sort is unknown'
  );
  perform billing.require(p_limit between 1 and 100, 'p_limit is not between 1 and 100');
  perform billing.require(p_offset between 0 and 100000, 'p_offset is not between 0 and 100000');
  return query
  with page as (
    select l.*, count(*) over () as total from public.listings l
    where l.status = 'published'
      and (v_query is null or l.search @@ v_query)
      and (p_category is null or l.category = p_category)
      and (p_kind is null or l.kind = p_kind)
      and (p_currency is null or l.currency = p_currency)
    order by
      case when v_by_price then l.currency end,
      case p_sort when 'price_low' then l.price_minor when 'price_high' then -l.price_minor
        when 'popular' then -l.sales_count end,
      case when p_sort = 'relevance' then ts_rank(l.search, v_query) end desc nulls last,
      l.published_at desc, l.id
    limit p_limit offset p_offset
  )
  select p.id, p.title, p.description, p.category, p.kind, p.price_minor, p.currency, p.seller_name,
    p.sales_count, p.sales_paused, p.published_at, billing.has_licence(p.id), billing.is_listing_seller(p.id), p.total
  from page p
  order by
    case when v_by_price then p.currency end,
    case p_sort when 'price_low' then p.price_minor when 'price_high' then -p.price_minor
      when 'popular' then -p.sales_count end,
    case when p_sort = 'relevance' then ts_rank(p.search, v_query) end desc nulls last,
    p.published_at desc, p.id;
end;
$function$;

comment on function "public"."search_listings"(text, text, text, text, integer, integer, text) is 'What is published, a page of it: p_sort newest, popular, price_low, price_high (within a currency; without p_currency one currency after the other) or relevance. owned: the caller holds a licence; own: sells it; total: over all pages. Pictures are in listing_pictures. For everybody.';

revoke all on function "public"."search_listings"(text, text, text, text, integer, integer, text) from public;

grant execute on function "public"."search_listings"(text, text, text, text, integer, integer, text) to "anon", "authenticated", "postgres";

-- public/functions/seller_ledger

create or replace function public.seller_ledger (
  p_after uuid    default null::uuid,
  p_limit integer default 50
)
  returns table (
    seller_id   uuid,
    account     text,
    currency    text,
    balance     bigint,
    transferred bigint,
    reversed    bigint,
    fees        bigint,
    fee_refunds bigint,
    paid_out    bigint
  )
  language plpgsql
  stable
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  with page as (
    select s.id, s.stripe_account_id from public.sellers s
    where s.stripe_account_id is not null and (p_after is null or s.id > p_after)
      and exists (select from billing.ledger_accounts a where a.seller_id = s.id)
    order by s.id limit p_limit
  )
  select p.id, p.stripe_account_id, a.currency, coalesce(sum(e.amount_minor), 0)::bigint,
    coalesce(sum(e.amount_minor) filter (where t.kind = 'transfer'), 0)::bigint,
    -coalesce(sum(e.amount_minor) filter (where t.kind = 'transfer_reversal'), 0)::bigint,
    -coalesce(sum(e.amount_minor) filter (where t.kind = 'application_fee'), 0)::bigint,
    coalesce(sum(e.amount_minor) filter (where t.kind = 'fee_refund'), 0)::bigint,
    -coalesce(sum(e.amount_minor) filter (where t.kind in ('payout', 'payout_failed')), 0)::bigint
  from page p
  join billing.ledger_accounts a on a.seller_id = p.id and a.kind = 'creator'
  left join billing.ledger_entries e on e.account_id = a.id
  left join billing.ledger_transactions t on t.id = e.transaction_id
  group by p.id, p.stripe_account_id, a.currency
  order by p.id, a.currency;
end;
$function$;

comment on function "public"."seller_ledger"(uuid, integer) is 'A page of the creators'' accounts as the ledger has them, by seller id, one row per currency; amounts positive, in minor units.';

revoke all on function "public"."seller_ledger"(uuid, integer) from public;

grant execute on function "public"."seller_ledger"(uuid, integer) to "postgres", "service_role";

-- public/functions/seller_of_account

create or replace function public.seller_of_account (
  p_account text
)
  returns uuid
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select s.id from public.sellers s where s.stripe_account_id = p_account;
$function$;

comment on function "public"."seller_of_account"(text) is 'The seller of a connected account; null when it is not ours.';

revoke all on function "public"."seller_of_account"(text) from public;

grant execute on function "public"."seller_of_account"(text) to "postgres", "service_role";

-- public/functions/set_notification_emails

create or replace function public.set_notification_emails (
  p_enabled boolean
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require((select auth.uid()) is not null, 'nobody is signed in');
  perform billing.require(p_enabled is not null, 'p_enabled is missing');
  if p_enabled then
    delete from billing.notification_optouts o where o.user_id = (select auth.uid());
  else
    insert into billing.notification_optouts (user_id) values ((select auth.uid())) on conflict do nothing;
  end if;
  return public.my_notification_emails();
end;
$function$;

comment on function "public"."set_notification_emails"(boolean) is 'The caller wants notices by e-mail, or not. Answers my_notification_emails().';

revoke all on function "public"."set_notification_emails"(boolean) from public;

grant execute on function "public"."set_notification_emails"(boolean) to "authenticated", "postgres";

-- public/functions/set_overage

create or replace function public.set_overage (
  p_enabled   boolean,
  p_cap_minor bigint  default null::bigint
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_user_id constant uuid := auth.uid();
  v_terms record;
  v_maximum bigint;
begin
  perform billing.require(v_user_id is not null, 'nobody is signed in');
  perform billing.require(p_enabled is not null, 'p_enabled is missing');
  if not p_enabled then
    update billing.overage_accounts a set enabled = false, updated_at = now() where a.user_id = v_user_id;
    return public.my_overage();
  end if;
  -- A snapshot of this person waits, or has been.
  perform billing.lock_person(v_user_id);
  select * into strict v_terms from billing.overage_terms(v_user_id);
  v_maximum := billing.overage_cap_maximum(v_terms.currency);
  if p_cap_minor is null or p_cap_minor not between 1 and v_maximum then
    perform billing.raise_http(
      422, 'invalid_cap',
      format('The spending cap must be between 1 and %s, in the smallest unit of the currency.', v_maximum),
      jsonb_build_object('maximum_cap_minor', v_maximum)::text
    );
  end if;
  if not v_terms.available then
    perform billing.raise_http(
      403, 'overage_not_available', 'Paying beyond the allowance is not available.',
      jsonb_build_object('reason', v_terms.reason)::text, case v_terms.reason
        when 'unpaid_invoice' then 'An invoice of an earlier subscription is to be paid first.'
        else 'It needs an active subscription to a plan that offers it.'
      end
    );
  end if;
  insert into billing.overage_accounts as a (user_id, enabled, subscription_id, cap_minor, currency)
  values (v_user_id, true, v_terms.subscription_id, p_cap_minor, v_terms.currency)
  on conflict (user_id) do update set
    enabled = true, subscription_id = excluded.subscription_id, cap_minor = excluded.cap_minor,
    currency = excluded.currency, updated_at = now();
  perform billing.refresh_overage(v_user_id);
  return public.my_overage();
end;
$function$;

comment on function "public"."set_overage"(boolean, bigint) is 'The caller says yes to paying beyond the allowance with their present subscription, up to a cap per billing period in minor units of its currency, or no more. Answers my_overage(). Errors: 403 overage_not_available {reason}, 422 invalid_cap. A cap below what is spent already stops at once.';

revoke all on function "public"."set_overage"(boolean, bigint) from public;

grant execute on function "public"."set_overage"(boolean, bigint) to "authenticated", "postgres";

-- public/functions/stripe_catalogue

create or replace function public.stripe_catalogue()
  returns jsonb
  language sql
  stable
  set search_path to ''
  AS $function$
  select jsonb_build_object(
    'plans', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', p.id, 'name', p.name, 'description', p.description
      ) order by p.rank), '[]')
      from public.plans p
    ),
    'prices', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'lookup_key', p.lookup_key, 'plan_id', p.plan_id, 'currency', p.currency,
        'unit_amount_minor', p.unit_amount_minor, 'billing_interval', p.billing_interval,
        'is_active', p.is_active, 'tiers_mode', p.tiers_mode, 'tiers', p.tiers,
        'options', (
          select jsonb_object_agg(o.currency, o.unit_amount_minor)
          from public.price_currency_options o where o.lookup_key = p.lookup_key
        )
      ) order by p.lookup_key), '[]')
      from public.prices p
    ),
    'metrics', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', m.id, 'name', m.name, 'meter_event_name', m.meter_event_name
      ) order by m.id), '[]')
      from public.metrics m where m.meter_event_name is not null
    ),
    -- Amounts below a cent go as text: a reader of JSON would make floats of them.
    'overage', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'lookup_key', p.lookup_key, 'plan_id', p.plan_id, 'metric_id', p.metric_id,
        'currency', p.currency, 'unit_amount_minor', trim_scale(p.unit_amount_minor)::text,
        'is_active', p.is_active,
        'options', (
          select jsonb_object_agg(o.currency, trim_scale(o.unit_amount_minor)::text)
          from public.overage_price_currency_options o where o.lookup_key = p.lookup_key
        )
      ) order by p.lookup_key), '[]')
      from public.overage_prices p
    ),
    'packs', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'lookup_key', p.lookup_key, 'name', p.name, 'currency', p.currency,
        'price_minor', p.price_minor, 'is_active', p.is_active,
        'options', (
          select jsonb_object_agg(o.currency, o.price_minor)
          from public.credit_pack_currency_options o where o.lookup_key = p.lookup_key
        )
      ) order by p.lookup_key), '[]')
      from public.credit_packs p
    ),
    'features', (
      select coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'name', f.name) order by f.rank), '[]')
      from public.features f
    ),
    'plan_features', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'plan_id', pf.plan_id, 'feature_id', pf.feature_id
      ) order by pf.plan_id, pf.feature_id), '[]')
      from public.plan_features pf
    )
  );
$function$;

comment on function "public"."stripe_catalogue"() is 'The catalogue with everything that Stripe is to have of it: plans, prices, meters, metered prices, credit packs, features.';

revoke all on function "public"."stripe_catalogue"() from public;

grant execute on function "public"."stripe_catalogue"() to "postgres", "service_role";

-- public/functions/take_rate

create or replace function public.take_rate (
  p_name    text,
  p_user_id uuid,
  p_address text default null::text
)
  returns integer
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_limit record;
  v_taken bytea;
  v_back interval;
  v_wait interval;
begin
  -- The person first: who is refused does not use up what their neighbours have. All buckets of people come before all of
  -- addresses, so two calls cannot wait for each other.
  for v_limit in
    select distinct on (w.scope) billing.rate_bucket(p_name, l, w.who) as bucket,
      l.period_seconds * interval '1 second' as period,
      l.period_seconds * interval '1 second' / l.burst as step
    from (values ('user', p_user_id::text), ('address', p_address)) w (scope, who)
    join billing.rate_limits l on l.scope = w.scope and l.name in (p_name, '*')
    where w.who is not null
    order by w.scope desc, l.name = p_name desc
  loop
    insert into billing.rate_buckets as b (key, tat) values (v_limit.bucket, now() + v_limit.step)
    on conflict (key) do update set tat = greatest(b.tat, now()) + v_limit.step
    where greatest(b.tat, now()) + v_limit.step <= now() + v_limit.period;
    if not found then
      select b.tat + v_limit.step - v_limit.period - now() into v_wait
      from billing.rate_buckets b where b.key = v_limit.bucket;
      update billing.rate_buckets b set tat = b.tat - v_back where b.key = v_taken;
      return greatest(1, ceil(extract(epoch from v_wait)))::integer;
    end if;
    v_taken := v_limit.bucket;
    v_back := v_limit.step;
  end loop;
  return 0;
end;
$function$;

comment on function "public"."take_rate"(text, uuid, text) is 'Takes a place for one call of a function, from its caller and from their address, or from neither. 0: taken; else the seconds until there is one. The address is hashed and never stored; null: it is not known, and only the caller counts.';

revoke all on function "public"."take_rate"(text, uuid, text) from public;

grant execute on function "public"."take_rate"(text, uuid, text) to "postgres", "service_role";

-- public/functions/unsettled_purchases

create or replace function public.unsettled_purchases (
  p_user_id uuid
)
  returns SETOF uuid
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select p.id from public.purchases p
  where p.buyer_id = p_user_id and p.status in ('open', 'processing') and p.checkout_session_id is not null
  order by p.created_at desc limit 20;
$function$;

comment on function "public"."unsettled_purchases"(uuid) is 'Purchases of a user whose payment may have come about meanwhile.';

revoke all on function "public"."unsettled_purchases"(uuid) from public;

grant execute on function "public"."unsettled_purchases"(uuid) to "postgres", "service_role";

-- public/functions/usage_check_cursor

create or replace function public.usage_check_cursor()
  returns text
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select c.after from billing.usage_check_cursor c;
$function$;

comment on function "public"."usage_check_cursor"() is 'Where the scheduled check of usage goes on: p_after of usage_sums(). Empty: with the first customer.';

revoke all on function "public"."usage_check_cursor"() from public;

grant execute on function "public"."usage_check_cursor"() to "postgres", "service_role";

-- public/functions/usage_failed

create or replace function public.usage_failed (
  p_id           bigint,
  p_error        text,
  p_retry_at     timestamp with time zone default null::timestamp with time zone,
  p_lease        bigint                   default null::bigint,
  p_not_accepted boolean                  default false
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  -- 1, 2, 4 … minutes, at most an hour.
  update billing.usage_outbox o set
    attempts = o.attempts + 1,
    last_error = left(p_error, 2000),
    next_attempt_at = coalesce(p_retry_at, now() + least(
      interval '1 minute' * power(2, least(o.attempts, 10)), interval '1 hour'
    )),
    uncertain_since = case when p_not_accepted then o.uncertain_since
      else coalesce(o.uncertain_since, o.lease_until - interval '60 seconds', now()) end,
    lease_until = null
  where o.id = p_id and o.status = 'pending' and o.lease = coalesce(p_lease, o.lease);
  if not found then
    perform billing.require(exists (select from billing.usage_outbox o where o.id = p_id), 'there is no such row');
  end if;
end;
$function$;

comment on function "public"."usage_failed"(bigint, text, timestamp with time zone, bigint, boolean) is 'Sending failed: due again at p_retry_at (null: later and later). p_not_accepted when Stripe surely did not take it (429, no connection); otherwise it is parked after 23 hours, because Stripe would not know its identifier again. With a lease that is no longer the current one nothing happens.';

revoke all on function "public"."usage_failed"(bigint, text, timestamp with time zone, bigint, boolean) from public;

grant execute on function "public"."usage_failed"(bigint, text, timestamp with time zone, bigint, boolean) to "postgres", "service_role";

-- public/functions/usage_history

create or replace function public.usage_history (
  p_from   date,
  p_to     date,
  p_metric text default 'message'::text
)
  returns table (
    day          date,
    used         bigint,
    allowance    bigint,
    overage      bigint,
    amount_minor numeric
  )
  language plpgsql
  stable
  security definer
  set search_path to ''
  AS $function$
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
$function$;

comment on function "public"."usage_history"(date, date, text) is 'What the caller used of a metric, per UTC day of the range (both ends included) that has any: used, allowance (null: unlimited), how much of it was beyond, and what that cost in minor units. 422 invalid_range beyond 400 days.';

revoke all on function "public"."usage_history"(date, date, text) from public;

grant execute on function "public"."usage_history"(date, date, text) to "authenticated", "postgres";

-- public/functions/usage_parked

create or replace function public.usage_parked (
  p_id     bigint,
  p_reason text
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_reason <> '', 'p_reason is missing');
  perform billing.require(exists (select from billing.usage_outbox o where o.id = p_id), 'there is no such row');
  perform billing.park_usage(array[p_id], p_reason);
end;
$function$;

comment on function "public"."usage_parked"(bigint, text) is 'Stripe rejects it: it is put aside with the reason, where an operator sees it, and no longer holds up younger ones.';

revoke all on function "public"."usage_parked"(bigint, text) from public;

grant execute on function "public"."usage_parked"(bigint, text) to "postgres", "service_role";

-- public/functions/usage_rejected

create or replace function public.usage_rejected (
  p_identifier text,
  p_reason     text
)
  returns boolean
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
begin
  perform billing.require(p_reason <> '', 'p_reason is missing');
  perform billing.park_usage(array[o.id], p_reason) from billing.usage_outbox o where o.identifier = p_identifier;
  return found;
end;
$function$;

comment on function "public"."usage_rejected"(text, text) is 'Stripe reports afterwards that it did not count an event (thin error event): it is parked although it was sent. False: the identifier is not ours.';

revoke all on function "public"."usage_rejected"(text, text) from public;

grant execute on function "public"."usage_rejected"(text, text) to "postgres", "service_role";

-- public/functions/usage_sent

create or replace function public.usage_sent (
  p_id bigint
)
  returns void
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
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
$function$;

comment on function "public"."usage_sent"(bigint) is 'Stripe has it (also: knows its identifier already). Again changes nothing. usage_late in billing.problems when the invoice of its period may have been final by then.';

revoke all on function "public"."usage_sent"(bigint) from public;

grant execute on function "public"."usage_sent"(bigint) to "postgres", "service_role";

-- public/functions/usage_sums

create or replace function public.usage_sums (
  p_stripe_customer_id text                     default null::text,
  p_since              timestamp with time zone default (now() - '100 days'::interval),
  p_after              text                     default ''::text,
  p_limit              integer                  default 1000
)
  returns table (
    stripe_customer_id text,
    user_id            uuid,
    metric_id          text,
    meter_event_name   text,
    period_start       timestamp with time zone,
    period_end         timestamp with time zone,
    ledger             bigint,
    claimed            bigint,
    sent               bigint,
    waiting            bigint,
    parked             bigint,
    adjusted           bigint,
    adjusting          bigint,
    neighbours         bigint
  )
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
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
$function$;

comment on function "public"."usage_sums"(text, timestamp with time zone, text, integer) is 'Ledger and outbox per (customer, metric, billing period) that ended after p_since: ledger (all that was admitted), claimed, and of that sent, waiting, parked; adjusted (taken back, known to Stripe), adjusting (not yet). Of one customer, or of those after p_after. Stripe should say sent - adjusted, and beside it neighbours: its sums go by whole minutes, and periods do not, so the minutes in which this one begins and ends may hold usage of the next and the last one.';

revoke all on function "public"."usage_sums"(text, timestamp with time zone, text, integer) from public;

grant execute on function "public"."usage_sums"(text, timestamp with time zone, text, integer) to "postgres", "service_role";

-- public/functions/verify_audit

create or replace function public.verify_audit (
  p_after      bigint  default null::bigint,
  p_limit      integer default 5000,
  p_known_seq  bigint  default null::bigint,
  p_known_hash text    default null::text
)
  returns jsonb
  language plpgsql
  stable
  security definer
  set search_path to ''
  AS $function$
declare
  v_anchor constant billing.audit_anchor := (select a from billing.audit_anchor a);
  v_head constant billing.audit_head := (select h from billing.audit_head h);
  v_after constant bigint := greatest(p_after, v_anchor.seq);
  v_page record;
  v_fault jsonb;
begin
  perform billing.require(p_limit between 1 and 50000, 'p_limit is not between 1 and 50000');
  -- Without either every comparison below says nothing.
  if v_head.seq is null or v_anchor.seq is null then
    return jsonb_build_object(
      'checked', 0, 'fault', jsonb_build_object('fault', 'ends_missing'), 'next', null,
      'head', jsonb_build_object('seq', 0, 'hash', ''), 'anchor', jsonb_build_object('seq', 0, 'retained_from', '-infinity')
    );
  end if;
  with page as (
    select c.*, row_number() over (order by c.seq) as place, lag(c.hash) over (order by c.seq) as previous
    from (select * from billing.audit_chain c where c.seq > v_after order by c.seq limit p_limit) c
  ), judged as (
    select p.seq, p.audit_id, p.hash, case
      when p.seq <> v_after + p.place then 'links_missing'
      when p.hash <> sha256(coalesce(p.previous, case when v_after = v_anchor.seq then v_anchor.hash else (
        select c.hash from billing.audit_chain c where c.seq = v_after) end) || p.row_hash) then 'link_changed'
      when l.id is null and p.audit_at >= v_anchor.retained_from then 'row_missing'
      when l.id is not null and billing.audit_row_hash(l) <> p.row_hash then 'row_changed'
    end as fault
    from page p left join billing.audit_log l on l.at = p.audit_at and l.id = p.audit_id
  )
  select count(*) as checked, max(j.seq) as last, (array_agg(j.hash order by j.seq desc))[1] as hash,
    (array_agg(jsonb_build_object('fault', j.fault, 'seq', j.seq, 'audit_id', j.audit_id) order by j.seq)
      filter (where j.fault is not null))[1] as fault
  into v_page from judged j;
  v_fault := v_page.fault;
  if v_fault is null and v_page.checked < p_limit then
    v_fault := case
      when v_head.seq <> coalesce(v_page.last, v_after)
        or (v_page.checked > 0 and v_head.hash <> v_page.hash)
        or (v_head.seq = v_anchor.seq and v_head.hash <> v_anchor.hash)
        then jsonb_build_object('fault', 'head_differs', 'seq', v_head.seq)
      when p_known_seq > v_head.seq then jsonb_build_object('fault', 'end_missing', 'seq', p_known_seq)
      -- Retention, or somebody has moved the beginning: either way the log proves nothing about it any more.
      when p_known_seq < v_anchor.seq then jsonb_build_object('fault', 'history_forgotten', 'seq', p_known_seq)
      when p_known_seq = v_anchor.seq and p_known_hash <> encode(v_anchor.hash, 'hex')
        or exists (select from billing.audit_chain c where c.seq = p_known_seq and p_known_hash <> encode(c.hash, 'hex'))
        then jsonb_build_object('fault', 'history_differs', 'seq', p_known_seq)
    end;
    if v_fault is null then
      select jsonb_build_object('fault', 'row_not_chained', 'audit_id', min(l.id)) into v_fault
      from billing.audit_log l
      where not exists (select from billing.audit_chain c where c.audit_id = l.id)
      having count(*) > 0;
    end if;
  end if;
  return jsonb_build_object(
    'checked', v_page.checked, 'fault', v_fault,
    'next', case when v_fault is null and v_page.checked = p_limit then v_page.last end,
    'head', jsonb_build_object('seq', v_head.seq, 'hash', encode(v_head.hash, 'hex')),
    'anchor', jsonb_build_object('seq', v_anchor.seq, 'retained_from', v_anchor.retained_from)
  );
end;
$function$;

comment on function "public"."verify_audit"(bigint, integer, bigint, text) is 'A page of the proof that the audit log holds, after a link: {checked, fault: {fault, seq?, audit_id?} or null, next, head: {seq, hash}, anchor}. With a head of earlier, the last page says whether the chain still has it.';

revoke all on function "public"."verify_audit"(bigint, integer, bigint, text) from public;

grant execute on function "public"."verify_audit"(bigint, integer, bigint, text) to "postgres", "service_role";

-- public/functions/wanted_metered_items

create or replace function public.wanted_metered_items (
  p_stripe_customer_id text
)
  returns table (
    subscription_id   text,
    metric_id         text,
    lookup_key        text,
    currency          text,
    unit_amount_minor numeric,
    item_id           text
  )
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select s.subscription_id, o.metric_id, o.lookup_key, o.currency, o.unit_amount_minor, i.item_id
  from public.customers c
  join billing.overage_accounts a on a.user_id = c.user_id and a.enabled
  join lateral billing.metered_subscription(c.user_id) s
    on s.billable and s.subscription_id = a.subscription_id
  join public.overage_prices o on o.plan_id = s.plan_id and o.is_active
  left join billing.metered_items i on i.subscription_id = s.subscription_id and i.metric_id = o.metric_id
  where c.stripe_customer_id = p_stripe_customer_id
    and i.price_lookup_key is distinct from o.lookup_key
  order by o.metric_id;
$function$;

comment on function "public"."wanted_metered_items"(text) is 'The metered prices of the plan that a customer said yes to and whose items are missing (item_id null) or of another plan''s price. Amounts in minor units of the price''s own currency.';

revoke all on function "public"."wanted_metered_items"(text) from public;

grant execute on function "public"."wanted_metered_items"(text) to "postgres", "service_role";

-- public/functions/withdraw_listing

create or replace function public.withdraw_listing (
  p_listing_id uuid
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_listing public.listings;
begin
  update public.listings l set status = case when l.version > 0 then 'withdrawn' else l.status end
  where l.id = p_listing_id and l.seller_id = billing.my_seller_id()
  returning * into v_listing;
  if not found then
    perform billing.raise_http(404, 'listing_not_found', 'There is no such listing.');
  end if;
  return to_jsonb(v_listing) - 'search';
end;
$function$;

comment on function "public"."withdraw_listing"(uuid) is 'Ends the sale of a listing of the caller and answers it; licences stay. 404 listing_not_found.';

revoke all on function "public"."withdraw_listing"(uuid) from public;

grant execute on function "public"."withdraw_listing"(uuid) to "authenticated", "postgres";

-- public/tables/agents.fk

-- Foreign keys in a cross-table reference cycle are split out of their
-- table's file: each file loads atomically, so keeping them inline would
-- deadlock the loader (every file would need a table another pending file
-- creates). These statements apply once all referenced tables exist.

alter table "public"."agents"
  add constraint "agents_source_listing_id_fkey" foreign key (source_listing_id) references public.listings(id);

-- public/tables/agents

create table "public"."agents" (
  "id"                uuid                     not null default gen_random_uuid(),
  "name"              text                     not null,
  "instructions"      text                     not null default ''::text,
  "created_at"        timestamp with time zone not null default now(),
  "updated_at"        timestamp with time zone not null default now(),
  "source_listing_id" uuid,
  constraint "agents_instructions_check" check ((char_length(instructions) <= 20000)),
  constraint "agents_name_check" check (((char_length(name) >= 1) AND (char_length(name) <= 100))),
  constraint "agents_pkey" primary key (id),
  "user_id"           uuid                     not null default auth.uid(),
  constraint "agents_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade
);

alter table "public"."agents"
  enable row level security;

create index agents_source_listing_id_idx on public.agents using btree (source_listing_id);

create trigger agents_after_delete_release
  after delete on public.agents referencing OLD table as old_rows
  for each STATEMENT
  execute function billing.agents_changed();

create trigger agents_after_insert_consume
  after insert on public.agents referencing NEW table as new_rows
  for each STATEMENT
  execute function billing.agents_changed();

create trigger agents_before_update_touch
  before update on public.agents
  for each row
  execute function billing.touch_updated_at();

comment on column "public"."agents"."source_listing_id" is 'The listing it was cloned from, by clone_listing() only. Readable while the licence lives; it counts as one''s own agent.';

comment on table "public"."agents" is 'Agents of a user; the plan says how many may exist.';

grant insert ("id") on table "public"."agents" to "authenticated";

grant insert ("instructions"), update ("instructions") on table "public"."agents" to "authenticated";

grant insert ("name"), update ("name") on table "public"."agents" to "authenticated";

grant delete, select on table "public"."agents" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."agents" to "postgres";

grant delete, insert, select, update on table "public"."agents" to "service_role";

create index agents_user_id_idx on public.agents using btree (user_id);

create trigger agents_after_update_refuse
  after update on public.agents
  for each row
  when ((old.user_id IS DISTINCT FROM new.user_id))
  execute function billing.refuse_change();

create policy "Owners change their agents, and clones while licensed" on "public"."agents"
  for update
  to "authenticated"
  using (((user_id = ( select auth.uid() as uid)) AND ((source_listing_id is null) or billing.has_licence(source_listing_id))))
  with check (((user_id = ( SELECT auth.uid() AS uid)) AND ((source_listing_id IS NULL) OR billing.has_licence(source_listing_id))));

create policy "Owners create agents" on "public"."agents"
  for insert
  to "authenticated"
  with check ((user_id = ( SELECT auth.uid() AS uid)));

create policy "Owners delete their agents" on "public"."agents"
  for delete
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

create policy "Owners read their agents, and clones while licensed" on "public"."agents"
  for select
  to "authenticated"
  using (((user_id = ( select auth.uid() as uid)) AND ((source_listing_id is null) or billing.has_licence(source_listing_id))));

-- public/tables/conversations

create table "public"."conversations" (
  "id"         uuid                     not null default gen_random_uuid(),
  "title"      text                     not null default ''::text,
  "created_at" timestamp with time zone not null default now(),
  "updated_at" timestamp with time zone not null default now(),
  "agent_id"   uuid,
  "listing_id" uuid,
  constraint "conversations_agent_id_fkey" foreign key (agent_id) references public.agents(id) on delete set null,
  constraint "conversations_one_agent" check ((num_nonnulls(agent_id, listing_id) <= 1)),
  constraint "conversations_pkey" primary key (id),
  constraint "conversations_title_check" check ((char_length(title) <= 200)),
  constraint "conversations_listing_id_fkey" foreign key (listing_id) references public.listings(id) on delete set null,
  "user_id"    uuid                     not null default auth.uid(),
  constraint "conversations_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "conversations_user_id_id_key" unique (user_id, id)
);

alter table "public"."conversations"
  enable row level security;

create index conversations_agent_id_idx on public.conversations using btree (agent_id);

create index conversations_listing_id_idx on public.conversations using btree (listing_id);

create trigger conversations_before_update_touch
  before update on public.conversations
  for each row
  execute function billing.touch_updated_at();

comment on column "public"."conversations"."agent_id" is 'The agent of one''s own that answers.';

comment on column "public"."conversations"."listing_id" is 'The bought agent that answers: its definition is read as the owner, so an ended licence ends it.';

comment on column "public"."conversations"."updated_at" is 'Last change of the title or last answer. A question does not touch it: that would be a second row written on the hot path, and its answer follows anyway.';

comment on table "public"."conversations" is 'Conversations of a user.';

grant insert ("agent_id") on table "public"."conversations" to "authenticated";

grant insert ("id") on table "public"."conversations" to "authenticated";

grant insert ("listing_id") on table "public"."conversations" to "authenticated";

grant insert ("title"), update ("title") on table "public"."conversations" to "authenticated";

grant delete, select on table "public"."conversations" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."conversations" to "postgres";

grant delete, insert, select, update on table "public"."conversations" to "service_role";

create policy "Owners delete their conversations" on "public"."conversations"
  for delete
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

create policy "Owners read their conversations" on "public"."conversations"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

create policy "Owners rename their conversations" on "public"."conversations"
  for update
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)))
  with check ((user_id = ( SELECT auth.uid() AS uid)));

create policy "Owners start conversations, with agents they may use" on "public"."conversations"
  for insert
  to "authenticated"
  with check (((user_id = ( SELECT auth.uid() AS uid)) AND ((agent_id IS NULL) OR (EXISTS ( SELECT
   FROM public.agents a
  WHERE ((a.id = conversations.agent_id) AND (a.user_id = ( SELECT auth.uid() AS uid)))))) AND ((listing_id IS NULL) OR billing.has_licence(listing_id))));

-- public/tables/credit_balances

create table "public"."credit_balances" (
  "user_id"       uuid                     not null,
  "currency"      text                     not null,
  "balance_minor" bigint                   not null,
  "synced_at"     timestamp with time zone not null default now(),
  constraint "credit_balances_balance_minor_check" check ((balance_minor >= 0)),
  constraint "credit_balances_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "credit_balances_pkey" primary key (user_id, currency),
  constraint "credit_balances_user_id_fkey" foreign key (user_id) references public.customers(user_id) on delete cascade
);

alter table "public"."credit_balances"
  enable row level security;

create policy "Owners read their credit balances" on "public"."credit_balances"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on table "public"."credit_balances" is 'Prepaid credit that is left, per currency: Stripe''s credit balance summary.';

grant select on table "public"."credit_balances" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."credit_balances" to "postgres";

grant select on table "public"."credit_balances" to "service_role";

-- public/tables/credit_grants

create table "public"."credit_grants" (
  "id"                text                     not null,
  "user_id"           uuid                     not null,
  "amount_minor"      bigint                   not null,
  "currency"          text                     not null,
  "category"          text                     not null,
  "name"              text,
  "effective_at"      timestamp with time zone,
  "expires_at"        timestamp with time zone,
  "voided_at"         timestamp with time zone,
  "stripe_created_at" timestamp with time zone not null,
  "synced_at"         timestamp with time zone not null default now(),
  constraint "credit_grants_amount_minor_check" check ((amount_minor >= 0)),
  constraint "credit_grants_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "credit_grants_pkey" primary key (id),
  constraint "credit_grants_user_id_fkey" foreign key (user_id) references public.customers(user_id) on delete cascade
);

alter table "public"."credit_grants"
  enable row level security;

create index credit_grants_user_id_idx on public.credit_grants using btree (user_id);

create trigger credit_grants_after_change_audit
  after insert or delete or update of amount_minor, currency, category, effective_at, expires_at, voided_at on public.credit_grants
  for each row
  execute function billing.audit('grant.credit', 'user_id', 'id', 'amount_minor,currency,category,effective_at,expires_at,voided_at', 'id');

create policy "Owners read their credit grants" on "public"."credit_grants"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."credit_grants"."amount_minor" is 'What was granted; what is left of all grants is in credit_balances.';

comment on table "public"."credit_grants" is 'Stripe''s billing credit grants of a customer, from the snapshot.';

grant select on table "public"."credit_grants" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."credit_grants" to "postgres";

grant select on table "public"."credit_grants" to "service_role";

-- public/tables/credit_pack_currency_options

create table "public"."credit_pack_currency_options" (
  "lookup_key"   text   not null,
  "currency"     text   not null,
  "price_minor"  bigint not null,
  "credit_minor" bigint not null,
  constraint "credit_pack_currency_options_credit_minor_check" check ((credit_minor > 0)),
  constraint "credit_pack_currency_options_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "credit_pack_currency_options_pkey" primary key (lookup_key, currency),
  constraint "credit_pack_currency_options_price_minor_check" check ((price_minor > 0)),
  constraint "credit_pack_currency_options_lookup_key_fkey" foreign key (lookup_key) references public.credit_packs(lookup_key) on delete cascade
);

alter table "public"."credit_pack_currency_options"
  enable row level security;

create trigger credit_pack_currency_options_after_change_audit
  after insert or delete or update of price_minor, credit_minor on public.credit_pack_currency_options
  for each row
  execute function billing.audit('operator.credit_pack_currency', '', 'lookup_key,currency', 'price_minor,credit_minor', '');

create policy "Everybody reads the credit packs in other currencies" on "public"."credit_pack_currency_options"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."credit_pack_currency_options"."credit_minor" is 'What the buyer may use of metered prices for price_minor, in this currency.';

comment on table "public"."credit_pack_currency_options" is 'What a credit pack costs and holds in currencies beside its own (Stripe''s currency_options).';

grant select on table "public"."credit_pack_currency_options" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."credit_pack_currency_options" to "postgres";

grant select on table "public"."credit_pack_currency_options" to "service_role";

-- public/tables/credit_packs

create table "public"."credit_packs" (
  "lookup_key"   text    not null,
  "name"         text    not null,
  "currency"     text    not null,
  "price_minor"  bigint  not null,
  "credit_minor" bigint  not null,
  "expires_days" integer,
  "is_active"    boolean not null default true,
  constraint "credit_packs_credit_minor_check" check ((credit_minor > 0)),
  constraint "credit_packs_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "credit_packs_expires_days_check" check ((expires_days > 0)),
  constraint "credit_packs_lookup_key_check" check ((lookup_key ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "credit_packs_pkey" primary key (lookup_key),
  constraint "credit_packs_price_minor_check" check ((price_minor > 0))
);

alter table "public"."credit_packs"
  enable row level security;

create trigger credit_packs_after_change_audit
  after insert or delete or update of currency, price_minor, credit_minor, expires_days, is_active on public.credit_packs
  for each row
  execute function billing.audit('operator.credit_pack', '', 'lookup_key', 'currency,price_minor,credit_minor,expires_days,is_active', '');

create policy "Everybody reads the credit packs" on "public"."credit_packs"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."credit_packs"."credit_minor" is 'What the buyer may use of metered prices for price_minor.';

comment on column "public"."credit_packs"."expires_days" is 'Days after the purchase; null: never.';

comment on table "public"."credit_packs" is 'Prepaid credit that can be bought, by the lookup key of its one-time Stripe price.';

grant select on table "public"."credit_packs" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."credit_packs" to "postgres";

grant select on table "public"."credit_packs" to "service_role";

-- public/tables/customers

create table "public"."customers" (
  "user_id"            uuid                     not null,
  "stripe_customer_id" text                     not null,
  "created_at"         timestamp with time zone not null default now(),
  constraint "customers_pkey" primary key (user_id),
  constraint "customers_stripe_customer_id_check" check ((stripe_customer_id <> ''::text)),
  constraint "customers_stripe_customer_id_key" unique (stripe_customer_id),
  constraint "customers_user_id_fkey" foreign key (user_id) references auth.users(id) on delete restrict
);

alter table "public"."customers"
  enable row level security;

create trigger customers_after_change_audit
  after insert or delete or update of stripe_customer_id on public.customers
  for each row
  execute function billing.audit('billing.customer', 'user_id', 'user_id', 'stripe_customer_id', 'stripe_customer_id');

create trigger customers_before_write_refuse_leaving
  before insert or update on public.customers
  for each row
  execute function billing.refuse_leaving('user_id');

create policy "Owners read their customer" on "public"."customers"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on table "public"."customers" is 'Our user and their Stripe customer, one to one. Bound by this row, never by an e-mail address. Deleting the user is refused while it exists, so that no deleted account goes on being billed.';

grant select on table "public"."customers" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."customers" to "postgres";

grant select on table "public"."customers" to "service_role";

-- public/tables/entitlements

create table "public"."entitlements" (
  "user_id"         uuid                     not null,
  "plan_id"         text                     not null,
  "source"          text                     not null,
  "subscription_id" text,
  "updated_at"      timestamp with time zone not null default now(),
  "grant_id"        bigint,
  "valid_until"     timestamp with time zone,
  constraint "entitlements_grant_id_fkey" foreign key (grant_id) references billing.grants(id) on delete set null,
  constraint "entitlements_pkey" primary key (user_id),
  constraint "entitlements_source_check" check ((source = ANY (ARRAY['subscription'::text, 'grant'::text, 'default'::text]))),
  constraint "entitlements_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "entitlements_plan_id_fkey" foreign key (plan_id) references public.plans(id),
  constraint "entitlements_subscription_id_fkey" foreign key (subscription_id) references public.subscriptions(id) on delete set null
);

alter table "public"."entitlements"
  enable row level security;

create index entitlements_grant_id_idx on public.entitlements using btree (grant_id);

create index entitlements_plan_id_idx on public.entitlements using btree (plan_id);

create index entitlements_subscription_id_idx on public.entitlements using btree (subscription_id);

create index entitlements_valid_until_idx on public.entitlements using btree (valid_until)
  where (valid_until is not null);

create trigger entitlements_after_change_audit
  after insert or delete or update of plan_id, source, subscription_id, grant_id, valid_until on public.entitlements
  for each row
  execute function billing.audit('access.entitlement', 'user_id', 'user_id', 'plan_id,source,subscription_id,grant_id,valid_until', 'subscription_id');

create trigger entitlements_after_delete_refresh
  after delete on public.entitlements referencing OLD table as old_rows
  for each STATEMENT
  execute function billing.entitlements_changed();

create trigger entitlements_after_insert_refresh
  after insert on public.entitlements referencing NEW table as new_rows
  for each STATEMENT
  execute function billing.entitlements_changed();

create trigger entitlements_after_update_refresh
  after update on public.entitlements referencing OLD table as old_rows NEW table as new_rows
  for each STATEMENT
  execute function billing.entitlements_changed();

create policy "Owners read their entitlement" on "public"."entitlements"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."entitlements"."valid_until" is 'When it ends by itself (the end of a grace or of a grant); null: not by itself. Once passed, the row counts for nothing.';

comment on table "public"."entitlements" is 'The plan a user has a right to, and why. No row: the default plan.';

grant select on table "public"."entitlements" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."entitlements" to "postgres";

grant select on table "public"."entitlements" to "service_role";

-- public/tables/features

create table "public"."features" (
  "id"          text    not null,
  "name"        text    not null,
  "description" text    not null default ''::text,
  "rank"        integer not null,
  constraint "features_id_check" check ((id ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "features_pkey" primary key (id),
  constraint "features_rank_key" unique (rank)
);

alter table "public"."features"
  enable row level security;

create trigger features_after_change_audit
  after insert or delete or update of name, rank on public.features
  for each row
  execute function billing.audit('operator.feature', '', 'id', 'name,rank', '');

create policy "Everybody reads the features" on "public"."features"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."features"."rank" is 'Order in which they are listed.';

comment on table "public"."features" is 'Things a plan includes or does not.';

grant select on table "public"."features" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."features" to "postgres";

grant select on table "public"."features" to "service_role";

-- public/tables/invoices

create table "public"."invoices" (
  "id"                 text                     not null,
  "user_id"            uuid,
  "subscription_id"    text,
  "number"             text,
  "status"             text                     not null,
  "currency"           text                     not null,
  "total_minor"        bigint                   not null,
  "amount_due_minor"   bigint                   not null,
  "amount_paid_minor"  bigint                   not null,
  "period_start"       timestamp with time zone,
  "period_end"         timestamp with time zone,
  "hosted_invoice_url" text,
  "invoice_pdf"        text,
  "stripe_created_at"  timestamp with time zone not null,
  "synced_at"          timestamp with time zone not null default now(),
  constraint "invoices_pkey" primary key (id),
  constraint "invoices_user_id_fkey" foreign key (user_id) references public.customers(user_id) on delete restrict
);

alter table "public"."invoices"
  enable row level security;

create index invoices_user_id_stripe_created_at_idx on public.invoices using btree (user_id, stripe_created_at);

create trigger invoices_after_change_audit
  after insert or delete or update of subscription_id, number, status, currency, total_minor, amount_due_minor, amount_paid_minor, period_start, period_end on public.invoices
  for each row
  execute function
    billing.audit('billing.invoice', 'user_id', 'id', 'subscription_id,number,status,currency,total_minor,amount_due_minor,amount_paid_minor,period_start,period_end',
    'id,subscription_id');

create policy "Owners read their invoices" on "public"."invoices"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."invoices"."subscription_id" is 'No foreign key: an invoice outlives what it was for.';

comment on column "public"."invoices"."total_minor" is 'In the smallest unit of the currency; negative is a credit.';

comment on column "public"."invoices"."user_id" is 'Null once the person was deleted: the law has us keep the invoice, not whose it was.';

comment on table "public"."invoices" is 'Snapshot of the finalized invoices of a customer in Stripe. A draft is not yet an invoice to anybody.';

grant select on table "public"."invoices" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."invoices" to "postgres";

grant select on table "public"."invoices" to "service_role";

-- public/tables/licences

create table "public"."licences" (
  "id"          uuid                     not null default gen_random_uuid(),
  "user_id"     uuid                     not null,
  "listing_id"  uuid                     not null,
  "purchase_id" uuid                     not null,
  "status"      text                     not null,
  "reason"      text,
  "valid_until" timestamp with time zone,
  "created_at"  timestamp with time zone not null default now(),
  "updated_at"  timestamp with time zone not null default now(),
  constraint "licences_check" check (((status = 'active'::text) = (reason IS NULL))),
  constraint "licences_pkey" primary key (id),
  constraint "licences_purchase_id_key" unique (purchase_id),
  constraint "licences_reason_check" check ((reason = ANY (ARRAY['refunded'::text, 'dispute_open'::text, 'dispute_lost'::text, 'canceled'::text, 'payment_failed'::text]))),
  constraint "licences_status_check" check ((status = ANY (ARRAY['active'::text, 'suspended'::text, 'revoked'::text]))),
  constraint "licences_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "licences_listing_id_fkey" foreign key (listing_id) references public.listings(id),
  constraint "licences_purchase_id_fkey" foreign key (purchase_id) references public.purchases(id)
);

alter table "public"."licences"
  enable row level security;

create index licences_listing_id_idx on public.licences using btree (listing_id);

create index licences_user_id_idx on public.licences using btree (user_id);

create trigger licences_after_change_audit
  after insert or delete or update of user_id, listing_id, purchase_id, status, reason, valid_until on public.licences
  for each row
  execute function billing.audit('access.licence', 'user_id', 'id', 'user_id,listing_id,purchase_id,status,reason,valid_until', '');

create trigger licences_before_update_touch
  before update on public.licences
  for each row
  execute function billing.touch_updated_at();

create policy "Owners read their licences" on "public"."licences"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."licences"."valid_until" is 'When it ends by itself; null is never. A renewal moves it on.';

comment on table "public"."licences" is 'The right to read, run and clone a definition, or to an add-on. Derived from the purchase.';

grant select on table "public"."licences" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."licences" to "postgres";

grant select on table "public"."licences" to "service_role";

-- public/tables/listing_definitions

create table "public"."listing_definitions" (
  "listing_id"   uuid                     not null,
  "version"      integer                  not null,
  "name"         text                     not null,
  "instructions" text                     not null,
  "updated_at"   timestamp with time zone not null default now(),
  constraint "listing_definitions_instructions_check" check (((char_length(instructions) >= 1) AND (char_length(instructions) <= 20000))),
  constraint "listing_definitions_name_check" check (((char_length(name) >= 1) AND (char_length(name) <= 100))),
  constraint "listing_definitions_pkey" primary key (listing_id),
  constraint "listing_definitions_version_check" check ((version > 0)),
  constraint "listing_definitions_listing_id_fkey" foreign key (listing_id) references public.listings(id) on delete cascade
);

alter table "public"."listing_definitions"
  enable row level security;

create trigger listing_definitions_after_change_audit
  after insert or delete or update of version, name, instructions on public.listing_definitions
  for each row
  execute function billing.audit('listing.definition', '', 'listing_id', 'version,name#,instructions#', '');

create policy "Sellers and licence holders read the definition" on "public"."listing_definitions"
  for select
  to "authenticated"
  using ((billing.is_listing_seller(listing_id) or billing.has_licence(listing_id)));

comment on table "public"."listing_definitions" is 'What buyers get: name and instructions at the last publication. Read by the seller and by whoever holds a licence.';

grant select on table "public"."listing_definitions" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."listing_definitions" to "postgres";

grant select on table "public"."listing_definitions" to "service_role";

-- public/tables/listing_pictures

create table "public"."listing_pictures" (
  "listing_id" uuid not null,
  "data"       text not null,
  constraint "listing_pictures_data_check" check (((char_length(data) <= 150000) AND (data ~ '^data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+=*$'::text))),
  constraint "listing_pictures_pkey" primary key (listing_id),
  constraint "listing_pictures_listing_id_fkey" foreign key (listing_id) references public.listings(id) on delete cascade
);

alter table "public"."listing_pictures"
  enable row level security;

create trigger listing_pictures_after_change_audit
  after insert or delete or update of data on public.listing_pictures
  for each row
  execute function billing.audit('listing.picture', '', 'listing_id', 'data#', '');

create policy "Creators add pictures" on "public"."listing_pictures"
  for insert
  to "authenticated"
  with check (billing.is_listing_seller(listing_id));

create policy "Creators change their pictures" on "public"."listing_pictures"
  for update
  to "authenticated"
  using (billing.is_listing_seller(listing_id))
  with check (billing.is_listing_seller(listing_id));

create policy "Creators remove their pictures" on "public"."listing_pictures"
  for delete
  to "authenticated"
  using (billing.is_listing_seller(listing_id));

create policy "Everybody sees the pictures of what is published" on "public"."listing_pictures"
  for select
  to "anon"
  using ((exists ( select
   from public.listings l
  where (l.id = listing_pictures.listing_id))));

create policy "People see the pictures of the listings they read" on "public"."listing_pictures"
  for select
  to "authenticated"
  using ((exists ( select
   from public.listings l
  where (l.id = listing_pictures.listing_id))));

comment on table "public"."listing_pictures" is 'The picture of a listing, as a data URL of at most 150,000 characters.';

grant select on table "public"."listing_pictures" to "anon";

grant insert ("data"), update ("data") on table "public"."listing_pictures" to "authenticated";

grant insert ("listing_id"), update ("listing_id") on table "public"."listing_pictures" to "authenticated";

grant delete, select on table "public"."listing_pictures" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."listing_pictures" to "postgres";

grant select on table "public"."listing_pictures" to "service_role";

-- public/tables/listings.fk

-- Foreign keys in a cross-table reference cycle are split out of their
-- table's file: each file loads atomically, so keeping them inline would
-- deadlock the loader (every file would need a table another pending file
-- creates). These statements apply once all referenced tables exist.

alter table "public"."listings"
  add constraint "listings_agent_id_fkey" foreign key (agent_id) references public.agents(id) on delete set null;

-- public/tables/listings

create table "public"."listings" (
  "id"               uuid                     not null default gen_random_uuid(),
  "seller_id"        uuid,
  "agent_id"         uuid,
  "title"            text                     not null,
  "description"      text                     not null default ''::text,
  "category"         text                     not null default 'agent'::text,
  "kind"             text                     not null default 'one_time'::text,
  "price_minor"      bigint                   not null,
  "currency"         text                     not null default 'usd'::text,
  "grants_metric_id" text,
  "grants_quantity"  bigint,
  "status"           text                     not null default 'draft'::text,
  "version"          integer                  not null default 0,
  "sales_count"      bigint                   not null default 0,
  "seller_name"      text                     not null default 'Tollgate'::text,
  "sales_paused"     boolean                  not null default false,
  "published_at"     timestamp with time zone,
  "created_at"       timestamp with time zone not null default now(),
  "updated_at"       timestamp with time zone not null default now(),
  constraint "listings_add_ons_grant" check (((category = 'addon'::text) = (grants_metric_id IS NOT NULL))),
  constraint "listings_category_check" check ((category = ANY (ARRAY['agent'::text, 'template'::text, 'addon'::text]))),
  constraint "listings_creators_sell_agents" check (((seller_id IS NULL) OR (category = 'agent'::text))),
  constraint "listings_description_check" check ((char_length(description) <= 5000)),
  constraint "listings_grants_quantity_check" check ((grants_quantity > 0)),
  constraint "listings_grants_whole" check (((grants_metric_id IS NULL) = (grants_quantity IS NULL))),
  constraint "listings_kind_check" check ((kind = ANY (ARRAY['one_time'::text, 'monthly'::text]))),
  constraint "listings_pkey" primary key (id),
  constraint "listings_price_minor_check" check (((price_minor >= 50) AND (price_minor <= 99999999))),
  constraint "listings_published_once" check (((status = 'draft'::text) OR ((version > 0) AND (published_at IS NOT NULL)))),
  constraint "listings_sales_count_check" check ((sales_count >= 0)),
  constraint "listings_status_check" check ((status = ANY (ARRAY['draft'::text, 'published'::text, 'withdrawn'::text]))),
  constraint "listings_title_check" check (((char_length(TRIM(BOTH FROM title)) >= 1) AND (char_length(TRIM(BOTH FROM title)) <= 80))),
  constraint "listings_version_check" check ((version >= 0)),
  constraint "listings_currency_fkey" foreign key (currency) references public.marketplace_currencies(currency),
  constraint "listings_grants_metric_id_fkey" foreign key (grants_metric_id) references public.metrics(id),
  constraint "listings_seller_id_fkey" foreign key (seller_id) references public.sellers(id)
);

alter table "public"."listings"
  enable row level security;

alter table "public"."listings"
  add column "search" tsvector generated always as
    ((setweight(to_tsvector('simple'::regconfig, title), 'A'::"char") || setweight(to_tsvector('simple'::regconfig, description), 'B'::"char"))) stored;

create index listings_agent_id_idx on public.listings using btree (agent_id);

create index listings_currency_idx on public.listings using btree (currency);

create index listings_grants_metric_id_idx on public.listings using btree (grants_metric_id);

create index listings_published_at_idx on public.listings using btree (published_at)
  where (status = 'published'::text);

create index listings_search_idx on public.listings using gin (search);

create index listings_seller_id_idx on public.listings using btree (seller_id);

create trigger listings_after_change_audit
  after insert or delete or update of seller_id,
    category, kind, price_minor, currency, grants_metric_id, grants_quantity, status, version, sales_paused, agent_id, title, description on public.listings
  for each row
  execute function
    billing.audit('listing.listing', '', 'id',
    'seller_id,category,kind,price_minor,currency,grants_metric_id,grants_quantity,status,version,sales_paused,agent_id,title#,description#', '');

create trigger listings_before_insert_own
  before insert on public.listings
  for each row
  when ((CURRENT_USER = 'authenticated'::name))
  execute function billing.listing_of_caller();

create trigger listings_before_update_touch
  before update of title, description, agent_id, kind, price_minor, currency, status, version on public.listings
  for each row
  execute function billing.touch_updated_at();

create trigger listings_before_write_check
  before insert or update on public.listings
  for each row
  execute function billing.listing_written();

create policy "Creators delete what was never published" on "public"."listings"
  for delete
  to "authenticated"
  using (((seller_id = ( select billing.my_seller_id() as my_seller_id)) AND (version = 0)));

create policy "Everybody reads what is published" on "public"."listings"
  for select
  to "anon"
  using ((status = 'published'::text));

create policy "People read what is published, theirs, or bought" on "public"."listings"
  for select
  to "authenticated"
  using (((status = 'published'::text) or (seller_id = ( select billing.my_seller_id() as my_seller_id)) or billing.has_licence(id)));

comment on column "public"."listings"."agent_id" is 'Where publish_listing() copies the definition from.';

comment on column "public"."listings"."grants_quantity" is 'Of an add-on: by how much a licence raises the limit of grants_metric_id while it lives.';

comment on column "public"."listings"."sales_count" is 'Purchases that were paid, whatever became of them.';

comment on column "public"."listings"."sales_paused" is 'The creator cannot sell now; kept by the seller''s state.';

comment on column "public"."listings"."seller_id" is 'Null is the platform itself ("the house").';

comment on column "public"."listings"."seller_name" is 'Copied from the seller, whose row nobody else reads.';

comment on column "public"."listings"."version" is 'Counts publications; 0 was never published and may be deleted.';

comment on table "public"."listings" is 'Agents and templates for sale. A change never reaches what was bought: purchases copy.';

grant select on table "public"."listings" to "anon";

grant insert ("agent_id"), update ("agent_id") on table "public"."listings" to "authenticated";

grant insert ("category") on table "public"."listings" to "authenticated";

grant insert ("currency"), update ("currency") on table "public"."listings" to "authenticated";

grant insert ("description"), update ("description") on table "public"."listings" to "authenticated";

grant insert ("id") on table "public"."listings" to "authenticated";

grant insert ("kind"), update ("kind") on table "public"."listings" to "authenticated";

grant insert ("price_minor"), update ("price_minor") on table "public"."listings" to "authenticated";

grant insert ("title"), update ("title") on table "public"."listings" to "authenticated";

grant delete, select on table "public"."listings" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."listings" to "postgres";

grant select on table "public"."listings" to "service_role";

create policy "Creators change their listings" on "public"."listings"
  for update
  to "authenticated"
  using ((seller_id = ( select billing.my_seller_id() as my_seller_id)))
  with check (((seller_id = ( SELECT billing.my_seller_id() AS my_seller_id)) AND (category = 'agent'::text) AND ((agent_id IS NULL) OR (EXISTS ( SELECT
   FROM public.agents a
  WHERE ((a.id = listings.agent_id) AND (a.user_id = ( SELECT auth.uid() AS uid)) AND (a.source_listing_id IS NULL)))))));

create policy "Creators offer their own agents" on "public"."listings"
  for insert
  to "authenticated"
  with check (((seller_id = ( SELECT billing.my_seller_id() AS my_seller_id)) AND (category = 'agent'::text) AND ((agent_id IS NULL) OR (EXISTS ( SELECT
   FROM public.agents a
  WHERE ((a.id = listings.agent_id) AND (a.user_id = ( SELECT auth.uid() AS uid)) AND (a.source_listing_id IS NULL)))))));

-- public/tables/marketplace_currencies

create table "public"."marketplace_currencies" (
  "currency"      text   not null,
  "minimum_minor" bigint not null,
  constraint "marketplace_currencies_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "marketplace_currencies_minimum_minor_check" check ((minimum_minor > 0)),
  constraint "marketplace_currencies_pkey" primary key (currency)
);

alter table "public"."marketplace_currencies"
  enable row level security;

create trigger marketplace_currencies_after_change_audit
  after insert or delete or update of minimum_minor on public.marketplace_currencies
  for each row
  execute function billing.audit('operator.marketplace_currency', '', 'currency', 'minimum_minor', '');

create policy "Everybody reads the currencies" on "public"."marketplace_currencies"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."marketplace_currencies"."minimum_minor" is 'The least Stripe charges (docs.stripe.com/currencies, "Minimum and maximum charge amounts").';

comment on table "public"."marketplace_currencies" is 'Currencies a listing may have a price in.';

grant select on table "public"."marketplace_currencies" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."marketplace_currencies" to "postgres";

grant select on table "public"."marketplace_currencies" to "service_role";

-- public/tables/messages

create table "public"."messages" (
  "id"              uuid                     not null default gen_random_uuid(),
  "conversation_id" uuid                     not null,
  "role"            text                     not null,
  "content"         text                     not null,
  "reply_to"        uuid,
  "created_at"      timestamp with time zone not null default now(),
  constraint "messages_content_check" check (((char_length(content) >= 1) AND (char_length(content) <= 100000))),
  constraint "messages_pkey" primary key (id),
  constraint "messages_reply_to_fkey" foreign key (reply_to) references public.messages(id) on delete set null,
  constraint "messages_reply_to_key" unique (reply_to),
  constraint "messages_role_check" check ((role = ANY (ARRAY['user'::text, 'assistant'::text]))),
  "user_id"         uuid                     not null default auth.uid(),
  constraint "messages_user_id_conversation_id_fkey" foreign key (user_id, conversation_id) references public.conversations(user_id, id) on delete cascade
);

alter table "public"."messages"
  enable row level security;

create trigger tollgate_after_insert_consume_many after insert on public.messages referencing NEW table as new_rows for each STATEMENT when (
  (CURRENT_USER IS DISTINCT FROM 'authenticated'::name)
) execute function billing.consume_public_messages_many();

create trigger tollgate_after_insert_consume
  after insert on public.messages
  for each row
  when (((CURRENT_USER = 'authenticated'::name) AND (new.role = 'user'::text)))
  execute function billing.consume_public_messages();

create trigger tollgate_after_insert_date after insert on public.messages referencing NEW table as new_rows for each STATEMENT when (
  (CURRENT_USER IS DISTINCT FROM 'authenticated'::name)
) execute function billing.messages_answered();

comment on column "public"."messages"."reply_to" is 'The question this answers; one answer per question.';

comment on table "public"."messages" is 'Messages of a conversation. One with role user consumes one of today''s messages of its owner in the same transaction; see billing.attached_quotas.';

grant insert ("content") on table "public"."messages" to "authenticated";

grant insert ("conversation_id") on table "public"."messages" to "authenticated";

grant insert ("id") on table "public"."messages" to "authenticated";

grant insert ("role") on table "public"."messages" to "authenticated";

grant delete, select on table "public"."messages" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."messages" to "postgres";

grant delete, insert, select on table "public"."messages" to "service_role";

create index messages_user_id_conversation_id_created_at_idx on public.messages using btree (user_id, conversation_id, created_at);

create trigger tollgate_after_update_refuse
  after update on public.messages
  for each row
  when (((old.user_id IS DISTINCT FROM new.user_id) OR ((old.role = 'user'::text) IS DISTINCT FROM (new.role = 'user'::text))))
  execute function billing.refuse_change();

create policy "Owners ask, and only ask" on "public"."messages"
  for insert
  to "authenticated"
  with check (((role = 'user'::text) AND (user_id = ( SELECT auth.uid() AS uid))));

create policy "Owners delete their messages, answers after their questions" on "public"."messages"
  for delete
  to "authenticated"
  using (((user_id = ( select auth.uid() as uid)) AND ((role = 'user'::text) or (reply_to is null))));

create policy "Owners read their messages" on "public"."messages"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."messages"."user_id" is 'Owner of the conversation, also of the answers in it.';

-- public/tables/metrics

create table "public"."metrics" (
  "id"               text not null,
  "name"             text not null,
  "period"           text not null,
  "meter_event_name" text,
  constraint "metrics_id_check" check ((id ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "metrics_meter_event_name_check" check ((meter_event_name ~ '^[a-z][a-z0-9_]{0,99}$'::text)),
  constraint "metrics_meter_event_name_key" unique (meter_event_name),
  constraint "metrics_period_check" check ((period = ANY (ARRAY['day'::text, 'none'::text]))),
  constraint "metrics_pkey" primary key (id)
);

alter table "public"."metrics"
  enable row level security;

create trigger metrics_after_change_audit
  after insert or delete or update of name, period, meter_event_name on public.metrics
  for each row
  execute function billing.audit('operator.metric', '', 'id', 'name,period,meter_event_name', '');

create policy "Everybody reads the metrics" on "public"."metrics"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."metrics"."meter_event_name" is 'Event name of Stripe''s meter. Null: cannot be billed beyond the allowance.';

comment on column "public"."metrics"."period" is 'day: what was used resets at midnight UTC. none: a number of things that exist at the same time.';

comment on table "public"."metrics" is 'What is counted.';

grant select on table "public"."metrics" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."metrics" to "postgres";

grant select on table "public"."metrics" to "service_role";

-- public/tables/notifications

create table "public"."notifications" (
  "id"          bigint                   generated always as identity not null,
  "user_id"     uuid                     not null,
  "kind"        text                     not null,
  "metric_id"   text,
  "threshold"   smallint                 not null,
  "limit_value" bigint                   not null,
  "period"      text                     not null,
  "title"       text                     not null,
  "body"        text                     not null,
  "created_at"  timestamp with time zone not null default now(),
  "read_at"     timestamp with time zone,
  "sent_at"     timestamp with time zone,
  constraint "notifications_check" check (((kind = 'allowance'::text) = (metric_id IS NOT NULL))),
  constraint "notifications_kind_check" check ((kind = ANY (ARRAY['allowance'::text, 'spending_cap'::text]))),
  constraint "notifications_limit_value_check" check ((limit_value >= 0)),
  constraint "notifications_metric_id_fkey" foreign key (metric_id) references public.metrics(id),
  constraint "notifications_pkey" primary key (id),
  constraint "notifications_threshold_check" check ((threshold = ANY (ARRAY[80, 100]))),
  constraint "notifications_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "notifications_user_id_kind_metric_id_threshold_period_limit_key" unique nulls not DISTINCT (user_id, kind, metric_id, threshold, period, limit_value)
);

alter table "public"."notifications"
  enable row level security;

create index notifications_created_at_idx on public.notifications using btree (created_at);

create index notifications_metric_id_idx on public.notifications using btree (metric_id);

create index notifications_unsent_idx on public.notifications using btree (created_at)
  where ((sent_at is null) AND (read_at is null));

create policy "Owners read their notifications" on "public"."notifications"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."notifications"."limit_value" is 'What the threshold is a share of: units, or minor units of money.';

comment on column "public"."notifications"."period" is 'The UTC day of an allowance, the start of the billing period of a cap.';

comment on column "public"."notifications"."sent_at" is 'When it was sent by e-mail; null: it was not.';

comment on table "public"."notifications" is 'What a user should be told about their allowance or their spending.';

grant select on table "public"."notifications" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."notifications" to "postgres";

grant select on table "public"."notifications" to "service_role";

-- public/tables/overage_price_currency_options

create table "public"."overage_price_currency_options" (
  "lookup_key"        text          not null,
  "currency"          text          not null,
  "unit_amount_minor" numeric(20,6) not null,
  constraint "overage_price_currency_options_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "overage_price_currency_options_pkey" primary key (lookup_key, currency),
  constraint "overage_price_currency_options_unit_amount_minor_check" check ((unit_amount_minor > (0)::numeric)),
  constraint "overage_price_currency_options_lookup_key_fkey" foreign key (lookup_key) references public.overage_prices(lookup_key) on delete cascade
);

alter table "public"."overage_price_currency_options"
  enable row level security;

create trigger overage_price_currency_options_after_change_audit
  after insert or delete or update of unit_amount_minor on public.overage_price_currency_options
  for each row
  execute function billing.audit('operator.overage_price_currency', '', 'lookup_key,currency', 'unit_amount_minor', '');

create policy "Everybody reads the metered prices in other currencies" on "public"."overage_price_currency_options"
  for select
  to "anon", "authenticated"
  using (true);

comment on table "public"."overage_price_currency_options" is 'Amounts of a metered price in currencies beside its own (Stripe''s currency_options).';

grant select on table "public"."overage_price_currency_options" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."overage_price_currency_options" to "postgres";

grant select on table "public"."overage_price_currency_options" to "service_role";

-- public/tables/overage_prices

create table "public"."overage_prices" (
  "lookup_key"        text          not null,
  "plan_id"           text          not null,
  "metric_id"         text          not null,
  "currency"          text          not null,
  "unit_amount_minor" numeric(20,6) not null,
  "is_active"         boolean       not null default true,
  constraint "overage_prices_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "overage_prices_lookup_key_check" check ((lookup_key ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "overage_prices_metric_id_fkey" foreign key (metric_id) references public.metrics(id),
  constraint "overage_prices_pkey" primary key (lookup_key),
  constraint "overage_prices_plan_id_metric_id_key" unique (plan_id, metric_id),
  constraint "overage_prices_unit_amount_minor_check" check ((unit_amount_minor > (0)::numeric)),
  constraint "overage_prices_plan_id_fkey" foreign key (plan_id) references public.plans(id)
);

alter table "public"."overage_prices"
  enable row level security;

create index overage_prices_metric_id_idx on public.overage_prices using btree (metric_id);

create trigger overage_prices_after_change_audit
  after insert or delete or update of plan_id, metric_id, currency, unit_amount_minor, is_active on public.overage_prices
  for each row
  execute function billing.audit('operator.overage_price', '', 'lookup_key', 'plan_id,metric_id,currency,unit_amount_minor,is_active', '');

create policy "Everybody reads the metered prices" on "public"."overage_prices"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."overage_prices"."is_active" is 'Can be switched on. Who has it already keeps it.';

comment on column "public"."overage_prices"."unit_amount_minor" is 'In the smallest unit of the currency (cents), with up to six decimals.';

comment on table "public"."overage_prices" is 'Metered prices by Stripe lookup key: what a unit beyond the plan''s allowance costs. Monthly, with the meter of the metric. Stripe charges what its own price says; these amounts are for display and for making Stripe''s prices.';

grant select on table "public"."overage_prices" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."overage_prices" to "postgres";

grant select on table "public"."overage_prices" to "service_role";

-- public/tables/plan_features

create table "public"."plan_features" (
  "plan_id"    text not null,
  "feature_id" text not null,
  constraint "plan_features_feature_id_fkey" foreign key (feature_id) references public.features(id) on delete cascade,
  constraint "plan_features_pkey" primary key (plan_id, feature_id),
  constraint "plan_features_plan_id_fkey" foreign key (plan_id) references public.plans(id) on delete cascade
);

alter table "public"."plan_features"
  enable row level security;

create index plan_features_feature_id_idx on public.plan_features using btree (feature_id);

create trigger plan_features_after_change_audit
  after insert or delete or update of plan_id, feature_id on public.plan_features
  for each row
  execute function billing.audit('operator.plan_feature', '', 'plan_id,feature_id', 'plan_id,feature_id', '');

create policy "Everybody reads what a plan includes" on "public"."plan_features"
  for select
  to "anon", "authenticated"
  using (true);

comment on table "public"."plan_features" is 'Which plan includes which feature; nothing is inherited.';

grant select on table "public"."plan_features" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."plan_features" to "postgres";

grant select on table "public"."plan_features" to "service_role";

-- public/tables/plan_limits

create table "public"."plan_limits" (
  "plan_id"     text   not null,
  "metric_id"   text   not null,
  "limit_value" bigint,
  constraint "plan_limits_limit_value_check" check ((limit_value >= 0)),
  constraint "plan_limits_metric_id_fkey" foreign key (metric_id) references public.metrics(id) on delete cascade,
  constraint "plan_limits_pkey" primary key (plan_id, metric_id),
  constraint "plan_limits_plan_id_fkey" foreign key (plan_id) references public.plans(id) on delete cascade
);

alter table "public"."plan_limits"
  enable row level security;

create index plan_limits_metric_id_idx on public.plan_limits using btree (metric_id);

create trigger plan_limits_after_change_audit
  after insert or delete or update of limit_value on public.plan_limits
  for each row
  execute function billing.audit('operator.plan_limit', '', 'plan_id,metric_id', 'limit_value', '');

create trigger plan_limits_after_change_refresh
  after insert or delete or update or truncate on public.plan_limits
  for each STATEMENT
  execute function billing.catalogue_changed();

create trigger plan_limits_before_change_lock
  before insert or delete or update or truncate on public.plan_limits
  for each STATEMENT
  execute function billing.catalogue_changing();

create policy "Everybody reads the limits" on "public"."plan_limits"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."plan_limits"."limit_value" is 'Per period of the metric; null is unlimited.';

comment on table "public"."plan_limits" is 'How much of a metric a plan allows. A missing row allows nothing: a forgotten limit fails closed.';

grant select on table "public"."plan_limits" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."plan_limits" to "postgres";

grant select on table "public"."plan_limits" to "service_role";

-- public/tables/plans

create table "public"."plans" (
  "id"          text    not null,
  "name"        text    not null,
  "description" text    not null default ''::text,
  "rank"        integer not null,
  "is_default"  boolean not null default false,
  "is_public"   boolean not null default true,
  constraint "plans_id_check" check ((id ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "plans_one_default" EXCLUDE using btree (is_default with =) where (is_default) deferrable,
  constraint "plans_pkey" primary key (id),
  constraint "plans_rank_key" unique (rank)
);

alter table "public"."plans"
  enable row level security;

create trigger plans_after_change_audit
  after insert or delete or update of name, rank, is_default, is_public on public.plans
  for each row
  execute function billing.audit('operator.plan', '', 'id', 'name,rank,is_default,is_public', '');

create trigger plans_after_change_refresh
  after insert or delete or update on public.plans
  for each STATEMENT
  execute function billing.catalogue_changed();

create trigger plans_before_change_lock
  before insert or delete or update on public.plans
  for each STATEMENT
  execute function billing.catalogue_changing();

create policy "Everybody reads the plans" on "public"."plans"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."plans"."is_default" is 'The plan of everybody who has nothing else. One at most.';

comment on column "public"."plans"."is_public" is 'Shown in the pricing table.';

comment on column "public"."plans"."rank" is 'Higher is better; decides between several live subscriptions.';

comment on table "public"."plans" is 'Plans. A user without an entitlement is on the default plan.';

grant select on table "public"."plans" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."plans" to "postgres";

grant select on table "public"."plans" to "service_role";

-- public/tables/price_currency_options

create table "public"."price_currency_options" (
  "lookup_key"        text   not null,
  "currency"          text   not null,
  "unit_amount_minor" bigint not null,
  constraint "price_currency_options_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "price_currency_options_pkey" primary key (lookup_key, currency),
  constraint "price_currency_options_unit_amount_minor_check" check ((unit_amount_minor >= 0)),
  constraint "price_currency_options_lookup_key_fkey" foreign key (lookup_key) references public.prices(lookup_key) on delete cascade
);

alter table "public"."price_currency_options"
  enable row level security;

create trigger price_currency_options_after_change_audit
  after insert or delete or update of unit_amount_minor on public.price_currency_options
  for each row
  execute function billing.audit('operator.price_currency', '', 'lookup_key,currency', 'unit_amount_minor', '');

create trigger price_currency_options_after_write_check
  after insert or update on public.price_currency_options
  for each row
  execute function billing.refuse_options_of_tiers();

create policy "Everybody reads the prices in other currencies" on "public"."price_currency_options"
  for select
  to "anon", "authenticated"
  using (true);

comment on table "public"."price_currency_options" is 'Amounts of a price in currencies beside its own (Stripe''s currency_options). Checkout may ask for one of them.';

grant select on table "public"."price_currency_options" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."price_currency_options" to "postgres";

grant select on table "public"."price_currency_options" to "service_role";

-- public/tables/prices

create table "public"."prices" (
  "lookup_key"        text    not null,
  "plan_id"           text    not null,
  "currency"          text    not null,
  "unit_amount_minor" bigint,
  "billing_interval"  text    not null,
  "is_active"         boolean not null default true,
  "trial_days"        integer not null default 0,
  "tiers_mode"        text,
  "tiers"             jsonb,
  constraint "prices_amount_or_tiers" check ((((unit_amount_minor IS NOT NULL) AND (tiers IS NULL) AND (tiers_mode IS NULL)) OR ((unit_amount_minor IS NULL) AND (tiers IS
    NOT NULL) AND (tiers_mode IS NOT NULL)))),
  constraint "prices_billing_interval_check" check ((billing_interval = ANY (ARRAY['month'::text, 'year'::text]))),
  constraint "prices_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "prices_lookup_key_check" check ((lookup_key ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "prices_pkey" primary key (lookup_key),
  constraint "prices_plan_id_fkey" foreign key (plan_id) references public.plans(id),
  constraint "prices_tiers_mode_check" check ((tiers_mode = ANY (ARRAY['graduated'::text, 'volume'::text]))),
  constraint "prices_trial_days_check" check (((trial_days >= 0) AND (trial_days <= 730))),
  constraint "prices_unit_amount_minor_check" check ((unit_amount_minor >= 0)),
  constraint "prices_tiers_are_a_table" check (((tiers IS NULL) OR billing.is_tier_table(tiers)))
);

alter table "public"."prices"
  enable row level security;

create index prices_plan_id_idx on public.prices using btree (plan_id);

create trigger prices_after_change_audit
  after insert or delete or update of plan_id, currency, unit_amount_minor, billing_interval, is_active, trial_days, tiers_mode, tiers on public.prices
  for each row
  execute function billing.audit('operator.price', '', 'lookup_key', 'plan_id,currency,unit_amount_minor,billing_interval,is_active,trial_days,tiers_mode,tiers', '');

create trigger prices_after_write_check_options
  after insert or update on public.prices
  for each row
  execute function billing.refuse_options_of_tiers();

create policy "Everybody reads the prices" on "public"."prices"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."prices"."is_active" is 'Can be bought. A price that is no longer sold keeps its plan for those who have it.';

comment on column "public"."prices"."tiers" is '[{up_to, unit_amount_minor, flat_amount_minor}], in the smallest unit of the currency; up_to is null in the last one. Tiers are sold in the price''s own currency only.';

comment on column "public"."prices"."tiers_mode" is 'graduated: each unit costs what its own tier says. volume: all units cost what the tier of the whole number says.';

comment on column "public"."prices"."trial_days" is 'Days that a first subscription of a person is free; 0 is no trial.';

comment on column "public"."prices"."unit_amount_minor" is 'In the smallest unit of the currency (cents); null for a price with tiers.';

comment on table "public"."prices" is 'Prices by Stripe lookup key. Stripe charges what its own price says; these amounts are for display.';

grant select on table "public"."prices" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."prices" to "postgres";

grant select on table "public"."prices" to "service_role";

-- public/tables/purchases

create table "public"."purchases" (
  "id"                     uuid                     not null default gen_random_uuid(),
  "buyer_id"               uuid,
  "listing_id"             uuid,
  "seller_id"              uuid,
  "kind"                   text                     not null,
  "title"                  text                     not null,
  "amount_minor"           bigint                   not null,
  "currency"               text                     not null,
  "fee_bps"                integer                  not null,
  "fee_minor"              bigint                   not null,
  "status"                 text                     not null default 'open'::text,
  "holds"                  boolean                  not null default true,
  "problem"                text,
  "refunded_minor"         bigint                   not null default 0,
  "attempt"                integer                  not null default 1,
  "checkout_session_id"    text,
  "session_status"         text,
  "payment_status"         text,
  "payment_intent_id"      text,
  "charge_id"              text,
  "stripe_subscription_id" text,
  "subscription_status"    text,
  "past_due_since"         timestamp with time zone,
  "cancel_at"              timestamp with time zone,
  "stripe_customer_id"     text,
  "receipt_url"            text,
  "current_period_end"     timestamp with time zone,
  "cancel_at_period_end"   boolean                  not null default false,
  "applied_token"          bigint                   not null default 0,
  "due_at"                 timestamp with time zone default (now() + '00:04:00'::interval),
  "paid_at"                timestamp with time zone,
  "created_at"             timestamp with time zone not null default now(),
  "updated_at"             timestamp with time zone not null default now(),
  "credit_pack"            text,
  "credit_minor"           bigint,
  "open_invoice_url"       text,
  "open_minor"             bigint,
  constraint "purchases_amount_minor_check" check ((amount_minor > 0)),
  constraint "purchases_buyer_id_fkey" foreign key (buyer_id) references auth.users(id) on delete set null,
  constraint "purchases_check1" check (((seller_id IS NOT NULL) OR (fee_minor = 0))),
  constraint "purchases_checkout_session_id_key" unique (checkout_session_id),
  constraint "purchases_check" check (((fee_minor >= 0) AND (fee_minor <= amount_minor))),
  constraint "purchases_credit_check" check ((((credit_pack IS NULL) = (credit_minor IS NULL)) AND ((credit_pack IS NULL) OR ((seller_id IS NULL) AND (kind = 'one_time'::text))))),
  constraint "purchases_credit_minor_check" check ((credit_minor > 0)),
  constraint "purchases_credit_pack_check" check ((credit_pack ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "purchases_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "purchases_fee_bps_check" check (((fee_bps >= 0) AND (fee_bps <= 10000))),
  constraint "purchases_kind_check" check ((kind = ANY (ARRAY['one_time'::text, 'monthly'::text]))),
  constraint "purchases_listing_id_fkey" foreign key (listing_id) references public.listings(id),
  constraint "purchases_open_minor_check" check ((open_minor > 0)),
  constraint "purchases_payment_intent_id_key" unique (payment_intent_id),
  constraint "purchases_pkey" primary key (id),
  constraint "purchases_status_check"
    check
    ((status = ANY (ARRAY['open'::text, 'processing'::text, 'paid'::text, 'failed'::text, 'expired'::text, 'refunded'::text, 'partially_refunded'::text, 'disputed'::text,
    'lost'::text, 'active'::text, 'past_due'::text, 'canceled'::text]))),
  constraint "purchases_stripe_subscription_id_key" unique (stripe_subscription_id),
  constraint "purchases_subject_check" check (((listing_id IS NULL) = (credit_pack IS NOT NULL))),
  constraint "purchases_seller_id_fkey" foreign key (seller_id) references public.sellers(id)
);

alter table "public"."purchases"
  enable row level security;

create index purchases_buyer_id_created_at_idx on public.purchases using btree (buyer_id, created_at);

create unique index purchases_buyer_id_listing_id_idx on public.purchases using btree (buyer_id, listing_id)
  where holds;

create index purchases_charge_id_idx on public.purchases using btree (charge_id);

create unique index purchases_credit_pack_buyer_id_idx on public.purchases using btree (credit_pack, buyer_id)
  where (holds AND (credit_pack is not null));

create index purchases_due_at_idx on public.purchases using btree (due_at)
  where (due_at is not null);

create index purchases_listing_id_idx on public.purchases using btree (listing_id);

create index purchases_seller_id_idx on public.purchases using btree (seller_id);

create trigger purchases_after_change_audit
  after insert or delete or update of buyer_id,
    listing_id,
    seller_id,
    kind,
    amount_minor,
    currency,
    fee_bps, fee_minor, status, refunded_minor, problem, subscription_status, past_due_since, cancel_at, cancel_at_period_end, current_period_end, paid_at on public.purchases
  for each row
  execute function
    billing.audit('billing.purchase', 'buyer_id', 'id',
    'buyer_id,listing_id,seller_id,kind,amount_minor,currency,fee_bps,fee_minor,status,refunded_minor,problem,subscription_status,past_due_since,cancel_at,cancel_at_period_end,current_period_end,paid_at', 'checkout_session_id,payment_intent_id,charge_id,stripe_subscription_id,stripe_customer_id');

create trigger purchases_after_paid_tell_credit
  after update of paid_at on public.purchases
  for each row
  when (((old.paid_at IS NULL) AND (new.paid_at IS NOT NULL) AND (new.kind = 'monthly'::text)))
  execute function billing.tell_credit_sale();

create trigger purchases_after_paid_tell_nobody
  after update of paid_at on public.purchases
  for each row
  when (((old.paid_at IS NULL) AND (new.paid_at IS NOT NULL) AND (new.buyer_id IS NULL)))
  execute function billing.tell_paid_for_nobody();

create trigger purchases_before_insert_refuse_leaving
  before insert on public.purchases
  for each row
  execute function billing.refuse_leaving('buyer_id');

create trigger purchases_before_update_touch
  before update on public.purchases
  for each row
  execute function billing.touch_updated_at();

create trigger purchases_before_write_forget_links
  before insert or update on public.purchases
  for each row
  when ((new.buyer_id IS NULL))
  execute function billing.forget_links();

create policy "Buyers read their purchases" on "public"."purchases"
  for select
  to "authenticated"
  using ((buyer_id = ( select auth.uid() as uid)));

comment on column "public"."purchases"."applied_token" is 'Token of the snapshot applied last; see billing.sync_state.';

comment on column "public"."purchases"."attempt" is 'Counts Checkout sessions; part of the idempotency key.';

comment on column "public"."purchases"."credit_minor" is 'The credit that was promised, in the currency of the purchase.';

comment on column "public"."purchases"."credit_pack" is 'Lookup key of the credit pack that was sold, instead of a listing. The credit itself is a grant at Stripe.';

comment on column "public"."purchases"."due_at" is 'When to look at it again without an event; null: nothing is expected to happen. See billing.purchase_due().';

comment on column "public"."purchases"."fee_minor" is 'Application fee of one payment; 0 for the house.';

comment on column "public"."purchases"."holds" is 'Unfinished or alive: no other purchase of this listing by this buyer may begin. Of a credit pack: unfinished.';

comment on column "public"."purchases"."open_invoice_url" is 'Stripe''s page of the month that waits to be paid. One that is left when the subscription is over is written off by syncPurchase().';

comment on column "public"."purchases"."open_minor" is 'What that month still costs.';

comment on column "public"."purchases"."past_due_since" is 'When a sync first saw that a renewal has failed. The grace runs from here.';

comment on column "public"."purchases"."problem" is 'What Stripe says that does not fit this row; then there is no licence.';

comment on table "public"."purchases" is 'Purchases of listings, and of credit packs of the house. The row outlives its buyer (without a name) and its seller. A seller never reads it: the buyer stands in it; see public.my_sales().';

grant select ("amount_minor") on table "public"."purchases" to "authenticated";

grant select ("buyer_id") on table "public"."purchases" to "authenticated";

grant select ("cancel_at_period_end") on table "public"."purchases" to "authenticated";

grant select ("created_at") on table "public"."purchases" to "authenticated";

grant select ("credit_minor") on table "public"."purchases" to "authenticated";

grant select ("credit_pack") on table "public"."purchases" to "authenticated";

grant select ("currency") on table "public"."purchases" to "authenticated";

grant select ("current_period_end") on table "public"."purchases" to "authenticated";

grant select ("id") on table "public"."purchases" to "authenticated";

grant select ("kind") on table "public"."purchases" to "authenticated";

grant select ("listing_id") on table "public"."purchases" to "authenticated";

grant select ("paid_at") on table "public"."purchases" to "authenticated";

grant select ("receipt_url") on table "public"."purchases" to "authenticated";

grant select ("refunded_minor") on table "public"."purchases" to "authenticated";

grant select ("status") on table "public"."purchases" to "authenticated";

grant select ("title") on table "public"."purchases" to "authenticated";

grant select ("updated_at") on table "public"."purchases" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."purchases" to "postgres";

grant select on table "public"."purchases" to "service_role";

-- public/tables/sellers

create table "public"."sellers" (
  "id"                uuid                     not null default gen_random_uuid(),
  "user_id"           uuid,
  "display_name"      text                     not null,
  "stripe_account_id" text,
  "status"            text                     not null default 'onboarding'::text,
  "paused_reason"     text,
  "requirements"      text[]                   not null default '{}'::text[],
  "country"           text,
  "fee_bps"           integer,
  "activated_at"      timestamp with time zone,
  "applied_token"     bigint                   not null default 0,
  "created_at"        timestamp with time zone not null default now(),
  "updated_at"        timestamp with time zone not null default now(),
  constraint "sellers_country_check" check ((country ~ '^[A-Z]{2}$'::text)),
  constraint "sellers_display_name_check" check (((char_length(display_name) >= 1) AND (char_length(display_name) <= 100))),
  constraint "sellers_fee_bps_check" check (((fee_bps >= 0) AND (fee_bps <= 10000))),
  constraint "sellers_pkey" primary key (id),
  constraint "sellers_status_check" check ((status = ANY (ARRAY['onboarding'::text, 'active'::text, 'paused'::text, 'closed'::text]))),
  constraint "sellers_stripe_account_id_check" check ((stripe_account_id ~ '^acct_\w+$'::text)),
  constraint "sellers_stripe_account_id_key" unique (stripe_account_id),
  constraint "sellers_user_id_fkey" foreign key (user_id) references auth.users(id) on delete set null,
  constraint "sellers_user_id_key" unique (user_id)
);

alter table "public"."sellers"
  enable row level security;

create trigger sellers_after_change_audit
  after insert or delete or update of user_id, stripe_account_id, status, paused_reason, country, fee_bps, display_name on public.sellers
  for each row
  execute function billing.audit('listing.seller', 'user_id', 'id', 'user_id,stripe_account_id,status,paused_reason,country,fee_bps,display_name#', 'stripe_account_id');

create trigger sellers_after_update_listings
  after update on public.sellers
  for each row
  when (((old.status <> new.status) OR (old.display_name <> new.display_name) OR (old.user_id IS DISTINCT FROM new.user_id)))
  execute function billing.seller_changed();

create trigger sellers_before_insert_refuse_leaving
  before insert on public.sellers
  for each row
  execute function billing.refuse_leaving('user_id');

create trigger sellers_before_update_close
  before update on public.sellers
  for each row
  execute function billing.seller_changing();

create trigger sellers_before_update_stay_left
  before update on public.sellers
  for each row
  execute function billing.stay_left();

create policy "Creators read their own row" on "public"."sellers"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."sellers"."activated_at" is 'When transfers were first active; before that it is onboarding, not paused.';

comment on column "public"."sellers"."applied_token" is 'Token of the snapshot applied last; see billing.sync_state.';

comment on column "public"."sellers"."fee_bps" is 'Overrides the platform''s fee, by billing.set_seller_fee(). What was bought keeps its fee.';

comment on column "public"."sellers"."paused_reason" is 'In plain words, why nothing can be sold; null while active.';

comment on column "public"."sellers"."requirements" is 'What Stripe still wants to know.';

comment on column "public"."sellers"."user_id" is 'Null once the account was deleted; then the seller is closed.';

comment on table "public"."sellers" is 'Creators. The row outlives its user: what was sold, and the ledger, point at it. What everybody may see of a creator, the name, comes with the listing.';

grant select on table "public"."sellers" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."sellers" to "postgres";

grant select on table "public"."sellers" to "service_role";

-- public/tables/subscriptions

create table "public"."subscriptions" (
  "id"                       text                     not null,
  "user_id"                  uuid                     not null,
  "status"                   text                     not null,
  "price_lookup_key"         text,
  "plan_id"                  text,
  "quantity"                 integer                  not null default 1,
  "currency"                 text,
  "current_period_start"     timestamp with time zone,
  "current_period_end"       timestamp with time zone,
  "cancel_at"                timestamp with time zone,
  "cancel_at_period_end"     boolean                  not null default false,
  "canceled_at"              timestamp with time zone,
  "ended_at"                 timestamp with time zone,
  "trial_end"                timestamp with time zone,
  "stripe_created_at"        timestamp with time zone,
  "synced_at"                timestamp with time zone not null default now(),
  "past_due_since"           timestamp with time zone,
  "pending_price_lookup_key" text,
  "pending_change_at"        timestamp with time zone,
  constraint "subscriptions_pkey" primary key (id),
  constraint "subscriptions_plan_id_fkey" foreign key (plan_id) references public.plans(id),
  constraint "subscriptions_quantity_check" check ((quantity >= 0)),
  constraint "subscriptions_user_id_fkey" foreign key (user_id) references public.customers(user_id) on delete restrict
);

alter table "public"."subscriptions"
  enable row level security;

create index subscriptions_plan_id_idx on public.subscriptions using btree (plan_id);

create index subscriptions_user_id_idx on public.subscriptions using btree (user_id);

create trigger subscriptions_after_change_audit
  after insert or delete or update of status,
    price_lookup_key,
    plan_id,
    quantity,
    currency,
    current_period_start,
    current_period_end, cancel_at, cancel_at_period_end, canceled_at, ended_at, trial_end, past_due_since, pending_price_lookup_key, pending_change_at on public.subscriptions
  for each row
  execute function
    billing.audit('billing.subscription', 'user_id', 'id',
    'status,price_lookup_key,plan_id,quantity,currency,current_period_start,current_period_end,cancel_at,cancel_at_period_end,canceled_at,ended_at,trial_end,past_due_since,pending_price_lookup_key,pending_change_at', 'id');

create policy "Owners read their subscriptions" on "public"."subscriptions"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."subscriptions"."cancel_at" is 'With cancel_at_period_end one of Stripe''s two ways to say that it is ending.';

comment on column "public"."subscriptions"."id" is 'Stripe''s id.';

comment on column "public"."subscriptions"."past_due_since" is 'When a sync first saw that a payment has failed; null again once it is recovered. The grace runs from here.';

comment on column "public"."subscriptions"."pending_price_lookup_key" is 'The price a schedule changes to at pending_change_at; null when nothing is scheduled.';

comment on column "public"."subscriptions"."plan_id" is 'The plan of the price; null when we do not know it.';

comment on column "public"."subscriptions"."price_lookup_key" is 'No foreign key: a price we do not know must be stored and reported, not break the sync.';

comment on column "public"."subscriptions"."status" is 'As Stripe says it, also one we do not know: access is decided by billing.access_statuses.';

comment on table "public"."subscriptions" is 'Snapshot of the subscriptions of a customer in Stripe.';

grant select on table "public"."subscriptions" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."subscriptions" to "postgres";

grant select on table "public"."subscriptions" to "service_role";
