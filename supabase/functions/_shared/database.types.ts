export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  
  "public": {
          Tables: {
            "agents": {
                  Row: {
                    "created_at": string,"id": string,"instructions": string,"name": string,"updated_at": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"id"?: string,"instructions"?: string,"name": string,"updated_at"?: string,"user_id"?: string
                  }
                  Update: {
                    "created_at"?: string,"id"?: string,"instructions"?: string,"name"?: string,"updated_at"?: string,"user_id"?: string
                  }
                  Relationships: [
                    
                  ]
                },"conversations": {
                  Row: {
                    "created_at": string,"id": string,"title": string,"updated_at": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"id"?: string,"title"?: string,"updated_at"?: string,"user_id"?: string
                  }
                  Update: {
                    "created_at"?: string,"id"?: string,"title"?: string,"updated_at"?: string,"user_id"?: string
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
                    "amount_due_minor": number,"amount_paid_minor": number,"currency": string,"hosted_invoice_url": string | null,"id": string,"invoice_pdf": string | null,"number": string | null,"period_end": string | null,"period_start": string | null,"status": string,"stripe_created_at": string,"subscription_id": string | null,"synced_at": string,"total_minor": number,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "amount_due_minor": number,"amount_paid_minor": number,"currency": string,"hosted_invoice_url"?: string | null,"id": string,"invoice_pdf"?: string | null,"number"?: string | null,"period_end"?: string | null,"period_start"?: string | null,"status": string,"stripe_created_at": string,"subscription_id"?: string | null,"synced_at"?: string,"total_minor": number,"user_id": string
                  }
                  Update: {
                    "amount_due_minor"?: number,"amount_paid_minor"?: number,"currency"?: string,"hosted_invoice_url"?: string | null,"id"?: string,"invoice_pdf"?: string | null,"number"?: string | null,"period_end"?: string | null,"period_start"?: string | null,"status"?: string,"stripe_created_at"?: string,"subscription_id"?: string | null,"synced_at"?: string,"total_minor"?: number,"user_id"?: string
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
                    "id": string,"name": string,"period": string
                  }
                  ComputedFields: never
                  Insert: {
                    "id": string,"name": string,"period": string
                  }
                  Update: {
                    "id"?: string,"name"?: string,"period"?: string
                  }
                  Relationships: [
                    
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
            "apply_customer_snapshot":
{ Args: { "p_cause"?: string,"p_invoices"?: Json,"p_stripe_customer_id": string,"p_subscriptions": Json,"p_token": number }; Returns: Json
                           },
"begin_checkout":
{ Args: { "p_lookup_key": string,"p_user_id": string }; Returns: number
                           },
"begin_reconcile":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"begin_sync":
{ Args: { "p_stripe_customer_id": string }; Returns: number
                           },
"checkout_terms":
{ Args: { "p_lookup_key": string,"p_user_id": string }; Returns: Json
                           },
"close_checkout":
{ Args: { "p_attempt": number,"p_user_id": string }; Returns: undefined
                           },
"compare_customer_snapshot":
{ Args: { "p_invoices": Json,"p_stripe_customer_id": string,"p_subscriptions": Json }; Returns: Json
                           },
"continue_sync":
{ Args: { "p_stripe_customer_id": string,"p_token": number }; Returns: number
                           },
"customers_after":
{ Args: { "p_after": string,"p_limit": number }; Returns: string[]
                           },
"due_stripe_events":
{ Args: { "p_limit": number }; Returns: {
              "id": string,"stripe_customer_id": string,"type": string
            }[]
                           },
"end_reconcile":
{ Args: { "p_done": boolean,"p_error"?: string,"p_run": number }; Returns: Json
                           },
"end_sync":
{ Args: { "p_stripe_customer_id": string,"p_token": number }; Returns: undefined
                           },
"fail_stripe_event":
{ Args: { "p_error": string,"p_id": string }; Returns: undefined
                           },
"finish_stripe_event":
{ Args: { "p_id": string,"p_outcome": string }; Returns: undefined
                           },
"is_current_checkout":
{ Args: { "p_attempt": number,"p_user_id": string }; Returns: boolean
                           },
"link_customer":
{ Args: { "p_stripe_customer_id": string,"p_user_id": string }; Returns: string
                           },
"my_entitlements":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"my_usage":
{ Args: Record<PropertyKey, never>; Returns: {
              "limit_value": number,"metric": string,"plan": string,"resets_at": string,"used": number
            }[]
                           },
"next_reconcile_customers":
{ Args: { "p_limit": number,"p_run": number }; Returns: string[]
                           },
"next_sync_token":
{ Args: Record<PropertyKey, never>; Returns: number
                           },
"note_reconcile_page":
{ Args: { "p_cursor": string,"p_events": Json,"p_listed": boolean,"p_run": number }; Returns: number
                           },
"receive_stripe_event":
{ Args: { "p_api_version"?: string,"p_created": string,"p_id": string,"p_payload": Json,"p_stripe_customer_id"?: string,"p_type": string }; Returns: string
                           },
"reconciled":
{ Args: { "p_run": number,"p_stripe_customer_id": string }; Returns: undefined
                           },
"relink_customer":
{ Args: { "p_gone": string,"p_stripe_customer_id": string,"p_user_id": string }; Returns: string
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
