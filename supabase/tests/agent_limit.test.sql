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

-- As many agents as the plan says, counted while they exist.

create function pg_temp.create_agents(p_count integer) returns void
language sql as $$
  insert into public.agents (name) select 'agent ' || n from generate_series(1, p_count) n;
$$;
grant execute on function pg_temp.create_agents(integer) to public;

select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(
  pg_temp.refusal('select pg_temp.create_agents(2)') ->> 'code', 'agent_limit_reached',
  'two at once are refused on Free'
);
select is((select count(*) from public.agents), 0::bigint, 'and none is left');
select lives_ok('select pg_temp.create_agents(1)', 'the first agent is admitted');
create temporary table refusal as select pg_temp.refusal('select pg_temp.create_agents(1)') as body;
select is(body ->> 'code', 'agent_limit_reached', 'the second is refused') from refusal;
select is((body ->> 'status')::integer, 403, 'with HTTP 403') from refusal;
select is(body -> 'headers', '{}', 'and no time to retry') from refusal;
select is(
  (body ->> 'details')::jsonb,
  '{"metric": "agent", "limit": 1, "used": 1, "resets_at": null, "plan": "free"}',
  'the same details as for messages'
) from refusal;
delete from public.agents;
select is(pg_temp.used(auth.uid(), 'agent'), 0::bigint, 'deleting an agent frees its place');
select lives_ok('select pg_temp.create_agents(1)', 'for another one');

-- Up and down.
reset role;
insert into public.entitlements (user_id, plan_id, source)
values ('a0000000-0000-4000-8000-000000000001', 'pro', 'subscription');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select lives_ok('select pg_temp.create_agents(4)', 'an upgrade makes room at once');
select is(
  pg_temp.refusal('select pg_temp.create_agents(1)') ->> 'code', 'agent_limit_reached', 'for five, not six'
);
reset role;
delete from public.entitlements;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is((select count(*) from public.agents), 5::bigint, 'a downgrade keeps what exists');
select lives_ok($$update public.agents set name = 'renamed'$$, 'and lets it be edited');
select is(
  (pg_temp.refusal('select pg_temp.create_agents(1)') ->> 'details')::jsonb ->> 'used', '5',
  'but admits no new one'
);
delete from public.agents where id in (select id from public.agents limit 4);
select is(
  pg_temp.refusal('select pg_temp.create_agents(1)') ->> 'code', 'agent_limit_reached',
  'also when exactly the new limit is left'
);

-- The other ways in.
reset role;
select throws_ok(
  $$update public.agents set user_id = 'b0000000-0000-4000-8000-000000000001'$$,
  '23000', null, 'an agent cannot move to another person'
);
select pg_temp.become('service_role');
select is(
  pg_temp.refusal($$insert into public.agents (user_id, name) values
    ('a0000000-0000-4000-8000-000000000001', 'x')$$) ->> 'code',
  'agent_limit_reached', 'the secret key is counted too'
);
insert into public.agents (id, user_id, name) values
  ('b0000000-0000-4000-8000-0000000000e1', 'b0000000-0000-4000-8000-000000000001', 'x');
insert into public.agents (id, user_id, name) values
  ('b0000000-0000-4000-8000-0000000000e1', 'b0000000-0000-4000-8000-000000000001', 'x')
on conflict (id) do nothing;
select is(
  pg_temp.used('b0000000-0000-4000-8000-000000000001', 'agent'), 1::bigint,
  'on conflict do nothing takes no place'
);
delete from public.agents;
select is(pg_temp.used('a0000000-0000-4000-8000-000000000001', 'agent'), 0::bigint, 'a bulk delete frees for one');
select is(pg_temp.used('b0000000-0000-4000-8000-000000000001', 'agent'), 0::bigint, 'and for the other');

-- Leaving, with agents and a counter that has forgotten them.
insert into public.agents (user_id, name) values ('b0000000-0000-4000-8000-000000000001', 'x');
reset role;
update billing.usage_counters set used = 0;
select lives_ok('delete from public.agents', 'a counter at zero does not stop a deletion');
insert into public.agents (user_id, name) values ('b0000000-0000-4000-8000-000000000001', 'x');
select lives_ok(
  $$delete from auth.users where id = 'b0000000-0000-4000-8000-000000000001'$$,
  'deleting the user takes the agents along'
);
select is((select count(*) from public.agents), 0::bigint, 'all of them');

select * from finish();
rollback;
