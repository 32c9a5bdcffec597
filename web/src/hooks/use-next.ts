import { useSearchParams } from "react-router";
import { useCatalogue } from "./use-catalogue.ts";
import { safePath } from "../lib/paths.ts";
import { findPrice } from "../lib/plans.ts";

/** Where a visitor was going before signing in, and the plan's name when it was to a checkout. */
export function useNext(): { next: string; planName: string | null } {
  const [params] = useSearchParams();
  const { data } = useCatalogue();
  const next = safePath(params.get("next"));
  const lookupKey = /^\/checkout\/([a-z0-9_]+)(?:\?|$)/.exec(next)?.[1] ?? null;
  const price = data && findPrice(data, lookupKey);
  const plan = price && data?.plans.find((candidate) => candidate.id === price.planId);
  return { next, planName: plan?.name ?? null };
}
