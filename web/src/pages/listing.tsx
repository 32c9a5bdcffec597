import { ChevronLeft } from "lucide-react";
import { useEffect, useState } from "react";
import { Link, useParams } from "react-router";
import { BuyPanel } from "../components/marketplace/buy-panel.tsx";
import { Cover } from "../components/marketplace/cover.tsx";
import { ErrorNotice, Notice } from "../components/notice.tsx";
import { TextLink } from "../components/text-link.tsx";
import { Button } from "../components/ui/button.tsx";
import { Skeleton } from "../components/ui/skeleton.tsx";
import { useListing, usePictures } from "../hooks/use-marketplace.ts";
import { useReturn } from "../hooks/use-return.ts";
import { useTitle } from "../hooks/use-title.ts";
import { formatCount } from "../lib/money.ts";
import { type Listing, sellerText } from "../lib/marketplace.ts";
import { isUuid } from "../lib/paths.ts";

const NAMES = { agent: "Agent", template: "Template", addon: "Add-on" } as const;

export default function ListingPage() {
  const { listingId = "" } = useParams();
  const valid = isUuid(listingId);
  const query = useListing(listingId, valid);
  useTitle(query.data?.listing.title ?? "Listing");
  const isMissing = !valid || query.data === null;
  return (
    <div className="h-full overflow-y-auto">
      <div className="mx-auto grid w-full max-w-5xl grid-cols-[minmax(0,1fr)] gap-6 px-5 py-6 sm:py-8">
        <TextLink
          to="/marketplace"
          className="inline-flex items-center gap-1 justify-self-start text-sm"
        >
          <ChevronLeft aria-hidden className="size-4" />
          Marketplace
        </TextLink>
        <Cancelled />
        {isMissing
          ? <Missing />
          : query.data
          ? <Details listing={query.data.listing} isOwn={query.data.isOwn} />
          : query.error
          ? (
            <>
              <h1 className="sr-only">Listing</h1>
              <ErrorNotice
                error={query.error}
                onRetry={() => query.refetch()}
                pending={query.isFetching}
              />
            </>
          )
          : <DetailsSkeleton />}
      </div>
    </div>
  );
}

/** Back from Checkout without having paid. */
function Cancelled() {
  const { origin, tidy } = useReturn("purchase");
  const [isRead, setRead] = useState(false);
  useEffect(tidy, [tidy]);
  if (origin !== "cancelled" || isRead) return null;
  return (
    <Notice tone="plain" title="The purchase was cancelled" onDismiss={() => setRead(true)}>
      Nothing was charged.
    </Notice>
  );
}

const COLUMNS =
  "grid grid-cols-[minmax(0,1fr)] gap-x-10 gap-y-8 lg:grid-cols-[minmax(0,1fr)_20.5rem]";

function Details({ listing, isOwn }: { listing: Listing; isOwn: boolean }) {
  const { id, title, description, salesCount, category } = listing;
  const pictureOf = usePictures([id]);
  return (
    <article className={COLUMNS}>
      <div className="grid content-start gap-5">
        <Cover id={id} title={title} picture={pictureOf(id)} className="rounded-2xl" />
        <header className="grid gap-1.5">
          <h1 className="text-3xl font-semibold tracking-[-0.03em] wrap-anywhere">{title}</h1>
          <p className="text-muted">
            {`${NAMES[category]} by ${sellerText(listing)}`}
            {salesCount > 0 && `, ${formatCount(salesCount)} sold`}
          </p>
        </header>
      </div>
      <aside aria-label="Buy" className="lg:sticky lg:top-8 lg:row-span-2 lg:self-start">
        <BuyPanel listing={listing} isOwn={isOwn} />
      </aside>
      <section aria-labelledby="about" className="grid content-start gap-2">
        <h2 id="about" className="text-base font-semibold">About</h2>
        {/* Text and nothing else: what somebody writes about their agent is never markup. */}
        <p className="max-w-prose leading-relaxed whitespace-pre-line wrap-anywhere">
          {description || <span className="text-muted">There is no description.</span>}
        </p>
      </section>
    </article>
  );
}

function Missing() {
  return (
    <div className="grid justify-items-start gap-4 py-10">
      <h1 className="text-2xl font-semibold">There is no such listing</h1>
      <p className="text-muted">
        It was taken from the marketplace, or it was never there. What you have bought stays in your
        library.
      </p>
      <div className="flex flex-wrap gap-2">
        <Button asChild>
          <Link to="/marketplace">Look around</Link>
        </Button>
        <Button variant="outline" asChild>
          <Link to="/library">Library</Link>
        </Button>
      </div>
    </div>
  );
}

function DetailsSkeleton() {
  return (
    <div role="status" aria-label="Loading the listing" className={COLUMNS}>
      <div className="grid content-start gap-5">
        <Skeleton className="aspect-video rounded-2xl" />
        <Skeleton className="h-9 w-2/3" />
        <Skeleton className="h-5 w-1/3" />
      </div>
      <Skeleton className="h-80 rounded-2xl" />
    </div>
  );
}
