-- A customer that reconcile cannot sync is told to an operator and goes to the end of the queue, so that those behind it get
-- their turn in every run.

create function public.reconcile_failed(p_run bigint, p_stripe_customer_id text, p_reason text) returns void
language plpgsql
-- Definer: see public.begin_reconcile().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_reason <> '', 'p_reason is missing');
  update billing.reconcile_queue q set queued_at = clock_timestamp()
  where q.stripe_customer_id = p_stripe_customer_id;
  update billing.reconcile_runs r set leased_until = now() + interval '3 minutes' where r.id = p_run;
  perform billing.report_problem(
    'reconcile_failed', p_stripe_customer_id, jsonb_build_object('run', p_run, 'reason', p_reason)
  );
end;
$$;

comment on function public.reconcile_failed(bigint, text, text) is
  'This customer could not be synced: a problem for an operator, and tried again after all the others.';

create or replace function public.reconciled(p_run bigint, p_stripe_customer_id text) returns void
language sql
-- Definer: see public.begin_reconcile().
security definer
set search_path = ''
as $$
  delete from billing.reconcile_queue q where q.stripe_customer_id = p_stripe_customer_id;
  update billing.problems p set resolved_at = now()
  where p.kind = 'reconcile_failed' and p.subject = p_stripe_customer_id and p.resolved_at is null;
  update billing.reconcile_runs r
  set customers = r.customers + 1, leased_until = now() + interval '3 minutes'
  where r.id = p_run;
$$;

revoke all on function public.reconcile_failed(bigint, text, text) from public, anon, authenticated, service_role;
grant execute on function public.reconcile_failed(bigint, text, text) to service_role;
