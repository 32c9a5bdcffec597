-- Using what was bought: a copy of one's own (a clone), or a conversation that runs the listing's definition itself.
-- Both are worth only as much as the licence: a clone whose licence ended cannot be read, whatever way one comes.

drop policy "Owners read their agents" on public.agents;
create policy "Owners read their agents, and clones while licensed" on public.agents
  for select to authenticated using (
    user_id = (select auth.uid()) and (source_listing_id is null or billing.has_licence(source_listing_id))
  );
drop policy "Owners change their agents" on public.agents;
create policy "Owners change their agents, and clones while licensed" on public.agents
  for update to authenticated
  using (user_id = (select auth.uid()) and (source_listing_id is null or billing.has_licence(source_listing_id)))
  with check (user_id = (select auth.uid()) and (source_listing_id is null or billing.has_licence(source_listing_id)));

alter table public.conversations
  add column agent_id uuid references public.agents (id) on delete set null,
  add column listing_id uuid references public.listings (id) on delete set null,
  add constraint conversations_one_agent check (num_nonnulls(agent_id, listing_id) <= 1);

create index conversations_agent_id_idx on public.conversations (agent_id);
create index conversations_listing_id_idx on public.conversations (listing_id);

comment on column public.conversations.agent_id is 'The agent of one''s own that answers.';
comment on column public.conversations.listing_id is
  'The bought agent that answers: its definition is read as the owner, so an ended licence ends it.';

grant insert (agent_id, listing_id) on public.conversations to authenticated;

drop policy "Owners start conversations" on public.conversations;
create policy "Owners start conversations, with agents they may use" on public.conversations
  for insert to authenticated with check (
    user_id = (select auth.uid())
    and (agent_id is null or exists (
      select from public.agents a where a.id = agent_id and a.user_id = (select auth.uid())
    ))
    and (listing_id is null or billing.has_licence(listing_id))
  );
