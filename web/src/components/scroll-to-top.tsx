import { useEffect, useRef } from "react";
import { useLocation } from "react-router";

/** A new page begins at its top, and a screen reader begins at its content. */
export function ScrollToTop() {
  const { pathname } = useLocation();
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    const inField = document.activeElement?.matches("input, textarea");
    if (!inField) document.getElementById("main")?.focus({ preventScroll: true });
  }, [pathname]);
  return null;
}
