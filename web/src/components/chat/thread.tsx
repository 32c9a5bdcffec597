import { type ReactNode, useEffect, useRef, useState } from "react";
import type { AgentRef, Message } from "../../lib/records.ts";
import { type ChatAgent, useChatAgent } from "../../hooks/use-chat-agent.ts";
import { useDraft } from "../../hooks/use-draft.ts";
import {
  draftKey,
  type Place,
  prepare,
  useIsSending,
  useMessages,
  useReply,
  useReplyState,
  useSendMessage,
} from "../../hooks/use-thread.ts";
import { useOverage } from "../../hooks/use-overage.ts";
import { type MetricUsage, useUsage } from "../../hooks/use-usage.ts";
import { cn } from "../../lib/cn.ts";
import { toApiError } from "../../lib/errors.ts";
import { formatExact, formatMoney, formatUnit } from "../../lib/money.ts";
import { beyondOf, metricOf, type Overage } from "../../lib/overage.ts";
import { nounOf } from "../../lib/plans.ts";
import { openQuestion } from "../../lib/thread.ts";
import { LimitPanel } from "../../tollgate/index.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/skeleton.tsx";
import { AgentBar, Locked } from "./agent-bar.tsx";
import { Composer } from "./composer.tsx";
import { MessageList, Typing } from "./message-list.tsx";

interface ThreadProps {
  conversationId: string;
  title: string;
  /** Not stored yet: it is made together with its first message. */
  isNew: boolean;
  /** Who answers; null: the assistant itself. */
  agentRef: AgentRef | null;
  onCreated: (id: string) => void;
}

export function Thread({ conversationId, title, isNew, agentRef, onCreated }: ThreadProps) {
  const query = useMessages(conversationId, !isNew);
  const { messages } = query;
  const isSending = useIsSending(conversationId);
  const replyState = useReplyState(conversationId);
  const waiting = replyState?.isPending ?? false;
  const { agent, isLoading: isAgentLoading } = useChatAgent(agentRef);

  if (query.isLoading || isAgentLoading) return <ThreadSkeleton />;
  if (query.error && messages.length === 0) {
    return (
      <div className="mx-auto w-full max-w-xl px-4 py-16">
        <ErrorNotice
          error={query.error}
          onRetry={() => query.refetch()}
          pending={query.isFetching}
        />
      </div>
    );
  }
  const isEmpty = messages.length === 0;
  // The foot keeps its place in the tree when the first message arrives: its focus, its draft and the
  // request under way would otherwise be lost in the change of layout.
  return (
    <div className={cn("flex h-full flex-col", isEmpty && "overflow-y-auto")}>
      <Announcer messages={messages} waiting={waiting} />
      {!isEmpty && <h1 className="sr-only">{title}</h1>}
      {agent && <AgentBar agent={agent} />}
      {isEmpty ? <Welcome agent={agent} /> : (
        <MessageList
          messages={messages}
          sendingId={isSending ? messages.at(-1)?.id ?? null : null}
          hasOlder={query.hasNextPage}
          loadingOlder={query.isFetchingNextPage}
          onLoadOlder={() => query.fetchNextPage()}
        >
          {waiting
            ? <Typing />
            : !isSending && !agent?.locked && (
              <MissingAnswer conversationId={conversationId} messages={messages} />
            )}
        </MessageList>
      )}
      <div
        className={cn(
          "mx-auto w-full shrink-0 px-4 pb-4 sm:px-6",
          isEmpty ? "max-w-2xl" : "max-w-3xl",
        )}
      >
        <ThreadFoot
          place={{ conversationId, isNew, agent: agentRef }}
          agent={agent}
          busy={isSending || waiting}
          onCreated={onCreated}
        />
      </div>
      {isEmpty && <div className="flex-[1.3]" />}
    </div>
  );
}

/** A conversation that has not begun. */
function Welcome({ agent }: { agent: ChatAgent | null }) {
  return (
    <div className="mx-auto flex w-full max-w-2xl flex-1 flex-col justify-end gap-2 px-4 pt-10 pb-8 sm:px-6">
      <h1 className="text-3xl font-semibold tracking-[-0.035em] sm:text-4xl wrap-anywhere">
        {agent ? `Ask “${agent.name}”` : "What is on your mind?"}
      </h1>
      <p className="text-muted">
        {agent
          ? "It answers by its own instructions, with your messages of today."
          : "Ask a question, paste a text, or think aloud."}
      </p>
    </div>
  );
}

interface FootProps {
  place: Place;
  agent: ChatAgent | null;
  busy: boolean;
  onCreated: (id: string) => void;
}

/** Composer, or the closed gate in its place; above them what could not be sent and why. */
function ThreadFoot({ place, agent, busy, onCreated }: FootProps) {
  const { conversationId, isNew } = place;
  const [draft, setDraft] = useDraft(draftKey(place));
  const { messages: usage } = useUsage();
  const { overage, isLoading } = useOverage();
  const send = useSendMessage(conversationId);
  const submit = (text: string) =>
    send.mutate(prepare(place, text), {
      onSuccess: () => isNew && onCreated(conversationId),
    });

  const composerWasShown = useRef(false);
  const beyond = usage?.isExhausted ? beyondOf(overage, "message") : null;
  // Whether one may go on for money must be known before a gate is shown or opened.
  const closed = beyond !== null && beyond !== "open" && !isLoading && !busy;
  useEffect(() => {
    composerWasShown.current = !closed;
  }, [closed]);

  if (agent?.locked && !busy) return <Locked agent={agent} />;
  if (closed && usage) {
    return (
      <LimitPanel metric="message" usage={usage} takeFocus={composerWasShown.current}>
        {draft.text && <KeptDraft text={draft.text} />}
      </LimitPanel>
    );
  }
  const refused = send.error && !GATES.has(toApiError(send.error).code);
  return (
    <div className="grid gap-3">
      {refused && (
        <ErrorNotice
          error={send.error}
          onRetry={() => submit(draft.text.trim())}
          retryLabel="Send again"
        />
      )}
      <Composer
        value={draft.text}
        onChange={setDraft}
        onSend={submit}
        busy={busy}
        focusKey={conversationId}
        note={noteOf(usage, beyond === "open" ? overage : null)}
      />
    </div>
  );
}

/** Refusals that the limit panel tells. */
const GATES = new Set(["message_quota_exceeded", "spending_cap_reached"]);

/** What is left of the day, or what the next message costs; null while there is plenty. */
function noteOf(usage: MetricUsage | null, overage: Overage | null): string | null {
  if (overage) {
    const unit = metricOf(overage, "message")?.unitMinor ?? 0;
    const { spentMinor, capMinor, currency } = overage;
    return `Beyond today’s allowance: ${formatUnit(unit, currency)} per message. ${
      formatExact(spentMinor, currency)
    } of ${formatMoney(capMinor ?? 0, currency)} spent.`;
  }
  const left = usage?.isLow ? usage.remaining : null;
  return left === null ? null : `${left} ${nounOf("message", left)} left today`;
}

function KeptDraft({ text }: { text: string }) {
  return (
    <figure className="grid gap-1 rounded-xl bg-sunken px-4 py-3 text-sm">
      <figcaption className="text-xs text-muted">Your draft is kept</figcaption>
      <blockquote className="line-clamp-3 break-words whitespace-pre-wrap">{text}</blockquote>
    </figure>
  );
}

/** The last question has no answer: it failed, or the page was closed while it was written. */
function MissingAnswer(
  { conversationId, messages }: { conversationId: string; messages: Message[] },
) {
  const reply = useReply(conversationId);
  const state = useReplyState(conversationId);
  const question = openQuestion(messages);
  if (!question) return null;
  const ask = () => reply.mutate(question.id);
  const failed = state?.messageId === question.id ? state.error : null;
  return (
    <div className="mt-6">
      {failed
        ? (
          <ErrorNotice
            error={failed}
            title="The answer did not arrive"
            onRetry={ask}
            retryLabel="Try the answer again"
          />
        )
        : (
          <Notice
            tone="plain"
            title="This message has no answer yet"
            actions={<Button size="sm" variant="outline" onClick={ask}>Get the answer</Button>}
          >
            Asking again costs nothing.
          </Notice>
        )}
    </div>
  );
}

/** Reads new answers to a screen reader; what was there before is not read out. */
function Announcer({ messages, waiting }: { messages: Message[]; waiting: boolean }): ReactNode {
  const last = messages.at(-1);
  const known = useRef(last?.id);
  const [text, setText] = useState("");
  useEffect(() => {
    if (waiting) setText("The assistant is writing.");
    if (!last || last.id === known.current) return;
    known.current = last.id;
    if (last.role === "assistant") setText(`The assistant said: ${last.content}`);
  }, [last, waiting]);
  useEffect(() => {
    // Said once. Left standing, it would be read a second time by who walks through the page.
    const timer = setTimeout(() => setText(""), 3000);
    return () => clearTimeout(timer);
  }, [text]);
  return <p role="status" className="sr-only">{text}</p>;
}

function ThreadSkeleton() {
  return (
    <div
      role="status"
      aria-label="Loading messages"
      className="mx-auto grid w-full max-w-3xl gap-8 px-6 py-8"
    >
      <Skeleton className="h-11 w-1/2 justify-self-end rounded-2xl" />
      <Skeleton className="h-24 w-4/5" />
      <Skeleton className="h-11 w-2/5 justify-self-end rounded-2xl" />
      <Skeleton className="h-16 w-3/5" />
    </div>
  );
}
