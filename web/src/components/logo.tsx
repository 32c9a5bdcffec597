import { cn } from "../lib/cn.ts";

/** The mark: a post and a raised barrier arm. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden className={cn("size-7 shrink-0", className)}>
      <rect width="32" height="32" rx="8" className="fill-[#173b2c] dark:fill-[#214d3a]" />
      <rect x="6.5" y="9" width="5" height="16" rx="1.5" fill="#fff" />
      <g transform="rotate(-24 9 13)">
        <rect x="9" y="10.75" width="18.5" height="4.5" rx="2.25" fill="#f4b731" />
        <path d="M15 10.75h3l-1.6 4.5h-3zM21 10.75h3l-1.6 4.5h-3z" fill="#173b2c" />
      </g>
      <circle cx="9" cy="13" r="1.6" fill="#173b2c" />
    </svg>
  );
}

export function Logo({ className }: { className?: string }) {
  return (
    <span className={cn("inline-flex items-center gap-2.5", className)}>
      <Mark />
      <span className="text-[1.0625rem] font-semibold tracking-[-0.03em]">tollgate</span>
    </span>
  );
}
