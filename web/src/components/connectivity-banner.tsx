import { useQueryClient } from "@tanstack/react-query";
import { WifiOff } from "lucide-react";
import { useState } from "react";
import { useConnectivity } from "../hooks/use-connectivity.ts";
import { Button } from "./ui/button.tsx";

/** Says once, at the top, that nothing is answered; each place still says what it could not do. */
export function ConnectivityBanner() {
  const connectivity = useConnectivity();
  const queries = useQueryClient();
  const [trying, setTrying] = useState(false);
  const retry = async () => {
    setTrying(true);
    await queries.refetchQueries({ type: "active" }).catch(() => {});
    setTrying(false);
  };
  return (
    <div role="status" className="contents">
      {connectivity !== "ok" && (
        <div className="flex flex-wrap items-center justify-center gap-x-4 gap-y-2 bg-toll px-4 py-2 text-sm font-medium text-on-toll">
          <span className="flex items-center gap-2">
            <WifiOff aria-hidden className="size-4 shrink-0" />
            {connectivity === "offline"
              ? "You are offline. What you type is kept."
              : "We cannot reach the server. What you type is kept."}
          </span>
          <Button
            size="sm"
            variant="ghost"
            className="h-8 border border-on-toll/40 text-on-toll"
            pending={trying}
            onClick={retry}
          >
            Reconnect
          </Button>
        </div>
      )}
    </div>
  );
}
