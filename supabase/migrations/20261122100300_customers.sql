-- Who pays: our user and Stripe's customer, the snapshot of their subscriptions, and the entitlement
-- derived from it. Rows are written by public.apply_customer_snapshot() and nothing else.

create table public.customers (
  user_id uuid primary key references auth.users (id) on delete restrict,
  stripe_customer_id text not null unique check (stripe_customer_id <> ''),
  created_at timestamptz not null default now()
);

comment on table public.customers is
  'Our user and their Stripe customer, one to one. Bound by this row, never by an e-mail address. '
  'Deleting the user is refused while it exists, so that no deleted account goes on being billed.';

create table public.subscriptions (
  id text primary key,
  user_id uuid not null references public.customers (user_id) on delete restrict,
  status text not null,
  price_lookup_key text,
  plan_id text references public.plans (id),
  quantity integer not null default 1 check (quantity >= 0),
  currency text,
  current_period_start timestamptz,
  current_period_end timestamptz,
  cancel_at timestamptz,
  cancel_at_period_end boolean not null default false,
  canceled_at timestamptz,
  ended_at timestamptz,
  trial_end timestamptz,
  stripe_created_at timestamptz,
  synced_at timestamptz not null default now()
);

create index subscriptions_user_id_idx on public.subscriptions (user_id);
create index subscriptions_plan_id_idx on public.subscriptions (plan_id);

comment on table public.subscriptions is 'Snapshot of the subscriptions of a customer in Stripe.';
comment on column public.subscriptions.id is 'Stripe''s id.';
comment on column public.subscriptions.status is
  'As Stripe says it, also one we do not know: access is decided by billing.access_statuses.';
comment on column public.subscriptions.price_lookup_key is
  'No foreign key: a price we do not know must be stored and reported, not break the sync.';
comment on column public.subscriptions.plan_id is 'The plan of the price; null when we do not know it.';
comment on column public.subscriptions.cancel_at is
  'With cancel_at_period_end one of Stripe''s two ways to say that it is ending.';

create table public.entitlements (
  user_id uuid primary key references auth.users (id) on delete cascade,
  plan_id text not null references public.plans (id),
  source text not null check (source in ('subscription', 'default')),
  subscription_id text references public.subscriptions (id) on delete set null,
  updated_at timestamptz not null default now()
);

create index entitlements_plan_id_idx on public.entitlements (plan_id);
create index entitlements_subscription_id_idx on public.entitlements (subscription_id);

comment on table public.entitlements is
  'The plan a user has a right to, and why. No row: the default plan.';

create table billing.access_statuses (
  status text primary key,
  grants_access boolean not null
);

comment on table billing.access_statuses is
  'Subscription statuses we know. Access is an allow-list: a status that is not here grants nothing '
  'and is reported in billing.problems.';

insert into billing.access_statuses (status, grants_access) values
  ('active', true),
  ('trialing', true),
  ('past_due', true),
  ('incomplete', false),
  ('incomplete_expired', false),
  ('unpaid', false),
  ('paused', false),
  ('canceled', false);

create table billing.sync_state (
  user_id uuid primary key references public.customers (user_id) on delete cascade,
  last_token bigint not null,
  applied_at timestamptz not null default now()
);

comment on table billing.sync_state is
  'The newest snapshot applied per customer. A sync takes its token before it fetches, so a higher token '
  'means a later fetch; a snapshot with a lower one is old news.';

create sequence billing.sync_token_seq as bigint;

comment on sequence billing.sync_token_seq is 'Tokens of public.next_sync_token().';

create table billing.problems (
  kind text not null,
  subject text not null,
  details jsonb not null default '{}',
  occurrences bigint not null default 1,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  resolved_at timestamptz,
  primary key (kind, subject)
);

comment on table billing.problems is
  'What an operator should look at: one row per kind and subject, however often it happens.';
comment on column billing.problems.subject is 'Id of what it is about: a subscription, a customer, an event.';
comment on column billing.problems.resolved_at is 'When it was last seen to be gone; null while it lasts.';

create function billing.report_problem(p_kind text, p_subject text, p_details jsonb default '{}')
returns void
language sql
set search_path = ''
as $$
  insert into billing.problems (kind, subject, details)
  values (p_kind, p_subject, p_details)
  on conflict (kind, subject) do update
    set details = excluded.details,
      occurrences = billing.problems.occurrences + 1,
      last_seen_at = now(),
      resolved_at = null;
$$;

comment on function billing.report_problem(text, text, jsonb) is
  'Notes a problem, or that it happened again.';

revoke all on function billing.report_problem(text, text, jsonb)
  from public, anon, authenticated, service_role;

alter table public.customers enable row level security;
alter table public.subscriptions enable row level security;
alter table public.entitlements enable row level security;
alter table billing.access_statuses enable row level security;
alter table billing.sync_state enable row level security;
alter table billing.problems enable row level security;

revoke all on public.customers, public.subscriptions, public.entitlements,
  billing.access_statuses, billing.sync_state, billing.problems
  from public, anon, authenticated, service_role;
revoke all on sequence billing.sync_token_seq from public, anon, authenticated, service_role;
grant select on public.customers, public.subscriptions, public.entitlements
  to authenticated, service_role;

create policy "Owners read their customer" on public.customers
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Owners read their subscriptions" on public.subscriptions
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Owners read their entitlement" on public.entitlements
  for select to authenticated using (user_id = (select auth.uid()));

-- Said twice, by grants and by policies: the private tables are nobody's to read.
create policy "Nobody reads the statuses" on billing.access_statuses
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the sync state" on billing.sync_state
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the problems" on billing.problems
  for all to anon, authenticated using (false) with check (false);
