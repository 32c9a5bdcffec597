-- What is to be done about the creator's share of a dispute follows from where the dispute and the share stand now, so that
-- it ends right whatever was missed in between: one that was won before we heard of it, a worker that died after Stripe had
-- taken the share back, a fee that Stripe does not give back, and refunds after the share was paid again.

alter table billing.purchase_disputes
  add column shared_minor bigint not null default 0 check (shared_minor >= 0);

comment on column billing.purchase_disputes.shared_minor is
  'Of a won dispute: how much of the payment had been refunded when what was paid again was last brought into line with it.';

create function billing.dispute_action(p_dispute billing.purchase_disputes) returns text
language sql stable
set search_path = ''
as $$
  select case
    when p_dispute.transfer_state = 'none' and p_dispute.status in ('needs_response', 'under_review', 'lost') then 'reverse'
    when p_dispute.status <> 'won' then null
    -- We know of nothing that was taken back, but who died may have done it: Stripe knows.
    when p_dispute.transfer_state = 'none'
      or (p_dispute.transfer_state = 'failed' and p_dispute.reversed_minor is null) then 'settle'
    when p_dispute.transfer_state = 'reversed' and p_dispute.reversed_minor > 0 then 'pay'
    when p_dispute.transfer_state = 'paid_back'
      and (select s.refunded_minor from billing.charge_state(p_dispute.charge_id) s) > p_dispute.shared_minor then 'share'
  end;
$$;

comment on function billing.dispute_action(billing.purchase_disputes) is
  'What is to be done now: reverse, settle, pay or share, see public.dispute_work(); null: nothing.';

create or replace function public.dispute_work(p_limit integer)
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
    select d.id, billing.dispute_action(d) as action
    from billing.purchase_disputes d
    join public.purchases p on p.id = d.purchase_id and p.seller_id is not null
    where d.next_attempt_at <= now() and billing.dispute_action(d) is not null
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
  'is disputed); settle, which is to look at Stripe for what was reversed before it was won; pay it again because it was won '
  '(amount: what the creator lost by the reversal); share, which is to take back of that what was refunded since.';

create or replace function public.note_dispute_work(
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
    coalesce(p_done, 'failed') in ('reversed', 'paid_back', 'shared', 'failed'),
    'p_done is none of reversed, paid_back, shared, failed'
  );
  update billing.purchase_disputes d set
    attempts = case when coalesce(p_done, 'failed') = 'failed' then d.attempts + 1 else 0 end,
    last_error = left(p_error, 2000),
    next_attempt_at = case when p_done is not null then now()
      else now() + least(interval '1 minute' * power(2, d.attempts), interval '6 hours') end,
    transfer_state = case
      when p_done = 'shared' then d.transfer_state
      when p_done is not null then p_done
      when d.attempts + 1 >= 8 then 'failed' else d.transfer_state end,
    reversed_minor = case when p_done = 'reversed' then coalesce(p_amount_minor, d.amount_minor) else d.reversed_minor end,
    shared_minor = case when p_done = 'shared' then coalesce(p_amount_minor, d.shared_minor) else d.shared_minor end
  where d.id = p_dispute_id and (
    p_done is null or p_done = 'shared' or d.transfer_state <> p_done
    -- Somebody slow had taken it back after all when it was settled.
    or (p_done = 'reversed' and p_amount_minor > d.reversed_minor)
  )
  returning * into v_dispute;
  if v_dispute.transfer_state = 'failed' then
    perform billing.report_problem('reversal_failed', p_dispute_id, jsonb_build_object(
      'purchase', v_dispute.purchase_id, 'amount_minor', v_dispute.amount_minor, 'error', v_dispute.last_error
    ));
  elsif p_done is not null then
    update billing.problems b set resolved_at = now()
    where b.kind = 'reversal_failed' and b.subject = p_dispute_id and b.resolved_at is null;
  end if;
  if p_done = 'reversed' and p_error is not null then
    perform billing.report_problem('fee_refund_failed', p_dispute_id, jsonb_build_object(
      'purchase', v_dispute.purchase_id, 'reversed_minor', v_dispute.reversed_minor, 'error', v_dispute.last_error
    ));
  end if;
end;
$$;

comment on function public.note_dispute_work(text, text, text, bigint) is
  'What came of it: p_done reversed (p_amount_minor: net of the fee given back, which a won dispute pays again; with p_error: '
  'Stripe does not give the fee back, a problem fee_refund_failed), paid_back, shared (p_amount_minor: what had been refunded '
  'of the payment), or failed for good; p_done null with p_error: again later, eight times at most. failed is a problem '
  'reversal_failed: the platform bears it.';

create function billing.retry_dispute(p_dispute_id text) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- The count of attempts stays: it is part of the key, and Stripe keeps a refusal under its key for a day.
  update billing.purchase_disputes d set
    transfer_state = case when d.reversed_minor is null then 'none' else 'reversed' end, next_attempt_at = now()
  where d.id = p_dispute_id and d.transfer_state = 'failed';
  if not found then
    raise exception 'there is no dispute % that failed', p_dispute_id using errcode = 'no_data_found';
  end if;
end;
$$;

comment on function billing.retry_dispute(text) is
  'For operators: what failed about the creator''s share of a dispute is tried once more.';

revoke all on function billing.dispute_action(billing.purchase_disputes), billing.retry_dispute(text)
  from public, anon, authenticated, service_role;
