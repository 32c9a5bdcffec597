-- The private schema and the default privileges everything after this file relies on.
--
-- Supabase grants new objects in public to anon, authenticated and service_role, and Postgres itself
-- grants execute on every new function to public. Both defaults are taken back here, so that an object
-- a later migration forgets to think about is closed. Existing tables and functions still revoke and
-- grant by name: a default says nothing about what was granted before it.

create schema billing;

comment on schema billing is
  'Private side of Tollgate: counters, inbox, sync state, trigger functions. Never exposed by the API.';

revoke all on schema billing from public, anon, authenticated, service_role;

-- Without a schema: the built-in grant of execute to public can only be revoked globally.
alter default privileges revoke execute on functions from public;

alter default privileges in schema public
  revoke all on tables from public, anon, authenticated, service_role;
alter default privileges in schema public
  revoke all on sequences from public, anon, authenticated, service_role;
alter default privileges in schema public
  revoke all on functions from public, anon, authenticated, service_role;

alter default privileges in schema billing
  revoke all on tables from public, anon, authenticated, service_role;
alter default privileges in schema billing
  revoke all on sequences from public, anon, authenticated, service_role;
alter default privileges in schema billing
  revoke all on functions from public, anon, authenticated, service_role;

create function billing.raise_http(
  p_status integer,
  p_code text,
  p_message text,
  p_details text default null,
  p_hint text default null,
  p_headers jsonb default '{}'
) returns void
language plpgsql
set search_path = ''
as $$
begin
  raise sqlstate 'PGRST' using
    message = jsonb_build_object(
      'code', p_code, 'message', p_message, 'details', p_details, 'hint', p_hint
    )::text,
    detail = jsonb_build_object('status', p_status, 'headers', p_headers)::text;
end;
$$;

comment on function billing.raise_http(integer, text, text, text, text, jsonb) is
  'Refuses with an HTTP status, a code, and headers, in the form PostgREST turns into the response '
  '(docs.postgrest.org, "Raise errors with HTTP status codes"). Never returns.';

revoke all on function billing.raise_http(integer, text, text, text, text, jsonb)
  from public, anon, authenticated, service_role;

create function billing.require(p_condition boolean, p_message text) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- "is not true", because null is not a yes.
  if p_condition is not true then
    perform billing.raise_http(400, 'invalid_request', p_message);
  end if;
end;
$$;

comment on function billing.require(boolean, text) is
  'Answers 400 invalid_request unless the condition is true. Null counts as false.';

revoke all on function billing.require(boolean, text)
  from public, anon, authenticated, service_role;
