import { ArrowDown, Check, Copy } from "lucide-react";
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Message } from "../../lib/records.ts";
import { cn } from "../../lib/cn.ts";
import { Mark } from "../logo.tsx";
import { Button } from "../ui/button.tsx";

interface MessageListProps {
  messages: Message[];
  /** Id of the message that is not stored yet. */
  sendingId: string | null;
  hasOlder: boolean;
  loadingOlder: boolean;
  onLoadOlder: () => void;
  /** What follows the last message: typing, a failed answer. */
  children?: ReactNode;
}

const NEAR_END_PX = 96;

export function MessageList(
  { messages, sendingId, hasOlder, loadingOlder, onLoadOlder, children }: MessageListProps,
) {
  const scroller = useRef<HTMLDivElement>(null);
  const { atEnd, jump, onScroll } = useStickToEnd(scroller, messages);
  return (
    <div className="relative min-h-0 flex-1">
      {/* Focusable, so that the arrow keys scroll it. */}
      <div
        ref={scroller}
        onScroll={onScroll}
        tabIndex={0}
        role="region"
        aria-label="Conversation"
        className="h-full overflow-y-auto overscroll-contain focus-visible:-outline-offset-2"
      >
        <div className="mx-auto w-full max-w-3xl px-4 py-6 sm:px-6">
          {hasOlder && (
            <div className="pb-6 text-center">
              <Button size="sm" variant="outline" pending={loadingOlder} onClick={onLoadOlder}>
                Show earlier messages
              </Button>
            </div>
          )}
          <ol aria-label="Messages" className="grid gap-7">
            {messages.map((message) => (
              <MessageRow key={message.id} message={message} sending={message.id === sendingId} />
            ))}
          </ol>
          {children}
        </div>
      </div>
      {!atEnd && (
        <Button
          variant="outline"
          size="icon"
          aria-label="Jump to the latest message"
          onClick={jump}
          className="absolute bottom-3 left-1/2 -translate-x-1/2 rounded-full shadow-lift"
        >
          <ArrowDown aria-hidden />
        </Button>
      )}
    </div>
  );
}

/** Follows new messages as long as the reader is at the end, and stays where older ones are read. */
function useStickToEnd(scroller: React.RefObject<HTMLDivElement | null>, messages: Message[]) {
  const [atEnd, setAtEnd] = useState(true);
  const stick = useRef(true);
  const firstId = useRef<string | undefined>(undefined);
  const height = useRef(0);
  const lastId = messages.at(-1)?.id;
  const lastIsMine = messages.at(-1)?.role === "user";

  useEffect(() => {
    if (lastIsMine) stick.current = true;
  }, [lastId, lastIsMine]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const olderAdded = firstId.current !== undefined && firstId.current !== messages[0]?.id &&
      !stick.current;
    if (olderAdded) element.scrollTop += element.scrollHeight - height.current;
    else if (stick.current || lastIsMine) element.scrollTop = element.scrollHeight;
    firstId.current = messages[0]?.id;
    height.current = element.scrollHeight;
  });

  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    const end = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
    stick.current = end;
    setAtEnd(end);
  };
  const jump = () => {
    const element = scroller.current;
    element?.scrollTo({ top: element.scrollHeight, behavior: "smooth" });
    element?.focus({ preventScroll: true });
  };
  return { atEnd, jump, onScroll };
}

function MessageRow({ message, sending }: { message: Message; sending: boolean }) {
  if (message.role === "user") {
    return (
      <li className="grid justify-items-end gap-1">
        <p className="sr-only">You said:</p>
        <div
          className={cn(
            "max-w-[85%] rounded-2xl rounded-br-md bg-brand-soft px-4 py-2.5 leading-relaxed break-words whitespace-pre-wrap transition-opacity",
            sending && "opacity-60",
          )}
        >
          {message.content}
        </div>
        {sending && <p className="text-xs text-muted">Sending…</p>}
      </li>
    );
  }
  return (
    <li className="group grid grid-cols-[1.75rem_minmax(0,1fr)] gap-x-3">
      <Mark className="mt-0.5" />
      <div className="grid gap-1 pt-1">
        <p className="sr-only">The assistant said:</p>
        <div className="leading-relaxed break-words whitespace-pre-wrap">{message.content}</div>
        <CopyButton text={message.content} />
      </div>
    </li>
  );
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1600);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = () => navigator.clipboard.writeText(text).then(() => setCopied(true), () => {});
  return (
    <Button
      variant="ghost"
      size="icon-sm"
      aria-label={copied ? "Copied" : "Copy answer"}
      onClick={copy}
      className="-ml-2 text-muted md:opacity-0 md:group-hover:opacity-100 md:focus-visible:opacity-100"
    >
      {copied ? <Check aria-hidden /> : <Copy aria-hidden />}
    </Button>
  );
}

/** The assistant is writing. */
export function Typing() {
  return (
    <div className="mt-7 grid animate-fade grid-cols-[1.75rem_minmax(0,1fr)] items-center gap-x-3">
      <Mark />
      <div
        className="flex h-7 items-center gap-1.5"
        role="img"
        aria-label="The assistant is writing"
      >
        {[0, 160, 320].map((delay) => (
          <span
            key={delay}
            className="size-2 animate-dot rounded-full bg-muted"
            style={{ animationDelay: `${delay}ms` }}
          />
        ))}
      </div>
    </div>
  );
}
