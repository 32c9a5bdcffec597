import { type ReactNode, useEffect, useRef } from "react";
import { Link } from "react-router";
import type { OwnListing, Seller } from "../../lib/seller.ts";
import { Notice } from "../notice.tsx";
import { TextLink } from "../text-link.tsx";
import { Button } from "../ui/button.tsx";
import type { Asked } from "./editor-dialogs.tsx";

interface EditorFootProps {
  /** null: a new one. */
  listing: OwnListing | null;
  seller: Seller;
  isSaving: boolean;
  isReading: boolean;
  onPublish: () => void;
  onAsk: (asked: Asked) => void;
  /** What has just happened: beside the button that was pressed. */
  children?: ReactNode;
}

/** What can be done with a listing, by where it stands. */
export function EditorFoot(props: EditorFootProps) {
  const { listing, seller, isSaving, isReading, onPublish, onAsk, children } = props;
  const canSell = seller.status === "active";
  const isLive = listing?.status === "published";
  return (
    <div className="grid gap-4 border-t border-line pt-6">
      {isLive && (
        <p className="text-sm text-muted">
          {`Title, description, price and picture change at once, for whoever buys from now on. Buyers have version ${listing.version} of the agent; publish again to hand them its present instructions.`}
        </p>
      )}
      {!canSell && (
        <p className="text-sm text-muted">
          It can be published once your creator account is active.{" "}
          <TextLink to="/sell">See what is missing</TextLink>
        </p>
      )}
      {children}
      <div className="flex flex-wrap gap-2">
        <Button
          type="submit"
          variant={isLive ? "primary" : "outline"}
          pending={isSaving}
          disabled={isReading}
        >
          {isLive ? "Save changes" : listing?.version ? "Save" : "Save draft"}
        </Button>
        <Button
          variant={isLive ? "outline" : "primary"}
          disabled={!canSell || isReading || isSaving}
          onClick={onPublish}
        >
          {isLive ? "Publish new version" : listing?.version ? "Publish again" : "Publish"}
        </Button>
        {listing && isLive && (
          <>
            <Button variant="ghost" asChild>
              <Link to={`/marketplace/${listing.id}`}>See it</Link>
            </Button>
            <Button
              variant="ghost"
              className="text-stop-text"
              onClick={() => onAsk({ kind: "withdraw" })}
            >
              Withdraw
            </Button>
          </>
        )}
        {listing && listing.version === 0 && (
          <Button
            variant="ghost"
            className="text-stop-text"
            onClick={() => onAsk({ kind: "delete" })}
          >
            Delete draft
          </Button>
        )}
      </div>
    </div>
  );
}

export type EditorDone = "saved" | "published" | "withdrawn";

interface DoneProps {
  done: EditorDone;
  listingId: string;
  onRead: () => void;
}

/** What has just happened. */
export function Done({ done, listingId, onRead }: DoneProps) {
  const titles: Record<EditorDone, string> = {
    saved: "Saved",
    published: "It is on the marketplace",
    withdrawn: "It is no longer sold",
  };
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    box.current?.scrollIntoView({ block: "nearest" });
  }, [done]);
  return (
    <div ref={box} className="scroll-mb-24">
      <Notice
        tone={done === "withdrawn" ? "plain" : "good"}
        title={titles[done]}
        onDismiss={onRead}
        actions={done === "published" && (
          <Button size="sm" asChild>
            <Link to={`/marketplace/${listingId}`}>See it</Link>
          </Button>
        )}
      >
        {done === "withdrawn" && "Who has bought it keeps it. You can publish it again."}
      </Notice>
    </div>
  );
}
