-- A renewal that could not be paid is not the end: what is open can be paid, or the licence cancelled, and what has ended is
-- for sale again. The library says which, and buying it a second time says so instead of "you have this".

alter table public.purchases
  add column open_invoice_url text,
  add column open_minor bigint check (open_minor > 0);

comment on column public.purchases.open_invoice_url is
  'Stripe''s page of the month that waits to be paid. One that is left when the subscription is over is written off by syncPurchase().';
comment on column public.purchases.open_minor is 'What that month still costs.';

create or replace function billing.store_purchase(p_purchase public.purchases, p_snapshot jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- A snapshot of a session that was replaced meanwhile says nothing about the one that is open now.
  v_session constant boolean := coalesce(p_snapshot ->> 'session_id' = p_purchase.checkout_session_id, true);
  v_subscription constant jsonb := nullif(p_snapshot -> 'subscription', 'null');
  v_status constant text := coalesce(v_subscription ->> 'status', p_purchase.subscription_status);
begin
  update public.purchases p set
    problem = null,
    session_status = case when v_session then coalesce(p_snapshot ->> 'session_status', p.session_status)
      else p.session_status end,
    payment_status = case when v_session then coalesce(p_snapshot ->> 'payment_status', p.payment_status)
      else p.payment_status end,
    payment_intent_id = coalesce(p_snapshot ->> 'payment_intent_id', p.payment_intent_id),
    charge_id = coalesce(p_snapshot ->> 'charge_id', p.charge_id),
    receipt_url = coalesce(p_snapshot ->> 'receipt_url', p.receipt_url),
    stripe_subscription_id = coalesce(v_subscription ->> 'id', p.stripe_subscription_id),
    subscription_status = v_status,
    current_period_end = coalesce((v_subscription ->> 'current_period_end')::timestamptz, p.current_period_end),
    cancel_at_period_end = coalesce((v_subscription ->> 'cancel_at_period_end')::boolean, p.cancel_at_period_end),
    cancel_at = case when v_subscription is null then p.cancel_at
      else (v_subscription ->> 'cancel_at')::timestamptz end,
    open_invoice_url = case when v_subscription is null then p.open_invoice_url
      else p_snapshot -> 'open_invoice' ->> 'url' end,
    open_minor = case when v_subscription is null then p.open_minor
      else (p_snapshot -> 'open_invoice' ->> 'amount_minor')::bigint end,
    past_due_since = case
      when v_status in ('active', 'trialing') then null
      when v_status in ('past_due', 'unpaid') then coalesce(p.past_due_since, now())
      else p.past_due_since
    end
  where p.id = p_purchase.id;
  if v_status is not null and not exists (select from billing.access_statuses a where a.status = v_status) then
    perform billing.report_problem(
      'unknown_status', p_purchase.id::text, jsonb_build_object('subscription_status', v_status)
    );
  end if;
  perform billing.store_charges(p_purchase, p_snapshot);
end;
$$;

create or replace function billing.purchase_due(p_purchase public.purchases) returns timestamptz
language sql stable
set search_path = ''
as $$
  select least(
    -- Waiting for a payment: the longer it takes, the more rarely we ask. Stripe gives up long before 60 days.
    case when p_purchase.status in ('open', 'processing', 'expired') and p_purchase.checkout_session_id is not null
        and coalesce(p_purchase.session_status, 'open') <> 'expired' and p_purchase.created_at > now() - interval '60 days'
      then now() + greatest(interval '4 minutes', (now() - p_purchase.created_at) / 10) end,
    case when p_purchase.status = 'open' and p_purchase.checkout_session_id is null
      then p_purchase.created_at + interval '25 hours' end,
    -- A month that is over, or a payment that is late; or nothing may be charged any more, and Stripe still would.
    case when p_purchase.kind = 'monthly' and p_purchase.stripe_subscription_id is not null
        and p_purchase.subscription_status not in ('canceled', 'incomplete_expired')
      then case when p_purchase.status in ('refunded', 'lost') then now() + interval '4 minutes'
        when p_purchase.past_due_since is not null then now() + interval '1 hour'
        else greatest(p_purchase.current_period_end, now() + interval '1 hour') end end,
    -- It is over, and a month that nobody has to pay any more can still be paid.
    case when p_purchase.open_invoice_url is not null
        and p_purchase.subscription_status in ('canceled', 'incomplete_expired')
      then now() + interval '4 minutes' end,
    case when exists (
      select from billing.purchase_disputes d left join billing.dispute_statuses s on s.status = d.status
      where d.purchase_id = p_purchase.id
        and (coalesce(s.effect, 'open') = 'open' or d.status in ('warning_needs_response', 'warning_under_review'))
    ) then now() + interval '1 hour' end,
    case when exists (
      select from billing.purchase_refunds r
      where r.purchase_id = p_purchase.id and r.status in ('pending', 'requires_action')
    ) then now() + interval '1 hour' end
  );
$$;

create or replace function billing.refuse_purchase(p_user_id uuid, p_listing public.listings, p_seller public.sellers)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_held text;
begin
  if p_listing.id is null or p_listing.status = 'draft' then
    perform billing.raise_http(404, 'listing_not_found', 'There is no such listing.');
  end if;
  select p.status into v_held from public.purchases p
  where p.buyer_id = p_user_id and p.listing_id = p_listing.id and p.holds and p.status <> 'open';
  if exists (
    select from public.licences l
    where l.user_id = p_user_id and l.listing_id = p_listing.id and l.status <> 'revoked'
      and (l.valid_until is null or l.valid_until > now())
  ) or v_held not in ('processing', 'past_due') then
    perform billing.raise_http(409, 'already_owned', 'You have bought this already.');
  end if;
  if v_held = 'past_due' then
    perform billing.raise_http(
      409, 'licence_unpaid', 'Its renewal could not be paid. Pay it or cancel it in your library.'
    );
  end if;
  if v_held = 'processing' then
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
  'Refuses what cannot be bought: 404 listing_not_found (a draft too: nobody learns of it), 409 already_owned, licence_unpaid '
  '(its renewal failed, and it is not cancelled), purchase_processing, own_listing, listing_not_available, seller_paused.';

-- Without the pictures, which are up to 150 kB each: listing_pictures has them.
drop function public.my_library();

create function public.my_library()
returns table (
  licence_id uuid, purchase_id uuid, listing_id uuid, reference text, title text, description text,
  category text, kind text, seller_name text, listing_status text, version integer, status text, reason text,
  valid_until timestamptz, purchase_status text, amount_minor bigint, refunded_minor bigint, currency text,
  receipt_url text, current_period_end timestamptz, cancel_at_period_end boolean, paid_at timestamptz,
  created_at timestamptz, copies bigint, open_invoice_url text, open_minor bigint
)
language sql stable
-- Definer: the listing of a licence that ended may be one its owner no longer reads. Only the caller's own purchases.
security definer
set search_path = ''
as $$
  select l.id, p.id, i.id, billing.purchase_reference(p.id), p.title, i.description, i.category, p.kind,
    i.seller_name, i.status, i.version,
    -- A licence that has ended by itself, before the next snapshot says so.
    case when l.status = 'active' and l.valid_until <= now() then 'revoked' else l.status end,
    case when l.status = 'active' and l.valid_until <= now()
      then (case when p.past_due_since is null then 'canceled' else 'payment_failed' end) else l.reason end,
    l.valid_until, p.status, p.amount_minor, p.refunded_minor, p.currency, p.receipt_url, p.current_period_end,
    p.cancel_at_period_end or p.cancel_at is not null, p.paid_at, p.created_at,
    (select count(*) from public.agents a where a.user_id = p.buyer_id and a.source_listing_id = i.id),
    o.url, o.minor
  from public.purchases p
  join public.listings i on i.id = p.listing_id
  left join public.licences l on l.purchase_id = p.id
  -- What is left when it is over need not be paid.
  left join lateral (
    select p.open_invoice_url as url, p.open_minor as minor where p.status = 'past_due'
  ) o on true
  where p.buyer_id = (select auth.uid()) and (l.id is not null or p.status = 'processing')
  order by p.created_at desc, p.id;
$$;

comment on function public.my_library() is
  'What the caller has bought, newest first; also what they paid for and is still being processed (licence_id null). status and '
  'reason are the licence''s, purchase_status the payment''s (past_due: the renewal failed; open_invoice_url is where the '
  'open_minor can be paid); amounts in minor units; copies: clones that exist. Pictures are in listing_pictures.';

revoke all on function public.my_library() from public, anon, authenticated, service_role;
grant execute on function public.my_library() to authenticated;
