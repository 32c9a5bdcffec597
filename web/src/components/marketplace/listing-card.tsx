import { Link } from "react-router";
import { formatCount } from "../../lib/money.ts";
import { type Found, priceText, sellerText } from "../../lib/marketplace.ts";
import { Badge } from "../ui/badge.tsx";
import { Skeleton } from "../ui/skeleton.tsx";
import { Cover } from "./cover.tsx";

/** One listing among others; all of it leads to its page. */
export function ListingCard({ listing, picture }: { listing: Found; picture: string | null }) {
  const { id, title, description, salesCount } = listing;
  return (
    <li className="relative flex flex-col overflow-hidden rounded-2xl border border-line bg-card transition-colors focus-within:border-line-strong hover:border-line-strong">
      <Cover id={id} title={title} picture={picture} />
      <div className="flex min-w-0 flex-1 flex-col gap-1 p-4">
        <h2 className="line-clamp-2 font-semibold wrap-anywhere">
          <Link
            to={`/marketplace/${id}`}
            className="rounded after:absolute after:inset-0 after:rounded-2xl focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-focus"
          >
            {title}
          </Link>
        </h2>
        <p className="truncate text-sm text-muted">
          {`By ${sellerText(listing)}`}
          {salesCount > 0 && `, ${formatCount(salesCount)} sold`}
        </p>
        <p className="mt-1 line-clamp-2 min-h-10 text-sm wrap-anywhere text-muted">{description}</p>
        <div className="mt-auto flex min-h-8 items-end justify-between gap-3 pt-2">
          <p className="font-semibold tabular-nums">{priceText(listing)}</p>
          <Mark listing={listing} />
        </div>
      </div>
    </li>
  );
}

/** What it is to the reader. */
function Mark({ listing }: { listing: Found }) {
  if (listing.isOwn) return <Badge>Yours</Badge>;
  if (listing.isOwned) return <Badge tone="good">In your library</Badge>;
  if (listing.salesPaused) return <Badge tone="warn">Sales paused</Badge>;
  return null;
}

/** Cards in rows, as many as there is room for. */
export const CARD_GRID =
  "grid grid-cols-[repeat(auto-fill,minmax(min(100%,16.5rem),1fr))] gap-4 sm:gap-5";

export function CardSkeletons() {
  return (
    <div role="status" aria-label="Loading listings" className={CARD_GRID}>
      {Array.from(
        { length: 6 },
        (_, index) => (
          <div key={index} className="overflow-hidden rounded-2xl border border-line bg-card">
            <Skeleton className="aspect-video rounded-none" />
            <div className="grid gap-1 p-4">
              <Skeleton className="h-6 w-3/5" />
              <Skeleton className="h-5 w-2/5" />
              <Skeleton className="mt-1 h-10 w-full" />
              <Skeleton className="mt-2 h-6 w-16" />
            </div>
          </div>
        ),
      )}
    </div>
  );
}
