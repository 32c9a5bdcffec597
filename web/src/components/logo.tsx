import { cn } from "../lib/cn.ts";

/** The mark: a post and a raised barrier arm. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden className={cn("size-7 shrink-0", className)}>
      <rect width="32" height="32" rx="8" className="fill-[#173b2c] dark:fill-[#214d3a]" />
      <rect x="6" y="10" width="5.5" height="16" rx="1.75" fill="#fff" />
      <g transform="rotate(-22 8.75 13)">
        <rect x="6" y="10" width="22.5" height="6" rx="3" fill="#f4b731" />
        <path d="M15.2 10h2.2l-2.2 6H13zM21.2 10h2.2l-2.2 6H19z" fill="#173b2c" />
      </g>
      <circle cx="8.75" cy="13" r="1.5" fill="#173b2c" />
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
