import { useBuyCredits, useCreditGrants, useCreditPacks } from "../../hooks/use-credits.ts";
import { useNow } from "../../hooks/use-now.ts";
import { useOverage } from "../../hooks/use-overage.ts";
import { formatDate } from "../../lib/dates.ts";
import { formatExact, formatMoney } from "../../lib/money.ts";
import type { Overage } from "../../lib/overage.ts";
import type { CreditGrant, CreditPack } from "../../lib/records.ts";
import { ErrorNotice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

/** Prepaid credit: what is left, when it ends, what was bought, and more of it. */
export function CreditsSection() {
  const { overage, error, isFetching, refetch } = useOverage();
  const grants = useCreditGrants();
  const failure = error ?? (grants.data ? null : grants.error);
  const retry = () => {
    refetch();
    void grants.refetch();
  };
  return (
    <Section title="Prepaid credit" id="credits">
      {overage && grants.data
        ? <Credits overage={overage} grants={grants.data} />
        : failure
        ? <ErrorNotice error={failure} onRetry={retry} pending={isFetching || grants.isFetching} />
        : (
          <div role="status" aria-label="Loading prepaid credit" className="grid gap-4">
            <Skeleton className="h-9 w-28" />
            <Skeleton className="h-5 w-72 max-w-full" />
          </div>
        )}
    </Section>
  );
}

function Credits({ overage, grants }: { overage: Overage; grants: CreditGrant[] }) {
  const { credits, available, enabled, capMinor } = overage;
  const currency = credits?.currency ?? overage.currency;
  const balance = credits?.balanceMinor ?? 0;
  const canBuy = available;
  if (!canBuy && balance === 0 && grants.length === 0) {
    return (
      <p className="text-sm text-muted">
        Prepaid credit pays for use beyond the allowance of a paid plan, so there is nothing yet to
        use it for.
      </p>
    );
  }
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-6">
      <div className="grid gap-1">
        <p className="text-4xl font-semibold tracking-[-0.04em] tabular-nums" data-testid="credit">
          {formatExact(balance, currency)}
        </p>
        <p className="text-sm text-muted">
          {credits?.nextExpiry ? `Next expiry: ${formatDate(credits.nextExpiry)}. ` : ""}
          It pays for use beyond your plan before your card does, when the invoice is made.{" "}
          {enabled && capMinor !== null
            ? `What it pays for counts towards your spending cap of ${
              formatMoney(capMinor, overage.currency)
            } too.`
            : "Nothing uses it up while pay as you go is off."}
        </p>
      </div>
      {grants.length > 0 && <GrantTable grants={grants} />}
      {canBuy && <Packs grants={grants} currency={overage.currency} />}
    </div>
  );
}

const cell = "py-2.5 pr-4 align-middle max-sm:p-0";

function GrantTable({ grants }: { grants: CreditGrant[] }) {
  const now = useNow(60_000);
  return (
    <table className="w-full text-sm tabular-nums">
      <caption className="sr-only">Prepaid credit, newest first</caption>
      <thead>
        <tr className="text-left text-muted max-sm:sr-only">
          <th scope="col" className="py-2 pr-4 font-medium">Credit</th>
          <th scope="col" className="py-2 pr-4 font-medium">Since</th>
          <th scope="col" className="py-2 pr-4 font-medium">State</th>
          <th scope="col" className="py-2 text-right font-medium">Amount</th>
        </tr>
      </thead>
      <tbody>
        {grants.map((grant) => {
          const { label, tone } = stateOf(grant, now);
          return (
            <tr
              key={grant.id}
              className="border-t border-line max-sm:grid max-sm:grid-cols-[1fr_auto] max-sm:items-center max-sm:gap-x-4 max-sm:gap-y-1 max-sm:py-3"
            >
              <th scope="row" className={`${cell} text-left font-medium`}>
                {grant.name ?? "Credit"}
              </th>
              <td className={`${cell} text-muted max-sm:row-start-2`}>
                {formatDate(grant.effectiveAt ?? grant.createdAt)}
              </td>
              <td className={`${cell} max-sm:row-start-2 max-sm:justify-self-end`}>
                <Badge tone={tone}>{label}</Badge>
              </td>
              <td className="py-2.5 text-right align-middle font-medium max-sm:col-start-2 max-sm:row-start-1 max-sm:p-0">
                {formatExact(grant.amountMinor, grant.currency)}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function stateOf({ voidedAt, expiresAt, effectiveAt }: CreditGrant, now: number) {
  if (voidedAt !== null) return { label: "Void", tone: "plain" } as const;
  if (expiresAt !== null && expiresAt <= now) return { label: "Expired", tone: "plain" } as const;
  if (effectiveAt !== null && effectiveAt > now) {
    return { label: `From ${formatDate(effectiveAt)}`, tone: "plain" } as const;
  }
  const label = expiresAt === null ? "Does not expire" : `Until ${formatDate(expiresAt)}`;
  return { label, tone: "good" } as const;
}

/** What can be bought; credit in another currency than the usage's would pay for nothing. */
function Packs({ grants, currency }: { grants: CreditGrant[]; currency: string }) {
  const packs = useCreditPacks();
  const buy = useBuyCredits(grants);
  if (!packs.data) {
    return packs.error
      ? (
        <ErrorNotice
          error={packs.error}
          onRetry={() => packs.refetch()}
          pending={packs.isFetching}
        />
      )
      : <Skeleton className="h-28 w-full" />;
  }
  const sold = packs.data.filter((pack) => pack.currency === currency);
  if (sold.length === 0) {
    return (
      <p className="text-sm text-muted">
        Credit is not sold in {currency.toUpperCase()}, the currency of your subscription, yet.
      </p>
    );
  }
  const isBusy = buy.isPending || buy.isSuccess;
  return (
    <div className="grid gap-4">
      <ul className="grid gap-3 sm:grid-cols-2">
        {sold.map((pack) => (
          <li
            key={pack.lookupKey}
            className="flex items-center justify-between gap-4 rounded-xl border border-line bg-card p-4"
          >
            <PackText pack={pack} />
            <Button
              variant="outline"
              aria-label={`Buy ${pack.name} for ${formatMoney(pack.priceMinor, pack.currency)}`}
              pending={isBusy && buy.variables === pack.lookupKey}
              disabled={isBusy && buy.variables !== pack.lookupKey}
              onClick={() => buy.mutate(pack.lookupKey)}
            >
              Buy for {formatMoney(pack.priceMinor, pack.currency)}
            </Button>
          </li>
        ))}
      </ul>
      <p className="text-sm text-muted">
        A one-time payment at Stripe, which brings you back here.
      </p>
      {buy.error && <ErrorNotice error={buy.error} />}
    </div>
  );
}

function PackText({ pack }: { pack: CreditPack }) {
  const { creditMinor, priceMinor, currency, expiresDays } = pack;
  const extra = creditMinor - priceMinor;
  return (
    <p className="min-w-0">
      <strong className="block text-lg font-semibold tracking-[-0.02em] tabular-nums">
        {formatMoney(creditMinor, currency)}
        {extra > 0 && (
          <span className="ml-2 text-sm font-medium text-brand-text">
            {formatMoney(extra, currency)} free
          </span>
        )}
      </strong>
      <span className="text-sm text-muted">
        {expiresDays === null ? "does not expire" : `for ${lifeText(expiresDays)}`}
      </span>
    </p>
  );
}

function lifeText(days: number): string {
  if (days % 365 !== 0) return days === 1 ? "a day" : `${days} days`;
  return days === 365 ? "a year" : `${days / 365} years`;
}
