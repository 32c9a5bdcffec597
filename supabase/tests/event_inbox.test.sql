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

select no_plan();

-- An event comes in once, is worked on until it is done, and is never lost.

create function pg_temp.receive(p_id text) returns text
language sql as $$
  select public.receive_stripe_event(
    p_id => p_id, p_type => 'customer.subscription.updated', p_created => now(),
    p_payload => '{"id": "evt"}', p_api_version => '2026-10-28.endive', p_stripe_customer_id => 'cus_tada'
  );
$$;
grant execute on function pg_temp.receive(text) to public;

create function pg_temp.event(p_id text) returns billing.stripe_events
language sql security definer as $$
  select * from billing.stripe_events where id = p_id;
$$;
grant execute on function pg_temp.event(text) to public;

create function pg_temp.due() returns text[]
language sql as $$
  select coalesce(array_agg(id order by id), '{}') from public.due_stripe_events(1000) where id like 'evt_t%';
$$;
grant execute on function pg_temp.due() to public;

select pg_temp.become('service_role');
select is(pg_temp.receive('evt_t1'), 'new', 'an event is new');
select is(pg_temp.receive('evt_t1'), 'pending', 'and then known, but not done');
select is((pg_temp.event('evt_t1')).stripe_customer_id, 'cus_tada', 'with its customer');
select is((pg_temp.event('evt_t1')).api_version, '2026-10-28.endive', 'and its version');
select is(pg_temp.due(), '{}', 'the drain leaves it to the webhook at first');
reset role;
update billing.stripe_events set next_attempt_at = now() where id = 'evt_t1';
select pg_temp.become('service_role');
select is(pg_temp.due(), array['evt_t1'], 'then it is due');
select is(pg_temp.due(), '{}', 'to one worker at a time');
select ok(
  (pg_temp.event('evt_t1')).next_attempt_at = now() + interval '2 minutes', 'for two minutes'
);

select public.finish_stripe_event('evt_t1', 'processed');
select is(pg_temp.receive('evt_t1'), 'processed', 'a processed event is known as such');
select is((pg_temp.event('evt_t1')).next_attempt_at, null, 'and not due again');
select public.fail_stripe_event('evt_t1', 'too late');
select public.finish_stripe_event('evt_t1', 'ignored');
select is((pg_temp.event('evt_t1')).status, 'processed', 'the first outcome stays');
select is((pg_temp.event('evt_t1')).attempts, 0, 'a late failure changes nothing');
select is((pg_temp.event('evt_t1')).last_error, null, 'of it');

select pg_temp.receive('evt_t2');
select public.finish_stripe_event('evt_t2', 'ignored');
select is(pg_temp.receive('evt_t2'), 'ignored', 'an event we do not use is ignored');

-- Failing.
select pg_temp.receive('evt_t3');
create function pg_temp.fail_after(p_attempts integer) returns interval
language plpgsql as $$
begin
  perform public.fail_stripe_event('evt_t3', 'attempt ' || p_attempts);
  return (pg_temp.event('evt_t3')).next_attempt_at - now();
end;
$$;
grant execute on function pg_temp.fail_after(integer) to public;
select is(pg_temp.fail_after(n), d::interval, format('after failure %s it waits %s', n, d))
from (values
  (1, '1 minute'), (2, '2 minutes'), (3, '4 minutes'), (4, '8 minutes'), (5, '16 minutes'), (6, '32 minutes'),
  (7, '64 minutes'), (8, '128 minutes'), (9, '256 minutes'), (10, '6 hours'), (11, '6 hours'), (12, null)
) as c (n, d);
select is((pg_temp.event('evt_t3')).status, 'parked', 'the twelfth failure parks it');
select is((pg_temp.event('evt_t3')).last_error, 'attempt 12', 'with the last error');
reset role;
select is(
  (select count(*) from billing.problems where kind = 'event_parked' and subject = 'evt_t3' and resolved_at is null),
  1::bigint, 'and tells an operator'
);
select pg_temp.become('service_role');
select is(pg_temp.receive('evt_t3'), 'pending', 'sent again by hand it may be tried');
select public.finish_stripe_event('evt_t3', 'processed');
select is((pg_temp.event('evt_t3')).status, 'processed', 'and done');
reset role;
select isnt(
  (select resolved_at from billing.problems where kind = 'event_parked' and subject = 'evt_t3'), null,
  'which resolves the problem'
);
select pg_temp.become('service_role');
select pg_temp.receive('evt_t4');
select public.fail_stripe_event('evt_t4', repeat('x', 5000));
select is(length((pg_temp.event('evt_t4')).last_error), 2000, 'a long error is cut');

-- Order and amount.
reset role;
update billing.stripe_events set next_attempt_at = now() - interval '1 hour' where id = 'evt_t4';
select pg_temp.become('service_role');
select pg_temp.receive('evt_t5');
reset role;
update billing.stripe_events set next_attempt_at = now() - interval '2 hours' where id = 'evt_t5';
update billing.stripe_events set next_attempt_at = 'infinity' where status = 'pending' and id not like 'evt_t%';
select pg_temp.become('service_role');
select results_eq(
  'select id, type, stripe_customer_id from public.due_stripe_events(1)',
  $$values ('evt_t5', 'customer.subscription.updated', 'cus_tada')$$, 'the longest waiting comes first'
);

-- Malformed.
select is(pg_temp.refusal(c.statement) ->> 'code', 'invalid_request', c.why)
from (values
  ($$select pg_temp.receive('')$$, 'an event without id is refused'),
  ($$select public.receive_stripe_event('evt_t9', null, now(), '{}')$$, 'and one without type'),
  ($$select public.receive_stripe_event('evt_t9', 'x', null, '{}')$$, 'and one without time'),
  ($$select public.finish_stripe_event('evt_t9', 'processed')$$, 'finishing an unknown event is a mistake'),
  ($$select public.finish_stripe_event('evt_t4', 'parked')$$, 'so is an unknown outcome'),
  ($$select public.fail_stripe_event('evt_t9', 'x')$$, 'and failing an unknown event'),
  ($$select * from public.due_stripe_events(0)$$, 'and asking for none'),
  ($$select * from public.due_stripe_events(null)$$, 'or for null')
) as c (statement, why);

-- Pruning.
reset role;
update billing.stripe_events set received_at = now() - interval '91 days' where id = 'evt_t1';
select lives_ok('select billing.prune_stripe_events()', 'old payloads are pruned');
select is((pg_temp.event('evt_t1')).payload, null, 'after 90 days');
select isnt((pg_temp.event('evt_t2')).payload, null, 'not before');
select is((pg_temp.event('evt_t1')).status, 'processed', 'the row stays, and still stops a repeat');

select * from finish();
rollback;
