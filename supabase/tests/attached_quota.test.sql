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
  select coalesce(
    (select used from billing.usage_counters where user_id = p_user_id and metric_id = p_metric_id), 0
  );
$$;
grant execute on function pg_temp.used(uuid, text) to public;

-- Everything that detaching must leave as it was.
create function pg_temp.looks(p_table regclass) returns jsonb
language sql as $$
  select jsonb_build_object(
    'triggers', (select jsonb_agg(pg_get_triggerdef(t.oid) order by t.tgname) from pg_trigger t where t.tgrelid = p_table),
    'columns', (select jsonb_agg(to_jsonb(a) - 'attrelid' order by a.attnum) from pg_attribute a where a.attrelid = p_table),
    'constraints', (select jsonb_agg(pg_get_constraintdef(c.oid) order by c.conname) from pg_constraint c where c.conrelid = p_table),
    'indexes', (select jsonb_agg(pg_get_indexdef(i.indexrelid) order by i.indexrelid) from pg_index i where i.indrelid = p_table),
    'policies', (select jsonb_agg(to_jsonb(p) order by p.polname) from pg_policy p where p.polrelid = p_table),
    'grants', (select c.relacl::text from pg_class c where c.oid = p_table)
  );
$$;

create function pg_temp.gates() returns bigint
language sql as $$
  select count(*) from pg_proc where pronamespace = 'billing'::regnamespace and proname like 'consume\_%';
$$;

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

-- An application that was there before: a schema of its own, its own names, ids that are numbers, an enum.

create schema app;
grant usage on schema app to authenticated, service_role;
create type app.speaker as enum ('person', 'machine');
create table app."Chat Lines" (
  line_no bigint generated always as identity primary key,
  "author" uuid not null default auth.uid() references auth.users (id) on delete cascade,
  speaker app.speaker not null default 'person',
  words varchar(500) not null unique,
  said_at timestamp not null default now()
);
alter table app."Chat Lines" enable row level security;
create policy "Authors do as they like" on app."Chat Lines" for all to authenticated
  using ("author" = (select auth.uid())) with check ("author" = (select auth.uid()));
grant select, insert, update, delete on app."Chat Lines" to authenticated, service_role;
insert into app."Chat Lines" ("author", words)
  select 'a0000000-0000-4000-8000-000000000001', 'before ' || n from generate_series(1, 60) n;

select no_plan();

create temporary table before_attaching as select pg_temp.looks('app."Chat Lines"') as looks, pg_temp.gates() as gates;

-- What public.messages has is what everybody gets.

select is(
  (select status from billing.attached_quotas where "table" = 'public.messages'::regclass), 'attached',
  'messages go through the same gate'
);

-- Attached.

select lives_ok(
  $$select billing.attach_quota('app."Chat Lines"', 'author', 'message', $c$speaker = 'person'$c$)$$,
  'a table is attached by one call'
);
select is(
  (select to_jsonb(q) - 'attached_at' from billing.attached_quotas q where q."table" = 'app."Chat Lines"'::regclass),
  jsonb_build_object('table', 'app."Chat Lines"', 'owner_column', 'author', 'metric', 'message',
    'condition', 'speaker = ''person''', 'status', 'attached'),
  'and the view says so'
);
select is(pg_temp.used('a0000000-0000-4000-8000-000000000001'), 0::bigint, 'what was there before costs nothing');
create temporary table attached as
  select jsonb_agg(to_jsonb(t) order by t.oid) as triggers from pg_trigger t where t.tgrelid = 'app."Chat Lines"'::regclass;
select lives_ok(
  $$select billing.attach_quota('app."Chat Lines"', 'author', 'message', $c$speaker = 'person'$c$)$$, 'again is no error'
);
select is(
  (select jsonb_agg(to_jsonb(t) order by t.oid) from pg_trigger t where t.tgrelid = 'app."Chat Lines"'::regclass), triggers,
  'and changes nothing'
) from attached;

-- A client.

create function pg_temp.say(p_times integer, p_speaker text default 'person') returns void
language sql as $$
  insert into app."Chat Lines" (words, speaker)
  select gen_random_uuid()::text, p_speaker::app.speaker from generate_series(1, p_times);
$$;
grant execute on function pg_temp.say(integer, text) to public;

select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select lives_ok('select pg_temp.say(1)', 'the first is admitted');
select lives_ok('select pg_temp.say(48)', 'and many of one statement');
select is(pg_temp.used(auth.uid()), 49::bigint, 'all of them counted');
select lives_ok($$select pg_temp.say(5, 'machine')$$, 'rows that do not count are written');
select is(pg_temp.used(auth.uid()), 49::bigint, 'and cost nothing');
select is(
  pg_temp.refusal('select pg_temp.say(2)') ->> 'code', 'message_quota_exceeded', 'beyond the limit the statement is refused'
);
select is(pg_temp.used(auth.uid()), 49::bigint, 'and burns nothing');
select lives_ok('select pg_temp.say(1)', 'up to the limit');
select is(
  (select array[body ->> 'code', body ->> 'status', (body ->> 'details')::jsonb ->> 'limit']
    from pg_temp.refusal('select pg_temp.say(1)') body),
  array['message_quota_exceeded', '429', '50'], 'the 51st is answered like a message'
);
select is(
  (select array_agg(n.threshold order by n.threshold) from public.notifications n where n.user_id = auth.uid()),
  array[80, 100]::smallint[], 'with the same notices on the way'
);
select throws_ok(
  $$insert into app."Chat Lines" ("author", words) values ('b0000000-0000-4000-8000-000000000001', 'x')$$,
  '42501', null, 'a stranger writes nothing in the name of another'
);
select is(pg_temp.used('b0000000-0000-4000-8000-000000000001'), 0::bigint, 'and burns nothing of theirs');

-- Updates do not evade.

select throws_ok(
  $$update app."Chat Lines" set speaker = 'person' where speaker = 'machine'$$, '23000', null,
  'a row that did not count cannot become one that does'
);
select lives_ok($$update app."Chat Lines" set words = words || '!' where words like 'before%'$$, 'texts can be changed');
reset role;
select throws_ok(
  $$update app."Chat Lines" set "author" = 'b0000000-0000-4000-8000-000000000001'$$, '23000', null,
  'a row cannot move to another person, whoever moves it'
);
select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001');
insert into app."Chat Lines" (words) values ('once');
insert into app."Chat Lines" (words) values ('once') on conflict do nothing;
insert into app."Chat Lines" (words) values ('once') on conflict (words) do update set said_at = now();
select is(pg_temp.used(auth.uid()), 1::bigint, 'only rows that are written count');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(
  pg_temp.refusal($$insert into app."Chat Lines" (words, speaker) values ('merged', 'person')$$) ->> 'code',
  'message_quota_exceeded', 'the limit holds for a'
);
delete from app."Chat Lines";
select is(pg_temp.used(auth.uid()), 50::bigint, 'deleting gives nothing back');

-- Everybody else.

select pg_temp.become('service_role');
select is(
  pg_temp.refusal($$insert into app."Chat Lines" ("author", words)
    values ('a0000000-0000-4000-8000-000000000001', 'x')$$) ->> 'code',
  'message_quota_exceeded', 'the secret key is counted'
);
reset role;
select is(
  pg_temp.refusal($$insert into app."Chat Lines" ("author", words) values
    ('b0000000-0000-4000-8000-000000000001', 'x'), ('a0000000-0000-4000-8000-000000000001', 'y')$$) ->> 'code',
  'message_quota_exceeded', 'and the owner of the database, all of a statement or nothing of it'
);
select is(pg_temp.used('b0000000-0000-4000-8000-000000000001'), 1::bigint, 'so nobody else pays');
select lives_ok(
  $$insert into app."Chat Lines" ("author", words, speaker)
    select 'b0000000-0000-4000-8000-000000000001', 'bulk ' || n, (array['person', 'machine'])[1 + n % 2]::app.speaker
    from generate_series(1, 20) n$$,
  'a bulk insert'
);
select is(pg_temp.used('b0000000-0000-4000-8000-000000000001'), 11::bigint, 'counts the rows that count');
select throws_ok(
  $$insert into app."Chat Lines" ("author", words) values (gen_random_uuid(), 'x')$$, '23503', null,
  'there is no quota of nobody'
);
create function app.say(p_words text) returns void language sql security definer set search_path = ''
  as $$insert into app."Chat Lines" ("author", words) values (auth.uid(), p_words)$$;
grant execute on function app.say(text) to authenticated;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(
  pg_temp.refusal($$select app.say('x')$$) ->> 'code', 'message_quota_exceeded', 'a definer function does not pass by'
);
reset role;

-- Beyond the allowance: the same account as a message's.

insert into public.customers (user_id, stripe_customer_id) values ('a0000000-0000-4000-8000-000000000001', 'cus_ada');
insert into public.subscriptions (id, user_id, status, plan_id, currency)
  values ('sub_ada', 'a0000000-0000-4000-8000-000000000001', 'active', 'pro', 'usd');
insert into public.entitlements (user_id, plan_id, source, subscription_id)
  values ('a0000000-0000-4000-8000-000000000001', 'pro', 'subscription', 'sub_ada')
  on conflict (user_id) do update set plan_id = excluded.plan_id, source = excluded.source,
    subscription_id = excluded.subscription_id;
insert into billing.metered_items (
  item_id, user_id, subscription_id, metric_id, currency, unit_amount_minor, period_start, period_end
) values (
  'si_ada', 'a0000000-0000-4000-8000-000000000001', 'sub_ada', 'message', 'usd', 2, now() - interval '1 day', now() + interval '9 days'
);
insert into billing.overage_accounts (user_id, enabled, subscription_id, cap_minor, currency, period_start, period_end)
  values ('a0000000-0000-4000-8000-000000000001', true, 'sub_ada', 6, 'usd', now() - interval '1 day', now() + interval '9 days')
  on conflict (user_id) do update set enabled = true, subscription_id = 'sub_ada', cap_minor = 6, currency = 'usd',
    period_start = excluded.period_start, period_end = excluded.period_end;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select lives_ok('select pg_temp.say(450)', 'another plan is another limit, at once');
select lives_ok('select pg_temp.say(1) from generate_series(1, 3)', 'who pays goes beyond it');
select is(
  pg_temp.refusal('select pg_temp.say(1)') ->> 'code', 'spending_cap_reached', 'up to their cap'
);
reset role;
select is(
  (select sum(quantity) from billing.overage_usage where user_id = 'a0000000-0000-4000-8000-000000000001'), 3::numeric,
  'and the ledger has it'
);

-- Other arguments replace what was attached.

select lives_ok(
  $$select billing.attach_quota('app."Chat Lines"', 'author', 'tool')$$, 'a table can be attached to another metric'
);
select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001');
select lives_ok($$select pg_temp.say(3, 'machine')$$, 'and then without a condition');
select is(pg_temp.used(auth.uid(), 'tool'), 3::bigint, 'every row counts');
select is(pg_temp.used(auth.uid()), 11::bigint, 'of that metric and no other');
reset role;
select is(
  (select count(*) from billing.quota_gates where table_id = 'app."Chat Lines"'::regclass), 1::bigint,
  'a table has one gate'
);

-- Seen when it is open.

alter table app."Chat Lines" disable trigger tollgate_after_insert_consume;
select is(
  (select status from billing.attached_quotas where "table" = 'app."Chat Lines"'::regclass), 'open',
  'a trigger that is off is seen'
);
select billing.attach_quota('app."Chat Lines"', 'author', 'tool');
select is(
  (select status from billing.attached_quotas where "table" = 'app."Chat Lines"'::regclass), 'attached',
  'and attaching again mends it'
);
alter table app."Chat Lines" disable row level security;
select is(
  (select status from billing.attached_quotas where "table" = 'app."Chat Lines"'::regclass), 'no_row_security',
  'so is row level security that is off'
);
alter table app."Chat Lines" enable row level security;

-- Detached.

select ok(billing.detach_quota('app."Chat Lines"'), 'a table is detached by one call');
select is(pg_temp.looks('app."Chat Lines"'), looks, 'and is as it was before') from before_attaching;
select is(pg_temp.gates(), gates, 'no function of it is left') from before_attaching;
select ok(not billing.detach_quota('app."Chat Lines"'), 'again there is nothing to detach');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select lives_ok('select pg_temp.say(5)', 'and nobody counts any more');
reset role;
select is(
  (select array_agg(l.action order by l.id) from billing.audit_log l where l.subject = 'quota_gate:app."Chat Lines"'),
  array['operator.quota_gate.created', 'operator.quota_gate.removed', 'operator.quota_gate.created',
    'operator.quota_gate.removed', 'operator.quota_gate.created', 'operator.quota_gate.removed'],
  'the audit log has who attached and detached what'
);

-- Refused.

create table app.plain (id text primary key, user_id uuid not null, maybe uuid, name text, kind text);
create view app.looking as select * from app.plain;
create table app.parts (id bigint, user_id uuid not null) partition by range (id);
create table app.part partition of app.parts for values from (1) to (10);
create table app.child () inherits (app.plain);
create temporary table passing (user_id uuid not null);
alter table app.parts enable row level security;
alter table app.part enable row level security;

select throws_ok($$select billing.attach_quota('app.nowhere', 'user_id', 'message')$$, '42P01', null, 'no such table');
select throws_ok($$select billing.attach_quota(null, 'user_id', 'message')$$, '42P01', null, 'none at all');
select throws_ok($$select billing.attach_quota('app.looking', 'user_id', 'message')$$, '42809', 'app.looking is a view', 'a view');
select throws_ok($$select billing.attach_quota('app.parts', 'user_id', 'message')$$, '42809', null, 'a partitioned table');
select throws_ok($$select billing.attach_quota('app.part', 'user_id', 'message')$$, '42809', null, 'a partition');
select throws_ok($$select billing.attach_quota('app.plain', 'user_id', 'message')$$, '42809', null, 'a table that is inherited');
select throws_ok($$select billing.attach_quota('pg_temp.passing', 'user_id', 'message')$$, '42809', null, 'a temporary table');
select throws_ok($$select billing.attach_quota('billing.problems', 'user_id', 'message')$$, '42809', null, 'our own');
drop table app.child;
select throws_ok(
  $$select billing.attach_quota('app.plain', 'user_id', 'message')$$, '55000', 'row level security is off on app.plain',
  'a table without row level security'
);
alter table app.plain enable row level security;
create policy "Come in" on app.plain for insert to authenticated with check (true);
select throws_ok(
  $$select billing.attach_quota('app.plain', 'user_id', 'message')$$, '55000',
  'the policy "Come in" of app.plain lets anybody insert rows of anybody', 'a policy that is always true'
);
drop policy "Come in" on app.plain;
select throws_ok($$select billing.attach_quota('app.plain', 'owner', 'message')$$, '42703', 'app.plain has no column owner', 'no such column');
select throws_ok($$select billing.attach_quota('app.plain', 'ctid', 'message')$$, '42703', null, 'a system column');
select throws_ok($$select billing.attach_quota('app.plain', 'id', 'message')$$, '42804', 'id of app.plain is text, not uuid', 'a text');
select throws_ok($$select billing.attach_quota('app.plain', 'maybe', 'message')$$, '55000', 'maybe of app.plain may be null', 'a column that may be null');
select throws_ok($$select billing.attach_quota('app.plain', 'user_id', 'smile')$$, '42704', 'there is no metric ''smile''', 'no such metric');
select throws_ok($$select billing.attach_quota('app.plain', 'user_id', 'agent')$$, '42809', null, 'a metric that does not reset');
select throws_like(
  format('select billing.attach_quota(%L, %L, %L, %L)', 'app.plain', 'user_id', 'message', c.condition),
  'the condition (%', 'a condition that is ' || c.what
)
from (values
  ('colour = 1', 'about no column'), ('name', 'no yes or no'), ('count(*) > 1', 'an aggregate'),
  ('exists (select from app.parts)', 'about other rows'), ('random() < 0.5', 'different every time'),
  ('now() > ''2020-01-01''', 'about the time'), ('name = ''x'', true', 'two'),
  ('true); drop table app.plain; --', 'a statement'), ('true) --', 'a comment'), ('name = ''tollgate_gate_row.x''', 'of our own words'), ('', 'empty')
) c (condition, what);
select is(
  (select count(*) from billing.quota_gates where table_id = 'app.plain'::regclass), 0::bigint, 'nothing refused leaves a trace'
);
select lives_ok(
  $$select billing.attach_quota('app.plain', 'user_id', 'message',
    $c$name is not null and (lower(kind) like 'a AS tollgate_condition%' or kind in ('b', 'c; drop table x --'))$c$)$$,
  'a condition may be as long as it likes'
);
insert into app.plain (id, user_id, name, kind) values
  ('1', 'b0000000-0000-4000-8000-000000000001', 'x', 'b'), ('2', 'b0000000-0000-4000-8000-000000000001', 'x', 'd'),
  ('3', 'b0000000-0000-4000-8000-000000000001', null, 'b');
select is(pg_temp.used('b0000000-0000-4000-8000-000000000001'), 12::bigint, 'and is understood');

-- What breaks afterwards.

alter table app.plain rename column user_id to owner_id;
select is(
  (select status from billing.attached_quotas where "table" = 'app.plain'::regclass), 'column_missing', 'a renamed column is seen'
);
select throws_ok(
  $$insert into app.plain (id, owner_id, name, kind) values ('4', 'b0000000-0000-4000-8000-000000000001', 'x', 'b')$$,
  '42703', null, 'and lets nothing pass'
);
select lives_ok($$select billing.attach_quota('app.plain', 'owner_id', 'message')$$, 'until it is attached again');
drop view app.looking;
drop table app.plain;
select is((select count(*) from billing.attached_quotas where status = 'table_dropped'), 1::bigint, 'a table may be dropped');
select lives_ok($$select billing.attach_quota('app."Chat Lines"', 'author', 'message')$$, 'and is forgotten');
select is((select count(*) from billing.attached_quotas where status <> 'attached'), 0::bigint, 'by the next call');

-- Only the owner of the database.

select ok(
  not has_function_privilege(r.role, 'billing.attach_quota(regclass, name, text, text)', 'execute')
    and not has_function_privilege(r.role, 'billing.detach_quota(regclass)', 'execute')
    and not has_table_privilege(r.role, 'billing.quota_gates', 'select, insert, update, delete')
    and not has_table_privilege(r.role, 'billing.attached_quotas', 'select'),
  r.role || ' neither attaches nor detaches, nor sees what is'
)
from (values ('authenticated'), ('anon'), ('service_role')) r (role);
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select throws_ok(
  $$select billing.detach_quota('app."Chat Lines"')$$, '42501', null, 'so a client cannot open the gate'
);
reset role;

-- The owner is of the parent: the pattern of docs/adopt.md.

create table app.rooms (
  id bigint generated always as identity primary key,
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade
);
create table app.posts (
  id bigint generated always as identity primary key,
  room_id bigint not null references app.rooms (id) on delete cascade,
  body text not null
);
alter table app.rooms enable row level security;
alter table app.posts enable row level security;
grant select, insert, update on app.rooms, app.posts to authenticated;
create policy "Owners have rooms" on app.rooms for all to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy "Owners post in their rooms" on app.posts for all to authenticated
  using (exists (select from app.rooms r where r.id = room_id and r.user_id = (select auth.uid())))
  with check (exists (select from app.rooms r where r.id = room_id and r.user_id = (select auth.uid())));
insert into app.rooms (user_id) values
  ('a0000000-0000-4000-8000-000000000001'), ('b0000000-0000-4000-8000-000000000001');
insert into app.posts (room_id, body) select id, 'before' from app.rooms;

alter table app.rooms add unique (user_id, id);
alter table app.posts add column user_id uuid;
update app.posts p set user_id = r.user_id from app.rooms r where r.id = p.room_id;
alter table app.posts
  alter column user_id set not null,
  add foreign key (user_id, room_id) references app.rooms (user_id, id) on delete cascade;
create function app.own_post() returns trigger language plpgsql set search_path = '' as $$
begin
  new.user_id := (select r.user_id from app.rooms r where r.id = new.room_id);
  return new;
end;
$$;
create trigger posts_before_insert_own before insert on app.posts for each row execute function app.own_post();
select lives_ok($$select billing.attach_quota('app.posts', 'user_id', 'tool')$$, 'a table whose owner is of its parent');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select lives_ok(
  $$insert into app.posts (room_id, body) select r.id, 'hello' from app.rooms r$$, 'posts need not name their owner'
);
select is(pg_temp.used(auth.uid(), 'tool'), 1::bigint, 'who is counted');
select throws_ok(
  $$insert into app.posts (room_id, body, user_id)
    select max(r.id) + 1, 'hello', 'b0000000-0000-4000-8000-000000000001' from app.rooms r$$,
  null, null, 'a post in a stranger''s room is refused'
);
reset role;
select is(pg_temp.used('b0000000-0000-4000-8000-000000000001', 'tool'), 3::bigint, 'and the stranger pays nothing');
select throws_ok(
  $$update app.posts p set room_id = r.id, user_id = r.user_id from app.rooms r
    where r.user_id = 'b0000000-0000-4000-8000-000000000001'$$,
  '23000', null, 'it cannot move to another owner''s room either'
);

select * from finish();
rollback;
