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
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test'),
  ('c0000000-0000-4000-8000-000000000001', 'cy@tollgate.test');

create function pg_temp.refusal(p_statement text) returns text
language plpgsql as $$
begin
  execute p_statement;
  return null;
exception when sqlstate 'PGRST' then
  return sqlerrm::jsonb ->> 'code';
end;
$$;

create function pg_temp.bob() returns uuid language sql immutable as $$select 'b0000000-0000-4000-8000-000000000001'::uuid$$;
create function pg_temp.cy() returns uuid language sql immutable as $$select 'c0000000-0000-4000-8000-000000000001'::uuid$$;
grant execute on function pg_temp.bob(), pg_temp.cy() to public;
select public.link_customer(pg_temp.bob(), 'cus_bob');
insert into public.credit_packs (lookup_key, name, currency, price_minor, credit_minor)
values ('test_pack', 'Test pack', 'usd', 1000, 1100);
insert into public.credit_pack_currency_options (lookup_key, currency, price_minor, credit_minor)
values ('test_pack', 'eur', 900, 950);

create function pg_temp.buy(p_currency text default 'usd') returns jsonb
language sql as $$select public.begin_credit_purchase(pg_temp.bob(), 'test_pack', p_currency)$$;

-- What Stripe says of a payment of this purchase with the fact of its charge, and what is given beside it.
create function pg_temp.apply(p_purchase_id uuid, p_also jsonb default '{}') returns jsonb
language sql as $$
  select public.apply_purchase_snapshot(p_purchase_id, public.next_sync_token(), jsonb_build_object(
    'session_status', 'complete', 'payment_status', 'paid', 'customer', 'cus_bob', 'currency', p.currency,
    'amount_minor', p.amount_minor, 'charge_id', 'ch_' || left(p.id::text, 8),
    'payment_intent_id', 'pi_' || left(p.id::text, 8),
    'charges', jsonb_build_array(jsonb_build_object(
      'id', 'ch_' || left(p.id::text, 8), 'amount_minor', p.amount_minor, 'status', 'succeeded', 'created', now()
    )),
    'facts', jsonb_build_array(jsonb_build_object('source', 'ch_' || left(p.id::text, 8), 'kind', 'charge',
      'amount_minor', p.amount_minor, 'fee_minor', 59, 'currency', p.currency, 'occurred_at', now()))
  ) || p_also)
  from public.purchases p where p.id = p_purchase_id;
$$;

create function pg_temp.refund(p_purchase_id uuid, p_amount bigint) returns jsonb
language sql as $$
  select jsonb_build_object('refunds', jsonb_build_array(jsonb_build_object('id', 're_' || left(p_purchase_id::text, 8),
    'charge_id', 'ch_' || left(p_purchase_id::text, 8), 'amount_minor', p_amount, 'status', 'succeeded')));
$$;

create function pg_temp.dispute(p_purchase_id uuid, p_status text) returns jsonb
language sql as $$
  select jsonb_build_object('disputes', jsonb_build_array(jsonb_build_object('id', 'dp_' || left(p_purchase_id::text, 8),
    'charge_id', 'ch_' || left(p_purchase_id::text, 8), 'amount_minor', 1000, 'status', p_status)));
$$;

create function pg_temp.posted(p_purchase_id uuid) returns table (kind text, amount_minor bigint)
language sql as $$
  select a.kind, e.amount_minor from billing.ledger_entries e
  join billing.ledger_transactions t on t.id = e.transaction_id
  join billing.ledger_accounts a on a.id = e.account_id
  where t.purchase_id = p_purchase_id;
$$;

create function pg_temp.open_problems(p_kind text, p_purchase_id uuid) returns bigint
language sql as $$
  select count(*) from billing.problems where kind = p_kind and subject = p_purchase_id::text and resolved_at is null;
$$;

select no_plan();

-- Beginning.
create temporary table first as select doc, (doc ->> 'purchase_id')::uuid as id from (select pg_temp.buy() as doc) b;
select is(
  doc - '{purchase_id, created_at}'::text[],
  jsonb_build_object(
    'status', 'open', 'attempt', 1, 'listing_id', null, 'credit_pack', 'test_pack', 'seller_id', null,
    'buyer_id', pg_temp.bob(), 'customer', 'cus_bob', 'title', 'Test pack', 'kind', 'one_time', 'amount_minor', 1000,
    'currency', 'usd', 'fee_minor', 0, 'fee_bps', 0, 'destination', null, 'session_id', null, 'payment_intent_id', null,
    'charge_id', null, 'subscription_id', null, 'stale_session_id', null
  ), 'the purchase of a pack is the pack at this moment, and the house''s'
) from first;
select is((select credit_minor from purchases p where p.id = f.id), 1100::bigint, 'with the credit it promises') from first f;
select is(pg_temp.buy() ->> 'purchase_id', id::text, 'asked again it is the same') from first;
select is(note_purchase_session(id, 1, 'cs_pack_1'), 'cs_pack_1', 'its session is bound') from first;
select is(find_purchase(p_session => 'cs_pack_1'), id, 'and leads back') from first;
select set_eq($$select unsettled_purchases(pg_temp.bob())$$, 'select id from first', 'it is unsettled');
update purchases set due_at = now() - interval '1 minute' where credit_pack is not null;
select ok(id in (select due_purchases(1000)), 'and is looked at again without an event') from first;
select is(pg_temp.refusal($$select begin_credit_purchase(pg_temp.bob(), 'no_pack', 'usd')$$), 'price_not_found',
  'what is not there is not sold');
select is(pg_temp.refusal($$select pg_temp.buy('gbp')$$), 'currency_mismatch', 'nor in a currency it does not have');
select throws_like($$select begin_credit_purchase(null, 'test_pack', 'usd')$$, '%missing%', 'nor to nobody');
select is(doc ->> 'stale_session_id', 'cs_pack_1', 'in another currency the old session is over')
from (select pg_temp.buy('eur') as doc) b;
select results_eq('select status, holds from purchases p join first f using (id)', $$values ('expired', false)$$,
  'as the old purchase is');
select results_eq($$select amount_minor, credit_minor, currency from purchases where holds and credit_pack is not null$$,
  $$values (900::bigint, 950::bigint, 'eur')$$, 'price and credit are those of the currency');
update credit_packs set credit_minor = 1200 where lookup_key = 'test_pack';
create temporary table mine as select (pg_temp.buy() ->> 'purchase_id')::uuid as id;
update credit_packs set credit_minor = 1300 where lookup_key = 'test_pack';
drop table mine;
create temporary table mine as select (pg_temp.buy() ->> 'purchase_id')::uuid as id;
select results_eq('select credit_minor from purchases join mine using (id)', $$values (1300::bigint)$$,
  'other credit for the same price is another offer');
update credit_packs set is_active = false where lookup_key = 'test_pack';
select is(pg_temp.refusal('select pg_temp.buy()'), 'price_not_found', 'what is not on sale any more is not sold');
update credit_packs set is_active = true where lookup_key = 'test_pack';

-- Paid.
select is(pg_temp.apply(id) - 'applied', '{"status": "paid", "licence": null, "problem": null, "stale_session_id": null}',
  'it is paid, and nothing is licensed') from mine;
select is((select count(*) from licences l join mine m on m.id = l.purchase_id), 0::bigint, 'no licence is written');
select results_eq('select status, holds, due_at is null from purchases join mine using (id)', $$values ('paid', false, true)$$,
  'it holds nothing, and nothing more is expected');
select results_eq('select p.* from mine, pg_temp.posted(id) p order by 2',
  $$values ('buyers', -1000::bigint), ('stripe_fees', 59), ('platform', 941)$$, 'the money is in the ledger');
select is((pg_temp.apply(id) ->> 'status'), 'paid', 'again it is the same') from mine;
select is((select count(*) from mine, pg_temp.posted(id)), 3::bigint, 'and posted once');
create temporary table second as select (pg_temp.buy() ->> 'purchase_id')::uuid as id;
select isnt(s.id, m.id, 'the same pack may be bought again') from second s, mine m;
select is(pg_temp.apply(s.id) ->> 'status', 'paid', 'and paid again') from second s;
select is((select count(*) from billing.problems where kind = 'paid_twice' and subject in (select id::text from second)),
  0::bigint, 'which is nobody''s problem');
select is(pg_temp.apply(id) ->> 'status', 'paid', 'one that was given up is paid after all') from first;
select results_eq('select holds from purchases join first using (id)', 'values (false)', 'and still holds nothing');

-- Who sees it.
grant select on mine to public;
select pg_temp.become('authenticated', pg_temp.bob());
select results_eq('select credit_pack, credit_minor, amount_minor, status from purchases where id = (select id from mine)',
  $$values ('test_pack', 1300::bigint, 1000::bigint, 'paid')$$, 'the buyer reads the receipt');
select is_empty('select * from my_library()', 'a pack is no agent of the library');
select throws_ok($$select begin_credit_purchase(auth.uid(), 'test_pack', 'usd')$$, '42501', null, 'nobody begins by themselves');
select pg_temp.become('authenticated', pg_temp.cy());
select is((select count(*) from purchases), 0::bigint, 'a stranger reads nothing');
reset role;

-- Given back, or disputed.
select is(pg_temp.apply(id, pg_temp.refund(id, 400)) ->> 'status', 'partially_refunded', 'a part is refunded') from mine;
select is(pg_temp.open_problems('credit_partly_refunded', id), 1::bigint, 'and an operator is told') from mine;
update billing.problems set resolved_at = now() where kind = 'credit_partly_refunded';
select is(pg_temp.apply(id, pg_temp.refund(id, 400)) ->> 'status', 'partially_refunded', 'seen again') from mine;
select is(pg_temp.open_problems('credit_partly_refunded', id), 0::bigint, 'they are not told again') from mine;
select is(pg_temp.apply(id, pg_temp.refund(id, 500)) ->> 'status', 'partially_refunded', 'more of it') from mine;
select is(pg_temp.open_problems('credit_partly_refunded', id), 1::bigint, 'they are') from mine;
select is(pg_temp.apply(id, pg_temp.refund(id, 1000)) ->> 'status', 'refunded', 'all of it') from mine;
select is(pg_temp.open_problems('credit_partly_refunded', id), 0::bigint, 'and the problem is over') from mine;
select is(pg_temp.apply(id, pg_temp.dispute(id, 'needs_response')) ->> 'status', 'disputed', 'another is disputed') from second;
select is((select count(*) from dispute_work(1000) w join second s on s.id = w.purchase_id), 0::bigint,
  'nobody''s share is to be taken back');
select is(pg_temp.apply(id, pg_temp.dispute(id, 'won')) ->> 'status', 'paid', 'and won') from second;
select is(pg_temp.open_problems('credit_dispute_won', id), 1::bigint, 'somebody is to look at the credit') from second;
select is(pg_temp.apply(id, pg_temp.dispute(id, 'lost')) ->> 'status', 'lost', 'or lost') from second;
select is(pg_temp.open_problems('credit_dispute_won', id), 0::bigint, 'then there is nothing to look at') from second;
select is(pg_temp.apply(id, '{"amount_minor": 1}') ->> 'problem', 'amount', 'what does not fit is refused') from second;

-- The row says one thing.
select throws_ok($$insert into purchases (kind, title, amount_minor, currency, fee_bps, fee_minor)
  values ('one_time', 'Nothing', 1, 'usd', 0, 0)$$, '23514', null, 'a purchase of nothing is none');
select throws_ok($$insert into purchases (kind, title, amount_minor, currency, fee_bps, fee_minor, credit_pack)
  values ('one_time', 'Pack', 1, 'usd', 0, 0, 'test_pack')$$, '23514', null, 'nor is a pack without credit');
select throws_ok($$insert into purchases (buyer_id, kind, title, amount_minor, currency, fee_bps, fee_minor, credit_pack,
  credit_minor) select pg_temp.bob(), 'one_time', 'Pack', 1, 'usd', 0, 0, 'test_pack', 1 from generate_series(1, 2)$$,
  '23505', null, 'two unfinished purchases of one pack are one');

-- The buyer goes.
delete from credit_pack_currency_options where lookup_key = 'test_pack';
delete from credit_packs where lookup_key = 'test_pack';
delete from customers where user_id = pg_temp.bob();
delete from auth.users where id = pg_temp.bob();
select results_eq('select buyer_id, title from purchases join mine using (id)', $$values (null::uuid, 'Test pack')$$,
  'the purchase stays without a name, whatever became of the pack');
select is(pg_temp.apply(id) ->> 'problem', null, 'and snapshots go on') from mine;

select * from finish();
rollback;
