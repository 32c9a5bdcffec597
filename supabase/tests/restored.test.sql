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

select no_plan();

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test'),
  ('c0000000-0000-4000-8000-000000000001', 'cy@tollgate.test');
insert into public.customers (user_id, stripe_customer_id) values ('a0000000-0000-4000-8000-000000000001', 'cus_ada');

-- Of the ledger 10 were used: 3 are known to be sent, 4 wait in two rows, 3 are in no row.
insert into billing.overage_usage (stripe_customer_id, metric_id, period_start, period_end, user_id, quantity, claimed, sequence, amount_minor)
values ('cus_ada', 'message', now() - interval '10 days', now() + interval '20 days', 'a0000000-0000-4000-8000-000000000001', 10, 7, 3, 20);
insert into billing.overage_accounts (user_id, currency, period_start, period_end, spent_minor)
values ('a0000000-0000-4000-8000-000000000001', 'usd', now() - interval '10 days', now() + interval '20 days', 20);
insert into billing.usage_outbox (stripe_customer_id, metric_id, period_start, user_id, sequence, quantity, identifier,
  meter_event_name, event_time, status, sent_at)
select 'cus_ada', 'message', now() - interval '10 days', 'a0000000-0000-4000-8000-000000000001', n, q, 'ada-' || n, 'tollgate_message', now(), s, t
from (values (1, 3, 'sent', now()), (2, 1, 'pending', null), (3, 3, 'pending', null)) r (n, q, s, t);

create function pg_temp.sums() returns table (ledger bigint, claimed bigint, sent bigint, waiting bigint, spent numeric)
language sql as $$
  select s.ledger, s.claimed, s.sent, s.waiting, a.spent_minor
  from public.usage_sums('cus_ada') s join billing.overage_accounts a on a.user_id = s.user_id
$$;
create function pg_temp.stripe_says(p_quantity bigint) returns text
language sql as $$
  select public.note_usage_check('cus_ada', 'message', u.period_start, p_quantity) from billing.overage_usage u
  where u.stripe_customer_id = 'cus_ada'
$$;

select throws_like('select public.adopt_usage()', '%not held%', 'nothing is taken over while usage is reported');
select throws_like('select public.open_ledgers()', '%not held%', 'and no ledger is opened');

select is(public.hold_usage(), now(), 'usage is held back');
select is(public.hold_usage(), now(), 'once');
select throws_like('select public.claim_usage()', '%usage_held%', 'nothing is claimed');
select throws_like($$select public.claim_usage(10, 'cus_ada')$$, '%usage_held%', 'also not of one customer');
select throws_like('select public.lease_usage()', '%usage_held%', 'nothing is sent');

-- Used while it is held: known to nobody at Stripe.
update billing.overage_usage set quantity = 12, amount_minor = 24 where stripe_customer_id = 'cus_ada';
update billing.overage_accounts set spent_minor = 24 where user_id = 'a0000000-0000-4000-8000-000000000001';

-- What would become of it if Stripe said so: taken/lost, then ledger, claimed, sent, waiting.
create function pg_temp.tried(p_quantity bigint) returns text
language plpgsql as $$
declare
  v_taken text;
  v_sums record;
begin
  perform pg_temp.stripe_says(p_quantity);
  select string_agg(u.taken || '/' || u.lost, ',') into v_taken from public.adopt_usage() u;
  select * into v_sums from pg_temp.sums();
  raise exception '%', concat_ws(' ', coalesce(v_taken, 'nothing'), v_sums.ledger, v_sums.claimed, v_sums.sent, v_sums.waiting);
exception when raise_exception then
  return sqlerrm;
end;
$$;
select is(pg_temp.tried(3), 'nothing 12 7 3 4', 'when Stripe has what was sent nothing is taken over');
select is(pg_temp.tried(2), 'nothing 12 7 3 4', 'nor when it has less: that is a drift for an operator');
select is(pg_temp.tried(4), '1/0 12 7 4 3', 'one row was sent, the other waits as before');
select is(pg_temp.tried(7), '4/0 12 7 7 0', 'both were');
select is(pg_temp.tried(9), '6/0 12 9 9 0', 'and two units that were in no row; one of those and the two used since are still to be sent');

select pg_temp.stripe_says(15);
select public.open_ledgers();
select results_eq('select taken, lost from public.adopt_usage()', 'values (12::bigint, 5::bigint)', 'and what no row of ours has');
select results_eq('select * from pg_temp.sums()', $$values (17::bigint, 15::bigint, 15::bigint, 0::bigint, 34.000000)$$,
  'is in the ledger and counts for the cap; what was used while it was held is not taken for it');
select is_empty('select * from public.adopt_usage()', 'once');
select is(pg_temp.stripe_says(15), 'under_way', 'Stripe has what was sent');
select public.release_usage();
select is(public.claim_usage(10, 'cus_ada'), 1::bigint, 'usage goes on');
select results_eq(
  $$select quantity, sequence > 1000000 from billing.usage_outbox where stripe_customer_id = 'cus_ada' and status = 'pending'$$,
  'values (2::bigint, true)', 'with what was used since, under a number that nobody used');

-- Customers.
select is(public.adopt_customer('a0000000-0000-4000-8000-000000000001', 'cus_ada'), 'known', 'a customer of ours');
select is(public.adopt_customer('b0000000-0000-4000-8000-000000000001', 'cus_bob'), 'linked', 'one who became one since');
select is(public.adopt_customer('a0000000-0000-4000-8000-000000000001', 'cus_other'), 'other_customer', 'nobody gets a second one');
select is((select stripe_customer_id from public.customers where user_id = 'a0000000-0000-4000-8000-000000000001'), 'cus_ada', 'theirs stays');
select throws_ok($$select public.adopt_customer('c0000000-0000-4000-8000-000000000001', 'cus_ada')$$, '23505', null, 'nor somebody else''s');
select is(public.adopt_customer('c0000000-0000-4000-8000-00000000000f', 'cus_gone'), 'no_user', 'who is not there any more');
insert into billing.deletions (user_id) values ('c0000000-0000-4000-8000-000000000001');
select is(public.adopt_customer('c0000000-0000-4000-8000-000000000001', 'cus_cy'), 'known', 'who is leaving gets none');
select is_empty($$select from public.customers where stripe_customer_id = 'cus_cy'$$, 'indeed');
select results_eq(
  $$select kind, subject from billing.problems where kind in ('second_customer', 'customer_without_user') and subject in ('cus_other', 'cus_gone') order by 1$$,
  $$values ('customer_without_user', 'cus_gone'), ('second_customer', 'cus_other')$$, 'an operator is told');

-- Sales.
insert into public.listings (id, title, category, kind, price_minor, currency, status, version, published_at)
values ('e0000000-0000-4000-8000-000000000001', 'Help', 'agent', 'one_time', 900, 'usd', 'published', 1, now());
create function pg_temp.adopt(p_purchase uuid, p_buyer uuid, p_session text, p_listing uuid) returns text
language sql as $$ select public.adopt_purchase(p_purchase, p_buyer, p_session, p_listing, 'one_time', 900, 'usd', 0, 0) $$;
select is(pg_temp.adopt('f0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001', 'cs_1', 'e0000000-0000-4000-8000-000000000001'),
  'recreated', 'a sale is made again');
select results_eq(
  $$select buyer_id, title, amount_minor, checkout_session_id, due_at <= now() from public.purchases where id = 'f0000000-0000-4000-8000-000000000001'$$,
  $$values ('b0000000-0000-4000-8000-000000000001'::uuid, 'Help', 900::bigint, 'cs_1', true)$$, 'and is looked at at once');
select is(pg_temp.adopt('f0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001', 'cs_2', 'e0000000-0000-4000-8000-000000000001'),
  'known', 'one that is there, with a later session');
select is((select checkout_session_id from public.purchases where id = 'f0000000-0000-4000-8000-000000000001'), 'cs_2', 'gets it');
select is(pg_temp.adopt('f0000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000001', 'cs_3', 'e0000000-0000-4000-8000-000000000001'),
  'lost', 'a second one of the same thing is not');
select is(pg_temp.adopt('f0000000-0000-4000-8000-000000000003', 'b0000000-0000-4000-8000-000000000001', 'cs_4', gen_random_uuid()),
  'lost', 'nor one of a listing that is gone');
select is(pg_temp.adopt('f0000000-0000-4000-8000-000000000004', 'c0000000-0000-4000-8000-000000000001', 'cs_5', 'e0000000-0000-4000-8000-000000000001'),
  'lost', 'nor one of who is leaving');
select is((select count(*) from billing.problems where kind = 'sale_without_row'), 3::bigint, 'an operator is told of each');

-- Nobody but the secret key.
create function pg_temp.refused(p_role text) returns setof text
language plpgsql as $$
declare
  v_call text;
begin
  perform pg_temp.become(p_role, 'a0000000-0000-4000-8000-000000000001');
  foreach v_call in array array[
    'public.hold_usage()', 'public.release_usage()', 'public.open_ledgers()', 'public.adopt_usage()', 'public.catalogue_rows()',
    $q$public.adopt_customer('a0000000-0000-4000-8000-000000000001', 'cus_1')$q$, $q$public.note_catalogue_check('[]')$q$,
    $q$public.adopt_purchase(null, null, null, null, null, null, null, null, null)$q$, 'billing.claim_usage_unheld(1, null)'
  ] loop
    return next throws_like('select ' || v_call, 'permission denied%', p_role || ' may not call ' || v_call);
  end loop;
  perform set_config('role', 'postgres', true);
end;
$$;
select pg_temp.refused('authenticated');
select pg_temp.refused('anon');

select * from finish();
rollback;
