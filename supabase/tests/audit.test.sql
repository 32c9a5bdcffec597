begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

create function pg_temp.become(p_role text, p_user_id uuid default null, p_headers jsonb default '{}') returns void
language sql as $$
  select set_config('request.jwt.claims',
      jsonb_strip_nulls(jsonb_build_object('role', p_role, 'sub', p_user_id))::text, true),
    set_config('request.headers', p_headers::text, true);
$$;

-- All pages: a stack that has lived for a while has many.
create function pg_temp.verdict(p_known_seq bigint default null, p_known_hash text default null) returns text
language plpgsql as $$
declare
  v_page jsonb;
  v_after bigint;
begin
  loop
    v_page := public.verify_audit(v_after, 50000, p_known_seq, p_known_hash);
    v_after := (v_page ->> 'next')::bigint;
    exit when v_after is null;
  end loop;
  return coalesce(v_page -> 'fault' ->> 'fault', 'holds');
end;
$$;

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

-- Nobody else's commit may come in between: it would wait for the head that we hold, and truncate below for it. Before anything
-- of ours is locked.
lock table billing.audit_log, billing.audit_chain in access exclusive mode;

select no_plan();
set constraints all immediate;
delete from billing.problems where kind = 'audit_broken';
update billing.settings set value = '7' where key = 'grace_days';

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
    from billing.audit_log where id > (select id from mark) and user_id = 'a0000000-0000-4000-8000-000000000001' order by id$$,
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
      and (c.name ~ '(secret|token|key$|email|content|description|title|display_name|url|card)' and c.name !~ '(lookup_key|#)$')$$,
  'no column of a secret, an address, a link or a text'
);
select is_empty(
  $$select t.tgrelid::regclass from pg_trigger t where t.tgfoid = 'billing.audit()'::regprocedure
    and t.tgrelid in ('public.messages'::regclass, 'billing.usage_counters'::regclass, 'billing.overage_usage'::regclass)$$,
  'nothing of the path of a message'
);

-- Every table is audited, or says why not.
create temporary table untold (name text primary key, reason text not null);
insert into untold values
  ('billing.access_log', 'a log of its own, which nobody changes'),
  ('billing.audit_anchor', 'the log itself'),
  ('billing.audit_chain', 'the log itself'),
  ('billing.audit_head', 'the log itself'),
  ('billing.audit_log', 'the log itself'),
  ('billing.catalogue_checks', 'what a check has found'),
  ('billing.catalogue_state', 'a lock'),
  ('billing.deployments', 'a log of its own'),
  ('billing.drifts', 'what a check has found'),
  ('billing.health_answer', 'what a check has found'),
  ('billing.health_marks', 'when a job was done'),
  ('billing.held_usage', 'follows the ledger while a backup is taken up'),
  ('billing.ledger_accounts', 'the ledger, which is only ever added to'),
  ('billing.ledger_check_cursor', 'where a job is'),
  ('billing.ledger_checks', 'what a check has found'),
  ('billing.ledger_entries', 'the ledger, which is only ever added to'),
  ('billing.ledger_transactions', 'the ledger, which is only ever added to'),
  ('billing.metered_items', 'follows subscriptions and the consent to overage, which are told'),
  ('billing.overage_usage', 'the path of a message; a ledger that is only ever added to'),
  ('billing.plan_changes', 'a lock; the change itself is the subscription''s'),
  ('billing.problems', 'what operators are told'),
  ('billing.rate_buckets', 'every call'),
  ('billing.rate_key', 'a secret'),
  ('billing.reconcile_queue', 'where a job is'),
  ('billing.reconcile_runs', 'where a job is'),
  ('billing.stripe_events', 'a log of its own'),
  ('billing.sync_state', 'where a job is'),
  ('billing.usage_check_cursor', 'where a job is'),
  ('billing.usage_checks', 'what a check has found'),
  ('billing.usage_counters', 'the path of a message'),
  ('billing.usage_days', 'the path of a message'),
  ('billing.usage_requests', 'the path of a message'),
  ('public.agents', 'a person''s own text'),
  ('public.conversations', 'a person''s own text'),
  ('public.credit_balances', 'follows grants and invoices, which are told'),
  ('public.messages', 'a person''s own text'),
  ('public.notifications', 'what people are told');
create temporary view audited as
select distinct format('%s.%s', n.nspname, c.relname) as name
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
where t.tgfoid = 'billing.audit()'::regprocedure and t.tgenabled <> 'D';
select is_empty(
  $$select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'billing') and c.relkind in ('r', 'p')
      and format('%s.%s', n.nspname, c.relname) not in (select name from audited union select name from untold)$$,
  'every table is audited, or it is said why not'
);
select is_empty(
  $$select u.name from untold u where to_regclass(u.name) is null or u.name in (select name from audited)$$,
  'and nothing else is said'
);
select is_empty(
  $$select t.tgrelid::regclass, c.name from pg_trigger t
    cross join unnest(string_to_array(split_part(encode(t.tgargs, 'escape'), '\000', 4), ',')) c (name)
    where t.tgfoid = 'billing.audit()'::regprocedure and not exists (
      select from pg_attribute a where a.attrelid = t.tgrelid and a.attname = trim('#' from c.name))$$,
  'what is told are columns that there are'
);

-- A creator's text: that it was changed, never what it says.
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
insert into public.sellers (id, user_id, display_name) values
  ('5e000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'Ada of Xyzzy');
insert into public.listings (id, seller_id, title, description, price_minor) values
  ('11000000-0000-4000-8000-000000000001', '5e000000-0000-4000-8000-000000000001', 'Xyzzy', 'A xyzzy.', 900),
  ('12000000-0000-4000-8000-000000000001', '5e000000-0000-4000-8000-000000000001', 'Xyzzy', '', 900);
insert into public.listing_pictures (listing_id, data) values
  ('11000000-0000-4000-8000-000000000001', 'data:image/png;base64,eHl6enk=');
update public.listings set description = 'Another xyzzy.' where id = '11000000-0000-4000-8000-000000000001';
update public.listings set description = description where id = '11000000-0000-4000-8000-000000000001';
update public.listing_pictures set data = 'data:image/png;base64,eHl6' where listing_id = '11000000-0000-4000-8000-000000000001';
select pg_temp.become('service_role');
select results_eq(
  $$select action, actor, (before ->> 'description#') is distinct from (after ->> 'description#'),
      (before ->> 'title#') is distinct from (after ->> 'title#')
    from billing.audit_log where subject = 'listing:11000000-0000-4000-8000-000000000001' order by id$$,
  $$values ('listing.listing.created', 'user:a0000000-0000-4000-8000-000000000001', true, true),
    ('listing.listing.changed', 'user:a0000000-0000-4000-8000-000000000001', true, false)$$,
  'a listing whose text is changed is told, once, with what of it'
);
select is(
  (select count(*) from billing.audit_log where subject = 'picture:11000000-0000-4000-8000-000000000001'), 2::bigint, 'and its picture'
);
select is(
  (select count(distinct after ->> 'title#') from billing.audit_log where action = 'listing.listing.created'
    and subject in ('listing:11000000-0000-4000-8000-000000000001', 'listing:12000000-0000-4000-8000-000000000001')),
  2::bigint, 'equal texts do not look equal'
);
select is_empty(
  $$select from billing.audit_log l where l::text ~* 'xyzzy|eHl6' $$, 'and nothing of any of them is told'
);

-- What an operator does to usage.
insert into billing.overage_usage (stripe_customer_id, metric_id, user_id, period_start, period_end, quantity, claimed, amount_minor)
values ('cus_audit', 'message', 'a0000000-0000-4000-8000-000000000001', '2026-01-01', '2026-02-01', 5, 5, 10);
insert into billing.usage_outbox (stripe_customer_id, metric_id, period_start, user_id, sequence, quantity, identifier,
  meter_event_name, event_time)
values ('cus_audit', 'message', '2026-01-01', 'a0000000-0000-4000-8000-000000000001', 1, 5, 'audit-1', 'm', '2026-01-02');
select public.usage_parked((select id from billing.usage_outbox where identifier = 'audit-1'), 'no meter');
select billing.retry_usage((select id from billing.usage_outbox where identifier = 'audit-1'));
select results_eq(
  $$select l.before ->> 'status', l.after ->> 'status' from billing.audit_log l join billing.usage_outbox o
    on l.subject = 'usage_report:' || o.id where o.identifier = 'audit-1' order by l.id$$,
  $$values ('pending', 'parked'), ('parked', 'pending')$$, 'usage that is parked, and sent again by an operator, is told; reporting is not'
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
select throws_ok('truncate billing.audit_head', '23000', null, 'however it is tried');
select throws_ok('truncate billing.audit_anchor', '23000', null, 'nor where it begins');
select billing.ensure_audit_partition(now() + interval '50 months');
select is_empty(
  $$select t.tgrelid::regclass, t.tgname from pg_trigger t
    where t.tgfoid = 'billing.refuse_audit_change()'::regprocedure and t.tgenabled <> 'A'$$,
  'also with session_replication_role, which turns off ordinary triggers'
);
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
select is(pg_temp.found_out($x$do $y$ begin
    alter table billing.audit_head disable trigger user;
    delete from billing.audit_log where id = (select audit_id from billing.audit_chain order by seq desc limit 1);
    delete from billing.audit_chain where seq = (select max(seq) from billing.audit_chain);
    delete from billing.audit_head;
  end $y$$x$), 'ends_missing', 'the end cut off, and no head any more');
-- Forgetting is retention's alone: whoever moves the beginning could remove what is before it without a gap.
select throws_ok(s, '23000', null, s) from unnest(array[
  'update billing.audit_anchor set (seq, hash) = (select h.seq, h.hash from billing.audit_head h)',
  'update billing.audit_anchor set (seq, hash) = (select h.seq, h.hash from billing.audit_head h), retained_from = now()',
  'update billing.audit_anchor set retained_from = now()',
  'update billing.audit_anchor set hash = sha256(''x'')',
  'update billing.audit_anchor set seq = seq - 1'
]) s;
select is(
  pg_temp.found_out($x$do $y$ begin
    alter table billing.audit_anchor disable trigger user;
    alter table billing.audit_log enable trigger user;
    alter table billing.audit_chain enable trigger user;
    perform billing.grant_plan('b0000000-0000-4000-8000-000000000001', 'pro', now() + interval '1 day', 'once more');
    alter table billing.audit_log disable trigger user;
    alter table billing.audit_chain disable trigger user;
    update billing.audit_anchor set (seq, hash) = (select h.seq, h.hash from billing.audit_head h);
    delete from billing.audit_log;
    delete from billing.audit_chain;
  end $y$$x$, true), 'history_forgotten', 'and who moves it past the triggers: a head of earlier is forgotten too early'
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
