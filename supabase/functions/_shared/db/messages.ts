import { type Client, rows, type Tables } from "./client.ts";

/** SQLSTATE 23503: what a row refers to is gone. */
const FOREIGN_KEY_VIOLATION = "23503";

export type MessageRow = Tables["messages"]["Row"];

/** One of the caller's own messages, with the answer it already has. */
export async function findMessage(
  client: Client,
  id: string,
): Promise<{ message: MessageRow; reply: MessageRow | null } | null> {
  const found = await rows(
    client.from("messages").select("*").or(`id.eq.${id},reply_to.eq.${id}`),
  );
  const message = found.find((row) => row.id === id);
  if (message === undefined) return null;
  return { message, reply: found.find((row) => row.reply_to === id) ?? null };
}

/** Writes the assistant's answer; null when another request already did, or when its message was deleted meanwhile. */
export async function insertReply(
  admin: Client,
  reply: Tables["messages"]["Insert"],
): Promise<MessageRow | null> {
  const answer = await admin.from("messages")
    .upsert(reply, { onConflict: "reply_to", ignoreDuplicates: true }).select("*").maybeSingle();
  if (answer.error?.code === FOREIGN_KEY_VIOLATION) return null;
  return await rows(Promise.resolve(answer));
}
