import { ArrowRight } from "lucide-react";
import { Link } from "react-router";
import { Pricing } from "../components/pricing.tsx";
import { Skeleton } from "../components/ui/skeleton.tsx";
import { Button } from "../components/ui/button.tsx";
import { useSession } from "../hooks/use-session.tsx";
import { useTariff } from "../hooks/use-tariff.ts";
import { useTitle } from "../hooks/use-title.ts";
import { formatCount, formatMoney } from "../lib/money.ts";

const PROMISES = [
  {
    title: "The count is always in view",
    text: "How much is used, how much is left and when it begins again: beside every conversation.",
  },
  {
    title: "Nothing is lost at the limit",
    text:
      "A message that does not go through is not counted, and what you wrote stays where it was.",
  },
  {
    title: "You leave as easily as you came",
    text:
      "Change, cancel or resume by yourself. A cancelled plan stays until the day it was paid for.",
  },
];

export default function LandingPage() {
  useTitle("");
  return (
    <>
      <Hero />
      <section aria-label="What you can rely on" className="border-y border-line bg-sunken">
        <ul className="mx-auto grid w-full max-w-6xl gap-x-12 gap-y-8 px-5 py-14 md:grid-cols-3">
          {PROMISES.map(({ title, text }) => (
            <li key={title} className="grid content-start gap-2">
              <h2 className="text-lg font-semibold">{title}</h2>
              <p className="text-muted">{text}</p>
            </li>
          ))}
        </ul>
      </section>
      <section
        id="plans"
        aria-labelledby="plans-title"
        className="mx-auto grid w-full max-w-6xl gap-8 px-5 py-16 sm:py-20"
      >
        <div className="grid gap-2">
          <h2 id="plans-title" className="text-4xl font-semibold tracking-[-0.035em]">Tariffs</h2>
          <p className="text-muted">What passes through the gate each day, and what it costs.</p>
        </div>
        <Pricing />
      </section>
    </>
  );
}

function Hero() {
  const session = useSession();
  const signedIn = session.status === "signed-in";
  return (
    <section className="mx-auto grid w-full max-w-6xl items-center gap-x-16 gap-y-12 px-5 pt-10 pb-16 sm:pt-16 sm:pb-24 lg:grid-cols-[1.25fr_1fr]">
      <div className="grid justify-items-start gap-7">
        <h1 className="text-[clamp(2.75rem,7.5vw,5.25rem)] leading-[0.96] font-semibold tracking-[-0.05em]">
          Ask freely. <br />
          Know what it{"\u00a0"}costs.
        </h1>
        <p className="max-w-[34rem] text-lg leading-relaxed text-muted sm:text-xl">
          Tollgate is an assistant with an open tariff. Every day begins with a full allowance, and
          the gate only ever closes with a clock beside it.
        </p>
        <div className="flex flex-wrap gap-3">
          <Button size="lg" variant="toll" asChild>
            <Link to={signedIn ? "/chat" : "/sign-up"}>
              {signedIn ? "Open chat" : "Start free"}
              <ArrowRight aria-hidden />
            </Link>
          </Button>
          <Button size="lg" variant="outline" asChild>
            <Link to="/pricing">See the plans</Link>
          </Button>
        </div>
      </div>
      <Gate />
    </section>
  );
}

/** A day's ticket under a raised barrier: the free plan's numbers, as the database has them. */
function Gate() {
  return (
    <div className="relative mx-auto w-full max-w-sm pt-24 lg:max-w-none lg:pt-28">
      <div
        aria-hidden
        className="absolute top-0 bottom-0 left-2 w-7 rounded-t-lg bg-[oklch(0.27_0.045_160)] dark:bg-[oklch(0.4_0.05_160)]"
      />
      <div
        aria-hidden
        className="barrier absolute top-8 left-3 h-6 w-[94%] origin-left -rotate-9 rounded-full lg:top-12"
      />
      <div
        aria-hidden
        className="absolute top-7 left-1 grid size-9 place-items-center rounded-full bg-[oklch(0.27_0.045_160)] lg:top-11 dark:bg-[oklch(0.4_0.05_160)]"
      >
        <span className="size-3 rounded-full bg-toll" />
      </div>
      <Ticket />
    </div>
  );
}

function Ticket() {
  const { catalogue, currency } = useTariff();
  const plan = catalogue?.plans.find((candidate) => candidate.isDefault);
  const amount = (limit: number | null | undefined) =>
    limit === undefined ? "none" : limit === null ? "no limit" : formatCount(limit);
  const rows = [
    ["Messages", plan && amount(plan.limits.message)],
    ["Agents", plan && amount(plan.limits.agent)],
    ["Valid", "00:00 to 24:00 UTC"],
  ] as const;
  return (
    <div className="relative ml-14 drop-shadow-[0_14px_24px_rgb(0_0_0/0.14)] lg:ml-16">
      <div className="ticket rounded-xl bg-card px-7 pt-6 pb-6">
        <p className="text-sm text-muted">Day ticket</p>
        <p className="mt-0.5 flex h-9 items-center text-2xl font-semibold tracking-[-0.03em]">
          {plan ? plan.name : <Skeleton className="h-7 w-20" />}
        </p>
        <dl className="mt-4 grid gap-2.5 text-sm">
          {rows.map(([term, value]) => (
            <div key={term} className="flex h-6 items-center justify-between gap-4">
              <dt className="text-muted">{term}</dt>
              <dd className="font-semibold tabular-nums">
                {value ?? <Skeleton className="h-5 w-10" />}
              </dd>
            </div>
          ))}
        </dl>
        <div aria-hidden className="mt-6 border-t-2 border-dashed border-line" />
        <p className="mt-5 flex items-baseline justify-between">
          <span className="text-sm text-muted">To pay</span>
          <span className="text-3xl font-semibold tracking-[-0.04em] tabular-nums">
            {formatMoney(0, currency)}
          </span>
        </p>
      </div>
    </div>
  );
}
