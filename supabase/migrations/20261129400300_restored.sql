-- After a backup was restored: Stripe went on, and our rows are those of yesterday. What Stripe knows is fetched again as
-- ever. Three things are not, because only our rows told of them:
--
-- * Usage. Rows that were sent since are pending again or not even claimed, and the next ones would get identifiers that are
--   used: within a day Stripe would swallow them, and after it count them twice. So nothing is reported until each ledger row
--   has been laid beside Stripe's count and has taken it over.
-- * Which customer is whose, of those who became one since. Stripe's customer has the user's id, which we wrote there.
-- * Sales begun since. The Checkout session has what the row had.
--
-- `npm run restored` does all of it in order.

create table billing.held_usage (
  stripe_customer_id text not null,
  metric_id text not null references public.metrics (id),
  period_start timestamptz not null,
  unclaimed bigint not null check (unclaimed > 0),
  primary key (stripe_customer_id, metric_id, period_start)
);

create index held_usage_metric_id_idx on billing.held_usage (metric_id);

comment on table billing.held_usage is
  'While usage is held back: what of the ledger was in no row of the outbox when that began. What is used meanwhile is not among it.';

alter table billing.held_usage enable row level security;
revoke all on billing.held_usage from public, anon, authenticated, service_role;
create policy "Nobody reads what is held back" on billing.held_usage
  for all to anon, authenticated using (false) with check (false);

create function billing.usage_held_at() returns timestamptz
language sql stable
set search_path = ''
as $$
  select m.at from billing.health_marks m where m.name = 'usage_held';
$$;

comment on function billing.usage_held_at() is 'Since when no usage is reported; null: it is.';

create function public.hold_usage() returns timestamptz
language plpgsql
-- Definer: the secret key has no access to the mark, only this.
security definer
set search_path = ''
as $$
begin
  -- Waits for who is leasing: afterwards nobody takes a row.
  perform pg_advisory_xact_lock(hashtextextended('tollgate lease_usage', 0));
  insert into billing.health_marks (name, at) values ('usage_held', now()) on conflict (name) do nothing;
  if found then
    insert into billing.held_usage (stripe_customer_id, metric_id, period_start, unclaimed)
    select u.stripe_customer_id, u.metric_id, u.period_start, u.quantity - u.claimed
    from billing.overage_usage u where u.waiting;
  end if;
  return billing.usage_held_at();
end;
$$;

comment on function public.hold_usage() is
  'From now on no usage is claimed or sent: who tries gets an error and tries again. Answers since when. See release_usage().';

create function public.release_usage() returns void
language sql
-- Definer: see public.hold_usage().
security definer
set search_path = ''
as $$
  delete from billing.held_usage;
  delete from billing.health_marks m where m.name = 'usage_held';
$$;

comment on function public.release_usage() is 'Usage is reported again.';

create function billing.refuse_while_held() returns void
language plpgsql stable
set search_path = ''
as $$
begin
  if billing.usage_held_at() is not null then
    perform billing.raise_http(409, 'usage_held', 'Usage is not reported at the moment. Try again in some minutes.');
  end if;
end;
$$;

comment on function billing.refuse_while_held() is 'An error, not an empty answer: whoever must know that all is reported may not believe it.';

create or replace function public.lease_usage(p_limit integer default 100, p_stripe_customer_id text default null)
returns table (
  id bigint, lease bigint, kind text, identifier text, cancels text, stripe_customer_id text, meter_event_name text,
  quantity bigint, event_time timestamptz, attempts integer, doubtful boolean
)
language plpgsql
-- Definer: see public.claim_usage().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  -- One at a time: two that look at the same moment could each find another first row of one customer.
  perform pg_advisory_xact_lock(hashtextextended('tollgate lease_usage', 0));
  perform billing.refuse_while_held();
  -- A lease that ran out without a word: its holder may have got through.
  update billing.usage_outbox o
  set uncertain_since = coalesce(o.uncertain_since, o.lease_until - interval '60 seconds'), lease_until = null
  where o.status = 'pending' and o.lease_until <= clock_timestamp();
  perform billing.park_unsendable();
  return query
  with heads as (
    select distinct on (o.stripe_customer_id, o.meter_event_name) o.id, o.next_attempt_at
    from billing.usage_outbox o
    where o.status = 'pending' and o.stripe_customer_id = coalesce(p_stripe_customer_id, o.stripe_customer_id)
      -- Not even when an older row comes to light while a younger one is on its way.
      and not exists (
        select from billing.usage_outbox b
        where b.status = 'pending' and b.stripe_customer_id = o.stripe_customer_id
          and b.meter_event_name = o.meter_event_name and b.lease_until is not null
      )
    order by o.stripe_customer_id, o.meter_event_name, o.id
  ), due as (
    select h.id from heads h
    where h.next_attempt_at <= clock_timestamp() or p_stripe_customer_id is not null
    order by h.next_attempt_at, h.id limit p_limit
  )
  update billing.usage_outbox o
  set lease = o.lease + 1, lease_until = clock_timestamp() + interval '60 seconds'
  from due
  where o.id = due.id and o.status = 'pending' and o.lease_until is null
  returning o.id, o.lease, o.kind, o.identifier,
    (select c.identifier from billing.usage_outbox c where c.id = o.adjusts),
    o.stripe_customer_id, o.meter_event_name, o.quantity, o.event_time, o.attempts,
    o.uncertain_since is not null;
end;
$$;

-- claim_usage() is asked by everybody before lease_usage(), and makes rows that are not sent: harmless while it is held, but
-- for who takes no row for an answer.
alter function public.claim_usage(integer, text) rename to claim_usage_unheld;
alter function public.claim_usage_unheld(integer, text) set schema billing;
revoke all on function billing.claim_usage_unheld(integer, text) from public, anon, authenticated, service_role;
comment on function billing.claim_usage_unheld(integer, text) is 'public.claim_usage() while nothing is held back.';

create function public.claim_usage(p_limit integer default 1000, p_stripe_customer_id text default null)
returns bigint
language plpgsql
-- Definer: the secret key has no access to the ledger, only this.
security definer
set search_path = ''
as $$
begin
  perform billing.refuse_while_held();
  return billing.claim_usage_unheld(p_limit, p_stripe_customer_id);
end;
$$;

comment on function public.claim_usage(integer, text) is
  'Makes outbox rows of what the ledger holds beyond what is claimed, and answers how many. With a customer only theirs, and '
  'all of it; without, rows that somebody is writing to are left to the next call. An error while usage is held back.';

create function public.open_ledgers() returns bigint
language plpgsql
-- Definer: see public.hold_usage().
security definer
set search_path = ''
as $$
declare
  v_opened bigint;
begin
  perform billing.require(billing.usage_held_at() is not null, 'usage is not held back');
  -- Periods that began since the backup, of which Stripe may have counted something.
  insert into billing.overage_usage (stripe_customer_id, metric_id, period_start, period_end, user_id, quantity, amount_minor)
  select c.stripe_customer_id, i.metric_id, i.period_start, i.period_end, i.user_id, 0, 0
  from billing.metered_items i join public.customers c on c.user_id = i.user_id
  on conflict (stripe_customer_id, metric_id, period_start) do nothing;
  get diagnostics v_opened = row_count;
  -- Beyond every identifier that was used since the backup: a claim is made every five minutes and with some events.
  update billing.overage_usage u set sequence = (u.sequence / 1000000 + 1) * 1000000
  where u.period_end > billing.usage_held_at() - interval '35 days';
  return v_opened;
end;
$$;

comment on function public.open_ledgers() is
  'Ledger rows for the billing periods of today, so that they are checked, and sequences that no lost row has used.';

create function billing.adopt_one(p_check billing.usage_checks) returns table (taken bigint, lost bigint)
language plpgsql
set search_path = ''
as $$
declare
  v_ledger billing.overage_usage;
  v_row record;
  v_left bigint;
begin
  -- The account before the ledger, as everywhere.
  perform from billing.overage_accounts a where a.user_id = p_check.user_id for no key update;
  select * into v_ledger from billing.overage_usage u
  where u.stripe_customer_id = p_check.stripe_customer_id and u.metric_id = p_check.metric_id
    and u.period_start = p_check.period_start for no key update;
  select p_check.stripe - (s.sent - s.adjusted) into v_left
  from public.usage_sums(p_check.stripe_customer_id, '-infinity') s
  where s.metric_id = p_check.metric_id and s.period_start = p_check.period_start;
  taken := greatest(v_left, 0);
  -- Rows that were sent after the backup, in the order in which they were.
  for v_row in
    select o.id, o.quantity from billing.usage_outbox o
    where o.stripe_customer_id = p_check.stripe_customer_id and o.metric_id = p_check.metric_id
      and o.period_start = p_check.period_start and o.kind = 'event' and o.status <> 'sent'
    order by o.id
  loop
    if v_row.quantity <= v_left then
      perform public.usage_sent(v_row.id);
      v_left := v_left - v_row.quantity;
    end if;
  end loop;
  -- Then what was not claimed at the time of the backup, then what was used after it, of which no row is left.
  lost := greatest(v_left - coalesce((
    select h.unclaimed from billing.held_usage h
    where h.stripe_customer_id = p_check.stripe_customer_id and h.metric_id = p_check.metric_id
      and h.period_start = p_check.period_start
  ), 0), 0);
  if v_left > 0 then
    perform billing.adopt_quantity(v_ledger, v_left, lost);
    delete from billing.held_usage h
    where h.stripe_customer_id = p_check.stripe_customer_id and h.metric_id = p_check.metric_id
      and h.period_start = p_check.period_start;
  end if;
  return next;
end;
$$;

comment on function billing.adopt_one(billing.usage_checks) is
  'Makes a ledger row and its outbox say what Stripe counted: taken of what was sent without our knowing, lost of that was never in the ledger.';

create function billing.adopt_quantity(p_ledger billing.overage_usage, p_quantity bigint, p_lost bigint) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_price constant numeric := coalesce(
    (select max(i.unit_amount_minor) from billing.metered_items i
      where i.user_id = p_ledger.user_id and i.metric_id = p_ledger.metric_id),
    p_ledger.amount_minor / nullif(p_ledger.quantity, 0), 0
  );
begin
  insert into billing.usage_outbox (
    stripe_customer_id, metric_id, period_start, user_id, sequence, quantity, identifier, meter_event_name, event_time,
    status, sent_at, reason
  )
  select p_ledger.stripe_customer_id, p_ledger.metric_id, p_ledger.period_start, p_ledger.user_id, p_ledger.sequence + 1,
    p_quantity, format('%s-%s-%s-%s', p_ledger.stripe_customer_id, p_ledger.metric_id,
      extract(epoch from p_ledger.period_start)::bigint, p_ledger.sequence + 1),
    -- Nowhere near the minutes that this period shares with its neighbours.
    m.meter_event_name, p_ledger.period_start + (p_ledger.period_end - p_ledger.period_start) / 2, 'sent', now(),
    'taken over from Stripe after a backup was restored'
  from public.metrics m where m.id = p_ledger.metric_id;
  update billing.overage_usage u set
    quantity = u.quantity + p_lost, claimed = u.claimed + p_quantity, sequence = u.sequence + 1,
    amount_minor = u.amount_minor + round(p_lost * v_price, 6)
  where u.stripe_customer_id = p_ledger.stripe_customer_id and u.metric_id = p_ledger.metric_id
    and u.period_start = p_ledger.period_start;
  update billing.overage_accounts a set spent_minor = billing.overage_spent(a.user_id, a.period_start)
  where a.user_id = p_ledger.user_id and a.period_start = p_ledger.period_start;
end;
$$;

comment on function billing.adopt_quantity(billing.overage_usage, bigint, bigint) is
  'Adds what Stripe counted and we have no row of: as sent, and what was lost of it to ledger and cap, at today''s price.';

create function public.adopt_usage()
returns table (stripe_customer_id text, metric_id text, period_start timestamptz, taken bigint, lost bigint)
language plpgsql
-- Definer: see public.hold_usage().
security definer
set search_path = ''
as $$
declare
  v_check billing.usage_checks;
begin
  perform billing.require(billing.usage_held_at() is not null, 'usage is not held back');
  for v_check in
    select distinct on (c.stripe_customer_id, c.metric_id, c.period_start) c.* from billing.usage_checks c
    where c.run_at >= billing.usage_held_at()
    order by c.stripe_customer_id, c.metric_id, c.period_start, c.id desc
  loop
    select a.taken, a.lost into taken, lost from billing.adopt_one(v_check) a;
    if taken > 0 then
      stripe_customer_id := v_check.stripe_customer_id;
      metric_id := v_check.metric_id;
      period_start := v_check.period_start;
      return next;
    end if;
  end loop;
end;
$$;

comment on function public.adopt_usage() is
  'Takes over what Stripe had counted at the checks since usage is held back, and answers where it was more than we had sent: taken, and '
  'lost of that, which is in no row of ours.';

create function public.adopt_customer(p_user_id uuid, p_stripe_customer_id text) returns text
language plpgsql
-- Definer: see public.hold_usage().
security definer
set search_path = ''
as $$
declare
  v_linked constant text := (select c.stripe_customer_id from public.customers c where c.user_id = p_user_id);
begin
  perform billing.require(p_user_id is not null and p_stripe_customer_id ~ '^cus_\w+$', 'a user and a customer are needed');
  if v_linked = p_stripe_customer_id then
    return 'known';
  elsif exists (select from billing.deletions d where d.user_id = p_user_id) then
    return 'known';
  elsif v_linked is not null then
    perform billing.report_problem('second_customer', p_stripe_customer_id,
      jsonb_build_object('user_id', p_user_id, 'linked', v_linked));
    return 'other_customer';
  elsif not exists (select from auth.users u where u.id = p_user_id) then
    perform billing.report_problem('customer_without_user', p_stripe_customer_id, jsonb_build_object('user_id', p_user_id));
    return 'no_user';
  end if;
  insert into public.customers (user_id, stripe_customer_id) values (p_user_id, p_stripe_customer_id);
  return 'linked';
end;
$$;

comment on function public.adopt_customer(uuid, text) is
  'After a backup was restored: binds a customer of Stripe''s to the user whose id we wrote there, unless we know better. linked, '
  'known, no_user or other_customer; the last two are told to an operator.';

create function public.adopt_purchase(
  p_purchase_id uuid, p_buyer_id uuid, p_session_id text, p_listing_id uuid, p_kind text, p_amount_minor bigint,
  p_currency text, p_fee_bps integer, p_fee_minor bigint
) returns text
language plpgsql
-- Definer: see public.hold_usage().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_purchase_id is not null and p_session_id <> '', 'a purchase and its session are needed');
  if exists (select from public.purchases p where p.id = p_purchase_id) then
    -- Its session may be a later one than that of the backup.
    update public.purchases p set checkout_session_id = p_session_id, session_status = null, due_at = now()
    where p.id = p_purchase_id and p.paid_at is null and p.checkout_session_id is distinct from p_session_id
      and not exists (select from public.purchases o where o.checkout_session_id = p_session_id);
    return 'known';
  end if;
  insert into public.purchases (
    id, buyer_id, listing_id, seller_id, kind, title, amount_minor, currency, fee_bps, fee_minor, checkout_session_id, due_at
  )
  select p_purchase_id, u.id, l.id, l.seller_id, p_kind, l.title, p_amount_minor, p_currency, p_fee_bps, p_fee_minor,
    p_session_id, now()
  from public.listings l, auth.users u
  where l.id = p_listing_id and u.id = p_buyer_id
    and not exists (select from billing.deletions d where d.user_id = u.id)
    and not exists (
      select from public.purchases o where o.buyer_id = u.id and o.listing_id = l.id and o.holds
    );
  if found then
    return 'recreated';
  end if;
  perform billing.report_problem('sale_without_row', p_purchase_id::text, jsonb_build_object(
    'session', p_session_id, 'buyer_id', p_buyer_id, 'listing_id', p_listing_id
  ));
  return 'lost';
end;
$$;

comment on function public.adopt_purchase(uuid, uuid, text, uuid, text, bigint, text, integer, bigint) is
  'After a backup was restored: makes the row of a sale again from its Checkout session. recreated, known or, told to an operator, lost '
  '(a credit pack, whose credit Stripe has anyway; buyer or listing gone; or the buyer has another purchase of it).';

create function billing.check_hold() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  select 'usage_held', billing.seconds_since(billing.usage_held_at()), billing.usage_held_at(), null;
$$;

comment on function billing.check_hold() is 'Whether usage is held back since a backup was restored.';

insert into billing.health_thresholds (check_name, check_function, unit, warn, fail, hint)
values ('usage_held', 'check_hold', 'seconds', 1, 3600, 'A backup was restored and not finished with: npm run restored.');

revoke all on function billing.usage_held_at(), public.hold_usage(), public.release_usage(), billing.refuse_while_held(),
  public.claim_usage(integer, text), public.open_ledgers(), billing.adopt_one(billing.usage_checks),
  billing.adopt_quantity(billing.overage_usage, bigint, bigint), public.adopt_usage(), public.adopt_customer(uuid, text),
  public.adopt_purchase(uuid, uuid, text, uuid, text, bigint, text, integer, bigint), billing.check_hold()
  from public, anon, authenticated, service_role;
grant execute on function public.hold_usage(), public.release_usage(), public.claim_usage(integer, text),
  public.open_ledgers(), public.adopt_usage(), public.adopt_customer(uuid, text),
  public.adopt_purchase(uuid, uuid, text, uuid, text, bigint, text, integer, bigint)
  to service_role;
