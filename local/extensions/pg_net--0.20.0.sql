-- A stand-in for pg_net 0.20 in plain SQL. Queue, response table, signatures and defaults are the real ones; the worker that
-- sends the requests is local/net.ts. As there, a request leaves only when its transaction commits, and both tables are unlogged:
-- a crash of the server forgets them.

create schema if not exists net;

create domain net.http_method as text
  check (value ilike 'get' or value ilike 'post' or value ilike 'delete');

create unlogged table net.http_request_queue (
  id bigserial,
  method net.http_method not null,
  url text not null,
  headers jsonb,
  body bytea,
  timeout_milliseconds integer not null
);

create unlogged table net._http_response (
  id bigint,
  status_code integer,
  content_type text,
  headers jsonb,
  content text,
  timed_out boolean,
  error_msg text,
  created timestamptz not null default now()
);
create index on net._http_response (created);

create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');
create type net.http_response as (status_code integer, headers jsonb, body text);
create type net.http_response_result as (status net.request_status, message text, response net.http_response);

create function net.wake() returns void
language sql
set search_path = ''
as $$ select pg_catalog.pg_notify('tollgate_net', '') $$;

create function net._urlencode_string(string character varying) returns text
language sql immutable
set search_path = ''
as $$
  select pg_catalog.string_agg(
    case when pg_catalog.chr(b) ~ '[A-Za-z0-9._~-]' then pg_catalog.chr(b)
         else '%' || pg_catalog.upper(pg_catalog.lpad(pg_catalog.to_hex(b), 2, '0')) end, '' order by i)
  from pg_catalog.generate_series(0, pg_catalog.octet_length(string) - 1) i,
       lateral (select pg_catalog.get_byte(pg_catalog.convert_to(string, 'UTF8'), i) b) byte
$$;

create function net._encode_url_with_params_array(url text, params_array text[]) returns text
language sql immutable
set search_path = ''
as $$
  select case when pg_catalog.cardinality(params_array) = 0 then url
    else url || case when url like '%?%' then '&' else '?' end || pg_catalog.array_to_string(params_array, '&') end
$$;

create function net._enqueue(
  p_method text, p_url text, p_params jsonb, p_headers jsonb, p_body bytea, p_timeout integer
) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_id bigint;
  v_params text[];
begin
  select coalesce(
           pg_catalog.array_agg(net._urlencode_string(key) || '=' || coalesce(net._urlencode_string(value), '')), '{}')
    into v_params
    from pg_catalog.jsonb_each_text(p_params);
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
  values (p_method, net._encode_url_with_params_array(p_url, v_params), p_headers, p_body, p_timeout)
  returning id into v_id;
  perform net.wake();
  return v_id;
end
$$;

create function net.http_get(
  url text,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{}'::jsonb,
  timeout_milliseconds integer default 5000
) returns bigint
language sql
set search_path = ''
as $$ select net._enqueue('GET', url, params, headers, null, timeout_milliseconds) $$;

create function net.http_post(
  url text,
  body jsonb default '{}'::jsonb,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{"Content-Type": "application/json"}'::jsonb,
  timeout_milliseconds integer default 5000
) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_content_type text;
begin
  select h.value into v_content_type
    from pg_catalog.jsonb_each_text(coalesce(headers, '{}'::jsonb)) h
   where pg_catalog.lower(h.key) = 'content-type'
   limit 1;
  if v_content_type is null then
    headers := coalesce(headers, '{}'::jsonb) || '{"Content-Type": "application/json"}'::jsonb;
  elsif v_content_type <> 'application/json' then
    raise exception 'Content-Type header must be "application/json"';
  end if;
  return net._enqueue(
    'POST', url, params, headers, pg_catalog.convert_to(body::text, 'UTF8'), timeout_milliseconds
  );
end
$$;

create function net.http_delete(
  url text,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{}'::jsonb,
  timeout_milliseconds integer default 5000,
  body jsonb default null
) returns bigint
language sql
set search_path = ''
as $$
  select net._enqueue(
    'DELETE', url, params, headers, pg_catalog.convert_to(body::text, 'UTF8'), timeout_milliseconds
  )
$$;

create function net._await_response(request_id bigint) returns boolean
language plpgsql
as $$
begin
  while not exists (select from net._http_response r where r.id = request_id) loop
    perform pg_catalog.pg_sleep(0.05);
  end loop;
  return true;
end
$$;

create function net._http_collect_response(request_id bigint, async boolean default true)
returns net.http_response_result
language plpgsql
as $$
declare
  v_row net._http_response;
begin
  if not async then
    perform net._await_response(request_id);
  end if;
  select * into v_row from net._http_response r where r.id = request_id;
  if v_row.id is null or v_row.error_msg is not null then
    return ('ERROR', coalesce(v_row.error_msg, 'request matching request_id not found'), null)::net.http_response_result;
  end if;
  return ('SUCCESS', 'ok', (v_row.status_code, v_row.headers, v_row.content)::net.http_response)::net.http_response_result;
end
$$;

grant usage on schema net to public;
grant all on all sequences in schema net to public;
grant all on all tables in schema net to public;
