import { useEffect } from "react";

/** The page's own title; the product's name follows it. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Tollgate` : "Tollgate";
  }, [title]);
}
