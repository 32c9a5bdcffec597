import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useRef, useState } from "react";
import { type User, watchUser } from "../api.ts";
import { forgetDrafts } from "../lib/drafts.ts";

export type Session =
  | { status: "loading" }
  | { status: "signed-out" }
  | { status: "signed-in"; user: User };

const SessionContext = createContext<Session>({ status: "loading" });

/** Follows Supabase Auth, also when another tab signs in or out. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const [session, setSession] = useState<Session>({ status: "loading" });
  const lastUser = useRef<string | null>(null);
  const queries = useQueryClient();

  useEffect(() =>
    watchUser((user) => {
      if (lastUser.current !== null && lastUser.current !== user?.id) {
        // The next person on this machine must not see a trace of the last one.
        queries.removeQueries({ queryKey: ["me"] });
        queries.getMutationCache().clear();
        forgetDrafts();
      }
      lastUser.current = user?.id ?? null;
      setSession((before) =>
        before.status === "signed-in" && user && before.user.id === user.id
          ? before
          : user
          ? { status: "signed-in", user }
          : { status: "signed-out" }
      );
    }), [queries]);

  return <SessionContext value={session}>{children}</SessionContext>;
}

export function useSession(): Session {
  return useContext(SessionContext);
}
