begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

select no_plan();

-- The scheduled check keeps its place.

update billing.ledger_check_cursor set after = null, round_started_at = now() - interval '3 hours';
select is(public.ledger_check_cursor(), null, 'it begins with the first creator');
select public.move_ledger_check('e0000000-0000-4000-8000-00000000000e');
select is(public.ledger_check_cursor(), 'e0000000-0000-4000-8000-00000000000e'::uuid, 'goes on where it stopped');
select is(
  (select round_started_at from billing.ledger_check_cursor), now() - interval '3 hours', 'in the same round'
);
select public.move_ledger_check();
select is(public.ledger_check_cursor(), null, 'and after the last begins again');
select is((select round_started_at from billing.ledger_check_cursor), now(), 'with a new round');
select throws_ok('insert into billing.ledger_check_cursor (is_only) values (true)', '23505', null, 'there is one place');
select throws_ok('insert into billing.ledger_check_cursor (is_only) values (false)', '23514', null, 'and no other');

select * from finish();
rollback;
