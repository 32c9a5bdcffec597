import { Plus, Tag } from "lucide-react";
import { Link } from "react-router";
import { usePictures } from "../../hooks/use-marketplace.ts";
import { useOwnListings } from "../../hooks/use-seller.ts";
import { formatCount } from "../../lib/money.ts";
import { priceText } from "../../lib/marketplace.ts";
import type { OwnListing } from "../../lib/seller.ts";
import { Cover } from "../marketplace/cover.tsx";
import { ErrorNotice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

/** What one offers, the latest change first. */
export function ListingsSection() {
  const { data, error, isFetching, refetch } = useOwnListings();
  return (
    <Section
      title="Listings"
      actions={
        <Button size="sm" variant="outline" asChild>
          <Link to="/sell/listings/new">
            <Plus aria-hidden />
            New listing
          </Link>
        </Button>
      }
    >
      {data
        ? data.length === 0 ? <Nothing /> : <Listings listings={data} />
        : error
        ? <ErrorNotice error={error} onRetry={() => refetch()} pending={isFetching} />
        : (
          <div role="status" aria-label="Loading listings" className="grid gap-4">
            <Skeleton className="h-14 w-full" />
            <Skeleton className="h-14 w-full" />
          </div>
        )}
    </Section>
  );
}

function Listings({ listings }: { listings: OwnListing[] }) {
  const pictureOf = usePictures(listings.map((listing) => listing.id));
  return (
    <ul aria-label="Your listings" className="divide-y divide-line border-y border-line">
      {listings.map((listing) => (
        <li
          key={listing.id}
          className="relative grid grid-cols-[5rem_minmax(0,1fr)_auto] items-center gap-x-4 py-3 hover:bg-ink/3"
        >
          <Cover
            id={listing.id}
            title={listing.title}
            picture={pictureOf(listing.id)}
            className="rounded-lg"
          />
          <div className="grid min-w-0 gap-0.5">
            <h3 className="truncate font-semibold">
              <Link
                to={`/sell/listings/${listing.id}`}
                aria-label={`Edit ${listing.title}`}
                className="after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:rounded-lg focus-visible:after:outline-2 focus-visible:after:outline-focus"
              >
                {listing.title}
              </Link>
            </h3>
            <p className="truncate text-sm text-muted tabular-nums">
              {priceText(listing)}
              {listing.version > 0 && `, ${formatCount(listing.salesCount)} sold`}
            </p>
          </div>
          <ListingBadge listing={listing} />
        </li>
      ))}
    </ul>
  );
}

export function ListingBadge({ listing }: { listing: OwnListing }) {
  if (listing.status === "draft") return <Badge>Draft</Badge>;
  if (listing.status === "withdrawn") return <Badge>Withdrawn</Badge>;
  return listing.salesPaused
    ? <Badge tone="warn">Paused</Badge>
    : <Badge tone="good">Published</Badge>;
}

function Nothing() {
  return (
    <div className="grid justify-items-start gap-3 rounded-2xl border border-dashed border-line-strong p-8">
      <Tag aria-hidden className="size-7 text-muted" />
      <div className="grid gap-1">
        <h3 className="text-lg font-semibold">Nothing on offer yet</h3>
        <p className="text-sm text-muted">
          Choose one of your agents, give it a title and a price. You can prepare it before Stripe
          has all it needs.
        </p>
      </div>
      <Button variant="outline" asChild>
        <Link to="/sell/listings/new">Make your first listing</Link>
      </Button>
    </div>
  );
}
