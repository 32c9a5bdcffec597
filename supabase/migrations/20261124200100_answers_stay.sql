-- One message pays for one answer: whoever could delete the answer and keep the question could have it answered again, for
-- nothing, as often as they liked.

drop policy "Owners delete their messages" on public.messages;
create policy "Owners delete their messages, answers after their questions" on public.messages
  for delete to authenticated
  using (user_id = (select auth.uid()) and (role = 'user' or reply_to is null));
