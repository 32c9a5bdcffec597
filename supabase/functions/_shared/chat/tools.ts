import * as db from "../db.ts";
import {
  chooseTools,
  isTooLate,
  notUsed,
  runTool,
  type ToolRefusal,
  toolRequestId,
} from "../domain/tools.ts";

/**
 * Uses the tools that a message asks for and answers what each said. Each is paid for before it runs, under an id of the
 * message and its position: an answer that fails, is asked for again or by two tabs at once is charged once. One that is
 * refused is not used, the answer says why, and nothing else fails.
 */
export async function useTools(message: db.MessageRow, admin: db.Client): Promise<string[]> {
  const now = new Date();
  let refusal: ToolRefusal | null = isTooLate(new Date(message.created_at), now)
    ? "too_late"
    : null;
  const said: string[] = [];
  for (const [position, use] of chooseTools(message.content).entries()) {
    // What was refused once is not asked for again: every further one would be refused for the same reason.
    refusal ??= await db.consumeUsage(admin, {
      userId: message.user_id,
      metric: "tool",
      quantity: 1,
      requestId: await toolRequestId(message, position),
    });
    said.push(refusal === null ? runTool(use, now) : notUsed(use, refusal));
  }
  return said;
}
