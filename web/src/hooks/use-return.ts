import { useCallback, useState } from "react";
import { useSearchParams } from "react-router";

export interface Return {
  /** What the address said on arrival; it outlives the tidying. */
  origin: string | null;
  /** Takes it out of the address, so that a reload or a bookmark does not say it again. */
  tidy: () => void;
}

type Journey = "checkout" | "portal" | "credits" | "purchase" | "onboarding";

/** What Stripe sent somebody back with, once in the address of the page. */
export function useReturn(name: Journey): Return {
  const [params, setParams] = useSearchParams();
  const [origin] = useState(() => params.get(name));
  const isThere = params.has(name);
  const tidy = useCallback(() => {
    if (!isThere) return;
    setParams((before) => {
      before.delete(name);
      before.delete("session_id");
      return before;
    }, { replace: true, preventScrollReset: true });
  }, [isThere, name, setParams]);
  return { origin, tidy };
}
