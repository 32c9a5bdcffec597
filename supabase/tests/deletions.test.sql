begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

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

delete from billing.deletions;
delete from billing.problems;
insert into auth.users (id, email, encrypted_password) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test', 'hash'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test', 'hash');
select public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_ada');
select public.link_customer('b0000000-0000-4000-8000-000000000001', 'cus_bob');
insert into public.conversations (id, user_id, title) values
  ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'Mine');
insert into public.messages (user_id, conversation_id, role, content) values
  ('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', 'user', 'hello'),
  ('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', 'user', 'again');
insert into public.invoices (id, user_id, status, currency, total_minor, amount_due_minor, amount_paid_minor,
  hosted_invoice_url, stripe_created_at)
values ('in_ada', 'a0000000-0000-4000-8000-000000000001', 'paid', 'usd', 2000, 0, 2000, 'https://invoice.test', now());
select public.receive_stripe_event('evt_ada', 'customer.updated', now(), '{"email": "ada@tollgate.test"}', null, 'cus_ada');

-- Bob's, hers, and one that only quotes her; and an event of the Stripe customer that she had before.
select billing.report_problem('test_other', 'sub_x', '{"email": "bob@tollgate.test"}');
select billing.report_problem('test_customer', 'cus_ada', '{"anything": 1}');
select billing.report_problem('test_address', 'evt_x', '{"error": "cannot write to Ada@tollgate.test"}');
select public.receive_stripe_event('evt_before', 'customer.updated', now(), '{"email": "ada@tollgate.test"}', null, 'cus_before');
update public.customers set stripe_customer_id = 'cus_before' where stripe_customer_id = 'cus_ada';
update public.customers set stripe_customer_id = 'cus_ada' where stripe_customer_id = 'cus_before';

select no_plan();

select throws_ok(
  $$delete from auth.users where id = 'a0000000-0000-4000-8000-000000000001'$$, '23503', null,
  'somebody with a Stripe customer is not removed by accident'
);
select ok(not public.erase_person('a0000000-0000-4000-8000-000000000001', 'cus_ada'), 'nobody is erased who did not ask');
select is(
  pg_temp.refusal($$select public.remove_chat('a0000000-0000-4000-8000-000000000001', 10)$$) ->> 'code', 'invalid_request',
  'nor their chat'
);
select is(
  pg_temp.refusal($$select public.request_deletion(gen_random_uuid())$$) ->> 'code', 'invalid_request',
  'somebody unknown cannot be deleted'
);

select is(public.request_deletion('a0000000-0000-4000-8000-000000000001') ->> 'state', 'requested', 'who asks is noted');
select results_eq(
  $$select encrypted_password = '', banned_until > now() from auth.users where email = 'ada@tollgate.test'$$,
  $$values (true, true)$$, 'and has no way to sign in'
);
select results_eq(
  $$select encrypted_password::text, banned_until from auth.users where email = 'bob@tollgate.test'$$,
  $$values ('hash', null::timestamptz)$$, 'nobody else is touched'
);

-- What may cost money.
select is(pg_temp.refusal(s) ->> 'code', 'account_deleted', s) from unnest(array[
  $$select public.begin_checkout('a0000000-0000-4000-8000-000000000001', 'pro_monthly')$$,
  $$select public.begin_plan_change('a0000000-0000-4000-8000-000000000001')$$,
  $$select public.begin_seller('a0000000-0000-4000-8000-000000000001', 'Ada', 'US')$$,
  $$select public.relink_customer('a0000000-0000-4000-8000-000000000001', 'cus_ada', 'cus_other')$$,
  $$insert into billing.overage_accounts (user_id, enabled, subscription_id, cap_minor, currency)
    values ('a0000000-0000-4000-8000-000000000001', true, 'sub_1', 100, 'usd')$$,
  $$insert into public.purchases (buyer_id, listing_id, kind, title, amount_minor, currency, fee_bps, fee_minor)
    values ('a0000000-0000-4000-8000-000000000001', gen_random_uuid(), 'one_time', 'x', 100, 'usd', 0, 0)$$
]) s;
select is(
  pg_temp.refusal($$select public.begin_checkout('b0000000-0000-4000-8000-000000000001', 'pro_monthly')$$), null,
  'everybody else goes on buying'
);

-- Leases.
select results_eq(
  'select stripe_customer_id, ripe from public.lease_deletions(10)', $$values ('cus_ada', false)$$, 'one worker has it'
);
select is_empty('select * from public.lease_deletions(10)', 'and nobody else');
select public.deletion_failed('a0000000-0000-4000-8000-000000000001', 'Stripe is away');
select ok(
  (select next_attempt_at > now() + interval '4 minutes' and attempts = 1 from billing.deletions), 'a failure is tried again later'
);
select is_empty($$select from billing.problems where kind = 'deletion_failed'$$, 'without an alarm at first');
select public.deletion_failed('a0000000-0000-4000-8000-000000000001', 'Stripe is away') from generate_series(1, 20);
select isnt_empty($$select from billing.problems where kind = 'deletion_failed'$$, 'and with one when it lasts');
select ok(
  (select next_attempt_at <= now() + interval '1 hour' from billing.deletions),
  'however often it failed it is tried within the hour: there are 24 in the day that it may take'
);

-- The end.
select ok(not public.erase_person('a0000000-0000-4000-8000-000000000001', 'cus_ada'), 'nobody is erased whose billing goes on');
select public.note_deletion_step('a0000000-0000-4000-8000-000000000001', 'billing_ended');
select ok(not public.erase_person('a0000000-0000-4000-8000-000000000001', 'cus_old'), 'nor for another customer');
select is(public.remove_chat('a0000000-0000-4000-8000-000000000001', 1), 1::bigint, 'the chat goes in pieces');
select ok(public.erase_person('a0000000-0000-4000-8000-000000000001', 'cus_ada'), 'then they are erased');
select ok(public.erase_person('a0000000-0000-4000-8000-000000000001', 'cus_ada'), 'once');
select is_empty($$select from auth.users where email = 'ada@tollgate.test'$$, 'they are gone');
select is_empty($$select from public.messages where user_id = 'a0000000-0000-4000-8000-000000000001'$$, 'with what they wrote');
select results_eq(
  $$select user_id, hosted_invoice_url, total_minor from public.invoices where id = 'in_ada'$$,
  $$values (null::uuid, null::text, 2000::bigint)$$, 'the invoice stays, and does not say whose it was'
);
select results_eq(
  $$select status, payload from billing.stripe_events where id = 'evt_ada'$$,
  $$values ('pending', null::jsonb)$$, 'of an event only the fact stays'
);
select public.receive_stripe_event('evt_late', 'customer.deleted', now(), '{"email": "ada@tollgate.test"}', null, 'cus_ada');
select is((select payload from billing.stripe_events where id = 'evt_late'), null, 'also of one that comes later');
select public.receive_stripe_event('evt_bob', 'customer.updated', now(), '{"email": "bob@tollgate.test"}', null, 'cus_bob');
select isnt((select payload from billing.stripe_events where id = 'evt_bob'), null, 'everybody else''s are kept');
select is(
  pg_temp.refusal($$select public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_new')$$) ->> 'code',
  'account_deleted', 'a request that is late brings nothing back'
);
select results_eq(
  $$select steps ?& array['billing_ended', 'erased'], last_error, finished_at is not null from billing.deletions$$,
  $$values (true, null::text, true)$$, 'the record says what was done'
);
select is_empty($$select from billing.problems where kind = 'deletion_failed'$$, 'and the alarm, which had the id in it, is gone');

-- What operators were told, and what Stripe told before.
select results_eq(
  $$select kind, details from billing.problems where kind like 'test\_%' order by kind$$,
  $$values ('test_address', '{}'::jsonb), ('test_customer', '{}'), ('test_other', '{"email": "bob@tollgate.test"}')$$,
  'what operators were told about them says no more than that there was something'
);
select results_eq(
  $$select id, payload is null from billing.stripe_events where id in ('evt_before', 'evt_bob') order by id$$,
  $$values ('evt_before', true), ('evt_bob', false)$$, 'nor do events of a customer they had before'
);

-- A creator, and what Stripe goes on saying about their account and their purchases.
insert into auth.users (id, email) values ('e0000000-0000-4000-8000-000000000001', 'dora@tollgate.test');
select public.begin_seller('e0000000-0000-4000-8000-000000000001', 'Dora', 'DE');
select public.link_seller_account(
  (select id from public.sellers where user_id = 'e0000000-0000-4000-8000-000000000001'), 'acct_dora'
);
select public.apply_seller_snapshot('acct_dora', public.next_sync_token(), '{"transfers_status": "active"}');
insert into public.agents (id, user_id, name, instructions) values
  ('e1000000-0000-4000-8000-000000000001', 'e0000000-0000-4000-8000-000000000001', 'Dora', 'Be Dora.');
insert into public.listings (id, seller_id, agent_id, title, price_minor, status, version, published_at)
select 'e2000000-0000-4000-8000-000000000001', s.id, 'e1000000-0000-4000-8000-000000000001', 'Dora''s', 900, 'published', 1, now()
from public.sellers s where s.stripe_account_id = 'acct_dora';
insert into public.purchases (id, buyer_id, listing_id, kind, title, amount_minor, currency, fee_bps, fee_minor, receipt_url)
values ('e3000000-0000-4000-8000-000000000001', 'e0000000-0000-4000-8000-000000000001',
  'e2000000-0000-4000-8000-000000000001', 'one_time', 'x', 900, 'usd', 0, 0, 'https://receipt.test/dora');
select public.request_deletion('e0000000-0000-4000-8000-000000000001');
select public.apply_seller_snapshot('acct_dora', public.next_sync_token(), '{"transfers_status": "active", "display_name": "Dora D."}');
select results_eq(
  $$select s.status, s.paused_reason, l.status, l.sales_paused from public.sellers s join public.listings l on l.seller_id = s.id
    where s.stripe_account_id = 'acct_dora'$$,
  $$values ('closed', 'The creator has left.', 'withdrawn', true)$$, 'a shop that is being deleted does not open again'
);
select set_config('request.jwt.claims', '{"role": "authenticated", "sub": "e0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'e0000000-0000-4000-8000-000000000001', true);
select is(
  pg_temp.refusal($$select public.publish_listing('e2000000-0000-4000-8000-000000000001')$$) ->> 'code', 'seller_paused',
  'nor by a token that is still good'
);
select set_config('request.jwt.claims', '', true), set_config('request.jwt.claim.sub', '', true);
select public.note_deletion_step('e0000000-0000-4000-8000-000000000001', 'billing_ended');
select ok(public.erase_person('e0000000-0000-4000-8000-000000000001', ''), 'a creator is erased');
select public.apply_seller_snapshot('acct_dora', public.next_sync_token(),
  '{"transfers_status": "active", "display_name": "Dora D.", "requirements": ["Dora''s passport"]}');
select results_eq(
  $$select s.status, s.display_name, s.requirements, s.country, l.seller_name, l.status from public.sellers s
    join public.listings l on l.seller_id = s.id where s.stripe_account_id = 'acct_dora'$$,
  $$values ('closed', 'A former creator', '{}'::text[], null::text, 'A former creator', 'withdrawn')$$,
  'what Stripe says of the account afterwards brings no name back'
);
update public.purchases set receipt_url = 'https://receipt.test/dora', status = 'refunded'
where id = 'e3000000-0000-4000-8000-000000000001';
select is(
  (select receipt_url from public.purchases where id = 'e3000000-0000-4000-8000-000000000001'), null, 'nor a receipt'
);
select is_empty($$select from billing.problems where kind = 'paid_after_deletion'$$, 'nothing was paid meanwhile');
update public.purchases set paid_at = now() where id = 'e3000000-0000-4000-8000-000000000001';
select is(
  (select details ->> 'amount_minor' from billing.problems where kind = 'paid_after_deletion'), '900',
  'a payment that arrives for nobody is told to an operator'
);

select * from finish();
rollback;
