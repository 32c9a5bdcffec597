-- One export reads everything a person has, which may be a million rows: not sixty times a minute.
insert into billing.rate_limits (name, scope, burst, period_seconds) values
  ('privacy', 'user', 10, 600), ('privacy', 'address', 100, 600);
