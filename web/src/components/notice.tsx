import { CircleCheck, Info, LoaderCircle, TriangleAlert, X } from "lucide-react";
import type { ReactNode } from "react";
import { usePortal } from "../hooks/use-portal.ts";
import { cn } from "../lib/cn.ts";
import { explain, toApiError } from "../lib/errors.ts";
import { changePath, withNext } from "../lib/paths.ts";
import type { Tone } from "../lib/subscription.ts";
import { Link } from "../tollgate/host.tsx";
import { Button } from "./ui/button.tsx";

const tones: Record<Tone, string> = {
  good: "border-brand/25 bg-brand-soft [&>svg]:text-brand-text",
  warn: "border-toll/50 bg-toll-soft [&>svg]:text-toll-text",
  bad: "border-stop/35 bg-stop-soft [&>svg]:text-stop-text",
  plain: "border-line bg-card [&>svg]:text-muted",
};

interface NoticeProps {
  tone: Tone;
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
  /** Something is under way. */
  busy?: boolean;
  /** Shows a way to put it away. */
  onDismiss?: () => void;
  className?: string;
}

/** Says what happened and what to do; bad news interrupts a screen reader, good news waits its turn. */
export function Notice(props: NoticeProps) {
  const { tone, title, children, actions, busy, onDismiss, className } = props;
  const Icon = busy
    ? LoaderCircle
    : tone === "good"
    ? CircleCheck
    : tone === "plain"
    ? Info
    : TriangleAlert;
  return (
    <div
      role={tone === "bad" ? "alert" : "status"}
      className={cn(
        "flex flex-wrap items-start gap-x-3 gap-y-3 rounded-xl border p-4 text-sm",
        tones[tone],
        className,
      )}
    >
      <Icon aria-hidden className={cn("mt-0.5 size-4.5 shrink-0", busy && "animate-spin")} />
      <div className="min-w-0 flex-1 basis-52">
        <p className="font-semibold">{title}</p>
        {children && <div className="mt-0.5 text-ink/80">{children}</div>}
      </div>
      {actions && (
        <div className={cn("flex flex-wrap gap-2 max-sm:w-full", onDismiss && "max-sm:order-1")}>
          {actions}
        </div>
      )}
      {onDismiss && <Dismiss onDismiss={onDismiss} />}
    </div>
  );
}

function Dismiss({ onDismiss }: { onDismiss: () => void }) {
  const dismiss = () => {
    // The pressed button goes with the notice; the keyboard goes on with the page.
    document.getElementById("main")?.focus({ preventScroll: true });
    onDismiss();
  };
  return (
    <Button
      variant="ghost"
      size="icon-sm"
      aria-label="Dismiss"
      className="-m-1.5 self-start"
      onClick={dismiss}
    >
      <X aria-hidden />
    </Button>
  );
}

interface ErrorNoticeProps {
  error: unknown;
  /** What could not be done here, where that says more than the error's own title. */
  title?: string;
  onRetry?: () => void;
  retryLabel?: string;
  pending?: boolean;
  /** The price that was wanted, for who has a subscription already. */
  changeTo?: string;
  className?: string;
}

/** A failed request: what it means, what to do, and the number to quote when writing to us. */
export function ErrorNotice(
  props: ErrorNoticeProps,
) {
  const { error, title: place, onRetry, retryLabel = "Try again", pending, changeTo, className } =
    props;
  const { code, requestId } = toApiError(error);
  const { title, advice } = explain(error);
  const portal = usePortal();
  const actions = code === "unauthorized"
    ? (
      <Button asChild size="sm">
        <Link to={withNext("/sign-in", location.pathname + location.search)}>Sign in</Link>
      </Button>
    )
    : code === "already_subscribed"
    ? (
      <Button asChild size="sm">
        <Link to={changePath(changeTo)}>Change plan</Link>
      </Button>
    )
    : code === "payment_failed"
    ? (
      <Button size="sm" pending={portal.isPending} onClick={() => portal.mutate("payment_method")}>
        Update payment method
      </Button>
    )
    : onRetry && (
      <Button size="sm" variant="outline" pending={pending} onClick={onRetry}>{retryLabel}</Button>
    );
  return (
    <Notice tone="bad" title={place ?? title} actions={actions} className={className}>
      <p>{advice}</p>
      {requestId && (
        <p className="mt-1 text-xs">
          Request <code className="font-mono select-all">{requestId}</code>
        </p>
      )}
      {portal.error && <p className="mt-1">{explain(portal.error).advice}</p>}
    </Notice>
  );
}
