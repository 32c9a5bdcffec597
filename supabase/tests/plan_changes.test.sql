begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

create function pg_temp.begin_change(p_user text default 'a') returns bigint
language sql as $$
  select token from public.begin_plan_change((p_user || '0000000-0000-4000-8000-000000000001')::uuid);
$$;
create function pg_temp.end_change(p_token bigint, p_changed boolean) returns void
language sql as $$
  select public.end_plan_change('a0000000-0000-4000-8000-000000000001', p_token, p_changed);
$$;
create function pg_temp.changed_at() returns timestamptz
language sql as $$
  select changed_at from billing.plan_changes where user_id = 'a0000000-0000-4000-8000-000000000001';
$$;

select no_plan();

-- One at a time.
create temporary table held as select pg_temp.begin_change() as token;
select isnt((select token from held), null, 'the first gets the lease');
select is(pg_temp.begin_change(), null, 'the second does not');
select isnt(pg_temp.begin_change('b'), null, 'somebody else does not wait');
select pg_temp.end_change((select token from held) + 1000, true);
select is(pg_temp.begin_change(), null, 'nobody ends the lease of another');
select pg_temp.end_change((select token from held), false);
select is(pg_temp.changed_at(), null, 'nothing was changed');

-- What was changed is remembered.
update held set token = pg_temp.begin_change();
select isnt((select token from held), null, 'the next one gets it');
select pg_temp.end_change((select token from held), true);
select ok(pg_temp.changed_at() is not null, 'previews made until then are no longer true');

-- A holder that died.
update billing.plan_changes set changed_at = null;
update held set token = pg_temp.begin_change();
update billing.plan_changes set lease_until = clock_timestamp() - interval '1 second';
select isnt(pg_temp.begin_change(), null, 'loses the lease in time');
select ok(pg_temp.changed_at() is not null, 'and may have changed something');
select throws_ok(
  $$select public.begin_plan_change(null)$$, 'PGRST', null, 'a change needs a user'
);

select * from finish();
rollback;
