/** The tables and functions this client uses, in the shape of `supabase gen types`. */

interface Table<Row, Insert = never, Update = never> {
  Row: Row;
  Insert: Insert;
  Update: Update;
}

interface Reference<Column extends string, To extends string, Name extends string> {
  foreignKeyName: Name;
  columns: [Column];
  isOneToOne: false;
  referencedRelation: To;
  referencedColumns: ["id"];
}

type PlanRow = {
  id: string;
  name: string;
  description: string;
  rank: number;
  is_default: boolean;
  is_public: boolean;
};
type LimitRow = { plan_id: string; metric_id: string; limit_value: number | null };
type FeatureRow = { id: string; name: string; description: string; rank: number };
type PlanFeatureRow = { plan_id: string; feature_id: string };
type PriceRow = {
  lookup_key: string;
  plan_id: string;
  currency: string;
  unit_amount_minor: number;
  billing_interval: string;
  is_active: boolean;
};
type ConversationRow = {
  id: string;
  user_id: string;
  title: string;
  created_at: string;
  updated_at: string;
};
type MessageRow = {
  id: string;
  conversation_id: string;
  user_id: string;
  role: string;
  content: string;
  reply_to: string | null;
  created_at: string;
};
type AgentRow = {
  id: string;
  user_id: string;
  name: string;
  instructions: string;
  created_at: string;
  updated_at: string;
};
type UsageRow = {
  metric: string;
  used: number;
  limit_value: number | null;
  resets_at: string | null;
  plan: string;
};

export type Database = {
  public: {
    Tables: {
      plans: Table<PlanRow> & { Relationships: [] };
      plan_limits: Table<LimitRow> & {
        Relationships: [Reference<"plan_id", "plans", "plan_limits_plan_id_fkey">];
      };
      features: Table<FeatureRow> & { Relationships: [] };
      plan_features: Table<PlanFeatureRow> & {
        Relationships: [Reference<"plan_id", "plans", "plan_features_plan_id_fkey">];
      };
      prices: Table<PriceRow> & {
        Relationships: [Reference<"plan_id", "plans", "prices_plan_id_fkey">];
      };
      conversations:
        & Table<ConversationRow, { id?: string; title?: string }, { title?: string }>
        & { Relationships: [] };
      messages:
        & Table<MessageRow, { id?: string; conversation_id: string; role: string; content: string }>
        & { Relationships: [] };
      agents:
        & Table<
          AgentRow,
          { id?: string; name: string; instructions?: string },
          { name?: string; instructions?: string }
        >
        & { Relationships: [] };
    };
    Views: Record<never, never>;
    Functions: {
      my_usage: { Args: Record<PropertyKey, never>; Returns: UsageRow[] };
      my_entitlements: { Args: Record<PropertyKey, never>; Returns: unknown };
    };
  };
};
