begin;
create extension if not exists pgtap with schema extensions;
set local search_path to public, extensions;

select no_plan();

-- A price is one amount, or a table of tiers: never both, never neither, never a table nobody understands.

create function pg_temp.price(p_key text, p_amount bigint, p_mode text, p_tiers jsonb) returns text
language sql as $$
  select format(
    'insert into public.prices (lookup_key, plan_id, currency, unit_amount_minor, billing_interval, tiers_mode, tiers)
     values (%L, ''business'', ''usd'', %L, ''month'', %L, %L)', p_key, p_amount, p_mode, p_tiers
  );
$$;

create function pg_temp.tier(p_up_to bigint, p_unit bigint) returns jsonb
language sql as $$
  select jsonb_build_object('up_to', p_up_to, 'unit_amount_minor', p_unit, 'flat_amount_minor', 0);
$$;

select lives_ok(
  pg_temp.price('seats', null, 'graduated', jsonb_build_array(pg_temp.tier(5, 700), pg_temp.tier(null, 650))),
  'two tiers, the last without an end, are a price'
);
select lives_ok(pg_temp.price('flat', 100, null, null), 'an amount is a price');
select throws_ok(
  pg_temp.price('both', 100, 'volume', jsonb_build_array(pg_temp.tier(null, 1))), '23514', null,
  'an amount and tiers are not'
);
select throws_ok(pg_temp.price('neither', null, null, null), '23514', null, 'nothing is not a price');
select throws_ok(
  pg_temp.price('modeless', null, null, jsonb_build_array(pg_temp.tier(null, 1))), '23514', null,
  'tiers without a mode are not'
);
select throws_ok(
  pg_temp.price('bad_' || n, null, 'volume', tiers), '23514', null, 'not a table of tiers: ' || tiers::text
)
from (values
  (1, '[]'::jsonb), (2, '{}'), (3, '"x"'), (4, '[1]'), (5, 'null'),
  (6, jsonb_build_array(pg_temp.tier(5, 700))),
  (7, jsonb_build_array(pg_temp.tier(null, 700), pg_temp.tier(null, 650))),
  (8, jsonb_build_array(pg_temp.tier(5, 700), pg_temp.tier(5, 700), pg_temp.tier(null, 650))),
  (9, jsonb_build_array(pg_temp.tier(0, 700), pg_temp.tier(null, 650))),
  (10, jsonb_build_array(pg_temp.tier(null, -1))),
  (11, '[{"up_to": null, "unit_amount_minor": 1.5, "flat_amount_minor": 0}]'),
  (12, '[{"up_to": null, "unit_amount_minor": 1}]'),
  (13, '[{"up_to": null, "unit_amount_minor": 1, "flat_amount_minor": 0, "more": 1}]'),
  (14, '[{"unit_amount_minor": 1, "flat_amount_minor": 0}]')
) bad (n, tiers);
select throws_ok(
  $$insert into public.price_currency_options values ('seats', 'eur', 600)$$, '23514', null,
  'an amount in another currency says nothing about tiers'
);

select * from finish();
rollback;
