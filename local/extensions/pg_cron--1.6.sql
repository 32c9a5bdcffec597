-- A stand-in for pg_cron 1.6 in plain SQL. Tables, functions, grants and row security are the real ones; the background worker
-- is local/cron.ts, woken by the notification below.

create schema cron;

create sequence cron.jobid_seq;
create table cron.job (
  jobid bigint primary key default nextval('cron.jobid_seq'),
  schedule text not null,
  command text not null,
  nodename text not null default 'localhost',
  nodeport integer not null default coalesce(inet_server_port(), current_setting('port')::integer),
  database text not null default current_database(),
  username text not null default current_user,
  active boolean not null default true,
  jobname text,
  constraint jobname_username_uniq unique (jobname, username)
);
grant select on cron.job to public;
alter table cron.job enable row level security;
create policy cron_job_policy on cron.job using (username = current_user);

create sequence cron.runid_seq;
create table cron.job_run_details (
  jobid bigint,
  runid bigint primary key default nextval('cron.runid_seq'),
  job_pid integer,
  database text,
  username text,
  command text,
  status text,
  return_message text,
  start_time timestamptz,
  end_time timestamptz
);
grant select on cron.job_run_details to public;
grant delete on cron.job_run_details to public;
alter table cron.job_run_details enable row level security;
create policy cron_job_run_details_policy on cron.job_run_details using (username = current_user);

create function cron.job_cache_invalidate() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform pg_catalog.pg_notify('tollgate_cron', '');
  return null;
end
$$;
create trigger cron_job_cache_invalidate
  after insert or update or delete or truncate on cron.job
  for each statement execute function cron.job_cache_invalidate();

-- pg_cron's own parser is C; this accepts the same forms: five fields, "1-59 seconds" and the @names.
create function cron._check_schedule(schedule text) returns void
language plpgsql
set search_path = ''
as $$
begin
  if schedule ~* '^\s*@(yearly|annually|monthly|weekly|daily|midnight|hourly|reboot)\s*$'
     or schedule ~* '^\s*([1-9]|[1-5][0-9])\s+seconds?\s*$'
     or schedule ~* '^\s*([-0-9*/,]+)(\s+[-0-9*/,]+)(\s+[-0-9*/,$]+)(\s+[-0-9a-z*/,]+)(\s+[-0-9a-z*/,]+)\s*$' then
    return;
  end if;
  raise exception 'invalid schedule: %', schedule
    using hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
end
$$;

-- The tables belong to the superuser, so writing them is a definer's work. Who asks comes from the invoker's wrappers below and
-- is believed only for a role the session may take anyway.
create function cron._write_job(
  p_caller name, p_name text, p_schedule text, p_command text, p_database text, p_username text, p_active boolean
) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_username text := coalesce(p_username, p_caller);
  v_jobid bigint;
begin
  if not pg_catalog.pg_has_role(session_user, p_caller, 'member')
     or not pg_catalog.pg_has_role(p_caller, v_username, 'member') then
    raise exception 'must be superuser to create a job for another role';
  end if;
  perform cron._check_schedule(p_schedule);
  insert into cron.job as j (jobname, schedule, command, database, username, active)
  values (
    p_name, p_schedule, p_command, coalesce(p_database, pg_catalog.current_database()), v_username,
    coalesce(p_active, true)
  )
  on conflict on constraint jobname_username_uniq do update
    set schedule = excluded.schedule, command = excluded.command,
        database = excluded.database, active = excluded.active
  returning j.jobid into v_jobid;
  return v_jobid;
end
$$;

create function cron.schedule(schedule text, command text) returns bigint
language sql strict
set search_path = ''
as $$ select cron._write_job(current_user, null, schedule, command, null, null, true) $$;
comment on function cron.schedule(text, text) is 'schedule a pg_cron job';

create function cron.schedule(job_name text, schedule text, command text) returns bigint
language sql
set search_path = ''
as $$ select cron._write_job(current_user, job_name, schedule, command, null, null, true) $$;
comment on function cron.schedule(text, text, text) is 'schedule a pg_cron job';

create function cron.schedule_in_database(
  job_name text, schedule text, command text, database text, username text default null, active boolean default true
) returns bigint
language sql
set search_path = ''
as $$ select cron._write_job(current_user, job_name, schedule, command, database, username, active) $$;
comment on function cron.schedule_in_database(text, text, text, text, text, boolean) is 'schedule a pg_cron job';

create function cron._delete_job(p_caller name, p_jobid bigint, p_name text) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  if not pg_catalog.pg_has_role(session_user, p_caller, 'member') then
    raise exception 'permission denied for role %', p_caller;
  end if;
  delete from cron.job j
   where j.username = p_caller and (j.jobid = p_jobid or j.jobname = p_name);
  if not found then
    raise exception 'could not find valid entry for job %', coalesce(p_jobid::text, pg_catalog.quote_literal(p_name));
  end if;
  return true;
end
$$;

create function cron.unschedule(job_id bigint) returns boolean
language sql strict
set search_path = ''
as $$ select cron._delete_job(current_user, job_id, null) $$;
comment on function cron.unschedule(bigint) is 'unschedule a pg_cron job';

create function cron.unschedule(job_name text) returns boolean
language sql strict
set search_path = ''
as $$ select cron._delete_job(current_user, null, job_name) $$;
comment on function cron.unschedule(text) is 'unschedule a pg_cron job';

create function cron._alter_job(
  p_caller name, p_jobid bigint, p_schedule text, p_command text, p_database text, p_username text, p_active boolean
) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  if not pg_catalog.pg_has_role(session_user, p_caller, 'member')
     or (p_username is not null and not pg_catalog.pg_has_role(p_caller, p_username, 'member')) then
    raise exception 'must be superuser to alter username';
  end if;
  if p_schedule is not null then
    perform cron._check_schedule(p_schedule);
  end if;
  update cron.job j
     set schedule = coalesce(p_schedule, j.schedule), command = coalesce(p_command, j.command),
         database = coalesce(p_database, j.database), username = coalesce(p_username, j.username),
         active = coalesce(p_active, j.active)
   where j.jobid = p_jobid and j.username = p_caller;
  if not found then
    raise exception 'Job % does not exist or you don''t own it', p_jobid;
  end if;
end
$$;

create function cron.alter_job(
  job_id bigint, schedule text default null, command text default null, database text default null,
  username text default null, active boolean default null
) returns void
language sql
set search_path = ''
as $$ select cron._alter_job(current_user, job_id, schedule, command, database, username, active) $$;
comment on function cron.alter_job(bigint, text, text, text, text, boolean)
  is 'Alter the job identified by job_id. Any option left as NULL will not be modified.';

select pg_catalog.pg_extension_config_dump('cron.job', '');
select pg_catalog.pg_extension_config_dump('cron.jobid_seq', '');
select pg_catalog.pg_extension_config_dump('cron.job_run_details', '');
select pg_catalog.pg_extension_config_dump('cron.runid_seq', '');

-- What Supabase grants when the extension is created there.
do $$
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'postgres') then
    grant usage on schema cron to postgres with grant option;
    grant all on all functions in schema cron to postgres with grant option;
    grant all on all tables in schema cron to postgres with grant option;
    revoke all on table cron.job from postgres;
    grant select on table cron.job to postgres with grant option;
  end if;
end
$$;
