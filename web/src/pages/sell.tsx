import { EarningsSection } from "../components/sell/earnings-section.tsx";
import { ListingsSection } from "../components/sell/listings-section.tsx";
import { OnboardingReturn } from "../components/sell/onboarding-return.tsx";
import { PayoutsSection } from "../components/sell/payouts-section.tsx";
import { SalesSection } from "../components/sell/sales-section.tsx";
import { SellerStatus } from "../components/sell/seller-status.tsx";
import { StartSelling } from "../components/sell/start-selling.tsx";
import { ErrorNotice } from "../components/notice.tsx";
import { Page } from "../components/page.tsx";
import { Skeleton } from "../components/ui/skeleton.tsx";
import { useRange } from "../hooks/use-range.ts";
import { useSeller } from "../hooks/use-seller.ts";
import { useTitle } from "../hooks/use-title.ts";
import type { Seller } from "../lib/seller.ts";

export default function SellPage() {
  useTitle("Sell");
  const { data: seller, error, isFetching, refetch } = useSeller();
  return (
    <Page
      title="Sell"
      lead={seller ? `As ${seller.displayName}` : "Offer the agents you made on the marketplace."}
    >
      <OnboardingReturn />
      {seller
        ? <Desk seller={seller} />
        : seller === null
        ? <StartSelling />
        : error
        ? <ErrorNotice error={error} onRetry={() => refetch()} pending={isFetching} />
        : (
          <div role="status" aria-label="Loading your sales" className="grid gap-4">
            <Skeleton className="h-24 w-full rounded-xl" />
            <Skeleton className="h-64 w-full rounded-xl" />
          </div>
        )}
    </Page>
  );
}

function Desk({ seller }: { seller: Seller }) {
  const choice = useRange();
  // Before the first sale there is nothing to tell of money.
  const hasSold = seller.balances.length > 0;
  return (
    <>
      <SellerStatus seller={seller} />
      <ListingsSection />
      {hasSold && (
        <>
          <EarningsSection seller={seller} choice={choice} />
          <SalesSection choice={choice} />
          <PayoutsSection />
        </>
      )}
    </>
  );
}
