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

-- Access that ends by itself: the grace after a failed payment, and grants.

create function pg_temp.apply(p_status text, p_lookup_key text default 'pro_monthly', p_more jsonb default '{}')
returns text
language sql as $$
  select public.apply_customer_snapshot('cus_tada', public.next_sync_token(), jsonb_build_array(jsonb_build_object(
    'id', 'sub_t1', 'status', p_status, 'price_lookup_key', p_lookup_key, 'quantity', 1, 'currency', 'usd',
    'created', '2026-11-01T00:00:00Z'
  ) || p_more)) ->> 'plan';
$$;
grant execute on function pg_temp.apply(text, text, jsonb) to public;

create function pg_temp.mine() returns jsonb
language plpgsql as $$
declare
  v_mine jsonb;
begin
  perform pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
  v_mine := public.my_entitlements();
  reset role;
  return v_mine;
end;
$$;

-- Time passes by moving what was written into the past: now() stands still within a transaction.
create function pg_temp.let_pass(p_time interval) returns void
language sql as $$
  update public.subscriptions set past_due_since = past_due_since - p_time;
  update billing.grants set starts_at = starts_at - p_time, ends_at = ends_at - p_time;
  update public.entitlements set valid_until = valid_until - p_time where valid_until is not null;
$$;

create function pg_temp.ask(p_times integer) returns text
language plpgsql as $$
begin
  perform pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
  for v_time in 1 .. p_times loop
    insert into public.messages (conversation_id, role, content)
    values ('a0000000-0000-4000-8000-0000000000c1', 'user', 'x');
  end loop;
  reset role;
  return 'accepted';
exception when sqlstate 'PGRST' then
  reset role;
  return sqlerrm::jsonb ->> 'code';
end;
$$;

insert into public.conversations (id, user_id) values
  ('a0000000-0000-4000-8000-0000000000c1', 'a0000000-0000-4000-8000-000000000001');
select public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_tada');

-- Grace.
select is(pg_temp.apply('active'), 'pro', 'a paid subscription gives its plan');
select is(pg_temp.mine() -> 'payment_problem', 'null', 'without a problem');
select is(pg_temp.ask(60), 'accepted', 'more messages than Free has');
select is(pg_temp.apply('past_due'), 'pro', 'a failed payment keeps the plan');
select is((pg_temp.mine() ->> 'grace_ends_at')::timestamptz, now() + interval '7 days', 'for seven days');
select is(
  pg_temp.mine() -> 'payment_problem',
  '{"status": "past_due", "subscription_id": "sub_t1", "hosted_invoice_url": null}', 'and its owner is told'
);
select is(
  (select valid_until from public.entitlements where user_id = 'a0000000-0000-4000-8000-000000000001'),
  now() + interval '7 days', 'the entitlement knows its end'
);
select is(pg_temp.ask(1), 'accepted', 'messages go on');
select pg_temp.let_pass('6 days');
select is(pg_temp.apply('past_due'), 'pro', 'another event does not start the grace anew');
select is((pg_temp.mine() ->> 'grace_ends_at')::timestamptz, now() + interval '1 day', 'one day is left');

select pg_temp.let_pass('1 day');
select is(pg_temp.mine() -> 'plan' ->> 'id', 'free', 'when it is over, the plan is Free without any job');
select is(pg_temp.mine() -> 'payment_problem' ->> 'status', 'past_due', 'the problem is still told');
select is(pg_temp.mine() -> 'limits' ->> 'message', '50', 'with the limits of Free');
select is(pg_temp.ask(1), 'message_quota_exceeded', 'and the gate refuses, without any job');
select is(billing.expire_entitlements(), 1::bigint, 'the job tidies up');
select is(billing.expire_entitlements(), 0::bigint, 'once');
select is_empty(
  $$select from public.entitlements where user_id = 'a0000000-0000-4000-8000-000000000001'$$, 'the entitlement is gone'
);
select is(pg_temp.apply('past_due'), 'free', 'another event does not bring it back');
select is(pg_temp.apply('active'), 'pro', 'a recovered payment does, at once');
select is(pg_temp.mine() -> 'grace_ends_at', 'null', 'and ends the grace');
select is(pg_temp.ask(1), 'accepted', 'messages go on again');
select is(pg_temp.apply('past_due'), 'pro', 'the next failure has a grace of its own');
update billing.settings set value = '10' where key = 'grace_days';
select is(
  (select valid_until from public.entitlements where user_id = 'a0000000-0000-4000-8000-000000000001'),
  now() + interval '10 days', 'a longer grace counts at once'
);
update billing.settings set value = '0' where key = 'grace_days';
select is(pg_temp.mine() -> 'plan' ->> 'id', 'free', 'no grace at all is possible');
select throws_ok(
  $$update billing.settings set value = '"soon"' where key = 'grace_days'$$, null, null, 'nonsense is refused'
);
update billing.settings set value = '7' where key = 'grace_days';

-- The other statuses.
select is(pg_temp.apply(s.status), 'free', s.status || ' gives no access')
from unnest(array['incomplete', 'unpaid', 'paused', 'something_new']) s (status);
select is(
  (select array_agg((pg_temp.apply(s.status) || ' ' || (pg_temp.mine() -> 'payment_problem' ->> 'status')) order by s.n)
    from (values (1, 'incomplete'), (2, 'unpaid'), (3, 'paused'), (4, 'something_new')) s (n, status)),
  array['free incomplete', 'free unpaid', 'free paused', 'free something_new'], 'and each is visible to its owner'
);
select is(pg_temp.apply('canceled') || coalesce(pg_temp.mine() ->> 'payment_problem', ''), 'free', 'an ended one is no problem');

-- The way to pay.
select pg_temp.become('service_role');
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(),
  '[{"id": "sub_t1", "status": "past_due", "price_lookup_key": "pro_monthly", "created": "2026-11-01T00:00:00Z"}]',
  '[{"id": "in_t1", "status": "open", "subscription_id": "sub_t1", "currency": "usd", "total_minor": 1500,
    "amount_due_minor": 1500, "amount_paid_minor": 0, "hosted_invoice_url": "https://pay.test/in_t1",
    "created": "2026-11-20T00:00:00Z"},
    {"id": "in_t0", "status": "paid", "subscription_id": "sub_t1", "currency": "usd", "total_minor": 1500,
    "amount_due_minor": 1500, "amount_paid_minor": 1500, "hosted_invoice_url": "https://pay.test/in_t0",
    "created": "2026-10-20T00:00:00Z"}]');
reset role;
select is(
  pg_temp.mine() -> 'payment_problem' ->> 'hosted_invoice_url', 'https://pay.test/in_t1', 'the open invoice can be paid'
);
select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001');
select is_empty('select from public.invoices', 'nobody else sees the invoices');
select is(public.my_entitlements() -> 'payment_problem', 'null', 'or the problem');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is((select count(*) from public.invoices), 2::bigint, 'their owner does');
select pg_temp.become('service_role');
select throws_ok($$delete from public.invoices$$, '42501', null, 'the secret key does not write them directly');
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(), '[]', '[]');
reset role;
select is_empty($$select from public.invoices where id ~ '^in_t\d$'$$, 'what Stripe no longer has is gone');

-- Grants.
create temporary table given (id bigint);
insert into given
select billing.grant_plan('a0000000-0000-4000-8000-000000000001', 'enterprise', now() + interval '30 days', 'Pilot');
select is(pg_temp.mine() -> 'plan' ->> 'id', 'enterprise', 'a grant gives its plan');
select is(pg_temp.mine() ->> 'source', 'grant', 'and says so');
select is((pg_temp.mine() -> 'grant' ->> 'ends_at')::timestamptz, now() + interval '30 days', 'with its end');
select is(pg_temp.ask(1), 'accepted', 'without a limit');
select is(pg_temp.apply('active'), 'enterprise', 'it wins over a lower paid plan');
select pg_temp.let_pass('30 days');
select is(pg_temp.mine() -> 'plan' ->> 'id', 'free', 'once it has ended it counts for nothing');
select is(pg_temp.ask(1), 'accepted', 'the gate finds the paid plan beneath it');
select is(pg_temp.mine() -> 'plan' ->> 'id', 'pro', 'and from then on everybody does');
insert into given
select billing.grant_plan('a0000000-0000-4000-8000-000000000001', 'pro', null, 'Thanks');
select is(pg_temp.mine() ->> 'source', 'subscription', 'of equal plans the paid one counts');
select is(pg_temp.apply('canceled'), 'pro', 'the grant is there when it ends');
select is(billing.revoke_grant((select max(id) from given)), 'free', 'until it is revoked');
select is(billing.revoke_grant((select max(id) from given)), 'free', 'which may be said twice');
select throws_ok('select billing.revoke_grant(0)', 'P0002', null, 'there must be one to revoke');
select throws_ok(
  $$select billing.grant_plan('a0000000-0000-4000-8000-000000000001', 'pro', now() - interval '1 day', 'x')$$,
  '23514', null, 'a grant does not end before it starts'
);
select throws_ok(
  $$select billing.grant_plan('a0000000-0000-4000-8000-000000000001', 'gold', null, 'x')$$, '23503', null,
  'or give a plan that is none'
);
select throws_ok(
  $$select billing.grant_plan('a0000000-0000-4000-8000-000000000001', 'pro', null, '')$$, '23514', null,
  'or go without a reason'
);

-- Trials are once per person.
update public.prices set trial_days = 14 where lookup_key = 'pro_monthly';
select is(
  public.checkout_terms('a0000000-0000-4000-8000-000000000001', 'pro_monthly'),
  '{"trial_days": 14, "automatic_tax": false, "allow_promotion_codes": true}', 'a first subscription has its trial'
);
select pg_temp.apply('trialing', 'pro_monthly', '{"trial_end": "2026-12-01T00:00:00Z"}');
select pg_temp.apply('canceled', 'pro_monthly', '{"trial_end": "2026-12-01T00:00:00Z"}');
select public.apply_customer_snapshot('cus_tada', public.next_sync_token(), '[]');
select is(
  public.checkout_terms('a0000000-0000-4000-8000-000000000001', 'pro_monthly') ->> 'trial_days', '0',
  'the next one has none, even when every trace of the first is gone'
);
select is(
  public.checkout_terms('b0000000-0000-4000-8000-000000000001', 'pro_monthly') ->> 'trial_days', '14',
  'somebody else''s has'
);

-- Why.
select results_eq(
  $$select plan_id, source, cause from billing.access_log
    where user_id = 'a0000000-0000-4000-8000-000000000001' order by id limit 3$$,
  $$values ('pro', 'subscription', 'snapshot'), ('pro', 'subscription', 'snapshot'), ('free', 'default', 'expired')$$,
  'every change of the entitlement is noted with its cause'
);
select pg_temp.apply('active');
select results_eq(
  $$select kind, plan_id, ref from billing.explain_access('a0000000-0000-4000-8000-000000000001') where kind in ('plan', 'subscription')$$,
  $$values ('plan', 'pro', 'sub_t1'), ('subscription', 'pro', 'sub_t1')$$, 'an operator is told the plan and where it is from'
);
select matches(
  (select why from billing.explain_access('a0000000-0000-4000-8000-000000000001') where kind = 'limit' and ref = 'message'),
  '^message: [0-9]+ of 500 used$', 'and what the limits allow'
);
select is(
  (select why from billing.explain_access('b0000000-0000-4000-8000-000000000001')), 'nothing ever gave another plan',
  'somebody who never paid has a plan for a reason too'
);
select is(
  (select plan_id from billing.explain_access('a0000000-0000-4000-8000-000000000001', now() - interval '1 day')
    where kind = 'plan'),
  'free', 'before all this they were on Free'
);

-- What we know to be paid, and the grace: no longer, even if nothing is ever heard of this customer again.
select is(
  pg_temp.apply('active', 'pro_monthly', jsonb_build_object('current_period_end', now() - interval '6 days')), 'pro',
  'a renewal that is late keeps the plan'
);
select is(
  (select valid_until from public.entitlements where user_id = 'a0000000-0000-4000-8000-000000000001'),
  now() + interval '1 day', 'for the grace period'
);
select is(
  pg_temp.apply('active', 'pro_monthly', jsonb_build_object('current_period_end', now() - interval '8 days')), 'free',
  'and no longer'
);
select is(
  pg_temp.apply('active', 'pro_monthly', jsonb_build_object('current_period_end', now() + interval '30 days')), 'pro',
  'until it is heard of'
);

select * from finish();
rollback;
