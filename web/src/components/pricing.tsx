import { useSearchParams } from "react-router";
import type { Tariff } from "../hooks/use-tariff.ts";
import { annualOffer, type Interval } from "../lib/plans.ts";
import {
  ErrorNotice,
  PlanBoard,
  PlanBoardSkeleton,
  useEntitlements,
  usePlans,
} from "../tollgate/index.ts";
import { Choice } from "./ui/choice.tsx";

/**
 * Switches and board together. The billing period is in the address, so it survives a reload and a link;
 * the currency belongs to the reader and is remembered on their device.
 */
export function Pricing() {
  const tariff = usePlans();
  const { isSubscriber } = useEntitlements();
  const [params, setParams] = useSearchParams();
  const interval: Interval = params.get("interval") === "year" ? "year" : "month";
  const offer = tariff.catalogue && annualOffer(tariff.catalogue);

  const choose = (next: Interval) =>
    setParams((before) => {
      if (next === "year") before.set("interval", "year");
      else before.delete("interval");
      return before;
    }, { replace: true, preventScrollReset: true });

  return (
    <div className="grid gap-6">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Choice<Interval>
          label="Billing period"
          value={interval}
          onChange={choose}
          options={[
            { value: "month", label: "Monthly" },
            {
              value: "year",
              label: (
                <>
                  Annual
                  {offer && <span className="text-toll-text">{offer}</span>}
                </>
              ),
            },
          ]}
        />
        <CurrencyChoice {...tariff} />
      </div>
      {tariff.catalogue
        ? (
          <PlanBoard
            catalogue={tariff.catalogue}
            currency={tariff.currency}
            interval={interval}
          />
        )
        : tariff.error
        ? (
          <ErrorNotice
            error={tariff.error}
            onRetry={tariff.refetch}
            pending={tariff.isFetching}
          />
        )
        : <PlanBoardSkeleton />}
      {tariff.catalogue && !isSubscriber && (
        <p className="text-sm text-muted">Have a promotion code? You can enter it at checkout.</p>
      )}
    </div>
  );
}

/** A subscription stays in the currency it began in; everybody else may choose, where there is a choice. */
function CurrencyChoice({ currency, currencies, isFixed, choose }: Tariff) {
  if (currencies.length < 2) return null;
  if (isFixed) {
    return (
      <p className="text-sm text-muted">
        In {currency.toUpperCase()}, the currency of your subscription.
      </p>
    );
  }
  return (
    <Choice
      label="Currency"
      value={currency}
      onChange={choose}
      options={currencies.map((value) => ({ value, label: value.toUpperCase() }))}
    />
  );
}
