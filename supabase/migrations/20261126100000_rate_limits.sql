-- How often the functions that people call may be called, per person and per address: limits are rows, and one call decides.
--
-- GCRA: a bucket is one moment, the theoretical arrival time (tat) of the next call. A call moves it on by period / burst and
-- is admitted while that stays within one period from now. So a burst is admitted at once, and then one call every
-- period / burst. Nothing is counted and nothing is kept of calls that are over: a bucket whose moment has passed says the
-- same as no bucket, and is pruned.

create table billing.rate_limits (
  name text not null check (name = '*' or name ~ '^[a-z][a-z0-9-]*$'),
  scope text not null check (scope in ('user', 'address')),
  burst integer not null check (burst between 1 and 1000000),
  period_seconds integer not null check (period_seconds between 1 and 86400),
  primary key (name, scope)
);

comment on table billing.rate_limits is
  'How often a function may be called: burst calls at once, and burst calls every period. Operators edit the rows, and a '
  'changed one counts from the next call on, from nothing.';
comment on column billing.rate_limits.name is 'The function; * is every function without a row of its own, each with buckets of its own.';
comment on column billing.rate_limits.scope is
  'Whose calls are counted together: one person''s, or one address''s, behind which may be a whole office.';

insert into billing.rate_limits (name, scope, burst, period_seconds) values
  ('*', 'user', 60, 60), ('*', 'address', 600, 60),
  -- What makes objects at Stripe.
  ('checkout', 'user', 30, 60), ('checkout', 'address', 300, 60),
  ('credits', 'user', 30, 60), ('credits', 'address', 300, 60),
  ('purchase', 'user', 30, 60), ('purchase', 'address', 300, 60),
  ('seller', 'user', 30, 60), ('seller', 'address', 300, 60),
  -- One call a message, which the quota has decided already.
  ('reply', 'user', 240, 60), ('reply', 'address', 2400, 60);

create unlogged table billing.rate_buckets (
  key bytea primary key check (octet_length(key) = 16),
  tat timestamptz not null
) with (fillfactor = 70);

comment on table billing.rate_buckets is
  'Calls of late, per function and person or address. Unlogged: after a crash of the database everybody begins anew.';
comment on column billing.rate_buckets.key is
  'Keyed hash of function, limit and person or address; neither is stored anywhere.';
comment on column billing.rate_buckets.tat is
  'Theoretical arrival time of the next call. No index: every call changes it, and the table is as small as a few minutes'' callers.';

create table billing.rate_key (
  id boolean primary key default true check (id),
  key bytea not null check (octet_length(key) = 32)
);

comment on table billing.rate_key is
  'The key of the hashes in billing.rate_buckets: one row, made here, and never given out. Another key empties the buckets.';

-- gen_random_uuid() is of Postgres itself and strong: two of them have 244 random bits.
insert into billing.rate_key (key)
select decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

alter table billing.rate_limits enable row level security;
alter table billing.rate_buckets enable row level security;
alter table billing.rate_key enable row level security;
revoke all on billing.rate_limits, billing.rate_buckets, billing.rate_key from public, anon, authenticated, service_role;
create policy "Nobody reads the rate limits" on billing.rate_limits
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the buckets" on billing.rate_buckets
  for all to anon, authenticated using (false) with check (false);
create policy "Nobody reads the key of the buckets" on billing.rate_key
  for all to anon, authenticated using (false) with check (false);

create function billing.rate_bucket(p_name text, p_limit billing.rate_limits, p_who text) returns bytea
language sql stable
set search_path = ''
as $$
  -- Two rounds, as in HMAC. Nothing but the last has a space, so what is hashed can be read in one way only. With the limit in
  -- it, a limit that is changed begins with new buckets: an old one could hold somebody for what used to be the period.
  select substr(sha256(k.key || sha256(k.key || convert_to(
    concat_ws(' ', p_name, p_limit.scope, p_limit.burst, p_limit.period_seconds, p_who), 'UTF8'
  ))), 1, 16)
  from billing.rate_key k;
$$;

comment on function billing.rate_bucket(text, billing.rate_limits, text) is 'The key of a bucket.';

create function public.take_rate(p_name text, p_user_id uuid, p_address text default null) returns integer
language plpgsql
-- Definer: the secret key takes a place and sees neither limits nor buckets. The user is an argument because the function has
-- verified the token; only the secret key may execute this.
security definer
set search_path = ''
as $$
declare
  v_limit record;
  v_taken bytea;
  v_back interval;
  v_wait interval;
begin
  -- The person first: who is refused does not use up what their neighbours have. All buckets of people come before all of
  -- addresses, so two calls cannot wait for each other.
  for v_limit in
    select distinct on (w.scope) billing.rate_bucket(p_name, l, w.who) as bucket,
      l.period_seconds * interval '1 second' as period,
      l.period_seconds * interval '1 second' / l.burst as step
    from (values ('user', p_user_id::text), ('address', p_address)) w (scope, who)
    join billing.rate_limits l on l.scope = w.scope and l.name in (p_name, '*')
    where w.who is not null
    order by w.scope desc, l.name = p_name desc
  loop
    insert into billing.rate_buckets as b (key, tat) values (v_limit.bucket, now() + v_limit.step)
    on conflict (key) do update set tat = greatest(b.tat, now()) + v_limit.step
    where greatest(b.tat, now()) + v_limit.step <= now() + v_limit.period;
    if not found then
      select b.tat + v_limit.step - v_limit.period - now() into v_wait
      from billing.rate_buckets b where b.key = v_limit.bucket;
      update billing.rate_buckets b set tat = b.tat - v_back where b.key = v_taken;
      return greatest(1, ceil(extract(epoch from v_wait)))::integer;
    end if;
    v_taken := v_limit.bucket;
    v_back := v_limit.step;
  end loop;
  return 0;
end;
$$;

comment on function public.take_rate(text, uuid, text) is
  'Takes a place for one call of a function, from its caller and from their address, or from neither. 0: taken; else the '
  'seconds until there is one. The address is hashed and never stored; null: it is not known, and only the caller counts.';

revoke all on function billing.rate_bucket(text, billing.rate_limits, text), public.take_rate(text, uuid, text)
  from public, anon, authenticated, service_role;
grant execute on function public.take_rate(text, uuid, text) to service_role;

create function billing.prune_rate_buckets() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_count bigint;
begin
  -- Never waits for a call, and no call waits for more than the row it wants.
  delete from billing.rate_buckets b
  where b.key in (select o.key from billing.rate_buckets o where o.tat < now() for update skip locked);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;

comment on function billing.prune_rate_buckets() is
  'Removes the buckets that say nothing any more, so that the table is never larger than the callers of one period.';

revoke all on function billing.prune_rate_buckets() from public, anon, authenticated, service_role;

select cron.schedule('tollgate-prune-rate-buckets', '*/5 * * * *', 'select billing.prune_rate_buckets()');
