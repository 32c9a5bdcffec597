-- More of what happens is told: charges, payouts, checkouts, trials, what a creator does to a listing that is for sale, and what
-- operators do to metrics, features, usage that was parked or sent, and e-mails. supabase/tests/audit.test.sql lists every table
-- that is not audited, with the reason.

create function billing.audit_told(p_row jsonb, p_told text, p_key text) returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_object_agg(t.name, case
    when t.name not like '%#' then p_row -> t.name
    -- With the key in it, so that equal texts of two rows do not look equal.
    when p_row ->> trim('#' from t.name) is not null then to_jsonb(left(encode(sha256(convert_to(
      (select string_agg(p_row ->> k.name, '/' order by k.place)
        from unnest(string_to_array(p_key, ',')) with ordinality k (name, place))
      || ' ' || (p_row ->> trim('#' from t.name)), 'UTF8')), 'hex'), 16))
  end)
  from unnest(string_to_array(p_told, ',')) t (name)
  where p_row is not null;
$$;

comment on function billing.audit_told(jsonb, text, text) is
  'What the log tells of a row: the listed columns; of one with # only a fingerprint, which says that a text was changed and '
  'never the text. Null: there is no row.';

create or replace function billing.audit() returns trigger
language plpgsql
-- Definer: whoever changes an audited table can write the log in no other way.
security definer
set search_path = ''
as $$
declare
  v_old constant jsonb := to_jsonb(old);
  v_new constant jsonb := to_jsonb(new);
  v_row constant jsonb := coalesce(v_new, v_old);
  v_before constant jsonb := billing.audit_told(v_old, tg_argv[3], tg_argv[2]);
  v_after constant jsonb := billing.audit_told(v_new, tg_argv[3], tg_argv[2]);
  v_user_id uuid;
  v_actor constant text := billing.audit_actor();
begin
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

create or replace function billing.audit_table(
  p_table regclass, p_action text, p_user text, p_key text, p_told text, p_stripe text default ''
) returns void
language plpgsql
set search_path = ''
as $$
begin
  execute format(
    'create trigger %I after insert or delete or update of %s on %s for each row execute function billing.audit(%L, %L, %L, %L, %L)',
    (select c.relname from pg_catalog.pg_class c where c.oid = p_table) || '_after_change_audit',
    replace(p_told, '#', ''), p_table, p_action, p_user, p_key, p_told, p_stripe
  );
end;
$$;

comment on function billing.audit_table(regclass, text, text, text, text, text) is
  'Audits a table from now on; for migrations. The arguments are those of billing.audit(); # behind a told column: only a fingerprint.';

drop trigger listings_after_change_audit on public.listings;
drop trigger sellers_after_change_audit on public.sellers;

select billing.audit_table(a.name::regclass, a.action, a.owner, a.key, a.told, a.stripe)
from (values
  ('public.listings', 'listing.listing', '', 'id',
    'seller_id,category,kind,price_minor,currency,grants_metric_id,grants_quantity,status,version,sales_paused,agent_id,title#,'
    'description#', ''),
  ('public.listing_definitions', 'listing.definition', '', 'listing_id', 'version,name#,instructions#', ''),
  ('public.listing_pictures', 'listing.picture', '', 'listing_id', 'data#', ''),
  ('public.sellers', 'listing.seller', 'user_id', 'id',
    'user_id,stripe_account_id,status,paused_reason,country,fee_bps,display_name#', 'stripe_account_id'),
  ('billing.checkout_attempts', 'billing.checkout', 'user_id', 'user_id', 'lookup_key,attempt,closed_at', ''),
  ('billing.trial_uses', 'billing.trial', 'user_id', 'user_id', 'subscription_id,used_at', 'subscription_id'),
  ('billing.purchase_charges', 'billing.charge', '', 'id', 'purchase_id,amount_minor,status', 'id'),
  ('billing.payouts', 'billing.payout', '', 'id', 'seller_id,amount_minor,currency,status,arrival_date', 'id'),
  ('public.metrics', 'operator.metric', '', 'id', 'name,period,meter_event_name', ''),
  ('public.features', 'operator.feature', '', 'id', 'name,rank', ''),
  ('billing.notification_emails', 'operator.notification_email', '', 'notification_id', 'parked_at', '')
) a (name, action, owner, key, told, stripe);

-- Every notice has a row of e-mail; only parking one, and trying it again, is somebody's act.
drop trigger notification_emails_after_change_audit on billing.notification_emails;
create trigger notification_emails_after_change_audit after update of parked_at on billing.notification_emails
  for each row when (old.parked_at is distinct from new.parked_at)
  execute function billing.audit('operator.notification_email', '', 'notification_id', 'parked_at', '');

-- Usage reports itself every few minutes, and the outbox is the record of that. What is taken back, parked or sent again is told.
create trigger usage_outbox_after_insert_audit after insert on billing.usage_outbox
  for each row when (new.kind = 'adjustment')
  execute function billing.audit('billing.usage_correction', 'user_id', 'id',
    'kind,status,quantity,metric_id,adjusts,parked_reason', 'stripe_customer_id');
create trigger usage_outbox_after_change_audit after update of status on billing.usage_outbox
  for each row when (old.status <> new.status and (old.status = 'parked' or new.status = 'parked'))
  execute function billing.audit('billing.usage_report', 'user_id', 'id',
    'kind,status,quantity,metric_id,adjusts,parked_reason', 'stripe_customer_id');

-- Nobody changes the log, not even with session_replication_role, which turns off ordinary triggers. (Writing and chaining stay
-- ordinary: on a replica the rows and links arrive by themselves.)
create trigger audit_head_before_truncate_refuse before truncate on billing.audit_head
  for each statement execute function billing.refuse_audit_change();
create trigger audit_anchor_before_truncate_refuse before truncate on billing.audit_anchor
  for each statement execute function billing.refuse_audit_change();

-- Nor is its beginning moved, except to where retention is: what was before it could be removed without a gap.

create function billing.check_audit_anchor() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_retained constant timestamptz := (
    date_trunc('month', now() at time zone 'UTC')
    - (billing.setting('audit_retention_months') #>> '{}')::integer * interval '1 month'
  ) at time zone 'UTC';
begin
  if new.seq < old.seq or new.retained_from < old.retained_from
    or new.retained_from > greatest(old.retained_from, v_retained)
    or exists (
      select from billing.audit_chain c where c.seq > old.seq and c.seq <= new.seq and c.audit_at >= new.retained_from
    )
    or (new.seq <> old.seq and not exists (
      select from billing.audit_chain c where c.seq = new.seq and c.hash = new.hash
    ))
    or (new.seq = old.seq and new.hash <> old.hash) then
    raise exception 'the audit log is only forgotten by its retention' using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end;
$$;

comment on function billing.check_audit_anchor() is
  'The chain begins behind links that are older than the setting audit_retention_months, and nowhere else.';

create trigger audit_anchor_before_update_check before update on billing.audit_anchor
  for each row execute function billing.check_audit_anchor();
alter table billing.audit_anchor enable always trigger audit_anchor_before_update_check;

revoke all on function billing.check_audit_anchor() from public, anon, authenticated, service_role;

do $$
declare
  v_trigger record;
begin
  for v_trigger in
    select t.tgrelid::regclass as relation, t.tgname as name from pg_catalog.pg_trigger t
    where t.tgfoid = 'billing.refuse_audit_change()'::regprocedure and t.tgparentid = 0
  loop
    execute format('alter table %s enable always trigger %I', v_trigger.relation, v_trigger.name);
  end loop;
end;
$$;

create or replace function billing.ensure_audit_partition(p_at timestamptz) returns void
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
  execute format('alter table billing_months.%I enable always trigger audit_log_before_truncate_refuse', v_name);
  -- Attached, not created as a partition: that would lock out everybody who writes to the log.
  execute format(
    'alter table billing.audit_log attach partition billing_months.%I for values from (%L) to (%L)', v_name, v_from, v_to
  );
end;
$$;

create or replace function public.verify_audit(
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
  -- Without either every comparison below says nothing.
  if v_head.seq is null or v_anchor.seq is null then
    return jsonb_build_object(
      'checked', 0, 'fault', jsonb_build_object('fault', 'ends_missing'), 'next', null,
      'head', jsonb_build_object('seq', 0, 'hash', ''), 'anchor', jsonb_build_object('seq', 0, 'retained_from', '-infinity')
    );
  end if;
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
      -- Retention, or somebody has moved the beginning: either way the log proves nothing about it any more.
      when p_known_seq < v_anchor.seq then jsonb_build_object('fault', 'history_forgotten', 'seq', p_known_seq)
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

revoke all on function billing.audit_told(jsonb, text, text) from public, anon, authenticated, service_role;
