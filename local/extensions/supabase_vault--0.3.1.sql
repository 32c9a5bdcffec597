-- A stand-in for supabase_vault 0.3. Nothing is encrypted: the column `secret` holds the plain text in base64, so that nobody
-- takes it for ciphertext that protects anything. Local use only.

create table vault.secrets (
  id uuid primary key default gen_random_uuid(),
  name text,
  description text not null default '',
  secret text not null,
  key_id uuid,
  nonce bytea,
  created_at timestamptz not null default current_timestamp,
  updated_at timestamptz not null default current_timestamp
);
comment on table vault.secrets is 'Local stand-in: secrets are NOT encrypted.';
create unique index on vault.secrets using btree (name) where name is not null;

create view vault.decrypted_secrets as
  select s.id, s.name, s.description, s.secret,
         convert_from(decode(s.secret, 'base64'), 'utf8') as decrypted_secret,
         s.key_id, s.nonce, s.created_at, s.updated_at
    from vault.secrets s;

-- Definer, unlike the real one: there the caller's right to the key is the gate, here it is EXECUTE on this function.
create function vault.create_secret(
  new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
) returns uuid
language sql
security definer
set search_path = ''
as $$
  insert into vault.secrets (secret, name, description)
  values (
    pg_catalog.encode(pg_catalog.convert_to(new_secret, 'utf8'), 'base64'), new_name, coalesce(new_description, '')
  )
  returning id
$$;

create function vault.update_secret(
  secret_id uuid, new_secret text default null, new_name text default null, new_description text default null,
  new_key_id uuid default null
) returns void
language sql
security definer
set search_path = ''
as $$
  update vault.secrets s
     set secret = coalesce(pg_catalog.encode(pg_catalog.convert_to(new_secret, 'utf8'), 'base64'), s.secret),
         name = coalesce(new_name, s.name),
         description = coalesce(new_description, s.description),
         updated_at = pg_catalog.now()
   where s.id = secret_id
$$;

revoke all on all tables in schema vault from public;
revoke all on all functions in schema vault from public;
do $$
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'postgres') then
    grant usage on schema vault to postgres with grant option;
    grant select, delete on vault.secrets, vault.decrypted_secrets to postgres with grant option;
    grant execute on function vault.create_secret, vault.update_secret to postgres with grant option;
    grant usage on schema vault to service_role;
    grant select, delete on vault.secrets, vault.decrypted_secrets to service_role;
    grant execute on function vault.create_secret, vault.update_secret to service_role;
  end if;
end
$$;

select pg_catalog.pg_extension_config_dump('vault.secrets', '');
