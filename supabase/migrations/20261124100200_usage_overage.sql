-- my_usage() also says how much of the day is beyond the allowance. A column more at the end: readers of the others see no change.

drop function public.my_usage();

create function public.my_usage()
returns table (metric text, used bigint, limit_value bigint, resets_at timestamptz, plan text, overage bigint)
language sql stable
set search_path = ''
as $$
  select
    m.id,
    case when c.period_day < t.today then 0 else coalesce(c.used, 0) end,
    -- The cached allowance is what decides while it is valid; otherwise the plan is what will.
    case
      when c.valid_until > now() then c.allowance
      when l.plan_id is not null then l.limit_value
      else 0
    end,
    case when m.period = 'day' then (greatest(c.period_day, t.today) + 1)::timestamp at time zone 'UTC' end,
    p.id,
    case when c.period_day < t.today then 0 else coalesce(c.overage, 0) end
  from public.metrics m
  cross join (select (now() at time zone 'UTC')::date as today) t
  left join billing.usage_counters c on c.metric_id = m.id and c.user_id = (select auth.uid())
  left join public.plans p on p.id = coalesce(
    (
      select e.plan_id from public.entitlements e
      where e.user_id = (select auth.uid()) and (e.valid_until is null or e.valid_until > now())
    ),
    (select d.id from public.plans d where d.is_default)
  )
  left join public.plan_limits l on l.plan_id = p.id and l.metric_id = m.id
  order by m.id;
$$;

comment on function public.my_usage() is
  'What the caller has used, one row per metric: used, limit_value (null is unlimited), resets_at (null is never), plan, and '
  'overage: how much of used is beyond the allowance and paid for.';

revoke all on function public.my_usage() from public, anon, authenticated, service_role;
grant execute on function public.my_usage() to authenticated;
