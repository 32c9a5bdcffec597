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
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

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

select no_plan();

-- What the journeys left behind is not what is tested here. The ledger refuses to be emptied, so its triggers are off for that.
alter table billing.overage_usage disable trigger user;
delete from billing.usage_outbox;
delete from billing.overage_usage;
delete from billing.overage_accounts;
delete from billing.metered_items;
delete from billing.usage_checks;
delete from billing.problems;
alter table billing.overage_usage enable trigger user;

-- Beyond the allowance, for those who said yes: admitted up to the cap, into the ledger, and nothing that could not be billed.

insert into public.conversations (id, user_id) values
  ('a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001');

create function pg_temp.ask(p_times integer) returns void
language sql as $$
  insert into public.messages (conversation_id, role, content)
  select 'a0000000-0000-4000-8000-0000000000c1', 'user', 'x' from generate_series(1, p_times);
$$;
grant execute on function pg_temp.ask(integer) to public;

create function pg_temp.used(p_used bigint) returns void
language sql security definer as $$
  update billing.usage_counters set used = p_used, overage = 0, overage_minor = 0 where metric_id = 'message';
$$;
grant execute on function pg_temp.used(bigint) to public;

create function pg_temp.month(p_months integer default 0) returns timestamptz
language sql as $$
  select (date_trunc('day', now() at time zone 'UTC') - interval '10 days' + p_months * interval '1 month') at time zone 'UTC';
$$;
grant execute on function pg_temp.month(integer) to public;

create function pg_temp.apply(
  p_plan text default 'pro', p_more jsonb default '{}', p_items jsonb default '{}', p_id text default 'sub_meter1',
  p_attached boolean default true
) returns jsonb
language sql security definer as $$
  select public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
    jsonb_build_array(jsonb_build_object(
      'id', p_id, 'status', 'active', 'price_lookup_key', p_plan || '_monthly', 'currency', 'usd',
      'current_period_start', pg_temp.month(), 'current_period_end', pg_temp.month(1), 'created', '2026-01-01T00:00:00Z'
    ) || p_more),
    p_metering => jsonb_build_object('metered_items', case when p_attached then jsonb_build_array(
      jsonb_build_object(
        'id', 'si_meter_message', 'subscription_id', p_id, 'price_lookup_key', p_plan || '_message_overage', 'currency', 'usd',
        'unit_amount_minor', '2', 'period_start', pg_temp.month(), 'period_end', pg_temp.month(1)
      ) || p_items,
      jsonb_build_object(
        'id', 'si_meter_tool', 'subscription_id', p_id, 'price_lookup_key', null, 'meter_event_name', 'tollgate_tool',
        'currency', 'usd', 'unit_amount_minor', 0.8, 'period_start', pg_temp.month(), 'period_end', pg_temp.month(1)
      ) || p_items
    ) else '[]' end));
$$;
grant execute on function pg_temp.apply(text, jsonb, jsonb, text, boolean) to public;

create function pg_temp.state() returns table (quantity bigint, amount numeric, spent numeric, used bigint, overage bigint)
language sql security definer as $$
  select coalesce(sum(u.quantity)::bigint, 0), trim_scale(coalesce(sum(u.amount_minor), 0)), trim_scale(max(a.spent_minor)),
    max(c.used), max(c.overage)
  from billing.overage_accounts a
  join billing.usage_counters c on c.user_id = a.user_id and c.metric_id = 'message'
  left join billing.overage_usage u on u.user_id = a.user_id and u.period_start = a.period_start
  group by a.user_id;
$$;
grant execute on function pg_temp.state() to public;

create function pg_temp.notices() returns table (line text)
language sql security definer as $$
  select format('%s %s %s of %s', kind, metric_id, threshold, limit_value) from public.notifications
  where user_id = 'a0000000-0000-4000-8000-000000000001' order by id;
$$;
grant execute on function pg_temp.notices() to public;

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
    "currency": "usd", "period_start": null, "period_end": null, "spent_minor": 0, "projected_minor": 0, "credits": null}',
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
    'available', true, 'reason', null, 'enabled', true, 'attached', true, 'cap_minor', 10, 'currency', 'usd',
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

-- Nothing is admitted that could not be billed.
select public.set_overage(true, 100000);
reset role;

create function pg_temp.verdict(p_more jsonb, p_items jsonb default '{}', p_attached boolean default true) returns text
language plpgsql as $$
declare
  v_code text;
begin
  perform pg_temp.apply(p_more => p_more, p_items => p_items, p_attached => p_attached);
  perform pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
  v_code := pg_temp.refusal('select pg_temp.ask(1)') ->> 'code';
  reset role;
  return coalesce(v_code, 'admitted');
end;
$$;

select is(pg_temp.verdict(c.more, c.items, c.attached), c.verdict, c.why)
from (values
  ('{}'::jsonb, '{}'::jsonb, true, 'admitted', 'active, with the items: admitted'),
  ('{"status": "past_due"}', '{}', true, 'message_quota_exceeded', 'past due: no further overage, though the plan goes on'),
  ('{}', '{}', true, 'admitted', 'paid again'),
  ('{}', '{}', false, 'message_quota_exceeded', 'without the metered items Stripe could not bill it'),
  ('{}', '{"price_lookup_key": "mystery", "meter_event_name": "tollgate_agent"}', true, 'message_quota_exceeded',
    'nor with items of a meter we do not know'),
  (jsonb_build_object('cancel_at', now() + interval '1 day'), '{}', true, 'admitted', 'ending tomorrow is not ended'),
  (jsonb_build_object('cancel_at', now() - interval '1 minute'), '{}', true, 'message_quota_exceeded',
    'past its end nothing is billed, although no snapshot has said so yet'),
  (jsonb_build_object('cancel_at_period_end', true, 'current_period_end', now()), '{}', true, 'message_quota_exceeded',
    'in both ways of saying it'),
  (jsonb_build_object('pending_change_at', now(), 'pending_price_lookup_key', 'pro_yearly'), '{}', true,
    'message_quota_exceeded', 'and a change that is due waits for its snapshot'),
  ('{}', '{"currency": "eur"}', true, 'message_quota_exceeded', 'a cap in dollars says nothing about euros'),
  ('{}', '{}', true, 'message_quota_exceeded', 'and is asked about again')
) as c (more, items, attached, verdict, why);
select results_eq(
  $$select kind, subject, resolved_at is not null from billing.problems where kind = 'unknown_metered_item' order by 2$$,
  $$values ('unknown_metered_item', 'si_meter_message', true), ('unknown_metered_item', 'si_meter_tool', true)$$,
  'items that were not understood were reported, and are understood now'
);

select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select public.set_overage(true, 100000);
reset role;
select is(pg_temp.verdict('{}'), 'admitted', 'after which it goes on');
select pg_temp.apply(p_id => 'sub_meter2', p_items => '{}');
select is(
  (select enabled from billing.overage_accounts), false, 'consent ends with the subscription it was given for'
);
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(), '[]');
select is((select count(*) from billing.metered_items), 0::bigint, 'without a subscription there are no items');
select isnt((select count(*) from billing.overage_usage), 0::bigint, 'but the ledger stays');

-- What a snapshot does not carry stays as it is.
select pg_temp.apply();
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(), (
  select jsonb_agg(jsonb_build_object('id', id, 'status', status, 'price_lookup_key', price_lookup_key, 'currency', currency,
    'current_period_end', current_period_end)) from public.subscriptions where id like 'sub_meter%'));
select is((select count(*) from billing.metered_items), 2::bigint, 'a snapshot of an older caller leaves the items alone');
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(), '[]', p_metering => '{
  "credit_grants": [
    {"id": "credgr_1", "amount_minor": 1000, "currency": "usd", "category": "paid", "expires_at": "2999-01-01T00:00:00Z",
      "created": "2026-01-01T00:00:00Z"},
    {"id": "credgr_2", "amount_minor": 500, "currency": "usd", "category": "promotional",
      "expires_at": "2998-01-01T00:00:00Z", "voided_at": "2026-02-01T00:00:00Z", "created": "2026-01-01T00:00:00Z"}
  ],
  "credit_balances": [{"currency": "usd", "balance_minor": 640}]
}');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(
  public.my_overage() -> 'credits',
  '{"balance_minor": 640, "currency": "usd", "next_expiry": "2999-01-01T00:00:00+00:00"}', 'prepaid credit is shown'
);
select is((select count(*) from public.credit_grants), 2::bigint, 'with its grants');
select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001');
select is(
  (select count(*) from public.credit_grants) + (select count(*) from public.credit_balances), 0::bigint,
  'to nobody else'
);
reset role;
select is(
  public.compare_customer_snapshot('cus_tada', '[]', '[]', '{"credit_balances": [{"currency": "usd", "balance_minor": 600}]}'),
  '[{"field": "credit balance usd balance_minor", "ours": 640, "stripe": 600}]', 'what would change is told'
);
select is(pg_temp.refusal(format(
  'select public.apply_customer_snapshot(''cus_tada'', public.next_sync_token(), ''[]'', p_metering => %L)', c.doc
)) ->> 'code', 'invalid_request', c.why)
from (values
  ('[]', 'a list is no object'),
  ('{"meters": []}', 'an unknown key is refused'),
  ('{"metered_items": {}}', 'an object is no list'),
  ('{"metered_items": [{"id": "si_1"}, {"id": "si_1"}]}', 'an item given twice is refused')
) c (doc, why);
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(), '[]', p_metering => '{"credit_balances": []}');
select is((select count(*) from public.credit_balances where user_id = 'a0000000-0000-4000-8000-000000000001'), 0::bigint, 'what Stripe no longer has is gone here too');
select is((select count(*) from public.credit_grants where user_id = 'a0000000-0000-4000-8000-000000000001'), 2::bigint, 'and nothing else');

-- The period ends, and Stripe's next one is not here yet.
select pg_temp.apply();
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select public.set_overage(true, 100000);
reset role;
create function pg_temp.period(p_start timestamptz, p_end timestamptz) returns void
language sql as $$
  update billing.overage_accounts set period_start = p_start, period_end = p_end;
$$;
select pg_temp.period(now() - interval '2 months', now() - interval '1 month' - interval '1 second');
select set_config('timezone', 'Pacific/Kiritimati', true);
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is((public.my_overage() ->> 'spent_minor')::integer, 0, 'a new period starts with nothing spent');
select pg_temp.ask(1);
reset role;
select set_config('timezone', 'UTC', true);
select ok(
  (select a.period_start <= now() and a.period_end > now() and a.spent_minor = 2
      and a.period_end = ((a.period_start at time zone 'UTC') + interval '1 month') at time zone 'UTC'
    from billing.overage_accounts a),
  'the account has moved on by whole months, in whatever time zone, and counts anew'
);
select ok(
  exists (
    select from billing.overage_usage u join billing.overage_accounts a using (user_id, period_start)
    where u.quantity = 1 and u.period_end = a.period_end
  ),
  'and so has the ledger'
);
select pg_temp.apply(p_items => jsonb_build_object('period_start', a.period_start, 'period_end', a.period_end + interval '1 day'))
from billing.overage_accounts a;
select is(
  (select spent_minor from billing.overage_accounts), 2::numeric,
  'the snapshot that comes late finds the period begun, and keeps what is spent'
);
select is(
  (select u.period_end - a.period_end from billing.overage_usage u join billing.overage_accounts a using (user_id, period_start)),
  interval '0', 'the ledger takes Stripe''s end'
);
create temporary table before as select * from billing.overage_accounts;
select pg_temp.apply(p_items => jsonb_build_object('period_start', now(), 'period_end', now() + interval '1 year'));
select results_eq(
  'select period_start, spent_minor from billing.overage_accounts', $$values (now(), 0::numeric)$$,
  'a period that Stripe begins anew (another interval) counts anew'
);
select is(
  (select u.period_end from billing.overage_usage u join before b using (user_id, period_start)), now(),
  'and the one before ends there'
);

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
) from (values ('''2026-02-01'', ''2026-01-01'''), ('''2025-01-01'', ''2026-02-06'''), ('null, ''2026-01-01''')) r (range);
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
