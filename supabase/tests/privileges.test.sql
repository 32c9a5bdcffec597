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

-- Who the caller is says their token, never an argument.
select is_empty(
  $$select f.oid::regprocedure, a.name from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    cross join unnest(coalesce(f.proargnames[1:f.pronargs], '{}')) a (name)
    where n.nspname in ('public', 'billing')
      and (has_function_privilege('authenticated', f.oid, 'execute') or has_function_privilege('anon', f.oid, 'execute'))
      and a.name ~ '(user|buyer|owner|seller|person|customer|account|email|role|sub|actor)(_id)?$'$$,
  'no function of a client takes an identity'
);
select is_empty(
  $$select f.oid::regprocedure from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    where n.nspname in ('public', 'billing') and f.prosecdef and f.prorettype <> 'trigger'::regtype
      and has_function_privilege('authenticated', f.oid, 'execute')
      and f.prosrc !~ 'auth\.uid\(\)|billing\.(my_seller_id|has_licence|is_listing_seller)\('
      -- One setting, the same for everybody.
      and f.oid <> 'billing.grace_period()'::regprocedure$$,
  'every definer function of a client asks who is calling'
);

select * from finish();
rollback;
