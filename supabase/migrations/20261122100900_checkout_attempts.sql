-- Checkout attempts give the idempotency key of a Checkout session its number: the same while a person
-- asks for the same thing (two tabs, a double click), another one when they ask for something else.

create table billing.checkout_attempts (
  user_id uuid primary key references auth.users (id) on delete cascade,
  attempt bigint not null,
  lookup_key text not null references public.prices (lookup_key),
  started_at timestamptz not null default now(),
  closed_at timestamptz
);

create index checkout_attempts_lookup_key_idx on billing.checkout_attempts (lookup_key);

comment on table billing.checkout_attempts is 'The latest checkout of each user; earlier ones are superseded.';
comment on column billing.checkout_attempts.attempt is 'Counts up per user, never reused.';
comment on column billing.checkout_attempts.closed_at is 'Paid, expired or given up; the next one is another.';

alter table billing.checkout_attempts enable row level security;
revoke all on billing.checkout_attempts from public, anon, authenticated, service_role;

create policy "Nobody reads checkout attempts" on billing.checkout_attempts
  for all to anon, authenticated using (false) with check (false);

create function public.begin_checkout(p_user_id uuid, p_lookup_key text) returns bigint
language plpgsql
-- Definer: the secret key needs no access to the table, only this.
security definer
set search_path = ''
as $$
declare
  v_attempt bigint;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  if not exists (select from public.prices p where p.lookup_key = p_lookup_key and p.is_active) then
    perform billing.raise_http(404, 'price_not_found', 'There is no such price.');
  end if;
  -- 23 hours: Stripe remembers an idempotency key for 24, and a Checkout session lives as long.
  insert into billing.checkout_attempts as a (user_id, attempt, lookup_key)
  values (p_user_id, 1, p_lookup_key)
  on conflict (user_id) do update set
    attempt = a.attempt + 1, lookup_key = excluded.lookup_key, started_at = now(), closed_at = null
  where a.lookup_key <> excluded.lookup_key
    or a.closed_at is not null
    or a.started_at <= now() - interval '23 hours'
  returning a.attempt into v_attempt;
  if v_attempt is null then
    select a.attempt into strict v_attempt
    from billing.checkout_attempts a where a.user_id = p_user_id;
  end if;
  return v_attempt;
end;
$$;

comment on function public.begin_checkout(uuid, text) is
  'The number of the user''s checkout of this price: the same for 23 hours unless closed or superseded. '
  '404 price_not_found unless the price is active.';

create function public.is_current_checkout(p_user_id uuid, p_attempt bigint) returns boolean
language sql stable
-- Definer: see public.begin_checkout().
security definer
set search_path = ''
as $$
  select exists (
    select from billing.checkout_attempts a
    where a.user_id = p_user_id and a.attempt = p_attempt and a.closed_at is null
  );
$$;

comment on function public.is_current_checkout(uuid, bigint) is
  'False once the attempt was closed or superseded by another one.';

create function public.close_checkout(p_user_id uuid, p_attempt bigint) returns void
language sql
-- Definer: see public.begin_checkout().
security definer
set search_path = ''
as $$
  update billing.checkout_attempts a set closed_at = now()
  where a.user_id = p_user_id and a.attempt = p_attempt and a.closed_at is null;
$$;

comment on function public.close_checkout(uuid, bigint) is
  'Ends an attempt, so that the next checkout gets another number. Closing an old one does nothing.';

revoke all on function public.begin_checkout(uuid, text), public.is_current_checkout(uuid, bigint),
  public.close_checkout(uuid, bigint) from public, anon, authenticated, service_role;
grant execute on function public.begin_checkout(uuid, text), public.is_current_checkout(uuid, bigint),
  public.close_checkout(uuid, bigint) to service_role;
