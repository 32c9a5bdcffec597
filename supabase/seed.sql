-- A person to try things out with, for local use only: demo@tollgate.test / tollgate-demo.
-- May be run again: every row has a fixed id, and what is there already stays as it is.

-- The empty strings are GoTrue's: it cannot read null in these columns.
insert into auth.users (
  id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
  raw_user_meta_data, confirmation_token, recovery_token, email_change, email_change_token_new,
  created_at, updated_at
)
values (
  'd0000000-0000-4000-8000-000000000001', 'authenticated', 'authenticated', 'demo@tollgate.test',
  extensions.crypt('tollgate-demo', extensions.gen_salt('bf', 10)), now(),
  '{"provider": "email", "providers": ["email"]}', '{"name": "Demo"}', '', '', '', '', now(), now()
)
on conflict (id) do nothing;

-- Supabase's own Auth looks users up by instance; the local stand-in has no such column.
do $$
begin
  if exists (
    select from information_schema.columns
    where table_schema = 'auth' and table_name = 'users' and column_name = 'instance_id'
  ) then
    update auth.users set instance_id = '00000000-0000-0000-0000-000000000000'
    where id = 'd0000000-0000-4000-8000-000000000001';
  end if;
end;
$$;

insert into auth.identities (
  id, user_id, provider, provider_id, identity_data, last_sign_in_at, created_at, updated_at
)
values (
  'd0000000-0000-4000-8000-000000000002', 'd0000000-0000-4000-8000-000000000001', 'email',
  'd0000000-0000-4000-8000-000000000001',
  '{
    "sub": "d0000000-0000-4000-8000-000000000001",
    "email": "demo@tollgate.test",
    "email_verified": true,
    "phone_verified": false
  }',
  now(), now(), now()
)
on conflict (id) do nothing;

insert into public.conversations (id, user_id, title, created_at, updated_at) values
  ('d0000000-0000-4000-8000-000000000011', 'd0000000-0000-4000-8000-000000000001',
    'A week in Lisbon', now() - interval '2 days', now() - interval '2 days'),
  ('d0000000-0000-4000-8000-000000000012', 'd0000000-0000-4000-8000-000000000001',
    'Naming a small company', now() - interval '3 hours', now() - interval '3 hours')
on conflict (id) do nothing;

-- The questions count against today like any others, whatever date they carry.
insert into public.messages (id, conversation_id, user_id, role, content, reply_to, created_at) values
  ('d0000000-0000-4000-8000-000000000021', 'd0000000-0000-4000-8000-000000000011',
    'd0000000-0000-4000-8000-000000000001', 'user',
    'What should I not miss in a week in Lisbon?', null, now() - interval '2 days'),
  ('d0000000-0000-4000-8000-000000000022', 'd0000000-0000-4000-8000-000000000011',
    'd0000000-0000-4000-8000-000000000001', 'assistant',
    'Alfama early in the morning, the tile museum, and an evening in Cacilhas across the river.',
    'd0000000-0000-4000-8000-000000000021', now() - interval '2 days' + interval '4 seconds'),
  ('d0000000-0000-4000-8000-000000000023', 'd0000000-0000-4000-8000-000000000011',
    'd0000000-0000-4000-8000-000000000001', 'user',
    'And one day trip?', null, now() - interval '2 days' + interval '1 minute'),
  ('d0000000-0000-4000-8000-000000000024', 'd0000000-0000-4000-8000-000000000011',
    'd0000000-0000-4000-8000-000000000001', 'assistant',
    'Sintra, on a weekday, with the first train from Rossio.',
    'd0000000-0000-4000-8000-000000000023', now() - interval '2 days' + interval '64 seconds'),
  ('d0000000-0000-4000-8000-000000000025', 'd0000000-0000-4000-8000-000000000012',
    'd0000000-0000-4000-8000-000000000001', 'user',
    'Suggest a name for a company that repairs bicycles.', null, now() - interval '3 hours'),
  ('d0000000-0000-4000-8000-000000000026', 'd0000000-0000-4000-8000-000000000012',
    'd0000000-0000-4000-8000-000000000001', 'assistant',
    'Second Spoke: it says bicycles, and that nothing is thrown away.',
    'd0000000-0000-4000-8000-000000000025', now() - interval '3 hours' + interval '5 seconds')
on conflict (id) do nothing;

insert into public.agents (id, user_id, name, instructions) values
  ('d0000000-0000-4000-8000-000000000031', 'd0000000-0000-4000-8000-000000000001',
    'Travel planner', 'Plan calm days: at most two sights before lunch and one after.')
on conflict (id) do nothing;

-- What the house sells: two templates and an add-on.
insert into public.listings (
  id, title, description, category, kind, price_minor, currency, grants_metric_id, grants_quantity, status, version,
  published_at
)
values
  ('d0000000-0000-4000-8000-000000000041', 'Meeting notes that hold',
    'Turns raw notes or a transcript into one page: what was decided, who does what by when, and what was left open. '
    'Asks back when a task has no owner or a date contradicts another, and never invents either.',
    'template', 'one_time', 900, 'usd', null, null, 'published', 1, now() - interval '20 days'),
  ('d0000000-0000-4000-8000-000000000042', 'Patient language tutor',
    'Talks with you in the language you are learning, one level above yours. Corrects at most one mistake per answer, with a '
    'short reason, and comes back to it later in the conversation.',
    'template', 'one_time', 1200, 'eur', null, null, 'published', 1, now() - interval '9 days'),
  ('d0000000-0000-4000-8000-000000000043', '5 more agents',
    'Room for five more agents on top of your plan, for as long as you keep it. Billed every month.',
    'addon', 'monthly', 500, 'usd', 'agent', 5, 'published', 1, now() - interval '30 days')
on conflict (id) do nothing;

insert into public.listing_definitions (listing_id, version, name, instructions) values
  ('d0000000-0000-4000-8000-000000000041', 1, 'Meeting notes',
    'You turn meeting notes into one page. Begin with the decisions, each in one sentence. Then the tasks as a list: what, who, '
    'until when. Then the open questions. Use only what the notes say: if a task has no owner or no date, ask for it, and mark '
    'it "open" until you are told. Point out dates that contradict each other. No greeting, no summary of the summary.'),
  ('d0000000-0000-4000-8000-000000000042', 1, 'Language tutor',
    'You are a patient tutor. First ask which language is being learned and for a sentence or two in it; judge the level from '
    'that and write one level above it. Keep answers under six sentences and end with a question. Correct at most one mistake '
    'per answer: the corrected sentence, then the reason in the learner''s own language. Remember the mistakes and let their '
    'patterns come up again. Never switch languages unless the learner asks.')
on conflict (listing_id) do nothing;
