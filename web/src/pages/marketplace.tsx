import { ChevronLeft, ChevronRight, SearchX, Store } from "lucide-react";
import { useEffect, useRef } from "react";
import { Link } from "react-router";
import { CARD_GRID, CardSkeletons, ListingCard } from "../components/marketplace/listing-card.tsx";
import { SearchControls } from "../components/marketplace/search-controls.tsx";
import { ErrorNotice } from "../components/notice.tsx";
import { Page } from "../components/page.tsx";
import { Button } from "../components/ui/button.tsx";
import { useListings, usePictures, useSearch } from "../hooks/use-marketplace.ts";
import { useTitle } from "../hooks/use-title.ts";
import { cn } from "../lib/cn.ts";
import { countPages, type Found, pageText, type Search } from "../lib/marketplace.ts";

export default function MarketplacePage() {
  useTitle("Marketplace");
  const { search, change, pageAddress } = useSearch();
  const { found, isStale, isFetching, error, refetch } = useListings(search);
  const results = useRef<HTMLElement>(null);
  const lastPage = useRef(search.page);
  useEffect(() => {
    if (lastPage.current === search.page) return;
    lastPage.current = search.page;
    // The way to another page stands below the list; the reader goes on at its top.
    results.current?.focus({ preventScroll: true });
    results.current?.scrollIntoView({ block: "start" });
  }, [search.page]);
  const clear = () =>
    change({ query: "", category: null, kind: null, currency: null, sort: "newest" });
  return (
    <Page
      wide
      title="Marketplace"
      lead="Agents made by people who know their subject, ready to use in your chat."
      actions={
        <Button variant="outline" asChild>
          <Link to="/sell">
            <Store aria-hidden />
            Sell an agent
          </Link>
        </Button>
      }
    >
      <SearchControls search={search} onChange={change} />
      <section
        ref={results}
        tabIndex={-1}
        aria-label="Listings"
        aria-busy={isFetching}
        className="grid scroll-mt-4 grid-cols-[minmax(0,1fr)] gap-6 focus:outline-none"
      >
        {error
          ? <ErrorNotice error={error} onRetry={refetch} pending={isFetching} />
          : !found
          ? <CardSkeletons />
          : found.listings.length === 0
          ? <Nothing search={search} onClear={clear} />
          : (
            <Results
              listings={found.listings}
              total={found.total}
              page={search.page}
              isStale={isStale}
              pageAddress={pageAddress}
            />
          )}
      </section>
    </Page>
  );
}

interface ResultsProps {
  listings: Found[];
  total: number;
  page: number;
  isStale: boolean;
  pageAddress: (page: number) => string;
}

function Results({ listings, total, page, isStale, pageAddress }: ResultsProps) {
  const pictureOf = usePictures(listings.map((listing) => listing.id));
  const noun = total === 1 ? "listing" : "listings";
  return (
    <>
      <p role="status" className="text-sm text-muted tabular-nums">
        {`${pageText(page, listings.length, total)} ${noun}`}
      </p>
      <ul
        aria-label="Found"
        className={cn(CARD_GRID, "transition-opacity", isStale && "opacity-60")}
      >
        {listings.map((listing) => (
          <ListingCard key={listing.id} listing={listing} picture={pictureOf(listing.id)} />
        ))}
      </ul>
      {countPages(total) > 1 && (
        <Pages page={page} count={countPages(total)} pageAddress={pageAddress} />
      )}
    </>
  );
}

function Pages(
  { page, count, pageAddress }: {
    page: number;
    count: number;
    pageAddress: (page: number) => string;
  },
) {
  return (
    <nav aria-label="Pages" className="flex items-center justify-center gap-3 text-sm tabular-nums">
      {page > 1
        ? (
          <Button variant="outline" asChild>
            <Link to={pageAddress(page - 1)} rel="prev">
              <ChevronLeft aria-hidden />
              Previous
            </Link>
          </Button>
        )
        : (
          <Button variant="outline" disabled>
            <ChevronLeft aria-hidden />Previous
          </Button>
        )}
      <span className="min-w-24 text-center text-muted">{`Page ${page} of ${count}`}</span>
      {page < count
        ? (
          <Button variant="outline" asChild>
            <Link to={pageAddress(page + 1)} rel="next">
              Next
              <ChevronRight aria-hidden />
            </Link>
          </Button>
        )
        : (
          <Button variant="outline" disabled>
            Next<ChevronRight aria-hidden />
          </Button>
        )}
    </nav>
  );
}

function Nothing({ search, onClear }: { search: Search; onClear: () => void }) {
  const { query, category, kind, currency, page } = search;
  const isNarrowed = query.trim() !== "" || page > 1 ||
    [category, kind, currency].some((choice) => choice !== null);
  const Icon = isNarrowed ? SearchX : Store;
  return (
    <div className="grid justify-items-start gap-3 rounded-2xl border border-dashed border-line-strong p-8">
      <Icon aria-hidden className="size-7 text-muted" />
      <div className="grid gap-1" role="status">
        <h2 className="text-lg font-semibold wrap-anywhere">
          {!isNarrowed
            ? "Nothing is for sale yet"
            : query.trim()
            ? `Nothing fits “${query.trim()}”`
            : "Nothing fits"}
        </h2>
        <p className="text-sm text-muted">
          {isNarrowed
            ? "Try fewer or other words, or look at everything."
            : "The first agent here could be one of yours."}
        </p>
      </div>
      {isNarrowed
        ? <Button variant="outline" onClick={onClear}>Show everything</Button>
        : (
          <Button variant="outline" asChild>
            <Link to="/sell">Sell an agent</Link>
          </Button>
        )}
    </div>
  );
}
