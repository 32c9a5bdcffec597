-- Does Stripe have what the catalogue sells, at the same price? Checkout refuses what differs, but by then somebody wanted to pay.
-- `reconcile` looks once an hour and writes down what it found.

create table billing.catalogue_checks (
  lookup_key text primary key,
  verdict text not null check (verdict in ('equal', 'missing', 'differs')),
  checked_at timestamptz not null default now()
);

comment on table billing.catalogue_checks is 'What Stripe''s price of each row that is sold was like when it was last looked at.';
comment on column billing.catalogue_checks.verdict is
  'missing: Stripe has no active price with this lookup key. differs: it has, with another amount, currency, interval or tiers.';

alter table billing.catalogue_checks enable row level security;
revoke all on billing.catalogue_checks from public, anon, authenticated, service_role;
create policy "Nobody reads the checks of the catalogue" on billing.catalogue_checks
  for all to anon, authenticated using (false) with check (false);

create function public.catalogue_rows()
returns table (
  lookup_key text, currency text, amount_minor numeric, billing_interval text, tiers_mode text, tiers jsonb, options jsonb
)
language sql stable
-- Definer: the same rows for the secret key, whatever it may read of the tables.
security definer
set search_path = ''
as $$
  select p.lookup_key, p.currency, p.unit_amount_minor::numeric, p.billing_interval, p.tiers_mode, p.tiers, coalesce((
    select jsonb_object_agg(o.currency, o.unit_amount_minor) from public.price_currency_options o
    where o.lookup_key = p.lookup_key
  ), '{}')
  from public.prices p where p.is_active
  union all
  select p.lookup_key, p.currency, trim_scale(p.unit_amount_minor), 'month', null, null, coalesce((
    select jsonb_object_agg(o.currency, trim_scale(o.unit_amount_minor)) from public.overage_price_currency_options o
    where o.lookup_key = p.lookup_key
  ), '{}')
  from public.overage_prices p where p.is_active
  union all
  select p.lookup_key, p.currency, p.price_minor::numeric, null, null, null, coalesce((
    select jsonb_object_agg(o.currency, o.price_minor) from public.credit_pack_currency_options o
    where o.lookup_key = p.lookup_key
  ), '{}')
  from public.credit_packs p where p.is_active;
$$;

comment on function public.catalogue_rows() is
  'Everything that is sold by a lookup key: plans, usage beyond them and credit packs. options are amounts in other currencies; '
  'billing_interval is null for what is paid once.';

create function public.note_catalogue_check(p_verdicts jsonb) returns void
language sql
-- Definer: the secret key has no access to the table, only this.
security definer
set search_path = ''
as $$
  insert into billing.catalogue_checks as c (lookup_key, verdict)
  select v.lookup_key, v.verdict from jsonb_to_recordset(p_verdicts) v (lookup_key text, verdict text)
  on conflict (lookup_key) do update set verdict = excluded.verdict, checked_at = now();
$$;

comment on function public.note_catalogue_check(jsonb) is 'Keeps what was found: [{lookup_key, verdict}].';

create function billing.check_catalogue() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  select 'catalogue', count(*), min(c.checked_at),
    string_agg(r.lookup_key || ' ' || coalesce(c.verdict, 'never synced'), ', ' order by r.lookup_key)
  from public.catalogue_rows() r left join billing.catalogue_checks c on c.lookup_key = r.lookup_key
  where c.verdict is distinct from 'equal';
$$;

comment on function billing.check_catalogue() is 'Rows of the catalogue that are sold and that Stripe has not, or otherwise.';

insert into billing.health_thresholds (check_name, check_function, unit, warn, fail, hint)
values ('catalogue', 'check_catalogue', 'rows', 1, null, 'Cannot be bought until Stripe has the same price: npm run stripe:setup. Looked at by reconcile, hourly.');

revoke all on function public.catalogue_rows(), public.note_catalogue_check(jsonb), billing.check_catalogue()
  from public, anon, authenticated, service_role;
grant execute on function public.catalogue_rows(), public.note_catalogue_check(jsonb) to service_role;
