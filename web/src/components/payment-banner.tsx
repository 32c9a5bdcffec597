import { ExternalLink, TriangleAlert } from "lucide-react";
import { Link } from "react-router";
import { useNow } from "../hooks/use-now.ts";
import { usePortal } from "../hooks/use-portal.ts";
import { useProblemWatch, useSubscription } from "../hooks/use-subscription.ts";
import { useHost } from "../tollgate/host.tsx";
import { cn } from "../lib/cn.ts";
import { explain } from "../lib/errors.ts";
import { describeProblem, type ProblemText } from "../lib/payment-problem.ts";
import { Button } from "./ui/button.tsx";

/** On every page while a payment is missing: what it means for the plan, until when, and what helps. */
export function PaymentBanner() {
  const { entitlements, paidPlanName } = useSubscription();
  const now = useNow(entitlements?.graceEndsAt ? 60_000 : 0);
  const problem = entitlements && describeProblem(entitlements, paidPlanName ?? "your plan", now);
  useProblemWatch(problem !== null);
  return (
    <div role="status" className="contents">
      {problem && <Banner problem={problem} />}
    </div>
  );
}

function Banner({ problem }: { problem: ProblemText }) {
  const { tone, title, advice } = problem;
  return (
    <section
      aria-label="Payment problem"
      className={cn(
        "border-b text-sm",
        tone === "warn" ? "border-toll/50 bg-toll-soft" : "border-stop/35 bg-stop-soft",
      )}
    >
      <div className="mx-auto flex w-full max-w-6xl flex-wrap items-center gap-x-6 gap-y-2.5 px-5 py-3">
        <div className="flex min-w-0 flex-1 basis-72 gap-3">
          <TriangleAlert
            aria-hidden
            className={cn(
              "mt-0.5 size-4.5 shrink-0",
              tone === "warn" ? "text-toll-text" : "text-stop-text",
            )}
          />
          <div className="min-w-0">
            <p className="font-semibold first-letter:uppercase">{title}</p>
            <p className="text-ink/80 first-letter:uppercase">{advice}</p>
          </div>
        </div>
        <Remedies problem={problem} />
      </div>
    </section>
  );
}

/** The open invoice first: paying it ends the problem at once. */
function Remedies({ problem: { invoiceUrl, remedy } }: { problem: ProblemText }) {
  const portal = usePortal();
  const { contactEmail } = useHost();
  const isUnknown = remedy === "portal";
  return (
    <div className="grid gap-2">
      <div className="flex flex-wrap gap-2">
        {invoiceUrl && (
          <Button size="sm" asChild>
            <a href={invoiceUrl} target="_blank" rel="noreferrer">
              Pay invoice
              <ExternalLink aria-hidden />
            </a>
          </Button>
        )}
        {remedy === "pricing"
          ? (
            <Button size="sm" asChild>
              <Link to="/pricing">See the plans</Link>
            </Button>
          )
          : (
            <Button
              size="sm"
              variant={invoiceUrl ? "outline" : "primary"}
              pending={portal.isPending}
              onClick={() => portal.mutate(isUnknown ? undefined : "payment_method")}
            >
              {isUnknown ? "Open billing" : "Fix payment method"}
            </Button>
          )}
        {isUnknown && contactEmail && (
          <Button size="sm" variant="outline" asChild>
            <a href={`mailto:${contactEmail}?subject=${encodeURIComponent("My subscription")}`}>
              Write to us
            </a>
          </Button>
        )}
      </div>
      {portal.error && <p className="text-stop-text">{explain(portal.error).advice}</p>}
    </div>
  );
}
