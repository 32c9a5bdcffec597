begin;
\ir fixtures/metering.psql

-- Beyond the allowance, for those who said yes: admitted up to the cap, into the ledger, and nothing that could not be billed.

-- Who cannot.
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(
  (pg_temp.refusal('select public.set_overage(true, 1000)') ->> 'details')::jsonb ->> 'reason', 'no_subscription',
  'Free cannot pay beyond the allowance'
);
select is((pg_temp.refusal('select public.set_overage(true, 1000)') ->> 'status')::integer, 403, 'with HTTP 403');
select is(
  public.my_overage() - 'metrics',
  '{"available": false, "reason": "no_subscription", "enabled": false, "attached": false, "cap_minor": null,
    "maximum_cap_minor": 10000000, "currency": "usd", "period_start": null, "period_end": null, "spent_minor": 0, "projected_minor": 0, "credits": null}',
  'and is told so'
);
reset role;
select public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_tada');
select pg_temp.apply('pro', '{"status": "trialing"}');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(
  public.my_overage() ->> 'reason', 'subscription_not_active', 'nor can a trial, whose usage is not billed'
);

-- Pro, and has not said yes.
reset role;
select pg_temp.apply();
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(public.my_overage() ->> 'available', 'true', 'Pro can');
select is(public.my_overage() ->> 'enabled', 'false', 'but has not said yes');
select pg_temp.ask(1);
select pg_temp.used(500);
select is(
  pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded', 'so the allowance is the end as before'
);

-- What the cap may be.
select is(
  pg_temp.refusal(format('select public.set_overage(true, %s)', c.cap)) ->> 'code', 'invalid_cap',
  format('a cap of %s is none', c.cap)
) from (values ('null'), ('0'), ('-1'), ('10000001')) c (cap);
select is((pg_temp.refusal('select public.set_overage(true)') ->> 'status')::integer, 422, 'that is HTTP 422');

-- Yes.
select is(
  public.set_overage(true, 10) - 'metrics' - 'projected_minor',
  jsonb_build_object(
    'available', true, 'reason', null, 'enabled', true, 'attached', true, 'cap_minor', 10, 'maximum_cap_minor', 10000000, 'currency', 'usd',
    'period_start', pg_temp.month(), 'period_end', pg_temp.month(1), 'spent_minor', 0, 'credits', null
  ),
  'a cap of ten cents, in the period of the metered items'
);
select is(
  public.my_overage() -> 'metrics',
  '[{"metric": "message", "name": "Messages", "quantity": 0, "unit_amount_minor": 2, "amount_minor": 0},
    {"metric": "tool", "name": "Tools", "quantity": 0, "unit_amount_minor": 0.8, "amount_minor": 0}]',
  'at Stripe''s prices'
);
select lives_ok('select pg_temp.ask(1)', 'the message beyond the allowance is admitted');
select results_eq(
  'select * from pg_temp.state()', $$values (1::bigint, 2::numeric, 2::numeric, 501::bigint, 1::bigint)$$,
  'and is in the ledger, on the account and on the counter'
);
select lives_ok('select pg_temp.ask(4)', 'up to the cap');
select is((public.my_overage() ->> 'spent_minor')::integer, 10, 'which is ten cents');
select is((public.my_overage() ->> 'projected_minor')::integer, 10, 'and what the month will come to');
create temporary table refusal as select pg_temp.refusal('select pg_temp.ask(1)') as body;
select is(body ->> 'code', 'spending_cap_reached', 'not beyond it') from refusal;
select is((body ->> 'status')::integer, 402, 'with HTTP 402') from refusal;
select is(
  (body ->> 'details')::jsonb,
  jsonb_build_object('metric', 'message', 'cap_minor', 10, 'spent_minor', 10, 'currency', 'usd',
    'period_end', to_char(pg_temp.month(1) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
  'and says what it is about'
) from refusal;
select results_eq(
  'select * from pg_temp.state()', $$values (5::bigint, 10::numeric, 10::numeric, 505::bigint, 5::bigint)$$,
  'asking in vain changes nothing'
);
select results_eq(
  'select * from pg_temp.notices()',
  array['allowance message 100 of 500', 'spending_cap  80 of 10', 'spending_cap  100 of 10'],
  'the notices were written by those that reached the marks'
);

-- A quantity is admitted whole or not at all, from where it begins.
select public.set_overage(true, 100);
select pg_temp.used(498);
select is(pg_temp.refusal('select pg_temp.ask(48)') ->> 'code', 'spending_cap_reached', '46 of them would cost 92 cents, after 10');
select is((select used from pg_temp.state()), 498::bigint, 'so none was taken');
select lives_ok('select pg_temp.ask(12)', 'ten of twelve are beyond');
select results_eq(
  'select quantity, spent, used, overage from pg_temp.state()', $$values (15::bigint, 30::numeric, 510::bigint, 10::bigint)$$,
  'and only those are charged'
);
select results_eq(
  $$select overage, amount_minor from public.usage_history((now() at time zone 'UTC')::date, (now() at time zone 'UTC')::date)$$,
  $$values (10::bigint, 20::numeric)$$, 'the history has them'
);
select lives_ok('select public.set_overage(true, 5)', 'a cap below what is spent is allowed');
select is(pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'spending_cap_reached', 'and stops at once');
select public.set_overage(false);
select is(pg_temp.refusal('select pg_temp.ask(1)') ->> 'code', 'message_quota_exceeded', 'no is no');
select is(public.my_overage() ->> 'cap_minor', '5', 'the cap is remembered');

-- The stranger.
select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001');
select is((public.my_overage() ->> 'spent_minor')::integer, 0, 'a stranger sees none of it');
select is_empty($$select * from public.usage_history(current_date - 30, current_date + 1)$$, 'nor the days');
select is(public.mark_notifications_read(), 0::bigint, 'nor reads the notices away');
select is((select count(*) from public.notifications), 0::bigint, 'nor sees them');
select pg_temp.become('anon');
select throws_ok(f, '42501', null, 'anon may not: ' || f)
from unnest(array['select public.my_overage()', 'select public.set_overage(true, 1)',
  'select * from public.usage_history(current_date, current_date)', 'select public.mark_notifications_read()',
  'select public.consume_usage(gen_random_uuid(), ''tool'', 1)']) f;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select throws_ok(f, '42501', null, 'nor may the owner: ' || f)
from unnest(array['select public.consume_usage(auth.uid(), ''tool'', 1)', 'select public.claim_usage()',
  'select * from public.lease_usage()', 'select public.usage_sent(1)', 'select * from billing.overage_usage',
  'update public.notifications set title = ''x''', 'select * from billing.usage_days']) f;
select is(public.mark_notifications_read(), 3::bigint, 'the owner reads the notices');
select is((select count(*) from public.notifications where read_at is not null), 3::bigint, 'which are read then');

reset role;

-- The ledger is only ever added to, and outlives its user.
select throws_ok(c.statement, '23000', null, c.why)
from (values
  ('update billing.overage_usage set quantity = quantity - 1 where stripe_customer_id = ''cus_tada''', 'it is not lowered'),
  ('update billing.overage_usage set stripe_customer_id = ''cus_tbob'' where stripe_customer_id = ''cus_tada''', 'nor billed to somebody else'),
  ('delete from billing.overage_usage where stripe_customer_id = ''cus_tada''', 'nor deleted')
) c (statement, why);
select throws_ok(
  'update billing.overage_usage set claimed = quantity + 1 where stripe_customer_id = ''cus_tada''', '23514', null, 'no more is claimed than there is'
);
select throws_ok(
  'update billing.usage_counters set allowance = 1 where metric_id = ''message''', '23514', null,
  'an allowance is not lowered behind the gate''s back'
);
create temporary table owed as select count(*), sum(quantity) from billing.overage_usage where stripe_customer_id = 'cus_tada';
delete from public.subscriptions where user_id = 'a0000000-0000-4000-8000-000000000001';
delete from public.customers where user_id = 'a0000000-0000-4000-8000-000000000001';
delete from auth.users where id = 'a0000000-0000-4000-8000-000000000001';
select results_eq(
  $$select count(*), sum(quantity) from billing.overage_usage where user_id is null and stripe_customer_id = 'cus_tada'$$,
  'select * from owed', 'what a deleted user owes is still owed'
);
select cmp_ok(public.claim_usage(), '>', 0::bigint, 'and is still reported');

select * from finish();
rollback;
