import { useEffect, useRef } from "react";
import { Link } from "react-router";
import { useClone } from "../../hooks/use-library.ts";
import { useUsage } from "../../hooks/use-usage.ts";
import { toApiError } from "../../lib/errors.ts";
import type { LibraryItem } from "../../lib/library.ts";
import { LimitPanel } from "../limit-panel.tsx";
import { ErrorNotice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { DialogFooter, DialogFrame, DialogStep } from "../ui/dialog.tsx";

/** A copy of one's own, which takes a place in the plan: says so before it is made. */
export function CloneDialog({ item, onClose }: { item: LibraryItem; onClose: () => void }) {
  const clone = useClone();
  return (
    <DialogFrame open onOpenChange={() => !clone.isPending && onClose()}>
      {clone.isSuccess ? <Cloned name={clone.data} onClose={onClose} /> : (
        <DialogStep
          title={`Clone “${item.title}”?`}
          description="You get a copy among your agents, to change as you like."
        >
          <ul className="grid list-disc gap-1.5 pl-5 text-sm text-muted">
            <li>It takes one place among the agents of your plan.</li>
            <li>It is yours to use while your licence lives, and locked when that ends.</li>
            <li>What the creator changes later does not reach your copy.</li>
          </ul>
          <Refusal error={clone.error} />
          <DialogFooter>
            <Button variant="outline" disabled={clone.isPending} onClick={onClose}>Not now</Button>
            <Button pending={clone.isPending} onClick={() => clone.mutate(item.listingId)}>
              Clone to my agents
            </Button>
          </DialogFooter>
        </DialogStep>
      )}
    </DialogFrame>
  );
}

function Refusal({ error }: { error: Error | null }) {
  const { agents } = useUsage();
  if (!error) return null;
  return toApiError(error).code === "agent_limit_reached" && agents
    ? <LimitPanel metric="agent" usage={agents} />
    : <ErrorNotice error={error} />;
}

function Cloned({ name, onClose }: { name: string; onClose: () => void }) {
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => link.current?.focus(), []);
  return (
    <DialogStep
      title="The copy is among your agents"
      description={`It is called “${name}”. Change it there as you like.`}
    >
      {/* The name of a dialog is read when it opens, and not when it changes. */}
      <p role="status" className="sr-only">The copy is among your agents.</p>
      <DialogFooter>
        <Button variant="outline" onClick={onClose}>Stay here</Button>
        <Button asChild>
          <Link ref={link} to="/agents" onClick={onClose}>Open my agents</Link>
        </Button>
      </DialogFooter>
    </DialogStep>
  );
}
