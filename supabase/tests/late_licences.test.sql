begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

create function pg_temp.become(p_user_id uuid) returns void language sql as $$
  select set_config('request.jwt.claim.sub', p_user_id::text, true),
    set_config('request.jwt.claims', jsonb_build_object('role', 'authenticated', 'sub', p_user_id)::text, true),
    set_config('role', 'authenticated', true);
$$;
create function pg_temp.refusal(p_statement text) returns text language plpgsql as $$
begin
  execute p_statement;
  return null;
exception when sqlstate 'PGRST' then
  return sqlerrm::jsonb ->> 'code';
end;
$$;

-- Bob pays for something of the house by the month; Cy does not.
create function pg_temp.bob() returns uuid language sql immutable as $$select 'b0000000-0000-4000-8000-000000000001'::uuid$$;
create function pg_temp.cy() returns uuid language sql immutable as $$select 'c0000000-0000-4000-8000-000000000001'::uuid$$;
create function pg_temp.listing() returns uuid language sql immutable as $$select '10000000-0000-4000-8000-0000000000e1'::uuid$$;
insert into auth.users (id, email) values (pg_temp.bob(), 'bob@tollgate.test'), (pg_temp.cy(), 'cy@tollgate.test');
insert into public.listings (id, title, category, kind, price_minor, currency, status, version, published_at)
values (pg_temp.listing(), 'Monthly', 'template', 'monthly', 1000, 'usd', 'published', 1, now());
create temporary table mine as
select (public.begin_purchase(pg_temp.bob(), pg_temp.listing()) ->> 'purchase_id')::uuid as id;
select public.note_purchase_session(id, 1, 'cs_late') from mine;

create function pg_temp.month(p_status text, p_open jsonb default null) returns jsonb language sql as $$
  select public.apply_purchase_snapshot(m.id, public.next_sync_token(), jsonb_build_object(
    'session_status', 'complete', 'payment_status', 'paid', 'open_invoice', p_open,
    'subscription', jsonb_build_object('id', 'sub_late', 'status', p_status, 'amount_minor', 1000,
      'current_period_end', now() + interval '20 days', 'cancel_at_period_end', false),
    'charges', '[{"id": "ch_late", "amount_minor": 1000, "currency": "usd", "status": "succeeded"}]'::jsonb
  )) from mine m;
$$;
create function pg_temp.begin() returns text language sql as $$
  select pg_temp.refusal(format('select public.begin_purchase(%L, %L)', pg_temp.bob(), pg_temp.listing()));
$$;
create function pg_temp.shown() returns table (line text) language sql as $$
  select concat_ws(' ', status, reason, purchase_status, open_minor, open_invoice_url) from public.my_library();
$$;
grant execute on function pg_temp.bob(), pg_temp.cy(), pg_temp.listing(), pg_temp.become(uuid), pg_temp.shown(),
  pg_temp.refusal(text), pg_temp.begin(), pg_temp.month(text, jsonb) to public;

select no_plan();

-- The renewal fails: for the grace it is owned, after that it is open, and neither is bought again.
select pg_temp.month('active');
select is(pg_temp.begin(), 'already_owned', 'what is paid for is owned');
select pg_temp.month('past_due', '{"id": "in_1", "url": "https://stripe.test/in_1", "amount_minor": 900}');
select is(pg_temp.begin(), 'already_owned', 'and for the grace it is, too');
update public.purchases set past_due_since = now() - interval '60 days';
select pg_temp.month('past_due', '{"id": "in_1", "url": "https://stripe.test/in_1", "amount_minor": 900}');
select is(pg_temp.begin(), 'licence_unpaid', 'after that it is neither owned nor for sale');
select ok(due_at <= now() + interval '1 hour', 'it is looked at again') from purchases where id = (select id from mine);
select pg_temp.become(pg_temp.bob());
select results_eq('select * from pg_temp.shown()',
  array['revoked payment_failed past_due 900 https://stripe.test/in_1'], 'the library says what is open, and where it is paid');
select throws_ok('select open_invoice_url from public.purchases', '42501', null, 'and nothing else does');
select pg_temp.become(pg_temp.cy());
select is_empty('select * from pg_temp.shown()', 'to nobody else');
reset role;

-- Paid, it is there again.
select is(pg_temp.month('active') ->> 'licence', 'active', 'paid, it is active again');
select pg_temp.become(pg_temp.bob());
select results_eq('select * from pg_temp.shown()', array['active active'], 'and nothing is open');
reset role;

-- Not paid, it ends; a month that is left open is looked after until it is written off.
select pg_temp.month('past_due', '{"id": "in_1", "url": "https://stripe.test/in_1", "amount_minor": 900}');
update public.purchases set past_due_since = now() - interval '60 days';
select pg_temp.month('canceled', '{"id": "in_1", "url": "https://stripe.test/in_1", "amount_minor": 900}');
select ok(due_at <= now() + interval '4 minutes', 'what is left open when it is over is due at once') from purchases
where id = (select id from mine);
select pg_temp.become(pg_temp.bob());
select results_eq('select * from pg_temp.shown()', array['revoked payment_failed canceled'], 'nobody is asked to pay it');
reset role;
select pg_temp.month('canceled');
select is(due_at, null, 'and then nothing is expected') from purchases where id = (select id from mine);
select is(pg_temp.begin(), null, 'it can be bought again');

-- Withdrawn while a Checkout is open.
create temporary table again as select id from public.purchases where buyer_id = pg_temp.bob() and status = 'open';
select public.note_purchase_session(id, 1, 'cs_again') from again;
select is_empty('select due_purchases(1000) intersect select id from again', 'an open Checkout waits');
update public.listings set status = 'withdrawn' where id = pg_temp.listing();
select is(pg_temp.begin(), 'listing_not_available', 'what is withdrawn is not sold');
select set_has('select due_purchases(1000)', 'select id from again', 'and a Checkout of it is to be closed');
select is(status || ' ' || holds, 'expired false', 'it is given up') from purchases where id = (select id from again);
select is(
  public.apply_purchase_snapshot(a.id, public.next_sync_token(), '{"session_status": "complete", "payment_status": "paid",
    "subscription": {"id": "sub_again", "status": "active", "amount_minor": 1000, "current_period_end": "2099-01-01T00:00:00Z"},
    "charges": [{"id": "ch_again", "amount_minor": 1000, "currency": "usd", "status": "succeeded"}]}') ->> 'licence',
  'active', 'who paid before it was closed has bought it'
) from again a;

select * from finish();
rollback;
