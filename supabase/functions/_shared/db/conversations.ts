import { type Client, rows } from "./client.ts";

/** What an agent is told to be. */
export interface AgentDefinition {
  name: string;
  instructions: string;
}

/**
 * The agent that answers in one of the caller's conversations, read as the caller: `none` when it runs no agent, null when it
 * runs one that they may not read any more.
 */
export async function definitionFor(
  client: Client,
  conversationId: string,
): Promise<AgentDefinition | "none" | null> {
  const row = await rows(
    client.from("conversations").select("agent_id, listing_id").eq("id", conversationId)
      .maybeSingle(),
  );
  if (row === null) return null;
  if (row.agent_id !== null) {
    return await rows(
      client.from("agents").select("name, instructions").eq("id", row.agent_id).maybeSingle(),
    );
  }
  if (row.listing_id === null) return "none";
  return await rows(
    client.from("listing_definitions").select("name, instructions")
      .eq("listing_id", row.listing_id).maybeSingle(),
  );
}
