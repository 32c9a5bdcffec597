import { Link, Navigate, useParams, useSearchParams } from "react-router";
import { Mark } from "../components/logo.tsx";
import { PageLoading } from "../components/page.tsx";
import { Button } from "../components/ui/button.tsx";
import { useCatalogue } from "../hooks/use-catalogue.ts";
import { useTitle } from "../hooks/use-title.ts";
import { checkoutPath, withNext } from "../lib/paths.ts";
import { priceIn } from "../lib/currency.ts";
import { findPrice, headlinePrice } from "../lib/plans.ts";
import { ErrorNotice, useCheckout, useSession } from "../tollgate/index.ts";

/** The one way to Checkout, also for who had to sign up first: asks for the session and goes there. */
export default function CheckoutPage() {
  const { lookupKey = "" } = useParams();
  const [params] = useSearchParams();
  const currency = /^[a-z]{3}$/.exec(params.get("currency") ?? "")?.[0];
  const session = useSession();
  useTitle("Checkout");
  if (session.status === "loading") return <PageLoading />;
  if (session.status === "signed-out") {
    return <Navigate to={withNext("/sign-up", checkoutPath(lookupKey, currency))} replace />;
  }
  return <OpenCheckout lookupKey={lookupKey} currency={currency} />;
}

function OpenCheckout({ lookupKey, currency }: { lookupKey: string; currency?: string }) {
  const { data: catalogue } = useCatalogue();
  const found = catalogue ? findPrice(catalogue, lookupKey) : null;
  const price = found && priceIn(found, currency ?? found.currency);
  const plan = catalogue?.plans.find((candidate) => candidate.id === price?.planId);
  const { error, retry } = useCheckout(lookupKey, currency);
  return (
    <div className="mx-auto grid w-full max-w-md gap-6 px-5 py-24">
      <Mark className="size-10" />
      <div className="grid gap-2" role="status">
        <h1 className="text-3xl font-semibold tracking-[-0.035em]">
          {error ? "Checkout did not open" : "Opening checkout…"}
        </h1>
        <p className="min-h-6 text-muted">
          {plan && price &&
            `${plan.name}, ${headlinePrice(price)} a ${price.interval}.`}
          {!error &&
            " You pay on Stripe’s page, where a promotion code can be entered too, and come back here."}
        </p>
      </div>
      {error && (
        <>
          <ErrorNotice
            error={error}
            changeTo={lookupKey}
            onRetry={retry}
          />
          <div className="flex gap-2">
            <Button variant="outline" asChild>
              <Link to="/pricing">Back to the plans</Link>
            </Button>
            <Button variant="ghost" asChild>
              <Link to="/account">Account</Link>
            </Button>
          </div>
        </>
      )}
    </div>
  );
}
