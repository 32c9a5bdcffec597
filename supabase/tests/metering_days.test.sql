begin;
\ir fixtures/metering.psql

-- Metering by the day: what is kept of it, who is told, and by whichever way it is used.

-- Somebody with Pro who said yes and is beyond the allowance already.
select public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_tada');
select pg_temp.apply();
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select public.set_overage(true, 100000);
select pg_temp.ask(1);
select pg_temp.used(500);
select pg_temp.ask(5);

reset role;

-- Days.
update billing.usage_counters set used = 507, overage = 7, overage_minor = 14, period_day = period_day - 3
where metric_id = 'message';
select pg_temp.apply('business', p_items => '{"unit_amount_minor": "1.5"}');
select results_eq(
  $$select day - (now() at time zone 'UTC')::date, used, allowance, overage, trim_scale(overage_minor) from billing.usage_days$$,
  $$values (-3, 507::bigint, 500::bigint, 7::bigint, 14::numeric)$$,
  'the day before a change of plan is kept with the allowance it had'
);
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select pg_temp.ask(2);
select results_eq(
  $$select day - (now() at time zone 'UTC')::date, used, allowance, overage, amount_minor
    from public.usage_history(((now() at time zone 'UTC')::date) - 30, (now() at time zone 'UTC')::date)$$,
  $$values (-3, 507::bigint, 500::bigint, 7::bigint, 14::numeric), (0, 2, 2000, 0, 0)$$,
  'the history has it, and today'
);
select is(
  pg_temp.refusal(format('select * from public.usage_history(%s)', r.range)) ->> 'code', 'invalid_range', r.range
) from (values ('''2026-02-01'', ''2026-01-01'''), ('''2025-01-01'', ''2026-02-06'''), ('null, ''2026-01-01'''),
  ('''-infinity'', ''2026-01-01'''), ('''2026-01-01'', ''infinity''')) r (range);
select lives_ok($$select * from public.usage_history('2025-01-01', '2026-02-05')$$, '400 days are a range');
reset role;
update billing.usage_counters set period_day = period_day - 1 where metric_id = 'message';
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select pg_temp.ask(1);
reset role;
select is((select count(*) from billing.usage_days), 2::bigint, 'the first message of a day keeps the day before');
update billing.usage_days set day = (now() at time zone 'UTC' - interval '13 months')::date - 1 where used = 507;
select is(billing.prune_usage_days(), 1::bigint, 'days older than 13 months go');

-- Notices of the allowance.
delete from public.notifications;
update billing.usage_counters set used = 1598, fast_until = billing.fast_until(allowance) where metric_id = 'message';
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select pg_temp.ask(1);
select is_empty('select * from pg_temp.notices()', 'below 80 % nobody is told anything');
select pg_temp.ask(1);
select results_eq('select * from pg_temp.notices()', array['allowance message 80 of 2000'], 'at 80 % they are');
select pg_temp.ask(398);
select is((select count(*) from pg_temp.notices()), 1::bigint, 'once');
select pg_temp.ask(2);
select results_eq(
  'select * from pg_temp.notices()', array['allowance message 80 of 2000', 'allowance message 100 of 2000'], 'and at the end'
);
reset role;
select pg_temp.apply();
select pg_temp.used(399);
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select pg_temp.ask(1);
select is(
  (select count(*) from pg_temp.notices() n (line) where n.line = 'allowance message 80 of 500'), 1::bigint,
  '80 % of another limit is news'
);
insert into public.agents (name) values ('x');
select is((select count(*) from pg_temp.notices()), 3::bigint, 'a limit that does not reset is nothing to warn of');
reset role;

-- Unlimited plans never pay beyond.
update public.entitlements set plan_id = 'enterprise' where user_id = 'a0000000-0000-4000-8000-000000000001';
create temporary table ledger as select sum(quantity) as quantity from billing.overage_usage;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select lives_ok('select pg_temp.ask(3000)', 'an unlimited plan has no beyond');
reset role;
select is((select sum(quantity) from billing.overage_usage), (select quantity from ledger), 'and pays for none');
update public.entitlements set plan_id = 'pro' where user_id = 'a0000000-0000-4000-8000-000000000001';

-- A metric of our own functions, by the same way.
select pg_temp.apply();
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select public.set_overage(true, 100000);
select pg_temp.become('service_role');
select is(
  public.consume_usage('a0000000-0000-4000-8000-000000000001', 'tool', 199),
  '{"used": 199, "allowance": 200, "overage": 0}', 'our functions take tools'
);
select is(
  public.consume_usage('a0000000-0000-4000-8000-000000000001', 'tool', 3, 'a0000000-0000-4000-8000-0000000000f1'),
  '{"used": 202, "allowance": 200, "overage": 2}', 'beyond the allowance too'
);
select is(
  public.consume_usage('a0000000-0000-4000-8000-000000000001', 'tool', 3, 'a0000000-0000-4000-8000-0000000000f1'),
  '{"used": 202, "allowance": 200, "overage": 2}', 'the same request again is free'
);
select is(
  public.consume_usage('a0000000-0000-4000-8000-000000000001', 'tool', 1), '{"used": 203, "allowance": 200, "overage": 3}',
  'another is not'
);
select is(
  pg_temp.refusal(format('select public.consume_usage(%s)', c.args)) ->> 'code', c.code, c.why
)
from (values
  ('null, ''tool'', 1', 'invalid_request', 'nobody takes nothing'),
  ('''a0000000-0000-4000-8000-000000000001'', ''tool'', 0', 'invalid_request', 'nothing is no quantity'),
  ('''a0000000-0000-4000-8000-000000000001'', ''agent'', 1', 'invalid_request', 'agents are rows, not usage'),
  ('''a0000000-0000-4000-8000-000000000001'', ''mystery'', 1', 'invalid_request', 'an unknown metric is refused'),
  ('''a0000000-0000-4000-8000-000000000001'', ''tool'', 4, ''a0000000-0000-4000-8000-0000000000f1''', 'invalid_request',
    'a request id is for one request'),
  ('''b0000000-0000-4000-8000-000000000001'', ''tool'', 21, ''b0000000-0000-4000-8000-0000000000f1''', 'tool_quota_exceeded',
    'Free ends at its allowance')
) c (args, code, why);
select is(
  public.consume_usage('b0000000-0000-4000-8000-000000000001', 'tool', 20, 'b0000000-0000-4000-8000-0000000000f2') ->> 'used',
  '20', 'a refusal burns nothing'
);
reset role;
select is(
  (select trim_scale(amount_minor) from billing.overage_usage u join billing.overage_accounts a using (user_id, period_start)
    where u.metric_id = 'tool'),
  2.4, 'three tools are two point four cents'
);
update billing.usage_requests set created_at = now() - interval '3 days';
select is(billing.prune_usage_requests(), 2::bigint, 'request ids are forgotten after two days');

-- Bulk, by somebody who may write for everybody.
update billing.usage_counters set used = 499 where user_id = 'a0000000-0000-4000-8000-000000000001' and metric_id = 'message';
insert into public.conversations (id, user_id) values
  ('b0000000-0000-4000-8000-0000000000c1', 'b0000000-0000-4000-8000-000000000001');
select lives_ok(
  $$insert into public.messages (conversation_id, user_id, role, content)
    select id, user_id, 'user', 'x' from public.conversations, generate_series(1, 3)
    where user_id in ('a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001')$$,
  'a bulk insert takes everybody''s own'
);
select is(
  (select overage from billing.usage_counters
    where user_id = 'a0000000-0000-4000-8000-000000000001' and metric_id = 'message'), 2::bigint, 'beyond where they pay'
);
select is(
  (select count(*) from billing.explain_access('a0000000-0000-4000-8000-000000000001') where kind = 'overage'
    and why like 'on, % of 100000 usd spent'), 1::bigint, 'and an operator can see why'
);

select * from finish();
rollback;
