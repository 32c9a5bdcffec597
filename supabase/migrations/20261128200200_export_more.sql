-- The rest of what is kept about a person: what they paid, got back and disputed, what they earned, the e-mails that told them, and
-- what Stripe told us of them. supabase/tests/personal_data.test.sql compares the catalogue with the sections, so that a table to
-- come is not forgotten.

create or replace function billing.export_query(p_section text) returns text
language sql immutable
set search_path = ''
as $$
  -- $1 is the person. Each gives a key to page by, and the row. Left out are secrets, and what is another person's.
  select case p_section
    when 'profile' then
      'select u.id::text as key, jsonb_build_object(''id'', u.id, ''email'', u.email, ''phone'', u.phone,
        ''created_at'', u.created_at, ''last_sign_in_at'', u.last_sign_in_at,
        ''user_metadata'', u.raw_user_meta_data) as data from auth.users u where u.id = $1'
    when 'sign_in_methods' then
      'select i.id::text as key, jsonb_build_object(''provider'', i.provider, ''identity'', i.identity_data,
        ''created_at'', i.created_at) as data from auth.identities i where i.user_id = $1'
    when 'sessions' then
      'select s.id::text as key, jsonb_build_object(''created_at'', s.created_at, ''ip'', s.ip,
        ''user_agent'', s.user_agent) as data from auth.sessions s where s.user_id = $1'
    when 'conversations' then
      'select c.id::text as key, to_jsonb(c) as data from public.conversations c where c.user_id = $1'
    when 'messages' then
      'select m.id::text as key, to_jsonb(m) as data from public.messages m where m.user_id = $1'
    when 'agents' then
      -- The text of a bought agent is its creator's.
      'select a.id::text as key, case when a.source_listing_id is null then to_jsonb(a)
        else to_jsonb(a) - ''instructions'' end as data from public.agents a where a.user_id = $1'
    when 'usage_counters' then
      'select c.metric_id as key, to_jsonb(c) as data from billing.usage_counters c where c.user_id = $1'
    when 'usage_days' then
      'select d.day || '' '' || d.metric_id as key, to_jsonb(d) as data from billing.usage_days d where d.user_id = $1'
    when 'usage_requests' then
      'select r.request_id::text as key, to_jsonb(r) as data from billing.usage_requests r where r.user_id = $1'
    when 'notifications' then
      'select n.id::text as key, to_jsonb(n) as data from public.notifications n where n.user_id = $1'
    when 'notification_optouts' then
      'select o.user_id::text as key, to_jsonb(o) as data from billing.notification_optouts o where o.user_id = $1'
    when 'notification_emails' then
      'select lpad(e.notification_id::text, 20, ''0'') as key, to_jsonb(e) - array[''lease'', ''lease_until'', ''last_error''] as data
       from billing.notification_emails e join public.notifications n on n.id = e.notification_id and n.user_id = $1'
    when 'customers' then
      'select c.user_id::text as key, to_jsonb(c) as data from public.customers c where c.user_id = $1'
    when 'entitlements' then
      'select e.user_id::text as key, to_jsonb(e) as data from public.entitlements e where e.user_id = $1'
    when 'access_log' then
      'select lpad(l.id::text, 20, ''0'') as key, to_jsonb(l) as data from billing.access_log l where l.user_id = $1'
    when 'audit_log' then
      -- Who did it is told only where it was oneself.
      'select lpad(l.id::text, 20, ''0'') as key, to_jsonb(l) - ''actor'' - ''on_behalf_of'' ||
        jsonb_build_object(''by_oneself'', l.actor = ''user:'' || $1::text or coalesce(l.on_behalf_of = $1, false)) as data
        from billing.audit_log l where l.user_id = $1'
    when 'grants' then
      -- Which operator granted it is the operator's data.
      'select lpad(g.id::text, 20, ''0'') as key, to_jsonb(g) - ''granted_by'' as data from billing.grants g where g.user_id = $1'
    when 'trial_uses' then
      'select to_jsonb(t)::text as key, to_jsonb(t) as data from billing.trial_uses t where t.user_id = $1'
    when 'checkout_attempts' then
      'select a.attempt::text as key, to_jsonb(a) as data from billing.checkout_attempts a where a.user_id = $1'
    when 'subscriptions' then
      'select s.id as key, to_jsonb(s) as data from public.subscriptions s where s.user_id = $1'
    when 'metered_items' then
      'select to_jsonb(i)::text as key, to_jsonb(i) as data from billing.metered_items i where i.user_id = $1'
    when 'invoices' then
      'select i.id as key, to_jsonb(i) as data from public.invoices i where i.user_id = $1'
    when 'overage_accounts' then
      'select a.user_id::text as key, to_jsonb(a) as data from billing.overage_accounts a where a.user_id = $1'
    when 'overage_usage' then
      'select u.stripe_customer_id || '' '' || u.metric_id || '' '' || u.period_start as key, to_jsonb(u) as data
       from billing.overage_usage u where u.user_id = $1'
    when 'usage_outbox' then
      'select lpad(o.id::text, 20, ''0'') as key, to_jsonb(o) as data from billing.usage_outbox o where o.user_id = $1'
    when 'usage_checks' then
      'select lpad(c.id::text, 20, ''0'') as key, to_jsonb(c) as data from billing.usage_checks c where c.user_id = $1'
    when 'credit_balances' then
      'select to_jsonb(b)::text as key, to_jsonb(b) as data from public.credit_balances b where b.user_id = $1'
    when 'credit_grants' then
      'select g.id as key, to_jsonb(g) as data from public.credit_grants g where g.user_id = $1'
    when 'purchases' then
      -- How a sale is shared is between the platform and the creator.
      'select p.id::text as key, to_jsonb(p) - array[''fee_bps'', ''fee_minor'', ''seller_id''] as data
       from public.purchases p where p.buyer_id = $1'
    when 'charges' then
      'select c.id as key, to_jsonb(c) as data from billing.purchase_charges c
       join public.purchases p on p.id = c.purchase_id and p.buyer_id = $1'
    when 'refunds' then
      'select r.id as key, to_jsonb(r) as data from billing.purchase_refunds r
       join public.purchases p on p.id = r.purchase_id and p.buyer_id = $1'
    when 'refund_requests' then
      -- Which operator it was, and what went wrong on the way, is ours.
      'select r.id::text as key, to_jsonb(r) - array[''requested_by'', ''last_error'', ''attempts'', ''next_attempt_at''] as data
       from billing.refund_requests r join public.purchases p on p.id = r.purchase_id and p.buyer_id = $1'
    when 'disputes' then
      -- What becomes of the creator's share is between the platform and the creator.
      'select d.id as key, jsonb_build_object(''id'', d.id, ''purchase_id'', d.purchase_id, ''charge_id'', d.charge_id,
        ''status'', d.status, ''amount_minor'', d.amount_minor, ''currency'', d.currency, ''reason'', d.reason,
        ''seen_at'', d.seen_at) as data from billing.purchase_disputes d
       join public.purchases p on p.id = d.purchase_id and p.buyer_id = $1'
    when 'licences' then
      'select l.id::text as key, to_jsonb(l) as data from public.licences l where l.user_id = $1'
    when 'sellers' then
      'select s.id::text as key, to_jsonb(s) as data from public.sellers s where s.user_id = $1'
    when 'listings' then
      'select l.id::text as key, to_jsonb(l) - ''search'' || jsonb_build_object(''definition'', to_jsonb(d), ''picture'', p.data) as data
       from public.listings l
       join public.sellers s on s.id = l.seller_id and s.user_id = $1
       left join public.listing_definitions d on d.listing_id = l.id
       left join public.listing_pictures p on p.listing_id = l.id'
    when 'sales' then
      -- Without the buyer.
      'select p.id::text as key, jsonb_build_object(''listing_id'', p.listing_id, ''title'', p.title, ''kind'', p.kind,
        ''amount_minor'', p.amount_minor, ''fee_minor'', p.fee_minor, ''refunded_minor'', p.refunded_minor,
        ''currency'', p.currency, ''status'', p.status, ''paid_at'', p.paid_at) as data
       from public.purchases p join public.sellers s on s.id = p.seller_id and s.user_id = $1
       where p.paid_at is not null'
    when 'earnings' then
      -- The account of a creator, movement by movement; a buyer is in none of them.
      'select lpad(e.id::text, 20, ''0'') as key, jsonb_build_object(''kind'', t.kind, ''purchase_id'', t.purchase_id,
        ''amount_minor'', e.amount_minor, ''currency'', t.currency, ''occurred_at'', t.occurred_at) as data
       from billing.ledger_accounts a
       join public.sellers s on s.id = a.seller_id and s.user_id = $1
       join billing.ledger_entries e on e.account_id = a.id and a.kind = ''creator''
       join billing.ledger_transactions t on t.id = e.transaction_id'
    when 'payouts' then
      'select o.id as key, to_jsonb(o) as data from billing.payouts o
       join public.sellers s on s.id = o.seller_id and s.user_id = $1'
    when 'stripe_events' then
      -- What Stripe told us, as long as we have it. Of a payment to a creator only the fact: the creator is in it.
      'select e.id as key, jsonb_build_object(''id'', e.id, ''type'', e.type, ''created_at'', e.stripe_created_at,
        ''contents'', case when e.purchase_id is null and not e.payload @? ''$.** ? (exists (@.transfer_data ? (@ != null))
          || exists (@.application_fee_amount ? (@ != null)) || exists (@.application_fee_percent ? (@ != null))
          || exists (@.on_behalf_of ? (@ != null)))'' then e.payload end) as data
       from billing.stripe_events e
       where e.payload is not null and (
         e.stripe_customer_id = (select c.stripe_customer_id from public.customers c where c.user_id = $1)
         or e.purchase_id = any (array(select p.id from public.purchases p where p.buyer_id = $1))
         or e.stripe_account_id = (select s.stripe_account_id from public.sellers s where s.user_id = $1))'
    when 'deletion' then
      'select d.user_id::text as key, billing.deletion_record(d) as data from billing.deletions d where d.user_id = $1'
  end;
$$;
