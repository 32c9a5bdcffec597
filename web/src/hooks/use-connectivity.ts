import { useEffect, useState, useSyncExternalStore } from "react";
import { isReachable, onReachableChange, reportReachable } from "../lib/connectivity.ts";

export type Connectivity = "ok" | "offline" | "unreachable";

/** `offline` only when the browser says so and a request really failed; see lib/connectivity.ts. */
export function useConnectivity(): Connectivity {
  const reachable = useSyncExternalStore(onReachableChange, isReachable);
  const [wentOffline, setWentOffline] = useState(false);

  useEffect(() => {
    const offline = () => setWentOffline(true);
    const online = () => {
      setWentOffline(false);
      reportReachable();
    };
    addEventListener("offline", offline);
    addEventListener("online", online);
    return () => {
      removeEventListener("offline", offline);
      removeEventListener("online", online);
    };
  }, []);

  if (wentOffline) return "offline";
  if (reachable) return "ok";
  return navigator.onLine ? "unreachable" : "offline";
}
