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
                    "plan_id": string,"source": string,"subscription_id": string | null,"updated_at": string,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "plan_id": string,"source": string,"subscription_id"?: string | null,"updated_at"?: string,"user_id": string
                  }
                  Update: {
                    "plan_id"?: string,"source"?: string,"subscription_id"?: string | null,"updated_at"?: string,"user_id"?: string
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
                },"prices": {
                  Row: {
                    "billing_interval": string,"currency": string,"is_active": boolean,"lookup_key": string,"plan_id": string,"unit_amount_minor": number
                  }
                  ComputedFields: never
                  Insert: {
                    "billing_interval": string,"currency": string,"is_active"?: boolean,"lookup_key": string,"plan_id": string,"unit_amount_minor": number
                  }
                  Update: {
                    "billing_interval"?: string,"currency"?: string,"is_active"?: boolean,"lookup_key"?: string,"plan_id"?: string,"unit_amount_minor"?: number
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
                    "cancel_at": string | null,"cancel_at_period_end": boolean,"canceled_at": string | null,"currency": string | null,"current_period_end": string | null,"current_period_start": string | null,"ended_at": string | null,"id": string,"plan_id": string | null,"price_lookup_key": string | null,"quantity": number,"status": string,"stripe_created_at": string | null,"synced_at": string,"trial_end": string | null,"user_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "cancel_at"?: string | null,"cancel_at_period_end"?: boolean,"canceled_at"?: string | null,"currency"?: string | null,"current_period_end"?: string | null,"current_period_start"?: string | null,"ended_at"?: string | null,"id": string,"plan_id"?: string | null,"price_lookup_key"?: string | null,"quantity"?: number,"status": string,"stripe_created_at"?: string | null,"synced_at"?: string,"trial_end"?: string | null,"user_id": string
                  }
                  Update: {
                    "cancel_at"?: string | null,"cancel_at_period_end"?: boolean,"canceled_at"?: string | null,"currency"?: string | null,"current_period_end"?: string | null,"current_period_start"?: string | null,"ended_at"?: string | null,"id"?: string,"plan_id"?: string | null,"price_lookup_key"?: string | null,"quantity"?: number,"status"?: string,"stripe_created_at"?: string | null,"synced_at"?: string,"trial_end"?: string | null,"user_id"?: string
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
{ Args: { "p_stripe_customer_id": string,"p_subscriptions": Json,"p_token": number }; Returns: Json
                           },
"begin_checkout":
{ Args: { "p_lookup_key": string,"p_user_id": string }; Returns: number
                           },
"close_checkout":
{ Args: { "p_attempt": number,"p_user_id": string }; Returns: undefined
                           },
"due_stripe_events":
{ Args: { "p_limit": number }; Returns: {
              "id": string,"stripe_customer_id": string,"type": string
            }[]
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
"next_sync_token":
{ Args: Record<PropertyKey, never>; Returns: number
                           },
"receive_stripe_event":
{ Args: { "p_api_version"?: string,"p_created": string,"p_id": string,"p_payload": Json,"p_stripe_customer_id"?: string,"p_type": string }; Returns: string
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
