-- Creators: people with a connected account at Stripe. What Stripe says about the account comes by snapshot, like everything
-- else; a creator may sell while transfers to the account are active, and is told why when they are not.

insert into billing.settings (key, value, description) values
  ('platform_fee_bps', '2000', 'What the platform keeps of a sale, in hundredths of a percent. 0 to 10000.');

alter table billing.settings add constraint settings_platform_fee_is_bps check (
  key <> 'platform_fee_bps'
  or (
    jsonb_typeof(value) = 'number' and (value #>> '{}')::numeric between 0 and 10000
    and (value #>> '{}')::numeric % 1 = 0
  )
);

create table public.sellers (
  id uuid primary key default gen_random_uuid(),
  user_id uuid unique references auth.users (id) on delete set null,
  display_name text not null check (char_length(display_name) between 1 and 100),
  stripe_account_id text unique check (stripe_account_id ~ '^acct_\w+$'),
  status text not null default 'onboarding' check (status in ('onboarding', 'active', 'paused', 'closed')),
  paused_reason text,
  requirements text[] not null default '{}',
  country text check (country ~ '^[A-Z]{2}$'),
  fee_bps integer check (fee_bps between 0 and 10000),
  activated_at timestamptz,
  applied_token bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table public.sellers is
  'Creators. The row outlives its user: what was sold, and the ledger, point at it. What everybody may see of a creator, the '
  'name, comes with the listing.';
comment on column public.sellers.user_id is 'Null once the account was deleted; then the seller is closed.';
comment on column public.sellers.paused_reason is 'In plain words, why nothing can be sold; null while active.';
comment on column public.sellers.requirements is 'What Stripe still wants to know.';
comment on column public.sellers.fee_bps is
  'Overrides the platform''s fee, by billing.set_seller_fee(). What was bought keeps its fee.';
comment on column public.sellers.activated_at is 'When transfers were first active; before that it is onboarding, not paused.';
comment on column public.sellers.applied_token is 'Token of the snapshot applied last; see billing.sync_state.';

create table billing.payouts (
  id text primary key,
  seller_id uuid not null references public.sellers (id),
  amount_minor bigint not null check (amount_minor > 0),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  status text not null,
  created_at timestamptz not null,
  arrival_date date
);

create index payouts_seller_id_created_at_idx on billing.payouts (seller_id, created_at);

comment on table billing.payouts is 'Payouts of connected accounts to the banks of their creators, as Stripe says.';

alter table public.sellers enable row level security;
alter table billing.payouts enable row level security;
revoke all on public.sellers, billing.payouts from public, anon, authenticated, service_role;
grant select on public.sellers to authenticated, service_role;

create policy "Creators read their own row" on public.sellers
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Nobody reads the payouts" on billing.payouts
  for all to anon, authenticated using (false) with check (false);

create function billing.my_seller_id() returns uuid
language sql stable
-- Definer: policies of other tables ask this, and must not run into the policies of this one.
security definer
set search_path = ''
as $$
  select s.id from public.sellers s where s.user_id = auth.uid();
$$;

comment on function billing.my_seller_id() is 'The seller the caller is; null for everybody else.';

create function billing.seller_changing() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  if old.user_id is not null and new.user_id is null then
    new.status := 'closed';
    new.paused_reason := 'The creator has left.';
  end if;
  if new.status = 'active' then
    new.paused_reason := null;
    new.activated_at := coalesce(new.activated_at, now());
  end if;
  return new;
end;
$$;

comment on function billing.seller_changing() is 'A creator whose account is deleted is closed.';

create trigger sellers_before_update_close before update on public.sellers
  for each row execute function billing.seller_changing();

create function billing.set_seller_fee(p_seller_id uuid, p_bps integer) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.sellers s set fee_bps = p_bps where s.id = p_seller_id;
  if not found then
    raise exception 'there is no seller %', p_seller_id using errcode = 'no_data_found';
  end if;
end;
$$;

comment on function billing.set_seller_fee(uuid, integer) is
  'For operators: the fee of one creator in hundredths of a percent, null for that of everybody. From the next purchase on.';

create function billing.fee_bps(p_seller_id uuid) returns integer
language sql stable
set search_path = ''
as $$
  select coalesce(
    (select s.fee_bps from public.sellers s where s.id = p_seller_id),
    (billing.setting('platform_fee_bps') #>> '{}')::integer
  );
$$;

comment on function billing.fee_bps(uuid) is 'The fee of a creator in hundredths of a percent.';

create function public.begin_seller(p_user_id uuid, p_display_name text, p_country text) returns jsonb
language plpgsql
-- Definer: the secret key has no write access to the table, only this.
security definer
set search_path = ''
as $$
declare
  v_seller public.sellers;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.require(
    char_length(trim(p_display_name)) between 1 and 100, 'p_display_name is not of 1 to 100 characters'
  );
  perform billing.require(p_country ~ '^[A-Z]{2}$', 'p_country is not a country');
  -- Onboarding again may correct the name; the country is Stripe's once there is an account.
  insert into public.sellers as s (user_id, display_name, country)
  values (p_user_id, trim(p_display_name), p_country)
  on conflict (user_id) do update set
    display_name = excluded.display_name,
    country = case when s.stripe_account_id is null then excluded.country else s.country end
  returning * into v_seller;
  if v_seller.status = 'closed' then
    perform billing.raise_http(409, 'seller_closed', 'This creator account is closed.', v_seller.paused_reason);
  end if;
  return jsonb_build_object(
    'seller_id', v_seller.id, 'stripe_account_id', v_seller.stripe_account_id, 'status', v_seller.status,
    'country', v_seller.country
  );
end;
$$;

comment on function public.begin_seller(uuid, text, text) is
  'The seller of a user, made now if there was none: {seller_id, stripe_account_id or null, status, country}. 409 seller_closed.';

create function public.link_seller_account(p_seller_id uuid, p_account text) returns text
language plpgsql
-- Definer: see public.begin_seller().
security definer
set search_path = ''
as $$
declare
  v_linked text;
begin
  perform billing.require(p_account ~ '^acct_\w+$', 'p_account is not an account id');
  update public.sellers s set stripe_account_id = coalesce(s.stripe_account_id, p_account)
  where s.id = p_seller_id returning s.stripe_account_id into v_linked;
  perform billing.require(v_linked is not null, 'there is no such seller');
  return v_linked;
end;
$$;

comment on function public.link_seller_account(uuid, text) is
  'Binds a connected account and returns the one that is bound: of two callers the first wins.';

create function public.seller_of_account(p_account text) returns uuid
language sql stable
-- Definer: see public.begin_seller().
security definer
set search_path = ''
as $$
  select s.id from public.sellers s where s.stripe_account_id = p_account;
$$;

comment on function public.seller_of_account(text) is 'The seller of a connected account; null when it is not ours.';

revoke all on function billing.my_seller_id(), billing.seller_changing(), billing.set_seller_fee(uuid, integer),
  billing.fee_bps(uuid), public.begin_seller(uuid, text, text), public.link_seller_account(uuid, text),
  public.seller_of_account(text)
  from public, anon, authenticated, service_role;
grant execute on function billing.my_seller_id() to authenticated;
grant execute on function public.begin_seller(uuid, text, text), public.link_seller_account(uuid, text),
  public.seller_of_account(text) to service_role;
