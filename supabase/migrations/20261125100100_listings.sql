-- What is for sale. Everybody reads what is published; what a buyer gets (the definition) stands in a table of its own, so
-- that no column, embed or filter of the listing leads to it.

create table public.marketplace_currencies (
  currency text primary key check (currency ~ '^[a-z]{3}$'),
  minimum_minor bigint not null check (minimum_minor > 0)
);

comment on table public.marketplace_currencies is 'Currencies a listing may have a price in.';
comment on column public.marketplace_currencies.minimum_minor is
  'The least Stripe charges (docs.stripe.com/currencies, "Minimum and maximum charge amounts").';

insert into public.marketplace_currencies (currency, minimum_minor) values ('usd', 50), ('eur', 50), ('gbp', 50);

create table public.listings (
  id uuid primary key default gen_random_uuid(),
  seller_id uuid references public.sellers (id),
  agent_id uuid references public.agents (id) on delete set null,
  title text not null check (char_length(trim(title)) between 1 and 80),
  description text not null default '' check (char_length(description) <= 5000),
  category text not null default 'agent' check (category in ('agent', 'template', 'addon')),
  kind text not null default 'one_time' check (kind in ('one_time', 'monthly')),
  price_minor bigint not null check (price_minor between 50 and 99999999),
  currency text not null default 'usd' references public.marketplace_currencies (currency),
  grants_metric_id text references public.metrics (id),
  grants_quantity bigint check (grants_quantity > 0),
  status text not null default 'draft' check (status in ('draft', 'published', 'withdrawn')),
  version integer not null default 0 check (version >= 0),
  sales_count bigint not null default 0 check (sales_count >= 0),
  seller_name text not null default 'Tollgate',
  sales_paused boolean not null default false,
  search tsvector generated always as (
    setweight(to_tsvector('simple', title), 'A') || setweight(to_tsvector('simple', description), 'B')
  ) stored,
  published_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint listings_creators_sell_agents check (seller_id is null or category = 'agent'),
  constraint listings_grants_whole check ((grants_metric_id is null) = (grants_quantity is null)),
  constraint listings_add_ons_grant check ((category = 'addon') = (grants_metric_id is not null)),
  constraint listings_published_once check (status = 'draft' or (version > 0 and published_at is not null))
);

create index listings_seller_id_idx on public.listings (seller_id);
create index listings_agent_id_idx on public.listings (agent_id);
create index listings_currency_idx on public.listings (currency);
create index listings_grants_metric_id_idx on public.listings (grants_metric_id);
create index listings_published_at_idx on public.listings (published_at) where status = 'published';
create index listings_search_idx on public.listings using gin (search);

comment on table public.listings is 'Agents and templates for sale. A change never reaches what was bought: purchases copy.';
comment on column public.listings.seller_id is 'Null is the platform itself ("the house").';
comment on column public.listings.agent_id is 'Where publish_listing() copies the definition from.';
comment on column public.listings.grants_quantity is
  'Of an add-on: by how much a licence raises the limit of grants_metric_id while it lives.';
comment on column public.listings.version is 'Counts publications; 0 was never published and may be deleted.';
comment on column public.listings.sales_count is 'Purchases that were paid, whatever became of them.';
comment on column public.listings.seller_name is 'Copied from the seller, whose row nobody else reads.';
comment on column public.listings.sales_paused is 'The creator cannot sell now; kept by the seller''s state.';

create table public.listing_pictures (
  listing_id uuid primary key references public.listings (id) on delete cascade,
  -- No SVG: it can carry scripts.
  data text not null check (
    char_length(data) <= 150000 and data ~ '^data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+=*$'
  )
);

comment on table public.listing_pictures is 'The picture of a listing, as a data URL of at most 150,000 characters.';

create table public.listing_definitions (
  listing_id uuid primary key references public.listings (id) on delete cascade,
  version integer not null check (version > 0),
  name text not null check (char_length(name) between 1 and 100),
  instructions text not null check (char_length(instructions) between 1 and 20000),
  updated_at timestamptz not null default now()
);

comment on table public.listing_definitions is
  'What buyers get: name and instructions at the last publication. Read by the seller and by whoever holds a licence.';

alter table public.agents
  add column source_listing_id uuid references public.listings (id);

create index agents_source_listing_id_idx on public.agents (source_listing_id);

comment on column public.agents.source_listing_id is
  'The listing it was cloned from, by clone_listing() only. Readable while the licence lives; it counts as one''s own agent.';

create function billing.listing_written() returns trigger
language plpgsql
-- Definer: reads the seller, whom the writer may not see.
security definer
set search_path = ''
as $$
declare
  v_seller public.sellers;
begin
  if new.price_minor < (
    select c.minimum_minor from public.marketplace_currencies c where c.currency = new.currency
  ) then
    perform billing.raise_http(422, 'price_too_low', 'The price is below the least that can be charged in this currency.');
  end if;
  if tg_op = 'UPDATE' and old.version > 0 and (
    (new.kind, new.category) <> (old.kind, old.category)
    or (new.grants_metric_id, new.grants_quantity, new.seller_id)
      is distinct from (old.grants_metric_id, old.grants_quantity, old.seller_id)
  ) then
    perform billing.raise_http(
      409, 'listing_published', 'How a published listing is sold, and what it grants, cannot change.', null,
      'Withdraw it and make another one.'
    );
  end if;
  if tg_op = 'INSERT' then
    -- A change of the seller that is under way would not see this listing: wait for it.
    perform from public.sellers s where s.id = new.seller_id for share;
  end if;
  select * into v_seller from public.sellers s where s.id = new.seller_id;
  if found then
    new.seller_name := v_seller.display_name;
    new.sales_paused := v_seller.status <> 'active';
  end if;
  return new;
end;
$$;

comment on function billing.listing_written() is
  'Keeps the price above the minimum, what was published as it was sold, and the copy of the seller''s state.';

create function billing.listing_of_caller() returns trigger
language plpgsql
-- Definer: a client may execute neither the refusal nor, on another table, what it asks.
security definer
set search_path = ''
as $$
begin
  new.seller_id := billing.my_seller_id();
  if new.seller_id is null then
    perform billing.raise_http(403, 'seller_required', 'Become a creator first.');
  end if;
  return new;
end;
$$;

comment on function billing.listing_of_caller() is 'A client''s listing is their own, whatever they send. 403 seller_required.';

-- In the order of their names: the seller first.
create trigger listings_before_insert_own before insert on public.listings
  for each row when (current_user = 'authenticated') execute function billing.listing_of_caller();
create trigger listings_before_write_check before insert or update on public.listings
  for each row execute function billing.listing_written();
create trigger listings_before_update_touch
  before update of title, description, agent_id, kind, price_minor, currency, status, version on public.listings
  for each row execute function billing.touch_updated_at();

create function billing.seller_changed() returns trigger
language plpgsql
-- Definer: the deletion of a user may cause it, by a role that writes no listings.
security definer
set search_path = ''
as $$
begin
  update public.listings l
  set seller_name = new.display_name, sales_paused = new.status <> 'active',
    -- Licences stay: only selling ends.
    status = case when new.status = 'closed' and l.status = 'published' then 'withdrawn' else l.status end
  where l.seller_id = new.id;
  if new.user_id is null then
    delete from public.listings l where l.seller_id = new.id and l.version = 0;
  end if;
  return null;
end;
$$;

comment on function billing.seller_changed() is
  'The listings show the creator''s name and state; those of a closed one are withdrawn, and the drafts of one who left go.';

create trigger sellers_after_update_listings after update on public.sellers
  for each row when (
    old.status <> new.status or old.display_name <> new.display_name or old.user_id is distinct from new.user_id
  )
  execute function billing.seller_changed();

alter table public.marketplace_currencies enable row level security;
alter table public.listings enable row level security;
alter table public.listing_pictures enable row level security;
alter table public.listing_definitions enable row level security;

revoke all on public.marketplace_currencies, public.listings, public.listing_pictures, public.listing_definitions
  from public, anon, authenticated, service_role;
grant select on public.marketplace_currencies, public.listings, public.listing_pictures
  to anon, authenticated, service_role;
grant select on public.listing_definitions to authenticated, service_role;
grant insert (id, agent_id, title, description, category, kind, price_minor, currency),
  update (agent_id, title, description, kind, price_minor, currency), delete
  on public.listings to authenticated;
-- Also update of the key: PostgREST's upsert writes every column it was sent.
grant insert (listing_id, data), update (listing_id, data), delete on public.listing_pictures to authenticated;

create policy "Everybody reads the currencies" on public.marketplace_currencies
  for select to anon, authenticated using (true);

revoke all on function billing.listing_written(), billing.listing_of_caller(), billing.seller_changed()
  from public, anon, authenticated, service_role;
