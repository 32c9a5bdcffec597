-- Two corrections.
--
-- Of two requests for different prices at the same moment one could be handed the other's attempt: the number was read
-- by a statement after the one that decided. Now one statement decides and answers.
-- And the history of the scheduled jobs grew without end.

create or replace function public.begin_checkout(p_user_id uuid, p_lookup_key text) returns bigint
language plpgsql
-- Definer: the secret key may begin an attempt but not write the table.
security definer
set search_path = ''
as $$
declare
  v_attempt bigint;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  if not exists (select from public.prices p where p.lookup_key = p_lookup_key and p.is_active) then
    perform billing.raise_http(404, 'price_not_found', 'There is no such price.');
  end if;
  -- 23 hours: Stripe remembers an idempotency key for 24, and a Checkout session lives as long.
  insert into billing.checkout_attempts as a (user_id, attempt, lookup_key)
  values (p_user_id, 1, p_lookup_key)
  on conflict (user_id) do update set (attempt, lookup_key, started_at, closed_at) = (
    select case when b.is_spent then a.attempt + 1 else a.attempt end,
      excluded.lookup_key,
      case when b.is_spent then now() else a.started_at end,
      null::timestamptz
    from (
      select a.lookup_key <> excluded.lookup_key
        or a.closed_at is not null
        or a.started_at <= now() - interval '23 hours'
    ) b (is_spent)
  )
  returning a.attempt into v_attempt;
  return v_attempt;
end;
$$;

create function billing.prune_job_history() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_pruned bigint;
begin
  delete from cron.job_run_details d where d.end_time < now() - interval '14 days';
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$$;

comment on function billing.prune_job_history() is
  'Forgets runs of scheduled jobs after 14 days: pg_cron keeps them for ever, and every minute adds some.';

revoke all on function billing.prune_job_history() from public, anon, authenticated, service_role;

select cron.schedule(
  'tollgate-prune-job-history', '37 3 * * *', $$select billing.prune_job_history()$$
);
