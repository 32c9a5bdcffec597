-- Giving money back: refunds that operators ask for, and the creator's share of what a bank disputes. Both are work that waits
-- here until a function has done it at Stripe; what came of it arrives with the next snapshot.

create table billing.refund_requests (
  id uuid primary key default gen_random_uuid(),
  purchase_id uuid not null references public.purchases (id),
  charge_id text not null references billing.purchase_charges (id),
  amount_minor bigint not null check (amount_minor > 0),
  reason text not null check (reason <> ''),
  requested_by text not null default session_user,
  status text not null default 'pending' check (status in ('pending', 'sent', 'failed')),
  stripe_refund_id text unique,
  last_error text,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  check (status <> 'sent' or stripe_refund_id is not null)
);

create index refund_requests_charge_id_idx on billing.refund_requests (charge_id);
create index refund_requests_purchase_id_idx on billing.refund_requests (purchase_id);
create index refund_requests_next_attempt_at_idx on billing.refund_requests (next_attempt_at) where status = 'pending';

comment on table billing.refund_requests is
  'Refunds by operators, by billing.refund_purchase(). The id is the idempotency key, so asking Stripe twice refunds once.';
comment on column billing.refund_requests.amount_minor is 'Decided when it was asked for, so that a repeat means the same.';

alter table billing.refund_requests enable row level security;
revoke all on billing.refund_requests from public, anon, authenticated, service_role;
create policy "Nobody reads the refund requests" on billing.refund_requests
  for all to anon, authenticated using (false) with check (false);

create function billing.refundable(p_charge_id text) returns bigint
language sql stable
set search_path = ''
as $$
  select c.amount_minor
    - (select s.refunded_minor from billing.charge_state(c.id) s)
    - coalesce((
      select sum(r.amount_minor) from billing.refund_requests r
      where r.charge_id = c.id and (
        r.status = 'pending' or (r.status = 'sent' and not exists (
          select from billing.purchase_refunds f where f.id = r.stripe_refund_id
        ))
      )
    ), 0)::bigint
  from billing.purchase_charges c where c.id = p_charge_id;
$$;

comment on function billing.refundable(text) is 'What is left of a payment, less what is asked back already.';

create function billing.refund_purchase(p_purchase_id uuid, p_amount_minor bigint default null, p_reason text default null)
returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_charge text;
  v_left bigint;
  v_id uuid;
begin
  -- Two operators at once: the second sees the request of the first.
  perform from public.purchases p where p.id = p_purchase_id for no key update;
  select c.id into v_charge from billing.purchase_charges c
  where c.purchase_id = p_purchase_id and c.status = 'succeeded' order by c.created_at desc, c.id desc limit 1;
  if not found then
    raise exception 'purchase % was never paid', p_purchase_id using errcode = 'no_data_found';
  end if;
  if (select s.state from billing.charge_state(v_charge) s) in ('disputed', 'lost') then
    raise exception 'purchase % is disputed', p_purchase_id using errcode = 'object_not_in_prerequisite_state',
      hint = 'The bank decides about the money; Stripe refuses to refund it.';
  end if;
  v_left := billing.refundable(v_charge);
  if coalesce(p_amount_minor, v_left) not between 1 and v_left then
    raise exception 'of purchase % there is % left to refund', p_purchase_id, v_left
      using errcode = 'check_violation';
  end if;
  insert into billing.refund_requests (purchase_id, charge_id, amount_minor, reason)
  values (p_purchase_id, v_charge, coalesce(p_amount_minor, v_left), coalesce(nullif(p_reason, ''), 'requested_by_customer'))
  returning id into v_id;
  return v_id;
end;
$$;

comment on function billing.refund_purchase(uuid, bigint, text) is
  'For operators: gives back an amount in minor units, or the rest, of the last payment of a purchase. A function does it '
  'within minutes; all of it revokes the licence. Refuses more than is left, and what is disputed.';

create function public.lease_refunds(p_limit integer)
returns table (
  id uuid, purchase_id uuid, charge_id text, amount_minor bigint, currency text, reason text, seller_id uuid, fee_minor bigint,
  attempts integer
)
language plpgsql
-- Definer: the secret key has no access to the table, only this.
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  with leased as (
    update billing.refund_requests r set next_attempt_at = now() + interval '2 minutes'
    where r.id in (
      select d.id from billing.refund_requests d
      where d.status = 'pending' and d.next_attempt_at <= now()
      order by d.next_attempt_at limit p_limit
      for no key update skip locked
    )
    returning r.*
  )
  select l.id, l.purchase_id, l.charge_id, l.amount_minor, p.currency, l.reason, p.seller_id, p.fee_minor, l.attempts
  from leased l join public.purchases p on p.id = l.purchase_id;
end;
$$;

comment on function public.lease_refunds(integer) is
  'Refunds to ask Stripe for, leased for two minutes. seller_id null: of the house, there is no transfer to reverse.';

create function public.refund_sent(p_id uuid, p_refund text) returns void
language sql
-- Definer: see public.lease_refunds().
security definer
set search_path = ''
as $$
  update billing.refund_requests r set status = 'sent', stripe_refund_id = p_refund, last_error = null
  where r.id = p_id and r.status <> 'sent';
$$;

comment on function public.refund_sent(uuid, text) is 'Stripe has made this refund of the request.';

create function public.refund_failed(p_id uuid, p_error text, p_final boolean) returns void
language plpgsql
-- Definer: see public.lease_refunds().
security definer
set search_path = ''
as $$
declare
  v_request billing.refund_requests;
begin
  update billing.refund_requests r set
    attempts = r.attempts + 1,
    last_error = left(p_error, 2000),
    status = case when p_final or r.attempts + 1 >= 12 then 'failed' else 'pending' end,
    next_attempt_at = now() + least(interval '1 minute' * power(2, r.attempts), interval '6 hours')
  where r.id = p_id and r.status = 'pending'
  returning * into v_request;
  if v_request.status = 'failed' then
    perform billing.report_problem('refund_failed', p_id::text, jsonb_build_object(
      'purchase', v_request.purchase_id, 'amount_minor', v_request.amount_minor, 'error', v_request.last_error
    ));
  end if;
end;
$$;

comment on function public.refund_failed(uuid, text, boolean) is
  'It did not work: again later, or (p_final, or the twelfth time) a problem for an operator.';

create function public.dispute_work(p_limit integer)
returns table (
  dispute_id text, action text, purchase_id uuid, charge_id text, amount_minor bigint, currency text, destination text,
  attempts integer
)
language plpgsql
-- Definer: see public.lease_refunds().
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_limit between 1 and 1000, 'p_limit is not between 1 and 1000');
  return query
  with due as (
    select d.id,
      case when d.transfer_state = 'none' then 'reverse' else 'pay' end as action
    from billing.purchase_disputes d
    join public.purchases p on p.id = d.purchase_id and p.seller_id is not null
    where d.next_attempt_at <= now() and (
      (d.transfer_state = 'none' and d.status in ('needs_response', 'under_review', 'lost'))
      or (d.transfer_state = 'reversed' and d.status = 'won' and d.reversed_minor > 0)
    )
    order by d.next_attempt_at limit p_limit
    for no key update of d skip locked
  ), leased as (
    update billing.purchase_disputes d set next_attempt_at = now() + interval '2 minutes'
    from due where d.id = due.id
    returning d.*, due.action
  )
  select l.id, l.action, l.purchase_id, l.charge_id,
    case l.action when 'pay' then l.reversed_minor else l.amount_minor end, l.currency, s.stripe_account_id, l.attempts
  from leased l
  join public.purchases p on p.id = l.purchase_id
  join public.sellers s on s.id = p.seller_id;
end;
$$;

comment on function public.dispute_work(integer) is
  'What is to be done about the creator''s share of disputed payments, leased for two minutes: reverse the transfer (amount: what '
  'is disputed), or pay it again because the dispute was won (amount: what the creator lost by the reversal).';

create function public.note_dispute_work(
  p_dispute_id text, p_done text default null, p_error text default null, p_amount_minor bigint default null
) returns void
language plpgsql
-- Definer: see public.lease_refunds().
security definer
set search_path = ''
as $$
declare
  v_dispute billing.purchase_disputes;
begin
  perform billing.require(
    coalesce(p_done, 'failed') in ('reversed', 'paid_back', 'failed'), 'p_done is none of reversed, paid_back, failed'
  );
  update billing.purchase_disputes d set
    attempts = case when p_error is null then 0 else d.attempts + 1 end,
    last_error = left(p_error, 2000),
    next_attempt_at = case when p_error is null then now()
      else now() + least(interval '1 minute' * power(2, d.attempts), interval '6 hours') end,
    transfer_state = case
      when p_done is not null then p_done when d.attempts + 1 >= 8 then 'failed' else d.transfer_state end,
    reversed_minor = case when p_done = 'reversed' then coalesce(p_amount_minor, d.amount_minor) else d.reversed_minor end
  where d.id = p_dispute_id and (p_done is null or d.transfer_state <> p_done)
  returning * into v_dispute;
  if v_dispute.transfer_state = 'failed' then
    perform billing.report_problem('reversal_failed', p_dispute_id, jsonb_build_object(
      'purchase', v_dispute.purchase_id, 'amount_minor', v_dispute.amount_minor, 'error', v_dispute.last_error
    ));
  end if;
end;
$$;

comment on function public.note_dispute_work(text, text, text, bigint) is
  'What came of it: p_done reversed (p_amount_minor: net of the fee given back, which a won dispute pays again), paid_back, or '
  'failed for good; p_done null with p_error: again later, eight times at most. failed is a problem: the platform bears it.';

create view billing.disputes with (security_invoker = true) as
select d.id, d.status, d.reason, d.amount_minor, d.currency, d.evidence_due_by, d.transfer_state, d.last_error,
  d.purchase_id, p.title, p.seller_id, p.status as purchase_status, d.seen_at
from billing.purchase_disputes d join public.purchases p on p.id = d.purchase_id
order by d.evidence_due_by nulls last, d.seen_at;

comment on view billing.disputes is 'For operators: all disputes, the most urgent first.';

revoke all on billing.disputes from public, anon, authenticated, service_role;
revoke all on function billing.refundable(text), billing.refund_purchase(uuid, bigint, text), public.lease_refunds(integer),
  public.refund_sent(uuid, text), public.refund_failed(uuid, text, boolean), public.dispute_work(integer),
  public.note_dispute_work(text, text, text, bigint)
  from public, anon, authenticated, service_role;
grant execute on function public.lease_refunds(integer), public.refund_sent(uuid, text),
  public.refund_failed(uuid, text, boolean), public.dispute_work(integer),
  public.note_dispute_work(text, text, text, bigint) to service_role;
