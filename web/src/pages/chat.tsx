import { useEffect, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { Thread } from "../components/chat/thread.tsx";
import { Button } from "../components/ui/button.tsx";
import { useConversation } from "../hooks/use-conversations.ts";
import { useTitle } from "../hooks/use-title.ts";
import { NEW_CONVERSATION, readDraft } from "../lib/drafts.ts";
import { isUuid } from "../lib/paths.ts";

export default function ChatPage() {
  const { conversationId } = useParams();
  const navigate = useNavigate();
  const freshId = useFreshId(conversationId);
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
      onCreated={(created) => navigate(`/chat/${created}`, { replace: true })}
    />
  );
}

/**
 * The id that the next new conversation will have. It is kept when that conversation comes to be, so
 * that the thread on the page goes on living, and renewed for the one after it.
 */
function useFreshId(conversationId: string | undefined): string {
  const [freshId, setFreshId] = useState(() =>
    readDraft(NEW_CONVERSATION).attempt?.conversationId ?? crypto.randomUUID()
  );
  useEffect(() => {
    if (conversationId === freshId) setFreshId(crypto.randomUUID());
  }, [conversationId, freshId]);
  return freshId;
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
