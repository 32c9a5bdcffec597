-- The ledger against Stripe, and the jobs of the marketplace.

create table billing.ledger_checks (
  id bigint generated always as identity primary key,
  run_at timestamptz not null default now(),
  subject text not null check (subject <> ''),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  ledger_minor bigint not null,
  stripe_minor bigint not null,
  drift_minor bigint generated always as (ledger_minor - stripe_minor) stored,
  note text
);

create index ledger_checks_run_at_idx on billing.ledger_checks (run_at);

comment on table billing.ledger_checks is 'What the ledger and Stripe said at the same time. A drift is a problem ledger_drift.';

alter table billing.ledger_checks enable row level security;
revoke all on billing.ledger_checks from public, anon, authenticated, service_role;
create policy "Nobody reads the ledger checks" on billing.ledger_checks
  for all to anon, authenticated using (false) with check (false);

create function public.seller_ledger(p_after uuid default null, p_limit integer default 50)
returns table (
  seller_id uuid, account text, currency text, balance bigint, transferred bigint, reversed bigint, fees bigint,
  fee_refunds bigint, paid_out bigint
)
language plpgsql stable
-- Definer: the secret key reads sums of the ledger, not the ledger.
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  with page as (
    select s.id, s.stripe_account_id from public.sellers s
    where s.stripe_account_id is not null and (p_after is null or s.id > p_after)
      and exists (select from billing.ledger_accounts a where a.seller_id = s.id)
    order by s.id limit p_limit
  )
  select p.id, p.stripe_account_id, a.currency, coalesce(sum(e.amount_minor), 0)::bigint,
    coalesce(sum(e.amount_minor) filter (where t.kind = 'transfer'), 0)::bigint,
    -coalesce(sum(e.amount_minor) filter (where t.kind = 'transfer_reversal'), 0)::bigint,
    -coalesce(sum(e.amount_minor) filter (where t.kind = 'application_fee'), 0)::bigint,
    coalesce(sum(e.amount_minor) filter (where t.kind = 'fee_refund'), 0)::bigint,
    -coalesce(sum(e.amount_minor) filter (where t.kind in ('payout', 'payout_failed')), 0)::bigint
  from page p
  join billing.ledger_accounts a on a.seller_id = p.id and a.kind = 'creator'
  left join billing.ledger_entries e on e.account_id = a.id
  left join billing.ledger_transactions t on t.id = e.transaction_id
  group by p.id, p.stripe_account_id, a.currency
  order by p.id, a.currency;
end;
$$;

comment on function public.seller_ledger(uuid, integer) is
  'A page of the creators'' accounts as the ledger has them, by seller id, one row per currency; amounts positive, in minor units.';

create function public.platform_ledger()
returns table (currency text, kind text, balance bigint)
language sql stable
-- Definer: see public.seller_ledger().
security definer
set search_path = ''
as $$
  select b.currency, b.kind, sum(b.balance_minor)::bigint
  from billing.ledger_balances b group by b.currency, b.kind order by b.currency, b.kind;
$$;

comment on function public.platform_ledger() is 'What the accounts of each kind come to per currency; over a currency it is zero.';

create function public.note_ledger_check(
  p_subject text, p_currency text, p_ledger_minor bigint, p_stripe_minor bigint, p_note text default null
) returns bigint
language plpgsql
-- Definer: see public.seller_ledger().
security definer
set search_path = ''
as $$
declare
  v_subject constant text := p_subject || ' ' || p_currency;
  v_drift bigint;
begin
  insert into billing.ledger_checks (subject, currency, ledger_minor, stripe_minor, note)
  values (p_subject, p_currency, p_ledger_minor, p_stripe_minor, p_note)
  returning drift_minor into v_drift;
  if v_drift = 0 then
    update billing.problems p set resolved_at = now()
    where p.kind = 'ledger_drift' and p.subject = v_subject and p.resolved_at is null;
  else
    perform billing.report_problem('ledger_drift', v_subject, jsonb_build_object(
      'ledger_minor', p_ledger_minor, 'stripe_minor', p_stripe_minor, 'drift_minor', v_drift, 'note', p_note
    ));
  end if;
  return v_drift;
end;
$$;

comment on function public.note_ledger_check(text, text, bigint, bigint, text) is
  'Keeps a comparison and returns the drift; one that is not zero is a problem until a later check finds none.';

create function billing.prune_ledger_checks() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_pruned bigint;
begin
  delete from billing.ledger_checks c where c.run_at < now() - interval '13 months';
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$$;

comment on function billing.prune_ledger_checks() is 'Forgets comparisons older than 13 months.';

revoke all on function public.seller_ledger(uuid, integer), public.platform_ledger(),
  public.note_ledger_check(text, text, bigint, bigint, text), billing.prune_ledger_checks()
  from public, anon, authenticated, service_role;
grant execute on function public.seller_ledger(uuid, integer), public.platform_ledger(),
  public.note_ledger_check(text, text, bigint, bigint, text) to service_role;

select cron.schedule(
  'tollgate-marketplace-sync', '*/5 * * * *', $$select billing.call_function('marketplace-sync')$$
);
select cron.schedule(
  'tollgate-ledger-check', '53 * * * *', $$select billing.call_function('ledger-check')$$
);
select cron.schedule(
  'tollgate-prune-ledger-checks', '47 3 * * *', $$select billing.prune_ledger_checks()$$
);
