-- The catalogue itself. A migration and not the seed, because production needs it too.

insert into public.plans (id, name, description, rank, is_default) values
  ('free', 'Free', 'For trying it out.', 0, true),
  ('pro', 'Pro', 'For people who chat every day.', 10, false),
  ('business', 'Business', 'For teams that build on it.', 20, false),
  ('enterprise', 'Enterprise', 'For organisations with requirements of their own.', 30, false);

insert into public.metrics (id, name, period) values
  ('message', 'Messages', 'day'),
  ('agent', 'Agents', 'none');

insert into public.plan_limits (plan_id, metric_id, limit_value) values
  ('free', 'message', 50), ('free', 'agent', 1),
  ('pro', 'message', 500), ('pro', 'agent', 5),
  ('business', 'message', 2000), ('business', 'agent', 25),
  ('enterprise', 'message', null), ('enterprise', 'agent', null);

insert into public.features (id, name, description, rank) values
  ('basic_tools', 'Basic tools', 'The everyday tools.', 10),
  ('all_tools', 'All tools', 'Every tool there is.', 20),
  ('priority', 'Priority', 'Answers come first.', 30),
  ('team', 'Team features', 'Work on conversations together.', 40),
  ('analytics', 'Analytics', 'See what was used, and when.', 50),
  ('custom_integrations', 'Custom integrations', 'Connect your own systems.', 60),
  ('sla', 'SLA', 'Agreed availability and response times.', 70);

insert into public.plan_features (plan_id, feature_id) values
  ('free', 'basic_tools'),
  ('pro', 'basic_tools'), ('pro', 'all_tools'), ('pro', 'priority'),
  ('business', 'basic_tools'), ('business', 'all_tools'), ('business', 'priority'),
  ('business', 'team'), ('business', 'analytics'),
  ('enterprise', 'basic_tools'), ('enterprise', 'all_tools'), ('enterprise', 'priority'),
  ('enterprise', 'team'), ('enterprise', 'analytics'), ('enterprise', 'custom_integrations'),
  ('enterprise', 'sla');

-- A year costs ten months.
insert into public.prices (lookup_key, plan_id, currency, unit_amount_minor, billing_interval) values
  ('pro_monthly', 'pro', 'usd', 1500, 'month'),
  ('pro_yearly', 'pro', 'usd', 15000, 'year'),
  ('business_monthly', 'business', 'usd', 4900, 'month'),
  ('business_yearly', 'business', 'usd', 49000, 'year');
