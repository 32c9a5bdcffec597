-- Who bought what, what Stripe says about it, and the licence that follows from it.
--
-- A purchase copies title, price and fee: editing a listing changes no purchase. Charges, refunds and disputes are kept as
-- Stripe tells them; the licence is derived from them, by billing.refresh_licence() and nothing else.

create table public.purchases (
  id uuid primary key default gen_random_uuid(),
  buyer_id uuid references auth.users (id) on delete set null,
  listing_id uuid not null references public.listings (id),
  seller_id uuid references public.sellers (id),
  kind text not null check (kind in ('one_time', 'monthly')),
  title text not null,
  amount_minor bigint not null check (amount_minor > 0),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  fee_bps integer not null check (fee_bps between 0 and 10000),
  fee_minor bigint not null check (fee_minor between 0 and amount_minor),
  status text not null default 'open' check (status in (
    'open', 'processing', 'paid', 'failed', 'expired', 'refunded', 'partially_refunded', 'disputed', 'lost',
    'active', 'past_due', 'canceled'
  )),
  holds boolean not null default true,
  problem text,
  refunded_minor bigint not null default 0,
  attempt integer not null default 1,
  checkout_session_id text unique,
  session_status text,
  payment_status text,
  payment_intent_id text unique,
  charge_id text,
  stripe_subscription_id text unique,
  subscription_status text,
  past_due_since timestamptz,
  cancel_at timestamptz,
  stripe_customer_id text,
  receipt_url text,
  current_period_end timestamptz,
  cancel_at_period_end boolean not null default false,
  applied_token bigint not null default 0,
  due_at timestamptz default now() + interval '4 minutes',
  paid_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (seller_id is not null or fee_minor = 0)
);

-- Two tabs, or two hundred: one purchase of a listing that is unfinished or alive.
create unique index purchases_buyer_id_listing_id_idx on public.purchases (buyer_id, listing_id) where holds;
create index purchases_buyer_id_created_at_idx on public.purchases (buyer_id, created_at);
create index purchases_listing_id_idx on public.purchases (listing_id);
create index purchases_seller_id_idx on public.purchases (seller_id);
create index purchases_charge_id_idx on public.purchases (charge_id);
create index purchases_due_at_idx on public.purchases (due_at) where due_at is not null;

comment on table public.purchases is
  'Purchases of listings. The row outlives its buyer (without a name) and its seller. A seller never reads it: the buyer '
  'stands in it; see public.my_sales().';
comment on column public.purchases.holds is
  'Unfinished or alive: no other purchase of this listing by this buyer may begin.';
comment on column public.purchases.problem is 'What Stripe says that does not fit this row; then there is no licence.';
comment on column public.purchases.attempt is 'Counts Checkout sessions; part of the idempotency key.';
comment on column public.purchases.fee_minor is 'Application fee of one payment; 0 for the house.';
comment on column public.purchases.past_due_since is 'When a sync first saw that a renewal has failed. The grace runs from here.';
comment on column public.purchases.applied_token is 'Token of the snapshot applied last; see billing.sync_state.';
comment on column public.purchases.due_at is
  'When to look at it again without an event; null: nothing is expected to happen. See billing.purchase_due().';

create table billing.purchase_charges (
  id text primary key,
  purchase_id uuid not null references public.purchases (id),
  amount_minor bigint not null check (amount_minor >= 0),
  status text not null,
  created_at timestamptz not null
);

create table billing.purchase_refunds (
  id text primary key,
  purchase_id uuid not null references public.purchases (id),
  charge_id text not null,
  amount_minor bigint not null check (amount_minor >= 0),
  status text not null
);

create table billing.dispute_statuses (
  status text primary key,
  effect text not null check (effect in ('none', 'open', 'lost'))
);

create table billing.purchase_disputes (
  id text primary key,
  purchase_id uuid not null references public.purchases (id),
  charge_id text not null,
  status text not null,
  amount_minor bigint not null check (amount_minor >= 0),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  reason text,
  evidence_due_by timestamptz,
  seen_at timestamptz not null default now(),
  transfer_state text not null default 'none' check (transfer_state in ('none', 'reversed', 'paid_back', 'failed')),
  reversed_minor bigint,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_error text
);

create index purchase_charges_purchase_id_created_at_idx on billing.purchase_charges (purchase_id, created_at);
create index purchase_refunds_charge_id_idx on billing.purchase_refunds (charge_id);
create index purchase_refunds_purchase_id_idx on billing.purchase_refunds (purchase_id);
create index purchase_disputes_charge_id_idx on billing.purchase_disputes (charge_id);
create index purchase_disputes_purchase_id_idx on billing.purchase_disputes (purchase_id);
create index purchase_disputes_next_attempt_at_idx on billing.purchase_disputes (next_attempt_at);

comment on table billing.purchase_charges is 'Stripe''s charges of a purchase; a monthly one has one a month.';
comment on table billing.purchase_refunds is 'Stripe''s refunds of those charges.';
comment on table billing.purchase_disputes is 'Stripe''s disputes of those charges, and what became of the creator''s share.';
comment on column billing.purchase_disputes.transfer_state is
  'The creator''s share: taken back while the bank holds the money, paid again when the dispute is won, or failed.';
comment on table billing.dispute_statuses is
  'Dispute statuses we know (docs.stripe.com/api/disputes/object). One that is not here suspends, and is reported.';

-- An inquiry (warning_…) moves no money, nor does a dispute that was prevented.
insert into billing.dispute_statuses (status, effect) values
  ('needs_response', 'open'), ('under_review', 'open'), ('lost', 'lost'), ('won', 'none'), ('prevented', 'none'),
  ('warning_needs_response', 'none'), ('warning_under_review', 'none'), ('warning_closed', 'none');

create table public.licences (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  listing_id uuid not null references public.listings (id),
  purchase_id uuid not null unique references public.purchases (id),
  status text not null check (status in ('active', 'suspended', 'revoked')),
  reason text check (reason in ('refunded', 'dispute_open', 'dispute_lost', 'canceled', 'payment_failed')),
  valid_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((status = 'active') = (reason is null))
);

create index licences_user_id_idx on public.licences (user_id);
create index licences_listing_id_idx on public.licences (listing_id);

comment on table public.licences is 'The right to read, run and clone a definition, or to an add-on. Derived from the purchase.';
comment on column public.licences.valid_until is 'When it ends by itself; null is never. A renewal moves it on.';

create function billing.has_licence(p_listing_id uuid) returns boolean
language sql stable
-- Definer: policies of other tables ask this, and must not run into the policies of this one.
security definer
set search_path = ''
as $$
  select exists (
    select from public.licences l
    where l.user_id = auth.uid() and l.listing_id = p_listing_id and l.status = 'active'
      and (l.valid_until is null or l.valid_until > now())
  );
$$;

comment on function billing.has_licence(uuid) is 'Whether the caller may use what this listing sells, at this moment.';

create function billing.is_listing_seller(p_listing_id uuid) returns boolean
language sql stable
-- Definer: see billing.has_licence().
security definer
set search_path = ''
as $$
  select exists (
    select from public.listings l join public.sellers s on s.id = l.seller_id
    where l.id = p_listing_id and s.user_id = auth.uid()
  );
$$;

comment on function billing.is_listing_seller(uuid) is 'Whether the caller is who sells this listing.';

create trigger purchases_before_update_touch before update on public.purchases
  for each row execute function billing.touch_updated_at();
create trigger licences_before_update_touch before update on public.licences
  for each row execute function billing.touch_updated_at();

alter table public.purchases enable row level security;
alter table public.licences enable row level security;
alter table billing.purchase_charges enable row level security;
alter table billing.purchase_refunds enable row level security;
alter table billing.purchase_disputes enable row level security;
alter table billing.dispute_statuses enable row level security;

revoke all on public.purchases, public.licences, billing.purchase_charges, billing.purchase_refunds,
  billing.purchase_disputes, billing.dispute_statuses from public, anon, authenticated, service_role;
revoke all on function billing.has_licence(uuid), billing.is_listing_seller(uuid)
  from public, anon, authenticated, service_role;
grant execute on function billing.has_licence(uuid), billing.is_listing_seller(uuid) to authenticated;
-- By column: Stripe's ids stay with us, except for the receipt.
grant select (id, buyer_id, listing_id, kind, title, amount_minor, currency, status, refunded_minor, receipt_url,
  current_period_end, cancel_at_period_end, paid_at, created_at, updated_at) on public.purchases to authenticated;
grant select on public.licences to authenticated;
grant select on public.purchases, public.licences to service_role;

create policy "Buyers read their purchases" on public.purchases
  for select to authenticated using (buyer_id = (select auth.uid()));
create policy "Owners read their licences" on public.licences
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Nobody reads the charges" on billing.purchase_charges
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the refunds" on billing.purchase_refunds
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the disputes" on billing.purchase_disputes
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the dispute statuses" on billing.dispute_statuses
  for all to anon, authenticated using (false) with check (false);

-- The policies of the listings, now that there are licences.

create policy "Everybody reads what is published" on public.listings
  for select to anon using (status = 'published');
create policy "People read what is published, theirs, or bought" on public.listings
  for select to authenticated using (
    status = 'published' or seller_id = (select billing.my_seller_id()) or billing.has_licence(id)
  );
create policy "Creators offer their own agents" on public.listings
  for insert to authenticated with check (
    seller_id = (select billing.my_seller_id()) and category = 'agent'
    and (agent_id is null or exists (
      select from public.agents a where a.id = agent_id and a.user_id = (select auth.uid()) and a.source_listing_id is null
    ))
  );
create policy "Creators change their listings" on public.listings
  for update to authenticated
  using (seller_id = (select billing.my_seller_id()))
  with check (
    seller_id = (select billing.my_seller_id()) and category = 'agent'
    and (agent_id is null or exists (
      select from public.agents a where a.id = agent_id and a.user_id = (select auth.uid()) and a.source_listing_id is null
    ))
  );
create policy "Creators delete what was never published" on public.listings
  for delete to authenticated using (seller_id = (select billing.my_seller_id()) and version = 0);

create policy "Everybody sees the pictures of what is published" on public.listing_pictures
  for select to anon using (exists (select from public.listings l where l.id = listing_id));
create policy "People see the pictures of the listings they read" on public.listing_pictures
  for select to authenticated using (exists (select from public.listings l where l.id = listing_id));
create policy "Creators add pictures" on public.listing_pictures
  for insert to authenticated with check (billing.is_listing_seller(listing_id));
create policy "Creators change their pictures" on public.listing_pictures
  for update to authenticated
  using (billing.is_listing_seller(listing_id)) with check (billing.is_listing_seller(listing_id));
create policy "Creators remove their pictures" on public.listing_pictures
  for delete to authenticated using (billing.is_listing_seller(listing_id));

create policy "Sellers and licence holders read the definition" on public.listing_definitions
  for select to authenticated using (billing.is_listing_seller(listing_id) or billing.has_licence(listing_id));
