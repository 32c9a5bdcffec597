import { Bell } from "lucide-react";
import { Popover } from "radix-ui";
import { useEffect, useRef, useState } from "react";
import { useMarkRead, useNotifications } from "../hooks/use-notifications.ts";
import { useNow } from "../hooks/use-now.ts";
import { formatClock, formatDay } from "../lib/dates.ts";
import type { Notification } from "../lib/records.ts";
import { ErrorNotice } from "./notice.tsx";
import { TextLink } from "./text-link.tsx";
import { Button } from "./ui/button.tsx";
import { Skeleton } from "./ui/skeleton.tsx";

/** How many notices are unread, and behind it the list of them. What was shown counts as read. */
export function NotificationBell({ align }: { align: "start" | "end" }) {
  const { notifications } = useNotifications();
  const [isOpen, setOpen] = useState(false);
  const unread = notifications?.filter((row) => !row.isRead).length ?? 0;
  return (
    <Popover.Root open={isOpen} onOpenChange={setOpen}>
      <Popover.Trigger asChild>
        <Button
          variant="ghost"
          size="icon"
          aria-label={unread === 0 ? "Notifications" : `Notifications, ${unread} unread`}
        >
          <Bell aria-hidden />
          {unread > 0 && (
            <span
              aria-hidden
              className="absolute top-0.5 right-0.5 grid h-4.5 min-w-4.5 place-items-center rounded-full bg-stop px-1 text-[0.6875rem] leading-none font-semibold text-on-stop tabular-nums"
            >
              {unread > 9 ? "9+" : unread}
            </span>
          )}
        </Button>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          align={align}
          sideOffset={6}
          collisionPadding={12}
          aria-label="Notifications"
          className="z-50 flex max-h-[min(32rem,var(--radix-popover-content-available-height))] w-[min(23rem,calc(100vw-1.5rem))] flex-col rounded-2xl border border-line bg-card shadow-lift focus:outline-none data-[state=open]:animate-fade"
        >
          <NotificationList onLeave={() => setOpen(false)} />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

function NotificationList({ onLeave }: { onLeave: () => void }) {
  const { notifications, error, isFetching, refetch } = useNotifications();
  const { mutate: markRead } = useMarkRead();
  // New in this list, although being shown makes them read.
  const [fresh, setFresh] = useState<ReadonlySet<number>>(new Set());
  const unread = notifications?.filter((row) => !row.isRead).map((row) => row.id) ?? [];
  const newest = unread.length > 0 ? Math.max(...unread) : null;
  useEffect(() => {
    if (newest === null) return;
    setFresh((before) => new Set([...before, ...unread]));
    markRead(newest);
  }, [newest, markRead]);
  return (
    <>
      <h2 className="border-b border-line px-4 py-3 text-sm font-semibold">Notifications</h2>
      <div className="min-h-0 flex-1 overflow-y-auto">
        {notifications
          ? notifications.length === 0
            ? (
              <p className="px-4 py-8 text-center text-sm text-muted">
                Nothing yet. We tell you here when 80 % and 100 % of an allowance or of your
                spending cap are used.
              </p>
            )
            : (
              <ul className="divide-y divide-line">
                {notifications.map((row) => (
                  <NotificationItem key={row.id} notification={row} isNew={fresh.has(row.id)} />
                ))}
              </ul>
            )
          : error
          ? (
            <div className="p-3">
              <ErrorNotice error={error} onRetry={refetch} pending={isFetching} />
            </div>
          )
          : (
            <div role="status" aria-label="Loading notifications" className="grid gap-3 p-4">
              <Skeleton className="h-5 w-3/4" />
              <Skeleton className="h-5 w-full" />
            </div>
          )}
      </div>
      <p className="flex flex-wrap gap-x-5 gap-y-1 border-t border-line px-4 py-3 text-sm">
        <TextLink to="/usage" onClick={onLeave}>Usage by day</TextLink>
        <TextLink to="/account#pay-as-you-go" onClick={onLeave}>Pay as you go</TextLink>
      </p>
    </>
  );
}

interface NotificationItemProps {
  notification: Notification;
  isNew: boolean;
}

function NotificationItem({ notification, isNew }: NotificationItemProps) {
  const now = useNow(60_000);
  const { title, body, createdAt } = notification;
  return (
    <li className="grid gap-0.5 px-4 py-3 text-sm">
      <p className="flex items-baseline justify-between gap-3">
        <span className="font-semibold">{title}</span>
        {isNew && <span className="shrink-0 text-xs font-semibold text-brand-text">New</span>}
      </p>
      <p className="text-muted">{body}</p>
      <time
        dateTime={new Date(createdAt).toISOString()}
        className="text-xs text-muted tabular-nums"
      >
        {formatDay(createdAt, now)}, {formatClock(createdAt)}
      </time>
    </li>
  );
}

/** Reads a notice to a screen reader when it arrives; not what was there before. */
export function NotificationAnnouncer() {
  const { notifications } = useNotifications();
  const known = useRef<number | null>(null);
  const [text, setText] = useState("");
  const newest = notifications?.[0];
  useEffect(() => {
    if (!notifications) return;
    const before = known.current;
    known.current = newest?.id ?? 0;
    if (before !== null && newest && newest.id > before && !newest.isRead) {
      setText(`Notification: ${newest.title}`);
    }
  }, [notifications, newest]);
  return <p role="status" className="sr-only">{text}</p>;
}
