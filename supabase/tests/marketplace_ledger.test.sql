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
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test'),
  ('c0000000-0000-4000-8000-000000000001', 'cy@tollgate.test');

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

-- An empty marketplace, until the rollback. Whoever owns the ledger has to take its triggers off to empty it.
alter table billing.ledger_accounts disable trigger user;
alter table billing.ledger_transactions disable trigger user;
alter table billing.ledger_entries disable trigger user;
truncate public.sellers, public.listings, public.purchases, billing.ledger_accounts, billing.ledger_transactions,
  billing.ledger_entries cascade;
alter table billing.ledger_accounts enable trigger user;
alter table billing.ledger_transactions enable trigger user;
alter table billing.ledger_entries enable trigger user;
delete from billing.problems;
delete from billing.stripe_events;

-- Ada sells, Bob buys, Cy is a stranger.
create function pg_temp.ada() returns uuid language sql immutable as $$select 'a0000000-0000-4000-8000-000000000001'::uuid$$;
create function pg_temp.bob() returns uuid language sql immutable as $$select 'b0000000-0000-4000-8000-000000000001'::uuid$$;
create function pg_temp.cy() returns uuid language sql immutable as $$select 'c0000000-0000-4000-8000-000000000001'::uuid$$;
create function pg_temp.listing() returns uuid language sql immutable as $$select '10000000-0000-4000-8000-000000000001'::uuid$$;
create function pg_temp.agent() returns uuid language sql immutable as $$select '20000000-0000-4000-8000-000000000001'::uuid$$;
grant execute on function pg_temp.ada(), pg_temp.bob(), pg_temp.cy(), pg_temp.listing(), pg_temp.agent() to public;

-- Ada's listing, published; Bob has a customer at Stripe.
select public.begin_seller(pg_temp.ada(), 'Ada', 'DE');
select public.link_seller_account((select id from sellers), 'acct_ada');
select public.apply_seller_snapshot('acct_ada', public.next_sync_token(), '{"transfers_status": "active"}');
insert into public.agents (id, user_id, name, instructions) values
  (pg_temp.agent(), pg_temp.ada(), 'Lawyer', 'SECRET: quote the statute first.');
insert into public.listings (id, seller_id, agent_id, title, price_minor, currency)
values (pg_temp.listing(), (select id from sellers), pg_temp.agent(), 'A careful lawyer', 1000, 'usd');
select pg_temp.become('authenticated', pg_temp.ada());
select public.publish_listing(pg_temp.listing());
reset role;
select public.link_customer(pg_temp.bob(), 'cus_bob');

create function pg_temp.buy(p_listing_id uuid default pg_temp.listing(), p_user_id uuid default pg_temp.bob()) returns uuid
language sql as $$
  select (public.begin_purchase(p_user_id, p_listing_id) ->> 'purchase_id')::uuid;
$$;

-- What Stripe says of a payment of this purchase, and what is given beside it.
create function pg_temp.said(p_purchase_id uuid, p_also jsonb default '{}') returns jsonb
language sql as $$
  select jsonb_build_object(
    'session_status', 'complete', 'payment_status', 'paid', 'charge_id', 'ch_' || left(p_purchase_id::text, 8),
    'payment_intent_id', 'pi_' || left(p_purchase_id::text, 8), 'receipt_url', 'https://receipt.test/1',
    'charges', jsonb_build_array(jsonb_build_object(
      'id', 'ch_' || left(p_purchase_id::text, 8), 'amount_minor', p.amount_minor, 'status', 'succeeded', 'created', now()
    ))
  ) || p_also
  from public.purchases p where p.id = p_purchase_id;
$$;

create function pg_temp.apply(p_purchase_id uuid, p_also jsonb default '{}') returns jsonb
language sql as $$
  select public.apply_purchase_snapshot(p_purchase_id, public.next_sync_token(), pg_temp.said(p_purchase_id, p_also));
$$;

create function pg_temp.refund(p_purchase_id uuid, p_amount bigint, p_status text default 'succeeded') returns jsonb
language sql as $$
  select jsonb_build_object('refunds', jsonb_build_array(jsonb_build_object(
    'id', 're_' || left(p_purchase_id::text, 8), 'charge_id', 'ch_' || left(p_purchase_id::text, 8), 'amount_minor', p_amount, 'status', p_status)));
$$;

create function pg_temp.dispute(p_purchase_id uuid, p_status text) returns jsonb
language sql as $$
  select jsonb_build_object('disputes', jsonb_build_array(jsonb_build_object(
    'id', 'dp_1', 'charge_id', 'ch_' || left(p_purchase_id::text, 8), 'amount_minor', 1000, 'status', p_status,
    'reason', 'fraudulent')));
$$;

create function pg_temp.fact(p_source text, p_kind text, p_amount bigint, p_fee bigint default null) returns jsonb
language sql as $$
  select jsonb_strip_nulls(jsonb_build_object('source', p_source, 'kind', p_kind, 'amount_minor', p_amount,
    'fee_minor', p_fee, 'currency', 'usd', 'occurred_at', '2026-11-20T10:00:00Z'));
$$;

create function pg_temp.licence(p_purchase_id uuid) returns text
language sql as $$select status || coalesce(' ' || reason, '') from public.licences where purchase_id = p_purchase_id$$;

select no_plan();

-- The ledger: exactly once, in balance, for ever.

create function pg_temp.balances() returns table (line text) language sql as $$
  select kind || ' ' || balance_minor from billing.ledger_balances where balance_minor <> 0 order by kind;
$$;
create function pg_temp.facts(variadic p_facts jsonb[]) returns jsonb language sql as $$
  select jsonb_build_object('facts', to_jsonb(p_facts));
$$;

create temporary table mine as select pg_temp.buy() as id;
create temporary table sale as select pg_temp.facts(
  pg_temp.fact('ch_1', 'charge', 1000, 59), pg_temp.fact('tr_1', 'transfer', 1000), pg_temp.fact('fee_1', 'application_fee', 200)
) as doc;
select is(pg_temp.apply(m.id, s.doc) ->> 'licence', 'active', 'a sale is posted') from mine m, sale s;
select results_eq('select * from pg_temp.balances()',
  array['buyers -1000', 'creator 800', 'platform 141', 'stripe_fees 59'], 'to the accounts it touches');
select is((select sum(balance_minor) from billing.ledger_balances), 0::numeric, 'the whole comes to zero');
set constraints all immediate;
select pass('and every transaction of it');
set constraints all deferred;
select is(pg_temp.apply(m.id, s.doc) ->> 'applied', 'true', 'again') from mine m, sale s;
select is(apply_purchase_snapshot(m.id, 1, s.doc) ->> 'applied', 'false', 'or late') from mine m, sale s;
select is((select count(*) from billing.ledger_transactions), 3::bigint, 'it is posted once');
select is(apply_purchase_snapshot(m.id, 1, pg_temp.facts(pg_temp.fact('re_1', 'refund', 400),
  pg_temp.fact('trr_1', 'transfer_reversal', 400), pg_temp.fact('fr_1', 'fee_refund', 80))) ->> 'applied', 'false',
  'what an old snapshot knows of money') from mine m;
select results_eq('select * from pg_temp.balances()',
  array['buyers -1000', 'creator 480', 'platform 61', 'refunds 400', 'stripe_fees 59'], 'is posted all the same');

-- What does not agree.
select pg_temp.apply(m.id, pg_temp.facts(pg_temp.fact('ch_1', 'charge', 1001, 59))) from mine m;
select pg_temp.apply(m.id, pg_temp.facts(pg_temp.fact('tr_1', 'fee_refund', 1000))) from mine m;
select pg_temp.apply(m.id, pg_temp.facts(pg_temp.fact('xx_1', 'gift', 1000))) from mine m;
select pg_temp.apply(m.id, pg_temp.facts(pg_temp.fact('xx_2', 'charge', -1000))) from mine m;
select pg_temp.apply(m.id, pg_temp.facts(pg_temp.fact('xx_3', 'transfer', 10) || '{"seller_account": "acct_other"}')) from mine m;
select results_eq(
  $$select kind, subject from billing.problems where kind like 'ledger%' order by 2$$,
  $$values ('ledger_mismatch', 'ch_1'), ('ledger_mismatch', 'tr_1'), ('ledger_not_understood', 'xx_1'),
    ('ledger_not_understood', 'xx_2'), ('ledger_mismatch', 'xx_3')$$, 'what contradicts is a problem'
);
select is((select count(*) from billing.ledger_transactions), 6::bigint, 'and not posted');

-- Nobody changes it.
set constraints all immediate;
select throws_ok('update billing.ledger_entries set amount_minor = amount_minor + 1', '23000', null, 'no entry changes');
select throws_ok('delete from billing.ledger_entries', '23000', null, 'nor goes');
select throws_ok('truncate billing.ledger_entries', '23000', null, 'nor all of them');
select throws_ok('update billing.ledger_transactions set kind = kind', '23000', null, 'no transaction changes');
select throws_ok('delete from billing.ledger_transactions', '23000', null, 'nor goes');
select throws_ok('truncate billing.ledger_transactions cascade', '23000', null, 'nor all of them');
select throws_ok('delete from billing.ledger_accounts', '23000', null, 'nor an account');
select throws_ok('truncate billing.ledger_accounts cascade', '23000', null, 'nor all of them');

-- Nobody posts what is not in balance.
create function pg_temp.post(p_entries text) returns void language plpgsql as $$
begin
  set constraints all deferred;
  insert into billing.ledger_transactions (source, kind, amount_minor, currency, occurred_at)
  values ('hand', 'refund', 1, 'usd', now());
  execute format('insert into billing.ledger_entries (transaction_id, account_id, amount_minor)
    select t.id, a.id, e.amount from billing.ledger_transactions t, (values %s) e (kind, currency, amount)
    join billing.ledger_accounts a on a.kind = e.kind and a.currency = e.currency where t.source = ''hand''', p_entries);
  set constraints all immediate;
end;
$$;
insert into billing.ledger_accounts (kind, currency) values ('refunds', 'eur');
select throws_ok($$select pg_temp.post('(''refunds'', ''usd'', 5), (''platform'', ''usd'', -4)')$$, '23000', null,
  'a transaction that does not sum to zero is refused');
select throws_ok($$select pg_temp.post('(''refunds'', ''eur'', 5), (''platform'', ''usd'', -5)')$$, '23000', null,
  'or that is in two currencies');
select throws_ok($$select pg_temp.post('(''refunds'', ''usd'', 5)')$$, '23000', null, 'or has one side');
select throws_ok($$insert into billing.ledger_transactions (source, kind, amount_minor, currency, occurred_at)
  values ('hand', 'refund', 1, 'usd', now())$$, '23000', null, 'or none');
select throws_ok($$select pg_temp.post('(''refunds'', ''usd'', 0), (''platform'', ''usd'', 0)')$$, '23514', null,
  'or moves nothing');
select lives_ok($$select pg_temp.post('(''refunds'', ''usd'', 5), (''platform'', ''usd'', -5)')$$, 'one in balance is posted');
select throws_ok($$insert into billing.ledger_transactions (source, kind, amount_minor, currency, occurred_at)
  values ('hand', 'refund', 1, 'usd', now())$$, '23505', null, 'once');
set constraints all deferred;

-- Disputes and payouts.
select pg_temp.apply(m.id, pg_temp.facts(pg_temp.fact('txn_1', 'dispute', -600, 1500), pg_temp.fact('txn_2', 'dispute', 600))) from mine m;
select results_eq('select * from pg_temp.balances()',
  array['buyers -1000', 'creator 480', 'platform -1444', 'refunds 405', 'stripe_fees 1559'], 'a dispute costs its fee');
select apply_seller_snapshot('acct_ada', next_sync_token(), '{"transfers_status": "active", "payouts": [
  {"id": "po_1", "amount_minor": 480, "currency": "usd", "status": "paid", "created": "2026-11-21T00:00:00Z"},
  {"id": "po_2", "amount_minor": 100, "currency": "usd", "status": "failed", "created": "2026-11-21T00:00:00Z"}]}');
select is((select balance_minor from billing.ledger_balances where kind = 'creator'), 0::bigint, 'a payout empties the account');
select apply_seller_snapshot('acct_ada', 1, '{"payouts": [
  {"id": "po_1", "amount_minor": 480, "currency": "usd", "status": "failed", "created": "2026-11-21T00:00:00Z"}]}');
select is((select balance_minor from billing.ledger_balances where kind = 'creator'), 480::bigint, 'one that fails later comes back');
select pg_temp.apply(m.id, pg_temp.facts(pg_temp.fact('re_2', 'refund', 600), pg_temp.fact('trr_2', 'transfer_reversal', 600))) from mine m;
select is((select balance_minor from billing.ledger_balances where kind = 'creator'), -120::bigint,
  'a refund after the payout leaves a debt');
select pg_temp.become('authenticated', pg_temp.ada());
select is(
  my_seller() -> 'currencies',
  '[{"currency": "usd", "balance_minor": -120, "earned_minor": -120, "paid_out_minor": 0, "sales": 1}]',
  'that the creator sees'
);
select results_eq(
  $$select day, sales, gross_minor, earned_minor from my_earnings('2026-11-01', '2026-11-30', 'usd')$$,
  $$values ('2026-11-20'::date, 1::bigint, 1000::bigint, -120::bigint)$$, 'day by day'
);
select results_eq('select id, status from my_payouts() order by 1', $$values ('po_1', 'failed'), ('po_2', 'failed')$$, 'and the payouts');
select pg_temp.become('authenticated', pg_temp.cy());
select is(my_seller(), null, 'a stranger is no creator');
select is((select count(*) from my_payouts()), 0::bigint, 'and sees nobody''s payouts');
reset role;

-- The house has no connected account.
insert into listings (id, title, category, price_minor, currency, status, version, published_at)
values ('10000000-0000-4000-8000-000000000002', 'A template', 'template', 500, 'usd', 'published', 1, now());
create temporary table house as select pg_temp.buy('10000000-0000-4000-8000-000000000002') as id;
select is(purchase_terms(h.id) ->> 'destination', null, 'a purchase of the house goes to nobody else') from house h;
select is((purchase_terms(h.id) ->> 'fee_minor')::integer, 0, 'without a fee') from house h;
select pg_temp.apply(h.id, pg_temp.facts(pg_temp.fact('ch_h', 'charge', 500, 45), pg_temp.fact('tr_h', 'transfer', 500))) from house h;
select is((select count(*) from billing.ledger_transactions where purchase_id = h.id), 1::bigint, 'a transfer of it is none') from house h;
select is((select count(*) from billing.problems where subject = 'tr_h'), 1::bigint, 'but a problem');

-- Refund requests.
create temporary table request as select billing.refund_purchase(h.id, 200, 'not as described') as id from house h;
select throws_ok(format($$select billing.refund_purchase(%L, 301)$$, h.id), '23514', null, 'no more than is left can be asked back')
from house h;
select throws_ok(format($$select billing.refund_purchase(%L, 0)$$, h.id), '23514', null, 'nor nothing') from house h;
create temporary table rest as select billing.refund_purchase(h.id) as id from house h;
select is((select amount_minor from billing.refund_requests q where q.id = r.id), 300::bigint, 'the rest is a number') from rest r;
select throws_ok(format($$select billing.refund_purchase(%L)$$, h.id), '23514', null, 'and then nothing is left') from house h;
select is((select count(*) from lease_refunds(10)), 2::bigint, 'they are leased');
select is((select count(*) from lease_refunds(10)), 0::bigint, 'to one worker');
select refund_sent(id, 're_h') from request;
select refund_failed(id, 'no', false) from rest;
select results_eq('select status, attempts from billing.refund_requests order by amount_minor',
  $$values ('sent', 0), ('pending', 1)$$, 'one is sent, the other waits');
select refund_failed(id, 'no such charge', true) from rest;
select is((select count(*) from billing.problems where kind = 'refund_failed'), 1::bigint, 'until it fails for good');
select is(billing.refundable('ch_' || left(h.id::text, 8)), 300::bigint, 'which frees the rest') from house h;

-- Disputes: the creator's share.
delete from billing.problems;
create temporary table other as select pg_temp.buy(p_user_id => pg_temp.cy()) as id;
select pg_temp.apply(o.id, pg_temp.dispute(o.id, 'needs_response')) from other o;
select throws_ok(format($$select billing.refund_purchase(%L)$$, o.id), '55000', null, 'what is disputed is not refunded') from other o;
select results_eq('select dispute_id, action, amount_minor, destination from dispute_work(10)',
  $$values ('dp_1', 'reverse', 1000::bigint, 'acct_ada')$$, 'the share is taken back');
select is((select count(*) from dispute_work(10)), 0::bigint, 'by one worker');
select note_dispute_work('dp_1', p_error => 'try later');
update billing.purchase_disputes set next_attempt_at = now();
select is((select attempts from dispute_work(10)), 1, 'and tried again');
select note_dispute_work('dp_1', 'reversed', p_amount_minor => 800);
select is((select count(*) from dispute_work(10)), 0::bigint, 'then it waits');
select pg_temp.apply(o.id, pg_temp.dispute(o.id, 'won')) from other o;
select results_eq('select action, amount_minor from dispute_work(10)', $$values ('pay', 800::bigint)$$, 'won, it is paid again');
select note_dispute_work('dp_1', 'paid_back');
update billing.purchase_disputes set next_attempt_at = now();
select is((select count(*) from dispute_work(10)), 0::bigint, 'once');
select results_eq('select status, transfer_state from billing.disputes', $$values ('won', 'paid_back')$$, 'operators see them all');
update billing.purchase_disputes set transfer_state = 'none', status = 'lost';
select note_dispute_work('dp_1', 'failed', 'the account is closed');
select results_eq('select kind, subject from billing.problems', $$values ('reversal_failed', 'dp_1')$$, 'a share that is lost is told');
select is((select count(*) from dispute_work(10)), 0::bigint, 'and not tried for ever');

-- The check.
select results_eq('select account, currency, balance, transferred, reversed, fees, fee_refunds, paid_out from seller_ledger()',
  $$values ('acct_ada', 'usd', -120::bigint, 1000::bigint, 1000::bigint, 200::bigint, 80::bigint, 0::bigint)$$,
  'the creators'' accounts are told to the check');
select is((select sum(balance) from platform_ledger()), 0::numeric, 'and everything together is zero');
select is(note_ledger_check('acct_ada', 'usd', -120, -119), -1::bigint, 'a drift');
select is((select details ->> 'drift_minor' from billing.problems where kind = 'ledger_drift' and resolved_at is null), '-1', 'is told');
select is(note_ledger_check('acct_ada', 'usd', -120, -120), 0::bigint, 'when it is gone');
select is((select count(*) from billing.problems where kind = 'ledger_drift' and resolved_at is null), 0::bigint, 'that as well');

-- What an account owes is taken from the creator's bank, by a payout below zero.
select is(
  apply_seller_snapshot('acct_ada', next_sync_token(), '{"transfers_status": "restricted", "payouts": [
    {"id": "po_3", "amount_minor": -120, "currency": "usd", "status": "paid", "created": "2026-11-22T00:00:00Z"}]}')
    ->> 'status', 'paused', 'a payout below zero keeps nothing from being applied'
);
select is((select balance_minor from billing.ledger_balances where kind = 'creator'), 0::bigint, 'and settles the debt');
select apply_seller_snapshot('acct_ada', next_sync_token(), '{"transfers_status": "active"}');

-- Events have one subject, and its snapshot settles them.
select is(receive_stripe_event('evt_p', 'charge.refunded', now(), '{}', null, 'cus_bob', m.id, 'acct_ada'), 'new', 'an event') from mine m;
select receive_stripe_event('evt_a', 'payout.paid', now(), '{}', p_stripe_customer_id => 'cus_bob', p_stripe_account_id => 'acct_ada');
select receive_stripe_event('evt_c', 'invoice.paid', now(), '{}', p_stripe_customer_id => 'cus_bob');
select results_eq(
  $$select id, stripe_customer_id is not null, purchase_id is not null, stripe_account_id is not null
    from billing.stripe_events order by id$$,
  $$values ('evt_a', false, false, true), ('evt_c', true, false, false), ('evt_p', false, true, false)$$,
  'is of its narrowest subject'
);
select apply_customer_snapshot('cus_bob', next_sync_token(), '[]');
select results_eq($$select id from billing.stripe_events where status = 'pending' order by 1$$, array['evt_a', 'evt_p'],
  'a customer''s snapshot settles the customer''s');
update billing.stripe_events set next_attempt_at = now() where status = 'pending';
select results_eq('select id, purchase_id is not null, stripe_account_id from due_stripe_events(10) order by 1',
  $$values ('evt_a', false, 'acct_ada'), ('evt_p', true, null)$$, 'the others are due');
select pg_temp.apply(m.id) from mine m;
select apply_seller_snapshot('acct_ada', next_sync_token(), '{"transfers_status": "active"}');
select is((select count(*) from billing.stripe_events where status = 'pending'), 0::bigint, 'until theirs came');

select * from finish();
rollback;
