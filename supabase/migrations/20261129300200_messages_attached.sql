-- public.messages goes through the same gate as any other table. What else happened when a message was written, the date of
-- its conversation, gets a trigger of its own.

drop trigger messages_after_insert_consume on public.messages;
drop trigger messages_after_insert_consume_many on public.messages;
drop trigger messages_after_update_refuse on public.messages;
drop function billing.consume_message();
drop function billing.messages_written();

create function billing.messages_answered() returns trigger
language plpgsql
-- Definer: whoever writes an answer need not be able to date conversations.
security definer
set search_path = ''
as $$
declare
  v_conversations constant uuid[] := (
    select array_agg(distinct n.conversation_id) from new_rows n where n.role = 'assistant'
  );
begin
  if v_conversations is not null then
    perform from public.conversations c
      where c.id = any (v_conversations) order by c.id for no key update;
    update public.conversations c set updated_at = now() where c.id = any (v_conversations);
  end if;
  return null;
end;
$$;

comment on function billing.messages_answered() is 'Dates the conversations that got an answer. Clients write none.';

revoke all on function billing.messages_answered() from public, anon, authenticated, service_role;

select billing.attach_quota('public.messages', 'user_id', 'message', 'role = ''user''');

-- Its name comes behind the gate's: counters are locked before conversations, as ever.
create trigger tollgate_after_insert_date after insert on public.messages
  referencing new table as new_rows
  for each statement when (current_user is distinct from 'authenticated')
  execute function billing.messages_answered();

comment on table public.messages is
  'Messages of a conversation. One with role user consumes one of today''s messages of its owner in the '
  'same transaction; see billing.attached_quotas.';
