-- What Stripe should have, in one answer: `npm run stripe:setup` asks a project for it, the local stack its own database.

create function public.stripe_catalogue() returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'plans', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', p.id, 'name', p.name, 'description', p.description
      ) order by p.rank), '[]')
      from public.plans p
    ),
    'prices', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'lookup_key', p.lookup_key, 'plan_id', p.plan_id, 'currency', p.currency,
        'unit_amount_minor', p.unit_amount_minor, 'billing_interval', p.billing_interval,
        'is_active', p.is_active, 'tiers_mode', p.tiers_mode, 'tiers', p.tiers,
        'options', (
          select jsonb_object_agg(o.currency, o.unit_amount_minor)
          from public.price_currency_options o where o.lookup_key = p.lookup_key
        )
      ) order by p.lookup_key), '[]')
      from public.prices p
    ),
    'metrics', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', m.id, 'name', m.name, 'meter_event_name', m.meter_event_name
      ) order by m.id), '[]')
      from public.metrics m where m.meter_event_name is not null
    ),
    -- Amounts below a cent go as text: a reader of JSON would make floats of them.
    'overage', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'lookup_key', p.lookup_key, 'plan_id', p.plan_id, 'metric_id', p.metric_id,
        'currency', p.currency, 'unit_amount_minor', trim_scale(p.unit_amount_minor)::text,
        'is_active', p.is_active,
        'options', (
          select jsonb_object_agg(o.currency, trim_scale(o.unit_amount_minor)::text)
          from public.overage_price_currency_options o where o.lookup_key = p.lookup_key
        )
      ) order by p.lookup_key), '[]')
      from public.overage_prices p
    ),
    'packs', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'lookup_key', p.lookup_key, 'name', p.name, 'currency', p.currency,
        'price_minor', p.price_minor, 'is_active', p.is_active,
        'options', (
          select jsonb_object_agg(o.currency, o.price_minor)
          from public.credit_pack_currency_options o where o.lookup_key = p.lookup_key
        )
      ) order by p.lookup_key), '[]')
      from public.credit_packs p
    ),
    'features', (
      select coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'name', f.name) order by f.rank), '[]')
      from public.features f
    ),
    'plan_features', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'plan_id', pf.plan_id, 'feature_id', pf.feature_id
      ) order by pf.plan_id, pf.feature_id), '[]')
      from public.plan_features pf
    )
  );
$$;

comment on function public.stripe_catalogue() is
  'The catalogue with everything that Stripe is to have of it: plans, prices, meters, metered prices, credit packs, features.';

revoke all on function public.stripe_catalogue() from public, anon, authenticated, service_role;
grant execute on function public.stripe_catalogue() to service_role;
