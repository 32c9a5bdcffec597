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

-- Monthly licences, and add-ons that raise a limit while they live.

insert into listings (id, title, category, kind, price_minor, currency, grants_metric_id, grants_quantity, status, version, published_at)
values ('10000000-0000-4000-8000-000000000003', 'Five more agents', 'addon', 'monthly', 500, 'usd', 'agent', 5, 'published', 1, now()),
  ('10000000-0000-4000-8000-000000000004', 'More messages', 'addon', 'one_time', 700, 'usd', 'message', 100, 'published', 1, now());
select throws_ok($$insert into listings (title, category, price_minor) values ('x', 'addon', 100)$$, '23514', null,
  'an add-on grants something');
select is(
  pg_temp.refusal($$update listings set grants_quantity = 6 where category = 'addon'$$) ->> 'code', 'listing_published',
  'what it grants stays what was bought'
);

create function pg_temp.allowance(p_metric text) returns bigint language sql as $$
  select allowance from billing.usage_counters where user_id = pg_temp.bob() and metric_id = p_metric;
$$;
create function pg_temp.month(p_purchase_id uuid, p_status text, p_end interval, p_also jsonb default '{}') returns jsonb
language sql as $$
  select pg_temp.apply(p_purchase_id, jsonb_build_object('subscription', jsonb_build_object(
    'id', 'sub_' || left(p_purchase_id::text, 8), 'status', p_status, 'current_period_end', now() + p_end) || p_also));
$$;

create temporary table mine as select pg_temp.buy('10000000-0000-4000-8000-000000000003') as id;
select is(apply_purchase_snapshot(m.id, next_sync_token(),
  '{"session_status": "complete", "subscription": {"id": "sub_x", "status": "incomplete"}}') ->> 'status', 'processing',
  'a month that is not paid is processing') from mine m;
select is(apply_purchase_snapshot(m.id, next_sync_token(),
  '{"session_status": "complete", "subscription": {"id": "sub_x", "status": "active"}}') ->> 'licence', null,
  'an active subscription without a payment gives nothing') from mine m;
select is(pg_temp.month(m.id, 'active', '30 days') ->> 'status', 'active', 'paid, it is active') from mine m;
select is((select valid_until from licences), now() + interval '37 days', 'until the period and the grace are over');
select is(pg_temp.allowance('agent'), 6::bigint, 'the limit is raised at once');
select is((select valid_until from billing.usage_counters where metric_id = 'agent' and user_id = pg_temp.bob()),
  now() + interval '37 days', 'for as long');
select pg_temp.become('authenticated', pg_temp.bob());
select is(my_entitlements() -> 'limits' -> 'agent', '6', 'one''s entitlements say so');
select is((select limit_value from my_usage() where metric = 'agent'), 6::bigint, 'and one''s usage');
select lives_ok($$insert into agents (name) select 'a' from generate_series(1, 6)$$, 'six agents are admitted');
select is(pg_temp.refusal($$insert into agents (name) values ('b')$$) ->> 'code', 'agent_limit_reached', 'and no seventh');
select is(pg_temp.refusal($$select clone_listing('10000000-0000-4000-8000-000000000003')$$) ->> 'code', 'nothing_to_clone',
  'there is no agent in an add-on');
reset role;
insert into public.entitlements (user_id, plan_id, source) values (pg_temp.bob(), 'pro', 'subscription');
select is(pg_temp.allowance('agent'), 10::bigint, 'another plan is raised by the same');
update plan_limits set limit_value = 7 where plan_id = 'pro' and metric_id = 'agent';
select is(pg_temp.allowance('agent'), 12::bigint, 'and so is a limit that changes');
update plan_limits set limit_value = null where plan_id = 'pro' and metric_id = 'agent';
select is(pg_temp.allowance('agent'), null, 'unlimited stays unlimited');
update plan_limits set limit_value = 5 where plan_id = 'pro' and metric_id = 'agent';
delete from entitlements;
select is(pg_temp.allowance('agent'), 6::bigint, 'and back');

-- Late, and over.
select is(pg_temp.month(m.id, 'past_due', '60 days') ->> 'status', 'past_due', 'a renewal that fails') from mine m;
select is((select valid_until from licences), now() + interval '7 days', 'leaves the grace, whatever the new period says');
update purchases set past_due_since = now() - interval '6 days' where id = (select id from mine);
select pg_temp.month(m.id, 'past_due', '60 days') from mine m;
select is((select valid_until from licences), now() + interval '1 day', 'that runs from the first time');
update purchases set past_due_since = now() - interval '8 days' where id = (select id from mine);
select is(pg_temp.month(m.id, 'past_due', '60 days') ->> 'licence', 'revoked', 'and then it is over') from mine m;
select is(pg_temp.licence(m.id), 'revoked payment_failed', 'because nothing was paid') from mine m;
select is(pg_temp.allowance('agent'), 1::bigint, 'and the limit is the plan''s');
select is(pg_temp.month(m.id, 'active', '30 days') ->> 'licence', 'active', 'a payment brings it back') from mine m;
select is(pg_temp.month(m.id, 'active', '30 days', '{"cancel_at_period_end": true}') ->> 'licence', 'active', 'cancelled, it goes on')
from mine m;
select is((select valid_until from licences), now() + interval '30 days', 'to the end of the period, without grace');
select is(pg_temp.month(m.id, 'canceled', '10 days') ->> 'status', 'canceled', 'ended at Stripe') from mine m;
select is(pg_temp.licence(m.id), 'active', 'it still lasts the paid period') from mine m;
select is(
  pg_temp.refusal($$select begin_purchase(pg_temp.bob(), '10000000-0000-4000-8000-000000000003')$$) ->> 'code', 'already_owned',
  'in which it is not bought again'
);
select is(pg_temp.month(m.id, 'canceled', '-1 minute') ->> 'licence', 'revoked', 'and ends') from mine m;
select is(pg_temp.licence(m.id), 'revoked canceled', 'because it was cancelled') from mine m;
select isnt(pg_temp.buy('10000000-0000-4000-8000-000000000003'), m.id, 'after which it can be bought again') from mine m;
select is(pg_temp.month(m.id, 'a_new_word', '30 days') ->> 'licence', 'revoked', 'a status we do not know gives nothing') from mine m;
select is((select count(*) from billing.problems where kind = 'unknown_status'), 1::bigint, 'and is reported');

-- A licence that ends by itself ends everywhere, before anybody says so.
create temporary table day as select pg_temp.buy('10000000-0000-4000-8000-000000000004') as id;
select pg_temp.apply(d.id) from day d;
select is(pg_temp.allowance('message'), 150::bigint, 'a daily limit is raised as well');
select ok((select fast_until <= allowance from billing.usage_counters where user_id = pg_temp.bob() and metric_id = 'message'),
  'within what the gate may pass without looking');
update licences set valid_until = now() - interval '1 second' where purchase_id = (select id from day);
update billing.usage_counters set valid_until = now() - interval '1 second' where user_id = pg_temp.bob();
insert into conversations (id, user_id) values (pg_temp.bob(), pg_temp.bob());
update billing.usage_counters set used = 50, period_day = (now() at time zone 'UTC')::date
where user_id = pg_temp.bob() and metric_id = 'message';
select pg_temp.become('authenticated', pg_temp.bob());
select is((select limit_value from my_usage() where metric = 'message'), 50::bigint, 'the usage says what will count');
select is((select status || ' ' || reason from my_library() where title = 'More messages'), 'revoked canceled', 'so does the library');
select is(
  pg_temp.refusal($$insert into messages (conversation_id, role, content) values (pg_temp.bob(), 'user', 'x')$$) ->> 'code',
  'message_quota_exceeded', 'and the gate'
);
reset role;
update licences set valid_until = null;
select pg_temp.apply(d.id, pg_temp.refund(d.id, 700)) from day d;
select is(pg_temp.allowance('message'), 50::bigint, 'a refund lowers the limit at once');

-- What is due to be looked at again.
select is((select due_at from purchases where id = d.id), null, 'a payment that is settled is not') from day d;
select pg_temp.apply(d.id, pg_temp.refund(d.id, 700, 'pending')) from day d;
select is((select due_at from purchases where id = d.id), now() + interval '1 hour', 'a refund on its way is') from day d;
select pg_temp.month(m.id, 'active', '30 days') from mine m;
select is((select due_at from purchases where id = m.id), now() + interval '30 days', 'a month is when it is over') from mine m;
select pg_temp.month(m.id, 'past_due', '30 days') from mine m;
select is((select due_at from purchases where id = m.id), now() + interval '1 hour', 'and a late payment soon') from mine m;
update purchases set due_at = now() where due_at is not null;
select set_eq('select due_purchases(10)', 'select id from day union all select id from mine', 'they are handed out');
select is((select count(*) from due_purchases(10)), 0::bigint, 'to one worker');
update purchases set due_at = now(), created_at = now() - interval '26 hours'
where status = 'open' and checkout_session_id is null;
select due_purchases(10);
select is((select count(*) from purchases where status = 'open' and checkout_session_id is null), 0::bigint,
  'one that never came to a session ends');

select * from finish();
rollback;
