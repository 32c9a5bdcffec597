-- A table whose gate was taken away by hand lets rows pass that nobody counts: a failure, at once.

create function billing.check_gates() returns setof billing.health_finding
language sql stable
set search_path = ''
as $$
  select 'quota_gates', count(*), min(q.attached_at), string_agg(q."table" || ': ' || q.status, ', ' order by q."table")
  from billing.attached_quotas q where q.status <> 'attached';
$$;

comment on function billing.check_gates() is 'Tables that were attached to a quota and whose rows are not, or not safely, counted.';

insert into billing.health_thresholds (check_name, check_function, unit, fail, hint)
values (
  'quota_gates', 'check_gates', 'tables', 1,
  'billing.attached_quotas says what is missing; billing.attach_quota(…) again puts it back, billing.detach_quota(…) ends it.'
);

revoke all on function billing.check_gates() from public, anon, authenticated, service_role;
