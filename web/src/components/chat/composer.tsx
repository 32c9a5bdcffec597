import { ArrowUp } from "lucide-react";
import { type FormEvent, type KeyboardEvent, useEffect, useLayoutEffect, useRef } from "react";
import { Button } from "../ui/button.tsx";

interface ComposerProps {
  value: string;
  onChange: (text: string) => void;
  onSend: (text: string) => void;
  /** A message or an answer is on its way: typing is fine, sending waits. */
  busy: boolean;
  /** Changes with the conversation: the field takes the focus. */
  focusKey: string;
  /** Messages left today, when few. */
  note?: string | null;
}

const MAX_LENGTH = 20_000;

export function Composer({ value, onChange, onSend, busy, focusKey, note }: ComposerProps) {
  const field = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    // On a touch screen the keyboard would cover the conversation without being asked.
    if (matchMedia("(pointer: fine)").matches) field.current?.focus({ preventScroll: true });
  }, [focusKey]);

  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, 220)}px`;
  }, [value]);

  const send = () => {
    const text = value.trim();
    if (text && !busy) onSend(text);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send();
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // While an input method composes (Japanese, Chinese), Enter accepts the word and must not send.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };

  return (
    <form onSubmit={submit} className="grid gap-2">
      <div className="flex items-end gap-2 rounded-2xl border border-line-strong bg-card p-2 pl-4 shadow-lift focus-within:border-focus focus-within:ring-1 focus-within:ring-focus">
        <textarea
          ref={field}
          rows={1}
          value={value}
          maxLength={MAX_LENGTH}
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={onKeyDown}
          aria-label="Message"
          aria-describedby="composer-note"
          placeholder="Write a message"
          className="max-h-56 min-h-10 flex-1 resize-none bg-transparent py-2 leading-6 outline-none placeholder:text-muted"
        />
        <Button
          type="submit"
          size="icon"
          aria-label="Send message"
          pending={busy}
          disabled={!busy && value.trim() === ""}
          className="rounded-xl"
        >
          <ArrowUp aria-hidden />
        </Button>
      </div>
      <p id="composer-note" className="px-2 text-center text-xs text-muted">
        {note ?? "Enter sends, Shift + Enter starts a new line."}
      </p>
    </form>
  );
}
