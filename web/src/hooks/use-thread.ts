import {
  type QueryClient,
  useInfiniteQuery,
  useMutation,
  useMutationState,
  useQueryClient,
} from "@tanstack/react-query";
import {
  createConversation,
  deleteConversation,
  listMessages,
  MESSAGES_PER_PAGE,
  requestReply,
  sendMessage,
} from "../api/index.ts";
import { type Cursor, cursorAfter } from "../lib/paging.ts";
import type { AgentRef, Conversation, Message } from "../lib/records.ts";
import { mergeDraft, newDraftKey, readDraft, writeDraft } from "../lib/drafts.ts";
import { isTransient, toApiError } from "../lib/errors.ts";
import { keys } from "../lib/query.ts";
import {
  flatten,
  type ThreadPages,
  titleFrom,
  withMessage,
  withoutMessage,
} from "../lib/thread.ts";
import { believeCap } from "./use-overage.ts";
import { believeRefusal, countUse } from "./use-usage.ts";

/** The messages of a conversation, oldest first, with older pages on demand. */
export function useMessages(conversationId: string, enabled: boolean) {
  const query = useInfiniteQuery({
    queryKey: keys.messages(conversationId),
    queryFn: ({ pageParam }) => listMessages(conversationId, pageParam),
    initialPageParam: undefined as Cursor | undefined,
    getNextPageParam: (page: Message[]) => cursorAfter(page, MESSAGES_PER_PAGE),
    enabled,
  });
  return { ...query, messages: flatten(query.data) };
}

/** Where something is written. */
export interface Place {
  conversationId: string;
  /** The conversation does not exist yet and is made with this message. */
  isNew: boolean;
  /** Who answers in a new one. */
  agent: AgentRef | null;
}

export interface Outgoing extends Place {
  messageId: string;
  text: string;
}

/** The id for a text: that of an earlier try with an unknown outcome, so that it is charged once. */
export function prepare(place: Place, text: string): Outgoing {
  const { conversationId } = place;
  const { attempt } = readDraft(draftKey(place));
  const isRepeat = attempt?.text === text && attempt.conversationId === conversationId;
  const messageId = isRepeat ? attempt.messageId : crypto.randomUUID();
  return { ...place, messageId, text };
}

export function draftKey({ conversationId, isNew, agent }: Place): string {
  return isNew ? newDraftKey(agent) : conversationId;
}

/**
 * Sends a message: shown at once, taken back with its draft when the database refuses it, and followed
 * by the request for an answer when it is stored.
 */
export function useSendMessage(conversationId: string) {
  const queries = useQueryClient();
  const reply = useReply(conversationId);
  return useMutation({
    mutationKey: keys.send(conversationId),
    mutationFn: store,
    onMutate: async (outgoing) => {
      writeDraft(draftKey(outgoing), { text: "", attempt: null });
      await queries.cancelQueries({ queryKey: keys.messages(outgoing.conversationId) });
      putMessage(queries, optimistic(outgoing));
    },
    onSuccess: (message, outgoing) => {
      if (outgoing.isNew) putConversation(queries, outgoing);
      putMessage(queries, message);
      countUse(queries, "message", 1);
      askUsage(queries);
      void queries.invalidateQueries({ queryKey: keys.conversations });
      reply.mutate(message.id);
    },
    onError: (error, outgoing) => takeBack(queries, error, outgoing),
  });
}

/** A message counts, may cost something, and may be the one that a notice is written for. */
function askUsage(queries: QueryClient): void {
  for (const queryKey of [keys.usage, keys.overage, keys.histories, keys.notifications]) {
    void queries.invalidateQueries({ queryKey });
  }
}

/** An agent that was refused may be gone. */
function askAgents(queries: QueryClient): void {
  void queries.invalidateQueries({ queryKey: keys.library });
  void queries.invalidateQueries({ queryKey: keys.agents });
}

async function store({ conversationId, isNew, agent, messageId, text }: Outgoing) {
  if (isNew) await createConversation(conversationId, titleFrom(text), agent);
  return sendMessage(messageId, conversationId, text);
}

function optimistic({ messageId, conversationId, text }: Outgoing): Message {
  return {
    id: messageId,
    conversationId,
    role: "user",
    content: text,
    replyTo: null,
    createdAt: new Date().toISOString(),
  };
}

/** What was just made is known without asking for it. */
function putConversation(queries: QueryClient, { conversationId, agent, text }: Outgoing): void {
  const row: Conversation = {
    id: conversationId,
    title: titleFrom(text),
    updatedAt: Date.now(),
    agent,
  };
  queries.setQueryData<Conversation | null>(keys.conversation(conversationId), row);
}

function putMessage(queries: QueryClient, message: Message): void {
  queries.setQueryData<ThreadPages>(
    keys.messages(message.conversationId),
    (data) => withMessage(data, message),
  );
}

function takeBack(queries: QueryClient, error: Error, outgoing: Outgoing): void {
  const { conversationId, isNew, messageId, text } = outgoing;
  queries.setQueryData<ThreadPages>(
    keys.messages(conversationId),
    (data) => withoutMessage(data, messageId),
  );
  const key = draftKey(outgoing);
  // Without an answer the row may be there all the same: the ids stay with the draft for the next try.
  const attempt = isTransient(error) ? { conversationId, messageId, text } : null;
  writeDraft(key, { text: mergeDraft(text, readDraft(key).text), attempt });

  const { code, limit, cap } = toApiError(error);
  if (code === "message_quota_exceeded") believeRefusal(queries, limit);
  if (code === "spending_cap_reached") believeCap(queries, cap);
  if (outgoing.agent) askAgents(queries);
  if (isNew && !attempt) {
    // The refused message was to be its first one; an empty conversation would only be clutter.
    deleteConversation(conversationId).catch(() => {});
  }
}

/** Asks for the assistant's answer to a message. Safe to repeat: one answer per question. */
export function useReply(conversationId: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationKey: keys.reply(conversationId),
    mutationFn: requestReply,
    onError: (error) => {
      if (toApiError(error).code === "licence_required") askAgents(queries);
    },
    onSuccess: (message) => {
      putMessage(queries, message);
      // The answer may have called tools.
      askUsage(queries);
      void queries.invalidateQueries({ queryKey: keys.conversations });
    },
  });
}

export interface ReplyState {
  messageId: string;
  isPending: boolean;
  error: Error | null;
}

/** The latest request for an answer, also one that was started before this page was opened. */
export function useReplyState(conversationId: string): ReplyState | null {
  const states = useMutationState({
    filters: { mutationKey: keys.reply(conversationId) },
    select: ({ state }) => ({
      messageId: String(state.variables),
      isPending: state.status === "pending",
      error: state.error,
    }),
  });
  return states.at(-1) ?? null;
}

/** A message of this conversation is on its way to the database. */
export function useIsSending(conversationId: string): boolean {
  return useMutationState({
    filters: { mutationKey: keys.send(conversationId), status: "pending" },
    select: () => true,
  }).length > 0;
}
