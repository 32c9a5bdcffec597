import { LibraryBig } from "lucide-react";
import { Link } from "react-router";
import { LibraryRow } from "../components/library/library-row.tsx";
import { PurchaseReturn } from "../components/library/purchase-return.tsx";
import { ErrorNotice } from "../components/notice.tsx";
import { Page } from "../components/page.tsx";
import { Button } from "../components/ui/button.tsx";
import { Skeleton } from "../components/ui/skeleton.tsx";
import { useLibrary } from "../hooks/use-library.ts";
import { usePictures } from "../hooks/use-marketplace.ts";
import { useNow } from "../hooks/use-now.ts";
import { useTitle } from "../hooks/use-title.ts";
import { inOrder, type LibraryItem } from "../lib/library.ts";

export default function LibraryPage() {
  useTitle("Library");
  const { data, error, isFetching, refetch } = useLibrary();
  return (
    <Page
      title="Library"
      lead="What you bought, and what it is worth now."
      actions={
        <Button variant="outline" asChild>
          <Link to="/marketplace">Marketplace</Link>
        </Button>
      }
    >
      <PurchaseReturn />
      {data
        ? data.length === 0 ? <Nothing /> : <Items items={data} />
        : error
        ? <ErrorNotice error={error} onRetry={() => refetch()} pending={isFetching} />
        : <ListSkeleton />}
    </Page>
  );
}

function Items({ items }: { items: LibraryItem[] }) {
  const now = useNow(60_000);
  const pictureOf = usePictures([...new Set(items.map((item) => item.listingId))].sort());
  return (
    <ul aria-label="Bought" className="divide-y divide-line border-y border-line">
      {inOrder(items, now).map((item) => (
        <LibraryRow
          key={item.id}
          item={item}
          picture={pictureOf(item.listingId)}
          now={now}
        />
      ))}
    </ul>
  );
}

function Nothing() {
  return (
    <div className="grid justify-items-start gap-3 rounded-2xl border border-dashed border-line-strong p-8">
      <LibraryBig aria-hidden className="size-7 text-muted" />
      <div className="grid gap-1">
        <h2 className="text-lg font-semibold">Nothing here yet</h2>
        <p className="text-sm text-muted">
          Agents that you buy stand here, with their receipts, ready for your chat.
        </p>
      </div>
      <Button variant="outline" asChild>
        <Link to="/marketplace">Look around</Link>
      </Button>
    </div>
  );
}

function ListSkeleton() {
  return (
    <div
      role="status"
      aria-label="Loading the library"
      className="grid gap-6 border-t border-line pt-5"
    >
      {[0, 1].map((index) => (
        <div key={index} className="flex gap-5">
          <Skeleton className="aspect-video w-36 rounded-xl max-sm:w-24" />
          <div className="grid flex-1 content-start gap-2">
            <Skeleton className="h-6 w-2/3" />
            <Skeleton className="h-5 w-1/2" />
            <Skeleton className="h-9 w-40" />
          </div>
        </div>
      ))}
    </div>
  );
}
