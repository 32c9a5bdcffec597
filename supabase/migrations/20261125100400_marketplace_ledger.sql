-- The money of the marketplace, in double entry: every object of Stripe that moves money is one transaction, posted once, from
-- Stripe's own amounts. "platform" is what these sales added to our balance at Stripe, "creator" the balance of a connected
-- account; the other accounts are where money comes from and goes to.
--
-- Append-only for everybody, the owner of the tables included. A transaction that does not sum to zero does not commit.

create table billing.ledger_accounts (
  id bigint generated always as identity primary key,
  kind text not null check (
    kind in ('buyers', 'platform', 'stripe_fees', 'creator', 'creator_bank', 'refunds', 'disputes')
  ),
  seller_id uuid references public.sellers (id),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  unique nulls not distinct (kind, seller_id, currency),
  check ((seller_id is not null) = (kind in ('creator', 'creator_bank')))
);

create index ledger_accounts_seller_id_idx on billing.ledger_accounts (seller_id);

comment on table billing.ledger_accounts is 'Accounts of the ledger, one per kind, creator and currency.';

create table billing.ledger_transactions (
  id bigint generated always as identity primary key,
  source text not null unique check (source <> ''),
  kind text not null check (kind in (
    'charge', 'transfer', 'application_fee', 'refund', 'refund_failed', 'transfer_reversal', 'fee_refund', 'dispute',
    'payout', 'payout_failed'
  )),
  purchase_id uuid references public.purchases (id),
  seller_id uuid references public.sellers (id),
  charge_id text,
  amount_minor bigint not null,
  fee_minor bigint not null default 0,
  currency text not null check (currency ~ '^[a-z]{3}$'),
  occurred_at timestamptz not null,
  posted_at timestamptz not null default now()
);

create index ledger_transactions_purchase_id_idx on billing.ledger_transactions (purchase_id);
create index ledger_transactions_seller_id_occurred_at_idx on billing.ledger_transactions (seller_id, occurred_at);
create index ledger_transactions_charge_id_idx on billing.ledger_transactions (charge_id);

comment on table billing.ledger_transactions is 'What happened, once per object of Stripe.';
comment on column billing.ledger_transactions.source is 'Stripe''s id, or id:failed for what came back; unique.';
comment on column billing.ledger_transactions.charge_id is 'The payment it belongs to.';
comment on column billing.ledger_transactions.amount_minor is 'As Stripe said it; signed for disputes only. A repeat must say the same.';
comment on column billing.ledger_transactions.fee_minor is 'Stripe''s own fee of a charge or a dispute.';

create table billing.ledger_entries (
  id bigint generated always as identity primary key,
  transaction_id bigint not null references billing.ledger_transactions (id),
  account_id bigint not null references billing.ledger_accounts (id),
  amount_minor bigint not null check (amount_minor <> 0)
);

create index ledger_entries_transaction_id_idx on billing.ledger_entries (transaction_id);
create index ledger_entries_account_id_idx on billing.ledger_entries (account_id);

comment on table billing.ledger_entries is 'What a transaction adds to its accounts; the sum is zero.';
comment on column billing.ledger_entries.amount_minor is 'In the smallest unit of the account''s currency; negative takes away.';

create view billing.ledger_balances with (security_invoker = true) as
select a.id as account_id, a.kind, a.seller_id, a.currency, coalesce(sum(e.amount_minor), 0)::bigint as balance_minor
from billing.ledger_accounts a left join billing.ledger_entries e on e.account_id = a.id
group by a.id;

comment on view billing.ledger_balances is 'What every account comes to. Over all of a currency the sum is zero.';

alter table billing.ledger_accounts enable row level security;
alter table billing.ledger_transactions enable row level security;
alter table billing.ledger_entries enable row level security;
revoke all on billing.ledger_accounts, billing.ledger_transactions, billing.ledger_entries, billing.ledger_balances
  from public, anon, authenticated, service_role;
create policy "Nobody reads the ledger's accounts" on billing.ledger_accounts
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the ledger's transactions" on billing.ledger_transactions
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the ledger's entries" on billing.ledger_entries
  for all to anon, authenticated using (false) with check (false);

create function billing.refuse_posting_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'the ledger of the marketplace is only ever added to' using
    errcode = 'integrity_constraint_violation', hint = 'What was wrong is put right by another transaction.';
end;
$$;

comment on function billing.refuse_posting_change() is 'Nobody changes or removes what was posted.';

create trigger ledger_accounts_before_change_refuse before update or delete on billing.ledger_accounts
  for each row execute function billing.refuse_posting_change();
create trigger ledger_accounts_before_truncate_refuse before truncate on billing.ledger_accounts
  for each statement execute function billing.refuse_posting_change();
create trigger ledger_transactions_before_change_refuse before update or delete on billing.ledger_transactions
  for each row execute function billing.refuse_posting_change();
create trigger ledger_transactions_before_truncate_refuse before truncate on billing.ledger_transactions
  for each statement execute function billing.refuse_posting_change();
create trigger ledger_entries_before_change_refuse before update or delete on billing.ledger_entries
  for each row execute function billing.refuse_posting_change();
create trigger ledger_entries_before_truncate_refuse before truncate on billing.ledger_entries
  for each statement execute function billing.refuse_posting_change();

create function billing.check_posting() returns trigger
language plpgsql
-- Definer: checked at commit, as whoever commits.
security definer
set search_path = ''
as $$
declare
  v_transaction_id constant bigint := (to_jsonb(new) ->> tg_argv[0])::bigint;
  v_sum record;
begin
  select count(*) as entries, coalesce(sum(e.amount_minor), 0) as total, count(distinct a.currency) as currencies,
    bool_and(a.currency = t.currency) as same, bool_and(t.posted_at = now()) as fresh
  into v_sum
  from billing.ledger_transactions t
  join billing.ledger_entries e on e.transaction_id = t.id
  join billing.ledger_accounts a on a.id = e.account_id
  where t.id = v_transaction_id;
  if v_sum.entries < 2 or v_sum.total <> 0 or v_sum.currencies <> 1 or not v_sum.same or not v_sum.fresh then
    raise exception 'ledger transaction % is not balanced: % entries, sum %', v_transaction_id, v_sum.entries, v_sum.total
      using errcode = 'integrity_constraint_violation',
        hint = 'Two entries at least, in one currency, that sum to zero, posted with their transaction.';
  end if;
  return null;
end;
$$;

comment on function billing.check_posting() is
  'At commit: two entries at least, one currency, sum zero, and nothing is added to an older transaction.';

create constraint trigger ledger_transactions_after_insert_check after insert on billing.ledger_transactions
  deferrable initially deferred for each row execute function billing.check_posting('id');
create constraint trigger ledger_entries_after_insert_check after insert on billing.ledger_entries
  deferrable initially deferred for each row execute function billing.check_posting('transaction_id');

create function billing.postings(p_kind text, p_amount bigint, p_fee bigint)
returns table (account_kind text, amount_minor bigint)
language sql immutable
set search_path = ''
as $$
  select e.account_kind, e.amount
  from (values
    ('charge', 'buyers', -p_amount), ('charge', 'platform', p_amount - p_fee), ('charge', 'stripe_fees', p_fee),
    ('transfer', 'platform', -p_amount), ('transfer', 'creator', p_amount),
    ('application_fee', 'creator', -p_amount), ('application_fee', 'platform', p_amount),
    ('refund', 'platform', -p_amount), ('refund', 'refunds', p_amount),
    ('refund_failed', 'refunds', -p_amount), ('refund_failed', 'platform', p_amount),
    ('transfer_reversal', 'creator', -p_amount), ('transfer_reversal', 'platform', p_amount),
    ('fee_refund', 'platform', -p_amount), ('fee_refund', 'creator', p_amount),
    ('dispute', 'platform', p_amount - p_fee), ('dispute', 'disputes', -p_amount), ('dispute', 'stripe_fees', p_fee),
    ('payout', 'creator', -p_amount), ('payout', 'creator_bank', p_amount),
    ('payout_failed', 'creator_bank', -p_amount), ('payout_failed', 'creator', p_amount)
  ) e (kind, account_kind, amount)
  where e.kind = p_kind and e.amount <> 0;
$$;

comment on function billing.postings(text, bigint, bigint) is
  'The entries of a kind of transaction: this table is the whole chart of how money moves.';

create function billing.ensure_ledger_accounts(p_seller_id uuid, p_currencies text[]) returns void
language sql
set search_path = ''
as $$
  -- In one order, so that two snapshots that open the same accounts do not wait for each other.
  insert into billing.ledger_accounts (kind, seller_id, currency)
  select k.kind, case when k.kind like 'creator%' then p_seller_id end, c.currency
  from unnest(array['buyers', 'creator', 'creator_bank', 'disputes', 'platform', 'refunds', 'stripe_fees']) k (kind)
  cross join (select distinct u.currency from unnest(p_currencies) u (currency)) c
  where p_seller_id is not null or k.kind not like 'creator%'
  order by c.currency, k.kind
  on conflict do nothing;
$$;

comment on function billing.ensure_ledger_accounts(uuid, text[]) is 'Opens the accounts a sale of this creator may touch.';

create function billing.refuse_fact(p_fact jsonb, p_purchase_id uuid, p_seller_id uuid) returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_kind constant text := p_fact ->> 'kind';
  v_amount constant bigint := (p_fact ->> 'amount_minor')::bigint;
  v_fee constant bigint := coalesce((p_fact ->> 'fee_minor')::bigint, 0);
  v_account constant text := p_fact ->> 'seller_account';
  v_posted billing.ledger_transactions;
begin
  if (select count(*) from billing.postings(v_kind, v_amount, v_fee)) < 2 or p_fact ->> 'occurred_at' is null
    or (v_kind <> 'dispute' and (v_amount < 0 or v_fee < 0)) then
    return 'ledger_not_understood';
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
  'Why a fact cannot be posted: ledger_not_understood, or ledger_mismatch with what is posted under its source or with the '
  'creator. Null: it can, or it is posted already.';

create function billing.post_facts(p_facts jsonb, p_purchase_id uuid, p_seller_id uuid, p_charge_id text) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_fact jsonb;
  v_refusal text;
  v_id bigint;
  v_posted integer := 0;
begin
  perform billing.ensure_ledger_accounts(
    p_seller_id, (select array_agg(f.value ->> 'currency') from jsonb_array_elements(p_facts) f)
  );
  for v_fact in select f.value from jsonb_array_elements(p_facts) f order by f.value ->> 'source' loop
    v_refusal := billing.refuse_fact(v_fact, p_purchase_id, p_seller_id);
    if v_refusal is not null then
      perform billing.report_problem(v_refusal, v_fact ->> 'source', v_fact);
      continue;
    end if;
    insert into billing.ledger_transactions (
      source, kind, purchase_id, seller_id, charge_id, amount_minor, fee_minor, currency, occurred_at
    )
    select v_fact ->> 'source', v_fact ->> 'kind', p_purchase_id, p_seller_id,
      coalesce(v_fact ->> 'charge_id', case when v_fact ->> 'kind' = 'charge' then v_fact ->> 'source' end, p_charge_id),
      (v_fact ->> 'amount_minor')::bigint, coalesce((v_fact ->> 'fee_minor')::bigint, 0), v_fact ->> 'currency',
      (v_fact ->> 'occurred_at')::timestamptz
    on conflict (source) do nothing
    returning id into v_id;
    continue when not found;
    insert into billing.ledger_entries (transaction_id, account_id, amount_minor)
    select v_id, a.id, e.amount_minor
    from billing.postings(
      v_fact ->> 'kind', (v_fact ->> 'amount_minor')::bigint, coalesce((v_fact ->> 'fee_minor')::bigint, 0)
    ) e
    join billing.ledger_accounts a on a.kind = e.account_kind and a.currency = v_fact ->> 'currency'
      and a.seller_id is not distinct from case when e.account_kind like 'creator%' then p_seller_id end;
    v_posted := v_posted + 1;
  end loop;
  return v_posted;
end;
$$;

comment on function billing.post_facts(jsonb, uuid, uuid, text) is
  'Posts facts [{source, kind, amount_minor, fee_minor?, currency, occurred_at, charge_id?, seller_account?}], each once, '
  'and returns how many were new. What cannot be posted is a problem for an operator.';

revoke all on function billing.refuse_posting_change(), billing.check_posting(), billing.postings(text, bigint, bigint),
  billing.ensure_ledger_accounts(uuid, text[]), billing.refuse_fact(jsonb, uuid, uuid),
  billing.post_facts(jsonb, uuid, uuid, text)
  from public, anon, authenticated, service_role;
