-- The chat: conversations, messages, agents, each readable and writable by its owner only.
-- What they cost is decided in the next migration.

create table public.conversations (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  title text not null default '' check (char_length(title) <= 200),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- Target of the foreign key of messages; also the index behind the policies.
  unique (user_id, id)
);

comment on table public.conversations is 'Conversations of a user.';
comment on column public.conversations.updated_at is
  'Last change of the title or last answer. A question does not touch it: that would be a second row '
  'written on the hot path, and its answer follows anyway.';

create table public.messages (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null,
  user_id uuid not null default auth.uid(),
  role text not null check (role in ('user', 'assistant')),
  content text not null check (char_length(content) between 1 and 100000),
  reply_to uuid unique references public.messages (id) on delete set null,
  created_at timestamptz not null default now(),
  -- Both columns: a message in somebody else's conversation cannot exist, whoever writes it.
  foreign key (user_id, conversation_id) references public.conversations (user_id, id)
    on delete cascade
);

-- Serves the policy, the list of a conversation, and the foreign key: one index to keep on the hot path.
create index messages_user_id_conversation_id_created_at_idx
  on public.messages (user_id, conversation_id, created_at);

comment on table public.messages is
  'Messages of a conversation. One with role user consumes one of today''s messages of its owner in the '
  'same transaction; see billing.consume_message().';
comment on column public.messages.user_id is 'Owner of the conversation, also of the answers in it.';
comment on column public.messages.reply_to is 'The question this answers; one answer per question.';

create table public.agents (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  name text not null check (char_length(name) between 1 and 100),
  instructions text not null default '' check (char_length(instructions) <= 20000),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index agents_user_id_idx on public.agents (user_id);

comment on table public.agents is 'Agents of a user; the plan says how many may exist.';

create function billing.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

comment on function billing.touch_updated_at() is 'Sets updated_at of the row that is written.';

revoke all on function billing.touch_updated_at() from public, anon, authenticated, service_role;

create trigger conversations_before_update_touch before update on public.conversations
  for each row execute function billing.touch_updated_at();
create trigger agents_before_update_touch before update on public.agents
  for each row execute function billing.touch_updated_at();

alter table public.conversations enable row level security;
alter table public.messages enable row level security;
alter table public.agents enable row level security;

revoke all on public.conversations, public.messages, public.agents
  from public, anon, authenticated, service_role;

-- By column: what a client may not set (owner, times) cannot be forged.
grant select, delete on public.conversations, public.messages, public.agents to authenticated;
grant insert (id, title), update (title) on public.conversations to authenticated;
grant insert (id, conversation_id, role, content) on public.messages to authenticated;
grant insert (id, name, instructions), update (name, instructions) on public.agents to authenticated;

-- The secret key writes answers, and may act for a user; what it writes is counted like anything else.
grant select, insert, update, delete on public.conversations, public.agents to service_role;
grant select, insert, delete on public.messages to service_role;

create policy "Owners read their conversations" on public.conversations
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Owners start conversations" on public.conversations
  for insert to authenticated with check (user_id = (select auth.uid()));
create policy "Owners rename their conversations" on public.conversations
  for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy "Owners delete their conversations" on public.conversations
  for delete to authenticated using (user_id = (select auth.uid()));

create policy "Owners read their messages" on public.messages
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Owners ask, and only ask" on public.messages
  for insert to authenticated with check (role = 'user' and user_id = (select auth.uid()));
create policy "Owners delete their messages" on public.messages
  for delete to authenticated using (user_id = (select auth.uid()));

create policy "Owners read their agents" on public.agents
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Owners create agents" on public.agents
  for insert to authenticated with check (user_id = (select auth.uid()));
create policy "Owners change their agents" on public.agents
  for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy "Owners delete their agents" on public.agents
  for delete to authenticated using (user_id = (select auth.uid()));
