/** Tables beside messages that `npm run bench -- gate` writes to. */
import type postgres from "postgres";

/** A table like messages but for what happens when a row is written. */
export async function createTwin(sql: postgres.Sql, table: string): Promise<void> {
  await sql.unsafe(`
    create table ${table} (like public.messages including all);
    alter table ${table}
      add foreign key (user_id, conversation_id) references public.conversations (user_id, id)
        on delete cascade,
      add foreign key (reply_to) references ${table} (id) on delete set null,
      enable row level security;
    revoke all on ${table} from public, anon, authenticated, service_role;
    grant select, delete on ${table} to authenticated;
    grant insert (id, conversation_id, role, content) on ${table} to authenticated;`).simple();
  // The policies are read from the original, so that the two cannot come apart.
  const policies = await sql<{ statement: string }[]>`
    select format('create policy %I on %s for %s to authenticated %s %s', policyname, ${table}::text, cmd,
      'using (' || qual || ')', 'with check (' || with_check || ')') as statement
    from pg_policies where schemaname = 'public' and tablename = 'messages'`;
  for (const policy of policies) await sql.unsafe(policy.statement);
}

/** The gate of migration 20261122120100, with a counter as it was then. */
export async function createPreviousGate(sql: postgres.Sql, table: string): Promise<void> {
  await sql.unsafe(`
    create table bench.usage_counters (
      user_id uuid not null references auth.users (id) on delete cascade,
      metric_id text not null references public.metrics (id),
      period_day date not null,
      used bigint not null check (used >= 0),
      allowance bigint check (allowance >= 0),
      valid_until timestamptz not null default 'infinity',
      primary key (user_id, metric_id)
    ) with (fillfactor = 60);
    create index on bench.usage_counters (metric_id);
    insert into bench.usage_counters (user_id, metric_id, period_day, used, allowance)
      select user_id, metric_id, (now() at time zone 'UTC')::date, 0, 1000000000
      from billing.usage_counters where metric_id = 'message';
    create function bench.consume_message() returns trigger
    language plpgsql security definer set search_path = '' as $$
    declare
      v_today constant date := (now() at time zone 'UTC')::date;
    begin
      update bench.usage_counters c
      set used = case when c.period_day < v_today then 0 else c.used end + 1,
        period_day = greatest(c.period_day, v_today)
      where c.user_id = new.user_id
        and c.metric_id = 'message'
        and c.valid_until > now()
        and (
          c.allowance is null
          or case when c.period_day < v_today then 0 else c.used end < c.allowance
        );
      if not found then
        raise exception 'the bench has no slow path';
      end if;
      return null;
    end;
    $$;
    create trigger messages_after_insert_consume after insert on ${table}
      for each row when (new.role = 'user' and current_user = 'authenticated')
      execute function bench.consume_message();
    create trigger messages_after_insert_consume_many after insert on ${table}
      referencing new table as new_rows
      for each statement when (current_user is distinct from 'authenticated')
      execute function billing.consume_public_messages_many();`).simple();
}

/** What billing.attach_quota() makes, written out for one table. */
export async function createGateByHand(sql: postgres.Sql, table: string): Promise<void> {
  await sql.unsafe(`
    create function bench.consume_by_hand() returns trigger
    language plpgsql security definer set search_path = '' as $$
    begin
      update billing.usage_counters c
      set used = c.used + 1
      where c.user_id = new.user_id
        and c.metric_id = 'message'
        and c.period_day = (now() at time zone 'UTC')::date
        and c.valid_until > now()
        and c.used < c.fast_until;
      if not found then
        perform billing.consume(new.user_id, 'message', 1);
      end if;
      return null;
    end;
    $$;
    create trigger messages_after_insert_consume after insert on ${table}
      for each row when (new.role = 'user' and current_user = 'authenticated')
      execute function bench.consume_by_hand();
    create trigger messages_after_insert_consume_many after insert on ${table}
      referencing new table as new_rows
      for each statement when (current_user is distinct from 'authenticated')
      execute function billing.consume_public_messages_many();
    create trigger messages_after_update_refuse after update on ${table}
      for each row when (old.role is distinct from new.role or old.user_id is distinct from new.user_id)
      execute function billing.refuse_change();`).simple();
}
