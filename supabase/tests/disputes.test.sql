begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

-- Ada sells, Bob has bought.
select public.begin_seller('a0000000-0000-4000-8000-000000000001', 'Ada', 'DE');
create temporary table ada as
select id from public.sellers where user_id = 'a0000000-0000-4000-8000-000000000001';
select public.link_seller_account(id, 'acct_disputed') from ada;
select public.apply_seller_snapshot('acct_disputed', public.next_sync_token(), '{"transfers_status": "active"}');
insert into public.listings (id, seller_id, title, price_minor, currency, status, version, published_at)
select '10000000-0000-4000-8000-0000000000d1', id, 'A careful lawyer', 1000, 'usd', 'published', 1, now() from ada;
create temporary table mine as
select (public.begin_purchase('b0000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-0000000000d1')
  ->> 'purchase_id')::uuid as id;

create function pg_temp.apply(p_also jsonb) returns jsonb language sql as $$
  select public.apply_purchase_snapshot(m.id, public.next_sync_token(), jsonb_build_object(
    'session_status', 'complete', 'payment_status', 'paid', 'charge_id', 'ch_disputed',
    'charges', '[{"id": "ch_disputed", "amount_minor": 1000, "currency": "usd", "status": "succeeded"}]'::jsonb
  ) || p_also) from mine m;
$$;
create function pg_temp.disputed(p_status text, p_id text default 'dp_1') returns jsonb language sql as $$
  select pg_temp.apply(jsonb_build_object('disputes', jsonb_build_array(jsonb_build_object(
    'id', p_id, 'charge_id', 'ch_disputed', 'amount_minor', 1000, 'currency', 'usd', 'status', p_status))));
$$;
create function pg_temp.refunded(p_amount bigint) returns jsonb language sql as $$
  select pg_temp.apply(jsonb_build_object('refunds', jsonb_build_array(jsonb_build_object(
    'id', 're_disputed', 'charge_id', 'ch_disputed', 'amount_minor', p_amount, 'status', 'succeeded'))));
$$;
-- What there is to do, and nobody else's.
create function pg_temp.work() returns table (line text) language sql as $$
  update billing.purchase_disputes set next_attempt_at = now() where purchase_id = (select id from mine);
  select action || ' ' || amount_minor from public.dispute_work(1000) where purchase_id = (select id from mine);
$$;
create function pg_temp.problems() returns table (kind text) language sql as $$
  select kind from billing.problems where subject like 'dp\__' and resolved_at is null order by kind;
$$;

select no_plan();

-- Won before anybody had taken anything back.
select pg_temp.disputed('won');
select results_eq('select * from pg_temp.work()', array['settle 1000'], 'a dispute first heard of as won is looked up at Stripe');
select is_empty('select * from public.dispute_work(1000) where dispute_id = ''dp_1''', 'by one at a time');
select public.note_dispute_work('dp_1', 'reversed', null, 0);
select is_empty('select * from pg_temp.work()', 'nothing was taken back, so nothing is paid again');
select public.note_dispute_work('dp_1', 'reversed', null, 800);
select results_eq('select * from pg_temp.work()', array['pay 800'], 'what somebody slow took back after all is');
select public.note_dispute_work('dp_1', 'paid_back', null, 800);
select is_empty('select * from pg_temp.work()', 'once');

-- Refunds after it was paid again.
select pg_temp.refunded(400);
select results_eq('select * from pg_temp.work()', array['share 1000'], 'a refund after that asks for its part of it');
select public.note_dispute_work('dp_1', 'shared', null, 400);
select is_empty('select * from pg_temp.work()', 'once');
select is(transfer_state, 'paid_back', 'it stays paid') from billing.purchase_disputes where id = 'dp_1';
select pg_temp.refunded(1000);
select results_eq('select * from pg_temp.work()', array['share 1000'], 'and so does the next');
select public.note_dispute_work('dp_1', 'shared', null, 1000);

-- Taken back, and then nobody lived, or Stripe refused something.
select pg_temp.refunded(0);
select pg_temp.disputed('needs_response', 'dp_2');
select results_eq('select * from pg_temp.work()', array['reverse 1000'], 'an open dispute takes the share back');
select public.note_dispute_work('dp_2', null, 'the answer was lost');
select pg_temp.disputed('won', 'dp_2');
select results_eq('select * from pg_temp.work()', array['settle 1000'], 'won meanwhile, Stripe is asked whether it was');
select public.note_dispute_work('dp_2', 'failed', 'refused');
select results_eq('select * from pg_temp.problems()', array['reversal_failed'], 'what fails for good is an operator''s');
select results_eq('select * from pg_temp.work()', array['settle 1000'], 'but a win is looked up all the same');
select public.note_dispute_work('dp_2', 'reversed', 'the fee is not given back', 1000);
select results_eq('select * from pg_temp.problems()', array['fee_refund_failed'],
  'a fee that Stripe does not give back is an operator''s, and the other is over');
select results_eq('select * from pg_temp.work()', array['pay 1000'], 'all of it is paid again then');
select public.note_dispute_work('dp_2', 'failed', 'the account is closed');
select is_empty('select * from pg_temp.work()', 'what cannot be paid again is not asked for ever');
select results_eq('select * from pg_temp.problems()', array['fee_refund_failed', 'reversal_failed'], 'but told');
select billing.retry_dispute('dp_2');
select results_eq('select * from pg_temp.work()', array['pay 1000'], 'an operator may have it tried once more');
select public.note_dispute_work('dp_2', null, 'still closed');
select is(attempts > 1, true, 'under another key') from billing.purchase_disputes where id = 'dp_2';
select throws_ok($$select billing.retry_dispute('dp_1')$$, 'P0002', null, 'nothing else is tried again');

-- Lost: what was taken back stays so, and what could not be is borne.
select pg_temp.disputed('needs_response', 'dp_3');
select public.note_dispute_work('dp_3', 'failed', 'the account is closed');
select pg_temp.disputed('lost', 'dp_3');
select is_empty('select * from pg_temp.work() where line <> ''pay 1000''', 'a lost one asks for nothing after that');
select throws_like($$select public.note_dispute_work('dp_3', 'forgotten')$$, '%p_done is none of%', 'nor can it be noted otherwise');

-- Money that was settled in another currency.
create temporary table posted as select count(*) as n from billing.ledger_transactions;
select pg_temp.apply('{"facts": [
  {"source": "ch_disputed", "kind": "charge", "amount_minor": 1100, "fee_minor": 62, "currency": "eur",
    "settlement_currency": "eur", "occurred_at": "2026-11-20T10:00:00Z"},
  {"source": "tr_disputed", "kind": "transfer", "amount_minor": 1000, "currency": "usd",
    "settlement_currency": "eur", "occurred_at": "2026-11-20T10:00:00Z"}]}');
select is((select count(*) from billing.ledger_transactions), n, 'is not posted, not even the part that looks right') from posted;
select results_eq($$select subject from billing.problems where kind = 'ledger_currency' and subject like '%disputed' order by 1$$,
  array['ch_disputed', 'tr_disputed'], 'but told');
select is(pg_temp.apply('{"facts": [{"source": "ch_disputed", "kind": "charge", "amount_minor": 1000, "fee_minor": 59,
  "currency": "usd", "occurred_at": "2026-11-20T10:00:00Z"}]}') ->> 'problem', null, 'the sale''s own currency');
select is((select count(*) from billing.ledger_transactions), n + 1, 'is') from posted;
select is((select l.status from licences l where l.purchase_id = m.id), 'revoked', 'and the licence is what the payment makes it') from mine m;

select * from finish();
rollback;
