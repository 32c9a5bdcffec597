import { useMutation } from "@tanstack/react-query";
import { openPortal, type PortalFlow } from "../api/index.ts";

/** Leaves for the billing portal; it comes back to /account?portal=return. */
export function usePortal() {
  return useMutation({
    mutationFn: (flow?: PortalFlow) => openPortal(flow),
    onSuccess: (url) => location.assign(url),
  });
}
