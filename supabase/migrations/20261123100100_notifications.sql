-- Notices at 80 % and 100 % of an allowance and of a spending cap, written by the message that reaches the mark, in its
-- transaction. (A refused one rolls back, so it could not leave a notice.) Sending them is a setting, off by default.

create table public.notifications (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  kind text not null check (kind in ('allowance', 'spending_cap')),
  metric_id text references public.metrics (id),
  threshold smallint not null check (threshold in (80, 100)),
  limit_value bigint not null check (limit_value >= 0),
  period text not null,
  title text not null,
  body text not null,
  created_at timestamptz not null default now(),
  read_at timestamptz,
  sent_at timestamptz,
  check ((kind = 'allowance') = (metric_id is not null)),
  -- With the limit: 80 % of a raised limit is news, although it is the same day.
  unique nulls not distinct (user_id, kind, metric_id, threshold, period, limit_value)
);

create index notifications_metric_id_idx on public.notifications (metric_id);
create index notifications_created_at_idx on public.notifications (created_at);

comment on table public.notifications is 'What a user should be told about their allowance or their spending.';
comment on column public.notifications.limit_value is 'What the threshold is a share of: units, or minor units of money.';
comment on column public.notifications.period is 'The UTC day of an allowance, the start of the billing period of a cap.';
comment on column public.notifications.sent_at is 'When it was sent by e-mail; see the setting notification_emails.';

alter table public.notifications enable row level security;
revoke all on public.notifications from public, anon, authenticated, service_role;
grant select on public.notifications to authenticated, service_role;

create policy "Owners read their notifications" on public.notifications
  for select to authenticated using (user_id = (select auth.uid()));

create function billing.format_money(p_minor numeric, p_currency text) returns text
language sql immutable
set search_path = ''
as $$
  -- Stripe's zero-decimal currencies: https://docs.stripe.com/currencies#zero-decimal
  select case
    when p_currency in ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'ugx', 'vnd', 'vuv',
      'xaf', 'xof', 'xpf') then ceil(p_minor)::text
    else to_char(ceil(p_minor) / 100, 'FM999999999990.00')
  end || ' ' || upper(p_currency);
$$;

comment on function billing.format_money(numeric, text) is 'An amount in minor units, in words: 12.30 USD. Rounded up.';

create function billing.notify_allowance(
  p_user_id uuid, p_metric_id text, p_day date, p_threshold integer, p_used bigint, p_allowance bigint
) returns void
language sql
set search_path = ''
as $$
  insert into public.notifications (user_id, kind, metric_id, threshold, limit_value, period, title, body)
  select p_user_id, 'allowance', m.id, p_threshold, p_allowance, p_day::text,
    format('%s %% of today''s %s used', p_threshold, lower(m.name)),
    format('You have used %s of %s %s. They reset at midnight UTC.', p_used, p_allowance, lower(m.name))
  from public.metrics m where m.id = p_metric_id
  on conflict do nothing;
$$;

comment on function billing.notify_allowance(uuid, text, date, integer, bigint, bigint) is
  'Tells a user that a share of the day''s allowance is used; once a day, threshold and limit.';

create function billing.notify_spending(
  p_user_id uuid, p_period_start timestamptz, p_threshold integer, p_spent_minor numeric, p_cap_minor bigint,
  p_currency text
) returns void
language sql
set search_path = ''
as $$
  insert into public.notifications (user_id, kind, threshold, limit_value, period, title, body)
  values (
    p_user_id, 'spending_cap', p_threshold, p_cap_minor,
    to_char(p_period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    format('%s %% of your spending cap used', p_threshold),
    format('You have spent %s of %s beyond your plan.', billing.format_money(p_spent_minor, p_currency),
      billing.format_money(p_cap_minor, p_currency))
      || case when p_threshold = 100 then ' Nothing more is charged until you raise the cap or the period ends.' else '' end
  )
  on conflict do nothing;
$$;

comment on function billing.notify_spending(uuid, timestamptz, integer, numeric, bigint, text) is
  'Tells a user that a share of their spending cap is used; once a period, threshold and cap.';

create function public.mark_notifications_read(p_up_to bigint default null) returns bigint
language plpgsql
-- Definer: the owner may set read_at and nothing else. Whose they are auth.uid() says.
security definer
set search_path = ''
as $$
declare
  v_read bigint;
begin
  update public.notifications n set read_at = now()
  where n.user_id = (select auth.uid()) and n.read_at is null and n.id <= coalesce(p_up_to, n.id);
  get diagnostics v_read = row_count;
  return v_read;
end;
$$;

comment on function public.mark_notifications_read(bigint) is
  'Marks the caller''s unread notifications as read, up to an id (null: all), and answers how many.';

revoke all on function billing.format_money(numeric, text),
  billing.notify_allowance(uuid, text, date, integer, bigint, bigint),
  billing.notify_spending(uuid, timestamptz, integer, numeric, bigint, text), public.mark_notifications_read(bigint)
  from public, anon, authenticated, service_role;
grant execute on function public.mark_notifications_read(bigint) to authenticated;
