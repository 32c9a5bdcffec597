begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

select no_plan();

-- The scheduled check keeps its place.

update billing.usage_check_cursor set after = '', round_started_at = now() - interval '3 hours';
select is(public.usage_check_cursor(), '', 'it begins with the first customer');
select public.move_usage_check('cus_m');
select is(public.usage_check_cursor(), 'cus_m', 'goes on where it stopped');
select is(
  (select round_started_at from billing.usage_check_cursor), now() - interval '3 hours', 'in the same round'
);
select public.move_usage_check('');
select is(public.usage_check_cursor(), '', 'and after the last begins again');
select is((select round_started_at from billing.usage_check_cursor), now(), 'with a new round');
select public.move_usage_check(null);
select is(public.usage_check_cursor(), '', 'null is the beginning too');
select throws_ok('insert into billing.usage_check_cursor (is_only) values (true)', '23505', null, 'there is one place');
select throws_ok('insert into billing.usage_check_cursor (is_only) values (false)', '23514', null, 'and no other');

select * from finish();
rollback;
