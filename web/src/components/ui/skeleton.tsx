import { cn } from "../../lib/cn.ts";

/** Holds the place of what is being loaded, in its size, so that nothing jumps. */
export function Skeleton({ className }: { className?: string }) {
  return <span aria-hidden className={cn("block animate-pulse rounded-md bg-ink/8", className)} />;
}
