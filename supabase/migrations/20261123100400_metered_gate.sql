-- The gate, third edition. The way within the allowance is what it was: one update of one row. Everything that is not
-- plain (the first of a day, a mark that is reached, the end of the allowance) goes to billing.consume().

drop function billing.consume(uuid, text, bigint);

create function billing.consume(p_user_id uuid, p_metric_id text, p_quantity bigint) returns billing.usage_counters
language plpgsql
set search_path = ''
as $$
declare
  v_today constant date := (now() at time zone 'UTC')::date;
  v_before billing.usage_counters;
  v_after billing.usage_counters;
  v_excess bigint;
  v_amount numeric;
begin
  perform billing.ensure_counters(array[p_user_id], p_metric_id);
  select * into strict v_before from billing.usage_counters c
  where c.user_id = p_user_id and c.metric_id = p_metric_id
  for no key update;
  if v_before.period_day < v_today then
    perform billing.roll_counter(v_before);
    v_before.period_day := v_today;
    v_before.used := 0;
    v_before.overage := 0;
    v_before.overage_minor := 0;
    v_before.fast_until := billing.fast_until(v_before.allowance);
  end if;
  -- Of this quantity what is beyond the allowance; whatever was beyond it before is paid for already.
  v_excess := coalesce(greatest(0, v_before.used + p_quantity - greatest(v_before.used, v_before.allowance)), 0);
  if v_excess > 0 and v_before.allowance is not null then
    if v_before.period_day <> 'infinity' then
      v_amount := billing.admit_overage(p_user_id, p_metric_id, v_excess);
    end if;
    if v_amount is null then
      perform billing.refuse_quota(v_before, v_before.used);
    end if;
  else
    v_excess := 0;
  end if;
  update billing.usage_counters c set
    used = v_before.used + p_quantity,
    period_day = v_before.period_day,
    overage = v_before.overage + v_excess,
    overage_minor = v_before.overage_minor + coalesce(v_amount, 0),
    fast_until = billing.fast_until(v_before.allowance, v_before.used + p_quantity)
  where c.user_id = p_user_id and c.metric_id = p_metric_id
  returning * into v_after;
  perform billing.notice_allowance(v_before, v_after);
  return v_after;
end;
$$;

comment on function billing.consume(uuid, text, bigint) is
  'Takes a quantity of a metric for a user, all of it or nothing, and returns the counter. The thorough path: creates the '
  'counter, keeps the day that is over, goes beyond the allowance for those who pay for it, writes notices, and decides a '
  'refusal under the lock of the row, so that what it says is what was true.';

create function billing.roll_counter(p_counter billing.usage_counters) returns void
language sql
set search_path = ''
as $$
  insert into billing.usage_days as d (user_id, metric_id, day, used, allowance, overage, overage_minor)
  select p_counter.user_id, p_counter.metric_id, p_counter.period_day, p_counter.used, p_counter.allowance,
    p_counter.overage, p_counter.overage_minor
  where p_counter.used > 0
  on conflict (user_id, metric_id, day) do update set
    used = d.used + excluded.used,
    allowance = excluded.allowance,
    overage = d.overage + excluded.overage,
    overage_minor = d.overage_minor + excluded.overage_minor;
$$;

comment on function billing.roll_counter(billing.usage_counters) is 'Keeps the day a counter is about to leave.';

create function billing.notice_allowance(p_before billing.usage_counters, p_after billing.usage_counters) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_mark constant bigint := ceil(p_after.allowance * 0.8);
  -- The counter has not been looked at since the allowance changed or the day began.
  v_fresh constant boolean := p_before.fast_until < p_after.allowance - 1;
begin
  if p_after.period_day = 'infinity' or p_after.allowance is null or p_after.allowance = 0 then
    return;
  end if;
  if p_after.used >= p_after.allowance and (v_fresh or p_before.used < p_after.allowance) then
    perform billing.notify_allowance(
      p_after.user_id, p_after.metric_id, p_after.period_day, 100, p_after.used, p_after.allowance
    );
  elsif p_after.used >= v_mark and p_after.used < p_after.allowance and (v_fresh or p_before.used < v_mark) then
    perform billing.notify_allowance(
      p_after.user_id, p_after.metric_id, p_after.period_day, 80, p_after.used, p_after.allowance
    );
  end if;
end;
$$;

comment on function billing.notice_allowance(billing.usage_counters, billing.usage_counters) is
  'Writes the notice when a counter has come to 80 % or 100 % of its allowance. Not for metrics that never reset.';

create or replace function billing.consume_message() returns trigger
language plpgsql
-- Definer: the writer must not be able to write counters. The user is the row's, which the policies and the
-- foreign key have already checked when an AFTER trigger runs.
security definer
set search_path = ''
as $$
begin
  -- One statement decides. fast_until is within the allowance (a constraint says so), so nothing passes here that the
  -- allowance does not cover.
  update billing.usage_counters c
  set used = c.used + 1
  where c.user_id = new.user_id
    and c.metric_id = 'message'
    and c.period_day = (now() at time zone 'UTC')::date
    and c.valid_until > now()
    and c.used < c.fast_until;
  if not found then
    perform billing.consume(new.user_id, 'message', 1);
  end if;
  return null;
end;
$$;

comment on function billing.consume_message() is
  'The hot path: one message of its owner''s day; beyond the allowance whatever billing.consume() decides.';

create table billing.usage_requests (
  user_id uuid not null references auth.users (id) on delete cascade,
  metric_id text not null references public.metrics (id),
  request_id uuid not null,
  quantity bigint not null check (quantity > 0),
  answer jsonb,
  created_at timestamptz not null default now(),
  primary key (user_id, metric_id, request_id)
);

create index usage_requests_metric_id_idx on billing.usage_requests (metric_id);
create index usage_requests_created_at_idx on billing.usage_requests (created_at);

comment on table billing.usage_requests is
  'Requests of public.consume_usage() that had an id, for two days: the same id again costs nothing.';

alter table billing.usage_requests enable row level security;
revoke all on billing.usage_requests from public, anon, authenticated, service_role;
create policy "Nobody reads the requests" on billing.usage_requests
  for all to anon, authenticated using (false) with check (false);

create function public.consume_usage(
  p_user_id uuid, p_metric text, p_quantity bigint, p_request_id uuid default null
) returns jsonb
language plpgsql
-- Definer: the secret key writes no counters, it only takes from them. The user is an argument, because only our own
-- functions may call this.
security definer
set search_path = ''
as $$
declare
  v_counter billing.usage_counters;
  v_request billing.usage_requests;
  v_answer jsonb;
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  perform billing.require(p_quantity between 1 and 1000000000, 'p_quantity is not between 1 and 1000000000');
  perform billing.require(
    exists (select from public.metrics m where m.id = p_metric and m.period <> 'none'),
    'p_metric is not a metric that can be consumed'
  );
  if p_request_id is not null then
    -- Waits for the same request under way, and then finds it (or its place, when it was refused).
    insert into billing.usage_requests (user_id, metric_id, request_id, quantity)
    values (p_user_id, p_metric, p_request_id, p_quantity)
    on conflict (user_id, metric_id, request_id) do nothing;
    if not found then
      select * into strict v_request from billing.usage_requests r
      where r.user_id = p_user_id and r.metric_id = p_metric and r.request_id = p_request_id;
      perform billing.require(v_request.quantity = p_quantity, 'p_request_id was used for another quantity');
      return v_request.answer;
    end if;
  end if;
  v_counter := billing.consume(p_user_id, p_metric, p_quantity);
  v_answer := jsonb_build_object(
    'used', v_counter.used, 'allowance', v_counter.allowance, 'overage', v_counter.overage
  );
  update billing.usage_requests r set answer = v_answer
  where r.user_id = p_user_id and r.metric_id = p_metric and r.request_id = p_request_id;
  return v_answer;
end;
$$;

comment on function public.consume_usage(uuid, text, bigint, uuid) is
  'Takes a quantity of a metric for a user by the same way as a message: {used, allowance (null: unlimited), overage} of the '
  'day. All of it or nothing. A request id makes a repeat within two days free and answers what the first one did. Errors: '
  '429 <metric>_quota_exceeded, 402 spending_cap_reached. One metric a transaction: two would take locks out of order.';

create function billing.prune_usage_requests() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_pruned bigint;
begin
  delete from billing.usage_requests r where r.created_at < now() - interval '2 days';
  get diagnostics v_pruned = row_count;
  return v_pruned;
end;
$$;

comment on function billing.prune_usage_requests() is 'Forgets request ids older than two days.';

revoke all on function billing.consume(uuid, text, bigint), billing.roll_counter(billing.usage_counters),
  billing.notice_allowance(billing.usage_counters, billing.usage_counters),
  public.consume_usage(uuid, text, bigint, uuid), billing.prune_usage_requests()
  from public, anon, authenticated, service_role;
grant execute on function public.consume_usage(uuid, text, bigint, uuid) to service_role;
