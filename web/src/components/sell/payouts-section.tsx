import { usePayouts } from "../../hooks/use-seller.ts";
import { formatDate } from "../../lib/dates.ts";
import { formatExact } from "../../lib/money.ts";
import { type Payout, payoutState } from "../../lib/seller.ts";
import { longDay } from "../../lib/usage-history.ts";
import { ErrorNotice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Badge } from "../ui/badge.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

/** What Stripe sent to the bank, newest first. */
export function PayoutsSection() {
  const { data, error, isFetching, refetch } = usePayouts();
  return (
    <Section title="Payouts">
      {data
        ? data.length === 0
          ? (
            <p className="text-sm text-muted">
              None yet. Stripe sends your balance to your bank by itself.
            </p>
          )
          : <PayoutList payouts={data} />
        : error
        ? <ErrorNotice error={error} onRetry={() => refetch()} pending={isFetching} />
        : <Skeleton className="h-12 w-full" />}
    </Section>
  );
}

function PayoutList({ payouts }: { payouts: Payout[] }) {
  return (
    <ul aria-label="To your bank" className="divide-y divide-line border-y border-line text-sm">
      {payouts.map((payout) => {
        const { label, tone } = payoutState(payout.status);
        return (
          <li
            key={payout.id}
            className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 py-3 tabular-nums"
          >
            <span className="font-medium">{formatDate(payout.createdAt, "UTC")}</span>
            <span className="flex-1 text-muted">
              {payout.arrivesOn && `At your bank on ${longDay(payout.arrivesOn)}`}
            </span>
            <Badge tone={tone}>{label}</Badge>
            <span className="min-w-20 text-right font-medium">
              {formatExact(payout.amountMinor, payout.currency)}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
