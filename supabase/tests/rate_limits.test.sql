begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

select no_plan();

-- now() stands still in this transaction, so a bucket fills and does not drain; time passes by moving the buckets back.

create function pg_temp.pass(p_time interval) returns void
language sql as 'update billing.rate_buckets set tat = tat - p_time';
create function pg_temp.taken(p_times integer, p_user_id uuid, p_address text default null, p_name text default 'few')
returns bigint
language sql as $$
  select count(*) from generate_series(1, p_times) where public.take_rate(p_name, p_user_id, p_address) = 0;
$$;

select isnt_empty(
  $$select from billing.rate_limits l where l.name = 'privacy' and l.scope = 'user' and l.period_seconds >= 600$$,
  'an export, which reads everything a person has, has a limit of its own'
);
delete from billing.rate_buckets;
delete from billing.rate_limits;
insert into billing.rate_limits (name, scope, burst, period_seconds) values
  ('*', 'user', 2, 60), ('few', 'user', 3, 60), ('few', 'address', 5, 60);


select is(pg_temp.taken(10, 'a0000000-0000-4000-8000-000000000001'), 3::bigint, 'a burst is admitted and nothing beyond');
select is(public.take_rate('few', 'a0000000-0000-4000-8000-000000000001'), 20, 'and it says when the next place is free: a third of the period');
select pg_temp.pass('19 seconds');
select is(public.take_rate('few', 'a0000000-0000-4000-8000-000000000001'), 1, 'not before');
select pg_temp.pass('1 second');
select is(pg_temp.taken(10, 'a0000000-0000-4000-8000-000000000001'), 1::bigint, 'then one is admitted');
select pg_temp.pass('1 hour');
select is(pg_temp.taken(10, 'a0000000-0000-4000-8000-000000000001'), 3::bigint, 'a long rest gives a burst, not more');
select is(pg_temp.taken(10, 'b0000000-0000-4000-8000-000000000001'), 3::bigint, 'another person has their own');
select is(pg_temp.taken(10, 'a0000000-0000-4000-8000-000000000001', p_name => 'other'), 2::bigint, 'another function too, with the limit of all');
select is(pg_temp.taken(10, 'a0000000-0000-4000-8000-000000000001', p_name => 'third'), 2::bigint, 'each in a bucket of its own');

-- Two scopes.
delete from billing.rate_buckets;
select is(pg_temp.taken(10, 'a0000000-0000-4000-8000-000000000001', '192.0.2.1'), 3::bigint, 'from an address a person has what they have');
select is(pg_temp.taken(10, 'b0000000-0000-4000-8000-000000000001', '192.0.2.1'), 2::bigint, 'two people of one address have together what it has');
select is(pg_temp.taken(10, 'c0000000-0000-4000-8000-000000000001', '192.0.2.2'), 3::bigint, 'another address has its own');
select is(pg_temp.taken(10, 'b0000000-0000-4000-8000-000000000001'), 1::bigint, 'what the address refused was not taken from the person');
select pg_temp.pass('60 seconds');
select is(pg_temp.taken(10, 'a0000000-0000-4000-8000-000000000001', '192.0.2.1'), 3::bigint, 'who goes on calling');
select is(pg_temp.taken(2, 'b0000000-0000-4000-8000-000000000001', '192.0.2.1'), 2::bigint, 'takes nothing from their neighbours');

-- Rows count at once.
update billing.rate_limits set burst = 100, period_seconds = 1 where name = 'few' and scope = 'user';
select is(pg_temp.taken(200, 'c0000000-0000-4000-8000-000000000001'), 100::bigint, 'a limit that is changed counts from the next call on');
delete from billing.rate_limits;
select is(public.take_rate('few', 'a0000000-0000-4000-8000-000000000001', '192.0.2.1'), 0, 'without rows there is no limit');
select throws_ok(
  $$insert into billing.rate_limits values ('few', 'user', 0, 60)$$, '23514', null, 'a limit of nothing is no limit'
);

-- What is stored.
select is_empty(
  $$select from billing.rate_buckets b where position('192.0.2' in b::text) > 0
    or position(encode('192.0.2', 'hex') in b::text) > 0$$,
  'no address is stored'
);
select isnt(
  billing.rate_bucket('few', ('few', 'address', 5, 60)::billing.rate_limits, '192.0.2.1'),
  substr(sha256('few address 5 60 192.0.2.1'), 1, 16), 'nor a hash that anybody could compute'
);
select is((select relpersistence::text from pg_class where oid = 'billing.rate_buckets'::regclass), 'u', 'and no call is written to the log');

-- Pruning.
select isnt(billing.prune_rate_buckets(), null, 'what is over is pruned');
select is_empty('select from billing.rate_buckets where tat < now()', 'all of it');
insert into billing.rate_buckets values (decode(repeat('aa', 16), 'hex'), now() - interval '1 second'),
  (decode(repeat('bb', 16), 'hex'), now() + interval '1 second');
select is(billing.prune_rate_buckets(), 1::bigint, 'and only that');

select * from finish();
rollback;
