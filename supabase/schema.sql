-- Generated from the migrations by `deno run -A supabase/tests/schema.ts`; a test fails when it drifts.
-- To read, not to run: objects stand in the order of their names.

-- cluster/misc

select cron.schedule_in_database('tollgate-drain-events', '* * * * *', 'select billing.call_function(''events-drain'')', 'postgres', null, true);

select cron.schedule_in_database('tollgate-expire-entitlements', '* * * * *', 'select billing.expire_entitlements()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-prune-events', '17 3 * * *', 'select billing.prune_stripe_events()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-prune-job-history', '37 3 * * *', 'select billing.prune_job_history()', 'postgres', null, true);

select cron.schedule_in_database('tollgate-reconcile', '23 * * * *', 'select billing.call_function(''reconcile'')', 'postgres', null, true);

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
  where l.metric_id = p_metric_id and l.plan_id = billing.current_plan(p_user_id)
  union all
  select 0
  limit 1;
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
  select coalesce(
    (select e.valid_until from public.entitlements e where e.user_id = p_user_id), 'infinity'
  );
$function$;

comment on function "billing"."allowance_until"(uuid) is 'When what billing.allowance() says stops being true by itself.';

revoke all on function "billing"."allowance_until"(uuid) from public;

grant execute on function "billing"."allowance_until"(uuid) to "postgres";

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
      case when a.has_grace then coalesce(s.past_due_since, now()) + billing.grace_period() end as valid_until,
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
  -- The rule of billing.allowance(), for everybody at once: a call per counter would take minutes.
  with stale as (
    select c.user_id, c.metric_id, case when l.plan_id is null then 0 else l.limit_value end as allowance
    from billing.usage_counters c
    left join public.entitlements e on e.user_id = c.user_id
      and (e.valid_until is null or e.valid_until > now())
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
    and c.valid_until > now()
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
  insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until)
  select u.id, m.id, billing.first_period_day(m.period), 0, billing.allowance(u.id, m.id),
    billing.allowance_until(u.id)
  from unnest(v_missing) as u (id) cross join public.metrics m
  where m.id = p_metric_id
  order by u.id
  on conflict (user_id, metric_id) do nothing;
end;
$function$;

comment on function "billing"."ensure_counters"(uuid[], text) is 'Ends what has ended, and creates the counters these users do not have yet. Before any counter is locked, so that the order of locks holds.';

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
    set allowance = billing.allowance(c.user_id, c.metric_id), valid_until = billing.allowance_until(c.user_id)
    where c.user_id in (select o.user_id from old_rows o)
      and (c.allowance, c.valid_until) is distinct from
        (billing.allowance(c.user_id, c.metric_id), billing.allowance_until(c.user_id));
  end if;
  if tg_op in ('INSERT', 'UPDATE') then
    insert into billing.usage_counters (user_id, metric_id, period_day, used, allowance, valid_until)
    select n.user_id, m.id, billing.first_period_day(m.period), 0, billing.allowance(n.user_id, m.id),
      billing.allowance_until(n.user_id)
    from new_rows n cross join public.metrics m
    order by n.user_id, m.id
    on conflict (user_id, metric_id) do update
    set allowance = excluded.allowance, valid_until = excluded.valid_until
    where (billing.usage_counters.allowance, billing.usage_counters.valid_until)
      is distinct from (excluded.allowance, excluded.valid_until);
  end if;
  return null;
end;
$function$;

comment on function "billing"."entitlements_changed"() is 'Refreshes the cached allowances of the users whose entitlement changed.';

revoke all on function "billing"."entitlements_changed"() from public;

grant execute on function "billing"."entitlements_changed"() to "postgres";

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
  order by 2, 1 desc;
$function$;

comment on function "billing"."explain_access"(uuid, timestamp with time zone) is 'For operators: which plan a user had at a time and why (kind plan), since which event, grant and invoice, what each subscription counts for, and which limit refuses what. Subscriptions and limits are those of now.';

revoke all on function "billing"."explain_access"(uuid, timestamp with time zone) from public;

grant execute on function "billing"."explain_access"(uuid, timestamp with time zone) to "postgres";

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

-- billing/functions/note_drifts

create or replace function billing.note_drifts (
  p_user_id            uuid,
  p_stripe_customer_id text,
  p_subscriptions      jsonb,
  p_invoices           jsonb
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
$function$;

comment on function "billing"."note_drifts"(uuid, text, jsonb, jsonb) is 'Notes what a snapshot of reconcile would change, resolves what it would not, and returns the fields found before too.';

revoke all on function "billing"."note_drifts"(uuid, text, jsonb, jsonb) from public;

grant execute on function "billing"."note_drifts"(uuid, text, jsonb, jsonb) to "postgres";

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

-- billing/functions/snapshot_differences

create or replace function billing.snapshot_differences (
  p_user_id       uuid,
  p_subscriptions jsonb,
  p_invoices      jsonb
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
  ), theirs as (
    select 'subscription ' || s.id as subject, to_jsonb(s) as doc
    from billing.given_subscriptions(p_user_id, p_subscriptions) s
    union all
    select 'invoice ' || i.id, to_jsonb(i) from billing.given_invoices(p_user_id, p_invoices) i
  )
  select coalesce(o.subject, t.subject) || ' ' || k.key, o.doc -> k.key, t.doc -> k.key
  from ours o full join theirs t using (subject)
  cross join jsonb_object_keys(coalesce(o.doc, t.doc)) k (key)
  -- What is ours alone cannot drift: when we looked, and since when we count the grace.
  where k.key not in ('synced_at', 'past_due_since') and o.doc -> k.key is distinct from t.doc -> k.key
    and (o.doc is not null and t.doc is not null or k.key = 'status')
  order by 1;
$function$;

comment on function "billing"."snapshot_differences"(uuid, jsonb, jsonb) is 'What a snapshot would change: per row and column; a row that is missing on one side is its status alone.';

revoke all on function "billing"."snapshot_differences"(uuid, jsonb, jsonb) from public;

grant execute on function "billing"."snapshot_differences"(uuid, jsonb, jsonb) to "postgres";

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

create policy "Signed-in people read the statuses" on "billing"."access_statuses"
  for select
  to "authenticated"
  using (true);

comment on column "billing"."access_statuses"."has_grace" is 'Access only for the grace period after the status was first seen.';

comment on column "billing"."access_statuses"."needs_attention" is 'Shown to its owner as a payment problem; so is every status that is not here.';

comment on table "billing"."access_statuses" is 'Subscription statuses we know. Access is an allow-list: a status that is not here grants nothing and is reported in billing.problems.';

grant select on table "billing"."access_statuses" to "authenticated";

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

create policy "Nobody reads the grants" on "billing"."grants"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."grants"."ends_at" is 'Null: until it is revoked.';

comment on table "billing"."grants" is 'Plans given by an operator, by billing.grant_plan(). The highest plan counts.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."grants" to "postgres";

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

-- billing/tables/settings

create table "billing"."settings" (
  "key"         text  not null,
  "value"       jsonb not null,
  "description" text  not null,
  constraint "settings_description_check" check ((description <> ''::text)),
  constraint "settings_grace_days_is_days"
    check
    (((key <> 'grace_days'::text) OR ((jsonb_typeof(value) = 'number'::text) AND ((((value #>> '{}'::text[]))::numeric >= (0)::numeric) AND (((value #>> '{}'::text[]))::numeric <=
    (90)::numeric))))),
  constraint "settings_key_check" check ((key ~ '^[a-z][a-z0-9_]*$'::text)),
  constraint "settings_pkey" primary key (key),
  constraint "settings_switches_are_booleans" check (((key <> ALL (ARRAY['automatic_tax'::text, 'allow_promotion_codes'::text])) OR (jsonb_typeof(value) = 'boolean'::text)))
);

alter table "billing"."settings"
  enable row level security;

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

create index stripe_events_stripe_customer_id_idx on billing.stripe_events using btree (stripe_customer_id)
  where (status = ANY (ARRAY['pending'::text, 'parked'::text]));

create policy "Nobody reads the inbox" on "billing"."stripe_events"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on column "billing"."stripe_events"."attempts" is 'How often working on it failed.';

comment on column "billing"."stripe_events"."next_attempt_at" is 'When the drain may take it: two minutes after receipt, because the webhook itself is working on it, and again two minutes after every lease.';

comment on column "billing"."stripe_events"."payload" is 'As received; removed after 90 days.';

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

create policy "Nobody reads who had a trial" on "billing"."trial_uses"
  for all
  to "anon", "authenticated"
  using (false)
  with check (false);

comment on table "billing"."trial_uses" is 'Who has had a trial, once and for ever: the row stays when the subscription goes.';

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."trial_uses" to "postgres";

-- billing/tables/usage_counters

create table "billing"."usage_counters" (
  "user_id"     uuid                     not null,
  "metric_id"   text                     not null,
  "period_day"  date                     not null,
  "used"        bigint                   not null,
  "allowance"   bigint,
  "valid_until" timestamp with time zone not null default 'infinity'::timestamp with time zone,
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

comment on column "billing"."usage_counters"."valid_until" is 'When the cached allowance ends; the gate does not take it from then on.';

comment on table "billing"."usage_counters" is 'What a user has used of a metric, and what they may use.';

grant select on table "billing"."usage_counters" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "billing"."usage_counters" to "postgres";

-- public/default_privileges

alter default privileges for role "postgres" in schema "public" revoke all on FUNCTIONS from public;

-- public/functions/apply_customer_snapshot

create or replace function public.apply_customer_snapshot (
  p_stripe_customer_id text,
  p_token              bigint,
  p_subscriptions      jsonb,
  p_invoices           jsonb  default null::jsonb,
  p_cause              text   default 'snapshot'::text
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
    v_repeated := billing.note_drifts(v_user_id, p_stripe_customer_id, p_subscriptions, p_invoices);
  end if;
  perform billing.store_subscriptions(v_user_id, p_subscriptions);
  if p_invoices is not null then
    perform billing.store_invoices(v_user_id, p_invoices);
  end if;
  v_events := billing.settle_events(p_stripe_customer_id, p_token);
  v_plan := billing.refresh_entitlement(
    v_user_id, p_cause, jsonb_build_object('token', p_token, 'events', v_events)
  );
  perform billing.check_subscriptions(v_user_id, p_stripe_customer_id);
  return jsonb_build_object('applied', true, 'reason', null, 'plan', v_plan)
    || case when v_repeated <> '[]' then jsonb_build_object('repeated_drifts', v_repeated) else '{}' end;
end;
$function$;

comment on function "public"."apply_customer_snapshot"(text, bigint, jsonb, jsonb, text) is 'Replaces what we know of a customer''s subscriptions and (unless null) invoices by the full lists fetched after p_token was taken, settles the events they cover, and derives the entitlement and the allowances, all in one transaction. An older token, or the same again, does nothing. Answers {applied, reason: stale_token | unknown_customer | null, plan, repeated_drifts?}.';

revoke all on function "public"."apply_customer_snapshot"(text, bigint, jsonb, jsonb, text) from public;

grant execute on function "public"."apply_customer_snapshot"(text, bigint, jsonb, jsonb, text) to "postgres", "service_role";

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
  p_invoices           jsonb
)
  returns jsonb
  language sql
  stable
  security definer
  set search_path to ''
  AS $function$
  select coalesce(jsonb_agg(to_jsonb(d) order by d.field), '[]')
  from billing.snapshot_differences(billing.sync_user(p_stripe_customer_id), p_subscriptions, p_invoices) d;
$function$;

comment on function "public"."compare_customer_snapshot"(text, jsonb, jsonb) is 'What applying this snapshot would change: [{field, ours, stripe}]. Changes nothing.';

revoke all on function "public"."compare_customer_snapshot"(text, jsonb, jsonb) from public;

grant execute on function "public"."compare_customer_snapshot"(text, jsonb, jsonb) to "postgres", "service_role";

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
    -- The cached allowance is what decides while it is valid; otherwise the plan is what will.
    case
      when c.valid_until > now() then c.allowance
      when l.plan_id is not null then l.limit_value
      else 0
    end,
    case when m.period = 'day' then (greatest(c.period_day, t.today) + 1)::timestamp at time zone 'UTC' end,
    p.id
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

comment on function "public"."my_usage"() is 'One row per metric: what the caller has used, their limit (null: unlimited), when it resets (null: never), and their plan.';

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
    id, type, api_version, stripe_created_at, stripe_customer_id, payload, received_token
  )
  values (
    p_id, p_type, p_api_version, p_created, p_stripe_customer_id, p_payload,
    nextval('billing.sync_token_seq')
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

comment on function "public"."receive_stripe_event"(text, text, timestamp with time zone, jsonb, text, text) is 'Keeps an event. Answers new, or for one that is known pending (work on it), processed or ignored (done).';

revoke all on function "public"."receive_stripe_event"(text, text, timestamp with time zone, jsonb, text, text) from public;

grant execute on function "public"."receive_stripe_event"(text, text, timestamp with time zone, jsonb, text, text) to "postgres", "service_role";

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
  update billing.reconcile_runs r
  set customers = r.customers + 1, leased_until = now() + interval '3 minutes'
  where r.id = p_run;
$function$;

comment on function "public"."reconciled"(bigint, text) is 'This customer has been looked at.';

revoke all on function "public"."reconciled"(bigint, text) from public;

grant execute on function "public"."reconciled"(bigint, text) to "postgres", "service_role";

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
  -- A sync of the old customer that is under way can neither apply anything nor give its lease up any more.
  if found then
    update billing.sync_state s set lease_token = null, lease_until = null where s.user_id = p_user_id;
  end if;
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
  "user_id"            uuid                     not null,
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

create policy "Owners read their invoices" on "public"."invoices"
  for select
  to "authenticated"
  using ((user_id = ( select auth.uid() as uid)));

comment on column "public"."invoices"."subscription_id" is 'No foreign key: an invoice outlives what it was for.';

comment on column "public"."invoices"."total_minor" is 'In the smallest unit of the currency; negative is a credit.';

comment on table "public"."invoices" is 'Snapshot of the finalized invoices of a customer in Stripe. A draft is not yet an invoice to anybody.';

grant select on table "public"."invoices" to "authenticated";

grant delete, insert, maintain, references, select, trigger, truncate, update on table "public"."invoices" to "postgres";

grant select on table "public"."invoices" to "service_role";

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
