import { ArrowRight, Check, MessageSquare } from "lucide-react";
import type { ReactNode } from "react";
import { Link, useLocation } from "react-router";
import { useLibraryItem } from "../../hooks/use-library.ts";
import { useBuy } from "../../hooks/use-marketplace.ts";
import { useNow } from "../../hooks/use-now.ts";
import { useSession } from "../../hooks/use-session.tsx";
import { type LibraryItem, licenceState, type Offer, offerOf } from "../../lib/library.ts";
import { formatMoney } from "../../lib/money.ts";
import { type Listing, priceText, whatYouGet } from "../../lib/marketplace.ts";
import { newChatPath, withNext } from "../../lib/paths.ts";
import { ErrorNotice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

interface BuyPanelProps {
  listing: Listing;
  isOwn: boolean;
}

/** The price, what it buys, and the one thing to do next: a ticket. */
export function BuyPanel({ listing, isOwn }: BuyPanelProps) {
  const session = useSession();
  const now = useNow(60_000);
  const { item, isLoading } = useLibraryItem(listing.id);
  const offer = offerOf(listing, isOwn, item, now);
  const isUnknown = session.status === "signed-in" && !isOwn && isLoading;
  return (
    <div className="overflow-hidden rounded-2xl border border-line bg-card shadow-lift">
      {offer === "paused" && <div aria-hidden className="barrier h-2" />}
      <div className="grid gap-5 p-6">
        <p className="grid">
          <strong className="text-4xl font-semibold tracking-[-0.04em] tabular-nums">
            {formatMoney(listing.priceMinor, listing.currency)}
          </strong>
          <span className="text-sm text-muted">
            {listing.kind === "monthly" ? "a month, until you cancel" : "once"}
          </span>
        </p>
        {isUnknown
          ? <Skeleton className="h-12 w-full" />
          : <Way listing={listing} offer={offer} item={item} now={now} />}
        <div aria-hidden className="border-t-2 border-dashed border-line" />
        <div className="grid gap-3">
          <h2 className="text-sm font-semibold">What you get</h2>
          <ul className="grid gap-2.5 text-sm">
            {whatYouGet(listing).map((line) => (
              <li key={line} className="flex gap-2.5">
                <Check aria-hidden className="mt-0.5 size-4 shrink-0 text-brand-text" />
                <span className="min-w-0">{line}</span>
              </li>
            ))}
          </ul>
        </div>
      </div>
    </div>
  );
}

interface WayProps {
  listing: Listing;
  offer: Offer;
  item: LibraryItem | null;
  now: number;
}

function Way({ listing, offer, item, now }: WayProps) {
  switch (offer) {
    case "own":
      return (
        <Told title="This is your listing" text={ownText(listing)}>
          <Button asChild>
            <Link to={`/sell/listings/${listing.id}`}>Edit listing</Link>
          </Button>
        </Told>
      );
    case "owned":
      return (
        <Told title="It is in your library" text={item && licenceState(item, now).explanation}>
          {listing.category !== "addon" && (
            <Button asChild>
              <Link to={newChatPath({ listing: listing.id })}>
                <MessageSquare aria-hidden />
                Use in chat
              </Link>
            </Button>
          )}
          <ToLibrary />
        </Told>
      );
    case "waiting":
    case "suspended":
      return (
        <Told
          title={offer === "waiting" ? "Your payment is on its way" : "Your licence is suspended"}
          text={item && licenceState(item, now).explanation}
        >
          <ToLibrary />
        </Told>
      );
    case "unpaid":
      return (
        <Told
          title="Your renewal could not be paid"
          text="In your library you can pay what is open, or cancel it to buy it anew."
        >
          <ToLibrary />
        </Told>
      );
    case "withdrawn":
      return (
        <Told
          title="No longer for sale"
          text="Its creator has taken it from the marketplace. Who has it, keeps it."
        />
      );
    case "paused":
      return (
        <Told
          title="Sales are paused"
          text="Its creator cannot take payments at the moment. Look in again later; who has it, keeps it."
        />
      );
    case "open":
      return <Buy listing={listing} />;
  }
}

function ownText({ status, salesPaused }: Listing): string {
  if (status === "draft") return "A draft: nobody else can see it.";
  if (status === "withdrawn") return "Withdrawn: it is not sold, and buyers keep it.";
  return salesPaused
    ? "Sales are paused; your seller page says why."
    : "This is how others see it.";
}

function Told(
  { title, text, children }: { title: string; text?: string | null; children?: ReactNode },
) {
  return (
    <div className="grid gap-3" role="status">
      <div className="grid gap-0.5">
        <p className="font-semibold">{title}</p>
        {text && <p className="text-sm text-muted">{text}</p>}
      </div>
      {children && <div className="flex flex-wrap gap-2 *:grow">{children}</div>}
    </div>
  );
}

function ToLibrary() {
  return (
    <Button variant="outline" asChild>
      <Link to="/library">Open library</Link>
    </Button>
  );
}

function Buy({ listing }: { listing: Listing }) {
  const session = useSession();
  const here = useLocation();
  const buy = useBuy();
  const label = listing.kind === "monthly"
    ? `Subscribe for ${priceText(listing)}`
    : `Buy for ${priceText(listing)}`;
  if (session.status === "signed-out") {
    return (
      <div className="grid gap-2">
        <Button variant="toll" size="lg" asChild>
          <Link to={withNext("/sign-up", here.pathname)}>
            {label}
            <ArrowRight aria-hidden />
          </Link>
        </Button>
        <p className="text-sm text-muted">You need an account for it; it is free.</p>
      </div>
    );
  }
  return (
    <div className="grid gap-2">
      <Button
        variant="toll"
        size="lg"
        pending={buy.isPending || buy.isSuccess}
        onClick={() => buy.mutate(listing.id)}
      >
        {label}
      </Button>
      <p className="text-sm text-muted">You pay on Stripe’s page, which brings you back here.</p>
      {buy.error && <ErrorNotice error={buy.error} />}
    </div>
  );
}
