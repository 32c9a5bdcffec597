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

-- What a person is told about their plan and their usage.

insert into public.conversations (id, user_id) values
  ('a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001');

create function pg_temp.midnight() returns timestamptz
language sql as $$
  select ((now() at time zone 'UTC')::date + 1)::timestamp at time zone 'UTC';
$$;
grant execute on function pg_temp.midnight() to public;

-- A new person.
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select results_eq(
  'select * from public.my_usage()',
  $$values ('agent', 0::bigint, 1::bigint, null::timestamptz, 'free', 0::bigint),
    ('message', 0, 50, pg_temp.midnight(), 'free', 0), ('tool', 0, 20, pg_temp.midnight(), 'free', 0)$$,
  'a new person has used nothing, and has no counter yet'
);
select is(
  public.my_entitlements(),
  '{
    "plan": {"id": "free", "name": "Free", "rank": 0}, "source": "default", "status": null,
    "features": ["basic_tools"], "limits": {"message": 50, "agent": 1, "tool": 20}, "subscription": null,
    "payment_problem": null, "grace_ends_at": null, "pending_change": null, "grant": null
  }',
  'and is on the default plan'
);

-- Somebody who has been using it.
insert into public.messages (conversation_id, role, content)
select 'a0000000-0000-4000-8000-0000000000c1', 'user', 'x' from generate_series(1, 3);
insert into public.agents (name) values ('x');
select results_eq(
  'select metric, used from public.my_usage()', $$values ('agent', 1::bigint), ('message', 3), ('tool', 0)$$,
  'use is shown'
);
reset role;
update billing.usage_counters set period_day = period_day - 1 where metric_id = 'message';
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select results_eq(
  'select metric, used, resets_at from public.my_usage()',
  $$values ('agent', 1::bigint, null::timestamptz), ('message', 0, pg_temp.midnight()),
    ('tool', 0, pg_temp.midnight())$$,
  'yesterday''s messages are over, the agent is still there'
);
select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001');
select is((select sum(used) from public.my_usage()), 0::numeric, 'the other has used nothing');

-- Subscribed.
select pg_temp.become('service_role');
select public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_tada');
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(), '[{
  "id": "sub_t1", "status": "active", "price_lookup_key": "pro_monthly", "quantity": 1,
  "current_period_end": "2026-12-01T00:00:00Z", "cancel_at_period_end": true,
  "created": "2026-11-01T00:00:00Z"
}]');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select results_eq(
  'select metric, limit_value, plan from public.my_usage()',
  $$values ('agent', 5::bigint, 'pro'), ('message', 500, 'pro'), ('tool', 200, 'pro')$$, 'the limits are those of the plan'
);
select is(
  public.my_entitlements() - 'subscription',
  '{
    "plan": {"id": "pro", "name": "Pro", "rank": 10}, "source": "subscription", "status": "active",
    "features": ["basic_tools", "all_tools", "priority"], "limits": {"message": 500, "agent": 5, "tool": 200},
    "payment_problem": null, "grace_ends_at": null, "pending_change": null, "grant": null
  }',
  'the entitlement is that of the subscription'
);
select is(
  public.my_entitlements() -> 'subscription' ->> 'price_lookup_key', 'pro_monthly', 'with its price'
);
select is(
  (public.my_entitlements() -> 'subscription' ->> 'ends_at')::timestamptz, '2026-12-01'::timestamptz,
  'cancelling at the period''s end is ending'
);
select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001');
select is(public.my_entitlements() -> 'subscription', 'null', 'the other sees nothing of it');

select pg_temp.become('service_role');
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(), '[{
  "id": "sub_t1", "status": "active", "price_lookup_key": "pro_monthly",
  "current_period_end": "2026-12-01T00:00:00Z", "cancel_at": "2026-11-28T00:00:00Z"
}]');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(
  (public.my_entitlements() -> 'subscription' ->> 'ends_at')::timestamptz, '2026-11-28'::timestamptz,
  'and so is Stripe''s other form, a time to cancel at'
);

-- Paid no more.
select pg_temp.become('service_role');
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
  '[{"id": "sub_t1", "status": "unpaid", "price_lookup_key": "pro_monthly"}]');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(public.my_entitlements() -> 'plan' ->> 'id', 'free', 'an unpaid subscription gives nothing');
select is(public.my_entitlements() ->> 'status', 'unpaid', 'but is seen');
select pg_temp.become('service_role');
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
  '[{"id": "sub_t1", "status": "canceled", "price_lookup_key": "pro_monthly", "ended_at": "2026-11-20T00:00:00Z"}]');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(public.my_entitlements() -> 'subscription', 'null', 'one that has ended is history');

-- Unlimited.
reset role;
insert into public.entitlements (user_id, plan_id, source)
values ('a0000000-0000-4000-8000-000000000001', 'enterprise', 'subscription');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select results_eq(
  'select limit_value from public.my_usage()', array[null::bigint, null, null], 'unlimited is null'
);
select is(
  public.my_entitlements() -> 'limits', '{"message": null, "agent": null, "tool": null}', 'in both answers'
);
select is(jsonb_array_length(public.my_entitlements() -> 'features'), 6, 'with every feature');

select * from finish();
rollback;
