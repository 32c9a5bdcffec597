-- Everything about oneself, to take away. One function answers one kind of rows, page by page, so that a person with a million
-- messages costs as little memory as anybody. Only one's own: the person is who the token says.

create function billing.export_query(p_section text) returns text
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
    when 'payouts' then
      'select o.id as key, to_jsonb(o) as data from billing.payouts o
       join public.sellers s on s.id = o.seller_id and s.user_id = $1'
    when 'deletion' then
      'select d.user_id::text as key, billing.deletion_record(d) as data from billing.deletions d where d.user_id = $1'
  end;
$$;

comment on function billing.export_query(text) is
  'Where a section of the export comes from. Text of ours, not of a request: the section only chooses. Null: no such section.';

create function public.my_data(p_section text, p_after text default '', p_limit integer default 500) returns jsonb
language plpgsql
-- Definer: reads the private tables; only the rows of who is asking.
security definer
set search_path = ''
as $$
declare
  v_user uuid := auth.uid();
  v_query text := billing.export_query(p_section);
  v_page jsonb;
begin
  if v_user is null then
    perform billing.raise_http(401, 'unauthorized', 'Sign in first.');
  end if;
  perform billing.require(v_query is not null, 'p_section is not a section of the export');
  perform billing.require(p_after is not null, 'p_after is missing');
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  execute format(
    'select jsonb_build_object(''rows'', coalesce(jsonb_agg(p.data order by p.key collate "C"), ''[]''),
       ''next'', case when count(*) = $3 then max(p.key collate "C") end)
     from (select q.key, q.data from (%s) q where $2 = '''' or q.key collate "C" > $2 order by q.key collate "C" limit $3) p',
    v_query
  ) into v_page using v_user, p_after, p_limit;
  return v_page;
end;
$$;

comment on function public.my_data(text, text, integer) is
  'A page of one section of everything about the caller: {rows, next}; next is p_after of the next page, null after the last.';

revoke all on function billing.export_query(text), public.my_data(text, text, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.my_data(text, text, integer) to authenticated;
