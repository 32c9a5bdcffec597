import { licenceState } from "../lib/library.ts";
import { HOUSE_NAME } from "../lib/marketplace.ts";
import type { AgentRef } from "../lib/records.ts";
import { useAgents } from "./use-agents.ts";
import { useLibraryItem } from "./use-library.ts";
import { usePictures } from "./use-marketplace.ts";
import { useNow } from "./use-now.ts";

/** Who answers in a conversation, and whether they still may. */
export interface ChatAgent {
  ref: AgentRef;
  name: string;
  /** The creator of a bought one. */
  by: string | null;
  /** Where more about it stands. */
  path: string;
  picture: string | null;
  /** Why it does not answer any more; null while it does. */
  locked: string | null;
}

/** null for the assistant itself, and while it is not known who it is. */
export function useChatAgent(
  ref: AgentRef | null,
): { agent: ChatAgent | null; isLoading: boolean } {
  const bought = useBought(ref?.kind === "listing" ? ref.id : null);
  const own = useOwn(ref?.kind === "agent" ? ref.id : null);
  if (!ref) return { agent: null, isLoading: false };
  return ref.kind === "listing" ? bought : own;
}

function useBought(listingId: string | null) {
  const now = useNow(60_000);
  const { item, isLoading, isKnown } = useLibraryItem(listingId);
  const pictureOf = usePictures(listingId ? [listingId] : []);
  if (listingId === null || !isKnown) return { agent: null, isLoading };
  const state = item && licenceState(item, now);
  const agent: ChatAgent = {
    ref: { kind: "listing", id: listingId },
    name: item?.title ?? "An agent of the marketplace",
    by: item ? item.sellerName ?? HOUSE_NAME : null,
    path: `/marketplace/${listingId}`,
    picture: pictureOf(listingId),
    locked: !state
      ? "You have no licence for it."
      : state.access === "open"
      ? null
      : state.explanation,
  };
  return { agent, isLoading: false };
}

function useOwn(agentId: string | null) {
  const { data, isLoading } = useAgents();
  if (agentId === null || !data) return { agent: null, isLoading };
  const found = data.find((row) => row.id === agentId);
  const agent: ChatAgent = {
    ref: { kind: "agent", id: agentId },
    name: found?.name ?? "One of your agents",
    by: null,
    path: "/agents",
    picture: null,
    locked: found ? null : "It is a copy of a bought agent whose licence is not active.",
  };
  return { agent, isLoading: false };
}
