begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

create function pg_temp.become(p_role text, p_user_id uuid default null) returns void
language sql as $$
  select set_config('request.jwt.claim.sub', coalesce(p_user_id::text, ''), true),
    set_config('request.jwt.claims',
      jsonb_strip_nulls(jsonb_build_object('role', p_role, 'sub', p_user_id))::text, true),
    set_config('role', p_role, true);
$$;
grant execute on function pg_temp.become(text, uuid) to public;

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ada@tollgate.test'),
  ('b0000000-0000-4000-8000-000000000001', 'bob@tollgate.test');

create function pg_temp.refusal(p_statement text) returns jsonb
language plpgsql as $$
declare
  v_detail text;
begin
  execute p_statement;
  return null;
exception when sqlstate 'PGRST' then
  get stacked diagnostics v_detail = pg_exception_detail;
  return sqlerrm::jsonb || v_detail::jsonb;
end;
$$;
grant execute on function pg_temp.refusal(text) to public;

select no_plan();

-- The number of a checkout: one per intention.

select pg_temp.become('service_role');
select is(
  public.begin_checkout('a0000000-0000-4000-8000-000000000001', 'pro_monthly'), 1::bigint, 'the first is 1'
);
select is(
  public.begin_checkout('a0000000-0000-4000-8000-000000000001', 'pro_monthly'), 1::bigint, 'two tabs share it'
);
select is(
  public.begin_checkout('b0000000-0000-4000-8000-000000000001', 'pro_monthly'), 1::bigint, 'everybody has their own'
);
select ok(
  public.is_current_checkout('a0000000-0000-4000-8000-000000000001', 1), 'it is current'
);
select is(
  public.begin_checkout('a0000000-0000-4000-8000-000000000001', 'pro_yearly'), 2::bigint, 'another price is another one'
);
select ok(
  not public.is_current_checkout('a0000000-0000-4000-8000-000000000001', 1), 'and supersedes the first'
);
select is(
  public.begin_checkout('a0000000-0000-4000-8000-000000000001', 'pro_monthly'), 3::bigint, 'no number is used again'
);
select public.close_checkout('a0000000-0000-4000-8000-000000000001', 2);
select ok(
  public.is_current_checkout('a0000000-0000-4000-8000-000000000001', 3), 'closing an old one does nothing'
);
select public.close_checkout('a0000000-0000-4000-8000-000000000001', 3);
select ok(
  not public.is_current_checkout('a0000000-0000-4000-8000-000000000001', 3), 'a closed one is not current'
);
select is(
  public.begin_checkout('a0000000-0000-4000-8000-000000000001', 'pro_monthly'), 4::bigint, 'the next one is new'
);
reset role;
update billing.checkout_attempts set started_at = now() - interval '22 hours 59 minutes';
select pg_temp.become('service_role');
select is(
  public.begin_checkout('a0000000-0000-4000-8000-000000000001', 'pro_monthly'), 4::bigint, 'for 23 hours it is the same'
);
reset role;
update billing.checkout_attempts set started_at = now() - interval '23 hours';
select pg_temp.become('service_role');
select is(
  public.begin_checkout('a0000000-0000-4000-8000-000000000001', 'pro_monthly'), 5::bigint, 'and then it is not'
);
select ok(
  not public.is_current_checkout('a0000000-0000-4000-8000-000000000001', null), 'no number is not current'
);

-- Only what is sold.
reset role;
update public.prices set is_active = false where lookup_key = 'pro_yearly';
select pg_temp.become('service_role');
select is(
  pg_temp.refusal(format(
    'select public.begin_checkout(%L, %L)', 'a0000000-0000-4000-8000-000000000001', c.lookup_key
  )) ->> 'code', 'price_not_found', c.why
)
from (values
  ('pro_yearly', 'a price that is no longer sold is refused'),
  ('mystery_price', 'and one that never was'),
  (null, 'and none')
) as c (lookup_key, why);
select is(
  pg_temp.refusal($$select public.begin_checkout(null, 'pro_monthly')$$) ->> 'code', 'invalid_request',
  'a checkout needs a user'
);

select * from finish();
rollback;
