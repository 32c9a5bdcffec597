import type { ReactNode } from "react";
import { cn } from "../../lib/cn.ts";
import type { Tone } from "../../lib/subscription.ts";

const tones: Record<Tone | "brand", string> = {
  brand: "bg-brand text-on-brand",
  good: "bg-brand-soft text-brand-text",
  warn: "bg-toll-soft text-toll-text",
  bad: "bg-stop-soft text-stop-text",
  plain: "bg-sunken text-muted",
};

export function Badge(
  { tone = "plain", children }: { tone?: Tone | "brand"; children: ReactNode },
) {
  return (
    <span
      className={cn(
        "inline-flex max-w-full min-w-0 items-center gap-1.5 rounded-full px-2.5 py-0.5 text-xs font-semibold whitespace-nowrap",
        tones[tone],
      )}
    >
      <span className="truncate">{children}</span>
    </span>
  );
}
