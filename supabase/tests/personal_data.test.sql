begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

select no_plan();

-- Every table that leads to a person: by a column that names one, or by a foreign key to a table that does. A table that a later
-- migration makes is in here by itself, and the test fails until somebody has said what an export tells of it and what becomes of
-- it when the person goes.
create temporary view people_columns as
select c.oid as table, format('%s.%s', n.nspname, c.relname) as name, a.attname::text as "column", a.attnum
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname in ('public', 'billing') and c.relkind in ('r', 'p', 'm')
  and (
    a.attname ~ '(^|_)(user|buyer|owner|person|people|member|creator|author|recipient|invitee|customer|stripe_account)(_id)?$'
    or a.attname ~ '(^|_)(on_behalf_of|email|e_mail|phone|ip|address|display_name|first_name|last_name|full_name|birthday)(_|$)'
    -- A page at Stripe shows whose it is.
    or a.attname ~ '_(url|pdf)$'
  );

create temporary view people_tables as
with recursive reached as (
  select p.table from people_columns p
  union
  select k.conrelid from pg_constraint k
  where k.contype = 'f' and k.confrelid in ('auth.users'::regclass, 'public.customers'::regclass)
  union
  -- Rows of a listing or of the catalogue are about the listing; what hangs on a person's own rows is about the person.
  select k.conrelid from pg_constraint k join reached r on r.table = k.confrelid
  where k.contype = 'f'
)
select distinct format('%s.%s', n.nspname, c.relname) as name
from reached r join pg_class c on c.oid = r.table join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'billing');

create temporary table told (name text primary key, section text, left_out text);
insert into told (name, section, left_out) values
  ('billing.access_log', 'access_log', null),
  ('billing.audit_log', 'audit_log', null),
  ('billing.checkout_attempts', 'checkout_attempts', null),
  ('billing.deletions', 'deletion', null),
  ('billing.grants', 'grants', null),
  ('billing.ledger_accounts', 'earnings', null),
  ('billing.ledger_entries', 'earnings', null),
  ('billing.ledger_transactions', 'earnings', null),
  ('billing.metered_items', 'metered_items', null),
  ('billing.notification_emails', 'notification_emails', null),
  ('billing.notification_optouts', 'notification_optouts', null),
  ('billing.overage_accounts', 'overage_accounts', null),
  ('billing.overage_usage', 'overage_usage', null),
  ('billing.payouts', 'payouts', null),
  ('billing.purchase_charges', 'charges', null),
  ('billing.purchase_disputes', 'disputes', null),
  ('billing.purchase_refunds', 'refunds', null),
  ('billing.refund_requests', 'refund_requests', null),
  ('billing.stripe_events', 'stripe_events', null),
  ('billing.trial_uses', 'trial_uses', null),
  ('billing.usage_checks', 'usage_checks', null),
  ('billing.usage_counters', 'usage_counters', null),
  ('billing.usage_days', 'usage_days', null),
  ('billing.usage_outbox', 'usage_outbox', null),
  ('billing.usage_requests', 'usage_requests', null),
  ('public.agents', 'agents', null),
  ('public.conversations', 'conversations', null),
  ('public.credit_balances', 'credit_balances', null),
  ('public.credit_grants', 'credit_grants', null),
  ('public.customers', 'customers', null),
  ('public.entitlements', 'entitlements', null),
  ('public.invoices', 'invoices', null),
  ('public.licences', 'licences', null),
  ('public.listing_definitions', 'listings', null),
  ('public.listing_pictures', 'listings', null),
  ('public.listings', 'listings', null),
  ('public.messages', 'messages', null),
  ('public.notifications', 'notifications', null),
  ('public.purchases', 'purchases', null),
  ('public.sellers', 'sellers', null),
  ('public.subscriptions', 'subscriptions', null),
  ('billing.drifts', null, 'what our copy said wrongly for a while; the right thing is in its own section'),
  ('billing.held_usage', null, 'a part of overage_usage, while a backup is taken up'),
  ('billing.plan_changes', null, 'when a worker of ours was at work'),
  ('billing.reconcile_queue', null, 'when a worker of ours will be at work'),
  ('billing.sync_state', null, 'when a worker of ours was at work');

select is_empty(
  $$select p.name from people_tables p where not exists (select from told t where t.name = p.name)$$,
  'every table that leads to a person is in the export, or says why not'
);
select is_empty(
  $$select t.name from told t where not exists (select from people_tables p where p.name = t.name)$$,
  'and nothing is listed that leads to nobody'
);
select is_empty(
  $$select t.section from told t where t.section is not null and billing.export_query(t.section) is null$$,
  'every section is there'
);
select is_empty(
  $$select t.name from told t where t.section is not null
    and position(t.name in billing.export_query(t.section)) = 0$$,
  'and reads its table'
);
create temporary view sections as
select m[1] as name from pg_proc f, regexp_matches(f.prosrc, '^ +when ''(\w+)'' then', 'gn') m
where f.oid = 'billing.export_query(text)'::regprocedure;
select ok((select count(*) > 35 from sections), 'there are sections');
select is_empty(
  $$select s.name from sections s where position('$1' in billing.export_query(s.name)) = 0$$, 'each is one person''s'
);
select set_config('request.jwt.claims', '{"role": "authenticated", "sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);
select is(public.my_data(s.name) -> 'rows', '[]', s.name || ' of nobody is empty') from sections s;

-- The end of a person. What names them either goes or is emptied with the row of auth.users, by its foreign key; or
-- public.erase_person() sees to it; or it stays on purpose.
create temporary table fates (name text, "column" text, fate text, primary key (name, "column"));
insert into fates values
  ('billing.audit_log', 'user_id', 'stays, an id that leads nowhere, until its month is over'),
  ('billing.audit_log', 'on_behalf_of', 'stays, likewise'),
  ('billing.deletions', 'user_id', 'stays: the proof'),
  ('billing.deletions', 'stripe_customer_id', 'stays: it keeps late events without contents'),
  ('billing.deletions', 'stripe_account_id', 'stays, likewise'),
  ('billing.drifts', 'stripe_customer_id', 'removed by erase_person()'),
  ('billing.held_usage', 'stripe_customer_id', 'stays with the ledger, until the backup is taken up'),
  ('billing.overage_usage', 'stripe_customer_id', 'stays: the ledger belongs to the customer, who is gone at Stripe'),
  ('billing.reconcile_queue', 'stripe_customer_id', 'removed by erase_person()'),
  ('billing.stripe_events', 'stripe_customer_id', 'stays; the contents are removed by forget_in_inbox()'),
  ('billing.stripe_events', 'stripe_account_id', 'stays; likewise'),
  ('billing.usage_checks', 'stripe_customer_id', 'stays with the ledger'),
  ('billing.usage_outbox', 'stripe_customer_id', 'stays with the ledger'),
  ('public.customers', 'user_id', 'removed by erase_person(), or the person cannot be removed at all'),
  ('public.customers', 'stripe_customer_id', 'removed by erase_person()'),
  ('public.invoices', 'user_id', 'emptied by erase_person()'),
  ('public.invoices', 'hosted_invoice_url', 'emptied by erase_person()'),
  ('public.invoices', 'invoice_pdf', 'emptied by erase_person()'),
  ('public.purchases', 'stripe_customer_id', 'stays with the purchase'),
  ('public.purchases', 'open_invoice_url', 'emptied by forget_links()'),
  ('public.purchases', 'receipt_url', 'emptied by forget_links()'),
  ('public.sellers', 'display_name', 'replaced by stay_left()'),
  ('public.sellers', 'stripe_account_id', 'stays: Stripe pays out what was earned'),
  ('public.subscriptions', 'user_id', 'removed by erase_person()');

create temporary view by_itself as
select p.name, p."column" from people_columns p join pg_constraint k
  on k.conrelid = p.table and k.contype = 'f' and k.conkey[1] = p.attnum and k.confdeltype in ('c', 'n')
where k.confrelid in ('auth.users'::regclass, 'public.customers'::regclass, 'public.conversations'::regclass);

select is_empty(
  $$select p.name, p."column" from people_columns p
    where not exists (select from by_itself b where (b.name, b."column") = (p.name, p."column"))
      and not exists (select from fates f where (f.name, f."column") = (p.name, p."column"))$$,
  'of every column that names a person it is said what becomes of it'
);
select is_empty(
  $$select f.name, f."column" from fates f
    where not exists (select from people_columns p where (p.name, p."column") = (f.name, f."column"))
      or exists (select from by_itself b where (b.name, b."column") = (f.name, f."column"))$$,
  'and of no other'
);
select is_empty(
  $$select f.name from fates f where f.fate ~ '^(removed|emptied)' and f.fate ~ 'erase_person'
    and position(f.name in (select g.prosrc from pg_proc g where g.oid = 'public.erase_person(uuid, text)'::regprocedure)) = 0$$,
  'what erase_person() sees to is in it'
);

select * from finish();
rollback;
