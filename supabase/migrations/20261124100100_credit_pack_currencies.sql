-- Credit packs in the currencies the plans are sold in: credit of one currency pays for nothing in another. Their names said
-- dollars.

create table public.credit_pack_currency_options (
  lookup_key text not null references public.credit_packs (lookup_key) on delete cascade,
  currency text not null check (currency ~ '^[a-z]{3}$'),
  price_minor bigint not null check (price_minor > 0),
  credit_minor bigint not null check (credit_minor > 0),
  primary key (lookup_key, currency)
);

comment on table public.credit_pack_currency_options is
  'What a credit pack costs and holds in currencies beside its own (Stripe''s currency_options).';
comment on column public.credit_pack_currency_options.credit_minor is
  'What the buyer may use of metered prices for price_minor, in this currency.';

insert into public.credit_pack_currency_options (lookup_key, currency, price_minor, credit_minor) values
  ('credits_10', 'eur', 1000, 1000), ('credits_10', 'gbp', 1000, 1000),
  ('credits_50', 'eur', 5000, 5500), ('credits_50', 'gbp', 5000, 5500);

update public.credit_packs set name = 'Credit pack 10' where lookup_key = 'credits_10';
update public.credit_packs set name = 'Credit pack 50' where lookup_key = 'credits_50';

alter table public.credit_pack_currency_options enable row level security;
revoke all on public.credit_pack_currency_options from public, anon, authenticated, service_role;
grant select on public.credit_pack_currency_options to anon, authenticated, service_role;

create policy "Everybody reads the credit packs in other currencies" on public.credit_pack_currency_options
  for select to anon, authenticated using (true);
