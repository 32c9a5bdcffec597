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

-- One of today's messages per message of a user, whoever writes it.

insert into public.conversations (id, user_id) values
  ('a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001'),
  ('b0000000-0000-4000-8000-0000000000c1', 'b0000000-0000-4000-8000-000000000001');

create function pg_temp.ask(p_times integer) returns void
language sql as $$
  insert into public.messages (conversation_id, role, content)
  select 'a0000000-0000-4000-8000-0000000000c1', 'user', 'question ' || n
  from generate_series(1, p_times) n;
$$;
grant execute on function pg_temp.ask(integer) to public;

select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');

-- Up to the limit and not beyond.
select lives_ok('select pg_temp.ask(1)', 'the first message is admitted');
select is(pg_temp.used(auth.uid()), 1::bigint, 'and counted');
select lives_ok('select pg_temp.ask(48)', 'many rows of one statement are admitted');
select is(pg_temp.used(auth.uid()), 49::bigint, 'and all of them counted');
select is(
  pg_temp.refusal('select pg_temp.ask(2)') ->> 'code', 'message_quota_exceeded',
  'a statement that goes over the limit is refused as a whole'
);
select is(pg_temp.used(auth.uid()), 49::bigint, 'and burns nothing');
select is((select count(*) from public.messages), 49::bigint, 'and leaves no row');
select lives_ok('select pg_temp.ask(1)', 'the last message of the day is admitted');
select is((select count(*) from public.messages), 50::bigint, 'fifty messages there are');

-- What the refusal says.
create temporary table refusal as select pg_temp.refusal('select pg_temp.ask(1)') as body;
select is(body ->> 'code', 'message_quota_exceeded', 'the 51st is refused') from refusal;
select is((body ->> 'status')::integer, 429, 'with HTTP 429') from refusal;
select matches(body ->> 'message', '50 of 50 messages', 'in words') from refusal;
select isnt(body ->> 'hint', null, 'with a way out') from refusal;
select is(
  (body ->> 'details')::jsonb,
  jsonb_build_object(
    'metric', 'message', 'limit', 50, 'used', 50, 'plan', 'free',
    'resets_at', to_char((now() at time zone 'UTC')::date + 1, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  ),
  'with details as JSON text'
) from refusal;
select is(jsonb_typeof(body #> '{headers,Retry-After}'), 'string', 'headers are strings') from refusal;
select ok(
  (body #>> '{headers,Retry-After}')::integer between 1 and 86400
    and abs((body #>> '{headers,Retry-After}')::integer - extract(epoch from
      ((now() at time zone 'UTC')::date + 1)::timestamp at time zone 'UTC' - clock_timestamp())) < 5,
  'Retry-After is the number of seconds until midnight UTC'
) from refusal;
select is(pg_temp.used(auth.uid()), 50::bigint, 'asking in vain changes nothing');

-- Nothing is given back, nothing is burnt.
delete from public.messages;
select is(pg_temp.used(auth.uid()), 50::bigint, 'deleting messages gives nothing back');
select is(
  pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded', 'nor a new place'
);

-- The day is Greenwich's, whatever the client calls its time zone or dates its rows with.
select set_config('timezone', 'Pacific/Kiritimati', true);
select is(
  pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded',
  'living in tomorrow''s time zone does not help'
);
select set_config('timezone', 'Pacific/Pago_Pago', true);
select is(
  pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded',
  'nor does living in yesterday''s'
);
select set_config('timezone', 'UTC', true);
select pg_temp.become('service_role');
select is(
  pg_temp.refusal($$insert into public.messages (conversation_id, user_id, role, content, created_at)
    values ('a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001', 'user', 'x',
      now() - interval '3 days')$$) ->> 'code',
  'message_quota_exceeded', 'the secret key is counted too, also with a date in the past'
);
select lives_ok(
  $$insert into public.messages (conversation_id, user_id, role, content)
    values ('a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001', 'assistant', 'x')$$,
  'an answer costs nothing'
);
reset role;
select is(
  pg_temp.refusal($$insert into public.messages (conversation_id, user_id, role, content)
    values ('a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001', 'user', 'x')$$)
    ->> 'code',
  'message_quota_exceeded', 'and so is the owner of the database'
);

-- A new day.
update billing.usage_counters set period_day = period_day - 1;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select lives_ok('select pg_temp.ask(1)', 'the next day starts anew');
select is(pg_temp.used(auth.uid()), 1::bigint, 'from one');
reset role;
update billing.usage_counters set period_day = period_day - 1, used = 50;
select pg_temp.become('service_role');
select lives_ok(
  $$insert into public.messages (conversation_id, user_id, role, content)
    select 'a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001', 'user', 'x'
    from generate_series(1, 50)$$,
  'for the secret key as well'
);
reset role;
select is(pg_temp.used('a0000000-0000-4000-8000-000000000001'), 50::bigint, 'with a whole day''s places');
update billing.usage_counters set period_day = (now() at time zone 'UTC')::date + 1, used = 50;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(
  pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded',
  'a clock that went back opens no second day'
);
reset role;
update billing.usage_counters set period_day = (now() at time zone 'UTC')::date, used = 10;

-- Rows that are not written cost nothing.
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
insert into public.messages (id, conversation_id, role, content) values
  ('a0000000-0000-4000-8000-0000000000d1', 'a0000000-0000-4000-8000-0000000000c1', 'user', 'once');
insert into public.messages (id, conversation_id, role, content) values
  ('a0000000-0000-4000-8000-0000000000d1', 'a0000000-0000-4000-8000-0000000000c1', 'user', 'twice')
on conflict (id) do nothing;
select is(pg_temp.used(auth.uid()), 11::bigint, 'on conflict do nothing burns nothing');
select throws_ok(
  $$insert into public.messages (id, conversation_id, role, content) values
    ('a0000000-0000-4000-8000-0000000000d1', 'a0000000-0000-4000-8000-0000000000c1', 'user', 'again')
    on conflict (id) do update set content = excluded.content$$,
  '42501', null, 'an upsert cannot reuse a message'
);
select throws_ok(
  $$insert into public.messages (conversation_id, role, content) values
    ('b0000000-0000-4000-8000-0000000000c1', 'user', 'x')$$,
  '23503', null, 'a message in a foreign conversation is refused'
);
select is(pg_temp.used(auth.uid()), 11::bigint, 'and burns nothing');
reset role;
select is(
  (select count(*) from billing.usage_counters where user_id = 'b0000000-0000-4000-8000-000000000001'),
  0::bigint, 'nor does it touch the counter of the other'
);

-- Many people in one statement.
insert into public.messages (conversation_id, user_id, role, content)
select c.id, c.user_id, r.role, 'imported'
from public.conversations c, unnest(array['user', 'assistant', 'user']) as r (role);
select is(pg_temp.used('a0000000-0000-4000-8000-000000000001'), 13::bigint, 'a bulk insert counts for one');
select is(pg_temp.used('b0000000-0000-4000-8000-000000000001'), 2::bigint, 'and for the other');
update billing.usage_counters set used = 50 where user_id = 'b0000000-0000-4000-8000-000000000001';
select is(
  pg_temp.refusal($$insert into public.messages (conversation_id, user_id, role, content)
    select id, user_id, 'user', 'imported' from public.conversations$$) ->> 'code',
  'message_quota_exceeded', 'one of them without a place refuses the statement'
);
select is(pg_temp.used('a0000000-0000-4000-8000-000000000001'), 13::bigint, 'and nobody pays');

-- Rows do not change what they were counted as.
select throws_ok(
  $$update public.messages set role = 'user' where role = 'assistant'$$,
  '23000', null, 'an answer cannot become a question'
);
select throws_ok(
  $$update public.messages set user_id = 'b0000000-0000-4000-8000-000000000001',
      conversation_id = 'b0000000-0000-4000-8000-0000000000c1'
    where user_id = 'a0000000-0000-4000-8000-000000000001'$$,
  '23000', null, 'a message cannot move to another person'
);
select lives_ok($$update public.messages set content = 'x'$$, 'the operator may correct a text');

-- An answer dates the conversation; a question leaves it alone.
update public.conversations set title = title;
alter table public.conversations disable trigger conversations_before_update_touch;
update public.conversations set updated_at = '2020-01-01';
alter table public.conversations enable trigger conversations_before_update_touch;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select pg_temp.ask(1);
select is((select updated_at from public.conversations), '2020-01-01'::timestamptz, 'a question does not date');
select pg_temp.become('service_role');
insert into public.messages (conversation_id, user_id, role, content) values
  ('a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001', 'assistant', 'x');
select is(
  (select updated_at from public.conversations where id = 'a0000000-0000-4000-8000-0000000000c1'), now(),
  'an answer does'
);

-- Leaving.
reset role;
select lives_ok(
  $$delete from auth.users where id = 'a0000000-0000-4000-8000-000000000001'$$, 'a user can be deleted'
);
select is(
  (select count(*) from public.messages where user_id = 'a0000000-0000-4000-8000-000000000001')
    + (select count(*) from billing.usage_counters where user_id = 'a0000000-0000-4000-8000-000000000001'),
  0::bigint, 'with everything of theirs'
);

select * from finish();
rollback;
