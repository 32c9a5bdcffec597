-- Publishing, withdrawing and finding listings.

create function public.publish_listing(p_listing_id uuid) returns jsonb
language plpgsql
-- Definer: a client sets no status and writes no definition, except by this. Only for the caller's own listings.
security definer
set search_path = ''
as $$
declare
  v_seller public.sellers;
  v_listing public.listings;
  v_agent public.agents;
begin
  select * into v_seller from public.sellers s where s.user_id = auth.uid() for share;
  if not found then
    perform billing.raise_http(403, 'seller_required', 'Become a creator first.');
  end if;
  select * into v_listing from public.listings l
  where l.id = p_listing_id and l.seller_id = v_seller.id for no key update;
  if not found then
    perform billing.raise_http(404, 'listing_not_found', 'There is no such listing.');
  end if;
  if v_seller.status <> 'active' then
    perform billing.raise_http(
      409, 'seller_paused', 'You cannot sell at the moment.', jsonb_build_object('reason', coalesce(
        v_seller.paused_reason, 'Onboarding with Stripe is not finished.'
      ))::text
    );
  end if;
  -- A bought agent cannot be sold again.
  select * into v_agent from public.agents a
  where a.id = v_listing.agent_id and a.user_id = v_seller.user_id and a.source_listing_id is null;
  if v_agent.id is null or trim(v_agent.instructions) = '' then
    perform billing.raise_http(
      422, 'listing_incomplete', 'A listing needs an agent of yours that has instructions.',
      jsonb_build_object('missing', case when v_agent.id is null then 'agent' else 'instructions' end)::text
    );
  end if;
  update public.listings l
  set status = 'published', version = l.version + 1, published_at = coalesce(l.published_at, now())
  where l.id = p_listing_id returning * into v_listing;
  insert into public.listing_definitions as d (listing_id, version, name, instructions)
  values (p_listing_id, v_listing.version, v_agent.name, v_agent.instructions)
  on conflict (listing_id) do update set
    version = excluded.version, name = excluded.name, instructions = excluded.instructions, updated_at = now();
  return to_jsonb(v_listing) - 'search';
end;
$$;

comment on function public.publish_listing(uuid) is
  'Publishes a listing of the caller, or a new version of it: the agent as it is now is what buyers get. Answers the listing. '
  '403 seller_required, 404 listing_not_found, 409 seller_paused {reason}, 422 listing_incomplete {missing}.';

create function public.withdraw_listing(p_listing_id uuid) returns jsonb
language plpgsql
-- Definer: see public.publish_listing().
security definer
set search_path = ''
as $$
declare
  v_listing public.listings;
begin
  update public.listings l set status = case when l.version > 0 then 'withdrawn' else l.status end
  where l.id = p_listing_id and l.seller_id = billing.my_seller_id()
  returning * into v_listing;
  if not found then
    perform billing.raise_http(404, 'listing_not_found', 'There is no such listing.');
  end if;
  return to_jsonb(v_listing) - 'search';
end;
$$;

comment on function public.withdraw_listing(uuid) is
  'Ends the sale of a listing of the caller and answers it; licences stay. 404 listing_not_found.';

create function billing.search_query(p_query text) returns tsquery
language sql immutable
set search_path = ''
as $$
  -- Lexemes only, quoted: nothing of the query's own syntax gets through. Each may be the beginning of a word.
  select string_agg(quote_literal(w.lexeme) || ':*', ' & ')::tsquery
  from unnest(to_tsvector('pg_catalog.simple', left(p_query, 200))) w;
$$;

comment on function billing.search_query(text) is 'What somebody types as a query: every word, or the beginning of it. Null: nothing.';

create function public.search_listings(
  p_query text default '', p_sort text default 'newest', p_category text default null, p_kind text default null,
  p_limit integer default 24, p_offset integer default 0
) returns table (
  id uuid, title text, description text, picture text, category text, kind text, price_minor bigint, currency text,
  seller_name text, sales_count bigint, sales_paused boolean, published_at timestamptz, owned boolean, own boolean,
  total bigint
)
language plpgsql stable
-- Definer: also for those who are not signed in, who may not ask for licences; it reads what is published and nothing else.
security definer
set search_path = ''
as $$
declare
  v_query constant tsquery := billing.search_query(p_query);
begin
  perform billing.require(
    p_sort in ('newest', 'popular', 'price_low', 'price_high', 'relevance'), 'p_sort is unknown'
  );
  perform billing.require(p_limit between 1 and 100, 'p_limit is not between 1 and 100');
  perform billing.require(p_offset between 0 and 100000, 'p_offset is not between 0 and 100000');
  return query
  with page as (
    select l.*, count(*) over () as total from public.listings l
    where l.status = 'published'
      and (v_query is null or l.search @@ v_query)
      and (p_category is null or l.category = p_category)
      and (p_kind is null or l.kind = p_kind)
    order by
      case p_sort when 'price_low' then l.price_minor when 'price_high' then -l.price_minor
        when 'popular' then -l.sales_count end,
      case when p_sort = 'relevance' then ts_rank(l.search, v_query) end desc nulls last,
      l.published_at desc, l.id
    limit p_limit offset p_offset
  )
  select p.id, p.title, p.description, c.data, p.category, p.kind, p.price_minor, p.currency, p.seller_name,
    p.sales_count, p.sales_paused, p.published_at, billing.has_licence(p.id), billing.is_listing_seller(p.id), p.total
  from page p left join public.listing_pictures c on c.listing_id = p.id
  order by
    case p_sort when 'price_low' then p.price_minor when 'price_high' then -p.price_minor
      when 'popular' then -p.sales_count end,
    case when p_sort = 'relevance' then ts_rank(p.search, v_query) end desc nulls last,
    p.published_at desc, p.id;
end;
$$;

comment on function public.search_listings(text, text, text, text, integer, integer) is
  'What is published, a page of it: p_sort newest, popular, price_low, price_high (amounts as they stand, whatever the '
  'currency) or relevance. owned: the caller holds a licence; own: sells it; total: over all pages. For everybody.';

revoke all on function public.publish_listing(uuid), public.withdraw_listing(uuid), billing.search_query(text),
  public.search_listings(text, text, text, text, integer, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.publish_listing(uuid), public.withdraw_listing(uuid) to authenticated;
grant execute on function public.search_listings(text, text, text, text, integer, integer) to anon, authenticated;
