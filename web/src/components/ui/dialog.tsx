import { X } from "lucide-react";
import { AlertDialog as RadixAlert, Dialog as Radix } from "radix-ui";
import { type ReactNode, useState } from "react";
import { cn } from "../../lib/cn.ts";
import { Button } from "./button.tsx";

const overlay = "fixed inset-0 z-40 bg-black/45 data-[state=open]:animate-fade";
const panel =
  "fixed top-1/2 left-1/2 z-50 grid grid-cols-[minmax(0,1fr)] max-h-[calc(100dvh-2rem)] w-[calc(100%-2rem)] max-w-lg -translate-x-1/2 " +
  "-translate-y-1/2 gap-5 overflow-y-auto rounded-2xl border border-line bg-card p-6 shadow-lift " +
  "data-[state=open]:animate-fade focus:outline-none";

interface DialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description?: string;
  children: ReactNode;
}

/** A form in front of the page. */
export function Dialog({ open, onOpenChange, title, description, children }: DialogProps) {
  return (
    <DialogFrame open={open} onOpenChange={onOpenChange} isDescribed={description !== undefined}>
      <DialogStep title={title} description={description}>{children}</DialogStep>
    </DialogFrame>
  );
}

interface DialogFrameProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  isDescribed?: boolean;
  /** A `DialogStep`. The frame stays when one step follows another, and so does the focus in it. */
  children: ReactNode;
}

/** Focus goes in, stays in, and returns to where it was. */
export function DialogFrame(
  { open, onOpenChange, isDescribed = true, children }: DialogFrameProps,
) {
  const [opener] = useState(() => document.activeElement);
  const returnFocus = (event: Event) => {
    // Radix would look for its own trigger, and there is none.
    event.preventDefault();
    // What opened it may be gone because of what was done in it: then go on with what has come in its place and taken
    // the focus, else with the page.
    if (!opener?.isConnected && document.activeElement !== document.body) return;
    const target = opener?.isConnected ? opener : document.getElementById("main");
    if (target instanceof HTMLElement) target.focus({ preventScroll: true });
  };
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className={overlay} />
        <Radix.Content
          className={panel}
          onCloseAutoFocus={returnFocus}
          {...(isDescribed ? {} : { "aria-describedby": undefined })}
        >
          {children}
          <Radix.Close asChild>
            <Button
              variant="ghost"
              size="icon-sm"
              aria-label="Close"
              className="absolute top-4 right-4"
            >
              <X aria-hidden />
            </Button>
          </Radix.Close>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

interface DialogStepProps {
  title: string;
  description?: string;
  children?: ReactNode;
}

/** What a frame shows: its name, what it is about, and the rest. */
export function DialogStep({ title, description, children }: DialogStepProps) {
  return (
    <>
      <header className="grid gap-1 pr-8">
        <Radix.Title className="text-lg font-semibold wrap-anywhere">{title}</Radix.Title>
        {description && (
          <Radix.Description className="text-sm wrap-anywhere text-muted">
            {description}
          </Radix.Description>
        )}
      </header>
      {children}
    </>
  );
}

/** What can be done, the main thing last; always in sight, and wide enough for a thumb on a phone. */
export function DialogFooter({ children }: { children: ReactNode }) {
  return (
    <footer className="sticky -bottom-6 -mx-6 -mb-6 flex flex-wrap-reverse justify-end gap-2 bg-card px-6 pt-1 pb-6 max-sm:*:grow">
      {children}
    </footer>
  );
}

interface ConfirmProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description: string;
  confirmLabel: string;
  cancelLabel?: string;
  /** Nothing is lost by it. */
  harmless?: boolean;
  pending: boolean;
  onConfirm: () => void;
  children?: ReactNode;
}

/** Asks before something is lost, or cannot be taken back quietly. Stays open while working, so that a failure can be shown in place. */
export function ConfirmDialog(props: ConfirmProps) {
  return (
    <RadixAlert.Root open={props.open} onOpenChange={props.onOpenChange}>
      <RadixAlert.Portal>
        <RadixAlert.Overlay className={overlay} />
        <RadixAlert.Content className={cn(panel, "max-w-md")}>
          <header className="grid gap-2">
            <RadixAlert.Title className="text-lg font-semibold break-words">
              {props.title}
            </RadixAlert.Title>
            <RadixAlert.Description className="text-sm text-muted">
              {props.description}
            </RadixAlert.Description>
          </header>
          {props.children}
          <DialogFooter>
            <RadixAlert.Cancel asChild>
              <Button variant="outline">{props.cancelLabel ?? "Keep it"}</Button>
            </RadixAlert.Cancel>
            <Button
              variant={props.harmless ? "primary" : "danger"}
              pending={props.pending}
              onClick={props.onConfirm}
            >
              {props.confirmLabel}
            </Button>
          </DialogFooter>
        </RadixAlert.Content>
      </RadixAlert.Portal>
    </RadixAlert.Root>
  );
}

interface SheetProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  children: ReactNode;
}

/** The sidebar on a phone: slides in from the left. */
export function Sheet({ open, onOpenChange, title, children }: SheetProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className={overlay} />
        <Radix.Content
          aria-describedby={undefined}
          className="fixed inset-y-0 left-0 z-50 flex w-[min(19rem,88vw)] flex-col border-r border-line bg-sunken data-[state=open]:animate-slide focus:outline-none"
        >
          <Radix.Title className="sr-only">{title}</Radix.Title>
          {children}
          <Radix.Close asChild>
            <Button
              variant="ghost"
              size="icon"
              aria-label="Close menu"
              className="absolute top-2.5 right-2"
            >
              <X aria-hidden />
            </Button>
          </Radix.Close>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
