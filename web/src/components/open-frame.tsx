import { useSession } from "../hooks/use-session.tsx";
import { AppShell } from "./app-shell.tsx";
import { PageLoading } from "./page.tsx";
import { SiteLayout } from "./site-layout.tsx";

/** Pages for everybody: inside the shell for who is signed in, and under the site's header for who is not. */
export function OpenFrame() {
  const session = useSession();
  if (session.status === "loading") return <PageLoading />;
  return session.status === "signed-in" ? <AppShell /> : <SiteLayout />;
}
