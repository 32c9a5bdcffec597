-- One change of a subscription at a time. A change of plan is several requests to Stripe, and what it costs was shown
-- before: of two that run at once the second would act on a state that nobody was shown, and charge for it.

create table billing.plan_changes (
  user_id uuid primary key references auth.users (id) on delete cascade,
  lease_token bigint,
  lease_until timestamptz,
  changed_at timestamptz
);

comment on table billing.plan_changes is 'Who is changing their subscription, and when something was last charged by it.';
comment on column billing.plan_changes.lease_token is 'Whose lease it is. A holder that dies loses it at lease_until.';
comment on column billing.plan_changes.changed_at is
  'A preview made in this second or before it is no longer true. Null: there was no change yet.';

alter table billing.plan_changes enable row level security;
revoke all on billing.plan_changes from public, anon, authenticated, service_role;

create policy "Nobody reads plan changes" on billing.plan_changes
  for all to anon, authenticated using (false) with check (false);

create function public.begin_plan_change(p_user_id uuid)
returns table (token bigint, changed_at timestamptz)
language plpgsql
-- Definer: the secret key needs no access to the table, only this.
security definer
set search_path = ''
as $$
begin
  perform billing.require(p_user_id is not null, 'p_user_id is missing');
  return query
  insert into billing.plan_changes as c (user_id, lease_token, lease_until)
  values (p_user_id, nextval('billing.sync_token_seq'), clock_timestamp() + interval '2 minutes')
  on conflict (user_id) do update set
    lease_token = excluded.lease_token,
    lease_until = excluded.lease_until,
    -- Whoever died with the lease may have changed something before.
    changed_at = case when c.lease_until is null then c.changed_at else clock_timestamp() end
  where c.lease_until is null or c.lease_until < clock_timestamp()
  returning c.lease_token, c.changed_at;
end;
$$;

comment on function public.begin_plan_change(uuid) is
  'Takes the lease on a user''s subscription for two minutes; no row while somebody else has it.';

create function public.end_plan_change(p_user_id uuid, p_token bigint, p_changed boolean) returns void
language sql
-- Definer: see public.begin_plan_change().
security definer
set search_path = ''
as $$
  update billing.plan_changes c
  set lease_token = null, lease_until = null,
    changed_at = case when p_changed then clock_timestamp() else c.changed_at end
  where c.user_id = p_user_id and c.lease_token = p_token;
$$;

comment on function public.end_plan_change(uuid, bigint, boolean) is
  'Gives the lease up, only one''s own; p_changed: previews made until now are no longer true.';

revoke all on function public.begin_plan_change(uuid), public.end_plan_change(uuid, bigint, boolean)
  from public, anon, authenticated, service_role;
grant execute on function public.begin_plan_change(uuid), public.end_plan_change(uuid, bigint, boolean)
  to service_role;
