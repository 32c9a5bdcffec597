-- Credit packs are purchases too, of the house: their money is in the ledger like that of any sale, by the same snapshots.
--
-- What they give is not ours: the credit is a grant at Stripe, made and taken back by the functions. So there is no licence,
-- and the same pack may be bought as often as somebody likes.

alter table public.purchases
  alter column listing_id drop not null,
  -- No foreign key: the row says what was sold, also when the pack is no more.
  add column credit_pack text check (credit_pack ~ '^[a-z][a-z0-9_]*$'),
  add column credit_minor bigint check (credit_minor > 0),
  add constraint purchases_subject_check check ((listing_id is null) = (credit_pack is not null)),
  add constraint purchases_credit_check check (
    (credit_pack is null) = (credit_minor is null)
    and (credit_pack is null or (seller_id is null and kind = 'one_time'))
  );

-- Two tabs, or two hundred: one unfinished purchase of a pack.
create unique index purchases_credit_pack_buyer_id_idx on public.purchases (credit_pack, buyer_id)
  where holds and credit_pack is not null;

comment on table public.purchases is
  'Purchases of listings, and of credit packs of the house. The row outlives its buyer (without a name) and its seller. A '
  'seller never reads it: the buyer stands in it; see public.my_sales().';
comment on column public.purchases.credit_pack is
  'Lookup key of the credit pack that was sold, instead of a listing. The credit itself is a grant at Stripe.';
comment on column public.purchases.credit_minor is 'The credit that was promised, in the currency of the purchase.';
comment on column public.purchases.holds is
  'Unfinished or alive: no other purchase of this listing by this buyer may begin. Of a credit pack: unfinished.';

grant select (credit_pack, credit_minor) on public.purchases to authenticated;

create or replace function billing.purchase_terms(p_purchase public.purchases) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'purchase_id', p_purchase.id,
    'status', p_purchase.status,
    'attempt', p_purchase.attempt,
    'listing_id', p_purchase.listing_id,
    'credit_pack', p_purchase.credit_pack,
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

comment on function public.purchase_terms(uuid) is
  '{purchase_id, status, attempt, listing_id, credit_pack, seller_id, buyer_id, customer, title, kind, amount_minor, currency, '
  'fee_minor, fee_bps, destination, session_id, payment_intent_id, charge_id, subscription_id, created_at}; null when there '
  'is none.';

create function billing.credit_offer(p_lookup_key text, p_currency text)
returns table (title text, price_minor bigint, credit_minor bigint)
language plpgsql stable
set search_path = ''
as $$
declare
  v_pack public.credit_packs;
begin
  select * into v_pack from public.credit_packs p where p.lookup_key = p_lookup_key and p.is_active;
  if not found then
    perform billing.raise_http(404, 'price_not_found', 'There is no such price.');
  end if;
  return query
  select v_pack.name, v_pack.price_minor, v_pack.credit_minor where v_pack.currency = p_currency
  union all
  select v_pack.name, o.price_minor, o.credit_minor from public.credit_pack_currency_options o
  where o.lookup_key = p_lookup_key and o.currency = p_currency
  limit 1;
  if not found then
    perform billing.raise_http(409, 'currency_mismatch', 'This credit is not sold in this currency.');
  end if;
end;
$$;

comment on function billing.credit_offer(text, text) is
  'What a pack is called, costs and holds in a currency. 404 price_not_found, 409 currency_mismatch.';

create function public.begin_credit_purchase(p_user_id uuid, p_lookup_key text, p_currency text) returns jsonb
language plpgsql
-- Definer: see public.begin_purchase().
security definer
set search_path = ''
as $$
declare
  v_offer record;
  v_purchase public.purchases;
  v_stale text;
begin
  perform billing.require(
    p_user_id is not null and p_lookup_key is not null and p_currency is not null,
    'p_user_id, p_lookup_key or p_currency is missing'
  );
  perform billing.lock_person(p_user_id);
  select * into strict v_offer from billing.credit_offer(p_lookup_key, p_currency);
  select * into v_purchase from public.purchases p
  where p.buyer_id = p_user_id and p.credit_pack = p_lookup_key and p.holds for no key update;
  if found and (v_purchase.amount_minor, v_purchase.currency, v_purchase.credit_minor)
    is distinct from (v_offer.price_minor, p_currency, v_offer.credit_minor) then
    -- See public.begin_purchase().
    v_stale := v_purchase.checkout_session_id;
    update public.purchases p
    set status = 'expired', holds = false, due_at = case when v_stale is not null then p.due_at end
    where p.id = v_purchase.id;
    v_purchase := null;
  end if;
  if v_purchase.id is null then
    insert into public.purchases (
      buyer_id, credit_pack, credit_minor, kind, title, amount_minor, currency, fee_bps, fee_minor, stripe_customer_id
    )
    values (
      p_user_id, p_lookup_key, v_offer.credit_minor, 'one_time', v_offer.title, v_offer.price_minor, p_currency, 0, 0,
      (select c.stripe_customer_id from public.customers c where c.user_id = p_user_id)
    )
    returning * into v_purchase;
  end if;
  return billing.purchase_terms(v_purchase) || jsonb_build_object('stale_session_id', v_stale);
end;
$$;

comment on function public.begin_credit_purchase(uuid, text, text) is
  'The purchase of a credit pack by a user in a currency, at the price of this moment: an unfinished one again if it is the '
  'same offer, else a new one. Answers purchase_terms() and stale_session_id, the session of another offer. Errors: see '
  'billing.credit_offer().';

create function billing.note_credit_state(p_purchase public.purchases, p_status text, p_refunded_minor bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Once for each change: a problem that an operator has resolved does not come back with the next snapshot.
  if p_status = 'partially_refunded' and p_refunded_minor <> p_purchase.refunded_minor then
    perform billing.report_problem('credit_partly_refunded', p_purchase.id::text, jsonb_build_object(
      'refunded_minor', p_refunded_minor, 'amount_minor', p_purchase.amount_minor, 'currency', p_purchase.currency,
      'session', p_purchase.checkout_session_id
    ));
  elsif p_purchase.status = 'disputed' and p_status in ('paid', 'partially_refunded') then
    perform billing.report_problem('credit_dispute_won', p_purchase.id::text, jsonb_build_object(
      'credit_minor', p_purchase.credit_minor, 'currency', p_purchase.currency, 'session', p_purchase.checkout_session_id
    ));
  elsif p_status in ('refunded', 'lost') then
    update billing.problems b set resolved_at = now()
    where b.kind in ('credit_partly_refunded', 'credit_dispute_won') and b.subject = p_purchase.id::text
      and b.resolved_at is null;
  end if;
end;
$$;

comment on function billing.note_credit_state(public.purchases, text, bigint) is
  'Tells an operator what nobody decides about credit by itself: a partial refund takes none of it back, and a dispute that was '
  'won gives back only what had not been used.';

create or replace function billing.refresh_licence(p_purchase_id uuid) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_purchase public.purchases;
  v_state record;
  v_stale text;
begin
  select * into strict v_purchase from public.purchases p where p.id = p_purchase_id for no key update;
  select * into v_state from billing.purchase_state(v_purchase);
  if v_purchase.problem is not null then
    v_state.licence := case when v_state.licence is not null then 'revoked' end;
    v_state.reason := coalesce(v_state.reason, 'payment_failed');
  end if;
  if v_purchase.credit_pack is not null then
    -- Nothing to hold and nothing to own: it may be bought again as soon as it is paid.
    v_state.holds := v_purchase.holds and v_state.status = 'open';
    v_state.licence := null;
    perform billing.note_credit_state(v_purchase, v_state.status, v_state.refunded_minor);
  elsif v_state.holds and not v_purchase.holds then
    select h.holds, h.stale_session_id into v_state.holds, v_stale from billing.take_hold(v_purchase) h;
  end if;
  update public.purchases p set
    status = v_state.status, holds = v_state.holds, refunded_minor = v_state.refunded_minor,
    paid_at = coalesce(p.paid_at, v_state.paid_at)
  where p.id = p_purchase_id;
  update public.purchases p set due_at = billing.purchase_due(p) where p.id = p_purchase_id;
  if v_purchase.paid_at is null and v_state.paid_at is not null then
    update public.listings l set sales_count = l.sales_count + 1 where l.id = v_purchase.listing_id;
  end if;
  perform billing.write_licence(v_purchase, v_state.licence, v_state.reason, v_state.valid_until);
  return jsonb_build_object(
    'status', v_state.status, 'licence', v_state.licence, 'stale_session_id', v_stale
  );
end;
$$;

comment on function billing.refresh_licence(uuid) is
  'Derives status and licence of a purchase: {status, licence, stale_session_id}; of a credit pack there is no licence. The '
  'caller holds billing.lock_person().';

revoke all on function billing.credit_offer(text, text), public.begin_credit_purchase(uuid, text, text),
  billing.note_credit_state(public.purchases, text, bigint)
  from public, anon, authenticated, service_role;
grant execute on function public.begin_credit_purchase(uuid, text, text) to service_role;
