import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { signOut as endSession, type User, watchUser } from "../api/index.ts";
import { forgetDrafts } from "../lib/drafts.ts";

export type Session =
  | { status: "loading" }
  /** `asked`: by the person on this page, and not because the session ended or another tab left. */
  | { status: "signed-out"; asked: boolean }
  | { status: "signed-in"; user: User };

interface SessionValue {
  session: Session;
  signOut: () => Promise<void>;
}

const SessionContext = createContext<SessionValue>({
  session: { status: "loading" },
  signOut: () => Promise.resolve(),
});

/** Follows Supabase Auth, also when another tab signs in or out. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const [session, setSession] = useState<Session>({ status: "loading" });
  const lastUser = useRef<string | null>(null);
  const asked = useRef(false);
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
      if (user) asked.current = false;
      setSession((before) =>
        before.status === "signed-in" && user && before.user.id === user.id
          ? before
          : user
          ? { status: "signed-in", user }
          : { status: "signed-out", asked: asked.current }
      );
    }), [queries]);

  const signOut = useCallback(() => {
    asked.current = true;
    return endSession();
  }, []);
  const value = useMemo(() => ({ session, signOut }), [session, signOut]);
  return <SessionContext value={value}>{children}</SessionContext>;
}

export function useSession(): Session {
  return useContext(SessionContext).session;
}

export function useSignOut(): () => Promise<void> {
  return useContext(SessionContext).signOut;
}
