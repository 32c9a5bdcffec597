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

-- From the ledger to Stripe: every unit once, in order, one call at a time per customer and meter, nothing dropped.

insert into public.customers (user_id, stripe_customer_id) values
  ('a0000000-0000-4000-8000-000000000001', 'cus_tada'), ('b0000000-0000-4000-8000-000000000001', 'cus_tbob');

create function pg_temp.use(p_customer text, p_metric text, p_quantity bigint, p_start timestamptz, p_end timestamptz)
returns void
language sql as $$
  insert into billing.overage_usage as u (
    stripe_customer_id, metric_id, period_start, period_end, user_id, quantity, amount_minor
  )
  select p_customer, p_metric, p_start, p_end, c.user_id, p_quantity, p_quantity * 2
  from public.customers c where c.stripe_customer_id = p_customer
  on conflict (stripe_customer_id, metric_id, period_start) do update
  set quantity = u.quantity + excluded.quantity, amount_minor = u.amount_minor + excluded.amount_minor;
$$;

create function pg_temp.now_period(out p_start timestamptz, out p_end timestamptz)
language sql as $$
  select date_trunc('hour', now()) - interval '3 days', date_trunc('hour', now()) + interval '27 days';
$$;

create function pg_temp.leased() returns table (line text)
language sql as $$
  select format('%s %s %s', stripe_customer_id, meter_event_name, quantity) from public.lease_usage()
  order by 1;
$$;

create function pg_temp.row_of(p_identifier text) returns bigint
language sql as $$ select id from billing.usage_outbox where identifier like p_identifier; $$;

create function pg_temp.forget_leases() returns void
language sql as $$
  update billing.usage_outbox set lease_until = now() - interval '1 second' where lease_until is not null;
$$;

select is(public.claim_usage(), 0::bigint, 'where nothing is, nothing is claimed');
select is_empty('select * from public.lease_usage()', 'nor leased');

-- Claiming.
select pg_temp.use('cus_tada', 'message', 5, p_start, p_end) from pg_temp.now_period();
select pg_temp.use('cus_tada', 'tool', 7, p_start, p_end) from pg_temp.now_period();
select pg_temp.use('cus_tbob', 'message', 11, p_start, p_end) from pg_temp.now_period();
select is(public.claim_usage(), 3::bigint, 'one row per customer and metric');
select is(public.claim_usage(), 0::bigint, 'and nothing twice');
select pg_temp.use('cus_tada', 'message', 2, p_start, p_end) from pg_temp.now_period();
select is(public.claim_usage(), 1::bigint, 'what came since is another row');
select results_eq(
  $$select o.identifier, o.quantity, o.sequence, o.meter_event_name, o.event_time
    from billing.usage_outbox o where stripe_customer_id = 'cus_tada' and metric_id = 'message' order by id$$,
  $$select format('cus_tada-message-%s-%s', extract(epoch from p_start)::bigint, n.n), n.q, n.n, 'tollgate_message',
      date_trunc('second', now() - interval '1 second')
    from pg_temp.now_period(), (values (1, 5::bigint), (2, 2)) n (n, q)$$,
  'with an identifier that says its place, and the second before the claim'
);
select is_empty(
  $$select * from billing.overage_usage u where u.claimed is distinct from (
      select sum(o.quantity) from billing.usage_outbox o
      where (o.stripe_customer_id, o.metric_id, o.period_start) = (u.stripe_customer_id, u.metric_id, u.period_start)
        and o.kind = 'event')$$,
  'the events of a ledger row sum up to what is claimed'
);

-- In order, one at a time.
select results_eq(
  'select * from pg_temp.leased()',
  array['cus_tada tollgate_message 5', 'cus_tada tollgate_tool 7', 'cus_tbob tollgate_message 11'],
  'the oldest of each customer and meter is leased'
);
select is_empty('select * from pg_temp.leased()', 'and nothing else while it is on its way');
select public.usage_sent(pg_temp.row_of('cus_tada-message-%-1'));
select results_eq('select * from pg_temp.leased()', array['cus_tada tollgate_message 2'], 'the next one follows');
select public.usage_failed(pg_temp.row_of('cus_tada-message-%-2'), 'timeout', now() + interval '1 hour');
select is_empty('select * from pg_temp.leased()', 'what failed waits');
select pg_temp.use('cus_tada', 'message', 3, p_start, p_end) from pg_temp.now_period();
select public.claim_usage();
select is_empty('select * from pg_temp.leased()', 'and holds up the younger ones');
savepoint settling;
select results_eq(
  $$select quantity from public.lease_usage(100, 'cus_tada')$$, array[2::bigint],
  'but not for whoever is about to end what bills it'
);
select is_empty($$select * from public.lease_usage(100, 'cus_tada')$$, 'not twice at a time either');
rollback to settling;
update billing.usage_outbox set next_attempt_at = now();
select results_eq('select * from pg_temp.leased()', array['cus_tada tollgate_message 2'], 'until it is due');
select public.usage_failed(pg_temp.row_of('cus_tada-message-%-2'), 'late', null, 1);
select isnt(
  (select lease_until from billing.usage_outbox where identifier like 'cus_tada-message-%-2'), null,
  'who lost the lease cannot give it back'
);
select public.usage_parked(pg_temp.row_of('cus_tada-message-%-2'), 'meter_event_customer_not_found');
select results_eq(
  'select * from pg_temp.leased()', array['cus_tada tollgate_message 3'], 'a parked one holds up nobody'
);
select results_eq(
  $$select p.details ->> 'reason', p.resolved_at from billing.problems p where p.kind = 'usage_parked'$$,
  $$values ('meter_event_customer_not_found', null::timestamptz)$$, 'but is seen'
);
select public.usage_sent(pg_temp.row_of('cus_tada-message-%-3'));
select public.usage_sent(pg_temp.row_of('cus_tada-message-%-3'));
select public.usage_failed(pg_temp.row_of('cus_tada-message-%-3'), 'late');
select is(
  (select status from billing.usage_outbox where identifier like 'cus_tada-message-%-3'), 'sent',
  'sent is sent, whatever comes late'
);
select results_eq(
  $$select ledger, claimed, sent, waiting, parked, adjusted from public.usage_sums('cus_tada') where metric_id = 'message'$$,
  $$values (10::bigint, 10::bigint, 8::bigint, 0::bigint, 2::bigint, 0::bigint)$$, 'the sums tell where everything is'
);

-- Checks against what Stripe says.
select is(public.note_usage_check('cus_tada', 'message', p_start, c.stripe), c.verdict, format('%s is %s', c.stripe, c.verdict))
from pg_temp.now_period(), (values (8, 'parked'), (10, 'parked'), (7, 'drift'), (11, 'drift')) c (stripe, verdict);
select is(
  (select count(*) from billing.problems where kind = 'usage_drift' and resolved_at is null), 1::bigint, 'a drift is seen'
);
select results_eq(
  $$select stripe, drift, outbox_sent, parked from billing.usage_checks where verdict = 'drift' order by id$$,
  $$values (7::bigint, -1::bigint, 8::bigint, 2::bigint), (11, 3, 8, 2)$$, 'and kept'
);
select is(public.note_usage_check('cus_tbob', 'message', p_start, c.stripe), c.verdict, 'on its way: ' || c.verdict)
from pg_temp.now_period(), (values (0, 'under_way'), (11, 'under_way'), (12, 'drift')) c (stripe, verdict);

-- A parked one is tried again by an operator.
select billing.retry_usage(pg_temp.row_of('cus_tada-message-%-2'));
select results_eq('select * from pg_temp.leased()', array['cus_tada tollgate_message 2'], 'a parked one can be tried again');
select public.usage_sent(pg_temp.row_of('cus_tada-message-%-2'));
select isnt(
  (select resolved_at from billing.problems where kind = 'usage_parked'), null, 'and is no problem any more'
);
select throws_ok(
  format('select billing.retry_usage(%s)', pg_temp.row_of('cus_tada-message-%-2')), 'P0002', null, 'not one that is sent'
);
select is(public.note_usage_check('cus_tada', 'message', p_start, 10), 'equal', 'all is reported') from pg_temp.now_period();
select is(
  (select count(*) from billing.problems where kind = 'usage_drift' and resolved_at is null and subject like 'cus_tada%'),
  0::bigint, 'the drift is over'
);
select is(public.usage_rejected('cus_nobody-message-1-1', 'x'), false, 'an identifier that is not ours is told');
select is(
  public.usage_rejected((select identifier from billing.usage_outbox where identifier like 'cus_tada-message-%-1'), 'no_meter'),
  true, 'what Stripe rejects afterwards is parked although it was sent'
);
select is(public.note_usage_check('cus_tada', 'message', p_start, 5), 'parked', 'and explains what is missing')
from pg_temp.now_period();
select public.usage_sent(pg_temp.row_of('cus_tada-message-%-1'));

-- Corrections.
select throws_ok(
  format('select billing.correct_usage(%s, ''x'')', pg_temp.row_of('cus_tbob-message-%-1')), 'P0002', null,
  'what was not sent is not corrected'
);
select billing.correct_usage(pg_temp.row_of('cus_tada-message-%-1'), 'counted by mistake');
select throws_ok(
  format('select billing.correct_usage(%s, ''x'')', pg_temp.row_of('cus_tada-message-%-1')), '23505', null, 'nothing twice'
);
select results_eq(
  $$select kind, identifier like '%-1-cancel', cancels like 'cus_tada-message-%-1', quantity from public.lease_usage()
    where meter_event_name = 'tollgate_message'$$,
  $$values ('adjustment', true, true, 5::bigint)$$, 'a correction goes the same way'
);
select is(public.note_usage_check('cus_tada', 'message', p_start, c.stripe), 'under_way', 'and is under way')
from pg_temp.now_period(), (values (5)) c (stripe);
select public.usage_sent(pg_temp.row_of('%-cancel'));
select is(public.note_usage_check('cus_tada', 'message', p_start, 5), 'equal', 'until Stripe has it') from pg_temp.now_period();
select results_eq(
  $$select quantity, claimed, corrected, trim_scale(amount_minor) from billing.overage_usage
    where stripe_customer_id = 'cus_tada' and metric_id = 'message'$$,
  $$values (10::bigint, 10::bigint, 5::bigint, 10::numeric)$$, 'the ledger keeps what was, and notes what was taken back'
);
update billing.usage_outbox set sent_at = now() - interval '25 hours' where identifier like 'cus_tada-message-%-3';
select throws_ok(
  format('select billing.correct_usage(%s, ''x'')', pg_temp.row_of('cus_tada-message-%-3')), '55000', null,
  'Stripe cancels nothing older than a day'
);

-- Whoever dies.
select pg_temp.forget_leases();
select results_eq(
  'select * from pg_temp.leased()', array['cus_tada tollgate_tool 7', 'cus_tbob tollgate_message 11'],
  'a lease that ran out is leased again'
);
select isnt(
  (select uncertain_since from billing.usage_outbox where identifier like 'cus_tbob%'), null, 'and known to be uncertain'
);
update billing.usage_outbox set uncertain_since = now() - interval '24 hours' where identifier like 'cus_tbob%';
select pg_temp.forget_leases();
select results_eq(
  'select * from pg_temp.leased()', array['cus_tada tollgate_tool 7'],
  'after a day Stripe would count it again, so it is not sent'
);
select is(
  (select parked_reason from billing.usage_outbox where identifier like 'cus_tbob%'), 'uncertain', 'but put aside'
);
select public.usage_failed(pg_temp.row_of('cus_tada-tool-%-1'), '429', now(), null, true);
update billing.usage_outbox set uncertain_since = null where identifier like 'cus_tada-tool%';
select results_eq('select * from pg_temp.leased()', array['cus_tada tollgate_tool 7'], 'a refusal is tried again');
select public.usage_failed(pg_temp.row_of('cus_tada-tool-%-1'), '429', now(), null, true);
select is(
  (select uncertain_since from billing.usage_outbox where identifier like 'cus_tada-tool%'), null,
  'and is not uncertain: Stripe surely did not take it'
);
select public.usage_sent(pg_temp.row_of('cus_tada-tool-%-1'));

-- Late.
select pg_temp.use('cus_tbob', 'tool', 1, now() - interval '70 days', now() - interval '40 days');
select pg_temp.use('cus_tada', 'tool', 4, now() - interval '33 days', now() - interval '3 days');
select is(public.claim_usage(1000, 'cus_tada'), 1::bigint, 'one customer can be claimed alone');
select is(public.claim_usage(), 1::bigint, 'the others later');
select is(
  (select event_time from billing.usage_outbox where identifier like 'cus_tada-tool%' and status = 'pending'),
  date_trunc('second', now() - interval '3 days' - interval '1 second'), 'late usage is dated into the last second of its period'
);
select results_eq('select * from pg_temp.leased()', array['cus_tada tollgate_tool 4'], 'within 35 days it is sent');
select is_empty($$select * from billing.problems where kind = 'usage_late'$$, 'what is sent in time is no problem');
select public.usage_sent((select id from billing.usage_outbox where identifier like 'cus_tada-tool%' and status = 'pending'));
select results_eq(
  $$select (details ->> 'quantity')::bigint, resolved_at from billing.problems where kind = 'usage_late'$$,
  $$values (4::bigint, null::timestamptz)$$, 'and an operator is told that no invoice may have it'
);
select is(
  (select parked_reason from billing.usage_outbox where identifier like 'cus_tbob-tool%'), 'too_old', 'beyond them it is parked'
);
update public.metrics set meter_event_name = null where id = 'message';
select pg_temp.use('cus_tada', 'message', 1, p_start, p_end) from pg_temp.now_period();
select is(public.claim_usage(), 0::bigint, 'a metric without a meter waits in the ledger');

-- Mistakes of the caller.
select is(pg_temp.refusal(c.statement) ->> 'code', 'invalid_request', c.statement)
from (values
  ('select public.usage_sent(0)'), ('select public.usage_failed(0, ''x'')'), ('select public.usage_parked(0, ''x'')'),
  ('select public.claim_usage(0)'), ('select * from public.lease_usage(0)'),
  ('select public.note_usage_check(''cus_tada'', ''message'', ''2020-01-01'', 1)')
) c (statement);

-- Pruning.
update billing.usage_checks set run_at = now() - interval '14 months' where stripe_customer_id = 'cus_tbob';
select is(billing.prune_metering(), 3::bigint, 'old checks go');
select pg_temp.use('cus_tbob', 'tool', 2, now() - interval '16 months', now() - interval '15 months');
select pg_temp.use('cus_tada', 'tool', 2, now() - interval '16 months', now() - interval '15 months');
select public.claim_usage();
select public.usage_sent(id) from billing.usage_outbox
where stripe_customer_id = 'cus_tada' and period_start < now() - interval '15 months';
select is(billing.prune_metering(), 1::bigint, 'what was reported long ago goes, what was not stays');
select is((select count(*) from billing.overage_usage where stripe_customer_id in ('cus_tada', 'cus_tbob')), 7::bigint, 'the ledger stays');

select * from finish();
rollback;
