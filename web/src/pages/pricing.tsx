import { useEffect, useState } from "react";
import { Notice } from "../components/notice.tsx";
import { Pricing } from "../components/pricing.tsx";
import { useReturn } from "../hooks/use-return.ts";
import { useTitle } from "../hooks/use-title.ts";

export default function PricingPage() {
  useTitle("Pricing");
  const { origin, tidy } = useReturn("checkout");
  const [isRead, setRead] = useState(false);
  useEffect(tidy, [tidy]);
  return (
    <div className="mx-auto grid w-full max-w-6xl gap-8 px-5 pt-8 pb-20 sm:pt-14">
      {origin === "cancelled" && !isRead && (
        <Notice
          tone="plain"
          title="Checkout was cancelled"
          onDismiss={() => setRead(true)}
        >
          Nothing was charged. Choose a plan whenever you like.
        </Notice>
      )}
      <header className="grid gap-3">
        <h1 className="text-5xl font-semibold tracking-[-0.045em]">Tariffs</h1>
        <p className="max-w-xl text-lg text-muted">
          Each plan opens the gate a little wider. Allowances begin again every day at 00:00 UTC,
          and a plan can be changed or cancelled at any time.
        </p>
      </header>
      <h2 className="sr-only">Plans</h2>
      <Pricing />
    </div>
  );
}
