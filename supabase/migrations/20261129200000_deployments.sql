-- What `npm run deploy` brought here. Migrations have their own history; functions have none that says from which sources they
-- were made, so that is written down: a later run finds out whether there is anything to do, and an operator since when which
-- version runs.

create table billing.deployments (
  id bigint generated always as identity primary key,
  deployed_at timestamptz not null default now(),
  version text not null check (version <> ''),
  commit text check (commit <> ''),
  fingerprint text not null check (fingerprint ~ '^[0-9a-f]{64}$'),
  functions jsonb not null check (jsonb_typeof(functions) = 'object')
);

comment on table billing.deployments is
  'One row for every time the Edge Functions were deployed by `npm run deploy`; the newest is what runs, unless somebody deployed by hand.';
comment on column billing.deployments.version is 'Of package.json.';
comment on column billing.deployments.commit is 'Git''s short name of the commit; with + when not all of it was committed.';
comment on column billing.deployments.fingerprint is 'SHA-256 over every uploaded file and setting of the functions.';
comment on column billing.deployments.functions is 'The version the project gave to each function, by its name.';

alter table billing.deployments enable row level security;
revoke all on billing.deployments from public, anon, authenticated, service_role;
create policy "Nobody reads the deployments" on billing.deployments
  for all to anon, authenticated using (false) with check (false);
