import { useSearchParams } from "react-router";
import { useCatalogue } from "../hooks/use-catalogue.ts";
import { annualOffer, type Interval } from "../lib/plans.ts";
import { ErrorNotice } from "./notice.tsx";
import { PlanBoard, PlanBoardSkeleton } from "./plan-board.tsx";
import { Choice } from "./ui/choice.tsx";

/** Switch and board together; the choice is in the address, so it survives a reload and a link. */
export function Pricing() {
  const catalogue = useCatalogue();
  const [params, setParams] = useSearchParams();
  const interval: Interval = params.get("interval") === "year" ? "year" : "month";
  const offer = catalogue.data && annualOffer(catalogue.data);

  const choose = (next: Interval) =>
    setParams((before) => {
      if (next === "year") before.set("interval", "year");
      else before.delete("interval");
      return before;
    }, { replace: true, preventScrollReset: true });

  return (
    <div className="grid gap-6">
      <Choice<Interval>
        label="Billing period"
        value={interval}
        onChange={choose}
        className="justify-self-start"
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
      {catalogue.data
        ? <PlanBoard catalogue={catalogue.data} interval={interval} />
        : catalogue.error
        ? (
          <ErrorNotice
            error={catalogue.error}
            onRetry={() => catalogue.refetch()}
            pending={catalogue.isFetching}
          />
        )
        : <PlanBoardSkeleton />}
    </div>
  );
}
