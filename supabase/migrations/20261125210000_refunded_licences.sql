-- A month that was given back in full, or lost to the bank, is the last one: syncPurchase() cancels the subscription. Should
-- that fail, we look again within minutes, because Stripe would go on charging.

create or replace function billing.purchase_due(p_purchase public.purchases) returns timestamptz
language sql stable
set search_path = ''
as $$
  select least(
    -- Waiting for a payment: the longer it takes, the more rarely we ask. Stripe gives up long before 60 days.
    case when p_purchase.status in ('open', 'processing', 'expired') and p_purchase.checkout_session_id is not null
        and coalesce(p_purchase.session_status, 'open') <> 'expired' and p_purchase.created_at > now() - interval '60 days'
      then now() + greatest(interval '4 minutes', (now() - p_purchase.created_at) / 10) end,
    case when p_purchase.status = 'open' and p_purchase.checkout_session_id is null
      then p_purchase.created_at + interval '25 hours' end,
    -- A month that is over, or a payment that is late; or nothing may be charged any more, and Stripe still would.
    case when p_purchase.kind = 'monthly' and p_purchase.stripe_subscription_id is not null
        and p_purchase.subscription_status not in ('canceled', 'incomplete_expired')
      then case when p_purchase.status in ('refunded', 'lost') then now() + interval '4 minutes'
        when p_purchase.past_due_since is not null then now() + interval '1 hour'
        else greatest(p_purchase.current_period_end, now() + interval '1 hour') end end,
    case when exists (
      select from billing.purchase_disputes d left join billing.dispute_statuses s on s.status = d.status
      where d.purchase_id = p_purchase.id
        and (coalesce(s.effect, 'open') = 'open' or d.status in ('warning_needs_response', 'warning_under_review'))
    ) then now() + interval '1 hour' end,
    case when exists (
      select from billing.purchase_refunds r
      where r.purchase_id = p_purchase.id and r.status in ('pending', 'requires_action')
    ) then now() + interval '1 hour' end
  );
$$;
