begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

-- Ada sells and has sold to Bob; Cy has begun to.
insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test'),
  ('c0000000-0000-4000-8000-000000000001', 'cy@tollgate.test');
select public.begin_seller('a0000000-0000-4000-8000-000000000001', 'Ada', 'DE');
select public.begin_seller('c0000000-0000-4000-8000-000000000001', 'Cy', 'DE');
create temporary table ada as
select id from public.sellers where user_id = 'a0000000-0000-4000-8000-000000000001';
select public.link_seller_account(id, 'acct_compared') from ada;
insert into public.listings (id, seller_id, title, price_minor, currency, status, version, published_at)
select '10000000-0000-4000-8000-0000000000f1', id, 'A careful lawyer', 1000, 'usd', 'published', 1, now() from ada;
update public.sellers set status = 'active' where id = (select id from ada);

select no_plan();

-- Everybody with an account at Stripe.
select is_empty('select * from seller_ledger(null, 1000) where account = ''acct_compared''', 'who has sold nothing has no ledger');
select is((select count(*) from ledger_sellers(null, 1000) where account = 'acct_compared'), 1::bigint, 'and is visited all the same');
select is_empty($$select * from ledger_sellers(null, 1000) join public.sellers on id = seller_id where display_name = 'Cy'$$,
  'but nobody who has no account');
select is_empty($$select * from ledger_sellers('ffffffff-ffff-4fff-bfff-ffffffffffff', 1000)$$, 'nor anybody twice');
select throws_like('select ledger_sellers(null, 0)', '%p_limit is not%', 'a page has a size');

-- What the ledger has of each movement.
create temporary table mine as
select (public.begin_purchase('b0000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-0000000000f1')
  ->> 'purchase_id')::uuid as id;
select public.apply_purchase_snapshot(m.id, public.next_sync_token(), '{"session_status": "complete", "charge_id": "ch_compared",
  "charges": [{"id": "ch_compared", "amount_minor": 1000, "currency": "usd", "status": "succeeded"}], "facts": [
  {"source": "ch_compared", "kind": "charge", "amount_minor": 1000, "fee_minor": 59, "currency": "usd", "occurred_at": "2026-11-20T10:00:00Z"},
  {"source": "tr_compared", "kind": "transfer", "amount_minor": 1000, "currency": "usd", "occurred_at": "2026-11-20T10:00:00Z"}]}')
from mine m;
create function pg_temp.moved(p_source text, p_currency text, p_parent text, p_purchase uuid default null) returns text
language sql as $$
  select x.ledger_minor || case when x.purchase_id = (select id from mine) then ' of it' else '' end
  from public.platform_movements(jsonb_build_array(jsonb_build_object('id', 'txn_1', 'source', p_source, 'currency', p_currency,
    'parents', array_remove(array[p_parent], null), 'purchase', p_purchase))) x;
$$;
select is(pg_temp.moved('ch_compared', 'usd', null), '941 of it', 'a payment is what arrived, the fee taken off');
select is(pg_temp.moved('tr_compared', 'usd', null), '-1000 of it', 'a transfer went away');
select is(pg_temp.moved('ch_compared', 'eur', null), '0 of it', 'in another currency there is nothing');
select is(pg_temp.moved('re_unheard', 'usd', 'ch_compared'), '0 of it', 'what nobody told of is known by its payment');
select is(pg_temp.moved('trr_unheard', 'usd', 'tr_compared'), '0 of it', 'or its transfer');
select is((select pg_temp.moved('tr_unheard', 'usd', null, id) from mine), '0 of it', 'or by the purchase it names');
select is(pg_temp.moved('ch_of_a_plan', 'usd', 'ch_of_a_plan'), '0', 'what is nobody''s is nobody''s');
select throws_like($$select platform_movements('{}')$$, '%is no list%', 'and a list is a list');

-- It keeps its place, and what did not agree.
update billing.ledger_check_cursor set platform_after = null;
select is(platform_check_cursor() -> 'after', 'null', 'it begins with the first');
select ok((platform_check_cursor() ->> 'from')::bigint <= extract(epoch from now()), 'since it was installed');
select move_platform_check('txn_9');
select is(platform_check_cursor() ->> 'after', 'txn_9', 'and goes on where it stopped');
delete from billing.problems where kind = 'ledger_drift';
select is(note_ledger_check('txn_7', 'usd', 0, -33), 33::bigint, 'a movement that does not agree');
select is(note_ledger_check('acct_1:balance', 'usd', 0, 5), -5::bigint, 'beside a creator''s');
select results_eq('select drifting_movements()', array['txn_7'], 'is compared again');
select note_ledger_check('txn_7', 'usd', -33, -33);
select is_empty('select drifting_movements()', 'until it agrees');

select * from finish();
rollback;
