-- pg_cron wakes the scheduled functions by pg_net. pg_net may lose a request and keeps answers for hours
-- only, so it is an alarm clock: the work itself waits in the inbox.
--
-- A hosted project may have these extensions already, hence "if not exists".

create extension if not exists pg_cron with schema pg_catalog;
create extension if not exists pg_net with schema extensions;
create extension if not exists supabase_vault;

create function billing.call_function(p_name text) returns bigint
language plpgsql
-- Invoker: only the owner of the jobs may read the Vault.
set search_path = ''
as $$
declare
  v_url text;
  v_key text;
  v_request_id bigint;
begin
  select max(s.decrypted_secret) filter (where s.name = 'project_url'),
    max(s.decrypted_secret) filter (where s.name = 'secret_key')
  into v_url, v_key
  from vault.decrypted_secrets s
  where s.name in ('project_url', 'secret_key');
  if v_url is null or v_key is null then
    -- Not an exception: a project without the secrets is not broken, it is not set up.
    perform billing.report_problem('missing_vault_secret', p_name, jsonb_build_object(
      'project_url', v_url is not null, 'secret_key', v_key is not null
    ));
    return null;
  end if;
  select net.http_post(
    url := rtrim(v_url, '/') || '/functions/v1/' || p_name,
    body := '{}'::jsonb,
    headers := jsonb_build_object('Content-Type', 'application/json', 'apikey', v_key),
    timeout_milliseconds := 55000
  ) into v_request_id;
  update billing.problems p set resolved_at = now()
  where p.kind = 'missing_vault_secret' and p.subject = p_name and p.resolved_at is null;
  return v_request_id;
end;
$$;

comment on function billing.call_function(text) is
  'Posts {} to an Edge Function with the secret key; URL and key come from the Vault (project_url, '
  'secret_key). Returns pg_net''s request id, or null and a row in billing.problems without the secrets.';

revoke all on function billing.call_function(text) from public, anon, authenticated, service_role;

select cron.schedule(
  'tollgate-drain-events', '* * * * *', $$select billing.call_function('events-drain')$$
);
select cron.schedule(
  'tollgate-prune-events', '17 3 * * *', $$select billing.prune_stripe_events()$$
);
