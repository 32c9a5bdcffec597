begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

select no_plan();

-- Who may do what is in supabase/privileges.txt; this is what every object has, whoever uses it.

select is_empty(
  $$select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'billing') and c.relkind in ('r', 'p')
      and obj_description(c.oid, 'pg_class') is null$$,
  'every table says what it is for'
);
select is_empty(
  $$select f.oid::regprocedure from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    where n.nspname in ('public', 'billing') and obj_description(f.oid, 'pg_proc') is null$$,
  'every function says what it does'
);
select is_empty(
  $$select f.oid::regprocedure from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    where n.nspname in ('public', 'billing')
      and not coalesce('search_path=""' = any (f.proconfig), false)$$,
  'every function has an empty search path'
);

select * from finish();
rollback;
