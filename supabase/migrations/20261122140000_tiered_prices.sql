-- A price may be a table of tiers instead of one amount: what a unit costs depends on how many there are.

create function billing.is_count(p_value jsonb) returns boolean
language sql immutable
set search_path = ''
as $$
  select coalesce(jsonb_typeof(p_value) = 'number' and p_value #>> '{}' ~ '^[0-9]{1,15}$', false);
$$;

create function billing.is_tier_table(p_tiers jsonb) returns boolean
language sql immutable
set search_path = ''
as $$
  with tiers as (
    select t.ordinality as position, t.value as tier, t.value -> 'up_to' as up_to,
      lag(t.value -> 'up_to') over (order by t.ordinality) as before,
      t.ordinality = count(*) over () as is_last
    from jsonb_array_elements(
      case jsonb_typeof(p_tiers) when 'array' then p_tiers else '[]' end
    ) with ordinality t
  )
  select coalesce(bool_and(
    jsonb_typeof(tier) = 'object'
    and tier - array['up_to', 'unit_amount_minor', 'flat_amount_minor'] = '{}'
    and billing.is_count(tier -> 'unit_amount_minor') and billing.is_count(tier -> 'flat_amount_minor')
    and case when is_last then up_to = 'null' else
      billing.is_count(up_to) and up_to > coalesce(before, '0')
    end
  ), false)
  from tiers;
$$;

comment on function billing.is_tier_table(jsonb) is
  'Whether this is a list of {up_to, unit_amount_minor, flat_amount_minor}, up_to rising and null in the last one.';
comment on function billing.is_count(jsonb) is 'Whether this is a whole number that is not negative.';

revoke all on function billing.is_tier_table(jsonb), billing.is_count(jsonb)
  from public, anon, authenticated, service_role;

alter table public.prices
  alter column unit_amount_minor drop not null,
  add column tiers_mode text check (tiers_mode in ('graduated', 'volume')),
  add column tiers jsonb,
  add constraint prices_amount_or_tiers check (
    (unit_amount_minor is not null and tiers is null and tiers_mode is null)
    or (unit_amount_minor is null and tiers is not null and tiers_mode is not null)
  ),
  add constraint prices_tiers_are_a_table check (tiers is null or billing.is_tier_table(tiers));

comment on column public.prices.unit_amount_minor is
  'In the smallest unit of the currency (cents); null for a price with tiers.';
comment on column public.prices.tiers_mode is
  'graduated: each unit costs what its own tier says. volume: all units cost what the tier of the whole number says.';
comment on column public.prices.tiers is
  '[{up_to, unit_amount_minor, flat_amount_minor}], in the smallest unit of the currency; up_to is null in the last one. '
  'Tiers are sold in the price''s own currency only.';

create function billing.refuse_options_of_tiers() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if exists (
    select from public.prices p
    join public.price_currency_options o on o.lookup_key = p.lookup_key
    where p.lookup_key = new.lookup_key and p.tiers is not null
  ) then
    raise exception 'price % has tiers, which are sold in its own currency only', new.lookup_key
      using errcode = 'check_violation';
  end if;
  return null;
end;
$$;

comment on function billing.refuse_options_of_tiers() is 'An amount in another currency would say nothing about tiers.';
revoke all on function billing.refuse_options_of_tiers() from public, anon, authenticated, service_role;

create trigger prices_after_write_check_options after insert or update on public.prices
  for each row execute function billing.refuse_options_of_tiers();
create trigger price_currency_options_after_write_check after insert or update on public.price_currency_options
  for each row execute function billing.refuse_options_of_tiers();
