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

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

select no_plan();

-- What anon, authenticated and service_role may do with every table, column and function there is.

create function pg_temp.privileges(p_role text) returns table (line text)
language sql as $$
  select format('%s.%s %s', n.nspname, c.relname, string_agg(lower(p.name), ',' order by p.name))
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
    as p (name)
  where n.nspname in ('public', 'billing') and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and has_table_privilege(p_role, c.oid, p.name)
  group by n.nspname, c.relname
  order by n.nspname, c.relname;
$$;

create function pg_temp.column_privileges(p_role text) returns table (line text)
language sql as $$
  select format('%s.%s %s(%s)', n.nspname, c.relname, lower(p.name), string_agg(a.attname, ',' order by a.attname))
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  cross join unnest(array['INSERT', 'UPDATE']) as p (name)
  where n.nspname in ('public', 'billing') and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and has_column_privilege(p_role, c.oid, a.attnum, p.name)
  group by n.nspname, c.relname, p.name
  order by n.nspname, c.relname, p.name;
$$;

create function pg_temp.executable(p_role text) returns table (line text)
language sql as $$
  select format('%s.%s', n.nspname, f.proname)
  from pg_proc f join pg_namespace n on n.oid = f.pronamespace
  where n.nspname in ('public', 'billing') and has_function_privilege(p_role, f.oid, 'EXECUTE')
  order by 1;
$$;

select results_eq(
  $$select * from pg_temp.privileges('anon')$$,
  array['public.credit_pack_currency_options select', 'public.credit_packs select', 'public.features select',
    'public.listing_pictures select', 'public.listings select', 'public.marketplace_currencies select',
    'public.metrics select',
    'public.overage_price_currency_options select', 'public.overage_prices select',
    'public.plan_features select', 'public.plan_limits select', 'public.plans select', 'public.price_currency_options select',
    'public.prices select'],
  'anon reads the catalogue, and what is offered, and nothing else'
);
select is_empty(
  $$select * from pg_temp.column_privileges('anon')$$, 'anon writes no column of any table'
);
select results_eq(
  $$select * from pg_temp.executable('anon')$$, array['public.search_listings'],
  'anon searches what is offered, of which everybody reads everything, and executes no other function'
);

select results_eq(
  $$select * from pg_temp.privileges('authenticated')$$,
  array['billing.access_statuses select', 'billing.usage_counters select', 'public.agents delete,select',
    'public.conversations delete,select', 'public.credit_balances select', 'public.credit_grants select',
    'public.credit_pack_currency_options select', 'public.credit_packs select', 'public.customers select',
    'public.entitlements select', 'public.features select', 'public.invoices select', 'public.licences select',
    'public.listing_definitions select', 'public.listing_pictures delete,select', 'public.listings delete,select',
    'public.marketplace_currencies select', 'public.messages delete,select',
    'public.metrics select', 'public.notifications select', 'public.overage_price_currency_options select',
    'public.overage_prices select', 'public.plan_features select', 'public.plan_limits select',
    'public.plans select', 'public.price_currency_options select', 'public.prices select',
    'public.sellers select', 'public.subscriptions select'],
  'a signed-in person reads, and deletes their own chat'
);
select results_eq(
  $$select * from pg_temp.column_privileges('authenticated')$$,
  array['public.agents insert(id,instructions,name)', 'public.agents update(instructions,name)',
    'public.conversations insert(agent_id,id,listing_id,title)', 'public.conversations update(title)',
    'public.listing_pictures insert(data,listing_id)', 'public.listing_pictures update(data,listing_id)',
    'public.listings insert(agent_id,category,currency,description,id,kind,price_minor,title)',
    'public.listings update(agent_id,currency,description,kind,price_minor,title)',
    'public.messages insert(content,conversation_id,id,role)'],
  'a signed-in person sets no owner, no time and nothing of billing'
);
select results_eq(
  $$select a.attname::text collate "default" from pg_attribute a
    where a.attrelid = 'public.purchases'::regclass and a.attnum > 0 and not a.attisdropped
      and has_column_privilege('authenticated', a.attrelid, a.attnum, 'SELECT') order by 1$$,
  array['amount_minor', 'buyer_id', 'cancel_at_period_end', 'created_at', 'currency', 'current_period_end', 'id', 'kind',
    'listing_id', 'paid_at', 'receipt_url', 'refunded_minor', 'status', 'title', 'updated_at'],
  'of a purchase nobody reads Stripe''s ids'
);
select results_eq(
  $$select * from pg_temp.executable('authenticated')$$,
  array['billing.grace_period', 'billing.has_licence', 'billing.is_listing_seller', 'billing.my_add_on',
    'billing.my_payment_problem', 'billing.my_seller_id', 'public.clone_listing', 'public.discard_copies',
    'public.mark_notifications_read', 'public.my_data', 'public.my_earnings', 'public.my_entitlements', 'public.my_library',
    'public.my_notification_emails', 'public.my_overage', 'public.my_payouts', 'public.my_sales',
    'public.my_seller', 'public.my_usage', 'public.publish_listing', 'public.search_listings',
    'public.set_notification_emails', 'public.set_overage', 'public.usage_history', 'public.withdraw_listing'],
  'a signed-in person executes the functions about themselves'
);

select results_eq(
  $$select * from pg_temp.privileges('service_role')$$,
  array['public.agents delete,insert,select,update', 'public.conversations delete,insert,select,update',
    'public.credit_balances select', 'public.credit_grants select', 'public.credit_pack_currency_options select',
    'public.credit_packs select', 'public.customers select', 'public.entitlements select', 'public.features select',
    'public.invoices select', 'public.licences select', 'public.listing_definitions select',
    'public.listing_pictures select', 'public.listings select', 'public.marketplace_currencies select',
    'public.messages delete,insert,select', 'public.metrics select',
    'public.notifications select', 'public.overage_price_currency_options select',
    'public.overage_prices select', 'public.plan_features select',
    'public.plan_limits select', 'public.plans select', 'public.price_currency_options select',
    'public.prices select', 'public.purchases select', 'public.sellers select', 'public.subscriptions select'],
  'the secret key writes the chat, and reads billing without writing it'
);
select results_eq(
  $$select * from pg_temp.executable('service_role')$$,
  array['public.apply_customer_snapshot', 'public.apply_purchase_snapshot', 'public.apply_seller_snapshot',
    'public.begin_checkout', 'public.begin_plan_change', 'public.begin_purchase', 'public.begin_reconcile',
    'public.begin_seller', 'public.begin_sync', 'public.checkout_terms', 'public.claim_usage',
    'public.close_checkout', 'public.compare_customer_snapshot', 'public.consume_usage', 'public.continue_sync',
    'public.customers_after', 'public.customers_without_metered_items', 'public.deletion_failed',
    'public.deletion_waits', 'public.dispute_work',
    'public.due_purchases', 'public.due_stripe_events', 'public.end_plan_change', 'public.end_purchase_attempt',
    'public.end_reconcile', 'public.end_sync', 'public.erase_person', 'public.fail_stripe_event', 'public.find_purchase',
    'public.finish_stripe_event', 'public.is_current_checkout', 'public.lease_deletions',
    'public.lease_notifications',
    'public.lease_refunds', 'public.lease_usage', 'public.link_customer', 'public.link_seller_account',
    'public.mirrored_subscriptions', 'public.move_usage_check', 'public.next_reconcile_customers', 'public.next_sync_token',
    'public.note_deletion_step', 'public.note_dispute_work', 'public.note_ledger_check', 'public.note_purchase_session',
    'public.note_reconcile_page', 'public.note_usage_check', 'public.notification_failed',
    'public.notification_sent', 'public.platform_ledger', 'public.purchase_terms', 'public.purchases_of_buyer',
    'public.receive_stripe_event',
    'public.reconcile_failed', 'public.reconciled', 'public.refund_failed', 'public.refund_sent',
    'public.relink_customer', 'public.remove_chat', 'public.report_email_setup', 'public.request_deletion', 'public.seller_ledger', 'public.seller_of_account',
    'public.unsettled_purchases', 'public.usage_check_cursor', 'public.usage_failed', 'public.usage_parked',
    'public.usage_rejected',
    'public.usage_sent', 'public.usage_sums', 'public.wanted_metered_items'],
  'the secret key executes what the functions need'
);

select is_empty(
  $$select s.relname from pg_class s join pg_namespace n on n.oid = s.relnamespace
    cross join unnest(array['anon', 'authenticated', 'service_role']) r (name)
    where s.relkind = 'S' and n.nspname in ('public', 'billing')
      and has_sequence_privilege(r.name, s.oid, 'USAGE, SELECT, UPDATE')$$,
  'no sequence is open to anybody'
);
select ok(not has_schema_privilege('anon', 'billing', 'USAGE'), 'anon has no way into billing');
select ok(not has_schema_privilege('service_role', 'billing', 'USAGE'), 'nor has the secret key');
select ok(
  not has_schema_privilege('authenticated', 'billing', 'CREATE')
    and not has_schema_privilege('anon', 'public', 'CREATE')
    and not has_schema_privilege('authenticated', 'public', 'CREATE'),
  'nobody creates objects'
);

select is_empty(
  $$select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'billing') and c.relkind in ('r', 'p') and not c.relrowsecurity$$,
  'every table has row level security'
);
select is_empty(
  $$select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'billing') and c.relkind in ('r', 'p')
      and obj_description(c.oid, 'pg_class') is null$$,
  'every table says what it is for'
);
select is_empty(
  $$select f.oid::regprocedure from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    where n.nspname in ('public', 'billing') and obj_description(f.oid, 'pg_proc') is null$$,
  'every function says what it does'
);
select is_empty(
  $$select f.oid::regprocedure from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    where n.nspname in ('public', 'billing')
      and not coalesce('search_path=""' = any (f.proconfig), false)$$,
  'every function has an empty search path'
);

-- What a later migration forgets is closed.
create table public.forgotten (id integer);
create function public.forgotten() returns integer language sql as 'select 1';
create function billing.forgotten() returns integer language sql as 'select 1';
select is_empty(
  $$select r.name from unnest(array['anon', 'authenticated', 'service_role']) r (name)
    where has_table_privilege(r.name, 'public.forgotten', 'SELECT, INSERT, UPDATE, DELETE')
      or has_function_privilege(r.name, 'public.forgotten()', 'EXECUTE')
      or has_function_privilege(r.name, 'billing.forgotten()', 'EXECUTE')$$,
  'a new table or function is closed until somebody opens it'
);

select * from finish();
rollback;
