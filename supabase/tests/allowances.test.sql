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

create function pg_temp.used(p_user_id uuid, p_metric_id text default 'message') returns bigint
language sql security definer as $$
  select used from billing.usage_counters where user_id = p_user_id and metric_id = p_metric_id;
$$;
grant execute on function pg_temp.used(uuid, text) to public;

select no_plan();

-- The allowance cached in a counter is what the catalogue and the entitlement say, at every moment.

insert into public.conversations (id, user_id) values
  ('a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001');

create function pg_temp.allowance(p_metric_id text default 'message') returns bigint
language sql as $$
  select allowance from billing.usage_counters
  where user_id = 'a0000000-0000-4000-8000-000000000001' and metric_id = p_metric_id;
$$;

create function pg_temp.ask(p_times integer) returns void
language sql as $$
  insert into public.messages (conversation_id, user_id, role, content)
  select 'a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001', 'user', 'x'
  from generate_series(1, p_times);
$$;

select pg_temp.ask(50);
select is(pg_temp.allowance(), 50::bigint, 'without an entitlement the default plan counts');
select is(pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded', 'fifty it is');

-- The entitlement changes in the middle of the day.
insert into public.entitlements (user_id, plan_id, source)
values ('a0000000-0000-4000-8000-000000000001', 'pro', 'subscription');
select is(pg_temp.allowance(), 500::bigint, 'an upgrade raises the allowance at once');
select is(pg_temp.allowance('agent'), 5::bigint, 'of every metric, also one that was not used yet');
select lives_ok('select pg_temp.ask(450)', 'what was used stays used');
select is(
  (pg_temp.refusal('select pg_temp.ask(1)') ->> 'details')::jsonb ->> 'plan', 'pro',
  'and the refusal names the new plan'
);
update public.entitlements set plan_id = 'enterprise';
select is(pg_temp.allowance(), null, 'enterprise has no limit');
select lives_ok('select pg_temp.ask(3000)', 'so nothing is refused');
select is(pg_temp.used('a0000000-0000-4000-8000-000000000001'), 3500::bigint, 'but it is counted');
update public.entitlements set plan_id = 'business';
select is(pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded', 'a downgrade counts today');
delete from public.entitlements;
select is(pg_temp.allowance(), 50::bigint, 'without the entitlement it is the default plan again');

-- The catalogue changes.
update billing.usage_counters set used = 0;
update public.plan_limits set limit_value = 60 where plan_id = 'free' and metric_id = 'message';
select is(pg_temp.allowance(), 60::bigint, 'a changed limit is in force at once');
update public.plan_limits set limit_value = null where plan_id = 'free' and metric_id = 'message';
select is(pg_temp.allowance(), null, 'also when it becomes unlimited');
delete from public.plan_limits where plan_id = 'free' and metric_id = 'message';
select is(pg_temp.allowance(), 0::bigint, 'a missing limit allows nothing');
select is(
  pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded', 'not even one'
);
insert into public.plan_limits values ('free', 'message', 7);
select is(pg_temp.allowance(), 7::bigint, 'a new limit counts');
update public.plans set is_default = (id = 'pro');
select is(pg_temp.allowance(), 500::bigint, 'the default plan can change in one statement');
select throws_ok(
  $$update public.plans set is_default = true where id = 'free'$$, '23P01', null,
  'there are never two of them'
);
update public.plans set is_default = false;
select is(pg_temp.allowance(), 0::bigint, 'without a default plan nothing is allowed');
select is(
  (select count(*) from public.plan_limits l where l.limit_value < 0), 0::bigint, 'no limit is negative'
);

-- A plan of its own, by rows alone.
insert into public.plans (id, name, rank) values ('starter', 'Starter', 5);
insert into public.plan_limits values ('starter', 'message', 3), ('starter', 'agent', 0);
insert into public.entitlements (user_id, plan_id, source)
values ('a0000000-0000-4000-8000-000000000001', 'starter', 'subscription');
select lives_ok('select pg_temp.ask(3)', 'a new plan works without new code');
select is(pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded', 'limits included');
select is(
  pg_temp.refusal($$insert into public.agents (user_id, name)
    values ('a0000000-0000-4000-8000-000000000001', 'x')$$) ->> 'code',
  'agent_limit_reached', 'a limit of zero is a limit'
);

-- Several people at once.
delete from public.entitlements;
update public.plans set is_default = (id = 'free');
insert into public.entitlements (user_id, plan_id, source)
select id, 'pro', 'subscription' from auth.users where email in ('ada@tollgate.test', 'bob@tollgate.test');
select is(
  (select count(*) from billing.usage_counters c join auth.users u on u.id = c.user_id
    where u.email in ('ada@tollgate.test', 'bob@tollgate.test') and c.metric_id = 'message' and c.allowance = 500),
  2::bigint, 'a statement about several people refreshes them all'
);

select * from finish();
rollback;
