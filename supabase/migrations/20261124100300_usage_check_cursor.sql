-- Where the hourly check of usage stopped, so that the next run goes on there: together they look at everybody, however many
-- there are. One row.

create table billing.usage_check_cursor (
  is_only boolean primary key default true check (is_only),
  after text not null default '',
  round_started_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

insert into billing.usage_check_cursor default values;

comment on table billing.usage_check_cursor is 'Where the scheduled check of usage goes on.';
comment on column billing.usage_check_cursor.after is 'The Stripe customer that was checked last; empty: begin with the first.';
comment on column billing.usage_check_cursor.round_started_at is 'When this round through all customers began.';

alter table billing.usage_check_cursor enable row level security;
revoke all on billing.usage_check_cursor from public, anon, authenticated, service_role;
create policy "Nobody reads where the check is" on billing.usage_check_cursor
  for all to anon, authenticated using (false) with check (false);

create function public.usage_check_cursor() returns text
language sql stable
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
  select c.after from billing.usage_check_cursor c;
$$;

comment on function public.usage_check_cursor() is
  'Where the scheduled check of usage goes on: p_after of usage_sums(). Empty: with the first customer.';

create function public.move_usage_check(p_after text) returns void
language sql
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
  update billing.usage_check_cursor c set
    after = coalesce(p_after, ''),
    round_started_at = case when coalesce(p_after, '') = '' then now() else c.round_started_at end,
    updated_at = now();
$$;

comment on function public.move_usage_check(text) is
  'Remembers the last customer whose usage was checked; empty when everybody was, and the next round begins.';

revoke all on function public.usage_check_cursor(), public.move_usage_check(text)
  from public, anon, authenticated, service_role;
grant execute on function public.usage_check_cursor(), public.move_usage_check(text) to service_role;
