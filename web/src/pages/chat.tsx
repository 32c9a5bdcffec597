import { useEffect, useMemo, useState } from "react";
import { Link, useNavigate, useParams, useSearchParams } from "react-router";
import { Thread } from "../components/chat/thread.tsx";
import { Button } from "../components/ui/button.tsx";
import { useConversation } from "../hooks/use-conversations.ts";
import { useTitle } from "../hooks/use-title.ts";
import { newDraftKey, readDraft } from "../lib/drafts.ts";
import { agentOfChat, isUuid } from "../lib/paths.ts";

export default function ChatPage() {
  const { conversationId } = useParams();
  const navigate = useNavigate();
  const [params] = useSearchParams();
  const asked = agentOfChat(params);
  const freshId = useFreshId(conversationId, newDraftKey(asked));
  const id = conversationId ?? freshId;
  const valid = isUuid(id);
  const conversation = useConversation(id, conversationId !== undefined && valid);
  const title = conversationId ? conversation.data?.title || "Conversation" : "New chat";
  useTitle(title);

  if (!valid || (conversationId && conversation.data === null)) return <NoConversation />;
  return (
    <Thread
      key={id}
      conversationId={id}
      title={title}
      isNew={conversationId === undefined}
      agentRef={conversationId === undefined ? asked : conversation.data?.agent ?? null}
      onCreated={(created) => navigate(`/chat/${created}`, { replace: true })}
    />
  );
}

/**
 * The id that the next new conversation will have. It is kept when that conversation comes to be, so
 * that the thread on the page goes on living, and renewed for the one after it.
 */
function useFreshId(conversationId: string | undefined, draftKey: string): string {
  const [fresh, setFresh] = useState(() => freshFor(draftKey));
  const isOther = conversationId === undefined && fresh.draftKey !== draftKey;
  const next = useMemo(() => isOther ? freshFor(draftKey) : fresh, [isOther, draftKey, fresh]);
  useEffect(() => {
    if (isOther) setFresh(next);
    else if (conversationId === fresh.id) setFresh({ draftKey, id: crypto.randomUUID() });
  }, [isOther, next, conversationId, fresh, draftKey]);
  return next.id;
}

/** A try with an unknown outcome keeps the conversation it was for. */
function freshFor(draftKey: string): { draftKey: string; id: string } {
  return { draftKey, id: readDraft(draftKey).attempt?.conversationId ?? crypto.randomUUID() };
}

function NoConversation() {
  return (
    <div className="mx-auto grid h-full max-w-md content-center justify-items-start gap-4 px-6">
      <h1 className="text-2xl font-semibold">There is no such conversation</h1>
      <p className="text-muted">It was deleted, or it belongs to another account.</p>
      <Button asChild>
        <Link to="/chat">New chat</Link>
      </Button>
    </div>
  );
}
