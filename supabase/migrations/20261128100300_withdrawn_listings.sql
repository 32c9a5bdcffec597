-- A Checkout that was opened before its listing was withdrawn is closed by the clock, within minutes. Who pays in between has
-- bought it: they were offered it, and what was published is still there.
--
-- The withdrawal itself locks only the listing: a snapshot goes the other way, from the purchase to the listing.

create or replace function public.due_purchases(p_limit integer) returns setof uuid
language plpgsql
-- Definer: see public.begin_purchase().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  -- One that never got a session cannot be paid.
  update public.purchases p set status = 'expired', holds = false, due_at = null
  where p.due_at <= now() and p.status = 'open' and p.checkout_session_id is null
    and p.created_at < now() - interval '25 hours';
  -- Given up: syncPurchase() closes the session of such a one. Every open purchase is due at some time.
  update public.purchases p set status = 'expired', holds = false, due_at = now()
  where p.id in (
    select o.id from public.purchases o join public.listings l on l.id = o.listing_id
    where o.due_at is not null and o.status = 'open' and o.checkout_session_id is not null and l.status = 'withdrawn'
    for no key update of o skip locked
  );
  return query
  update public.purchases p set due_at = now() + interval '4 minutes'
  where p.id in (
    select d.id from public.purchases d
    where d.due_at <= now() and not (d.status = 'open' and d.checkout_session_id is null)
    order by d.due_at limit p_limit
    for no key update skip locked
  )
  returning p.id;
end;
$$;

comment on function public.due_purchases(integer) is
  'Purchases to look at again because an event may have been lost: unsettled, renewing, disputed, being refunded; and those whose '
  'listing was withdrawn before they were paid, whose session is to be closed. Each at most once in four minutes.';
