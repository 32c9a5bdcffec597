/** One's own agents. */

import { parseTime } from "../lib/dates.ts";
import { fromRest } from "../lib/errors.ts";
import type { Agent } from "../lib/records.ts";
import { db, rest } from "./client.ts";

const AGENT_COLUMNS = "id,name,instructions,updated_at,source_listing_id";

export async function listAgents(): Promise<Agent[]> {
  const rows = await rest(db().from("agents").select(AGENT_COLUMNS).order("created_at"));
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    instructions: row.instructions,
    updatedAt: parseTime(row.updated_at) ?? 0,
    sourceListingId: row.source_listing_id,
  }));
}

export interface AgentFields {
  name: string;
  instructions: string;
}

export async function createAgent(fields: AgentFields): Promise<void> {
  const { error, status } = await db().from("agents").insert(fields);
  if (error) throw fromRest(error, status);
}

export async function updateAgent(id: string, fields: AgentFields): Promise<void> {
  const { error, status } = await db().from("agents").update(fields).eq("id", id);
  if (error) throw fromRest(error, status);
}

export async function deleteAgent(id: string): Promise<void> {
  const { error, status } = await db().from("agents").delete().eq("id", id);
  if (error) throw fromRest(error, status);
}
