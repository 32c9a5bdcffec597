-- What is sold: plans, what they allow, what they include, and their prices by lookup key.
-- Adding a plan or changing a limit is a row here, not a deploy.

create table public.plans (
  id text primary key check (id ~ '^[a-z][a-z0-9_]*$'),
  name text not null,
  description text not null default '',
  rank integer not null unique,
  is_default boolean not null default false,
  is_public boolean not null default true,
  -- An exclusion constraint and not a unique index, because it can wait for the end of the statement:
  -- "update public.plans set is_default = (id = 'starter')" moves the default in one step.
  constraint plans_one_default exclude using btree (is_default with =) where (is_default)
    deferrable initially immediate
);

comment on table public.plans is 'Plans. A user without an entitlement is on the default plan.';
comment on column public.plans.rank is 'Higher is better; decides between several live subscriptions.';
comment on column public.plans.is_default is 'The plan of everybody who has nothing else. One at most.';
comment on column public.plans.is_public is 'Shown in the pricing table.';

create table public.metrics (
  id text primary key check (id ~ '^[a-z][a-z0-9_]*$'),
  name text not null,
  period text not null check (period in ('day', 'none'))
);

comment on table public.metrics is 'What is counted.';
comment on column public.metrics.period is
  'day: what was used resets at midnight UTC. none: a number of things that exist at the same time.';

create table public.plan_limits (
  plan_id text not null references public.plans (id) on delete cascade,
  metric_id text not null references public.metrics (id) on delete cascade,
  limit_value bigint check (limit_value >= 0),
  primary key (plan_id, metric_id)
);

create index plan_limits_metric_id_idx on public.plan_limits (metric_id);

comment on table public.plan_limits is
  'How much of a metric a plan allows. A missing row allows nothing: a forgotten limit fails closed.';
comment on column public.plan_limits.limit_value is 'Per period of the metric; null is unlimited.';

create table public.features (
  id text primary key check (id ~ '^[a-z][a-z0-9_]*$'),
  name text not null,
  description text not null default '',
  rank integer not null unique
);

comment on table public.features is 'Things a plan includes or does not.';
comment on column public.features.rank is 'Order in which they are listed.';

create table public.plan_features (
  plan_id text not null references public.plans (id) on delete cascade,
  feature_id text not null references public.features (id) on delete cascade,
  primary key (plan_id, feature_id)
);

create index plan_features_feature_id_idx on public.plan_features (feature_id);

comment on table public.plan_features is 'Which plan includes which feature; nothing is inherited.';

create table public.prices (
  lookup_key text primary key check (lookup_key ~ '^[a-z][a-z0-9_]*$'),
  plan_id text not null references public.plans (id),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  unit_amount_minor bigint not null check (unit_amount_minor >= 0),
  billing_interval text not null check (billing_interval in ('month', 'year')),
  is_active boolean not null default true
);

create index prices_plan_id_idx on public.prices (plan_id);

comment on table public.prices is
  'Prices by Stripe lookup key. Stripe charges what its own price says; these amounts are for display.';
comment on column public.prices.unit_amount_minor is 'In the smallest unit of the currency (cents).';
comment on column public.prices.is_active is
  'Can be bought. A price that is no longer sold keeps its plan for those who have it.';

alter table public.plans enable row level security;
alter table public.metrics enable row level security;
alter table public.plan_limits enable row level security;
alter table public.features enable row level security;
alter table public.plan_features enable row level security;
alter table public.prices enable row level security;

revoke all on public.plans, public.metrics, public.plan_limits, public.features,
  public.plan_features, public.prices from public, anon, authenticated, service_role;
grant select on public.plans, public.metrics, public.plan_limits, public.features,
  public.plan_features, public.prices to anon, authenticated, service_role;

create policy "Everybody reads the plans" on public.plans
  for select to anon, authenticated using (true);
create policy "Everybody reads the metrics" on public.metrics
  for select to anon, authenticated using (true);
create policy "Everybody reads the limits" on public.plan_limits
  for select to anon, authenticated using (true);
create policy "Everybody reads the features" on public.features
  for select to anon, authenticated using (true);
create policy "Everybody reads what a plan includes" on public.plan_features
  for select to anon, authenticated using (true);
create policy "Everybody reads the prices" on public.prices
  for select to anon, authenticated using (true);
