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

insert into auth.users (id, email, email_confirmed_at) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test', now()),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test', now()),
  ('c0000000-0000-4000-8000-000000000001', 'unconfirmed@tollgate.test', null),
  ('d1000000-0000-4000-8000-000000000001', null, null);

select no_plan();

-- What the journeys left behind is not what is tested here.
delete from public.notifications;
delete from billing.problems;

create function pg_temp.notice(p_user text, p_threshold integer default 80, p_age interval default '0') returns bigint
language sql security definer as $$
  insert into public.notifications (user_id, kind, metric_id, threshold, limit_value, period, title, body, created_at)
  values ((p_user || '000000-0000-4000-8000-000000000001')::uuid, 'allowance', 'message', p_threshold, 50,
    p_age::text, p_threshold || ' % used', 'Body', now() - p_age)
  returning id;
$$;

create function pg_temp.leased(p_limit integer default 20) returns table (line text)
language sql security definer as $$
  select format('%s %s', l.email, l.title) from public.lease_notifications(p_limit) l order by l.id;
$$;

/* Leases end, and what failed is due. */
create function pg_temp.later() returns void
language sql as $$
  update billing.notification_emails set lease_until = now() - interval '1 second' where lease_until is not null;
  update billing.notification_emails set next_attempt_at = now() - interval '1 second';
$$;

select ok(not billing.emails_enabled(), 'e-mails are off until somebody switches them on');
select pg_temp.notice('a0');
select is_empty('select * from pg_temp.leased()', 'switched off, nothing is leased');
select public.report_email_setup('SMTP_URL is missing');
select is_empty('select from billing.problems', 'and a missing mail server is no problem');
select throws_ok(
  $$update billing.settings set value = '"yes"' where key = 'notification_emails'$$, '23514', null, 'the switch is true or false'
);

update billing.settings set value = 'true' where key = 'notification_emails';
select public.report_email_setup('SMTP_URL is missing');
select results_eq(
  'select kind, details from billing.problems where resolved_at is null',
  $$values ('email_not_configured', '{"problem": "SMTP_URL is missing"}'::jsonb)$$,
  'switched on, it is'
);

-- Who gets what.
select pg_temp.notice('a0', 100, '25 hours');
select pg_temp.notice('b0');
select pg_temp.notice('c0');
select pg_temp.notice('d1');
update public.notifications set read_at = now() where user_id = 'b0000000-0000-4000-8000-000000000001';
select pg_temp.notice('b0', 100);
select results_eq(
  'select * from pg_temp.leased()', array['ada@tollgate.test 80 % used', 'bob@tollgate.test 100 % used'],
  'what is unread and not older than a day is leased, for people with a confirmed address'
);
select is_empty('select from billing.problems where resolved_at is null', 'and who leases has a mail server');
select is_empty('select * from pg_temp.leased()', 'what is leased is nobody else''s');

-- Sent.
create temporary table ids as
select max(id) filter (where user_id = 'a0000000-0000-4000-8000-000000000001' and threshold = 80) as ada,
  max(id) filter (where user_id = 'b0000000-0000-4000-8000-000000000001' and threshold = 100) as bob
from public.notifications;
grant select on ids to public;
select public.notification_sent(ada) from ids;
select lives_ok('select public.notification_sent(ada) from ids', 'said again, it changes nothing');
select isnt((select sent_at from public.notifications n, ids where n.id = ids.ada), null, 'what was sent says when');
select is_empty('select from billing.notification_emails e, ids where e.notification_id = ids.ada', 'and is on no list');

-- A crash, and a late answer.
select pg_temp.later();
select results_eq('select * from pg_temp.leased()', array['bob@tollgate.test 100 % used'], 'a lease that ended is given again');
select public.notification_failed(bob, 1, 'late') from ids;
select is((select last_error from billing.notification_emails), null, 'who has the old lease gives nothing back');

-- Failing.
select public.notification_failed(bob, 2, '421 later') from ids;
select is_empty('select * from pg_temp.leased()', 'what failed is not due at once');
select ok(
  (select next_attempt_at between now() + interval '1 minute' and now() + interval '3 minutes' from billing.notification_emails),
  'but in minutes'
);
do $$
begin
  for n in 3..12 loop
    perform pg_temp.later();
    perform public.lease_notifications();
    perform public.notification_failed((select bob from ids), n, '421 later');
  end loop;
end;
$$;
select results_eq(
  'select kind, details from billing.problems where resolved_at is null',
  $$values ('notification_parked',
    '{"user_id": "b0000000-0000-4000-8000-000000000001", "attempts": 12, "last_error": "421 later"}'::jsonb)$$,
  'after the twelfth time it is parked, and an operator told'
);
select pg_temp.later();
select is_empty('select * from pg_temp.leased()', 'and not sent');
select billing.retry_notification(bob) from ids;
select is_empty('select from billing.problems where resolved_at is null', 'until the operator asks again');
select throws_ok('select billing.retry_notification(bob) from ids', 'P0002', null, 'once');
select results_eq('select * from pg_temp.leased()', array['bob@tollgate.test 100 % used'], 'then it is');
select public.notification_failed(bob, 13, '550 no such mailbox', true) from ids;
select is((select count(*) from billing.problems where resolved_at is null), 1::bigint, 'a recipient refused for good is parked at once');
select public.notification_sent(bob) from ids;
select is_empty('select from billing.problems where resolved_at is null', 'an answer that comes late settles it');

-- Somebody who always dies.
select pg_temp.notice('b0', 80, '1 hour');
do $$
begin
  for n in 1..13 loop
    perform public.lease_notifications();
    perform pg_temp.later();
  end loop;
end;
$$;
select is((select count(*) from billing.notification_emails where parked_at is not null), 1::bigint, 'twelve deaths park it as well');
delete from billing.notification_emails;

-- Old news.
delete from public.notifications;
select pg_temp.notice('a0');
select public.lease_notifications();
update billing.notification_emails set queued_at = now() - interval '25 hours';
select pg_temp.later();
select is_empty('select * from pg_temp.leased()', 'what could not be sent for a day is not sent any more');

-- A person's choice.
delete from public.notifications;
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(public.my_notification_emails(), '{"available": true, "enabled": true}', 'a person gets e-mails');
select is(public.set_notification_emails(false), '{"available": true, "enabled": false}', 'and may say no');
select lives_ok('select public.set_notification_emails(false)', 'twice');
select throws_ok('select public.set_notification_emails(null)', null, null, 'but not nothing');
select pg_temp.become('authenticated', 'b0000000-0000-4000-8000-000000000001');
select is(public.my_notification_emails() ->> 'enabled', 'true', 'for themselves alone');
reset role;
select pg_temp.notice('a0');
select pg_temp.notice('b0');
select results_eq('select * from pg_temp.leased()', array['bob@tollgate.test 80 % used'], 'who said no gets none');
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(public.set_notification_emails(true) ->> 'enabled', 'true', 'a yes');
reset role;
select results_eq('select * from pg_temp.leased()', array['ada@tollgate.test 80 % used'], 'and they go on');

select * from finish();
rollback;
