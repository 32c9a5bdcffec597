-- What creators see: sales without buyers, earnings, payouts; and how Stripe's truth about their account gets in.

create function billing.seller_status(p_seller public.sellers, p_snapshot jsonb) returns text
language sql immutable
set search_path = ''
as $$
  -- An allow-list: whatever else Stripe calls it, nothing is sold.
  select case
    when (p_snapshot ->> 'closed')::boolean or p_seller.user_id is null then 'closed'
    when p_snapshot ->> 'transfers_status' = 'active' then 'active'
    when p_seller.activated_at is not null then 'paused'
    else 'onboarding'
  end;
$$;

comment on function billing.seller_status(public.sellers, jsonb) is 'What a snapshot of the account makes of a seller.';

create function billing.paused_reason(p_status text, p_snapshot jsonb) returns text
language sql immutable
set search_path = ''
as $$
  select case
    when p_status = 'active' then null
    when p_status = 'closed' then 'The account at Stripe is closed.'
    when jsonb_array_length(coalesce(p_snapshot -> 'requirements', '[]')) > 0 then
      'Stripe needs to know more before money can be sent to this account.'
    when p_snapshot ->> 'transfers_status' = 'pending' then 'Stripe is checking what was entered.'
    when p_status = 'onboarding' then 'Onboarding with Stripe is not finished.'
    else 'Stripe does not allow transfers to this account at the moment.'
  end;
$$;

comment on function billing.paused_reason(text, jsonb) is 'In plain words why a creator cannot sell; null when they can.';

create function billing.store_payouts(p_seller public.sellers, p_payouts jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.payouts as o (id, seller_id, amount_minor, currency, status, created_at, arrival_date)
  select e.id, p_seller.id, e.amount_minor, e.currency, e.status, e.created, e.arrival_date::date
  from jsonb_to_recordset(p_payouts) e (
    id text, amount_minor bigint, currency text, status text, created timestamptz, arrival_date timestamptz
  )
  on conflict (id) do update set status = excluded.status, arrival_date = excluded.arrival_date;
  perform billing.post_facts(coalesce(jsonb_agg(f.fact), '[]'), null, p_seller.id, null)
  from (
    select jsonb_build_object(
      'source', e.value ->> 'id' || k.suffix, 'kind', k.kind, 'amount_minor', e.value -> 'amount_minor',
      'currency', e.value ->> 'currency', 'occurred_at', e.value ->> 'created'
    ) as fact
    from jsonb_array_elements(p_payouts) e
    join (values ('', 'payout'), (':failed', 'payout_failed')) k (suffix, kind)
      on k.suffix = '' or e.value ->> 'status' in ('failed', 'canceled')
  ) f;
end;
$$;

comment on function billing.store_payouts(public.sellers, jsonb) is
  'Keeps the payouts of an account and posts them; one that failed or was canceled came back.';

create function public.apply_seller_snapshot(p_account text, p_token bigint, p_snapshot jsonb) returns jsonb
language plpgsql
-- Definer: the secret key has no write access to any of these tables, only this.
security definer
set search_path = ''
as $$
declare
  v_seller public.sellers;
  v_applied boolean;
  v_status text;
begin
  perform billing.check_purchase_snapshot(p_token, p_snapshot);
  select * into v_seller from public.sellers s where s.stripe_account_id = p_account for no key update;
  if not found then
    perform billing.report_problem('unknown_account', p_account);
    return jsonb_build_object('applied', false, 'status', null, 'reason', 'unknown_account');
  end if;
  v_applied := v_seller.applied_token < p_token;
  perform billing.store_payouts(v_seller, coalesce(nullif(p_snapshot -> 'payouts', 'null'), '[]'));
  if v_applied then
    v_status := billing.seller_status(v_seller, p_snapshot);
    update public.sellers s set
      applied_token = p_token, status = v_status, paused_reason = billing.paused_reason(v_status, p_snapshot),
      requirements = array(
        select jsonb_array_elements_text(coalesce(nullif(p_snapshot -> 'requirements', 'null'), '[]'))
      ),
      display_name = coalesce(nullif(left(trim(p_snapshot ->> 'display_name'), 100), ''), s.display_name)
    where s.id = v_seller.id
    returning * into v_seller;
    perform billing.settle_account_events(p_account, p_token);
  end if;
  return jsonb_build_object(
    'applied', v_applied, 'seller_id', v_seller.id, 'status', v_seller.status, 'reason', v_seller.paused_reason
  );
end;
$$;

comment on function public.apply_seller_snapshot(text, bigint, jsonb) is
  'Makes a seller what a snapshot of the account, fetched after p_token was taken, says: {transfers_status, closed, '
  'requirements, display_name?, payouts: [{id, amount_minor, currency, status, created, arrival_date}]}. Payouts are posted '
  'whatever the token. Answers {applied, seller_id, status, reason}.';

create function billing.creator_sums(p_seller_id uuid)
returns table (currency text, balance_minor bigint, earned_minor bigint, paid_out_minor bigint, sales bigint)
language sql stable
set search_path = ''
as $$
  select a.currency,
    coalesce(sum(e.amount_minor), 0)::bigint,
    coalesce(sum(e.amount_minor) filter (where t.kind not in ('payout', 'payout_failed')), 0)::bigint,
    -coalesce(sum(e.amount_minor) filter (where t.kind in ('payout', 'payout_failed')), 0)::bigint,
    count(distinct t.charge_id) filter (where t.kind = 'transfer')
  from billing.ledger_accounts a
  left join billing.ledger_entries e on e.account_id = a.id
  left join billing.ledger_transactions t on t.id = e.transaction_id
  where a.seller_id = p_seller_id and a.kind = 'creator'
  group by a.currency;
$$;

comment on function billing.creator_sums(uuid) is
  'Per currency: the balance of the connected account, what was earned after fees, refunds and disputes, what was paid out, '
  'and the number of payments.';

create function public.my_seller() returns jsonb
language sql stable
-- Definer: a creator reads sums of the ledger, of their own row only, and not the ledger.
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'id', s.id, 'status', s.status, 'paused_reason', s.paused_reason, 'requirements', to_jsonb(s.requirements),
    'display_name', s.display_name, 'country', s.country, 'fee_bps', billing.fee_bps(s.id),
    'currencies', coalesce(
      (select jsonb_agg(to_jsonb(c) order by c.currency) from billing.creator_sums(s.id) c), '[]'
    )
  )
  from public.sellers s where s.user_id = auth.uid();
$$;

comment on function public.my_seller() is
  'The creator the caller is: {id, status, paused_reason, requirements, display_name, country, fee_bps, currencies: [{currency, '
  'balance_minor, earned_minor, paid_out_minor, sales}]}, or null. A balance below zero is taken from later sales.';

create function billing.check_range(p_from date, p_to date) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Infinite dates cannot be subtracted.
  if p_from is null or p_to is null or not isfinite(p_from) or not isfinite(p_to) or p_to < p_from
    or p_to - p_from > 400
  then
    perform billing.raise_http(422, 'invalid_range', 'The range must be from a day to a later one, 400 days at most.');
  end if;
end;
$$;

comment on function billing.check_range(date, date) is 'Refuses more than 400 days: 422 invalid_range.';

create function public.my_sales(p_from date, p_to date)
returns table (
  day date, listing_id uuid, title text, reference text, amount_minor bigint, fee_minor bigint, earned_minor bigint,
  currency text, status text
)
language plpgsql stable
-- Definer: the purchases themselves name the buyers. Of the caller's own sales, and nothing that leads to a buyer.
security definer
set search_path = ''
as $$
begin
  perform billing.check_range(p_from, p_to);
  return query
  select (c.created_at at time zone 'UTC')::date, p.listing_id, p.title, billing.purchase_reference(p.id), c.amount_minor,
    coalesce(m.fee, 0)::bigint, coalesce(m.earned, 0)::bigint, p.currency, s.state
  from public.purchases p
  join billing.purchase_charges c on c.purchase_id = p.id and c.status = 'succeeded'
  cross join lateral billing.charge_state(c.id) s
  left join lateral (
    select -sum(e.amount_minor) filter (where t.kind in ('application_fee', 'fee_refund')) as fee,
      sum(e.amount_minor) as earned
    from billing.ledger_transactions t
    join billing.ledger_entries e on e.transaction_id = t.id
    join billing.ledger_accounts a on a.id = e.account_id and a.kind = 'creator'
    where t.charge_id = c.id and t.purchase_id = p.id
  ) m on true
  where p.seller_id = billing.my_seller_id()
    and c.created_at >= p_from::timestamp at time zone 'UTC'
    and c.created_at < (p_to + 1)::timestamp at time zone 'UTC'
  order by c.created_at desc, c.id;
end;
$$;

comment on function public.my_sales(date, date) is
  'Payments for the caller''s listings in a range of UTC days, newest first: amount, fee kept by the platform (less what was '
  'given back), earned after refunds and disputes, in minor units; status paid, partially_refunded, refunded, disputed or '
  'lost. The reference is what the buyer sees as well. 422 invalid_range.';

create function public.my_earnings(p_from date, p_to date, p_currency text)
returns table (day date, sales bigint, gross_minor bigint, earned_minor bigint)
language plpgsql stable
-- Definer: see public.my_seller().
security definer
set search_path = ''
as $$
begin
  perform billing.check_range(p_from, p_to);
  return query
  select (t.occurred_at at time zone 'UTC')::date, count(*) filter (where t.kind = 'transfer'),
    coalesce(sum(e.amount_minor) filter (where t.kind = 'transfer'), 0)::bigint, sum(e.amount_minor)::bigint
  from billing.ledger_transactions t
  join billing.ledger_entries e on e.transaction_id = t.id
  join billing.ledger_accounts a on a.id = e.account_id and a.kind = 'creator'
  where t.seller_id = billing.my_seller_id() and t.currency = p_currency
    and t.kind not in ('payout', 'payout_failed')
    and t.occurred_at >= p_from::timestamp at time zone 'UTC'
    and t.occurred_at < (p_to + 1)::timestamp at time zone 'UTC'
  group by 1 order by 1;
end;
$$;

comment on function public.my_earnings(date, date, text) is
  'Per UTC day that has any: payments, what they came to, and what the caller earned that day after fees, refunds and disputes '
  '(may be negative), in minor units. 422 invalid_range.';

create function public.my_payouts()
returns table (id text, amount_minor bigint, currency text, status text, created_at timestamptz, arrival_date date)
language sql stable
-- Definer: see public.my_seller().
security definer
set search_path = ''
as $$
  select o.id, o.amount_minor, o.currency, o.status, o.created_at, o.arrival_date
  from billing.payouts o where o.seller_id = billing.my_seller_id()
  order by o.created_at desc, o.id limit 200;
$$;

comment on function public.my_payouts() is 'The caller''s payouts to their bank, newest first, 200 at most.';

revoke all on function billing.seller_status(public.sellers, jsonb), billing.paused_reason(text, jsonb),
  billing.store_payouts(public.sellers, jsonb), public.apply_seller_snapshot(text, bigint, jsonb),
  billing.creator_sums(uuid), public.my_seller(), billing.check_range(date, date), public.my_sales(date, date),
  public.my_earnings(date, date, text), public.my_payouts()
  from public, anon, authenticated, service_role;
grant execute on function public.apply_seller_snapshot(text, bigint, jsonb) to service_role;
grant execute on function public.my_seller(), public.my_sales(date, date), public.my_earnings(date, date, text),
  public.my_payouts() to authenticated;
