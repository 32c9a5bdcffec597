-- Notices by e-mail: an outbox of its own, so that writing a notice costs the message that reaches the mark nothing more. The
-- function `notify` leases what is due, sends it and says so. Off until an operator switches it on.
--
--   notice -> lease -> sent
--               |  ^
--               |  +- failed (again later)
--               +-> parked (refused for good, or failed too often), for an operator
--
-- At least once: who dies between the mail server's yes and ours leaves a lease that ends, and the mail goes out again under
-- the same Message-ID. Two senders never have the same notice at the same time.

alter table billing.settings drop constraint settings_switches_are_booleans;
alter table billing.settings add constraint settings_switches_are_booleans check (
  key not in ('automatic_tax', 'allow_promotion_codes', 'notification_emails') or jsonb_typeof(value) = 'boolean'
);
insert into billing.settings (key, value, description) values
  ('notification_emails', 'false', 'Whether notices are sent by e-mail too. Needs SMTP_URL and EMAIL_FROM of the function notify.');

comment on column public.notifications.sent_at is 'When it was sent by e-mail; null: it was not.';

create index notifications_unsent_idx on public.notifications (created_at) where sent_at is null and read_at is null;

create table billing.notification_emails (
  notification_id bigint primary key references public.notifications (id) on delete cascade,
  queued_at timestamptz not null,
  parked_at timestamptz,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  lease bigint not null default 0,
  lease_until timestamptz,
  last_error text,
  check (parked_at is null or lease_until is null)
);

create index notification_emails_next_attempt_at_idx on billing.notification_emails (next_attempt_at)
  where parked_at is null;

comment on table billing.notification_emails is
  'Notices on their way out: leased, to be tried again, or parked. A notice that was sent has no row, only its sent_at.';
comment on column billing.notification_emails.queued_at is
  'Since when it is to be sent: as the notice was written, or as an operator asked again. After a day it is not sent any more.';
comment on column billing.notification_emails.lease is 'Counts leases: who has an old one may not give a newer one back.';

create table billing.notification_optouts (
  user_id uuid primary key references auth.users (id) on delete cascade,
  created_at timestamptz not null default now()
);

comment on table billing.notification_optouts is 'Who does not want notices by e-mail.';

alter table billing.notification_emails enable row level security;
alter table billing.notification_optouts enable row level security;
revoke all on billing.notification_emails, billing.notification_optouts from public, anon, authenticated, service_role;
create policy "Nobody reads the e-mails" on billing.notification_emails
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads who wants no e-mails" on billing.notification_optouts
  for all to anon, authenticated using (false) with check (false);

create function billing.emails_enabled() returns boolean
language sql stable
set search_path = ''
as $$
  select (billing.setting('notification_emails'))::boolean;
$$;

comment on function billing.emails_enabled() is 'Whether notices are sent by e-mail.';

create function billing.park_notifications(p_ids bigint[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update billing.notification_emails e set parked_at = now(), lease_until = null
  where e.notification_id = any (p_ids);
  perform billing.report_problem('notification_parked', e.notification_id::text, jsonb_build_object(
    'user_id', n.user_id, 'attempts', e.attempts, 'last_error', e.last_error
  ))
  from billing.notification_emails e join public.notifications n on n.id = e.notification_id
  where e.notification_id = any (p_ids);
end;
$$;

comment on function billing.park_notifications(bigint[]) is 'Puts e-mails aside that cannot be sent, and tells an operator.';

create function public.lease_notifications(p_limit integer default 20)
returns table (id bigint, lease bigint, email text, kind text, title text, body text, created_at timestamptz)
language plpgsql
-- Definer: the secret key has no access to people's addresses, only to those it is to write to now.
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 100, 'p_limit is not between 1 and 100');
  if not billing.emails_enabled() then
    return;
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'email_not_configured' and p.resolved_at is null;
  -- Whoever had it twelve times and never said a word will not the thirteenth time either.
  perform billing.park_notifications((
    select array_agg(e.notification_id) from billing.notification_emails e
    where e.parked_at is null and e.attempts >= 12 and coalesce(e.lease_until, '-infinity') <= clock_timestamp()
  ));
  return query
  with candidates as (
    -- A day: what was written before is no news when sending is switched on, or works again.
    select n.id from public.notifications n
    where n.sent_at is null and n.read_at is null and n.created_at > now() - interval '1 day'
      and not exists (select from billing.notification_emails e where e.notification_id = n.id)
    union all
    select e.notification_id from billing.notification_emails e
    where e.parked_at is null and e.next_attempt_at <= clock_timestamp() and e.queued_at > now() - interval '1 day'
      and coalesce(e.lease_until, '-infinity') <= clock_timestamp()
  ),
  due as (
    select n.id, n.created_at
    from candidates c
    join public.notifications n on n.id = c.id and n.sent_at is null and n.read_at is null
    join auth.users u on u.id = n.user_id and u.email <> '' and u.email_confirmed_at is not null
    where not exists (select from billing.notification_optouts o where o.user_id = n.user_id)
    order by n.id
    limit p_limit
    for no key update of n skip locked
  ),
  leased as (
    insert into billing.notification_emails as e (notification_id, queued_at, attempts, lease, lease_until)
    select d.id, d.created_at, 1, 1, clock_timestamp() + interval '5 minutes' from due d
    -- Somebody who looked at the same moment may have been first.
    on conflict (notification_id) do update
      set attempts = e.attempts + 1, lease = e.lease + 1, lease_until = excluded.lease_until
      where e.parked_at is null and e.next_attempt_at <= clock_timestamp()
        and coalesce(e.lease_until, '-infinity') <= clock_timestamp()
    returning e.notification_id, e.lease
  )
  select n.id, l.lease, u.email::text, n.kind, n.title, n.body, n.created_at
  from leased l
  join public.notifications n on n.id = l.notification_id
  join auth.users u on u.id = n.user_id
  order by n.id;
end;
$$;

comment on function public.lease_notifications(integer) is
  'Notices to send by e-mail now, each leased for five minutes (longer than any function lives): unread, not older than a day, '
  'of people with a confirmed address who did not switch it off. None while the setting notification_emails is false.';

create function public.notification_sent(p_id bigint) returns void
language plpgsql
-- Definer: see public.lease_notifications().
security definer
set search_path = ''
as $$
begin
  update public.notifications n set sent_at = now() where n.id = p_id and n.sent_at is null;
  delete from billing.notification_emails e where e.notification_id = p_id;
  update billing.problems p set resolved_at = now()
  where p.kind = 'notification_parked' and p.subject = p_id::text and p.resolved_at is null;
end;
$$;

comment on function public.notification_sent(bigint) is 'The mail server has taken the e-mail. Again changes nothing.';

create function public.notification_failed(
  p_id bigint, p_lease bigint, p_error text, p_for_good boolean default false
) returns void
language plpgsql
-- Definer: see public.lease_notifications().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_error <> '', 'p_error is missing');
  -- 1, 2, 4 … minutes, at most an hour: twelve attempts are about six hours.
  update billing.notification_emails e set
    last_error = left(p_error, 2000),
    next_attempt_at = now() + least(interval '1 minute' * power(2, least(e.attempts - 1, 10)), interval '1 hour'),
    lease_until = null
  where e.notification_id = p_id and e.lease = p_lease and e.parked_at is null;
  if not found then
    return;
  end if;
  perform billing.park_notifications((
    select array_agg(e.notification_id) from billing.notification_emails e
    where e.notification_id = p_id and (p_for_good or e.attempts >= 12)
  ));
end;
$$;

comment on function public.notification_failed(bigint, bigint, text, boolean) is
  'Sending failed: due again later and later, parked after the twelfth time or when the recipient is refused for good. With a '
  'lease that is no longer the current one nothing happens.';

create function public.report_email_setup(p_problem text) returns void
language sql
-- Definer: see public.lease_notifications().
security definer
set search_path = ''
as $$
  select billing.report_problem('email_not_configured', 'notify', jsonb_build_object('problem', p_problem))
  where billing.emails_enabled();
$$;

comment on function public.report_email_setup(text) is
  'Tells an operator that notices are to be sent and the function has no usable mail server; resolved when it has.';

create function billing.retry_notification(p_id bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  update billing.notification_emails e
  set parked_at = null, queued_at = now(), next_attempt_at = now(), attempts = 0
  where e.notification_id = p_id and e.parked_at is not null;
  if not found then
    raise exception 'notice % is not parked', p_id using errcode = 'no_data_found';
  end if;
  update billing.problems p set resolved_at = now()
  where p.kind = 'notification_parked' and p.subject = p_id::text and p.resolved_at is null;
end;
$$;

comment on function billing.retry_notification(bigint) is 'For operators: sends a parked e-mail again.';

create function public.my_notification_emails() returns jsonb
language sql stable
-- Definer: a person may know their own choice and whether anything is sent at all, and read neither table.
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'available', billing.emails_enabled(),
    'enabled', not exists (select from billing.notification_optouts o where o.user_id = (select auth.uid()))
  );
$$;

comment on function public.my_notification_emails() is
  'Whether notices are sent by e-mail here (available), and whether the caller wants them (enabled).';

create function public.set_notification_emails(p_enabled boolean) returns jsonb
language plpgsql
-- Definer: see public.my_notification_emails(). Whose choice it is auth.uid() says.
security definer
set search_path = ''
as $$
begin
  perform billing.require((select auth.uid()) is not null, 'nobody is signed in');
  perform billing.require(p_enabled is not null, 'p_enabled is missing');
  if p_enabled then
    delete from billing.notification_optouts o where o.user_id = (select auth.uid());
  else
    insert into billing.notification_optouts (user_id) values ((select auth.uid())) on conflict do nothing;
  end if;
  return public.my_notification_emails();
end;
$$;

comment on function public.set_notification_emails(boolean) is
  'The caller wants notices by e-mail, or not. Answers my_notification_emails().';

revoke all on function billing.emails_enabled(), billing.park_notifications(bigint[]),
  public.lease_notifications(integer), public.notification_sent(bigint),
  public.notification_failed(bigint, bigint, text, boolean), public.report_email_setup(text),
  billing.retry_notification(bigint), public.my_notification_emails(), public.set_notification_emails(boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.lease_notifications(integer), public.notification_sent(bigint),
  public.notification_failed(bigint, bigint, text, boolean), public.report_email_setup(text) to service_role;
grant execute on function public.my_notification_emails(), public.set_notification_emails(boolean) to authenticated;

-- While it is off nothing is called.
select cron.schedule(
  'tollgate-notify', '* * * * *', $$select billing.call_function('notify') where billing.emails_enabled()$$
);
