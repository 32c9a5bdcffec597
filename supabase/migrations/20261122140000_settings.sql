-- What an operator may turn without a deploy: one row per setting.

create table billing.settings (
  key text primary key check (key ~ '^[a-z][a-z0-9_]*$'),
  value jsonb not null,
  description text not null check (description <> ''),
  constraint settings_grace_days_is_days check (
    key <> 'grace_days'
    or (jsonb_typeof(value) = 'number' and (value #>> '{}')::numeric between 0 and 90)
  ),
  constraint settings_switches_are_booleans check (
    key not in ('automatic_tax', 'allow_promotion_codes') or jsonb_typeof(value) = 'boolean'
  )
);

comment on table billing.settings is 'Settings of the product, for operators. A missing row is a mistake, not a default.';

insert into billing.settings (key, value, description) values
  ('grace_days', '7', 'Days that access lasts after a payment has failed (past_due). 0 to 90.'),
  ('automatic_tax', 'false', 'Whether Checkout lets Stripe Tax compute taxes. Needs Stripe Tax in the account.'),
  ('allow_promotion_codes', 'true', 'Whether Checkout shows a field for promotion codes.');

alter table billing.settings enable row level security;
revoke all on billing.settings from public, anon, authenticated, service_role;

create policy "Nobody reads the settings" on billing.settings
  for all to anon, authenticated using (false) with check (false);

create function billing.setting(p_key text) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_value jsonb;
begin
  select s.value into strict v_value from billing.settings s where s.key = p_key;
  return v_value;
end;
$$;

comment on function billing.setting(text) is 'The value of a setting; an exception when the row is missing.';

create function billing.grace_period() returns interval
language sql stable
-- Definer: my_entitlements() runs as the user, who may know how long the grace is but not read the settings.
security definer
set search_path = ''
as $$
  select (billing.setting('grace_days') #>> '{}')::numeric * interval '1 day';
$$;

comment on function billing.grace_period() is 'How long access lasts after a payment has failed.';

revoke all on function billing.setting(text), billing.grace_period()
  from public, anon, authenticated, service_role;
grant execute on function billing.grace_period() to authenticated;
