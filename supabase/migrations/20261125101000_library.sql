-- What a buyer has: the library, copies of bought agents, and getting rid of them.

create function billing.purchase_reference(p_purchase_id uuid) returns text
language sql immutable
set search_path = ''
as $$
  select upper(left(md5(p_purchase_id::text), 8));
$$;

comment on function billing.purchase_reference(uuid) is
  'A short name for a purchase that buyer, creator and support may say to each other; it leads to nobody.';

create function public.my_library()
returns table (
  licence_id uuid, purchase_id uuid, listing_id uuid, reference text, title text, description text, picture text,
  category text, kind text, seller_name text, listing_status text, version integer, status text, reason text,
  valid_until timestamptz, purchase_status text, amount_minor bigint, refunded_minor bigint, currency text,
  receipt_url text, current_period_end timestamptz, cancel_at_period_end boolean, paid_at timestamptz,
  created_at timestamptz, copies bigint
)
language sql stable
-- Definer: the listing of a licence that ended may be one its owner no longer reads. Only the caller's own purchases.
security definer
set search_path = ''
as $$
  select l.id, p.id, i.id, billing.purchase_reference(p.id), p.title, i.description, c.data, i.category, p.kind,
    i.seller_name, i.status, i.version,
    -- A licence that has ended by itself, before the next snapshot says so.
    case when l.status = 'active' and l.valid_until <= now() then 'revoked' else l.status end,
    case when l.status = 'active' and l.valid_until <= now()
      then (case when p.past_due_since is null then 'canceled' else 'payment_failed' end) else l.reason end,
    l.valid_until, p.status, p.amount_minor, p.refunded_minor, p.currency, p.receipt_url, p.current_period_end,
    p.cancel_at_period_end or p.cancel_at is not null, p.paid_at, p.created_at,
    (select count(*) from public.agents a where a.user_id = p.buyer_id and a.source_listing_id = i.id)
  from public.purchases p
  join public.listings i on i.id = p.listing_id
  left join public.licences l on l.purchase_id = p.id
  left join public.listing_pictures c on c.listing_id = i.id
  where p.buyer_id = (select auth.uid()) and (l.id is not null or p.status = 'processing')
  order by p.created_at desc, p.id;
$$;

comment on function public.my_library() is
  'What the caller has bought, newest first; also what they paid for and is still being processed (licence_id null). status and '
  'reason are the licence''s, purchase_status the payment''s; amounts in minor units; copies: clones that exist.';

create function public.clone_listing(p_listing_id uuid) returns public.agents
language plpgsql
-- Definer: a client does not set source_listing_id. For the caller, and only with a licence.
security definer
set search_path = ''
as $$
declare
  v_agent public.agents;
begin
  if not billing.has_licence(p_listing_id) then
    perform billing.raise_http(403, 'licence_required', 'You have no licence for this.');
  end if;
  insert into public.agents (user_id, name, instructions, source_listing_id)
  select auth.uid(), d.name, d.instructions, d.listing_id
  from public.listing_definitions d where d.listing_id = p_listing_id
  returning * into v_agent;
  if v_agent.id is null then
    perform billing.raise_http(409, 'nothing_to_clone', 'There is no agent in this.');
  end if;
  return v_agent;
end;
$$;

comment on function public.clone_listing(uuid) is
  'Makes an agent of the caller''s own from a bought one, and answers it. It takes a place of the agent limit. 403 '
  'licence_required, 403 agent_limit_reached, 409 nothing_to_clone (an add-on).';

create function public.discard_copies(p_listing_id uuid) returns bigint
language plpgsql
-- Definer: copies whose licence ended are hidden from their owner, and take up places. Only the caller's own.
security definer
set search_path = ''
as $$
declare
  v_count bigint;
begin
  delete from public.agents a where a.user_id = auth.uid() and a.source_listing_id = p_listing_id;
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;

comment on function public.discard_copies(uuid) is
  'Deletes the caller''s clones of a listing, also those they cannot see any more, and says how many there were.';

revoke all on function billing.purchase_reference(uuid), public.my_library(), public.clone_listing(uuid),
  public.discard_copies(uuid) from public, anon, authenticated, service_role;
grant execute on function public.my_library(), public.clone_listing(uuid), public.discard_copies(uuid) to authenticated;
