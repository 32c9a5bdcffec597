begin;
\ir fixtures/metering.psql

-- Beyond the allowance nothing is admitted that could not be billed, and into no other period than its own.

-- Somebody with Pro who said yes and is beyond the allowance already.
select public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_tada');
select pg_temp.apply();
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select public.set_overage(true, 100000);
select pg_temp.ask(1);
select pg_temp.used(500);
select pg_temp.ask(5);

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

select * from finish();
rollback;
