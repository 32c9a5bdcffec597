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

select no_plan();

-- Every table, as its owner, as a stranger, as anon: what each sees, and what each can change.

insert into public.customers (user_id, stripe_customer_id)
values ('a0000000-0000-4000-8000-000000000001', 'cus_ada');
insert into public.subscriptions (id, user_id, status, price_lookup_key, plan_id)
values ('sub_ada', 'a0000000-0000-4000-8000-000000000001', 'active', 'pro_monthly', 'pro');
insert into public.entitlements (user_id, plan_id, source, subscription_id)
values ('a0000000-0000-4000-8000-000000000001', 'pro', 'subscription', 'sub_ada');

create function pg_temp.seen() returns table (name text, rows bigint)
language sql as $$
  select 'agents', count(*) from public.agents
  union all select 'conversations', count(*) from public.conversations
  union all select 'counters', count(*) from billing.usage_counters
  union all select 'customers', count(*) from public.customers
  union all select 'entitlements', count(*) from public.entitlements
  union all select 'messages', count(*) from public.messages
  union all select 'subscriptions', count(*) from public.subscriptions
  order by 1;
$$;
grant execute on function pg_temp.seen() to public;

-- The owner.
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
insert into public.conversations (id, title) values ('a0000000-0000-4000-8000-0000000000c1', 'Mine');
insert into public.messages (id, conversation_id, role, content) values
  ('a0000000-0000-4000-8000-0000000000d1', 'a0000000-0000-4000-8000-0000000000c1', 'user', 'Hello');
insert into public.agents (id, name) values ('a0000000-0000-4000-8000-0000000000e1', 'Helper');
select results_eq(
  'select * from pg_temp.seen()',
  $$values ('agents', 1::bigint), ('conversations', 1), ('counters', 3), ('customers', 1),
    ('entitlements', 1), ('messages', 1), ('subscriptions', 1)$$,
  'the owner sees their rows of every table'
);
select results_eq(
  'select user_id from public.messages union select user_id from public.conversations
    union select user_id from public.agents',
  array['a0000000-0000-4000-8000-000000000001'::uuid],
  'what a person writes is theirs'
);
select lives_ok($$update public.conversations set title = 'Renamed'$$, 'the owner renames');
select lives_ok($$update public.agents set name = 'Other', instructions = 'Be brief.'$$, 'and edits');

-- What a client must not say.
select throws_ok(
  $$insert into public.messages (conversation_id, user_id, role, content) values
    ('a0000000-0000-4000-8000-0000000000c1', 'b0000000-0000-4000-8000-000000000001', 'user', 'x')$$,
  '42501', null, 'a forged owner is refused'
);
select throws_ok(
  $$insert into public.messages (conversation_id, role, content, created_at)
    values ('a0000000-0000-4000-8000-0000000000c1', 'user', 'x', '2020-01-01')$$,
  '42501', null, 'a forged time is refused'
);
select throws_ok(
  $$insert into public.messages (conversation_id, role, content, reply_to)
    values ('a0000000-0000-4000-8000-0000000000c1', 'user', 'x', 'a0000000-0000-4000-8000-0000000000d1')$$,
  '42501', null, 'a forged answer is refused'
);
select throws_ok(
  $$insert into public.messages (conversation_id, role, content)
    values ('a0000000-0000-4000-8000-0000000000c1', 'assistant', 'x')$$,
  '42501', null, 'a client cannot speak as the assistant'
);
select throws_ok(
  $$update public.messages set content = 'x'$$, '42501', null, 'nobody edits a message'
);
select throws_ok(
  $$insert into public.conversations (id, user_id) values
    (gen_random_uuid(), 'b0000000-0000-4000-8000-000000000001')$$,
  '42501', null, 'nobody starts a conversation for another'
);
select throws_ok(
  $$update public.agents set user_id = 'b0000000-0000-4000-8000-000000000001'$$,
  '42501', null, 'nobody gives an agent away'
);
select throws_ok(
  $$insert into public.entitlements (user_id, plan_id, source)
    values ('a0000000-0000-4000-8000-000000000001', 'enterprise', 'subscription')$$,
  '42501', null, 'nobody entitles themselves'
);
select throws_ok(
  $$update public.entitlements set plan_id = 'enterprise'$$, '42501', null, 'or upgrades themselves'
);
select throws_ok(
  $$update public.subscriptions set status = 'active'$$, '42501', null, 'or writes a subscription'
);
select throws_ok(
  $$insert into public.customers values ('a0000000-0000-4000-8000-000000000001', 'cus_other')$$,
  '42501', null, 'or a customer'
);
select throws_ok(
  $$update public.plan_limits set limit_value = null$$, '42501', null, 'or the catalogue'
);
select throws_ok(
  $$update billing.usage_counters set used = 0$$, '42501', null, 'or their counter'
);
select throws_ok('select * from billing.stripe_events', '42501', null, 'the inbox is closed');
select throws_ok('select * from billing.problems', '42501', null, 'and so are the problems');

-- A stranger.
select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001');
select results_eq(
  'select * from pg_temp.seen()',
  $$values ('agents', 0::bigint), ('conversations', 0), ('counters', 0), ('customers', 0),
    ('entitlements', 0), ('messages', 0), ('subscriptions', 0)$$,
  'a stranger sees no row of any table'
);
select throws_ok(
  $$insert into public.messages (conversation_id, role, content)
    values ('a0000000-0000-4000-8000-0000000000c1', 'user', 'x')$$,
  '23503', null, 'a stranger cannot write into the conversation'
);
select is_empty(
  $$update public.conversations set title = 'x' returning id$$, 'a stranger renames nothing'
);
select is_empty($$update public.agents set name = 'x' returning id$$, 'a stranger edits nothing');
select is_empty('delete from public.messages returning id', 'a stranger deletes no message');
select is_empty('delete from public.agents returning id', 'a stranger deletes no agent');
select is_empty('delete from public.conversations returning id', 'a stranger deletes no conversation');
select is((select sum(used) from public.my_usage()), 0::numeric, 'a stranger''s refused writes cost nobody');

-- Somebody whose token names nobody.
select pg_temp.become('authenticated');
select results_eq(
  'select sum(rows) from pg_temp.seen()', array[0::numeric], 'a token without a user sees nothing'
);
select throws_ok(
  $$insert into public.conversations (title) values ('x')$$, null, null, 'and writes nothing'
);

-- Anon.
select pg_temp.become('anon');
select is((select count(*) from public.plans), 4::bigint, 'anon reads the plans');
select throws_ok(format('select * from public.%I', t.name), '42501', null, 'anon cannot read ' || t.name)
from unnest(array['agents', 'conversations', 'customers', 'entitlements', 'messages', 'subscriptions'])
  as t (name);
select throws_ok('select * from billing.usage_counters', '42501', null, 'anon cannot read counters');
select throws_ok('select public.my_usage()', '42501', null, 'anon has no usage');
select throws_ok('select public.my_entitlements()', '42501', null, 'anon has no entitlements');
select throws_ok(
  $$insert into public.messages (conversation_id, role, content)
    values ('a0000000-0000-4000-8000-0000000000c1', 'user', 'x')$$,
  '42501', null, 'anon cannot write a message'
);

-- The secret key cannot mix owners up either.
select pg_temp.become('service_role');
select throws_ok(
  $$insert into public.messages (conversation_id, user_id, role, content) values
    ('a0000000-0000-4000-8000-0000000000c1', 'b0000000-0000-4000-8000-000000000001', 'user', 'x')$$,
  '23503', null, 'a message belongs to the owner of its conversation'
);
select throws_ok(
  $$update public.entitlements set plan_id = 'enterprise'$$,
  '42501', null, 'the secret key does not write entitlements directly'
);

-- One message pays for one answer.
select set_config('role', 'postgres', true);
insert into public.messages (user_id, conversation_id, role, content, reply_to) values (
  'a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-0000000000c1', 'assistant', 'Hello yourself',
  'a0000000-0000-4000-8000-0000000000d1'
);
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is_empty(
  $$delete from public.messages where role = 'assistant' returning id$$, 'an answer stays while its question does'
);
select lives_ok($$delete from public.messages where role = 'user'$$, 'the question goes');
select isnt_empty(
  $$delete from public.messages where role = 'assistant' returning id$$, 'and the answer after it'
);

select set_config('role', 'postgres', true);
select * from finish();
rollback;
