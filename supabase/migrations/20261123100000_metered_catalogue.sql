-- Metered prices: what a message or a tool call beyond the plan's allowance costs, and prepaid credits. Another metric
-- is a row here and a meter at Stripe, not another way through the code.

alter table public.metrics
  add column meter_event_name text unique check (meter_event_name ~ '^[a-z][a-z0-9_]{0,99}$');

comment on column public.metrics.meter_event_name is
  'Event name of Stripe''s meter. Null: cannot be billed beyond the allowance.';

update public.metrics set meter_event_name = 'tollgate_message' where id = 'message';
insert into public.metrics (id, name, period, meter_event_name) values ('tool', 'Tools', 'day', 'tollgate_tool');

insert into public.plan_limits (plan_id, metric_id, limit_value) values
  ('free', 'tool', 20), ('pro', 'tool', 200), ('business', 'tool', 1000), ('enterprise', 'tool', null);

create table public.overage_prices (
  lookup_key text primary key check (lookup_key ~ '^[a-z][a-z0-9_]*$'),
  plan_id text not null references public.plans (id),
  metric_id text not null references public.metrics (id),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  -- Not an integer: a unit may cost less than a cent. Never a float.
  unit_amount_minor numeric(20, 6) not null check (unit_amount_minor > 0),
  is_active boolean not null default true,
  unique (plan_id, metric_id)
);

create index overage_prices_metric_id_idx on public.overage_prices (metric_id);

comment on table public.overage_prices is
  'Metered prices by Stripe lookup key: what a unit beyond the plan''s allowance costs. Monthly, with the meter of the '
  'metric. Stripe charges what its own price says; these amounts are for display and for making Stripe''s prices.';
comment on column public.overage_prices.unit_amount_minor is
  'In the smallest unit of the currency (cents), with up to six decimals.';
comment on column public.overage_prices.is_active is
  'Can be switched on. Who has it already keeps it.';

create table public.overage_price_currency_options (
  lookup_key text not null references public.overage_prices (lookup_key) on delete cascade,
  currency text not null check (currency ~ '^[a-z]{3}$'),
  unit_amount_minor numeric(20, 6) not null check (unit_amount_minor > 0),
  primary key (lookup_key, currency)
);

comment on table public.overage_price_currency_options is
  'Amounts of a metered price in currencies beside its own (Stripe''s currency_options).';

create table public.credit_packs (
  lookup_key text primary key check (lookup_key ~ '^[a-z][a-z0-9_]*$'),
  name text not null,
  currency text not null check (currency ~ '^[a-z]{3}$'),
  price_minor bigint not null check (price_minor > 0),
  credit_minor bigint not null check (credit_minor > 0),
  expires_days integer check (expires_days > 0),
  is_active boolean not null default true
);

comment on table public.credit_packs is
  'Prepaid credit that can be bought, by the lookup key of its one-time Stripe price.';
comment on column public.credit_packs.credit_minor is 'What the buyer may use of metered prices for price_minor.';
comment on column public.credit_packs.expires_days is 'Days after the purchase; null: never.';

insert into public.overage_prices (lookup_key, plan_id, metric_id, currency, unit_amount_minor) values
  ('pro_message_overage', 'pro', 'message', 'usd', 2),
  ('pro_tool_overage', 'pro', 'tool', 'usd', 1),
  ('business_message_overage', 'business', 'message', 'usd', 1.5),
  ('business_tool_overage', 'business', 'tool', 'usd', 0.8);

insert into public.overage_price_currency_options (lookup_key, currency, unit_amount_minor) values
  ('pro_message_overage', 'eur', 1.9), ('pro_message_overage', 'gbp', 1.6),
  ('pro_tool_overage', 'eur', 0.95), ('pro_tool_overage', 'gbp', 0.8),
  ('business_message_overage', 'eur', 1.4), ('business_message_overage', 'gbp', 1.2),
  ('business_tool_overage', 'eur', 0.75), ('business_tool_overage', 'gbp', 0.65);

insert into public.credit_packs (lookup_key, name, currency, price_minor, credit_minor, expires_days) values
  ('credits_10', '$10 of credit', 'usd', 1000, 1000, 365),
  ('credits_50', '$50 of credit', 'usd', 5000, 5500, 365);

alter table public.overage_prices enable row level security;
alter table public.overage_price_currency_options enable row level security;
alter table public.credit_packs enable row level security;

revoke all on public.overage_prices, public.overage_price_currency_options, public.credit_packs
  from public, anon, authenticated, service_role;
grant select on public.overage_prices, public.overage_price_currency_options, public.credit_packs
  to anon, authenticated, service_role;

create policy "Everybody reads the metered prices" on public.overage_prices
  for select to anon, authenticated using (true);
create policy "Everybody reads the metered prices in other currencies" on public.overage_price_currency_options
  for select to anon, authenticated using (true);
create policy "Everybody reads the credit packs" on public.credit_packs
  for select to anon, authenticated using (true);

alter table billing.settings
  drop constraint settings_switches_are_booleans,
  add constraint settings_switches_are_booleans check (
    key not in ('automatic_tax', 'allow_promotion_codes', 'notification_emails') or jsonb_typeof(value) = 'boolean'
  );

insert into billing.settings (key, value, description) values
  ('notification_emails', 'false', 'Whether notices at 80 % and 100 % of an allowance or a spending cap are sent by e-mail.');
