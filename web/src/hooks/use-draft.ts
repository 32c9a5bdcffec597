import { useSyncExternalStore } from "react";
import { type Draft, onDraftChange, readDraft, writeDraft } from "../lib/drafts.ts";

export function useDraft(key: string): [Draft, (text: string) => void] {
  const draft = useSyncExternalStore(onDraftChange, () => readDraft(key));
  return [draft, (text) => writeDraft(key, { ...draft, text })];
}
