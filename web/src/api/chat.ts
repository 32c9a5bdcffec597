/** Conversations and messages. */

import * as z from "zod/mini";
import { messageAnswer, toMessage } from "../lib/answers.ts";
import { parseTime } from "../lib/dates.ts";
import { ApiError, fromRest } from "../lib/errors.ts";
import { type Cursor, isBefore } from "../lib/paging.ts";
import type { AgentRef, Conversation, Message } from "../lib/records.ts";
import { call, db, rest } from "./client.ts";

/** One page of a conversation; PostgREST would silently cut a longer answer at its own maximum. */
export const MESSAGES_PER_PAGE = 60;
const CONVERSATIONS_SHOWN = 200;
const CONVERSATION_COLUMNS = "id,title,updated_at,listing_id,agent_id";
const MESSAGE_COLUMNS = "id,conversation_id,role,content,reply_to,created_at";

interface ConversationRow {
  id: string;
  title: string;
  updated_at: string;
  listing_id: string | null;
  agent_id: string | null;
}

function toConversation(row: ConversationRow): Conversation {
  return {
    id: row.id,
    title: row.title,
    updatedAt: parseTime(row.updated_at) ?? 0,
    agent: row.listing_id
      ? { kind: "listing", id: row.listing_id }
      : row.agent_id
      ? { kind: "agent", id: row.agent_id }
      : null,
  };
}

export async function listConversations(): Promise<Conversation[]> {
  const rows = await rest(
    db().from("conversations").select(CONVERSATION_COLUMNS)
      .order("updated_at", { ascending: false }).limit(CONVERSATIONS_SHOWN),
  );
  return rows.map(toConversation);
}

/** null when there is no such conversation, or when it is somebody else's: the two look the same. */
export async function getConversation(id: string): Promise<Conversation | null> {
  const rows = await rest(db().from("conversations").select(CONVERSATION_COLUMNS).eq("id", id));
  return rows[0] ? toConversation(rows[0]) : null;
}

/** The id is ours, so that a repeat after a lost answer finds the first try instead of a second row. */
export async function createConversation(
  id: string,
  title: string,
  agent: AgentRef | null,
): Promise<void> {
  const { error, status } = await db().from("conversations").insert({
    id,
    title,
    ...(agent?.kind === "listing" && { listing_id: agent.id }),
    ...(agent?.kind === "agent" && { agent_id: agent.id }),
  });
  if (agent && error?.code === "42501") {
    // The policy refused: the agent is not, or no longer, this person's.
    throw new ApiError("licence_required", error.message, { status, cause: error });
  }
  if (error && status !== 409) throw fromRest(error, status);
}

export async function renameConversation(id: string, title: string): Promise<void> {
  const { error, status } = await db().from("conversations").update({ title }).eq("id", id);
  if (error) throw fromRest(error, status);
}

export async function deleteConversation(id: string): Promise<void> {
  const { error, status } = await db().from("conversations").delete().eq("id", id);
  if (error) throw fromRest(error, status);
}

/** The newest page, or the one before `cursor`; newest first. Rows of one moment go by their id. */
export async function listMessages(conversationId: string, cursor?: Cursor): Promise<Message[]> {
  let query = db().from("messages").select(MESSAGE_COLUMNS).eq("conversation_id", conversationId);
  if (cursor) {
    query = query.lte("created_at", cursor.createdAt).or(isBefore("created_at", cursor));
  }
  const rows = await rest(
    query.order("created_at", { ascending: false }).order("id", { ascending: false })
      .limit(MESSAGES_PER_PAGE),
  );
  return rows.map(toMessage);
}

/**
 * Writes a message of the user; this is what costs one of today's messages. With the same id a repeat
 * is answered 409, which means that the first try arrived: it is read back and not charged again.
 */
export async function sendMessage(id: string, conversationId: string, content: string) {
  const row = { id, conversation_id: conversationId, role: "user", content };
  const inserted = await db().from("messages").insert(row).select(MESSAGE_COLUMNS).single();
  if (!inserted.error) return toMessage(inserted.data);
  if (inserted.status !== 409) throw fromRest(inserted.error, inserted.status);
  const earlier = await rest(db().from("messages").select(MESSAGE_COLUMNS).eq("id", id));
  if (!earlier[0]) throw fromRest(inserted.error, inserted.status);
  return toMessage(earlier[0]);
}

/** Asks for the assistant's answer; a repeat returns the answer that is already there. */
export async function requestReply(messageId: string): Promise<Message> {
  const answer = await call(
    "reply",
    { message_id: messageId },
    z.object({ message: messageAnswer }),
  );
  return toMessage(answer.message);
}
