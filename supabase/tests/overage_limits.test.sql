begin;
\ir fixtures/metering.psql

-- What an operator lets people run up: no cap above the maximum, nothing new for whoever owes an earlier bill.

select public.link_customer('a0000000-0000-4000-8000-000000000001', 'cus_tada');
select pg_temp.apply();

update billing.settings set value = '{"default": 5000, "eur": 900}' where key = 'overage_cap_maximum';
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(public.my_overage() ->> 'maximum_cap_minor', '5000', 'the maximum is told before anybody chooses');
select is(
  pg_temp.refusal('select public.set_overage(true, 5001)') ->> 'code', 'invalid_cap', 'a cap above the maximum is none'
);
select is(
  (pg_temp.refusal('select public.set_overage(true, 5001)') ->> 'details')::jsonb, '{"maximum_cap_minor": 5000}',
  'and the refusal names the maximum'
);
select is(public.set_overage(true, 5000) ->> 'cap_minor', '5000', 'the maximum itself can be chosen');
reset role;
select is(billing.overage_cap_maximum('eur'), 900::bigint, 'a currency may have its own');

update billing.settings set value = '{"default": 9000}' where key = 'overage_cap_maximum';
select is((select cap_minor from billing.overage_accounts), 5000::bigint, 'a higher maximum raises nobody''s cap');
update billing.settings set value = '{"default": 3000}' where key = 'overage_cap_maximum';
select is((select cap_minor from billing.overage_accounts), 3000::bigint, 'a lower one counts at once');

select throws_ok(
  format('update billing.settings set value = %L where key = %L', v.value, 'overage_cap_maximum'), '23514', null,
  format('%s is no maximum', v.value)
) from (values ('{}'), ('{"eur": 5}'), ('5'), ('{"default": 0}'), ('{"default": "5"}'), ('{"default": 1.5}'),
  ('{"default": 10000001}'), ('{"default": 5, "eur": null}')) v (value);

-- An earlier subscription ended with a bill that was never paid.
insert into public.subscriptions (id, user_id, status, price_lookup_key, currency, stripe_created_at)
select 'sub_earlier', s.user_id, 'canceled', s.price_lookup_key, s.currency, now() - interval '1 year'
from public.subscriptions s where s.id = 'sub_meter1';
insert into public.invoices (id, user_id, subscription_id, status, currency, total_minor, amount_due_minor, amount_paid_minor,
  stripe_created_at)
values ('in_earlier', 'a0000000-0000-4000-8000-000000000001', 'sub_earlier', 'open', 'usd', 700, 700, 0, now());

select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(public.my_overage() ->> 'available', 'true', 'who has said yes to this subscription already goes on');
select public.set_overage(false);
select is(public.my_overage() ->> 'reason', 'unpaid_invoice', 'who switched it off is told what is open');
select is(
  pg_temp.refusal('select public.set_overage(true, 100)') -> 'details', '"{\"reason\": \"unpaid_invoice\"}"',
  'and gets no new credit'
);
reset role;
update public.invoices set status = 'uncollectible' where id = 'in_earlier';
select is(
  (select reason from billing.overage_terms('a0000000-0000-4000-8000-000000000001')), 'unpaid_invoice',
  'giving the bill up does not change that'
);
update public.invoices set subscription_id = 'sub_meter1' where id = 'in_earlier';
select is(
  (select reason from billing.overage_terms('a0000000-0000-4000-8000-000000000001')), null,
  'an open invoice of the present subscription is for its status to judge'
);
update public.invoices set subscription_id = 'sub_of_a_licence' where id = 'in_earlier';
select is(
  (select reason from billing.overage_terms('a0000000-0000-4000-8000-000000000001')), null, 'and a licence''s is another matter'
);
update public.invoices set subscription_id = 'sub_earlier', status = 'paid', amount_paid_minor = 700 where id = 'in_earlier';
select pg_temp.become('authenticated', 'a0000000-0000-4000-8000-000000000001');
select is(public.set_overage(true, 100) ->> 'enabled', 'true', 'paid, all is as before');
reset role;

select * from finish();
rollback;
