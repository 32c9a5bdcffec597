-- Generated from the migrations by `deno run -A supabase/tests/schema.ts`; a test fails when it drifts.
-- To read, not to run: objects stand in the order of their names.

-- cluster/misc

select cron.schedule_in_database('tollgate-drain-events', '* * * * *', 'select billing.call_function(''events-drain'')', 'postgres', null, true);

select cron.schedule_in_database('tollgate-prune-events', '17 3 * * *', 'select billing.prune_stripe_events()', 'postgres', null, true);

-- cluster/roles

alter default privileges for role "postgres" revoke all on FUNCTIONS from public;

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
  select l.limit_value
  from public.plan_limits l
  where l.metric_id = p_metric_id
    and l.plan_id = coalesce(
      (select e.plan_id from public.entitlements e where e.user_id = p_user_id),
      (select p.id from public.plans p where p.is_default)
    )
  union all
  select 0
  limit 1;
$function$;

comment on function "billing"."allowance"(uuid, text) is 'What the user''s plan allows of the metric. Null is unlimited; 0 when no plan or limit says anything.';

revoke all on function "billing"."allowance"(uuid, text) from public;

grant execute on function "billing"."allowance"(uuid, text) to "postgres";

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
  -- The rule of billing.allowance(), for everybody at once: a call per counter would take minutes.
  with stale as (
    select c.user_id, c.metric_id, case when l.plan_id is null then 0 else l.limit_value end as allowance
    from billing.usage_counters c
    left join public.entitlements e on e.user_id = c.user_id
    left join public.plans d on d.is_default
    left join public.plan_limits l
      on l.plan_id = coalesce(e.plan_id, d.id) and l.metric_id = c.metric_id
    where c.allowance is distinct from case when l.plan_id is null then 0 else l.limit_value end
    order by c.user_id, c.metric_id
    for no key update of c
  )
  update billing.usage_counters c set allowance = s.allowance
  from stale s
  where c.user_id = s.user_id and c.metric_id = s.metric_id;
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

-- billing/functions/consume

create or replace function billing.consume (
  p_user_id   uuid,
  p_metric_id text,
  p_quantity  bigint
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_today constant date := (now() at time zone 'UTC')::date;
  v_counter billing.usage_counters;
  v_used bigint;
begin
  perform billing.ensure_counters(array[p_user_id], p_metric_id);
  select * into strict v_counter from billing.usage_counters c
  where c.user_id = p_user_id and c.metric_id = p_metric_id
  for no key update;
  v_used := case when v_counter.period_day < v_today then 0 else v_counter.used end;
  v_counter.period_day := greatest(v_counter.period_day, v_today);
  if v_used + p_quantity > v_counter.allowance then
    perform billing.refuse_quota(v_counter, v_used);
  end if;
  update billing.usage_counters c
  set used = v_used + p_quantity, period_day = v_counter.period_day
  where c.user_id = p_user_id and c.metric_id = p_metric_id;
end;
$function$;

comment on function "billing"."consume"(uuid, text, bigint) is 'Takes a quantity of a metric for a user, all of it or nothing. The thorough path: creates the counter, and decides a refusal under the lock of the row, so that what it says is what was true.';

revoke all on function "billing"."consume"(uuid, text, bigint) from public;

grant execute on function "billing"."consume"(uuid, text, bigint) to "postgres";

-- billing/functions/consume_message

create or replace function billing.consume_message()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_today constant date := (now() at time zone 'UTC')::date;
begin
  -- One statement decides. A day in the future (the clock went back) goes on being counted.
  update billing.usage_counters c
  set used = case when c.period_day < v_today then 0 else c.used end + 1,
    period_day = greatest(c.period_day, v_today)
  where c.user_id = new.user_id
    and c.metric_id = 'message'
    and (
      c.allowance is null
      or case when c.period_day < v_today then 0 else c.used end < c.allowance
    );
  if not found then
    perform billing.consume(new.user_id, 'message', 1);
  end if;
  return null;
end;
$function$;

comment on function "billing"."consume_message"() is 'The hot path: one message of its owner''s day, or 429 message_quota_exceeded.';

revoke all on function "billing"."consume_message"() from public;

grant execute on function "billing"."consume_message"() to "postgres";

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
    (select e.plan_id from public.entitlements e where e.user_id = p_user_id),
    (select p.id from public.plans p where p.is_default)
  );
$function$;

comment on function "billing"."current_plan"(uuid) is 'The plan a user is on.';

revoke all on function "billing"."current_plan"(uuid) from public;

grant execute on function "billing"."current_plan"(uuid) to "postgres";

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
  insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance)
  select u.id, m.id, billing.first_period_day(m.period), 0, billing.allowance(u.id, m.id)
  from unnest(v_missing) as u (id) cross join public.metrics m
  where m.id = p_metric_id
  order by u.id
  on conflict (user_id, metric_id) do nothing;
end;
$function$;

comment on function "billing"."ensure_counters"(uuid[], text) is 'Creates the counters these users do not have yet. Before any counter is locked, so that the order of locks holds.';

revoke all on function "billing"."ensure_counters"(uuid[], text) from public;

grant execute on function "billing"."ensure_counters"(uuid[], text) to "postgres";

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
    update billing.usage_counters c
    set allowance = billing.allowance(c.user_id, c.metric_id)
    where c.user_id in (select o.user_id from old_rows o)
      and c.allowance is distinct from billing.allowance(c.user_id, c.metric_id);
  end if;
  if tg_op in ('INSERT', 'UPDATE') then
    insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance)
    select n.user_id, m.id, billing.first_period_day(m.period), 0, billing.allowance(n.user_id, m.id)
    from new_rows n cross join public.metrics m
    order by n.user_id, m.id
    on conflict (user_id, metric_id) do update set allowance = excluded.allowance
    where billing.usage_counters.allowance is distinct from excluded.allowance;
  end if;
  return null;
end;
$function$;

comment on function "billing"."entitlements_changed"() is 'Refreshes the cached allowances of the users whose entitlement changed.';

revoke all on function "billing"."entitlements_changed"() from public;

grant execute on function "billing"."entitlements_changed"() to "postgres";

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

-- billing/functions/messages_written

create or replace function billing.messages_written()
  returns trigger
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_users uuid[];
  v_conversations uuid[];
  v_row record;
begin
  select
    array_agg(distinct n.user_id order by n.user_id) filter (where n.role = 'user'),
    array_agg(distinct n.conversation_id) filter (where n.role = 'assistant')
  into v_users, v_conversations
  from new_rows n;
  if v_users is not null then
    perform billing.ensure_counters(v_users, 'message');
    for v_row in
      select n.user_id, count(*) as quantity from new_rows n
      where n.role = 'user' group by n.user_id order by n.user_id
    loop
      perform billing.consume(v_row.user_id, 'message', v_row.quantity);
    end loop;
  end if;
  if v_conversations is not null then
    perform from public.conversations c
      where c.id = any (v_conversations) order by c.id for no key update;
    update public.conversations c set updated_at = now() where c.id = any (v_conversations);
  end if;
  return null;
end;
$function$;

comment on function "billing"."messages_written"() is 'Everybody but clients: consumes per user in one order, and dates the conversations that got an answer.';

revoke all on function "billing"."messages_written"() from public;

grant execute on function "billing"."messages_written"() to "postgres";

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

-- billing/functions/refresh_entitlement

create or replace function billing.refresh_entitlement (
  p_user_id uuid
)
  returns text
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_best record;
begin
  select s.id, s.plan_id into v_best
  from public.subscriptions s
  join billing.access_statuses a on a.status = s.status and a.grants_access
  join public.plans p on p.id = s.plan_id
  where s.user_id = p_user_id
  order by p.rank desc, s.stripe_created_at desc nulls last, s.id desc
  limit 1;
  if not found then
    delete from public.entitlements e where e.user_id = p_user_id and e.source = 'subscription';
  else
    insert into public.entitlements as e (user_id, plan_id, source, subscription_id)
    values (p_user_id, v_best.plan_id, 'subscription', v_best.id)
    on conflict (user_id) do update set
      plan_id = excluded.plan_id,
      source = excluded.source,
      subscription_id = excluded.subscription_id,
      updated_at = now()
    where (e.plan_id, e.source, e.subscription_id)
      is distinct from (excluded.plan_id, excluded.source, excluded.subscription_id);
  end if;
  return billing.current_plan(p_user_id);
end;
$function$;

comment on function "billing"."refresh_entitlement"(uuid) is 'Derives the entitlement from the stored subscriptions: of those that grant access, the highest plan.';

revoke all on function "billing"."refresh_entitlement"(uuid) from public;

grant execute on function "billing"."refresh_entitlement"(uuid) to "postgres";

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
  perform billing.raise_http(
    case when v_daily then 429 else 403 end,
    p_counter.metric_id || case when v_daily then '_quota_exceeded' else '_limit_reached' end,
    format('Limit reached: %s of %s %s.', p_used, p_counter.allowance, v_name),
    jsonb_build_object(
      'metric', p_counter.metric_id,
      'limit', p_counter.allowance,
      'used', p_used,
      'resets_at', to_char(v_resets_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      'plan', coalesce(
        (select e.plan_id from public.entitlements e where e.user_id = p_counter.user_id),
        (select p.id from public.plans p where p.is_default)
      )
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

-- billing/functions/store_subscriptions

create or replace function billing.store_subscriptions (
  p_user_id       uuid,
  p_subscriptions jsonb
)
  returns void
  language plpgsql
  set search_path to ''
  AS $function$
declare
  v_given integer;
  v_stored integer;
begin
  select count(*) into v_given from jsonb_array_elements(p_subscriptions);
  insert into public.subscriptions as s (
    id, user_id, status, price_lookup_key, plan_id, quantity, currency, current_period_start,
    current_period_end, cancel_at, cancel_at_period_end, canceled_at, ended_at, trial_end,
    stripe_created_at, synced_at
  )
  select
    r.id, p_user_id, r.status, r.price_lookup_key, p.plan_id, coalesce(r.quantity, 1), r.currency,
    r.current_period_start, r.current_period_end, r.cancel_at, coalesce(r.cancel_at_period_end, false),
    r.canceled_at, r.ended_at, r.trial_end, r.created, now()
  from jsonb_to_recordset(p_subscriptions) as r (
    id text, status text, price_lookup_key text, quantity integer, currency text,
    current_period_start timestamptz, current_period_end timestamptz, cancel_at timestamptz,
    cancel_at_period_end boolean, canceled_at timestamptz, ended_at timestamptz, trial_end timestamptz,
    created timestamptz
  )
  left join public.prices p on p.lookup_key = r.price_lookup_key
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
    synced_at = excluded.synced_at
  where s.user_id = excluded.user_id;
  get diagnostics v_stored = row_count;
  -- Stripe never moves a subscription to another customer; if it looks so, we must not guess.
  perform billing.require(v_stored = v_given, 'a subscription belongs to another customer');
  delete from public.subscriptions s
  where s.user_id = p_user_id
    and s.id not in (select e.value ->> 'id' from jsonb_array_elements(p_subscriptions) e);
end;
$function$;

comment on function "billing"."store_subscriptions"(uuid, jsonb) is 'Makes the stored subscriptions of a customer equal to the list.';

revoke all on function "billing"."store_subscriptions"(uuid, jsonb) from public;

grant execute on function "billing"."store_subscriptions"(uuid, jsonb) to "postgres";

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

-- billing/schema

create schema "billing";

comment on schema "billing" is 'Private side of Tollgate: counters, inbox, sync state, trigger functions. Never exposed by the API.';

grant usage on schema "billing" to "authenticated";

grant create, usage on schema "billing" to "postgres";

-- billing/sequences/sync_token_seq

create sequence "billing"."sync_token_seq" as bigint increment by 1 minvalue 1 maxvalue 9223372036854775807 START with 1 cache 1 no cycle;

comment on sequence "billing"."sync_token_seq" is 'Tokens of public.next_sync_token().';

grant select, update, usage on sequence "billing"."sync_token_seq" to "postgres";

-- billing/tables/access_statuses

create table "billing"."access_statuses" (
  "status"        text    not null,
  "grants_access" boolean not null,
  constraint "access_statuses_pkey" primary key (status)
);

alter table "billing"."access_statuses"
  enable row level security;

create policy "Nobody reads the statuses" on "billing"."access_statuses"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."access_statuses" is 'Subscription statuses we know. Access is an allow-list: a status that is not here grants nothing and is reported in billing.problems.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."access_statuses" to "postgres";

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

create policy "Nobody reads checkout attempts" on "billing"."checkout_attempts"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."checkout_attempts"."attempt" is 'Counts up per user, never reused.';

comment on column "billing"."checkout_attempts"."closed_at" is 'Paid, expired or given up; the next one is another.';

comment on table "billing"."checkout_attempts" is 'The latest checkout of each user; earlier ones are superseded.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."checkout_attempts" to "postgres";

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

create policy "Nobody reads the problems" on "billing"."problems"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."problems"."resolved_at" is 'When it was last seen to be gone; null while it lasts.';

comment on column "billing"."problems"."subject" is 'Id of what it is about: a subscription, a customer, an event.';

comment on table "billing"."problems" is 'What an operator should look at: one row per kind and subject, however often it happens.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."problems" to "postgres";

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
  constraint "stripe_events_check" check (((status = 'pending'::text) = (next_attempt_at IS NOT NULL))),
  constraint "stripe_events_pkey" primary key (id),
  constraint "stripe_events_status_check" check ((status = ANY (ARRAY['pending'::text, 'processed'::text, 'ignored'::text, 'parked'::text])))
);

alter table "billing"."stripe_events"
  enable row level security;

create index stripe_events_next_attempt_at_idx on billing.stripe_events using btree (next_attempt_at)
  where (status = 'pending'::text);

create index stripe_events_received_at_idx on billing.stripe_events using btree (received_at)
  where (payload is not null);

create policy "Nobody reads the inbox" on "billing"."stripe_events"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."stripe_events"."attempts" is 'How often working on it failed.';

comment on column "billing"."stripe_events"."next_attempt_at" is 'When the drain may take it: two minutes after receipt, because the webhook itself is working on it, and again two minutes after every lease.';

comment on column "billing"."stripe_events"."payload" is 'As received; removed after 90 days.';

comment on table "billing"."stripe_events" is 'Every event Stripe delivered, once, and what became of it.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."stripe_events" to "postgres";

-- billing/tables/sync_state

create table "billing"."sync_state" (
  "user_id"    uuid                     not null,
  "last_token" bigint                   not null,
  "applied_at" timestamp with time zone not null default now(),
  constraint "sync_state_pkey" primary key (user_id),
  constraint "sync_state_user_id_fkey" foreign key (user_id) references public.customers(user_id) on delete cascade
);

alter table "billing"."sync_state"
  enable row level security;

create policy "Nobody reads the sync state" on "billing"."sync_state"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."sync_state" is 'The newest snapshot applied per customer. A sync takes its token before it fetches, so a higher token means a later fetch; a snapshot with a lower one is old news.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."sync_state" to "postgres";

-- billing/tables/usage_counters

create table "billing"."usage_counters" (
  "user_id"    uuid   not null,
  "metric_id"  text   not null,
  "period_day" date   not null,
  "used"       bigint not null,
  "allowance"  bigint,
  constraint "usage_counters_allowance_check" check ((allowance >= 0)),
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

comment on column "billing"."usage_counters"."period_day" is 'The UTC day that used belongs to; infinity when the metric never resets.';

comment on table "billing"."usage_counters" is 'What a user has used of a metric, and what they may use.';

grant select on table "billing"."usage_counters" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."usage_counters" to "postgres";

-- public/default_privileges

alter default privileges for role "postgres" in schema "public" revoke all on FUNCTIONS from public;

-- public/functions/apply_customer_snapshot

create or replace function public.apply_customer_snapshot (
  p_stripe_customer_id text,
  p_token              bigint,
  p_subscriptions      jsonb
)
  returns jsonb
  language plpgsql
  security definer
  set search_path to ''
  AS $function$
declare
  v_user_id uuid;
  v_plan text;
begin
  perform billing.require(p_stripe_customer_id <> '', 'p_stripe_customer_id is missing');
  -- A token from nowhere could be higher than all to come, and shut the customer out for ever.
  perform billing.require(
    p_token between 1 and (select q.last_value from billing.sync_token_seq q),
    'p_token is not one of next_sync_token()'
  );
  perform billing.require(jsonb_typeof(p_subscriptions) = 'array', 'p_subscriptions is not a list');
  perform billing.require(
    (
      select count(*) = count(distinct e.value ->> 'id')
        and count(*) = count(*) filter (where e.value ->> 'id' <> '' and e.value ->> 'status' <> '')
      from jsonb_array_elements(p_subscriptions) e
    ),
    'every subscription needs an id of its own and a status'
  );

  select c.user_id into v_user_id
  from public.customers c where c.stripe_customer_id = p_stripe_customer_id;
  if not found then
    perform billing.report_problem('unknown_customer', p_stripe_customer_id);
    return jsonb_build_object('applied', false, 'reason', 'unknown_customer', 'plan', null);
  end if;

  -- The row lock taken here also makes snapshots of one customer wait for each other.
  insert into billing.sync_state as s (user_id, last_token) values (v_user_id, p_token)
  on conflict (user_id) do update set last_token = excluded.last_token, applied_at = now()
  where s.last_token < excluded.last_token;
  if not found then
    return jsonb_build_object(
      'applied', false, 'reason', 'stale_token', 'plan', billing.current_plan(v_user_id)
    );
  end if;

  perform billing.store_subscriptions(v_user_id, p_subscriptions);
  v_plan := billing.refresh_entitlement(v_user_id);
  perform billing.check_subscriptions(v_user_id, p_stripe_customer_id);
  return jsonb_build_object('applied', true, 'reason', null, 'plan', v_plan);
end;
$function$;

comment on function "public"."apply_customer_snapshot"(text, bigint, jsonb) is 'Replaces what we know of a customer''s subscriptions by the full list fetched after p_token was taken, and derives the entitlement and the allowances, all in one transaction. An older token, or the same again, does nothing. Answers {applied, reason: stale_token | unknown_customer | null, plan}.';

revoke all on function "public"."apply_customer_snapshot"(text, bigint, jsonb) from public;

grant execute on function "public"."apply_customer_snapshot"(text, bigint, jsonb) to "postgres", "service_role";

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
  on conflict (user_id) do update set
    attempt = a.attempt + 1, lookup_key = excluded.lookup_key, started_at = now(), closed_at = null
  where a.lookup_key <> excluded.lookup_key
    or a.closed_at is not null
    or a.started_at <= now() - interval '23 hours'
  returning a.attempt into v_attempt;
  if v_attempt is null then
    select a.attempt into strict v_attempt
    from billing.checkout_attempts a where a.user_id = p_user_id;
  end if;
  return v_attempt;
end;
$function$;

comment on function "public"."begin_checkout"(uuid, text) is 'The number of the user''s checkout of this price: the same for 23 hours unless closed or superseded. 404 price_not_found unless the price is active.';

revoke all on function "public"."begin_checkout"(uuid, text) from public;

grant execute on function "public"."begin_checkout"(uuid, text) to "postgres", "service_role";

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

-- public/functions/due_stripe_events

create or replace function public.due_stripe_events (
  p_limit integer
)
  returns table (
    id                 text,
    type               text,
    stripe_customer_id text
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
  returning e.id, e.type, e.stripe_customer_id;
end;
$function$;

comment on function "public"."due_stripe_events"(integer) is 'Leases events to work on for two minutes. Whoever dies meanwhile loses nothing: they are due again.';

revoke all on function "public"."due_stripe_events"(integer) from public;

grant execute on function "public"."due_stripe_events"(integer) to "postgres", "service_role";

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

-- public/functions/my_entitlements

create or replace function public.my_entitlements()
  returns jsonb
  language sql
  stable
  set search_path to ''
  AS $function$
  with me as (
    select e.plan_id, e.source, e.subscription_id
    from (values (true)) as one (row)
    left join public.entitlements e on e.user_id = (select auth.uid())
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
  )
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
      select jsonb_object_agg(m.id, case when l.plan_id is null then 0 else l.limit_value end)
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
    )
  );
$function$;

comment on function "public"."my_entitlements"() is 'The caller''s plan, where it comes from, features, limits (null: unlimited) and subscription.';

revoke all on function "public"."my_entitlements"() from public;

grant execute on function "public"."my_entitlements"() to "authenticated", "postgres";

-- public/functions/my_usage

create or replace function public.my_usage()
  returns table (
    metric      text,
    used        bigint,
    limit_value bigint,
    resets_at   timestamp with time zone,
    plan        text
  )
  language sql
  stable
  set search_path to ''
  AS $function$
  select
    m.id,
    case when c.period_day < t.today then 0 else coalesce(c.used, 0) end,
    -- The cached allowance is what decides; without a counter the plan is what will.
    case
      when c.user_id is not null then c.allowance
      when l.plan_id is not null then l.limit_value
      else 0
    end,
    case when m.period = 'day' then (greatest(c.period_day, t.today) + 1)::timestamp at time zone 'UTC' end,
    p.id
  from public.metrics m
  cross join (select (now() at time zone 'UTC')::date as today) t
  left join billing.usage_counters c on c.metric_id = m.id and c.user_id = (select auth.uid())
  left join public.plans p on p.id = coalesce(
    (select e.plan_id from public.entitlements e where e.user_id = (select auth.uid())),
    (select d.id from public.plans d where d.is_default)
  )
  left join public.plan_limits l on l.plan_id = p.id and l.metric_id = m.id
  order by m.id;
$function$;

comment on function "public"."my_usage"() is 'One row per metric: what the caller has used, their limit (null: unlimited), when it resets (null: never), and their plan.';

revoke all on function "public"."my_usage"() from public;

grant execute on function "public"."my_usage"() to "authenticated", "postgres";

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

-- public/functions/receive_stripe_event

create or replace function public.receive_stripe_event (
  p_id                 text,
  p_type               text,
  p_created            timestamp with time zone,
  p_payload            jsonb,
  p_api_version        text                     default null::text,
  p_stripe_customer_id text                     default null::text
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
  insert into billing.stripe_events (
    id, type, api_version, stripe_created_at, stripe_customer_id, payload
  )
  values (p_id, p_type, p_api_version, p_created, p_stripe_customer_id, p_payload)
  on conflict (id) do nothing;
  if found then
    return 'new';
  end if;
  select e.status into strict v_status from billing.stripe_events e where e.id = p_id;
  -- A parked event that is sent again is a person at work: let it be tried.
  return case v_status when 'parked' then 'pending' else v_status end;
end;
$function$;

comment on function "public"."receive_stripe_event"(text, text, timestamp with time zone, jsonb, text, text) is 'Keeps an event. Answers new, or for one that is known pending (work on it), processed or ignored (done).';

revoke all on function "public"."receive_stripe_event"(text, text, timestamp with time zone, jsonb, text, text) from public;

grant execute on function "public"."receive_stripe_event"(text, text, timestamp with time zone, jsonb, text, text) to "postgres", "service_role";

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
  select c.stripe_customer_id into v_linked from public.customers c where c.user_id = p_user_id;
  perform billing.require(v_linked is not null, 'the user has no customer');
  return v_linked;
end;
$function$;

comment on function "public"."relink_customer"(uuid, text, text) is 'Replaces the customer p_gone of a user and returns the one that is linked now: of two callers the first wins. The next snapshot removes what belonged to the old one.';

revoke all on function "public"."relink_customer"(uuid, text, text) from public;

grant execute on function "public"."relink_customer"(uuid, text, text) to "postgres", "service_role";

-- public/tables/agents

create table "public"."agents" (
  "id"           uuid                     not null default gen_random_uuid(),
  "name"         text                     not null,
  "instructions" text                     not null default ''::text,
  "created_at"   timestamp with time zone not null default now(),
  "updated_at"   timestamp with time zone not null default now(),
  constraint "agents_instructions_check" check ((char_length(instructions) <= 20000)),
  constraint "agents_name_check" check (((char_length(name) >= 1) AND (char_length(name) <= 100))),
  constraint "agents_pkey" primary key (id),
  "user_id"      uuid                     not null default auth.uid(),
  constraint "agents_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade
);

alter table "public"."agents"
  enable row level security;

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

create policy "Owners change their agents" on "public"."agents"
  for update
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)))
  with check ((user_id = ( SELECT auth.uid() AS uid)));

create policy "Owners create agents" on "public"."agents"
  for insert
  to "authenticated"
  with check ((user_id = ( SELECT auth.uid() AS uid)));

create policy "Owners delete their agents" on "public"."agents"
  for delete
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

create policy "Owners read their agents" on "public"."agents"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

-- public/tables/conversations

create table "public"."conversations" (
  "id"         uuid                     not null default gen_random_uuid(),
  "title"      text                     not null default ''::text,
  "created_at" timestamp with time zone not null default now(),
  "updated_at" timestamp with time zone not null default now(),
  constraint "conversations_pkey" primary key (id),
  constraint "conversations_title_check" check ((char_length(title) <= 200)),
  "user_id"    uuid                     not null default auth.uid(),
  constraint "conversations_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "conversations_user_id_id_key" unique (user_id, id)
);

alter table "public"."conversations"
  enable row level security;

create trigger conversations_before_update_touch
  before update on public.conversations
  for each row
  execute function billing.touch_updated_at();

comment on column "public"."conversations"."updated_at" is 'Last change of the title or last answer. A question does not touch it: that would be a second row written on the hot path, and its answer follows anyway.';

comment on table "public"."conversations" is 'Conversations of a user.';

grant insert ("id") on table "public"."conversations" to "authenticated";

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

create policy "Owners start conversations" on "public"."conversations"
  for insert
  to "authenticated"
  with check ((user_id = ( SELECT auth.uid() AS uid)));

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
  constraint "entitlements_pkey" primary key (user_id),
  constraint "entitlements_source_check" check ((source = ANY (ARRAY['subscription'::text, 'default'::text]))),
  constraint "entitlements_user_id_fkey" foreign key (user_id) references auth.users(id) on delete cascade,
  constraint "entitlements_plan_id_fkey" foreign key (plan_id) references public.plans(id),
  constraint "entitlements_subscription_id_fkey" foreign key (subscription_id) references public.subscriptions(id) on delete set null
);

alter table "public"."entitlements"
  enable row level security;

create index entitlements_plan_id_idx on public.entitlements using btree (plan_id);

create index entitlements_subscription_id_idx on public.entitlements using btree (subscription_id);

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

create policy "Everybody reads the features" on "public"."features"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."features"."rank" is 'Order in which they are listed.';

comment on table "public"."features" is 'Things a plan includes or does not.';

grant select on table "public"."features" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."features" to "postgres";

grant select on table "public"."features" to "service_role";

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

create trigger messages_after_insert_consume_many after insert on public.messages referencing NEW table as new_rows for each STATEMENT when (
  (CURRENT_USER IS DISTINCT FROM 'authenticated'::name)
) execute function billing.messages_written();

create trigger messages_after_insert_consume
  after insert on public.messages
  for each row
  when (((new.role = 'user'::text) AND (CURRENT_USER = 'authenticated'::name)))
  execute function billing.consume_message();

comment on column "public"."messages"."reply_to" is 'The question this answers; one answer per question.';

comment on table "public"."messages" is 'Messages of a conversation. One with role user consumes one of today''s messages of its owner in the same transaction; see billing.consume_message().';

grant insert ("content") on table "public"."messages" to "authenticated";

grant insert ("conversation_id") on table "public"."messages" to "authenticated";

grant insert ("id") on table "public"."messages" to "authenticated";

grant insert ("role") on table "public"."messages" to "authenticated";

grant delete, select on table "public"."messages" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."messages" to "postgres";

grant delete, insert, select on table "public"."messages" to "service_role";

create index messages_user_id_conversation_id_created_at_idx on public.messages using btree (user_id, conversation_id, created_at);

create trigger messages_after_update_refuse
  after update on public.messages
  for each row
  when (((old.role IS DISTINCT FROM new.role) OR (old.user_id IS DISTINCT FROM new.user_id)))
  execute function billing.refuse_change();

create policy "Owners ask, and only ask" on "public"."messages"
  for insert
  to "authenticated"
  with check (((role = 'user'::text) AND (user_id = ( SELECT auth.uid() AS uid))));

create policy "Owners delete their messages" on "public"."messages"
  for delete
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

create policy "Owners read their messages" on "public"."messages"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."messages"."user_id" is 'Owner of the conversation, also of the answers in it.';

-- public/tables/metrics

create table "public"."metrics" (
  "id"     text not null,
  "name"   text not null,
  "period" text not null,
  constraint "metrics_id_check" check ((id ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "metrics_period_check" check ((period = ANY (ARRAY['day'::text, 'none'::text]))),
  constraint "metrics_pkey" primary key (id)
);

alter table "public"."metrics"
  enable row level security;

create policy "Everybody reads the metrics" on "public"."metrics"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."metrics"."period" is 'day: what was used resets at midnight UTC. none: a number of things that exist at the same time.';

comment on table "public"."metrics" is 'What is counted.';

grant select on table "public"."metrics" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."metrics" to "postgres";

grant select on table "public"."metrics" to "service_role";

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

-- public/tables/prices

create table "public"."prices" (
  "lookup_key"        text    not null,
  "plan_id"           text    not null,
  "currency"          text    not null,
  "unit_amount_minor" bigint  not null,
  "billing_interval"  text    not null,
  "is_active"         boolean not null default true,
  constraint "prices_billing_interval_check" check ((billing_interval = ANY (ARRAY['month'::text, 'year'::text]))),
  constraint "prices_currency_check" check ((currency ~ '^[a-z]{3}$'::text)),
  constraint "prices_lookup_key_check" check ((lookup_key ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "prices_pkey" primary key (lookup_key),
  constraint "prices_plan_id_fkey" foreign key (plan_id) references public.plans(id),
  constraint "prices_unit_amount_minor_check" check ((unit_amount_minor >= 0))
);

alter table "public"."prices"
  enable row level security;

create index prices_plan_id_idx on public.prices using btree (plan_id);

create policy "Everybody reads the prices" on "public"."prices"
  for select
  to "anon", "authenticated"
  using (true);

comment on column "public"."prices"."is_active" is 'Can be bought. A price that is no longer sold keeps its plan for those who have it.';

comment on column "public"."prices"."unit_amount_minor" is 'In the smallest unit of the currency (cents).';

comment on table "public"."prices" is 'Prices by Stripe lookup key. Stripe charges what its own price says; these amounts are for display.';

grant select on table "public"."prices" to "anon", "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."prices" to "postgres";

grant select on table "public"."prices" to "service_role";

-- public/tables/subscriptions

create table "public"."subscriptions" (
  "id"                   text                     not null,
  "user_id"              uuid                     not null,
  "status"               text                     not null,
  "price_lookup_key"     text,
  "plan_id"              text,
  "quantity"             integer                  not null default 1,
  "currency"             text,
  "current_period_start" timestamp with time zone,
  "current_period_end"   timestamp with time zone,
  "cancel_at"            timestamp with time zone,
  "cancel_at_period_end" boolean                  not null default false,
  "canceled_at"          timestamp with time zone,
  "ended_at"             timestamp with time zone,
  "trial_end"            timestamp with time zone,
  "stripe_created_at"    timestamp with time zone,
  "synced_at"            timestamp with time zone not null default now(),
  constraint "subscriptions_pkey" primary key (id),
  constraint "subscriptions_plan_id_fkey" foreign key (plan_id) references public.plans(id),
  constraint "subscriptions_quantity_check" check ((quantity >= 0)),
  constraint "subscriptions_user_id_fkey" foreign key (user_id) references public.customers(user_id) on delete restrict
);

alter table "public"."subscriptions"
  enable row level security;

create index subscriptions_plan_id_idx on public.subscriptions using btree (plan_id);

create index subscriptions_user_id_idx on public.subscriptions using btree (user_id);

create policy "Owners read their subscriptions" on "public"."subscriptions"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."subscriptions"."cancel_at" is 'With cancel_at_period_end one of Stripe''s two ways to say that it is ending.';

comment on column "public"."subscriptions"."id" is 'Stripe''s id.';

comment on column "public"."subscriptions"."plan_id" is 'The plan of the price; null when we do not know it.';

comment on column "public"."subscriptions"."price_lookup_key" is 'No foreign key: a price we do not know must be stored and reported, not break the sync.';

comment on column "public"."subscriptions"."status" is 'As Stripe says it, also one we do not know: access is decided by billing.access_statuses.';

comment on table "public"."subscriptions" is 'Snapshot of the subscriptions of a customer in Stripe.';

grant select on table "public"."subscriptions" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."subscriptions" to "postgres";

grant select on table "public"."subscriptions" to "service_role";
