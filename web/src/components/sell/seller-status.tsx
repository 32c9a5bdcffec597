import { ArrowUpRight } from "lucide-react";
import { useRefreshSeller, useSellerUpdate } from "../../hooks/use-seller.ts";
import { percentText, requirementTexts, type Seller } from "../../lib/seller.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";

const STATES = new Map(Object.entries({
  onboarding: { label: "Not ready yet", title: "One step is left before you can sell" },
  paused: { label: "Paused", title: "Your sales are paused" },
  closed: { label: "Closed", title: "Your creator account is closed" },
}));

/** How the account at Stripe stands, what is still wanted, and the way there. */
export function SellerStatus({ seller }: { seller: Seller }) {
  const update = useSellerUpdate();
  const refresh = useRefreshSeller();
  const { status, pausedReason, requirements, feeBps } = seller;
  const isActive = status === "active";
  const isClosed = status === "closed";
  const words = STATES.get(status) ?? { label: status, title: "You cannot sell at the moment" };
  const tone = isClosed ? "bad" : "warn";
  return (
    <Section
      title="Creator account"
      actions={<Badge tone={isActive ? "good" : tone}>{isActive ? "Active" : words.label}</Badge>}
    >
      {isActive
        ? (
          <p className="text-sm text-muted">
            {`Stripe pays you. Of each sale the marketplace keeps ${percentText(feeBps)}.`}
          </p>
        )
        : (
          <Notice tone={tone} title={words.title}>
            <p>{pausedReason ?? "Stripe does not allow transfers to your account yet."}</p>
            {status === "paused" && (
              <p className="mt-1">Who has bought from you keeps it, and nothing is lost.</p>
            )}
          </Notice>
        )}
      <Wanted texts={requirementTexts(requirements)} />
      {!isClosed && (
        <div className="flex flex-wrap gap-2">
          <Button
            variant={isActive ? "outline" : "toll"}
            pending={update.isPending || update.isSuccess}
            onClick={() => update.mutate()}
          >
            {isActive ? "Change details at Stripe" : "Go on at Stripe"}
            <ArrowUpRight aria-hidden />
          </Button>
          {!isActive && (
            <Button
              variant="ghost"
              pending={refresh.isPending}
              onClick={() => refresh.mutate()}
            >
              Check again
            </Button>
          )}
        </div>
      )}
      {update.error && <ErrorNotice error={update.error} />}
      {refresh.error && <ErrorNotice error={refresh.error} />}
    </Section>
  );
}

function Wanted({ texts }: { texts: string[] }) {
  if (texts.length === 0) return null;
  return (
    <div className="grid gap-2 text-sm">
      <h3 className="font-semibold">Stripe still wants</h3>
      <ul className="grid gap-x-8 gap-y-1.5 text-muted sm:grid-cols-2">
        {texts.map((text) => (
          <li key={text} className="flex items-center gap-2.5">
            <span aria-hidden className="size-2 shrink-0 rounded-full bg-toll" />
            {text}
          </li>
        ))}
      </ul>
    </div>
  );
}
