import { ChevronLeft } from "lucide-react";
import { useState } from "react";
import { Link, useParams, useSearchParams } from "react-router";
import { ErrorNotice, Notice } from "../components/notice.tsx";
import { Page } from "../components/page.tsx";
import { ListingEditor } from "../components/sell/listing-editor.tsx";
import { TextLink } from "../components/text-link.tsx";
import { Button } from "../components/ui/button.tsx";
import { Skeleton } from "../components/ui/skeleton.tsx";
import { useAgents } from "../hooks/use-agents.ts";
import { useCurrencies, usePictures } from "../hooks/use-marketplace.ts";
import { useOwnListings, useSeller } from "../hooks/use-seller.ts";
import { useTitle } from "../hooks/use-title.ts";

/** Makes a listing, or changes one. */
export default function SellListingPage() {
  const params = useParams();
  const listingId = params.listingId === "new" ? undefined : params.listingId;
  const [asked] = useSearchParams();
  // Kept when the new one is stored and gets its own address: the form goes on living.
  const [freshId] = useState(() => crypto.randomUUID());
  const id = listingId ?? freshId;
  const seller = useSeller();
  const agents = useAgents();
  const listings = useOwnListings();
  const currencies = useCurrencies();
  const pictureOf = usePictures(listingId ? [listingId] : []);
  const listing = listings.data?.find((row) => row.id === id) ?? null;
  const title = listing ? listing.title : listingId ? "Listing" : "New listing";
  useTitle(title);

  const queries = [seller, agents, listings, currencies];
  const failed = queries.find((query) => query.error && query.data === undefined);
  const isReady = seller.data !== undefined && agents.data && listings.data && currencies.data;
  return (
    <Page wide title={title} lead={<BackToSell />}>
      {failed
        ? (
          <ErrorNotice
            error={failed.error}
            onRetry={() => queries.forEach((query) => void query.refetch())}
            pending={failed.isFetching}
          />
        )
        : !isReady
        ? <FormSkeleton />
        : !seller.data
        ? <NoSeller />
        : listingId && !listing
        ? <NoListing />
        : (
          <ListingEditor
            key={id}
            id={id}
            listing={listing}
            seller={seller.data}
            agents={agents.data ?? []}
            minimums={currencies.data ?? {}}
            storedPicture={pictureOf(id)}
            firstAgentId={asked.get("agent") ?? ""}
          />
        )}
    </Page>
  );
}

function BackToSell() {
  return (
    <TextLink to="/sell" className="inline-flex items-center gap-1 text-sm">
      <ChevronLeft aria-hidden className="size-4" />
      Sell
    </TextLink>
  );
}

function NoSeller() {
  return (
    <Notice
      tone="plain"
      title="Set up your creator account first"
      actions={
        <Button size="sm" asChild>
          <Link to="/sell">Begin</Link>
        </Button>
      }
    >
      It takes a few minutes on Stripe’s page. Then you can offer your agents.
    </Notice>
  );
}

function NoListing() {
  return (
    <Notice tone="plain" title="There is no such listing of yours">
      It was deleted, or it belongs to another account.
    </Notice>
  );
}

function FormSkeleton() {
  return (
    <div role="status" aria-label="Loading the listing" className="grid max-w-2xl gap-6">
      <Skeleton className="h-11 w-full" />
      <Skeleton className="h-11 w-full" />
      <Skeleton className="h-32 w-full" />
      <Skeleton className="h-11 w-1/2" />
    </div>
  );
}
