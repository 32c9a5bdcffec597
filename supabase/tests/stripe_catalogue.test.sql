begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

select no_plan();

insert into public.prices (lookup_key, plan_id, currency, billing_interval, tiers_mode, tiers, is_active) values
  ('seats', 'business', 'usd', 'month', 'volume',
    '[{"up_to": null, "unit_amount_minor": 650, "flat_amount_minor": 0}]', false);

create function pg_temp.row_of(p_list text, p_key text) returns jsonb language sql as $$
  select one from jsonb_array_elements(public.stripe_catalogue() -> p_list) one
  where p_key in (one ->> 'lookup_key', one ->> 'id');
$$;

select is(
  (select array_agg(key order by key) from jsonb_object_keys(public.stripe_catalogue()) key),
  array['features', 'metrics', 'overage', 'packs', 'plan_features', 'plans', 'prices'],
  'the catalogue has everything that Stripe is to have'
);
select is(
  pg_temp.row_of('prices', 'pro_monthly'),
  '{"lookup_key": "pro_monthly", "plan_id": "pro", "currency": "usd", "unit_amount_minor": 1500, "billing_interval": "month",
    "is_active": true, "tiers_mode": null, "tiers": null, "options": {"eur": 1400, "gbp": 1200}}'::jsonb,
  'a price with its other currencies'
);
select is(
  pg_temp.row_of('prices', 'seats') - 'plan_id' - 'lookup_key',
  '{"currency": "usd", "unit_amount_minor": null, "billing_interval": "month", "is_active": false, "tiers_mode": "volume",
    "tiers": [{"up_to": null, "unit_amount_minor": 650, "flat_amount_minor": 0}], "options": null}'::jsonb,
  'tiers as they are, and what is no longer sold says so'
);
select is(
  pg_temp.row_of('overage', 'business_message_overage') ->> 'unit_amount_minor', '1.5',
  'an amount below a cent, without zeros behind it'
);
select is(
  jsonb_typeof(pg_temp.row_of('overage', 'business_message_overage') -> 'unit_amount_minor'), 'string',
  'and as text, which nobody makes a float of'
);
select is(
  pg_temp.row_of('overage', 'business_tool_overage') -> 'options', '{"eur": "0.75", "gbp": "0.65"}',
  'its other currencies too'
);
select is(
  pg_temp.row_of('packs', 'credits_10') -> 'price_minor', '1000', 'a credit pack'
);
select is(pg_temp.row_of('metrics', 'agent'), null, 'a metric without a meter is nothing to Stripe');
select is(
  pg_temp.row_of('metrics', 'message') ->> 'meter_event_name', 'tollgate_message', 'a metric with one is'
);
select ok(
  public.stripe_catalogue() -> 'plan_features' @> '[{"plan_id": "pro", "feature_id": "priority"}]',
  'what a plan includes'
);
select is(
  public.stripe_catalogue() #>> '{plans,0,id}', 'free', 'plans in their order'
);

set local role service_role;
select lives_ok('select public.stripe_catalogue()', 'the secret key may ask for it');
set local role authenticated;
select throws_ok('select public.stripe_catalogue()', '42501', null, 'a person may not');
set local role anon;
select throws_ok('select public.stripe_catalogue()', '42501', null, 'nor may a stranger');
reset role;

select * from finish();
rollback;
