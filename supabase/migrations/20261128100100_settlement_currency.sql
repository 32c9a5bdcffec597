-- A sale is posted in the currency it was priced in. Stripe may settle it in another one (a platform without a bank account in
-- that currency): then charge, transfer and fee are amounts of different currencies, and entries of one currency each would
-- sum to zero and mean nothing. Such a sale is not posted at all, and an operator is told; the licence does not depend on it.

create or replace function billing.refuse_fact(p_fact jsonb, p_purchase_id uuid, p_seller_id uuid) returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_kind constant text := p_fact ->> 'kind';
  v_amount constant bigint := (p_fact ->> 'amount_minor')::bigint;
  v_fee constant bigint := coalesce((p_fact ->> 'fee_minor')::bigint, 0);
  v_account constant text := p_fact ->> 'seller_account';
  v_currency constant text := (select p.currency from public.purchases p where p.id = p_purchase_id);
  v_posted billing.ledger_transactions;
begin
  if (select count(*) from billing.postings(v_kind, v_amount, v_fee)) < 2 or p_fact ->> 'occurred_at' is null
    or (v_kind not in ('dispute', 'payout', 'payout_failed') and (v_amount < 0 or v_fee < 0)) then
    return 'ledger_not_understood';
  end if;
  if v_currency <> p_fact ->> 'currency' or v_currency <> p_fact ->> 'settlement_currency' then
    return 'ledger_currency';
  end if;
  if v_account is not null and not exists (
    select from public.sellers s where s.id = p_seller_id and s.stripe_account_id = v_account
  ) or (p_seller_id is null and exists (
    select from billing.postings(v_kind, v_amount, v_fee) e where e.account_kind like 'creator%'
  )) then
    return 'ledger_mismatch';
  end if;
  select * into v_posted from billing.ledger_transactions t where t.source = p_fact ->> 'source';
  if found and (v_posted.kind, v_posted.amount_minor, v_posted.fee_minor, v_posted.currency, v_posted.purchase_id,
    v_posted.seller_id) is distinct from (v_kind, v_amount, v_fee, p_fact ->> 'currency', p_purchase_id, p_seller_id) then
    return 'ledger_mismatch';
  end if;
  return null;
end;
$$;

comment on function billing.refuse_fact(jsonb, uuid, uuid) is
  'Why a fact cannot be posted: ledger_not_understood, ledger_currency (it was settled in another currency than the sale''s), or '
  'ledger_mismatch with what is posted under its source or with the creator. Null: it can, or it is posted already.';
