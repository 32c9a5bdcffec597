import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { composeReply } from "../domain/reply.ts";
import { useTools } from "./tools.ts";

/**
 * Answers one of the caller's own messages. Asked twice, or by two tabs, it answers the same row: the database keeps at
 * most one reply per message, and the message itself was paid for when it was written. Tools it uses are metered. A
 * conversation with an agent is answered by that agent.
 *
 * Errors: `message_not_found`, also for somebody else's message and for one that is itself an answer; `licence_required`
 * when the agent was bought and may not be used any more.
 */
export async function answerMessage(
  messageId: string,
  { supabase, supabaseAdmin }: db.UserCall,
): Promise<{ message: db.MessageRow }> {
  // Read as the user: row level security decides whose message it is.
  const found = await db.findMessage(supabase, messageId);
  if (found === null || found.message.role !== "user") {
    throw new AppError("message_not_found", "There is no such message.");
  }
  if (found.reply !== null) return { message: found.reply };
  const { message } = found;
  // Read as the user as well: what was bought answers as long as there is a licence.
  const agent = await db.definitionFor(supabase, message.conversation_id);
  if (agent === null) {
    throw new AppError("licence_required", "You have no licence for this agent any more.");
  }
  // Written with the secret key: no client may speak as the assistant.
  const written = await db.insertReply(supabaseAdmin, {
    conversation_id: message.conversation_id,
    user_id: message.user_id,
    role: "assistant",
    content: composeReply(
      message.content,
      await useTools(message, supabaseAdmin),
      agent === "none" ? null : agent,
    ),
    reply_to: message.id,
  });
  const reply = written ?? (await db.findMessage(supabase, messageId))?.reply;
  if (!reply) throw new AppError("message_not_found", "The message was deleted in the meantime.");
  return { message: reply };
}
