import { ExternalLink } from "lucide-react";
import { useInvoices } from "../../hooks/use-invoices.ts";
import { formatDate, parseTime } from "../../lib/dates.ts";
import { formatExact } from "../../lib/money.ts";
import type { Invoice } from "../../lib/records.ts";
import type { Tone } from "../../lib/subscription.ts";
import { ErrorNotice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

/** What was billed, newest first, with Stripe's own page and PDF of each. */
export function InvoicesSection() {
  const query = useInvoices();
  const { invoices, error, isFetching, hasNextPage, isFetchingNextPage } = query;
  return (
    <Section title="Invoices">
      {invoices === null
        ? error
          ? <ErrorNotice error={error} onRetry={() => query.refetch()} pending={isFetching} />
          : <ListSkeleton />
        : invoices.length === 0
        ? (
          <p className="text-sm text-muted">
            No invoices yet. The first payment brings the first one.
          </p>
        )
        : <InvoiceTable invoices={invoices} />}
      {invoices !== null && error && (
        <ErrorNotice
          error={error}
          onRetry={() => query.fetchNextPage()}
          pending={isFetching}
        />
      )}
      {hasNextPage && (
        <Button
          variant="outline"
          size="sm"
          className="justify-self-start"
          pending={isFetchingNextPage}
          onClick={() => query.fetchNextPage()}
        >
          Show earlier invoices
        </Button>
      )}
    </Section>
  );
}

function InvoiceTable({ invoices }: { invoices: Invoice[] }) {
  return (
    <table className="w-full text-sm tabular-nums">
      <caption className="sr-only">Invoices, newest first</caption>
      <thead>
        <tr className="text-left text-muted max-sm:sr-only">
          <th scope="col" className="py-2 pr-4 font-medium">Invoice</th>
          <th scope="col" className="py-2 pr-4 font-medium">Date</th>
          <th scope="col" className="py-2 pr-4 font-medium">Status</th>
          <th scope="col" className="py-2 pr-4 text-right font-medium">Amount</th>
          <th scope="col" className="py-2">
            <span className="sr-only">Links</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {invoices.map((invoice) => <InvoiceRow key={invoice.id} invoice={invoice} />)}
      </tbody>
    </table>
  );
}

const cell = "py-2.5 pr-4 align-middle max-sm:p-0";

/** One row; on a phone two lines of the same cells. */
function InvoiceRow({ invoice }: { invoice: Invoice }) {
  const { label, tone } = statusOf(invoice.status);
  const created = parseTime(invoice.createdAt);
  return (
    <tr className="border-t border-line max-sm:grid max-sm:grid-cols-[1fr_auto] max-sm:items-center max-sm:gap-x-4 max-sm:gap-y-1 max-sm:py-3">
      <th scope="row" className={`${cell} text-left font-medium`}>{invoice.number ?? "Draft"}</th>
      <td className={`${cell} text-muted max-sm:row-start-2`}>
        {created === null ? "" : formatDate(created)}
      </td>
      <td className={`${cell} max-sm:row-start-2 max-sm:justify-self-end`}>
        <Badge tone={tone}>{label}</Badge>
      </td>
      <td className={`${cell} text-right font-medium max-sm:col-start-2 max-sm:row-start-1`}>
        {formatExact(invoice.totalMinor, invoice.currency)}
      </td>
      <td className="max-sm:col-span-2">
        <InvoiceLinks invoice={invoice} />
      </td>
    </tr>
  );
}

function InvoiceLinks({ invoice: { number, status, hostedUrl, pdfUrl } }: { invoice: Invoice }) {
  const name = number ?? "draft";
  const verb = status === "open" ? "Pay" : "View";
  return (
    <span className="flex gap-1 sm:justify-end">
      {hostedUrl && (
        <Button size="sm" variant={status === "open" ? "primary" : "ghost"} asChild>
          <a
            href={hostedUrl}
            target="_blank"
            rel="noreferrer"
            aria-label={`${verb} invoice ${name}`}
            className={status === "open" ? "" : "max-sm:-ml-3"}
          >
            {verb}
            <ExternalLink aria-hidden />
          </a>
        </Button>
      )}
      {pdfUrl && (
        <Button size="sm" variant="ghost" asChild>
          <a href={pdfUrl} target="_blank" rel="noreferrer" aria-label={`PDF of invoice ${name}`}>
            PDF
          </a>
        </Button>
      )}
    </span>
  );
}

const STATUSES: Record<string, { label: string; tone: Tone }> = {
  draft: { label: "Draft", tone: "plain" },
  open: { label: "To pay", tone: "warn" },
  paid: { label: "Paid", tone: "good" },
  uncollectible: { label: "Not collected", tone: "bad" },
  void: { label: "Void", tone: "plain" },
};

/** In words; a status we do not know is shown as it is. */
function statusOf(status: string): { label: string; tone: Tone } {
  return STATUSES[status] ?? { label: status.replaceAll("_", " "), tone: "plain" };
}

function ListSkeleton() {
  return (
    <div role="status" aria-label="Loading invoices" className="grid gap-4 py-2">
      <Skeleton className="h-6 w-full" />
      <Skeleton className="h-6 w-full" />
    </div>
  );
}
