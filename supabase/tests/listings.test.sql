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

select no_plan();

-- What is offered: who may write it, who may publish it, who finds it.

select pg_temp.become('authenticated', pg_temp.ada());
select is(
  pg_temp.refusal($$insert into listings (title, price_minor) values ('x', 100)$$) ->> 'code', 'seller_required',
  'who is no creator offers nothing'
);
select is(
  pg_temp.refusal($$select publish_listing(pg_temp.listing())$$) ->> 'code', 'seller_required', 'nor publishes'
);
insert into agents (id, name, instructions) values (pg_temp.agent(), 'Lawyer', 'SECRET: quote the statute first.');
reset role;
select is(
  begin_seller(pg_temp.ada(), ' Ada ', 'DE') - 'seller_id',
  '{"stripe_account_id": null, "status": "onboarding", "country": "DE"}', 'a creator begins with onboarding'
);
select is(begin_seller(pg_temp.ada(), 'Ada L.', 'AT') ->> 'country', 'AT', 'and may correct what they said');
select is((select count(*) from sellers), 1::bigint, 'and remains one');
select is(link_seller_account((select id from sellers), 'acct_1'), 'acct_1', 'an account is bound');
select is(link_seller_account((select id from sellers), 'acct_2'), 'acct_1', 'and of two the first');
select is(seller_of_account('acct_1'), (select id from sellers), 'an account leads to its creator');

select pg_temp.become('authenticated', pg_temp.ada());
insert into listings (id, agent_id, title, price_minor) values (pg_temp.listing(), pg_temp.agent(), 'A lawyer', 1000);
select results_eq(
  'select seller_id, seller_name, status, version, sales_paused from listings',
  $$select id, 'Ada L.', 'draft', 0, true from sellers$$, 'a draft is the creator''s own'
);
select is(
  pg_temp.refusal('select publish_listing(pg_temp.listing())') ->> 'code', 'seller_paused',
  'before onboarding is done nothing is published'
);
select throws_ok($$update listings set seller_id = null$$, '42501', null, 'nobody gives a listing away');
select throws_ok($$update listings set status = 'published'$$, '42501', null, 'nobody publishes by hand');
select throws_ok($$update listings set sales_count = 9$$, '42501', null, 'nobody counts their own sales');
select throws_ok($$insert into listing_definitions values (pg_temp.listing(), 1, 'x', 'x')$$, '42501', null,
  'nobody writes a definition by hand');
select throws_ok($$insert into listings (title, price_minor, category) values ('x', 100, 'template')$$, '42501', null,
  'templates are the house''s');
reset role;
insert into agents (id, user_id, name, instructions)
values ('20000000-0000-4000-8000-000000000002', pg_temp.bob(), 'Bob''s', 'of Bob');
select pg_temp.become('authenticated', pg_temp.ada());
select throws_ok($$update listings set agent_id = '20000000-0000-4000-8000-000000000002'$$, '42501', null,
  'nobody offers somebody else''s agent');
reset role;

select is(
  apply_seller_snapshot('acct_1', next_sync_token(), '{"transfers_status": "pending", "requirements": ["iban"]}') ->> 'reason',
  'Stripe needs to know more before money can be sent to this account.', 'what is missing is told in words'
);
select is(
  apply_seller_snapshot('acct_1', next_sync_token(), '{"transfers_status": "active", "requirements": []}') ->> 'status',
  'active', 'active transfers make a creator active'
);
select is(
  apply_seller_snapshot('acct_1', 1, '{"transfers_status": "inactive"}') ->> 'status', 'active', 'old news change nothing'
);
select is(
  apply_seller_snapshot('acct_none', next_sync_token(), '{}') ->> 'reason', 'unknown_account', 'another account is none of ours'
);

-- Publishing copies the agent.
select pg_temp.become('authenticated', pg_temp.ada());
select is(publish_listing(pg_temp.listing()) ->> 'status', 'published', 'now it is published');
select results_eq('select version, name, instructions from listing_definitions',
  $$values (1, 'Lawyer', 'SECRET: quote the statute first.')$$, 'with the agent as it is');
update agents set instructions = 'SECRET: another way.';
select is((select instructions from listing_definitions), 'SECRET: quote the statute first.', 'a later change stays at home');
select is((publish_listing(pg_temp.listing()) ->> 'version')::integer, 2, 'until it is published again');
select is((select instructions from listing_definitions), 'SECRET: another way.', 'as the next version');
select is(
  pg_temp.refusal($$update listings set kind = 'monthly'$$) ->> 'code', 'listing_published', 'how it is sold stays'
);
select lives_ok($$update listings set price_minor = 1200, title = 'A careful lawyer', description = 'Knows statutes.'$$,
  'price and words may change');
select is((select count(*) from listings l where l.version = 0), 0::bigint, 'there is no draft');
delete from listings;
select is((select count(*) from listings), 1::bigint, 'what was published cannot be deleted');
insert into listings (title, price_minor) values ('A draft', 900);
select is(
  (pg_temp.refusal($$select publish_listing(id) from listings where title = 'A draft'$$) ->> 'details')::jsonb,
  '{"missing": "agent"}', 'without an agent nothing is published'
);
insert into listing_pictures (listing_id, data) values (pg_temp.listing(), 'data:image/png;base64,aGVsbG8=');
select throws_ok($$update listing_pictures set data = 'data:image/svg+xml;base64,aGVsbG8='$$, '23514', null, 'SVG is no picture');
select throws_ok($$update listing_pictures set data = 'https://elsewhere.test/x.png'$$, '23514', null, 'nor is an address');

-- Strangers, signed in and not.
select pg_temp.become('authenticated', pg_temp.cy());
select results_eq('select title from listings', array['A careful lawyer'], 'a stranger reads what is published');
select is((select count(*) from listing_definitions), 0::bigint, 'but no definition');
select is((select count(*) from listings l join listing_definitions d on d.listing_id = l.id), 0::bigint, 'joined neither');
select is((select count(*) from agents), 0::bigint, 'nor the agent behind it');
select is((select count(*) from sellers), 0::bigint, 'nor who sells it');
select is((select count(*) from listing_pictures), 1::bigint, 'the picture is for everybody');
update listings set title = 'Mine';
delete from listing_pictures;
select is((select count(*) from listing_pictures), 1::bigint, 'to look at');
select is(
  pg_temp.refusal('select publish_listing(pg_temp.listing())') ->> 'code', 'seller_required', 'nobody publishes for others'
);
select is(
  pg_temp.refusal('select withdraw_listing(pg_temp.listing())') ->> 'code', 'listing_not_found', 'nor withdraws'
);
select is(
  pg_temp.refusal('select clone_listing(pg_temp.listing())') ->> 'code', 'licence_required', 'nor clones without a licence'
);
select throws_ok($$insert into conversations (listing_id) values (pg_temp.listing())$$, '42501', null, 'nor runs it');
select throws_ok($$insert into agents (name, source_listing_id) values ('x', pg_temp.listing())$$, '42501', null,
  'nor claims a clone');
select results_eq(
  $$select title, owned, own, total, to_jsonb(s) ? 'picture' from search_listings('lawy') s$$,
  $$values ('A careful lawyer', false, false, 1::bigint, false)$$, 'the beginning of a word finds it'
);
select is((select count(*) from search_listings('SECRET')), 0::bigint, 'no search looks into a definition');
select is((select count(*) from search_listings('another & (way')), 0::bigint, 'nor takes a query''s own syntax');
select is((select count(*) from search_listings('statutes law', 'relevance')), 1::bigint, 'every word has to be there');
select pg_temp.become('anon');
select results_eq('select title from listings', array['A careful lawyer'], 'who is not signed in reads the same');
select throws_ok('select from listing_definitions', '42501', null, 'and has no access to definitions');
select throws_ok('select from licences', '42501', null, 'nor licences');
select throws_ok('select from purchases', '42501', null, 'nor purchases');
select is((select count(*) from search_listings()), 1::bigint, 'and may search');
reset role;
insert into listings (title, category, price_minor, currency, status, version, published_at) values
  ('Dear in pounds', 'template', 900, 'gbp', 'published', 1, now()),
  ('Cheap in pounds', 'template', 100, 'gbp', 'published', 1, now()),
  ('Cheap in euros', 'template', 150, 'eur', 'published', 1, now());
select pg_temp.become('anon');
select results_eq($$select title, total from search_listings('in', 'price_low', p_currency => 'gbp')$$,
  $$values ('Cheap in pounds', 2::bigint), ('Dear in pounds', 2::bigint)$$, 'prices are compared in one currency');
select results_eq($$select title from search_listings('in', 'price_low')$$,
  array['Cheap in euros', 'Cheap in pounds', 'Dear in pounds'], 'or in one after the other');
select results_eq($$select title from search_listings('in', 'price_high')$$,
  array['Cheap in euros', 'Dear in pounds', 'Cheap in pounds'], 'either way round');
select is_empty($$select * from search_listings('in', p_currency => 'xxx')$$, 'in one that nobody has there is nothing');
reset role;
delete from listings where title like '% in %s';

-- A capability that is lost, and found again.
reset role;
select apply_seller_snapshot('acct_1', next_sync_token(), '{"transfers_status": "restricted"}');
select results_eq(
  'select status, paused_reason from sellers',
  $$values ('paused', 'Stripe does not allow transfers to this account at the moment.')$$, 'a creator is paused, and told why'
);
select is((select bool_and(sales_paused) from listings), true, 'the listings show it');
select pg_temp.become('authenticated', pg_temp.ada());
select is(
  (pg_temp.refusal('select publish_listing(pg_temp.listing())') ->> 'details')::jsonb ->> 'reason',
  'Stripe does not allow transfers to this account at the moment.', 'publishing tells the same'
);
reset role;
select apply_seller_snapshot('acct_1', next_sync_token(), '{"transfers_status": "active"}');
select is((select bool_or(sales_paused) from listings), false, 'and it is over when Stripe says so');
select is((select paused_reason from sellers), null, 'without a reason left');

-- The creator leaves.
delete from auth.users where id = pg_temp.ada();
select results_eq('select status, user_id from sellers', $$values ('closed', null::uuid)$$, 'a creator who left is closed');
select results_eq('select status, version from listings', $$values ('withdrawn', 2)$$,
  'what was published is withdrawn, and drafts are gone');
select is((select instructions from listing_definitions), 'SECRET: another way.', 'what buyers have stays');
select is(
  apply_seller_snapshot('acct_1', next_sync_token(), '{"transfers_status": "active"}') ->> 'status', 'closed',
  'and no snapshot opens it again'
);

select * from finish();
rollback;
