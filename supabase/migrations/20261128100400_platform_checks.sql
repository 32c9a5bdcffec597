-- The ledger against Stripe, the other half: every creator is visited, whether or not the ledger has ever heard of money of
-- theirs, and our own balance is compared movement by movement. It cannot be compared as a whole, because plans, credit
-- and payouts of ours are in it too, which this ledger does not have.

alter table billing.ledger_check_cursor
  add column platform_after text,
  add column platform_from timestamptz not null default now();

comment on column billing.ledger_check_cursor.platform_after is
  'The balance transaction of ours that was compared last; null: begin with the first since platform_from.';

create function public.ledger_sellers(p_after uuid default null, p_limit integer default 50)
returns table (seller_id uuid, account text)
language plpgsql stable
-- Definer: see public.seller_ledger().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  select s.id, s.stripe_account_id from public.sellers s
  where s.stripe_account_id is not null and (p_after is null or s.id > p_after)
  order by s.id limit p_limit;
end;
$$;

comment on function public.ledger_sellers(uuid, integer) is 'A page of all creators that have an account at Stripe, by seller id.';

create function public.platform_movements(p_movements jsonb)
returns table (id text, purchase_id uuid, ledger_minor bigint)
language plpgsql stable
-- Definer: see public.seller_ledger().
security definer
set search_path = ''
as $$
begin
  perform billing.require(
    jsonb_typeof(p_movements) = 'array' and jsonb_array_length(p_movements) <= 1000, 'p_movements is no list of at most 1000'
  );
  return query
  select m.id,
    coalesce(
      (select t.purchase_id from billing.ledger_transactions t where t.source = m.source),
      (select c.purchase_id from billing.purchase_charges c where c.id = any (m.parents) limit 1),
      (select t.purchase_id from billing.ledger_transactions t where t.source = any (m.parents) limit 1),
      (select p.id from public.purchases p where p.id = m.purchase)
    ),
    coalesce((
      select sum(e.amount_minor) from billing.ledger_transactions t
      join billing.ledger_entries e on e.transaction_id = t.id
      join billing.ledger_accounts a on a.id = e.account_id and a.kind = 'platform' and a.currency = m.currency
      where t.source = m.source
    ), 0)::bigint
  from jsonb_to_recordset(p_movements) m (id text, source text, currency text, parents text[], purchase uuid);
end;
$$;

comment on function public.platform_movements(jsonb) is
  'Of balance transactions [{id, source: what the ledger posts it under, currency, parents: payments, transfers or fees it belongs '
  'to, purchase?}]: the purchase each is of (null: none that we know) and what the ledger added to the platform for it.';

create function public.platform_check_cursor() returns jsonb
language sql stable
-- Definer: see public.seller_ledger().
security definer
set search_path = ''
as $$
  select jsonb_build_object('after', c.platform_after, 'from', extract(epoch from c.platform_from)::bigint)
  from billing.ledger_check_cursor c;
$$;

comment on function public.platform_check_cursor() is
  'Where the comparison of our own balance goes on: {after: a balance transaction or null, from: Unix seconds}.';

create function public.move_platform_check(p_after text) returns void
language sql
-- Definer: see public.seller_ledger().
security definer
set search_path = ''
as $$
  update billing.ledger_check_cursor c set platform_after = p_after, updated_at = now();
$$;

comment on function public.move_platform_check(text) is 'Remembers the balance transaction of ours that was compared last.';

create function public.drifting_movements(p_limit integer default 20) returns setof text
language sql stable
-- Definer: see public.seller_ledger().
security definer
set search_path = ''
as $$
  select split_part(b.subject, ' ', 1) from billing.problems b
  where b.kind = 'ledger_drift' and b.subject like 'txn\_%' and b.resolved_at is null
  order by b.last_seen_at limit least(p_limit, 100);
$$;

comment on function public.drifting_movements(integer) is
  'Balance transactions that did not agree with the ledger when they were last compared.';

revoke all on function public.ledger_sellers(uuid, integer), public.platform_movements(jsonb), public.platform_check_cursor(),
  public.move_platform_check(text), public.drifting_movements(integer)
  from public, anon, authenticated, service_role;
grant execute on function public.ledger_sellers(uuid, integer), public.platform_movements(jsonb),
  public.platform_check_cursor(), public.move_platform_check(text), public.drifting_movements(integer) to service_role;
