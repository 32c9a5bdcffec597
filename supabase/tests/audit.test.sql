begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

create function pg_temp.become(p_role text, p_user_id uuid default null, p_headers jsonb default '{}') returns void
language sql as $$
  select set_config('request.jwt.claims',
      jsonb_strip_nulls(jsonb_build_object('role', p_role, 'sub', p_user_id))::text, true),
    set_config('request.headers', p_headers::text, true);
$$;

create function pg_temp.verdict(p_known_seq bigint default null, p_known_hash text default null) returns text
language sql as $$
  select coalesce(public.verify_audit(p_known_seq => p_known_seq, p_known_hash => p_known_hash) -> 'fault' ->> 'fault', 'holds');
$$;

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

select no_plan();
set constraints all immediate;

-- Who, what, before and after.
create temporary table mark as select coalesce(max(id), 0) as id from billing.audit_log;

select pg_temp.become('service_role', null, '{"x-request-id": "11111111-1111-4111-8111-111111111111",
  "x-on-behalf-of": "a0000000-0000-4000-8000-000000000001"}');
insert into public.customers (user_id, stripe_customer_id) values ('a0000000-0000-4000-8000-000000000001', 'cus_audit');
insert into public.subscriptions (id, user_id, status, price_lookup_key, plan_id) values
  ('sub_audit', 'a0000000-0000-4000-8000-000000000001', 'active', 'pro_monthly', 'pro');
update public.subscriptions set synced_at = now() + interval '1 second' where id = 'sub_audit';
update public.subscriptions set status = 'active', synced_at = now() where id = 'sub_audit';
update public.subscriptions set status = 'past_due' where id = 'sub_audit';
select results_eq(
  $$select actor, on_behalf_of::text, action, subject, user_id::text, before ->> 'status', after ->> 'status',
      request_id::text, stripe_ids
    from billing.audit_log where id > (select id from mark) order by id$$,
  $$values
    ('service_role', 'a0000000-0000-4000-8000-000000000001', 'billing.customer.created',
      'customer:a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', null, null,
      '11111111-1111-4111-8111-111111111111', array['cus_audit']),
    ('service_role', 'a0000000-0000-4000-8000-000000000001', 'billing.subscription.created', 'subscription:sub_audit',
      'a0000000-0000-4000-8000-000000000001', null, 'active', '11111111-1111-4111-8111-111111111111',
      array['cus_audit', 'sub_audit']),
    ('service_role', 'a0000000-0000-4000-8000-000000000001', 'billing.subscription.changed', 'subscription:sub_audit',
      'a0000000-0000-4000-8000-000000000001', 'active', 'past_due', '11111111-1111-4111-8111-111111111111',
      array['cus_audit', 'sub_audit'])$$,
  'a change tells who, for whom, in which request, before and after; and no change tells nothing'
);

select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001', '{"x-request-id": "<script>",
  "x-on-behalf-of": "a0000000-0000-4000-8000-000000000001"}');
insert into billing.notification_optouts (user_id) values ('b0000000-0000-4000-8000-000000000001');
select results_eq(
  'select actor, on_behalf_of, request_id from billing.audit_log order by id desc limit 1',
  $$values ('user:b0000000-0000-4000-8000-000000000001', null::uuid, null::uuid)$$,
  'a person acts for themselves, whatever their headers say'
);

select set_config('request.jwt.claims', '', true), set_config('request.headers', '', true);
select billing.grant_plan('b0000000-0000-4000-8000-000000000001', 'pro', now() + interval '1 day', 'a gift');
select results_eq(
  'select actor, action from billing.audit_log order by id desc limit 2',
  format($$values ('operator:%1$s', 'access.entitlement.created'), ('operator:%1$s', 'grant.plan.created')$$, session_user),
  'an operator is told by their role, and what follows too'
);
set local application_name = 'pg_cron';
update billing.settings set value = '8' where key = 'grace_days';
reset application_name;
select results_eq(
  $$select actor, action, subject, before, after from billing.audit_log where action = 'operator.setting.changed'
    order by id desc limit 1$$,
  $$values ('system', 'operator.setting.changed', 'setting:grace_days', '{"value": 7}'::jsonb, '{"value": 8}'::jsonb)$$,
  'a job is the system'
);
update billing.rate_limits set burst = burst - 1 where name = '*' and scope = 'user';
select is(
  (select subject from billing.audit_log order by id desc limit 1), 'rate_limit:*/user', 'a limit that is changed is told'
);

-- Never told.
select is_empty(
  $$select from billing.audit_log where before::text || after::text || subject like '%@%'$$, 'no e-mail address'
);
select is_empty(
  $$select tgrelid::regclass, c.name from pg_trigger t
    cross join unnest(string_to_array(split_part(encode(t.tgargs, 'escape'), '\000', 4), ',')) c (name)
    where t.tgfoid = 'billing.audit()'::regprocedure
      and (c.name ~ '(secret|token|key$|email|content|description|title|display_name|url|card)' and c.name !~ 'lookup_key$')$$,
  'no column of a secret, an address, a link or a text'
);
select is_empty(
  $$select t.tgrelid::regclass from pg_trigger t where t.tgfoid = 'billing.audit()'::regprocedure
    and t.tgrelid in ('public.messages'::regclass, 'billing.usage_counters'::regclass, 'billing.overage_usage'::regclass)$$,
  'nothing of the path of a message'
);

-- Nobody changes it.
select throws_ok('update billing.audit_log set actor = ''x''', '23000', null, 'the log is not changed');
select throws_ok('delete from billing.audit_log', '23000', null, 'nor removed');
select throws_ok('truncate billing.audit_log', '23000', null, 'nor emptied');
select throws_ok(
  format('truncate billing_months.%I', billing.audit_partition(now())), '23000', null, 'nor a month of it'
);
select throws_ok('update billing.audit_chain set hash = row_hash', '23000', null, 'nor the chain');
select throws_ok('delete from billing.audit_chain', '23000', null, 'nor its links');
select throws_ok('delete from billing.audit_head', '23000', null, 'nor its head');
select is_empty(
  $$select r.name, c.oid::regclass from pg_class c, unnest(array['anon', 'authenticated', 'service_role']) r (name)
    where (c.relnamespace = 'billing_months'::regnamespace or c.relname like 'audit\_%') and c.relkind in ('r', 'p')
      and has_table_privilege(r.name, c.oid, 'select, insert, update, delete, truncate')$$,
  'nobody else has any right to it, nor to a month of it'
);
select is_empty(
  $$select c.oid::regclass from pg_class c where c.relnamespace = 'billing_months'::regnamespace and c.relkind = 'r'
    and not c.relrowsecurity$$,
  'every month has row level security'
);

-- Whoever disables the triggers is found out.
select is(pg_temp.verdict(), 'holds', 'the chain holds');
create temporary table head as select seq, encode(hash, 'hex') as hash from billing.audit_head;
create function pg_temp.found_out(p_tampering text, p_known boolean default false) returns text
language plpgsql as $$
declare
  v_verdict text;
begin
  alter table billing.audit_log disable trigger user;
  alter table billing.audit_chain disable trigger user;
  execute p_tampering;
  select case when p_known then pg_temp.verdict(h.seq, h.hash) else pg_temp.verdict() end into v_verdict from head h;
  raise exception using errcode = 'P0123', message = v_verdict;
exception when sqlstate 'P0123' then
  return sqlerrm;
end;
$$;
select is(
  pg_temp.found_out($$update billing.audit_log set after = '{"status": "active"}' where subject = 'subscription:sub_audit'
    and action like '%.changed'$$), 'row_changed', 'a row that was changed'
);
select is(
  pg_temp.found_out($$update billing.audit_log set at = at - interval '1 microsecond' where subject = 'setting:grace_days'$$),
  'row_missing', 'a row that was dated back'
);
select is(
  pg_temp.found_out($$delete from billing.audit_log where subject = 'subscription:sub_audit'$$), 'row_missing',
  'a row that was removed'
);
select is(
  pg_temp.found_out($$with gone as (delete from billing.audit_log where subject = 'subscription:sub_audit' returning id)
    delete from billing.audit_chain where audit_id in (select id from gone)$$), 'links_missing', 'also with its link'
);
select is(
  pg_temp.found_out($$update billing.audit_chain set row_hash = sha256('x') where seq = (select min(seq) from billing.audit_chain)$$),
  'link_changed', 'a link that was changed'
);
select is(
  pg_temp.found_out($$insert into billing.audit_log (actor, action, subject, stripe_ids) values ('x', 'y', 'z', '{}')$$),
  'row_not_chained', 'a row that was slipped in'
);
select is(
  pg_temp.found_out($$with gone as (delete from billing.audit_chain where seq = (select max(seq) from billing.audit_chain) returning *)
    delete from billing.audit_log where id in (select audit_id from gone)$$), 'head_differs', 'the end cut off'
);
create function pg_temp.cut(p_and text default '') returns text language sql as $$
  select $x$do $y$ begin
    delete from billing.audit_log where id = (select audit_id from billing.audit_chain order by seq desc limit 1);
    delete from billing.audit_chain where seq = (select max(seq) from billing.audit_chain);
    update billing.audit_head set (seq, hash) = (select seq, hash from billing.audit_chain order by seq desc limit 1);
    $x$ || p_and || ' end $y$';
$$;
select is(pg_temp.found_out(pg_temp.cut()), 'holds', 'the end cut off, and the head with it, only a head of earlier shows');
select is(pg_temp.found_out(pg_temp.cut(), true), 'end_missing', 'which it does');
select is(
  pg_temp.found_out(pg_temp.cut($$
    alter table billing.audit_log enable trigger user;
    alter table billing.audit_chain enable trigger user;
    update billing.settings set value = '9' where key = 'grace_days';$$), true),
  'history_differs', 'also when something else was written in its place'
);
select is(pg_temp.verdict(), 'holds', 'all of which left no trace here');

-- Pages.
select is((public.verify_audit(null, 1) ->> 'next')::bigint, (select min(seq) from billing.audit_chain), 'it is proved page by page');
select is(
  (public.verify_audit((select max(seq) from billing.audit_chain), 1) -> 'checked')::int, 0, 'up to the end'
);

-- Months and retention.
select ok(
  (select bool_and(to_regclass('billing_months.' || billing.audit_partition(now() + n * interval '1 month')) is not null)
    from generate_series(0, 3) n), 'the months to come are there'
);
select billing.ensure_audit_partition(now() - n * interval '1 month') from generate_series(1, 130) n;
insert into billing.audit_log (at, actor, action, subject, stripe_ids)
select now() - n * interval '1 month', 'operator:test', 'test.old.created', 'old:' || n, '{}' from generate_series(130, 1, -1) n;
select is(pg_temp.verdict(), 'holds', 'the chain goes by commits, whatever the times');
select is(billing.prune_audit_log(), 10::bigint, 'months that are over are dropped whole');
select is_empty(
  $$select from billing.audit_log where at < date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '120 months'$$,
  'none is left'
);
select is(pg_temp.verdict(), 'holds', 'and the chain holds all the same');
update billing.settings set value = '1' where key = 'audit_retention_months';
select isnt(billing.prune_audit_log(), 0::bigint, 'retention is a row');
select is(pg_temp.verdict(), 'holds', 'the chain begins at its anchor');
select throws_ok(
  $$update billing.settings set value = '0' where key = 'audit_retention_months'$$, '23514', null, 'never less than a month'
);

-- Told to an operator.
select public.note_audit_check('{"fault": "row_changed", "seq": 7}');
select is((select details ->> 'seq' from billing.problems where kind = 'audit_broken'), '7', 'what is broken is a problem');
select public.note_audit_check(null);
select isnt((select resolved_at from billing.problems where kind = 'audit_broken'), null, 'until it is not');

select * from finish();
rollback;
