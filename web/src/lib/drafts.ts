/**
 * What a person has typed and not yet sent, per conversation. It outlives a refusal, a reload and the
 * way to Stripe and back, but not the tab and not the person (session storage, cleared on sign-out).
 */

import type { AgentRef } from "./records.ts";

const PREFIX = "tollgate.draft.";
/** The draft of a conversation that does not exist yet. */
export const NEW_CONVERSATION = "new";

/** The same with an agent: what was meant for one is not offered to another. */
export function newDraftKey(agent: AgentRef | null): string {
  return agent ? `${NEW_CONVERSATION}.${agent.id}` : NEW_CONVERSATION;
}

export interface Draft {
  text: string;
  /** Ids of a try whose outcome is unknown: the same words sent again must not be charged twice. */
  attempt: { conversationId: string; messageId: string; text: string } | null;
}

const EMPTY: Draft = { text: "", attempt: null };
const memory = new Map<string, Draft>();
const listeners = new Set<() => void>();

export function readDraft(key: string): Draft {
  const known = memory.get(key);
  if (known) return known;
  const draft = fromStorage(key);
  memory.set(key, draft);
  return draft;
}

function fromStorage(key: string): Draft {
  try {
    const text = sessionStorage.getItem(PREFIX + key);
    return text ? { text, attempt: null } : EMPTY;
  } catch {
    return EMPTY;
  }
}

export function writeDraft(key: string, draft: Draft): void {
  memory.set(key, draft);
  try {
    if (draft.text) sessionStorage.setItem(PREFIX + key, draft.text);
    else sessionStorage.removeItem(PREFIX + key);
  } catch {
    // Storage may be blocked or full; the draft still lives in memory.
  }
  for (const listener of listeners) listener();
}

export function forgetDrafts(): void {
  memory.clear();
  try {
    for (const name of Object.keys(sessionStorage)) {
      if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
    }
  } catch {
    // Nothing was stored then.
  }
  for (const listener of listeners) listener();
}

export function onDraftChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A refused text goes back in front of what was typed in the meantime. */
export function mergeDraft(refused: string, typedSince: string): string {
  return typedSince.trim() ? `${refused}\n\n${typedSince}` : refused;
}
