import { useSyncExternalStore } from "react";

const STORAGE_KEY = "tollgate.currency";
const listeners = new Set<() => void>();

function stored(): string | null {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

let chosen: string | null = stored();

function choose(currency: string): void {
  chosen = currency;
  try {
    localStorage.setItem(STORAGE_KEY, currency);
  } catch {
    // The choice then lasts as long as the page.
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The currency the visitor chose, on this device; null before any choice. */
export function useChosenCurrency(): [string | null, (currency: string) => void] {
  return [useSyncExternalStore(subscribe, () => chosen), choose];
}
