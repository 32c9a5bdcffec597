-- Beginning a purchase. Everything that can race is decided here, under the lock of the buyer: two tabs end up with one
-- purchase, and of one purchase with one Checkout session.
--
-- Locks go: person, seller, listing, purchase, ledger.

create function billing.refuse_purchase(p_user_id uuid, p_listing public.listings, p_seller public.sellers) returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_listing.id is null or p_listing.status = 'draft' then
    perform billing.raise_http(404, 'listing_not_found', 'There is no such listing.');
  end if;
  if exists (
    select from public.licences l
    where l.user_id = p_user_id and l.listing_id = p_listing.id and l.status <> 'revoked'
      and (l.valid_until is null or l.valid_until > now())
  ) or exists (
    select from public.purchases p
    where p.buyer_id = p_user_id and p.listing_id = p_listing.id and p.holds and p.status not in ('open', 'processing')
  ) then
    perform billing.raise_http(409, 'already_owned', 'You have bought this already.');
  end if;
  if exists (
    select from public.purchases p
    where p.buyer_id = p_user_id and p.listing_id = p_listing.id and p.holds and p.status = 'processing'
  ) then
    perform billing.raise_http(409, 'purchase_processing', 'Your payment for this is still being processed.');
  end if;
  if p_seller.user_id = p_user_id then
    perform billing.raise_http(409, 'own_listing', 'This is your own listing.');
  end if;
  if p_listing.status <> 'published' then
    perform billing.raise_http(409, 'listing_not_available', 'This is not for sale any more.');
  end if;
  if p_listing.seller_id is not null and (p_seller.status <> 'active' or p_seller.stripe_account_id is null) then
    perform billing.raise_http(
      409, 'seller_paused', 'The creator cannot sell at the moment.',
      jsonb_build_object('reason', coalesce(p_seller.paused_reason, 'Onboarding with Stripe is not finished.'))::text
    );
  end if;
end;
$$;

comment on function billing.refuse_purchase(uuid, public.listings, public.sellers) is
  'Refuses what cannot be bought: 404 listing_not_found (a draft too: nobody learns of it), 409 already_owned, '
  'purchase_processing, own_listing, listing_not_available, seller_paused.';

create function billing.purchase_terms(p_purchase public.purchases) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'purchase_id', p_purchase.id,
    'status', p_purchase.status,
    'attempt', p_purchase.attempt,
    'listing_id', p_purchase.listing_id,
    'seller_id', p_purchase.seller_id,
    'buyer_id', p_purchase.buyer_id,
    'customer', p_purchase.stripe_customer_id,
    'title', p_purchase.title,
    'kind', p_purchase.kind,
    'amount_minor', p_purchase.amount_minor,
    'currency', p_purchase.currency,
    'fee_minor', p_purchase.fee_minor,
    'fee_bps', p_purchase.fee_bps,
    'destination', (select s.stripe_account_id from public.sellers s where s.id = p_purchase.seller_id),
    'session_id', p_purchase.checkout_session_id,
    'payment_intent_id', p_purchase.payment_intent_id,
    'charge_id', p_purchase.charge_id,
    'subscription_id', p_purchase.stripe_subscription_id,
    'created_at', p_purchase.created_at
  );
$$;

comment on function billing.purchase_terms(public.purchases) is 'A purchase as the functions need it.';

create function public.begin_purchase(p_user_id uuid, p_listing_id uuid) returns jsonb
language plpgsql
-- Definer: the secret key has no write access to the table, only this.
security definer
set search_path = ''
as $$
declare
  v_listing public.listings;
  v_seller public.sellers;
  v_purchase public.purchases;
  v_fee_bps integer;
  v_fee bigint;
  v_stale text;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.lock_person(p_user_id);
  select s.* into v_seller from public.sellers s
  where s.id = (select l.seller_id from public.listings l where l.id = p_listing_id) for share;
  select * into v_listing from public.listings l where l.id = p_listing_id for share;
  perform billing.refuse_purchase(p_user_id, v_listing, v_seller);
  v_fee_bps := case when v_listing.seller_id is null then 0 else billing.fee_bps(v_listing.seller_id) end;
  v_fee := round(v_listing.price_minor * v_fee_bps / 10000.0);
  select * into v_purchase from public.purchases p
  where p.buyer_id = p_user_id and p.listing_id = p_listing_id and p.holds for no key update;
  if found and (v_purchase.amount_minor, v_purchase.currency, v_purchase.kind, v_purchase.fee_minor)
    is distinct from (v_listing.price_minor, v_listing.currency, v_listing.kind, v_fee) then
    -- What was asked for before has another price: that one is over, and its session with it.
    v_stale := v_purchase.checkout_session_id;
    update public.purchases p
    set status = 'expired', holds = false, due_at = case when v_stale is not null then p.due_at end
    where p.id = v_purchase.id;
    v_purchase := null;
  end if;
  if v_purchase.id is null then
    insert into public.purchases (
      buyer_id, listing_id, seller_id, kind, title, amount_minor, currency, fee_bps, fee_minor, stripe_customer_id
    )
    values (
      p_user_id, p_listing_id, v_listing.seller_id, v_listing.kind, v_listing.title, v_listing.price_minor,
      v_listing.currency, v_fee_bps, v_fee,
      (select c.stripe_customer_id from public.customers c where c.user_id = p_user_id)
    )
    returning * into v_purchase;
  end if;
  return billing.purchase_terms(v_purchase) || jsonb_build_object('stale_session_id', v_stale);
end;
$$;

comment on function public.begin_purchase(uuid, uuid) is
  'The purchase of a listing by a user at the price of this moment: an unfinished one again if it has the same price, else a '
  'new one. Answers purchase_terms() and stale_session_id, the session of one that had another price. Errors: see '
  'billing.refuse_purchase().';

create function public.note_purchase_session(p_purchase_id uuid, p_attempt integer, p_session_id text) returns text
language plpgsql
-- Definer: see public.begin_purchase().
security definer
set search_path = ''
as $$
declare
  v_session text;
begin
  perform billing.require(p_session_id ~ '^cs_\w+$', 'p_session_id is not a session id');
  update public.purchases p set
    checkout_session_id = coalesce(p.checkout_session_id, p_session_id),
    stripe_customer_id = (select c.stripe_customer_id from public.customers c where c.user_id = p.buyer_id)
  where p.id = p_purchase_id and p.attempt = p_attempt and p.status = 'open'
  returning p.checkout_session_id into v_session;
  return v_session;
end;
$$;

comment on function public.note_purchase_session(uuid, integer, text) is
  'Binds the Checkout session of an attempt and returns the one that is bound, the first; null when the attempt is over.';

create function public.end_purchase_attempt(p_purchase_id uuid, p_attempt integer) returns integer
language plpgsql
-- Definer: see public.begin_purchase().
security definer
set search_path = ''
as $$
declare
  v_attempt integer;
begin
  update public.purchases p
  set attempt = p.attempt + 1, checkout_session_id = null, session_status = null, payment_status = null
  where p.id = p_purchase_id and p.attempt = p_attempt and p.status = 'open';
  select p.attempt into v_attempt from public.purchases p where p.id = p_purchase_id;
  return v_attempt;
end;
$$;

comment on function public.end_purchase_attempt(uuid, integer) is
  'The session of this attempt is spent: the purchase goes on with the next, whose number is returned. Again does nothing.';

create function public.find_purchase(
  p_purchase_id uuid default null, p_session text default null, p_payment_intent text default null,
  p_charge text default null, p_subscription text default null
) returns uuid
language sql stable
-- Definer: see public.begin_purchase().
security definer
set search_path = ''
as $$
  select coalesce(
    (select p.id from public.purchases p where p.checkout_session_id = p_session),
    (select p.id from public.purchases p where p.payment_intent_id = p_payment_intent),
    (select p.id from public.purchases p where p.stripe_subscription_id = p_subscription),
    (select c.purchase_id from billing.purchase_charges c where c.id = p_charge),
    (select p.id from public.purchases p where p.charge_id = p_charge limit 1),
    (select p.id from public.purchases p where p.id = p_purchase_id)
  );
$$;

comment on function public.find_purchase(uuid, text, text, text, text) is
  'The purchase that something of Stripe belongs to: by what we bound first, by the hint p_purchase_id last. Null: not ours.';

create function public.purchase_terms(p_purchase_id uuid) returns jsonb
language sql stable
-- Definer: see public.begin_purchase().
security definer
set search_path = ''
as $$
  select billing.purchase_terms(p) from public.purchases p where p.id = p_purchase_id;
$$;

comment on function public.purchase_terms(uuid) is
  '{purchase_id, status, attempt, listing_id, seller_id, buyer_id, customer, title, kind, amount_minor, currency, fee_minor, '
  'fee_bps, destination, session_id, payment_intent_id, charge_id, subscription_id, created_at}; null when there is none.';

create function public.unsettled_purchases(p_user_id uuid) returns setof uuid
language sql stable
-- Definer: see public.begin_purchase().
security definer
set search_path = ''
as $$
  select p.id from public.purchases p
  where p.buyer_id = p_user_id and p.status in ('open', 'processing') and p.checkout_session_id is not null
  order by p.created_at desc limit 20;
$$;

comment on function public.unsettled_purchases(uuid) is 'Purchases of a user whose payment may have come about meanwhile.';

create function public.due_purchases(p_limit integer) returns setof uuid
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
  'Purchases to look at again because an event may have been lost: unsettled, renewing, disputed, being refunded. Each at most '
  'once in four minutes.';

revoke all on function billing.refuse_purchase(uuid, public.listings, public.sellers), public.begin_purchase(uuid, uuid),
  billing.purchase_terms(public.purchases), public.note_purchase_session(uuid, integer, text),
  public.end_purchase_attempt(uuid, integer), public.find_purchase(uuid, text, text, text, text),
  public.purchase_terms(uuid), public.unsettled_purchases(uuid), public.due_purchases(integer)
  from public, anon, authenticated, service_role;
grant execute on function public.begin_purchase(uuid, uuid), public.note_purchase_session(uuid, integer, text),
  public.end_purchase_attempt(uuid, integer), public.find_purchase(uuid, text, text, text, text),
  public.purchase_terms(uuid), public.unsettled_purchases(uuid), public.due_purchases(integer) to service_role;
