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

-- Events about one customer are worked off by one worker, and covered by any fetch that began after them.

create function pg_temp.receive(p_id text) returns text
language sql as $$
  select public.receive_stripe_event(p_id, 'invoice.paid', now(), '{}', null, 'cus_tada');
$$;
create function pg_temp.states() returns text
language sql security definer as $$
  select string_agg(right(id, 2) || ' ' || status, ', ' order by id) from billing.stripe_events where id ~ '^evt_t\d$';
$$;
create function pg_temp.apply(p_token bigint, p_list jsonb default '[]', p_cause text default 'snapshot') returns jsonb
language sql as $$
  select public.apply_customer_snapshot('cus_tada', p_token, p_list, '[]', p_cause);
$$;
grant execute on function pg_temp.receive(text), pg_temp.states(), pg_temp.apply(bigint, jsonb, text) to public;
create temporary table leases (name text primary key, token bigint);
grant all on leases to public;

select pg_temp.become('service_role');
select public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_tada');

-- Coverage.
select pg_temp.receive('evt_t1');
insert into leases select 'first', public.begin_sync('cus_tada');
select isnt((select token from leases where name = 'first'), null, 'the first worker gets the lease');
select is(public.begin_sync('cus_tada'), null, 'the second does not');
select pg_temp.receive('evt_t2');
select is(pg_temp.apply((select token from leases where name = 'first')) ->> 'applied', 'true', 'the snapshot is applied');
select is(pg_temp.states(), 't1 processed, t2 pending', 'and settles what came before its fetch, nothing else');
insert into leases select 'again', public.continue_sync('cus_tada', (select token from leases where name = 'first'));
select isnt((select token from leases where name = 'again'), null, 'so the worker goes on');
select is(
  public.continue_sync('cus_tada', (select token from leases where name = 'first')), null, 'under the new lease only'
);
select pg_temp.apply((select token from leases where name = 'again'));
select is(pg_temp.states(), 't1 processed, t2 processed', 'until nothing is left');
select is(public.continue_sync('cus_tada', (select token from leases where name = 'again')), null, 'and gives the lease up');
insert into leases select 'next', public.begin_sync('cus_tada');
select isnt((select token from leases where name = 'next'), null, 'for the next one');
select public.end_sync('cus_tada', (select token from leases where name = 'first'));
select is(public.begin_sync('cus_tada'), null, 'nobody ends the lease of another');
select public.end_sync('cus_tada', (select token from leases where name = 'next'));
insert into leases select 'dead', public.begin_sync('cus_tada');
reset role;
update billing.sync_state set lease_until = clock_timestamp() - interval '1 second'
where user_id = 'a0000000-0000-4000-8000-000000000001';
select pg_temp.become('service_role');
select isnt(public.begin_sync('cus_tada'), null, 'a worker that died loses it');
select throws_ok($$select public.begin_sync('cus_tnobody')$$, '23502', null, 'a customer that is not ours has no lease');

-- Replays.
select pg_temp.receive('evt_t3');
insert into leases select 'later', public.next_sync_token();
select pg_temp.apply(public.next_sync_token(), '[{"id": "sub_t1", "status": "active", "price_lookup_key": "pro_monthly"}]');
select is(pg_temp.receive('evt_t3'), 'processed', 'an event that is replayed is known');
select is(
  pg_temp.apply((select token from leases where name = 'later')) ->> 'reason', 'stale_token', 'an older fetch changes nothing'
);
reset role;
update billing.stripe_events set status = 'parked', next_attempt_at = null where id = 'evt_t3';
select billing.report_problem('event_parked', 'evt_t3');
select pg_temp.become('service_role');
select pg_temp.apply(public.next_sync_token(), '[{"id": "sub_t1", "status": "active", "price_lookup_key": "pro_monthly"}]');
select is(pg_temp.states(), 't1 processed, t2 processed, t3 processed', 'a parked event is covered too');
reset role;
select isnt((select resolved_at from billing.problems where subject = 'evt_t3'), null, 'and its problem resolved');
select is(
  (select ref -> 'events' from billing.access_log
    where user_id = 'a0000000-0000-4000-8000-000000000001' order by id desc limit 1),
  '["evt_t3"]', 'the access log names the event that brought a plan'
);
select results_eq(
  $$select ref from billing.explain_access('a0000000-0000-4000-8000-000000000001') where kind = 'event'$$,
  array['evt_t3'], 'and so does the explanation'
);

-- Reconcile.
update billing.reconcile_runs set finished_at = now() - interval '1 hour', started_at = now() - interval '1 hour'
where finished_at is null;
delete from billing.reconcile_queue;
select pg_temp.become('service_role');
create temporary table run as select public.begin_reconcile() as doc;
grant all on run to public;
select is((select doc ->> 'busy' from run), 'false', 'a run begins');
select is(public.begin_reconcile(), '{"busy": true}', 'one at a time');
select is(
  public.note_reconcile_page((select (doc ->> 'run')::bigint from run), jsonb_build_array(
    jsonb_build_object('id', 'evt_t4', 'type', 'invoice.paid', 'created', now(), 'customer', 'cus_tada', 'payload', '{}'::jsonb),
    jsonb_build_object('id', 'evt_t3', 'type', 'invoice.paid', 'created', now() - interval '1 day', 'customer', 'cus_tada', 'payload', '{}'::jsonb),
    jsonb_build_object('id', 'evt_t5', 'type', 'invoice.paid', 'created', now(), 'customer', 'cus_tforeign', 'payload', '{}'::jsonb)
  ), 'evt_t3', true), 1::bigint, 'an event that was never delivered is received, somebody else''s is not'
);
select is(
  (select array_agg(c) from public.next_reconcile_customers((select (doc ->> 'run')::bigint from run), 10) c
    where c like 'cus_t%'),
  array['cus_tada'], 'its customer is to be looked at'
);
select is(public.end_reconcile((select (doc ->> 'run')::bigint from run), false, 'stripe said 429') ->> 'finished', 'false', 'a run may stop');
select is(public.begin_reconcile() ->> 'cursor', 'evt_t3', 'and goes on where it was');
select is(
  pg_temp.apply(public.next_sync_token(),
    '[{"id": "sub_t1", "status": "canceled", "price_lookup_key": "pro_monthly"}]', 'reconcile') -> 'repeated_drifts',
  null, 'a drift found once is repaired'
);
reset role;
select results_eq(
  $$select field, ours, stripe, times from billing.drifts where stripe_customer_id = 'cus_tada' and resolved_at is null$$,
  $$values ('subscription sub_t1 status', '"active"'::jsonb, '"canceled"'::jsonb, 1)$$, 'and noted'
);
select pg_temp.become('service_role');
select is(
  pg_temp.apply(public.next_sync_token(),
    '[{"id": "sub_t1", "status": "active", "price_lookup_key": "pro_monthly"}]', 'reconcile') -> 'repeated_drifts',
  '["subscription sub_t1 status"]', 'found twice in a row it is named'
);
select is(
  pg_temp.apply(public.next_sync_token(),
    '[{"id": "sub_t1", "status": "active", "price_lookup_key": "pro_monthly"}]', 'reconcile') -> 'repeated_drifts',
  null, 'a look that finds nothing resolves it'
);
select is(
  public.compare_customer_snapshot('cus_tada', '[{"id": "sub_t2", "status": "active"}]', '[]'),
  '[{"field": "subscription sub_t1 status", "ours": "active", "stripe": null},
    {"field": "subscription sub_t2 status", "ours": null, "stripe": "active"}]', 'differences can be seen without a change'
);
select public.reconciled((select (doc ->> 'run')::bigint from run), 'cus_tada');
select is(public.end_reconcile((select (doc ->> 'run')::bigint from run), true) ->> 'finished', 'true', 'the run ends');
create temporary table next_run as select (public.begin_reconcile() ->> 'since')::bigint as since;
select ok(
  (select since from next_run) between extract(epoch from now() - interval '11 minutes')::bigint
    and extract(epoch from now())::bigint, 'the next one begins a little before it'
);

select * from finish();
rollback;
