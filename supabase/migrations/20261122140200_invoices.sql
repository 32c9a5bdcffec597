-- Invoices as Stripe shows them, trials that were used, and prices in other currencies.

create table public.invoices (
  id text primary key,
  user_id uuid not null references public.customers (user_id) on delete restrict,
  subscription_id text,
  number text,
  status text not null,
  currency text not null,
  total_minor bigint not null,
  amount_due_minor bigint not null,
  amount_paid_minor bigint not null,
  period_start timestamptz,
  period_end timestamptz,
  hosted_invoice_url text,
  invoice_pdf text,
  stripe_created_at timestamptz not null,
  synced_at timestamptz not null default now()
);

create index invoices_user_id_stripe_created_at_idx on public.invoices (user_id, stripe_created_at);

comment on table public.invoices is
  'Snapshot of the finalized invoices of a customer in Stripe. A draft is not yet an invoice to anybody.';
comment on column public.invoices.subscription_id is
  'No foreign key: an invoice outlives what it was for.';
comment on column public.invoices.total_minor is 'In the smallest unit of the currency; negative is a credit.';

create table billing.trial_uses (
  user_id uuid primary key references auth.users (id) on delete cascade,
  subscription_id text not null,
  used_at timestamptz not null default now()
);

comment on table billing.trial_uses is
  'Who has had a trial, once and for ever: the row stays when the subscription goes.';

alter table public.prices add column trial_days integer not null default 0
  check (trial_days between 0 and 730);

comment on column public.prices.trial_days is
  'Days that a first subscription of a person is free; 0 is no trial.';

create table public.price_currency_options (
  lookup_key text not null references public.prices (lookup_key) on delete cascade,
  currency text not null check (currency ~ '^[a-z]{3}$'),
  unit_amount_minor bigint not null check (unit_amount_minor >= 0),
  primary key (lookup_key, currency)
);

comment on table public.price_currency_options is
  'Amounts of a price in currencies beside its own (Stripe''s currency_options). Checkout may ask for one of them.';

insert into public.price_currency_options (lookup_key, currency, unit_amount_minor) values
  ('pro_monthly', 'eur', 1400), ('pro_monthly', 'gbp', 1200),
  ('pro_yearly', 'eur', 14000), ('pro_yearly', 'gbp', 12000),
  ('business_monthly', 'eur', 4500), ('business_monthly', 'gbp', 3900),
  ('business_yearly', 'eur', 45000), ('business_yearly', 'gbp', 39000);

alter table public.invoices enable row level security;
alter table billing.trial_uses enable row level security;
alter table public.price_currency_options enable row level security;

revoke all on public.invoices, billing.trial_uses, public.price_currency_options
  from public, anon, authenticated, service_role;
grant select on public.invoices to authenticated, service_role;
grant select on public.price_currency_options to anon, authenticated, service_role;

create policy "Owners read their invoices" on public.invoices
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Everybody reads the prices in other currencies" on public.price_currency_options
  for select to anon, authenticated using (true);
create policy "Nobody reads who had a trial" on billing.trial_uses
  for all to anon, authenticated using (false) with check (false);

create function public.checkout_terms(p_user_id uuid, p_lookup_key text) returns jsonb
language sql stable
-- Definer: the secret key reads neither the settings nor who had a trial, only this.
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'trial_days', case when t.user_id is null then p.trial_days else 0 end,
    'automatic_tax', billing.setting('automatic_tax'),
    'allow_promotion_codes', billing.setting('allow_promotion_codes')
  )
  from public.prices p left join billing.trial_uses t on t.user_id = p_user_id
  where p.lookup_key = p_lookup_key;
$$;

comment on function public.checkout_terms(uuid, text) is
  '{trial_days, automatic_tax, allow_promotion_codes} for a checkout of this price by this user. trial_days is 0 for '
  'somebody who has had a trial, whatever became of it.';

revoke all on function public.checkout_terms(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.checkout_terms(uuid, text) to service_role;
