-- What happened to money, access and settings, told by the transactions that did it.
--
-- A trigger on every table of that kind writes a row of billing.audit_log: who, what, before, after, in which request. Which
-- columns it tells is a list per trigger, so that a new column is not told until somebody has decided that it may be: no
-- secret, no token, no text of a person, no card, no e-mail address. The path of a message is not audited.
--
-- The log is only ever added to, and it is chained: at commit every row gets the next number, and a hash over the previous
-- hash and itself. Numbers come from one row (billing.audit_head), whose lock is taken last of all, at commit, so it can wait
-- for nobody who waits for us. Whoever may disable triggers can still change the log, but then the chain does not hold any
-- more; who also computes the chain anew cannot change a head that was written down elsewhere.

create schema billing_months;

comment on schema billing_months is 'Partitions by month, made and dropped by jobs; what they are for, the parents in billing say.';

revoke all on schema billing_months from public, anon, authenticated, service_role;
alter default privileges in schema billing_months
  revoke all on tables from public, anon, authenticated, service_role;

create table billing.audit_log (
  id bigint generated always as identity,
  at timestamptz not null default now(),
  actor text not null,
  on_behalf_of uuid,
  action text not null,
  subject text not null,
  user_id uuid,
  before jsonb,
  after jsonb,
  request_id uuid,
  stripe_ids text[] not null,
  primary key (at, id)
) partition by range (at);

comment on table billing.audit_log is
  'What happened, one row per change, kept for the setting audit_retention_months. Only ever added to.';
comment on column billing.audit_log.actor is
  'user:<id>, service_role (a function of ours), operator:<database role>, or system (a job).';
comment on column billing.audit_log.on_behalf_of is 'Whose call made the function do it; null for jobs and events.';
comment on column billing.audit_log.action is '<area>.<thing>.<created, changed or removed>.';
comment on column billing.audit_log.user_id is 'Whom it is about. No foreign key: what happened outlives the person, who is then only a number.';
comment on column billing.audit_log.before is 'The told columns as they were; null: there was no row.';
comment on column billing.audit_log.request_id is 'As in the answer''s x-request-id and the functions'' log.';

create index audit_log_user_id_at_idx on billing.audit_log (user_id, at);
create index audit_log_subject_at_idx on billing.audit_log (subject, at);

create table billing.audit_chain (
  seq bigint primary key,
  audit_id bigint not null unique,
  audit_at timestamptz not null,
  row_hash bytea not null,
  hash bytea not null
);

comment on table billing.audit_chain is
  'The log in the order of commits: hash is sha256 of the previous hash and row_hash. Apart from the log, because a row that may '
  'never change cannot be given its hash at commit.';

create table billing.audit_head (
  id boolean primary key default true check (id),
  seq bigint not null,
  hash bytea not null
) with (fillfactor = 10);

comment on table billing.audit_head is 'The end of the chain: one row, which every audited commit locks.';

create table billing.audit_anchor (
  id boolean primary key default true check (id),
  seq bigint not null,
  hash bytea not null,
  retained_from timestamptz not null
);

comment on table billing.audit_anchor is
  'Where the chain begins: the last link that was forgotten. Rows of the log before retained_from are gone by retention.';

insert into billing.audit_head (seq, hash) values (0, sha256('tollgate audit'));
insert into billing.audit_anchor (seq, hash, retained_from) values (0, sha256('tollgate audit'), '-infinity');

alter table billing.audit_log enable row level security;
alter table billing.audit_chain enable row level security;
alter table billing.audit_head enable row level security;
alter table billing.audit_anchor enable row level security;
revoke all on billing.audit_log, billing.audit_chain, billing.audit_head, billing.audit_anchor
  from public, anon, authenticated, service_role;
create policy "Nobody reads the audit log" on billing.audit_log
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the audit chain" on billing.audit_chain
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the head of the audit chain" on billing.audit_head
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the anchor of the audit chain" on billing.audit_anchor
  for all to anon, authenticated using (false) with check (false);

-- Only ever added to.

create function billing.refuse_audit_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  -- Retention moves the anchor first, and then forgets what is before it.
  if tg_op = 'DELETE' and tg_table_name = 'audit_chain' then
    if old.seq <= (select a.seq from billing.audit_anchor a) then
      return old;
    end if;
  end if;
  raise exception 'the audit log is only ever added to' using errcode = 'integrity_constraint_violation';
end;
$$;

comment on function billing.refuse_audit_change() is 'Nobody changes or removes what is in the audit log, the owner included.';

create trigger audit_log_before_change_refuse before update or delete on billing.audit_log
  for each row execute function billing.refuse_audit_change();
create trigger audit_log_before_truncate_refuse before truncate on billing.audit_log
  for each statement execute function billing.refuse_audit_change();
create trigger audit_chain_before_change_refuse before update or delete on billing.audit_chain
  for each row execute function billing.refuse_audit_change();
create trigger audit_chain_before_truncate_refuse before truncate on billing.audit_chain
  for each statement execute function billing.refuse_audit_change();
create trigger audit_head_before_delete_refuse before delete on billing.audit_head
  for each row execute function billing.refuse_audit_change();
create trigger audit_anchor_before_delete_refuse before delete on billing.audit_anchor
  for each row execute function billing.refuse_audit_change();

-- Months.

create function billing.audit_partition(p_at timestamptz) returns text
language sql immutable
set search_path = ''
as $$
  select to_char(p_at at time zone 'UTC', '"audit_log_"YYYY_MM');
$$;

comment on function billing.audit_partition(timestamptz) is 'The name of the partition of a moment.';

create function billing.ensure_audit_partition(p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_name constant text := billing.audit_partition(p_at);
  v_from constant timestamptz := date_trunc('month', p_at at time zone 'UTC') at time zone 'UTC';
  v_to constant timestamptz := (date_trunc('month', p_at at time zone 'UTC') + interval '1 month') at time zone 'UTC';
begin
  if to_regclass('billing_months.' || v_name) is not null then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('tollgate audit partition', 0));
  if to_regclass('billing_months.' || v_name) is not null then
    return;
  end if;
  execute format('create table billing_months.%I (like billing.audit_log including defaults including constraints)', v_name);
  execute format('alter table billing_months.%I enable row level security', v_name);
  execute format('revoke all on billing_months.%I from public, anon, authenticated, service_role', v_name);
  execute format(
    'create policy "Nobody reads the audit log" on billing_months.%I for all to anon, authenticated using (false) with check (false)',
    v_name
  );
  execute format(
    'create trigger audit_log_before_truncate_refuse before truncate on billing_months.%I '
    'for each statement execute function billing.refuse_audit_change()', v_name
  );
  -- Attached, not created as a partition: that would lock out everybody who writes to the log.
  execute format(
    'alter table billing.audit_log attach partition billing_months.%I for values from (%L) to (%L)', v_name, v_from, v_to
  );
end;
$$;

comment on function billing.ensure_audit_partition(timestamptz) is 'Makes the partition of a moment unless it is there.';

create function billing.ensure_audit_partitions() returns void
language sql
set search_path = ''
as $$
  select billing.ensure_audit_partition(now() + n * interval '1 month') from generate_series(0, 3) n;
$$;

comment on function billing.ensure_audit_partitions() is 'Makes the partitions of this month and the next three.';

-- Writing.

create function billing.audit_actor() returns text
language sql stable
set search_path = ''
as $$
  select case
    when c.role = 'service_role' then 'service_role'
    when c.role is not null then coalesce('user:' || (c.claims ->> 'sub'), c.role)
    when current_setting('application_name', true) like 'pg\_cron%' then 'system'
    else 'operator:' || session_user
  end
  from (
    select r.claims, coalesce(r.claims ->> 'role', nullif(current_setting('request.jwt.claim.role', true), '')) as role
    from (select nullif(current_setting('request.jwt.claims', true), '')::jsonb as claims) r
  ) c;
$$;

comment on function billing.audit_actor() is
  'Who acts: as the verified token of the request says, and without one the database role that has signed in.';

create function billing.audit_header(p_name text) returns uuid
language plpgsql stable
set search_path = ''
as $$
declare
  v_value constant text := nullif(current_setting('request.headers', true), '')::jsonb ->> p_name;
begin
  if v_value ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then
    return v_value::uuid;
  end if;
  return null;
end;
$$;

comment on function billing.audit_header(text) is 'A header of the request that holds a UUID; null without one, or when it is anything else.';

create function billing.audit_row_hash(p_row billing.audit_log) returns bytea
language sql stable
set search_path = ''
as $$
  -- jsonb has one way to print a value, whatever the session's settings; a time is printed by hand.
  select sha256(convert_to(jsonb_build_array(
    p_row.id, to_char(p_row.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), p_row.actor, p_row.on_behalf_of, p_row.action,
    p_row.subject, p_row.user_id, p_row.before, p_row.after, p_row.request_id, p_row.stripe_ids
  )::text, 'UTF8'));
$$;

comment on function billing.audit_row_hash(billing.audit_log) is 'sha256 of a row of the log in its canonical form.';

create function billing.chain_audit() returns trigger
language plpgsql
-- Definer: at commit, as whoever commits.
security definer
set search_path = ''
as $$
declare
  v_row_hash constant bytea := billing.audit_row_hash(new);
begin
  with head as (
    update billing.audit_head h set seq = h.seq + 1, hash = sha256(h.hash || v_row_hash) returning h.seq, h.hash
  )
  insert into billing.audit_chain (seq, audit_id, audit_at, row_hash, hash)
  select h.seq, new.id, new.at, v_row_hash, h.hash from head h;
  return null;
end;
$$;

comment on function billing.chain_audit() is 'At commit: the next number, and the hash over the previous one and this row.';

create constraint trigger audit_log_after_insert_chain after insert on billing.audit_log
  deferrable initially deferred for each row execute function billing.chain_audit();

create function billing.audit() returns trigger
language plpgsql
-- Definer: whoever changes an audited table can write the log in no other way.
security definer
set search_path = ''
as $$
declare
  v_told constant text[] := string_to_array(tg_argv[3], ',');
  v_old constant jsonb := to_jsonb(old);
  v_new constant jsonb := to_jsonb(new);
  v_row constant jsonb := coalesce(v_new, v_old);
  v_before jsonb;
  v_after jsonb;
  v_user_id uuid;
  v_actor constant text := billing.audit_actor();
begin
  if v_old is not null then
    select jsonb_object_agg(t.name, v_old -> t.name) into v_before from unnest(v_told) t (name);
  end if;
  if v_new is not null then
    select jsonb_object_agg(t.name, v_new -> t.name) into v_after from unnest(v_told) t (name);
  end if;
  if v_before = v_after then
    return null;
  end if;
  v_user_id := coalesce(v_row ->> tg_argv[1], v_old ->> tg_argv[1])::uuid;
  perform billing.ensure_audit_partition(now());
  insert into billing.audit_log (actor, on_behalf_of, action, subject, user_id, before, after, request_id, stripe_ids)
  select v_actor,
    -- Only our functions are believed.
    case when v_actor = 'service_role' then billing.audit_header('x-on-behalf-of') end,
    tg_argv[0] || case tg_op when 'INSERT' then '.created' when 'UPDATE' then '.changed' else '.removed' end,
    split_part(tg_argv[0], '.', 2) || ':' || (
      select string_agg(coalesce(v_row ->> k.name, ''), '/' order by k.place)
      from unnest(string_to_array(tg_argv[2], ',')) with ordinality k (name, place)
    ),
    v_user_id, v_before, v_after, billing.audit_header('x-request-id'),
    array(
      select v_row ->> s.name from unnest(string_to_array(tg_argv[4], ',')) s (name) where v_row ->> s.name is not null
      union
      select c.stripe_customer_id from public.customers c where c.user_id = v_user_id
      order by 1
    );
  return null;
end;
$$;

comment on function billing.audit() is
  'Writes what a row was and is into the audit log. Arguments: area.thing, the column of the user or "", the columns of the '
  'key, the told columns, the columns with ids of Stripe. A change of other columns is not told.';

-- What is audited. The trigger does not even fire for an update of other columns.

create function billing.audit_table(
  p_table regclass, p_action text, p_user text, p_key text, p_told text, p_stripe text default ''
) returns void
language plpgsql
set search_path = ''
as $$
begin
  execute format(
    'create trigger %I after insert or delete or update of %s on %s for each row execute function billing.audit(%L, %L, %L, %L, %L)',
    (select c.relname from pg_catalog.pg_class c where c.oid = p_table) || '_after_change_audit',
    p_told, p_table, p_action, p_user, p_key, p_told, p_stripe
  );
end;
$$;

comment on function billing.audit_table(regclass, text, text, text, text, text) is
  'Audits a table from now on; for migrations. The arguments are those of billing.audit().';

select billing.audit_table(a.name::regclass, a.action, a.owner, a.key, a.told, a.stripe)
from (values
  ('public.customers', 'billing.customer', 'user_id', 'user_id', 'stripe_customer_id', 'stripe_customer_id'),
  ('public.subscriptions', 'billing.subscription', 'user_id', 'id',
    'status,price_lookup_key,plan_id,quantity,currency,current_period_start,current_period_end,cancel_at,cancel_at_period_end,'
    'canceled_at,ended_at,trial_end,past_due_since,pending_price_lookup_key,pending_change_at', 'id'),
  ('public.invoices', 'billing.invoice', 'user_id', 'id',
    'subscription_id,number,status,currency,total_minor,amount_due_minor,amount_paid_minor,period_start,period_end',
    'id,subscription_id'),
  ('billing.overage_accounts', 'billing.overage', 'user_id', 'user_id', 'enabled,subscription_id,cap_minor,currency',
    'subscription_id'),
  ('billing.notification_optouts', 'billing.notification_optout', 'user_id', 'user_id', 'created_at', ''),
  ('public.purchases', 'billing.purchase', 'buyer_id', 'id',
    'buyer_id,listing_id,seller_id,kind,amount_minor,currency,fee_bps,fee_minor,status,refunded_minor,problem,'
    'subscription_status,past_due_since,cancel_at,cancel_at_period_end,current_period_end,paid_at',
    'checkout_session_id,payment_intent_id,charge_id,stripe_subscription_id,stripe_customer_id'),
  ('billing.purchase_disputes', 'billing.dispute', '', 'id',
    'purchase_id,charge_id,status,amount_minor,currency,transfer_state,reversed_minor', 'id,charge_id'),
  ('public.entitlements', 'access.entitlement', 'user_id', 'user_id', 'plan_id,source,subscription_id,grant_id,valid_until',
    'subscription_id'),
  ('public.licences', 'access.licence', 'user_id', 'id', 'user_id,listing_id,purchase_id,status,reason,valid_until', ''),
  ('billing.grants', 'grant.plan', 'user_id', 'id', 'plan_id,starts_at,ends_at,reason,granted_by,revoked_at', ''),
  ('public.credit_grants', 'grant.credit', 'user_id', 'id',
    'amount_minor,currency,category,effective_at,expires_at,voided_at', 'id'),
  ('billing.refund_requests', 'refund.request', '', 'id',
    'purchase_id,charge_id,amount_minor,reason,requested_by,status,stripe_refund_id', 'charge_id,stripe_refund_id'),
  ('billing.purchase_refunds', 'refund.refund', '', 'id', 'purchase_id,charge_id,amount_minor,status', 'id,charge_id'),
  ('public.sellers', 'listing.seller', 'user_id', 'id', 'user_id,stripe_account_id,status,paused_reason,country,fee_bps',
    'stripe_account_id'),
  ('public.listings', 'listing.listing', '', 'id',
    'seller_id,category,kind,price_minor,currency,grants_metric_id,grants_quantity,status,version,sales_paused', ''),
  ('billing.settings', 'operator.setting', '', 'key', 'value', ''),
  ('billing.rate_limits', 'operator.rate_limit', '', 'name,scope', 'burst,period_seconds', ''),
  ('billing.access_statuses', 'operator.access_status', '', 'status', 'grants_access,has_grace,needs_attention', ''),
  ('billing.dispute_statuses', 'operator.dispute_status', '', 'status', 'effect', ''),
  ('public.plans', 'operator.plan', '', 'id', 'name,rank,is_default,is_public', ''),
  ('public.plan_limits', 'operator.plan_limit', '', 'plan_id,metric_id', 'limit_value', ''),
  ('public.plan_features', 'operator.plan_feature', '', 'plan_id,feature_id', 'plan_id,feature_id', ''),
  ('public.prices', 'operator.price', '', 'lookup_key',
    'plan_id,currency,unit_amount_minor,billing_interval,is_active,trial_days,tiers_mode,tiers', ''),
  ('public.price_currency_options', 'operator.price_currency', '', 'lookup_key,currency', 'unit_amount_minor', ''),
  ('public.overage_prices', 'operator.overage_price', '', 'lookup_key', 'plan_id,metric_id,currency,unit_amount_minor,is_active',
    ''),
  ('public.overage_price_currency_options', 'operator.overage_price_currency', '', 'lookup_key,currency', 'unit_amount_minor',
    ''),
  ('public.credit_packs', 'operator.credit_pack', '', 'lookup_key',
    'currency,price_minor,credit_minor,expires_days,is_active', ''),
  ('public.credit_pack_currency_options', 'operator.credit_pack_currency', '', 'lookup_key,currency',
    'price_minor,credit_minor', ''),
  ('public.marketplace_currencies', 'operator.marketplace_currency', '', 'currency', 'minimum_minor', '')
) a (name, action, owner, key, told, stripe);

-- Proof.

create function public.verify_audit(
  p_after bigint default null, p_limit integer default 5000, p_known_seq bigint default null, p_known_hash text default null
) returns jsonb
language plpgsql stable
-- Definer: the secret key asks whether the log holds, and reads no row of it. Stable, so that all of it is one moment.
security definer
set search_path = ''
as $$
declare
  v_anchor constant billing.audit_anchor := (select a from billing.audit_anchor a);
  v_head constant billing.audit_head := (select h from billing.audit_head h);
  v_after constant bigint := greatest(p_after, v_anchor.seq);
  v_page record;
  v_fault jsonb;
begin
  perform billing.require(p_limit between 1 and 50000, 'p_limit is not between 1 and 50000');
  with page as (
    select c.*, row_number() over (order by c.seq) as place, lag(c.hash) over (order by c.seq) as previous
    from (select * from billing.audit_chain c where c.seq > v_after order by c.seq limit p_limit) c
  ), judged as (
    select p.seq, p.audit_id, p.hash, case
      when p.seq <> v_after + p.place then 'links_missing'
      when p.hash <> sha256(coalesce(p.previous, case when v_after = v_anchor.seq then v_anchor.hash else (
        select c.hash from billing.audit_chain c where c.seq = v_after) end) || p.row_hash) then 'link_changed'
      when l.id is null and p.audit_at >= v_anchor.retained_from then 'row_missing'
      when l.id is not null and billing.audit_row_hash(l) <> p.row_hash then 'row_changed'
    end as fault
    from page p left join billing.audit_log l on l.at = p.audit_at and l.id = p.audit_id
  )
  select count(*) as checked, max(j.seq) as last, (array_agg(j.hash order by j.seq desc))[1] as hash,
    (array_agg(jsonb_build_object('fault', j.fault, 'seq', j.seq, 'audit_id', j.audit_id) order by j.seq)
      filter (where j.fault is not null))[1] as fault
  into v_page from judged j;
  v_fault := v_page.fault;
  if v_fault is null and v_page.checked < p_limit then
    v_fault := case
      when v_head.seq <> coalesce(v_page.last, v_after)
        or (v_page.checked > 0 and v_head.hash <> v_page.hash)
        or (v_head.seq = v_anchor.seq and v_head.hash <> v_anchor.hash)
        then jsonb_build_object('fault', 'head_differs', 'seq', v_head.seq)
      when p_known_seq > v_head.seq then jsonb_build_object('fault', 'end_missing', 'seq', p_known_seq)
      when p_known_seq = v_anchor.seq and p_known_hash <> encode(v_anchor.hash, 'hex')
        or exists (select from billing.audit_chain c where c.seq = p_known_seq and p_known_hash <> encode(c.hash, 'hex'))
        then jsonb_build_object('fault', 'history_differs', 'seq', p_known_seq)
    end;
    if v_fault is null then
      select jsonb_build_object('fault', 'row_not_chained', 'audit_id', min(l.id)) into v_fault
      from billing.audit_log l
      where not exists (select from billing.audit_chain c where c.audit_id = l.id)
      having count(*) > 0;
    end if;
  end if;
  return jsonb_build_object(
    'checked', v_page.checked, 'fault', v_fault,
    'next', case when v_fault is null and v_page.checked = p_limit then v_page.last end,
    'head', jsonb_build_object('seq', v_head.seq, 'hash', encode(v_head.hash, 'hex')),
    'anchor', jsonb_build_object('seq', v_anchor.seq, 'retained_from', v_anchor.retained_from)
  );
end;
$$;

comment on function public.verify_audit(bigint, integer, bigint, text) is
  'A page of the proof that the audit log holds, after a link: {checked, fault: {fault, seq?, audit_id?} or null, next, head: '
  '{seq, hash}, anchor}. With a head of earlier, the last page says whether the chain still has it.';

create function public.note_audit_check(p_fault jsonb) returns void
language plpgsql
-- Definer: the secret key tells an operator, and writes no problem of its own.
security definer
set search_path = ''
as $$
begin
  if p_fault is null then
    update billing.problems p set resolved_at = now()
    where p.kind = 'audit_broken' and p.resolved_at is null;
  else
    perform billing.report_problem('audit_broken', coalesce(p_fault ->> 'fault', 'unknown'), p_fault);
  end if;
end;
$$;

comment on function public.note_audit_check(jsonb) is 'What the check of the whole chain found; null: it holds.';

-- Retention.

alter table billing.settings add constraint settings_audit_retention_is_months check (
  key <> 'audit_retention_months'
  or (jsonb_typeof(value) = 'number' and (value #>> '{}')::numeric between 1 and 1200 and (value #>> '{}')::numeric % 1 = 0)
);
insert into billing.settings (key, value, description) values
  ('audit_retention_months', '120', 'Whole months that the audit log is kept, beside the present one. 1 to 1200.');

create function billing.prune_audit_log() returns bigint
language plpgsql
set search_path = ''
-- Dropping a partition waits for whoever reads or writes the log, and everybody else would wait behind it.
set lock_timeout = '3s'
as $$
declare
  v_from constant timestamptz := (
    date_trunc('month', now() at time zone 'UTC')
    - (billing.setting('audit_retention_months') #>> '{}')::integer * interval '1 month'
  ) at time zone 'UTC';
  v_last billing.audit_chain;
  v_name text;
  v_dropped bigint := 0;
begin
  for v_name in
    select c.relname from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'billing.audit_log'::regclass and c.relname < billing.audit_partition(v_from)
    order by 1
  loop
    execute format('drop table billing_months.%I', v_name);
    v_dropped := v_dropped + 1;
  end loop;
  -- A link may be younger than links of later months: its transaction took long. What is before the first that is kept goes.
  select c.* into v_last from billing.audit_chain c
  where c.seq < coalesce(
    (select min(k.seq) from billing.audit_chain k where k.audit_at >= v_from), (select h.seq + 1 from billing.audit_head h)
  )
  order by c.seq desc limit 1;
  update billing.audit_anchor a
  set seq = coalesce(v_last.seq, a.seq), hash = coalesce(v_last.hash, a.hash), retained_from = greatest(a.retained_from, v_from);
  delete from billing.audit_chain c where c.seq <= v_last.seq;
  return v_dropped;
end;
$$;

comment on function billing.prune_audit_log() is
  'Drops the months that are over by the setting audit_retention_months, and begins the chain behind them.';

revoke all on function billing.refuse_audit_change(), billing.audit_partition(timestamptz),
  billing.ensure_audit_partition(timestamptz), billing.ensure_audit_partitions(), billing.audit_actor(),
  billing.audit_header(text), billing.audit_row_hash(billing.audit_log), billing.chain_audit(), billing.audit(),
  billing.audit_table(regclass, text, text, text, text, text), public.verify_audit(bigint, integer, bigint, text),
  public.note_audit_check(jsonb), billing.prune_audit_log()
  from public, anon, authenticated, service_role;
grant execute on function public.verify_audit(bigint, integer, bigint, text), public.note_audit_check(jsonb) to service_role;

select billing.ensure_audit_partitions();

select cron.schedule('tollgate-audit-months', '7 2 * * *', 'select billing.ensure_audit_partitions()');
select cron.schedule('tollgate-prune-audit', '27 3 * * *', 'select billing.prune_audit_log()');
select cron.schedule('tollgate-audit-check', '43 4 * * *', $$select billing.call_function('audit-check')$$);
