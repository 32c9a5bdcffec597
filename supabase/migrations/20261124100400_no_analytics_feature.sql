-- Usage by day is on everybody's usage page; the tariff board said that it comes with Business.

delete from public.plan_features where feature_id = 'analytics';
delete from public.features where id = 'analytics';
