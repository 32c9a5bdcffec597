-- A price in one currency says nothing about one in another: searching by price is within a currency, and without one asked
-- for the currencies stand one after the other. The pictures are no part of a list: each is up to 150 kB.

drop function public.search_listings(text, text, text, text, integer, integer);

create function public.search_listings(
  p_query text default '', p_sort text default 'newest', p_category text default null, p_kind text default null,
  p_limit integer default 24, p_offset integer default 0, p_currency text default null
) returns table (
  id uuid, title text, description text, category text, kind text, price_minor bigint, currency text,
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
  v_by_price constant boolean := p_sort in ('price_low', 'price_high');
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
      and (p_currency is null or l.currency = p_currency)
    order by
      case when v_by_price then l.currency end,
      case p_sort when 'price_low' then l.price_minor when 'price_high' then -l.price_minor
        when 'popular' then -l.sales_count end,
      case when p_sort = 'relevance' then ts_rank(l.search, v_query) end desc nulls last,
      l.published_at desc, l.id
    limit p_limit offset p_offset
  )
  select p.id, p.title, p.description, p.category, p.kind, p.price_minor, p.currency, p.seller_name,
    p.sales_count, p.sales_paused, p.published_at, billing.has_licence(p.id), billing.is_listing_seller(p.id), p.total
  from page p
  order by
    case when v_by_price then p.currency end,
    case p_sort when 'price_low' then p.price_minor when 'price_high' then -p.price_minor
      when 'popular' then -p.sales_count end,
    case when p_sort = 'relevance' then ts_rank(p.search, v_query) end desc nulls last,
    p.published_at desc, p.id;
end;
$$;

comment on function public.search_listings(text, text, text, text, integer, integer, text) is
  'What is published, a page of it: p_sort newest, popular, price_low, price_high (within a currency; without p_currency one '
  'currency after the other) or relevance. owned: the caller holds a licence; own: sells it; total: over all pages. Pictures are '
  'in listing_pictures. For everybody.';

revoke all on function public.search_listings(text, text, text, text, integer, integer, text)
  from public, anon, authenticated, service_role;
grant execute on function public.search_listings(text, text, text, text, integer, integer, text) to anon, authenticated;
