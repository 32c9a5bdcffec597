-- Where the hourly check of the ledger stopped, so that the next run goes on there: together they look at every creator,
-- however many there are. One row.

create table billing.ledger_check_cursor (
  is_only boolean primary key default true check (is_only),
  after uuid,
  round_started_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

insert into billing.ledger_check_cursor default values;

comment on table billing.ledger_check_cursor is 'Where the scheduled check of the ledger goes on.';
comment on column billing.ledger_check_cursor.after is 'The seller that was checked last; null: begin with the first.';
comment on column billing.ledger_check_cursor.round_started_at is 'When this round through all creators began.';

alter table billing.ledger_check_cursor enable row level security;
revoke all on billing.ledger_check_cursor from public, anon, authenticated, service_role;
create policy "Nobody reads where the ledger check is" on billing.ledger_check_cursor
  for all to anon, authenticated using (false) with check (false);

create function public.ledger_check_cursor() returns uuid
language sql stable
-- Definer: see public.seller_ledger().
security definer
set search_path = ''
as $$
  select c.after from billing.ledger_check_cursor c;
$$;

comment on function public.ledger_check_cursor() is
  'Where the scheduled check of the ledger goes on: p_after of seller_ledger(). Null: with the first creator.';

create function public.move_ledger_check(p_after uuid default null) returns void
language sql
-- Definer: see public.seller_ledger().
security definer
set search_path = ''
as $$
  update billing.ledger_check_cursor c set
    after = p_after,
    round_started_at = case when p_after is null then now() else c.round_started_at end,
    updated_at = now();
$$;

comment on function public.move_ledger_check(uuid) is
  'Remembers the last creator whose ledger was checked; null when all were, and the next round begins.';

revoke all on function public.ledger_check_cursor(), public.move_ledger_check(uuid)
  from public, anon, authenticated, service_role;
grant execute on function public.ledger_check_cursor(), public.move_ledger_check(uuid) to service_role;
