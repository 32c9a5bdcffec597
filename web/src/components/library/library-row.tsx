import { Copy, CreditCard, MessageSquare, ReceiptText, RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link } from "react-router";
import { endingOf, type LibraryItem, licenceState, paidText } from "../../lib/library.ts";
import { HOUSE_NAME } from "../../lib/marketplace.ts";
import { formatExact } from "../../lib/money.ts";
import { newChatPath } from "../../lib/paths.ts";
import { Cover } from "../marketplace/cover.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { CloneDialog } from "./clone-dialog.tsx";
import { DiscardDialog } from "./discard-dialog.tsx";
import { EndingDialog } from "./ending-dialog.tsx";

type Task = "clone" | "cancel" | "resume" | "discard";

interface LibraryRowProps {
  item: LibraryItem;
  picture: string | null;
  now: number;
}

/** One purchase: what it is, what it is worth now and why, and what can be done with it. */
export function LibraryRow({ item, picture, now }: LibraryRowProps) {
  const [task, setTask] = useState<Task | null>(null);
  const { label, tone, explanation } = licenceState(item, now);
  const close = () => setTask(null);
  return (
    <li className="grid grid-cols-[6rem_minmax(0,1fr)] gap-x-4 gap-y-3 py-5 sm:grid-cols-[9rem_minmax(0,1fr)] sm:gap-x-5">
      <Cover
        id={item.listingId}
        title={item.title}
        picture={picture}
        className="self-start rounded-xl sm:row-span-2"
      />
      <div className="grid content-start gap-1">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <h2 className="min-w-0 font-semibold wrap-anywhere">
            <Link
              to={`/marketplace/${item.listingId}`}
              className="rounded underline-offset-4 hover:underline"
            >
              {item.title}
            </Link>
          </h2>
          <Badge tone={tone}>{label}</Badge>
        </div>
        <p className="text-sm text-muted">{`By ${item.sellerName ?? HOUSE_NAME}`}</p>
        <p className="text-sm text-muted tabular-nums">
          {`${paidText(item)}. Reference ${item.reference}.`}
        </p>
        {explanation && <p className="text-sm">{explanation}</p>}
        {item.copies > 0 && (
          <p className="text-sm text-muted">
            {item.copies === 1
              ? "One copy among your agents"
              : `${item.copies} copies among your agents`}
            {licenceState(item, now).access === "closed" ? ", locked." : "."}
          </p>
        )}
      </div>
      <Actions item={item} now={now} onTask={setTask} />
      {task === "clone" && <CloneDialog item={item} onClose={close} />}
      {task === "discard" && <DiscardDialog item={item} onClose={close} />}
      {(task === "cancel" || task === "resume") && item.licenceId && (
        <EndingDialog item={item} licenceId={item.licenceId} action={task} onClose={close} />
      )}
    </li>
  );
}

/** The month that could not be paid, on Stripe's page of its invoice. */
function PayOpen({ item }: { item: LibraryItem }) {
  const { openInvoiceUrl, openMinor, currency, title } = item;
  if (openInvoiceUrl === null) return null;
  return (
    <Button size="sm" variant="toll" asChild>
      <a
        href={openInvoiceUrl}
        target="_blank"
        rel="noreferrer"
        aria-label={`Pay the open month of ${title}, opens at Stripe`}
      >
        <CreditCard aria-hidden />
        {openMinor === null ? "Pay" : `Pay ${formatExact(openMinor, currency)}`}
      </a>
    </Button>
  );
}

function Actions(
  { item, now, onTask }: { item: LibraryItem; now: number; onTask: (task: Task) => void },
) {
  const { access } = licenceState(item, now);
  const ending = endingOf(item, now);
  const isUsable = access === "open" && item.category !== "addon";
  return (
    <div className="flex flex-wrap gap-2 max-sm:col-span-2 sm:col-start-2">
      <PayOpen item={item} />
      {isUsable && (
        <>
          <Button size="sm" asChild>
            <Link
              to={newChatPath({ listing: item.listingId })}
              aria-label={`Use ${item.title} in chat`}
            >
              <MessageSquare aria-hidden />
              Use in chat
            </Link>
          </Button>
          <Button
            size="sm"
            variant="outline"
            aria-label={`Clone ${item.title} to my agents`}
            onClick={() => onTask("clone")}
          >
            <Copy aria-hidden />
            Clone to my agents
          </Button>
        </>
      )}
      {access === "closed" && item.copies > 0 && (
        <Button
          size="sm"
          variant="outline"
          aria-label={`Delete the copies of ${item.title}`}
          onClick={() => onTask("discard")}
        >
          <Trash2 aria-hidden />
          Delete copies
        </Button>
      )}
      {item.receiptUrl && (
        <Button size="sm" variant="ghost" asChild>
          <a
            href={item.receiptUrl}
            target="_blank"
            rel="noreferrer"
            aria-label={`Receipt for ${item.title}, opens at Stripe`}
          >
            <ReceiptText aria-hidden />
            Receipt
          </a>
        </Button>
      )}
      {ending === "cancel" && (
        <Button
          size="sm"
          variant="ghost"
          className="text-stop-text"
          aria-label={`Cancel ${item.title}`}
          onClick={() => onTask("cancel")}
        >
          Cancel
        </Button>
      )}
      {ending === "resume" && (
        <Button
          size="sm"
          variant="outline"
          aria-label={`Resume ${item.title}`}
          onClick={() => onTask("resume")}
        >
          <RotateCcw aria-hidden />
          Resume
        </Button>
      )}
    </div>
  );
}
