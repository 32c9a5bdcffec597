import { z } from "zod";
import { answerMessage } from "../_shared/chat/reply.ts";
import { userFunction } from "../_shared/http.ts";

const body = z.strictObject({ message_id: z.uuid() });

/** POST `{message_id}` → `{message}`: the assistant's answer to one of the caller's messages, written once. */
export default {
  fetch: userFunction("reply", body, ({ message_id }, call) => answerMessage(message_id, call)),
};
