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

-- Everything the caller can read, through every table, view, and function about themselves, as one text.
create function pg_temp.readable() returns text language plpgsql as $$
declare
  v_relation record;
  v_text text;
  v_all text := '';
begin
  for v_relation in
    select c.oid::regclass as name, (
      select string_agg(quote_ident(a.attname), ', ') from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and has_column_privilege(c.oid, a.attnum, 'SELECT')
    ) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'billing') and c.relkind in ('r', 'v', 'm', 'p')
  loop
    continue when v_relation.columns is null or not has_schema_privilege('billing', 'USAGE')
      and v_relation.name::text like 'billing.%';
    execute format('select string_agg(to_jsonb(x)::text, '' '') from (select %s from %s) x', v_relation.columns, v_relation.name)
    into v_text;
    v_all := v_all || coalesce(v_text, '');
  end loop;
  select v_all || coalesce(string_agg(x::text, ' '), '') into v_text from public.search_listings() x;
  v_all := v_text;
  if current_user = 'authenticated' then
    v_all := v_all || coalesce(public.my_seller()::text, '') || public.my_entitlements()::text
      || coalesce((select string_agg(x::text, ' ') from public.my_library() x), '')
      || coalesce((select string_agg(x::text, ' ') from public.my_sales(current_date - 9, current_date + 1) x), '')
      || coalesce((select string_agg(x::text, ' ') from public.my_earnings(current_date - 9, current_date + 1, 'usd') x), '')
      || coalesce((select string_agg(x::text, ' ') from public.my_payouts() x), '');
  end if;
  return v_all;
end;
$$;
grant execute on function pg_temp.readable() to public;

-- Beginning.
create temporary table begun as select begin_purchase(pg_temp.bob(), pg_temp.listing()) as doc;
select is(
  doc - '{purchase_id, created_at, seller_id}'::text[],
  jsonb_build_object(
    'status', 'open', 'attempt', 1, 'listing_id', pg_temp.listing(), 'credit_pack', null, 'buyer_id', pg_temp.bob(), 'customer', 'cus_bob',
    'title', 'A careful lawyer', 'kind', 'one_time', 'amount_minor', 1000, 'currency', 'usd', 'fee_minor', 200,
    'fee_bps', 2000, 'destination', 'acct_ada', 'session_id', null, 'payment_intent_id', null, 'charge_id', null,
    'subscription_id', null, 'stale_session_id', null
  ), 'a purchase is the listing at this moment, and the platform''s fee'
) from begun;
select is(begin_purchase(pg_temp.bob(), pg_temp.listing()) ->> 'purchase_id', doc ->> 'purchase_id', 'asked again it is the same')
from begun;
select is(note_purchase_session((doc ->> 'purchase_id')::uuid, 1, 'cs_1'), 'cs_1', 'its session is bound') from begun;
select is(note_purchase_session((doc ->> 'purchase_id')::uuid, 1, 'cs_2'), 'cs_1', 'and of two the first') from begun;
select is(find_purchase(p_session => 'cs_1')::text, doc ->> 'purchase_id', 'and leads back') from begun;
select is(find_purchase(gen_random_uuid(), 'cs_x'), null, 'what is not ours leads nowhere');
select is(end_purchase_attempt((doc ->> 'purchase_id')::uuid, 1), 2, 'a spent session makes room for the next') from begun;
select is(end_purchase_attempt((doc ->> 'purchase_id')::uuid, 1), 2, 'once') from begun;
select is(note_purchase_session((doc ->> 'purchase_id')::uuid, 1, 'cs_1'), null, 'the old attempt binds nothing') from begun;
select is(note_purchase_session((doc ->> 'purchase_id')::uuid, 2, 'cs_2'), 'cs_2', 'the new one does') from begun;
select set_eq($$select unsettled_purchases(pg_temp.bob())$$, 'select id from purchases', 'it is unsettled');

-- Refusals.
select is(
  pg_temp.refusal($$select begin_purchase(pg_temp.ada(), pg_temp.listing())$$) ->> 'code', 'own_listing', 'nobody buys their own'
);
select is(
  pg_temp.refusal($$select begin_purchase(pg_temp.bob(), gen_random_uuid())$$) ->> 'code', 'listing_not_found',
  'nor what is not there'
);
update listings set price_minor = 1500;
create temporary table again as select begin_purchase(pg_temp.bob(), pg_temp.listing()) as doc;
select ok(
  a.doc ->> 'amount_minor' = '1500' and a.doc ->> 'stale_session_id' = 'cs_2'
    and a.doc ->> 'purchase_id' <> b.doc ->> 'purchase_id', 'at another price it is another purchase, and the old session is over'
) from again a, begun b;
select is((select status from purchases where id = (doc ->> 'purchase_id')::uuid), 'expired', 'as the old purchase is')
from begun;
select is(
  (select amount_minor from purchases where id = (doc ->> 'purchase_id')::uuid), 1000::bigint, 'whose price stays'
) from begun;
update sellers set status = 'paused', paused_reason = 'Because.';
select is(
  (pg_temp.refusal($$select begin_purchase(pg_temp.bob(), pg_temp.listing())$$) ->> 'details')::jsonb,
  '{"reason": "Because."}', 'a creator who cannot sell does not, and says why'
);
update sellers set status = 'active';
update listings set status = 'withdrawn';
select is(
  pg_temp.refusal($$select begin_purchase(pg_temp.bob(), pg_temp.listing())$$) ->> 'code', 'listing_not_available',
  'what is withdrawn is not sold'
);
update listings set status = 'published', price_minor = 1000;
select set_seller_fee from (select billing.set_seller_fee(id, 1000) from sellers) s (set_seller_fee);
create temporary table mine as select pg_temp.buy() as id;
select is((select fee_minor from purchases where id = m.id), 100::bigint, 'a creator may have a fee of their own') from mine m;

-- Payment, in the way of a card and of a bank.
create temporary table answers as select apply_purchase_snapshot(m.id, next_sync_token(),
  '{"session_status": "complete", "payment_status": "unpaid", "payment_intent_id": "pi_a",
    "charges": [{"id": "ch_a", "amount_minor": 1000, "status": "pending", "created": "2026-11-20T10:00:00Z"}]}') as doc from mine m;
select is(doc, '{"status": "processing", "licence": null, "applied": true, "problem": null, "stale_session_id": null}',
  'a slow payment is processing') from answers;
select is(
  pg_temp.refusal($$select begin_purchase(pg_temp.bob(), pg_temp.listing())$$) ->> 'code', 'purchase_processing',
  'and is not asked for twice'
);
select is((select count(*) from licences), 0::bigint, 'nothing is owned yet');
select is(apply_purchase_snapshot(m.id, next_sync_token(),
  '{"session_status": "complete", "payment_status": "unpaid",
    "charges": [{"id": "ch_a", "amount_minor": 1000, "status": "failed"}]}') ->> 'status', 'failed', 'it may fail') from mine m;
drop table mine;
create temporary table mine as select pg_temp.buy() as id;
select isnt(m.id, p.id, 'and then another purchase begins') from mine m, purchases p where p.status = 'failed';
select is(
  apply_purchase_snapshot(m.id, next_sync_token(), '{"session_status": "expired"}') ->> 'status', 'expired', 'or a session expires'
) from mine m;
drop table mine;
create temporary table mine as select pg_temp.buy() as id;
select is((select sales_count from listings), 0::bigint, 'nothing was sold so far');
select is(pg_temp.apply(m.id) ->> 'licence', 'active', 'a payment makes a licence') from mine m;
select is(pg_temp.licence(m.id), 'active', 'that is there') from mine m;
select is((select sales_count from listings), 1::bigint, 'and a sale');
select is(pg_temp.apply(m.id) ->> 'status', 'paid', 'again it is the same') from mine m;
select is((select sales_count from listings), 1::bigint, 'and counted once');
select is((select count(*) from licences), 1::bigint, 'as is the licence');
select is(apply_purchase_snapshot(m.id, 1, '{"session_status": "expired"}') ->> 'applied', 'false', 'old news change nothing')
from mine m;
select is(
  pg_temp.refusal($$select begin_purchase(pg_temp.bob(), pg_temp.listing())$$) ->> 'code', 'already_owned', 'it is bought once'
);

-- What a licence is worth, and to whom.
select pg_temp.become('authenticated', pg_temp.bob());
select is((select instructions from listing_definitions), 'SECRET: quote the statute first.', 'the buyer reads the definition');
select results_eq('select status, reason, purchase_status, amount_minor, receipt_url, copies from my_library()',
  $$values ('active', null::text, 'paid', 1000::bigint, 'https://receipt.test/1', 0::bigint)$$, 'and has it in the library');
select lives_ok($$insert into conversations (listing_id) values (pg_temp.listing())$$, 'and runs it');
select throws_ok($$insert into conversations (listing_id, agent_id) select pg_temp.listing(), pg_temp.agent()$$, '42501', null,
  'not as somebody else''s agent');
select is((clone_listing(pg_temp.listing())).name, 'Lawyer', 'and clones it');
select is(
  pg_temp.refusal('select clone_listing(pg_temp.listing())') ->> 'code', 'agent_limit_reached', 'as far as the plan goes'
);
select is((select count(*) from agents), 1::bigint, 'the bought one itself does not count');
select lives_ok($$update agents set instructions = instructions || ' Mine.'$$, 'a clone may be changed');
select throws_ok('select stripe_customer_id from purchases', '42501', null, 'Stripe''s ids stay with us');
select is((select count(*) from purchases), 5::bigint, 'the purchases are one''s own to read');
select is(
  pg_temp.refusal($$insert into listings (title, price_minor) values ('x', 100)$$) ->> 'code', 'seller_required',
  'a buyer is no creator'
);
select pg_temp.become('authenticated', pg_temp.ada());
select is((select count(*) from purchases), 0::bigint, 'the creator reads no purchase');
select is((select count(*) from licences), 0::bigint, 'nor a licence');
select is((select count(*) from customers), 0::bigint, 'nor a customer');
select results_eq(
  $$select amount_minor, currency, status, char_length(reference) from my_sales('2020-01-01', '2021-01-01')$$,
  $$select 1::bigint, '', '', 1 where false$$, 'sales are of their days'
);
select results_eq(
  $$select title, amount_minor, currency, status from my_sales(current_date - 1, current_date + 1)$$,
  $$values ('A careful lawyer', 1000::bigint, 'usd', 'paid')$$, 'and are seen without buyers'
);
select is_empty(
  $$select column_name from information_schema.columns where false
    union all select key from (select to_jsonb(s) as doc from my_sales(current_date - 1, current_date + 1) s) x,
      jsonb_each_text(x.doc) where value like '%bob%' or value = pg_temp.bob()::text
        or value in (select id::text from purchases)$$, 'nothing in them leads to one'
);
select is(
  pg_temp.refusal($$select my_sales('2020-01-01', '2026-01-01')$$) ->> 'code', 'invalid_range', 'six years are too many'
);
select pg_temp.become('authenticated', pg_temp.cy());
select is((select count(*) from my_library()) + (select count(*) from licences) + (select count(*) from listing_definitions)
  + (select count(*) from purchases) + (select count(*) from my_sales(current_date - 1, current_date + 1)), 0::bigint,
  'a stranger sees nothing of it');
select ok(pg_temp.readable() like '%careful lawyer%', 'what they can read has the listing');
select unalike(pg_temp.readable(), '%SECRET%', 'and nowhere the definition');
select pg_temp.become('anon');
select unalike(pg_temp.readable(), '%SECRET%', 'nor has what everybody can read');
select pg_temp.become('authenticated', pg_temp.bob());
select alike(pg_temp.readable(), '%SECRET%', 'the buyer''s has it');
select pg_temp.become('authenticated', pg_temp.ada());
select ok(pg_temp.readable() like '%SECRET%', 'and so has the creator''s');
select unalike(pg_temp.readable(), '%b0000000-0000-4000-8000-000000000001%', 'which names no buyer');
select unalike(pg_temp.readable(), '%bob%', 'by no address nor customer');
reset role;
grant select on mine to public;
select pg_temp.become('authenticated', pg_temp.ada());
select unalike(pg_temp.readable(), '%' || m.id || '%', 'and by no purchase') from mine m;
reset role;

-- Refunds.
select is(pg_temp.apply(m.id, pg_temp.refund(m.id, 400)) ->> 'status', 'partially_refunded', 'a part may be refunded') from mine m;
select is(pg_temp.licence(m.id), 'active', 'and the licence stays') from mine m;
select is(pg_temp.apply(m.id, pg_temp.refund(m.id, 1000, 'pending')) ->> 'status', 'refunded', 'all of it') from mine m;
select is(pg_temp.licence(m.id), 'revoked refunded', 'revokes, also while it is on its way') from mine m;
select pg_temp.become('authenticated', pg_temp.bob());
select is((select count(*) from listing_definitions), 0::bigint, 'the definition is gone');
select is((select count(*) from agents), 0::bigint, 'and so is the clone');
select throws_ok($$insert into conversations (listing_id) values (pg_temp.listing())$$, '42501', null, 'and running it');
select is(
  pg_temp.refusal('select clone_listing(pg_temp.listing())') ->> 'code', 'licence_required', 'and cloning it'
);
update agents set instructions = 'x';
select results_eq('select status, reason, copies from my_library()', $$values ('revoked', 'refunded', 1::bigint)$$,
  'the library says why');
select is(discard_copies(pg_temp.listing()), 1::bigint, 'the dead copy can be thrown away');
reset role;
select is((select used from billing.usage_counters where user_id = pg_temp.bob() and metric_id = 'agent'), 0::bigint,
  'which frees its place');

-- A refund that fails, after it was bought again.
create temporary table second as select pg_temp.buy() as id;
select is(note_purchase_session(s.id, 1, 'cs_second'), 'cs_second', 'what was given back can be bought again') from second s;
select is(
  pg_temp.apply(m.id, pg_temp.refund(m.id, 1000, 'failed')) ->> 'stale_session_id', 'cs_second',
  'a refund that fails gives the licence back, and ends the other session'
) from mine m;
select is(pg_temp.licence(m.id), 'active', 'it is active again') from mine m;
select is(pg_temp.apply(s.id) ->> 'licence', 'active', 'paid all the same, it counts') from second s;
select is((select count(*) from billing.problems where kind = 'paid_twice'), 1::bigint, 'and an operator is told');
select is(pg_temp.apply(s.id, pg_temp.refund(s.id, 1000)) ->> 'status', 'refunded', 'who gives one back') from second s;

-- Disputes.
select is(pg_temp.apply(m.id, pg_temp.refund(m.id, 1, 'failed') || pg_temp.dispute(m.id, 'warning_needs_response')) ->> 'licence',
  'active', 'an inquiry touches nothing') from mine m;
select is(pg_temp.apply(m.id, pg_temp.dispute(m.id, 'needs_response')) ->> 'status', 'disputed', 'a dispute') from mine m;
select is(pg_temp.licence(m.id), 'suspended dispute_open', 'suspends') from mine m;
select is(
  pg_temp.refusal($$select begin_purchase(pg_temp.bob(), pg_temp.listing())$$) ->> 'code', 'already_owned',
  'and is not bought a second time meanwhile'
);
select is(pg_temp.apply(m.id, pg_temp.dispute(m.id, 'won')) ->> 'licence', 'active', 'won, it is restored') from mine m;
select is(pg_temp.apply(m.id, pg_temp.dispute(m.id, 'lost')) ->> 'status', 'lost', 'lost') from mine m;
select is(pg_temp.licence(m.id), 'revoked dispute_lost', 'it is revoked') from mine m;
select is(pg_temp.apply(m.id, pg_temp.dispute(m.id, 'a_new_word')) ->> 'licence', 'suspended', 'a status we do not know suspends')
from mine m;
select is((select count(*) from billing.problems where kind = 'unknown_dispute_status'), 1::bigint, 'and is reported');
select is(pg_temp.apply(m.id, pg_temp.dispute(m.id, 'won')) ->> 'licence', 'active', 'it ends well') from mine m;

-- A snapshot that is not of this purchase.
select is(pg_temp.apply(m.id, '{"customer": "cus_other"}') ->> 'problem', 'customer', 'another customer''s is refused') from mine m;
select is(pg_temp.licence(m.id), 'revoked payment_failed', 'and gives nothing') from mine m;
select is((select count(*) from billing.problems where kind = 'purchase_not_understood' and resolved_at is null), 1::bigint,
  'but a problem');
select is(pg_temp.apply(m.id, '{"amount_minor": 1}') ->> 'problem', 'amount', 'another amount as well') from mine m;
select is(pg_temp.apply(m.id, '{"currency": "eur"}') ->> 'problem', 'amount', 'another currency as well') from mine m;
select is(
  pg_temp.apply(m.id, '{"charges": [{"id": "ch_x", "amount_minor": 1, "status": "succeeded"}]}') ->> 'licence', 'revoked',
  'and another amount of a charge'
) from mine m;
select is(pg_temp.apply(m.id, '{"payment_intent_id": "pi_a"}') ->> 'problem', 'bound_elsewhere', 'or another purchase''s payment')
from mine m;
select is(pg_temp.apply(m.id) ->> 'licence', 'active', 'one that fits puts it right') from mine m;
select is((select count(*) from billing.problems where kind = 'purchase_not_understood' and resolved_at is null), 0::bigint,
  'and the problem is over');
select throws_like($$select apply_purchase_snapshot(id, 9000000, '{}') from mine$$, '%p_token is not%', 'a token from nowhere is refused');

-- Withdrawn, and the people go.
select pg_temp.become('authenticated', pg_temp.ada());
select is(withdraw_listing(pg_temp.listing()) ->> 'status', 'withdrawn', 'the creator withdraws it');
select pg_temp.become('authenticated', pg_temp.bob());
select is((select title from listings), 'A careful lawyer', 'who bought it still reads it');
select is((select count(*) from listing_definitions), 1::bigint, 'and the definition');
select pg_temp.become('authenticated', pg_temp.cy());
select is((select count(*) from listings), 0::bigint, 'a stranger does not');
reset role;
delete from auth.users where id = pg_temp.ada();
select pg_temp.become('authenticated', pg_temp.bob());
select is((clone_listing(pg_temp.listing())).instructions, 'SECRET: quote the statute first.',
  'a creator who left leaves the buyers whole');
reset role;
select is(pg_temp.apply(m.id) ->> 'licence', 'active', 'and snapshots go on') from mine m;
select throws_ok($$delete from listings$$, '23503', null, 'what was sold cannot be deleted');
delete from customers where user_id = pg_temp.bob();
delete from auth.users where id = pg_temp.bob();
select is((select count(*) from licences), 0::bigint, 'with the buyer the licences go');
select is((select count(*) from purchases where buyer_id is null), 6::bigint, 'the purchases stay, without a name');
select is(pg_temp.apply(m.id, pg_temp.refund(m.id, 1000)) ->> 'status', 'refunded', 'and can still be refunded') from mine m;

-- A month costs what its subscription costs; credit of the customer's at Stripe may have paid a part of it.
insert into public.listings (id, title, category, kind, price_minor, currency, status, version, published_at)
values ('10000000-0000-4000-8000-00000000000e', 'Monthly', 'template', 'monthly', 1000, 'usd', 'published', 1, now());
select public.link_customer(pg_temp.cy(), 'cus_cy');
create temporary table month as select pg_temp.buy('10000000-0000-4000-8000-00000000000e', pg_temp.cy()) as id;
create function pg_temp.month(p_price bigint, p_charged bigint, p_status text default 'active') returns jsonb
language sql as $$
  select jsonb_build_object(
    'subscription', jsonb_build_object('id', 'sub_m', 'status', p_status, 'amount_minor', p_price,
      'current_period_end', now() + interval '1 month'),
    'charges', jsonb_build_array(jsonb_build_object('id', 'ch_m', 'amount_minor', p_charged, 'status', 'succeeded', 'created', now()))
  );
$$;
select is(pg_temp.apply(m.id, pg_temp.month(1000, 1000)) ->> 'licence', 'active', 'a month at its price') from month m;
select is(pg_temp.apply(m.id, pg_temp.month(1000, 400)) ->> 'licence', 'active', 'and one that credit has paid a part of')
from month m;
select is(pg_temp.apply(m.id, pg_temp.month(1000, 1001)) ->> 'problem', 'amount', 'but none that was charged more') from month m;
select is(pg_temp.apply(m.id, pg_temp.month(400, 400)) ->> 'problem', 'amount', 'and none of another price') from month m;

-- What was given back is not charged for again: until the subscription has ended it is looked at within minutes.
select is(
  pg_temp.apply(m.id, pg_temp.month(1000, 1000) || '{"refunds": [{"id": "re_m", "charge_id": "ch_m", "amount_minor": 1000,
    "status": "succeeded"}]}') ->> 'status', 'refunded', 'a month that was given back'
) from month m;
select ok((select due_at < now() + interval '5 minutes' from purchases p where p.id = m.id), 'is due soon') from month m;
select is(
  pg_temp.apply(m.id, pg_temp.month(1000, 1000, 'canceled') || '{"refunds": [{"id": "re_m", "charge_id": "ch_m",
    "amount_minor": 1000, "status": "succeeded"}]}') ->> 'status', 'refunded', 'until it has ended'
) from month m;
select ok((select due_at is null from purchases p where p.id = m.id), 'and then no more') from month m;

select * from finish();
rollback;
