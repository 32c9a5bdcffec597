begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

create function pg_temp.become(p_role text, p_user_id uuid default null) returns void
language sql as $$
  select set_config('request.jwt.claim.sub', coalesce(p_user_id::text, ''), true),
    set_config('request.jwt.claims',
      jsonb_strip_nulls(jsonb_build_object('role', p_role, 'sub', p_user_id))::text, true),
    set_config('role', p_role, true);
$$;
grant execute on function pg_temp.become(text, uuid) to public;

select no_plan();

-- Every index serves a query. Small tables are read whole, so that way is closed first. Being executed, these queries
-- also tell the Performance Advisor that the indexes are in use.

set local enable_seqscan to off;

create function pg_temp.plan_names(p_names text, p_query text) returns boolean
language plpgsql as $$
declare
  v_line text;
begin
  for v_line in execute 'explain (analyze, costs off, timing off, summary off) ' || p_query loop
    if v_line ~ format('(using|on) (%s)\M', p_names) then
      return true;
    end if;
  end loop;
  return false;
end;
$$;

-- Which of two indexes is the cheaper one goes by statistics, and those by what other tests left behind. So an index that was
-- passed over is asked again without the table's others, which come back at once.
create function pg_temp.plan_names_without_rivals(p_index text, p_names text, p_query text) returns boolean
language plpgsql as $$
declare
  v_rival record;
  v_found boolean;
begin
  for v_rival in
    select r.indexrelid::regclass as name, r.indrelid::regclass as of, c.conname
    from pg_index i
    join pg_class t on t.oid = i.indrelid and t.relkind = 'r'
    join pg_index r on r.indrelid = i.indrelid and r.indexrelid <> i.indexrelid
    left join pg_constraint c on c.conindid = r.indexrelid and c.contype in ('p', 'u', 'x')
    where i.indexrelid::regclass::text ~ format('(^|\.)%s$', p_index)
  loop
    if v_rival.conname is null then
      execute format('drop index %s', v_rival.name);
    else
      execute format('alter table %s drop constraint %I cascade', v_rival.of, v_rival.conname);
    end if;
  end loop;
  v_found := pg_temp.plan_names(p_names, p_query);
  raise exception using errcode = 'TG001';
exception when sqlstate 'TG001' then
  return v_found;
end;
$$;

create function pg_temp.uses(p_index text, p_query text) returns boolean
language plpgsql as $$
declare
  -- A partitioned index is used by its partitions' names.
  v_names constant text := (
    select string_agg(c.relname, '|') from pg_class c
    where c.relname = p_index
      or c.oid in (select i.inhrelid from pg_inherits i join pg_class p on p.oid = i.inhparent where p.relname = p_index)
  );
begin
  -- A GIN index has no other way than a bitmap.
  if exists (
    select from pg_class c join pg_am m on m.oid = c.relam where c.relname = p_index and m.amname = 'gin'
  ) then
    perform set_config('enable_bitmapscan', 'on', true);
  else
    perform set_config('enable_bitmapscan', 'off', true);
  end if;
  return pg_temp.plan_names(v_names, p_query) or pg_temp.plan_names_without_rivals(p_index, v_names, p_query);
end;
$$;

create temporary table queries (index_name text, query text);
insert into queries values
  ('plan_limits_metric_id_idx', $$select from public.plan_limits where metric_id = 'message'$$),
  ('plan_features_feature_id_idx', $$select from public.plan_features where feature_id = 'team'$$),
  ('prices_plan_id_idx', $$select from public.prices where plan_id = 'pro'$$),
  ('subscriptions_user_id_idx', $$select from public.subscriptions where user_id = gen_random_uuid()$$),
  ('subscriptions_plan_id_idx', $$select from public.subscriptions where plan_id = 'pro'$$),
  ('entitlements_plan_id_idx', $$select from public.entitlements where plan_id = 'pro'$$),
  ('entitlements_subscription_id_idx', $$select from public.entitlements where subscription_id = 'sub_1'$$),
  ('entitlements_grant_id_idx', $$select from public.entitlements where grant_id = 1$$),
  ('entitlements_valid_until_idx',
    $$select from public.entitlements where valid_until <= now() order by valid_until limit 1000$$),
  ('grants_user_id_idx', $$select from billing.grants where user_id = gen_random_uuid()$$),
  ('grants_plan_id_idx', $$select from billing.grants where plan_id = 'pro'$$),
  ('access_log_user_id_at_idx',
    $$select from billing.access_log where user_id = (select gen_random_uuid()) order by at desc limit 1$$),
  ('audit_log_user_id_at_idx', $$select from billing.audit_log where user_id = (select gen_random_uuid()) order by at$$),
  ('audit_log_subject_at_idx', $$select from billing.audit_log where subject = 'x' order by at$$),
  ('access_log_plan_id_idx', $$select from billing.access_log where plan_id = 'pro'$$),
  ('invoices_user_id_stripe_created_at_idx',
    $$select from public.invoices where user_id = (select gen_random_uuid()) order by stripe_created_at desc$$),
  ('sync_state_applied_at_idx',
    $$select from billing.sync_state where applied_at < now() - interval '1 day' order by applied_at limit 10$$),
  ('stripe_events_stripe_customer_id_idx',
    $$select from billing.stripe_events where stripe_customer_id = 'cus_1' and status in ('pending', 'parked')$$),
  ('messages_user_id_conversation_id_created_at_idx',
    $$select from public.messages
      where user_id = (select gen_random_uuid()) and conversation_id = (select gen_random_uuid())
      order by created_at desc limit 50$$),
  ('agents_user_id_idx', $$select from public.agents where user_id = (select gen_random_uuid())$$),
  ('usage_counters_metric_id_idx', $$select used from billing.usage_counters where metric_id = 'no_such_metric'$$),
  ('checkout_attempts_lookup_key_idx',
    $$select from billing.checkout_attempts where lookup_key = 'pro_monthly'$$),
  ('stripe_events_next_attempt_at_idx',
    $$select from billing.stripe_events where status = 'pending' and next_attempt_at <= now()
      order by next_attempt_at limit 10$$),
  ('stripe_events_customer_payload_idx',
    $$select from billing.stripe_events where stripe_customer_id = 'cus_1' and payload is not null$$),
  ('stripe_events_account_payload_idx',
    $$select from billing.stripe_events where stripe_account_id = 'acct_1' and payload is not null$$),
  ('stripe_events_purchase_payload_idx',
    $$select from billing.stripe_events where purchase_id = 'a0000000-0000-4000-8000-000000000001' and payload is not null$$),
  ('deletions_next_attempt_at_idx',
    $$select from billing.deletions where finished_at is null and next_attempt_at <= now() order by next_attempt_at limit 10$$),
  ('stripe_events_received_at_idx',
    $$select from billing.stripe_events
      where payload is not null and received_at < now() - interval '90 days'$$),
  ('overage_prices_metric_id_idx', $$select from public.overage_prices where metric_id = 'message'$$),
  ('notifications_metric_id_idx', $$select from public.notifications where metric_id = 'no_such_metric'$$),
  ('notifications_created_at_idx',
    $$select from public.notifications where created_at < now() - interval '13 months'$$),
  ('notifications_unsent_idx',
    $$select id from public.notifications
      where sent_at is null and read_at is null and created_at > now() - interval '1 day'$$),
  ('notification_emails_next_attempt_at_idx',
    $$select notification_id from billing.notification_emails where parked_at is null and next_attempt_at <= now()$$),
  ('usage_days_metric_id_idx', $$select from billing.usage_days where metric_id = 'message'$$),
  ('usage_days_day_idx', $$select from billing.usage_days where day < current_date - 400$$),
  ('metered_items_user_id_idx', $$select from billing.metered_items where user_id = gen_random_uuid()$$),
  ('metered_items_subscription_id_idx',
    $$select from billing.metered_items where subscription_id = 'sub_1'$$),
  ('metered_items_metric_id_idx', $$select from billing.metered_items where metric_id = 'message'$$),
  ('overage_usage_waiting_idx',
    $$select from billing.overage_usage where waiting
      order by period_start, stripe_customer_id, metric_id limit 10$$),
  ('overage_usage_user_id_period_start_idx',
    $$select from billing.overage_usage where user_id = (select gen_random_uuid()) and period_start = now()$$),
  ('overage_usage_metric_id_idx', $$select from billing.overage_usage where metric_id = 'message'$$),
  ('usage_requests_metric_id_idx', $$select from billing.usage_requests where metric_id = 'tool'$$),
  ('usage_requests_created_at_idx',
    $$select from billing.usage_requests where created_at < now() - interval '2 days'$$),
  ('usage_outbox_pending_idx',
    $$select distinct on (stripe_customer_id, meter_event_name) id from billing.usage_outbox
      where status = 'pending' order by stripe_customer_id, meter_event_name, id$$),
  ('usage_outbox_ledger_idx',
    $$select from billing.usage_outbox
      where stripe_customer_id = 'cus_1' and metric_id = 'message' and period_start = '2026-11-01'$$),
  ('usage_outbox_user_id_idx', $$select from billing.usage_outbox where user_id = gen_random_uuid()$$),
  ('credit_grants_user_id_idx', $$select from public.credit_grants where user_id = (select gen_random_uuid())$$),
  ('usage_checks_stripe_customer_id_idx',
    $$select from billing.usage_checks where stripe_customer_id = 'cus_1' and metric_id = 'message'
      order by period_start$$),
  ('usage_checks_user_id_idx', $$select from billing.usage_checks where user_id = gen_random_uuid()$$),
  ('usage_checks_metric_id_idx', $$select from billing.usage_checks where metric_id = 'message'$$),
  ('quota_gates_metric_id_idx', $$select from billing.quota_gates where metric_id = 'message'$$),
  ('listings_seller_id_idx', $$select from public.listings where seller_id = gen_random_uuid()$$),
  ('listings_agent_id_idx', $$select from public.listings where agent_id = gen_random_uuid()$$),
  ('listings_currency_idx', $$select from public.listings where currency = 'usd'$$),
  ('listings_grants_metric_id_idx', $$select from public.listings where grants_metric_id = 'agent'$$),
  ('listings_published_at_idx',
    $$select from public.listings where status = 'published' order by published_at desc limit 24$$),
  ('listings_search_idx', $$select from public.listings where search @@ 'lawyer:*'::tsquery$$),
  ('payouts_seller_id_created_at_idx',
    $$select from billing.payouts where seller_id = (select gen_random_uuid()) order by created_at desc limit 200$$),
  ('purchases_buyer_id_created_at_idx',
    $$select from public.purchases where buyer_id = (select gen_random_uuid()) order by created_at desc$$),
  ('purchases_credit_pack_buyer_id_idx',
    $$select from public.purchases where buyer_id = (select gen_random_uuid()) and credit_pack = 'credits_10' and holds$$),
  ('purchases_listing_id_idx', $$select from public.purchases where listing_id = gen_random_uuid()$$),
  ('purchases_seller_id_idx', $$select from public.purchases where seller_id = (select gen_random_uuid())$$),
  ('purchases_charge_id_idx', $$select from public.purchases where charge_id = 'ch_1'$$),
  ('purchases_due_at_idx',
    $$select from public.purchases where due_at <= now() order by due_at limit 10$$),
  ('purchase_charges_purchase_id_created_at_idx',
    $$select from billing.purchase_charges where purchase_id = (select gen_random_uuid())
      order by created_at desc limit 1$$),
  ('purchase_refunds_charge_id_idx', $$select from billing.purchase_refunds where charge_id = 'ch_1'$$),
  ('purchase_refunds_purchase_id_idx', $$select from billing.purchase_refunds where purchase_id = gen_random_uuid()$$),
  ('purchase_disputes_charge_id_idx', $$select from billing.purchase_disputes where charge_id = 'ch_1'$$),
  ('purchase_disputes_purchase_id_idx', $$select from billing.purchase_disputes where purchase_id = gen_random_uuid()$$),
  ('purchase_disputes_next_attempt_at_idx',
    $$select from billing.purchase_disputes where next_attempt_at <= now() order by next_attempt_at limit 10$$),
  ('licences_user_id_idx', $$select status from public.licences where user_id = (select gen_random_uuid())$$),
  ('licences_listing_id_idx', $$select from public.licences where listing_id = gen_random_uuid()$$),
  ('agents_source_listing_id_idx', $$select from public.agents where source_listing_id = gen_random_uuid()$$),
  ('conversations_agent_id_idx', $$select from public.conversations where agent_id = gen_random_uuid()$$),
  ('conversations_listing_id_idx', $$select from public.conversations where listing_id = gen_random_uuid()$$),
  ('ledger_accounts_seller_id_idx', $$select from billing.ledger_accounts where seller_id = gen_random_uuid()$$),
  ('ledger_transactions_purchase_id_idx',
    $$select from billing.ledger_transactions where purchase_id = gen_random_uuid()$$),
  ('ledger_transactions_seller_id_occurred_at_idx',
    $$select from billing.ledger_transactions where seller_id = (select gen_random_uuid()) and occurred_at > now()$$),
  ('ledger_transactions_charge_id_idx', $$select from billing.ledger_transactions where charge_id = 'ch_1'$$),
  ('ledger_entries_transaction_id_idx', $$select from billing.ledger_entries where transaction_id = 1$$),
  ('ledger_entries_account_id_idx', $$select from billing.ledger_entries where account_id = 1$$),
  ('refund_requests_charge_id_idx', $$select from billing.refund_requests where charge_id = 'ch_1'$$),
  ('refund_requests_purchase_id_idx', $$select from billing.refund_requests where purchase_id = gen_random_uuid()$$),
  ('refund_requests_next_attempt_at_idx',
    $$select from billing.refund_requests where status = 'pending' and next_attempt_at <= now()
      order by next_attempt_at limit 10$$),
  ('ledger_checks_run_at_idx', $$select from billing.ledger_checks where run_at < now() - interval '13 months'$$),
  ('stripe_events_purchase_id_idx',
    $$select from billing.stripe_events where purchase_id = (select gen_random_uuid()) and status in ('pending', 'parked')$$),
  ('stripe_events_stripe_account_id_idx',
    $$select from billing.stripe_events where stripe_account_id = 'acct_1' and status in ('pending', 'parked')$$),
  ('usage_checks_run_at_idx', $$select from billing.usage_checks where run_at < now() - interval '13 months'$$),
  ('stripe_events_pending_received_at_idx',
    $$select received_at from billing.stripe_events where status = 'pending' order by received_at limit 1000$$),
  ('stripe_events_parked_received_at_idx',
    $$select received_at from billing.stripe_events where status = 'parked' order by received_at limit 1000$$),
  ('problems_open_idx',
    $$select kind from billing.problems where resolved_at is null and kind > 'a' order by kind limit 1$$),
  ('usage_outbox_pending_created_at_idx', $$select min(created_at) from billing.usage_outbox where status = 'pending'$$),
  ('usage_outbox_parked_created_at_idx',
    $$select created_at from billing.usage_outbox where status = 'parked' order by created_at limit 1000$$),
  -- By time as well; where the table is empty the whole index by time is as cheap.
  ('usage_checks_drift_run_at_idx', $$select from billing.usage_checks where verdict = 'drift'$$),
  ('ledger_checks_drift_run_at_idx', $$select from billing.ledger_checks where drift_minor <> 0$$),
  ('ledger_checks_subject_run_at_idx',
    $$select from billing.ledger_checks where subject = 'acct_1:balance' and currency = 'usd' and run_at >= now()$$),
  ('purchase_disputes_evidence_due_by_idx',
    $$select from billing.purchase_disputes where status in ('needs_response', 'warning_needs_response')
      and evidence_due_by < now() + interval '3 days' order by evidence_due_by limit 1000$$),
  ('purchase_disputes_work_idx',
    $$select from billing.purchase_disputes
      where (transfer_state = 'none' and status in ('needs_response', 'under_review', 'lost'))
        or (transfer_state = 'reversed' and status = 'won' and reversed_minor > 0)$$),
  ('refund_requests_pending_created_at_idx', $$select min(created_at) from billing.refund_requests where status = 'pending'$$),
  ('notification_emails_queued_at_idx', $$select min(queued_at) from billing.notification_emails where parked_at is null$$),
  ('notification_emails_parked_at_idx',
    $$select from billing.notification_emails where parked_at is not null order by parked_at limit 1000$$),
  ('held_usage_metric_id_idx', $$select from billing.held_usage where metric_id = 'message'$$),
  ('deletions_requested_at_idx', $$select min(requested_at) from billing.deletions where finished_at is null$$);

select ok(pg_temp.uses(index_name, query), index_name || ' serves its query') from queries;

select is_empty(
  $$select i.indexrelid::regclass from pg_index i
    join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace
    where n.nspname in ('public', 'billing') and not i.indisunique and not i.indisexclusion
      and not exists (
        select from queries q join pg_class c on c.relname = q.index_name where c.oid = i.indexrelid
      )$$,
  'there is no index without a query above'
);

-- The gate's update of a counter must not write to any index.
select is_empty(
  $$select a.attname from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
    where i.indrelid = 'billing.usage_counters'::regclass
      and a.attname in
        ('used', 'period_day', 'allowance', 'valid_until', 'overage', 'overage_minor', 'fast_until')$$,
  'no index holds a column of a counter that changes'
);

select * from finish();
rollback;
