import { type ReactNode, useEffect, useRef } from "react";
import { useLocation } from "react-router";
import { cn } from "../lib/cn.ts";
import { Mark } from "./logo.tsx";

interface PageProps {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  /** For what stands side by side. */
  wide?: boolean;
  children: ReactNode;
}

/** A scrolling page inside the shell, with its heading. */
export function Page({ title, lead, actions, wide, children }: PageProps) {
  return (
    <div className="h-full overflow-y-auto">
      <div
        className={cn(
          "mx-auto grid w-full grid-cols-[minmax(0,1fr)] gap-8 px-5 py-8 sm:py-12",
          wide ? "max-w-6xl" : "max-w-3xl sm:px-8",
        )}
      >
        <header className="flex flex-wrap items-end justify-between gap-4">
          <div className="grid gap-1.5">
            <h1 className="text-3xl font-semibold tracking-[-0.03em]">{title}</h1>
            {lead && <p className="text-muted">{lead}</p>}
          </div>
          {actions}
        </header>
        {children}
      </div>
    </div>
  );
}

/** A titled part of a page. */
export function Section(
  { title, id, actions, children }: {
    title: string;
    /** For links to it: `/account#credits`. */
    id?: string;
    actions?: ReactNode;
    children: ReactNode;
  },
) {
  const { hash } = useLocation();
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (id && hash === `#${id}`) section.current?.scrollIntoView();
  }, [hash, id]);
  return (
    <section
      ref={section}
      id={id}
      aria-label={title}
      className="grid scroll-mt-4 grid-cols-[minmax(0,1fr)] gap-4 border-t border-line pt-6"
    >
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h2 className="text-base font-semibold">{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  );
}

/** A whole page that is on its way. */
export function PageLoading({ label = "Loading" }: { label?: string }) {
  return (
    <div role="status" className="grid min-h-[60dvh] place-items-center">
      <Mark className="size-9 animate-pulse" />
      <span className="sr-only">{label}</span>
    </div>
  );
}
