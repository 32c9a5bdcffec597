/**
 * Whether the server answers. `navigator.onLine` alone is wrong both ways (a machine with only a
 * loopback address counts as offline, a hotel's Wi-Fi as online), so failed requests decide.
 */

let reachable = true;
const listeners = new Set<() => void>();

function set(value: boolean): void {
  if (reachable === value) return;
  reachable = value;
  for (const listener of listeners) listener();
}

export function reportReachable(): void {
  set(true);
}

export function reportUnreachable(): void {
  set(false);
}

export function isReachable(): boolean {
  return reachable;
}

export function onReachableChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
