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

-- Stripe's present state goes in, the entitlement comes out, whatever order it arrives in.

create function pg_temp.subscription(
  p_id text, p_status text, p_lookup_key text, p_more jsonb default '{}'
) returns jsonb
language sql as $$
  select jsonb_build_object(
    'id', p_id, 'status', p_status, 'price_lookup_key', p_lookup_key, 'quantity', 1, 'currency', 'usd',
    'current_period_start', '2026-11-01T00:00:00Z', 'current_period_end', '2026-12-01T00:00:00Z',
    'cancel_at', null, 'cancel_at_period_end', false, 'canceled_at', null, 'ended_at', null,
    'trial_end', null, 'created', '2026-11-01T00:00:00Z'
  ) || p_more;
$$;
grant execute on function pg_temp.subscription(text, text, text, jsonb) to public;

create function pg_temp.problems() returns text[]
language sql security definer as $$
  select coalesce(array_agg(kind || ' ' || subject order by kind, subject), '{}')
  from billing.problems where resolved_at is null
    and (subject like 'sub_t%' or subject like 'cus_t%');
$$;
grant execute on function pg_temp.problems() to public;

create temporary table tokens (name text primary key, token bigint);
grant all on tokens to public;

select pg_temp.become('service_role');

-- Linking.
select is(
  public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_tada'), 'cus_tada', 'a customer is linked'
);
select is(
  public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_tother'), 'cus_tada', 'the first one wins'
);
select throws_ok(
  $$select public.link_customer('b0000000-0000-4000-8000-000000000001', 'cus_tada')$$, '23505', null,
  'nobody gets the customer of another'
);
select is(
  pg_temp.refusal($$select public.link_customer(null, 'cus_t')$$) ->> 'code', 'invalid_request',
  'a link needs a user'
);
select is(
  pg_temp.refusal($$select public.link_customer('b0000000-0000-4000-8000-000000000001', 'ada')$$) ->> 'code',
  'invalid_request', 'and an id that looks like a customer''s'
);
select throws_ok(
  $$select public.link_customer(gen_random_uuid(), 'cus_tnobody')$$, '23503', null, 'and one who exists'
);
select throws_ok(
  $$delete from auth.users where id = 'a0000000-0000-4000-8000-000000000001'$$, null, null,
  'the secret key deletes no users here'
);

-- Tokens.
insert into tokens select 'first', public.next_sync_token();
insert into tokens select 'second', public.next_sync_token();
insert into tokens select 'third', public.next_sync_token();
select ok(
  (select token from tokens where name = 'first') < (select token from tokens where name = 'second'),
  'tokens rise'
);

-- Applying.
select is(
  public.apply_customer_snapshot('cus_tada', (select token from tokens where name = 'second'),
    jsonb_build_array(pg_temp.subscription('sub_t1', 'active', 'pro_monthly'))),
  '{"applied": true, "reason": null, "plan": "pro"}', 'a snapshot is applied'
);
select results_eq(
  $$select plan_id, source, subscription_id from public.entitlements
    where user_id = 'a0000000-0000-4000-8000-000000000001'$$,
  $$values ('pro', 'subscription', 'sub_t1')$$, 'the entitlement follows'
);
reset role;
select results_eq(
  $$select allowance from billing.usage_counters
    where user_id = 'a0000000-0000-4000-8000-000000000001' order by metric_id$$,
  array[5::bigint, 500, 200], 'and the cached allowances'
);
select pg_temp.become('service_role');
select results_eq(
  $$select status, price_lookup_key, plan_id, quantity, currency, current_period_end, cancel_at_period_end,
      stripe_created_at from public.subscriptions where id = 'sub_t1'$$,
  $$values ('active', 'pro_monthly', 'pro', 1, 'usd', '2026-12-01'::timestamptz, false, '2026-11-01'::timestamptz)$$,
  'every field is kept'
);
select is(
  public.apply_customer_snapshot('cus_tada', (select token from tokens where name = 'first'), '[]'),
  '{"applied": false, "reason": "stale_token", "plan": "pro"}', 'an older token does nothing'
);
select is(
  public.apply_customer_snapshot('cus_tada', (select token from tokens where name = 'second'), '[]'),
  '{"applied": false, "reason": "stale_token", "plan": "pro"}', 'nor does the same one again'
);
select is(
  public.apply_customer_snapshot('cus_tada', (select token from tokens where name = 'third'), '[]'),
  '{"applied": true, "reason": null, "plan": "free"}', 'a newer one without the subscription takes it away'
);
select is(
  (select count(*) from public.subscriptions where user_id = 'a0000000-0000-4000-8000-000000000001')
    + (select count(*) from public.entitlements where user_id = 'a0000000-0000-4000-8000-000000000001'),
  0::bigint, 'row and entitlement'
);

-- Which statuses give access.
create temporary table statuses (status text, plan text);
insert into statuses values
  ('active', 'pro'), ('trialing', 'pro'), ('past_due', 'pro'), ('incomplete', 'free'),
  ('incomplete_expired', 'free'), ('unpaid', 'free'), ('paused', 'free'), ('canceled', 'free'),
  ('something_new', 'free');
select is(
  public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
    jsonb_build_array(pg_temp.subscription('sub_t1', s.status, 'pro_monthly'))) ->> 'plan',
  s.plan, format('%s gives %s', s.status, s.plan)
) from statuses s;
select is(pg_temp.problems(), array['unknown_status sub_t1'], 'a status we do not know is reported');
select is(
  (select status from public.subscriptions where id = 'sub_t1'), 'something_new', 'and kept as it came'
);

-- What we do not understand gives no access and is seen.
select is(
  public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
    jsonb_build_array(pg_temp.subscription('sub_t1', 'active', 'mystery_price'))) ->> 'plan',
  'free', 'a price we do not know gives no access'
);
select is(
  pg_temp.problems(), array['unknown_price sub_t1'], 'it is reported, and the other problem is resolved'
);
select is(
  public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
    jsonb_build_array(pg_temp.subscription('sub_t1', 'active', null))) ->> 'plan',
  'free', 'nor does no price'
);
select is(
  public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
    jsonb_build_array(
      pg_temp.subscription('sub_t2', 'active', 'business_yearly', '{"created": "2026-01-01T00:00:00Z"}'),
      pg_temp.subscription('sub_t3', 'active', 'pro_monthly')
    )) ->> 'plan',
  'business', 'of several live subscriptions the highest plan counts'
);
select is(
  pg_temp.problems(), array['several_live_subscriptions cus_tada'], 'and somebody is told'
);
select is(
  public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
    jsonb_build_array(
      pg_temp.subscription('sub_t2', 'canceled', 'business_yearly'),
      pg_temp.subscription('sub_t3', 'active', 'pro_monthly')
    )) ->> 'plan',
  'pro', 'the lower one counts when the higher one ends'
);
select is(pg_temp.problems(), '{}', 'and the problem is over');
reset role;
update public.prices set is_active = false where lookup_key = 'pro_monthly';
select pg_temp.become('service_role');
select is(
  public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
    jsonb_build_array(pg_temp.subscription('sub_t3', 'active', 'pro_monthly'))) ->> 'plan',
  'pro', 'a price that is no longer sold keeps its plan'
);

-- Unknown and malformed.
select is(
  public.apply_customer_snapshot('cus_tnobody', public.next_sync_token(), '[]'),
  '{"applied": false, "reason": "unknown_customer", "plan": null}', 'a customer we do not know changes nothing'
);
select is(pg_temp.problems(), array['unknown_customer cus_tnobody'], 'and is reported');
select is(
  pg_temp.refusal(format('select public.apply_customer_snapshot(%L, %s, %L)', c.customer, c.token, c.list))
    ->> 'code',
  'invalid_request', c.why
)
from (values
  (null, 'public.next_sync_token()', '[]', 'a missing customer is refused'),
  ('cus_tada', 'null', '[]', 'a missing token is refused'),
  ('cus_tada', '9223372036854775807', '[]', 'a token that was never given out is refused'),
  ('cus_tada', 'public.next_sync_token()', '{}', 'an object is not a list'),
  ('cus_tada', 'public.next_sync_token()', '[{"status": "active"}]', 'a subscription without id is refused'),
  ('cus_tada', 'public.next_sync_token()', '[{"id": "sub_t9"}]', 'and one without status'),
  ('cus_tada', 'public.next_sync_token()',
    '[{"id": "sub_t9", "status": "active"}, {"id": "sub_t9", "status": "active"}]', 'and one given twice')
) as c (customer, token, list, why);
select public.link_customer('b0000000-0000-4000-8000-000000000001', 'cus_tbob');
select is(
  pg_temp.refusal($$select public.apply_customer_snapshot('cus_tbob', public.next_sync_token(),
    jsonb_build_array(pg_temp.subscription('sub_t3', 'active', 'pro_monthly')))$$) ->> 'message',
  'a subscription belongs to another customer', 'a subscription does not change hands'
);
select is(
  (select plan_id from public.entitlements where user_id = 'a0000000-0000-4000-8000-000000000001'), 'pro',
  'a refused snapshot leaves everything as it was'
);

-- Money does not outlive its owner unseen.
reset role;
select throws_ok(
  $$delete from auth.users where id = 'a0000000-0000-4000-8000-000000000001'$$, '23503', null,
  'a user with a customer cannot be deleted'
);

select * from finish();
rollback;
