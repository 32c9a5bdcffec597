export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  
  "public": {
          Tables: {
            "agents": {
                  Row: {
                    "created_at": string,"id": string,"instructions": string,"name": string,"source_listing_id": string | null,"updated_at": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"id"?: string,"instructions"?: string,"name": string,"source_listing_id"?: string | null,"updated_at"?: string,"user_id"?: string
                  }
                  Update: {
                    "created_at"?: string,"id"?: string,"instructions"?: string,"name"?: string,"source_listing_id"?: string | null,"updated_at"?: string,"user_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "agents_source_listing_id_fkey"
      columns: ["source_listing_id"]
isOneToOne: false
      referencedRelation: "listings"
      referencedColumns: ["id"]
    }
                  ]
                },"conversations": {
                  Row: {
                    "agent_id": string | null,"created_at": string,"id": string,"listing_id": string | null,"title": string,"updated_at": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "agent_id"?: string | null,"created_at"?: string,"id"?: string,"listing_id"?: string | null,"title"?: string,"updated_at"?: string,"user_id"?: string
                  }
                  Update: {
                    "agent_id"?: string | null,"created_at"?: string,"id"?: string,"listing_id"?: string | null,"title"?: string,"updated_at"?: string,"user_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "conversations_agent_id_fkey"
      columns: ["agent_id"]
isOneToOne: false
      referencedRelation: "agents"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "conversations_listing_id_fkey"
      columns: ["listing_id"]
isOneToOne: false
      referencedRelation: "listings"
      referencedColumns: ["id"]
    }
                  ]
                },"credit_balances": {
                  Row: {
                    "balance_minor": number,"currency": string,"synced_at": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "balance_minor": number,"currency": string,"synced_at"?: string,"user_id": string
                  }
                  Update: {
                    "balance_minor"?: number,"currency"?: string,"synced_at"?: string,"user_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "credit_balances_user_id_fkey"
      columns: ["user_id"]
isOneToOne: false
      referencedRelation: "customers"
      referencedColumns: ["user_id"]
    }
                  ]
                },"credit_grants": {
                  Row: {
                    "amount_minor": number,"category": string,"currency": string,"effective_at": string | null,"expires_at": string | null,"id": string,"name": string | null,"stripe_created_at": string,"synced_at": string,"user_id": string,"voided_at": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "amount_minor": number,"category": string,"currency": string,"effective_at"?: string | null,"expires_at"?: string | null,"id": string,"name"?: string | null,"stripe_created_at": string,"synced_at"?: string,"user_id": string,"voided_at"?: string | null
                  }
                  Update: {
                    "amount_minor"?: number,"category"?: string,"currency"?: string,"effective_at"?: string | null,"expires_at"?: string | null,"id"?: string,"name"?: string | null,"stripe_created_at"?: string,"synced_at"?: string,"user_id"?: string,"voided_at"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "credit_grants_user_id_fkey"
      columns: ["user_id"]
isOneToOne: false
      referencedRelation: "customers"
      referencedColumns: ["user_id"]
    }
                  ]
                },"credit_pack_currency_options": {
                  Row: {
                    "credit_minor": number,"currency": string,"lookup_key": string,"price_minor": number
                  }
                  ComputedFields: never
                  Insert: {
                    "credit_minor": number,"currency": string,"lookup_key": string,"price_minor": number
                  }
                  Update: {
                    "credit_minor"?: number,"currency"?: string,"lookup_key"?: string,"price_minor"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "credit_pack_currency_options_lookup_key_fkey"
      columns: ["lookup_key"]
isOneToOne: false
      referencedRelation: "credit_packs"
      referencedColumns: ["lookup_key"]
    }
                  ]
                },"credit_packs": {
                  Row: {
                    "credit_minor": number,"currency": string,"expires_days": number | null,"is_active": boolean,"lookup_key": string,"name": string,"price_minor": number
                  }
                  ComputedFields: never
                  Insert: {
                    "credit_minor": number,"currency": string,"expires_days"?: number | null,"is_active"?: boolean,"lookup_key": string,"name": string,"price_minor": number
                  }
                  Update: {
                    "credit_minor"?: number,"currency"?: string,"expires_days"?: number | null,"is_active"?: boolean,"lookup_key"?: string,"name"?: string,"price_minor"?: number
                  }
                  Relationships: [
                    
                  ]
                },"customers": {
                  Row: {
                    "created_at": string,"stripe_customer_id": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"stripe_customer_id": string,"user_id": string
                  }
                  Update: {
                    "created_at"?: string,"stripe_customer_id"?: string,"user_id"?: string
                  }
                  Relationships: [
                    
                  ]
                },"entitlements": {
                  Row: {
                    "grant_id": number | null,"plan_id": string,"source": string,"subscription_id": string | null,"updated_at": string,"user_id": string,"valid_until": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "grant_id"?: number | null,"plan_id": string,"source": string,"subscription_id"?: string | null,"updated_at"?: string,"user_id": string,"valid_until"?: string | null
                  }
                  Update: {
                    "grant_id"?: number | null,"plan_id"?: string,"source"?: string,"subscription_id"?: string | null,"updated_at"?: string,"user_id"?: string,"valid_until"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "entitlements_plan_id_fkey"
      columns: ["plan_id"]
isOneToOne: false
      referencedRelation: "plans"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "entitlements_subscription_id_fkey"
      columns: ["subscription_id"]
isOneToOne: false
      referencedRelation: "subscriptions"
      referencedColumns: ["id"]
    }
                  ]
                },"features": {
                  Row: {
                    "description": string,"id": string,"name": string,"rank": number
                  }
                  ComputedFields: never
                  Insert: {
                    "description"?: string,"id": string,"name": string,"rank": number
                  }
                  Update: {
                    "description"?: string,"id"?: string,"name"?: string,"rank"?: number
                  }
                  Relationships: [
                    
                  ]
                },"invoices": {
                  Row: {
                    "amount_due_minor": number,"amount_paid_minor": number,"currency": string,"hosted_invoice_url": string | null,"id": string,"invoice_pdf": string | null,"number": string | null,"period_end": string | null,"period_start": string | null,"status": string,"stripe_created_at": string,"subscription_id": string | null,"synced_at": string,"total_minor": number,"user_id": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "amount_due_minor": number,"amount_paid_minor": number,"currency": string,"hosted_invoice_url"?: string | null,"id": string,"invoice_pdf"?: string | null,"number"?: string | null,"period_end"?: string | null,"period_start"?: string | null,"status": string,"stripe_created_at": string,"subscription_id"?: string | null,"synced_at"?: string,"total_minor": number,"user_id"?: string | null
                  }
                  Update: {
                    "amount_due_minor"?: number,"amount_paid_minor"?: number,"currency"?: string,"hosted_invoice_url"?: string | null,"id"?: string,"invoice_pdf"?: string | null,"number"?: string | null,"period_end"?: string | null,"period_start"?: string | null,"status"?: string,"stripe_created_at"?: string,"subscription_id"?: string | null,"synced_at"?: string,"total_minor"?: number,"user_id"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "invoices_user_id_fkey"
      columns: ["user_id"]
isOneToOne: false
      referencedRelation: "customers"
      referencedColumns: ["user_id"]
    }
                  ]
                },"licences": {
                  Row: {
                    "created_at": string,"id": string,"listing_id": string,"purchase_id": string,"reason": string | null,"status": string,"updated_at": string,"user_id": string,"valid_until": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"id"?: string,"listing_id": string,"purchase_id": string,"reason"?: string | null,"status": string,"updated_at"?: string,"user_id": string,"valid_until"?: string | null
                  }
                  Update: {
                    "created_at"?: string,"id"?: string,"listing_id"?: string,"purchase_id"?: string,"reason"?: string | null,"status"?: string,"updated_at"?: string,"user_id"?: string,"valid_until"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "licences_listing_id_fkey"
      columns: ["listing_id"]
isOneToOne: false
      referencedRelation: "listings"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "licences_purchase_id_fkey"
      columns: ["purchase_id"]
isOneToOne: true
      referencedRelation: "purchases"
      referencedColumns: ["id"]
    }
                  ]
                },"listing_definitions": {
                  Row: {
                    "instructions": string,"listing_id": string,"name": string,"updated_at": string,"version": number
                  }
                  ComputedFields: never
                  Insert: {
                    "instructions": string,"listing_id": string,"name": string,"updated_at"?: string,"version": number
                  }
                  Update: {
                    "instructions"?: string,"listing_id"?: string,"name"?: string,"updated_at"?: string,"version"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "listing_definitions_listing_id_fkey"
      columns: ["listing_id"]
isOneToOne: true
      referencedRelation: "listings"
      referencedColumns: ["id"]
    }
                  ]
                },"listing_pictures": {
                  Row: {
                    "data": string,"listing_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "data": string,"listing_id": string
                  }
                  Update: {
                    "data"?: string,"listing_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "listing_pictures_listing_id_fkey"
      columns: ["listing_id"]
isOneToOne: true
      referencedRelation: "listings"
      referencedColumns: ["id"]
    }
                  ]
                },"listings": {
                  Row: {
                    "agent_id": string | null,"category": string,"created_at": string,"currency": string,"description": string,"grants_metric_id": string | null,"grants_quantity": number | null,"id": string,"kind": string,"price_minor": number,"published_at": string | null,"sales_count": number,"sales_paused": boolean,"search": unknown,"seller_id": string | null,"seller_name": string,"status": string,"title": string,"updated_at": string,"version": number
                  }
                  ComputedFields: never
                  Insert: {
                    "agent_id"?: string | null,"category"?: string,"created_at"?: string,"currency"?: string,"description"?: string,"grants_metric_id"?: string | null,"grants_quantity"?: number | null,"id"?: string,"kind"?: string,"price_minor": number,"published_at"?: string | null,"sales_count"?: number,"sales_paused"?: boolean,"search"?: never,"seller_id"?: string | null,"seller_name"?: string,"status"?: string,"title": string,"updated_at"?: string,"version"?: number
                  }
                  Update: {
                    "agent_id"?: string | null,"category"?: string,"created_at"?: string,"currency"?: string,"description"?: string,"grants_metric_id"?: string | null,"grants_quantity"?: number | null,"id"?: string,"kind"?: string,"price_minor"?: number,"published_at"?: string | null,"sales_count"?: number,"sales_paused"?: boolean,"search"?: never,"seller_id"?: string | null,"seller_name"?: string,"status"?: string,"title"?: string,"updated_at"?: string,"version"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "listings_agent_id_fkey"
      columns: ["agent_id"]
isOneToOne: false
      referencedRelation: "agents"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "listings_currency_fkey"
      columns: ["currency"]
isOneToOne: false
      referencedRelation: "marketplace_currencies"
      referencedColumns: ["currency"]
    },{
      foreignKeyName: "listings_grants_metric_id_fkey"
      columns: ["grants_metric_id"]
isOneToOne: false
      referencedRelation: "metrics"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "listings_seller_id_fkey"
      columns: ["seller_id"]
isOneToOne: false
      referencedRelation: "sellers"
      referencedColumns: ["id"]
    }
                  ]
                },"marketplace_currencies": {
                  Row: {
                    "currency": string,"minimum_minor": number
                  }
                  ComputedFields: never
                  Insert: {
                    "currency": string,"minimum_minor": number
                  }
                  Update: {
                    "currency"?: string,"minimum_minor"?: number
                  }
                  Relationships: [
                    
                  ]
                },"messages": {
                  Row: {
                    "content": string,"conversation_id": string,"created_at": string,"id": string,"reply_to": string | null,"role": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "content": string,"conversation_id": string,"created_at"?: string,"id"?: string,"reply_to"?: string | null,"role": string,"user_id"?: string
                  }
                  Update: {
                    "content"?: string,"conversation_id"?: string,"created_at"?: string,"id"?: string,"reply_to"?: string | null,"role"?: string,"user_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "messages_reply_to_fkey"
      columns: ["reply_to"]
isOneToOne: true
      referencedRelation: "messages"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "messages_user_id_conversation_id_fkey"
      columns: ["user_id","conversation_id"]
isOneToOne: false
      referencedRelation: "conversations"
      referencedColumns: ["user_id","id"]
    }
                  ]
                },"metrics": {
                  Row: {
                    "id": string,"meter_event_name": string | null,"name": string,"period": string
                  }
                  ComputedFields: never
                  Insert: {
                    "id": string,"meter_event_name"?: string | null,"name": string,"period": string
                  }
                  Update: {
                    "id"?: string,"meter_event_name"?: string | null,"name"?: string,"period"?: string
                  }
                  Relationships: [
                    
                  ]
                },"notifications": {
                  Row: {
                    "body": string,"created_at": string,"id": number,"kind": string,"limit_value": number,"metric_id": string | null,"period": string,"read_at": string | null,"sent_at": string | null,"threshold": number,"title": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "body": string,"created_at"?: string,"id"?: never,"kind": string,"limit_value": number,"metric_id"?: string | null,"period": string,"read_at"?: string | null,"sent_at"?: string | null,"threshold": number,"title": string,"user_id": string
                  }
                  Update: {
                    "body"?: string,"created_at"?: string,"id"?: never,"kind"?: string,"limit_value"?: number,"metric_id"?: string | null,"period"?: string,"read_at"?: string | null,"sent_at"?: string | null,"threshold"?: number,"title"?: string,"user_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "notifications_metric_id_fkey"
      columns: ["metric_id"]
isOneToOne: false
      referencedRelation: "metrics"
      referencedColumns: ["id"]
    }
                  ]
                },"overage_price_currency_options": {
                  Row: {
                    "currency": string,"lookup_key": string,"unit_amount_minor": number
                  }
                  ComputedFields: never
                  Insert: {
                    "currency": string,"lookup_key": string,"unit_amount_minor": number
                  }
                  Update: {
                    "currency"?: string,"lookup_key"?: string,"unit_amount_minor"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "overage_price_currency_options_lookup_key_fkey"
      columns: ["lookup_key"]
isOneToOne: false
      referencedRelation: "overage_prices"
      referencedColumns: ["lookup_key"]
    }
                  ]
                },"overage_prices": {
                  Row: {
                    "currency": string,"is_active": boolean,"lookup_key": string,"metric_id": string,"plan_id": string,"unit_amount_minor": number
                  }
                  ComputedFields: never
                  Insert: {
                    "currency": string,"is_active"?: boolean,"lookup_key": string,"metric_id": string,"plan_id": string,"unit_amount_minor": number
                  }
                  Update: {
                    "currency"?: string,"is_active"?: boolean,"lookup_key"?: string,"metric_id"?: string,"plan_id"?: string,"unit_amount_minor"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "overage_prices_metric_id_fkey"
      columns: ["metric_id"]
isOneToOne: false
      referencedRelation: "metrics"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "overage_prices_plan_id_fkey"
      columns: ["plan_id"]
isOneToOne: false
      referencedRelation: "plans"
      referencedColumns: ["id"]
    }
                  ]
                },"plan_features": {
                  Row: {
                    "feature_id": string,"plan_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "feature_id": string,"plan_id": string
                  }
                  Update: {
                    "feature_id"?: string,"plan_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "plan_features_feature_id_fkey"
      columns: ["feature_id"]
isOneToOne: false
      referencedRelation: "features"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "plan_features_plan_id_fkey"
      columns: ["plan_id"]
isOneToOne: false
      referencedRelation: "plans"
      referencedColumns: ["id"]
    }
                  ]
                },"plan_limits": {
                  Row: {
                    "limit_value": number | null,"metric_id": string,"plan_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "limit_value"?: number | null,"metric_id": string,"plan_id": string
                  }
                  Update: {
                    "limit_value"?: number | null,"metric_id"?: string,"plan_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "plan_limits_metric_id_fkey"
      columns: ["metric_id"]
isOneToOne: false
      referencedRelation: "metrics"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "plan_limits_plan_id_fkey"
      columns: ["plan_id"]
isOneToOne: false
      referencedRelation: "plans"
      referencedColumns: ["id"]
    }
                  ]
                },"plans": {
                  Row: {
                    "description": string,"id": string,"is_default": boolean,"is_public": boolean,"name": string,"rank": number
                  }
                  ComputedFields: never
                  Insert: {
                    "description"?: string,"id": string,"is_default"?: boolean,"is_public"?: boolean,"name": string,"rank": number
                  }
                  Update: {
                    "description"?: string,"id"?: string,"is_default"?: boolean,"is_public"?: boolean,"name"?: string,"rank"?: number
                  }
                  Relationships: [
                    
                  ]
                },"price_currency_options": {
                  Row: {
                    "currency": string,"lookup_key": string,"unit_amount_minor": number
                  }
                  ComputedFields: never
                  Insert: {
                    "currency": string,"lookup_key": string,"unit_amount_minor": number
                  }
                  Update: {
                    "currency"?: string,"lookup_key"?: string,"unit_amount_minor"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "price_currency_options_lookup_key_fkey"
      columns: ["lookup_key"]
isOneToOne: false
      referencedRelation: "prices"
      referencedColumns: ["lookup_key"]
    }
                  ]
                },"prices": {
                  Row: {
                    "billing_interval": string,"currency": string,"is_active": boolean,"lookup_key": string,"plan_id": string,"tiers": Json | null,"tiers_mode": string | null,"trial_days": number,"unit_amount_minor": number | null
                  }
                  ComputedFields: never
                  Insert: {
                    "billing_interval": string,"currency": string,"is_active"?: boolean,"lookup_key": string,"plan_id": string,"tiers"?: Json | null,"tiers_mode"?: string | null,"trial_days"?: number,"unit_amount_minor"?: number | null
                  }
                  Update: {
                    "billing_interval"?: string,"currency"?: string,"is_active"?: boolean,"lookup_key"?: string,"plan_id"?: string,"tiers"?: Json | null,"tiers_mode"?: string | null,"trial_days"?: number,"unit_amount_minor"?: number | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "prices_plan_id_fkey"
      columns: ["plan_id"]
isOneToOne: false
      referencedRelation: "plans"
      referencedColumns: ["id"]
    }
                  ]
                },"purchases": {
                  Row: {
                    "amount_minor": number,"applied_token": number,"attempt": number,"buyer_id": string | null,"cancel_at": string | null,"cancel_at_period_end": boolean,"charge_id": string | null,"checkout_session_id": string | null,"created_at": string,"credit_minor": number | null,"credit_pack": string | null,"currency": string,"current_period_end": string | null,"due_at": string | null,"fee_bps": number,"fee_minor": number,"holds": boolean,"id": string,"kind": string,"listing_id": string | null,"open_invoice_url": string | null,"open_minor": number | null,"paid_at": string | null,"past_due_since": string | null,"payment_intent_id": string | null,"payment_status": string | null,"problem": string | null,"receipt_url": string | null,"refunded_minor": number,"seller_id": string | null,"session_status": string | null,"status": string,"stripe_customer_id": string | null,"stripe_subscription_id": string | null,"subscription_status": string | null,"title": string,"updated_at": string
                  }
                  ComputedFields: never
                  Insert: {
                    "amount_minor": number,"applied_token"?: number,"attempt"?: number,"buyer_id"?: string | null,"cancel_at"?: string | null,"cancel_at_period_end"?: boolean,"charge_id"?: string | null,"checkout_session_id"?: string | null,"created_at"?: string,"credit_minor"?: number | null,"credit_pack"?: string | null,"currency": string,"current_period_end"?: string | null,"due_at"?: string | null,"fee_bps": number,"fee_minor": number,"holds"?: boolean,"id"?: string,"kind": string,"listing_id"?: string | null,"open_invoice_url"?: string | null,"open_minor"?: number | null,"paid_at"?: string | null,"past_due_since"?: string | null,"payment_intent_id"?: string | null,"payment_status"?: string | null,"problem"?: string | null,"receipt_url"?: string | null,"refunded_minor"?: number,"seller_id"?: string | null,"session_status"?: string | null,"status"?: string,"stripe_customer_id"?: string | null,"stripe_subscription_id"?: string | null,"subscription_status"?: string | null,"title": string,"updated_at"?: string
                  }
                  Update: {
                    "amount_minor"?: number,"applied_token"?: number,"attempt"?: number,"buyer_id"?: string | null,"cancel_at"?: string | null,"cancel_at_period_end"?: boolean,"charge_id"?: string | null,"checkout_session_id"?: string | null,"created_at"?: string,"credit_minor"?: number | null,"credit_pack"?: string | null,"currency"?: string,"current_period_end"?: string | null,"due_at"?: string | null,"fee_bps"?: number,"fee_minor"?: number,"holds"?: boolean,"id"?: string,"kind"?: string,"listing_id"?: string | null,"open_invoice_url"?: string | null,"open_minor"?: number | null,"paid_at"?: string | null,"past_due_since"?: string | null,"payment_intent_id"?: string | null,"payment_status"?: string | null,"problem"?: string | null,"receipt_url"?: string | null,"refunded_minor"?: number,"seller_id"?: string | null,"session_status"?: string | null,"status"?: string,"stripe_customer_id"?: string | null,"stripe_subscription_id"?: string | null,"subscription_status"?: string | null,"title"?: string,"updated_at"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "purchases_listing_id_fkey"
      columns: ["listing_id"]
isOneToOne: false
      referencedRelation: "listings"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "purchases_seller_id_fkey"
      columns: ["seller_id"]
isOneToOne: false
      referencedRelation: "sellers"
      referencedColumns: ["id"]
    }
                  ]
                },"sellers": {
                  Row: {
                    "activated_at": string | null,"applied_token": number,"country": string | null,"created_at": string,"display_name": string,"fee_bps": number | null,"id": string,"paused_reason": string | null,"requirements": (string)[],"status": string,"stripe_account_id": string | null,"updated_at": string,"user_id": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "activated_at"?: string | null,"applied_token"?: number,"country"?: string | null,"created_at"?: string,"display_name": string,"fee_bps"?: number | null,"id"?: string,"paused_reason"?: string | null,"requirements"?: (string)[],"status"?: string,"stripe_account_id"?: string | null,"updated_at"?: string,"user_id"?: string | null
                  }
                  Update: {
                    "activated_at"?: string | null,"applied_token"?: number,"country"?: string | null,"created_at"?: string,"display_name"?: string,"fee_bps"?: number | null,"id"?: string,"paused_reason"?: string | null,"requirements"?: (string)[],"status"?: string,"stripe_account_id"?: string | null,"updated_at"?: string,"user_id"?: string | null
                  }
                  Relationships: [
                    
                  ]
                },"subscriptions": {
                  Row: {
                    "cancel_at": string | null,"cancel_at_period_end": boolean,"canceled_at": string | null,"currency": string | null,"current_period_end": string | null,"current_period_start": string | null,"ended_at": string | null,"id": string,"past_due_since": string | null,"pending_change_at": string | null,"pending_price_lookup_key": string | null,"plan_id": string | null,"price_lookup_key": string | null,"quantity": number,"status": string,"stripe_created_at": string | null,"synced_at": string,"trial_end": string | null,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "cancel_at"?: string | null,"cancel_at_period_end"?: boolean,"canceled_at"?: string | null,"currency"?: string | null,"current_period_end"?: string | null,"current_period_start"?: string | null,"ended_at"?: string | null,"id": string,"past_due_since"?: string | null,"pending_change_at"?: string | null,"pending_price_lookup_key"?: string | null,"plan_id"?: string | null,"price_lookup_key"?: string | null,"quantity"?: number,"status": string,"stripe_created_at"?: string | null,"synced_at"?: string,"trial_end"?: string | null,"user_id": string
                  }
                  Update: {
                    "cancel_at"?: string | null,"cancel_at_period_end"?: boolean,"canceled_at"?: string | null,"currency"?: string | null,"current_period_end"?: string | null,"current_period_start"?: string | null,"ended_at"?: string | null,"id"?: string,"past_due_since"?: string | null,"pending_change_at"?: string | null,"pending_price_lookup_key"?: string | null,"plan_id"?: string | null,"price_lookup_key"?: string | null,"quantity"?: number,"status"?: string,"stripe_created_at"?: string | null,"synced_at"?: string,"trial_end"?: string | null,"user_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "subscriptions_plan_id_fkey"
      columns: ["plan_id"]
isOneToOne: false
      referencedRelation: "plans"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "subscriptions_user_id_fkey"
      columns: ["user_id"]
isOneToOne: false
      referencedRelation: "customers"
      referencedColumns: ["user_id"]
    }
                  ]
                }
          }
          Views: {
            [_ in never]: never
          }
          Functions: {
            "adopt_customer":
{ Args: { "p_stripe_customer_id": string,"p_user_id": string }; Returns: string
                           },
"adopt_purchase":
{ Args: { "p_amount_minor": number,"p_buyer_id": string,"p_currency": string,"p_fee_bps": number,"p_fee_minor": number,"p_kind": string,"p_listing_id": string,"p_purchase_id": string,"p_session_id": string }; Returns: string
                           },
"adopt_usage":
{ Args: Record<PropertyKey, never>; Returns: {
              "lost": number,"metric_id": string,"period_start": string,"stripe_customer_id": string,"taken": number
            }[]
                           },
"apply_customer_snapshot":
{ Args: { "p_cause"?: string,"p_invoices"?: Json,"p_metering"?: Json,"p_stripe_customer_id": string,"p_subscriptions": Json,"p_token": number }; Returns: Json
                           },
"apply_purchase_snapshot":
{ Args: { "p_purchase_id": string,"p_snapshot": Json,"p_token": number }; Returns: Json
                           },
"apply_seller_snapshot":
{ Args: { "p_account": string,"p_snapshot": Json,"p_token": number }; Returns: Json
                           },
"begin_checkout":
{ Args: { "p_lookup_key": string,"p_user_id": string }; Returns: number
                           },
"begin_credit_purchase":
{ Args: { "p_currency": string,"p_lookup_key": string,"p_user_id": string }; Returns: Json
                           },
"begin_plan_change":
{ Args: { "p_user_id": string }; Returns: {
              "changed_at": string,"token": number
            }[]
                           },
"begin_purchase":
{ Args: { "p_listing_id": string,"p_user_id": string }; Returns: Json
                           },
"begin_reconcile":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"begin_seller":
{ Args: { "p_country": string,"p_display_name": string,"p_user_id": string }; Returns: Json
                           },
"begin_sync":
{ Args: { "p_stripe_customer_id": string }; Returns: number
                           },
"catalogue_rows":
{ Args: Record<PropertyKey, never>; Returns: {
              "amount_minor": number,"billing_interval": string,"currency": string,"lookup_key": string,"options": Json,"tiers": Json,"tiers_mode": string
            }[]
                           },
"checkout_terms":
{ Args: { "p_lookup_key": string,"p_user_id": string }; Returns: Json
                           },
"claim_usage":
{ Args: { "p_limit"?: number,"p_stripe_customer_id"?: string }; Returns: number
                           },
"clone_listing":
{ Args: { "p_listing_id": string }; Returns: {
              "created_at": string,
"id": string,
"instructions": string,
"name": string,
"source_listing_id": string | null,
"updated_at": string,
"user_id": string
            }
                          SetofOptions: {
        from: "*"
        to: "agents"
        isOneToOne: true
        isSetofReturn: false
      } },
"close_checkout":
{ Args: { "p_attempt": number,"p_user_id": string }; Returns: undefined
                           },
"compare_customer_snapshot":
{ Args: { "p_invoices": Json,"p_metering"?: Json,"p_stripe_customer_id": string,"p_subscriptions": Json }; Returns: Json
                           },
"consume_usage":
{ Args: { "p_metric": string,"p_quantity": number,"p_request_id"?: string,"p_user_id": string }; Returns: Json
                           },
"continue_sync":
{ Args: { "p_stripe_customer_id": string,"p_token": number }; Returns: number
                           },
"customers_after":
{ Args: { "p_after": string,"p_limit": number }; Returns: string[]
                           },
"customers_without_metered_items":
{ Args: { "p_limit"?: number }; Returns: string[]
                           },
"deletion_failed":
{ Args: { "p_error": string,"p_user_id": string }; Returns: undefined
                           },
"deletion_waits":
{ Args: { "p_user_id": string }; Returns: undefined
                           },
"discard_copies":
{ Args: { "p_listing_id": string }; Returns: number
                           },
"dispute_work":
{ Args: { "p_limit": number }; Returns: {
              "action": string,"amount_minor": number,"attempts": number,"charge_id": string,"currency": string,"destination": string,"dispute_id": string,"purchase_id": string
            }[]
                           },
"drifting_movements":
{ Args: { "p_limit"?: number }; Returns: string[]
                           },
"due_purchases":
{ Args: { "p_limit": number }; Returns: string[]
                           },
"due_stripe_events":
{ Args: { "p_limit": number }; Returns: {
              "id": string,"purchase_id": string,"stripe_account_id": string,"stripe_customer_id": string,"type": string
            }[]
                           },
"end_plan_change":
{ Args: { "p_changed": boolean,"p_token": number,"p_user_id": string }; Returns: undefined
                           },
"end_purchase_attempt":
{ Args: { "p_attempt": number,"p_purchase_id": string }; Returns: number
                           },
"end_reconcile":
{ Args: { "p_done": boolean,"p_error"?: string,"p_run": number }; Returns: Json
                           },
"end_sync":
{ Args: { "p_stripe_customer_id": string,"p_token": number }; Returns: undefined
                           },
"erase_person":
{ Args: { "p_stripe_customer_id": string,"p_user_id": string }; Returns: boolean
                           },
"fail_stripe_event":
{ Args: { "p_error": string,"p_id": string }; Returns: undefined
                           },
"find_purchase":
{ Args: { "p_charge"?: string,"p_payment_intent"?: string,"p_purchase_id"?: string,"p_session"?: string,"p_subscription"?: string }; Returns: string
                           },
"finish_stripe_event":
{ Args: { "p_id": string,"p_outcome": string }; Returns: undefined
                           },
"hold_usage":
{ Args: Record<PropertyKey, never>; Returns: string
                           },
"is_current_checkout":
{ Args: { "p_attempt": number,"p_user_id": string }; Returns: boolean
                           },
"lease_deletions":
{ Args: { "p_limit": number }; Returns: {
              "ripe": boolean,"stripe_account_id": string,"stripe_customer_id": string,"user_id": string
            }[]
                           },
"lease_notifications":
{ Args: { "p_limit"?: number }; Returns: {
              "body": string,"created_at": string,"email": string,"id": number,"kind": string,"lease": number,"title": string
            }[]
                           },
"lease_refunds":
{ Args: { "p_limit": number }; Returns: {
              "amount_minor": number,"attempts": number,"charge_id": string,"currency": string,"fee_minor": number,"id": string,"purchase_id": string,"reason": string,"seller_id": string
            }[]
                           },
"lease_usage":
{ Args: { "p_limit"?: number,"p_stripe_customer_id"?: string }; Returns: {
              "attempts": number,"cancels": string,"doubtful": boolean,"event_time": string,"id": number,"identifier": string,"kind": string,"lease": number,"meter_event_name": string,"quantity": number,"stripe_customer_id": string
            }[]
                           },
"ledger_check_cursor":
{ Args: Record<PropertyKey, never>; Returns: string
                           },
"ledger_sellers":
{ Args: { "p_after"?: string,"p_limit"?: number }; Returns: {
              "account": string,"seller_id": string
            }[]
                           },
"link_customer":
{ Args: { "p_stripe_customer_id": string,"p_user_id": string }; Returns: string
                           },
"link_seller_account":
{ Args: { "p_account": string,"p_seller_id": string }; Returns: string
                           },
"mark_notifications_read":
{ Args: { "p_up_to"?: number }; Returns: number
                           },
"mirrored_subscriptions":
{ Args: { "p_user_id": string }; Returns: string[]
                           },
"move_ledger_check":
{ Args: { "p_after"?: string }; Returns: undefined
                           },
"move_platform_check":
{ Args: { "p_after": string }; Returns: undefined
                           },
"move_usage_check":
{ Args: { "p_after": string }; Returns: undefined
                           },
"my_data":
{ Args: { "p_after"?: string,"p_limit"?: number,"p_section": string }; Returns: Json
                           },
"my_earnings":
{ Args: { "p_currency": string,"p_from": string,"p_to": string }; Returns: {
              "day": string,"earned_minor": number,"gross_minor": number,"sales": number
            }[]
                           },
"my_entitlements":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"my_library":
{ Args: Record<PropertyKey, never>; Returns: {
              "amount_minor": number,"cancel_at_period_end": boolean,"category": string,"copies": number,"created_at": string,"currency": string,"current_period_end": string,"description": string,"kind": string,"licence_id": string,"listing_id": string,"listing_status": string,"open_invoice_url": string,"open_minor": number,"paid_at": string,"purchase_id": string,"purchase_status": string,"reason": string,"receipt_url": string,"reference": string,"refunded_minor": number,"seller_name": string,"status": string,"title": string,"valid_until": string,"version": number
            }[]
                           },
"my_notification_emails":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"my_overage":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"my_payouts":
{ Args: Record<PropertyKey, never>; Returns: {
              "amount_minor": number,"arrival_date": string,"created_at": string,"currency": string,"id": string,"status": string
            }[]
                           },
"my_sales":
{ Args: { "p_from": string,"p_to": string }; Returns: {
              "amount_minor": number,"currency": string,"day": string,"earned_minor": number,"fee_minor": number,"listing_id": string,"reference": string,"status": string,"title": string
            }[]
                           },
"my_seller":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"my_usage":
{ Args: Record<PropertyKey, never>; Returns: {
              "limit_value": number,"metric": string,"overage": number,"plan": string,"resets_at": string,"used": number
            }[]
                           },
"next_reconcile_customers":
{ Args: { "p_limit": number,"p_run": number }; Returns: string[]
                           },
"next_sync_token":
{ Args: Record<PropertyKey, never>; Returns: number
                           },
"note_audit_check":
{ Args: { "p_fault": Json }; Returns: undefined
                           },
"note_catalogue_check":
{ Args: { "p_verdicts": Json }; Returns: undefined
                           },
"note_deletion_step":
{ Args: { "p_step": string,"p_user_id": string }; Returns: undefined
                           },
"note_dispute_work":
{ Args: { "p_amount_minor"?: number,"p_dispute_id": string,"p_done"?: string,"p_error"?: string }; Returns: undefined
                           },
"note_ledger_check":
{ Args: { "p_currency": string,"p_ledger_minor": number,"p_note"?: string,"p_stripe_minor": number,"p_subject": string }; Returns: number
                           },
"note_purchase_session":
{ Args: { "p_attempt": number,"p_purchase_id": string,"p_session_id": string }; Returns: string
                           },
"note_reconcile_page":
{ Args: { "p_cursor": string,"p_events": Json,"p_listed": boolean,"p_run": number }; Returns: number
                           },
"note_usage_check":
{ Args: { "p_metric_id": string,"p_note"?: string,"p_period_start": string,"p_stripe": number,"p_stripe_customer_id": string }; Returns: string
                           },
"notification_failed":
{ Args: { "p_error": string,"p_for_good"?: boolean,"p_id": number,"p_lease": number }; Returns: undefined
                           },
"notification_sent":
{ Args: { "p_id": number }; Returns: undefined
                           },
"open_ledgers":
{ Args: Record<PropertyKey, never>; Returns: number
                           },
"platform_check_cursor":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"platform_ledger":
{ Args: Record<PropertyKey, never>; Returns: {
              "balance": number,"currency": string,"kind": string
            }[]
                           },
"platform_movements":
{ Args: { "p_movements": Json }; Returns: {
              "id": string,"ledger_minor": number,"purchase_id": string
            }[]
                           },
"publish_listing":
{ Args: { "p_listing_id": string }; Returns: Json
                           },
"purchase_terms":
{ Args: { "p_purchase_id": string }; Returns: Json
                           },
"purchases_of_buyer":
{ Args: { "p_user_id": string }; Returns: string[]
                           },
"read_health":
{ Args: { "p_max_age_seconds"?: number }; Returns: Json
                           },
"receive_stripe_event":
{ Args: { "p_api_version"?: string,"p_created": string,"p_id": string,"p_payload": Json,"p_purchase_id"?: string,"p_stripe_account_id"?: string,"p_stripe_customer_id"?: string,"p_type": string }; Returns: string
                           },
"reconcile_failed":
{ Args: { "p_reason": string,"p_run": number,"p_stripe_customer_id": string }; Returns: undefined
                           },
"reconciled":
{ Args: { "p_run": number,"p_stripe_customer_id": string }; Returns: undefined
                           },
"refund_failed":
{ Args: { "p_error": string,"p_final": boolean,"p_id": string }; Returns: undefined
                           },
"refund_sent":
{ Args: { "p_id": string,"p_refund": string }; Returns: undefined
                           },
"release_usage":
{ Args: Record<PropertyKey, never>; Returns: undefined
                           },
"relink_customer":
{ Args: { "p_gone": string,"p_stripe_customer_id": string,"p_user_id": string }; Returns: string
                           },
"remove_chat":
{ Args: { "p_limit": number,"p_user_id": string }; Returns: number
                           },
"report_email_setup":
{ Args: { "p_problem": string }; Returns: undefined
                           },
"request_deletion":
{ Args: { "p_user_id": string }; Returns: Json
                           },
"require_user":
{ Args: { "p_user_id": string }; Returns: undefined
                           },
"search_listings":
{ Args: { "p_category"?: string,"p_currency"?: string,"p_kind"?: string,"p_limit"?: number,"p_offset"?: number,"p_query"?: string,"p_sort"?: string }; Returns: {
              "category": string,"currency": string,"description": string,"id": string,"kind": string,"own": boolean,"owned": boolean,"price_minor": number,"published_at": string,"sales_count": number,"sales_paused": boolean,"seller_name": string,"title": string,"total": number
            }[]
                           },
"seller_ledger":
{ Args: { "p_after"?: string,"p_limit"?: number }; Returns: {
              "account": string,"balance": number,"currency": string,"fee_refunds": number,"fees": number,"paid_out": number,"reversed": number,"seller_id": string,"transferred": number
            }[]
                           },
"seller_of_account":
{ Args: { "p_account": string }; Returns: string
                           },
"set_notification_emails":
{ Args: { "p_enabled": boolean }; Returns: Json
                           },
"set_overage":
{ Args: { "p_cap_minor"?: number,"p_enabled": boolean }; Returns: Json
                           },
"stripe_catalogue":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"take_rate":
{ Args: { "p_address"?: string,"p_name": string,"p_user_id": string }; Returns: number
                           },
"unsettled_purchases":
{ Args: { "p_user_id": string }; Returns: string[]
                           },
"usage_check_cursor":
{ Args: Record<PropertyKey, never>; Returns: string
                           },
"usage_failed":
{ Args: { "p_error": string,"p_id": number,"p_lease"?: number,"p_not_accepted"?: boolean,"p_retry_at"?: string }; Returns: undefined
                           },
"usage_history":
{ Args: { "p_from": string,"p_metric"?: string,"p_to": string }; Returns: {
              "allowance": number,"amount_minor": number,"day": string,"overage": number,"used": number
            }[]
                           },
"usage_parked":
{ Args: { "p_id": number,"p_reason": string }; Returns: undefined
                           },
"usage_rejected":
{ Args: { "p_identifier": string,"p_reason": string }; Returns: boolean
                           },
"usage_sent":
{ Args: { "p_id": number }; Returns: undefined
                           },
"usage_sums":
{ Args: { "p_after"?: string,"p_limit"?: number,"p_since"?: string,"p_stripe_customer_id"?: string }; Returns: {
              "adjusted": number,"adjusting": number,"claimed": number,"ledger": number,"meter_event_name": string,"metric_id": string,"neighbours": number,"parked": number,"period_end": string,"period_start": string,"sent": number,"stripe_customer_id": string,"user_id": string,"waiting": number
            }[]
                           },
"verify_audit":
{ Args: { "p_after"?: number,"p_known_hash"?: string,"p_known_seq"?: number,"p_limit"?: number }; Returns: Json
                           },
"wanted_metered_items":
{ Args: { "p_stripe_customer_id": string }; Returns: {
              "currency": string,"item_id": string,"lookup_key": string,"metric_id": string,"subscription_id": string,"unit_amount_minor": number
            }[]
                           },
"withdraw_listing":
{ Args: { "p_listing_id": string }; Returns: Json
                           }
          }
          Enums: {
            [_ in never]: never
          }
          CompositeTypes: {
            [_ in never]: never
          }
        }
}

type DatabaseWithoutInternals = Omit<Database, '__InternalSupabase'>

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">]

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
      Row: infer R
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
  ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R
    }
    ? R
    : never
  : never

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Insert: infer I
    }
    ? I
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I
    }
    ? I
    : never
  : never

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Update: infer U
    }
    ? U
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U
    }
    ? U
    : never
  : never

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
  ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
  ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never

export const Constants = {
  "public": {
          Enums: {
            
          }
        }
} as const
