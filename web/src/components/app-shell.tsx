import { Menu as MenuIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { Link, Navigate, Outlet, useLocation } from "react-router";
import { useSession } from "../hooks/use-session.tsx";
import { withNext } from "../lib/paths.ts";
import { ConnectivityBanner } from "./connectivity-banner.tsx";
import { Logo } from "./logo.tsx";
import { NotificationAnnouncer, NotificationBell } from "./notification-bell.tsx";
import { PageLoading } from "./page.tsx";
import { PaymentBanner } from "./payment-banner.tsx";
import { Sidebar } from "./sidebar.tsx";
import { SkipLink } from "./skip-link.tsx";
import { Button } from "./ui/button.tsx";
import { Sheet } from "./ui/dialog.tsx";

/** Everything behind the sign-in: sidebar, or a sheet on a phone, and the page. */
export function AppShell() {
  const session = useSession();
  const here = useLocation();
  const [menuOpen, setMenuOpen] = useState(false);
  useEffect(() => setMenuOpen(false), [here.pathname]);

  if (session.status === "loading") return <PageLoading />;
  if (session.status === "signed-out") {
    const next = session.asked ? "/" : withNext("/sign-in", here.pathname + here.search);
    return <Navigate to={next} replace />;
  }
  return (
    <div data-app-shell className="flex h-dvh flex-col">
      <SkipLink />
      <NotificationAnnouncer />
      <ConnectivityBanner />
      <PaymentBanner />
      <div className="flex min-h-0 flex-1">
        <aside
          aria-label="Sidebar"
          className="flex w-72 shrink-0 flex-col border-r border-line bg-sunken max-md:hidden"
        >
          <Sidebar email={session.user.email} />
        </aside>
        <div className="flex min-w-0 flex-1 flex-col">
          <header className="flex h-14 shrink-0 items-center justify-between border-b border-line px-2 md:hidden">
            <Button
              variant="ghost"
              size="icon"
              aria-label="Open menu"
              onClick={() => setMenuOpen(true)}
            >
              <MenuIcon aria-hidden />
            </Button>
            <Link to="/chat" aria-label="Tollgate, chat" className="rounded-lg">
              <Logo />
            </Link>
            <NotificationBell align="end" />
          </header>
          <main id="main" tabIndex={-1} className="min-h-0 flex-1 focus:outline-none">
            <Outlet />
          </main>
        </div>
      </div>
      <Sheet open={menuOpen} onOpenChange={setMenuOpen} title="Menu">
        <Sidebar email={session.user.email} onNavigate={() => setMenuOpen(false)} />
      </Sheet>
    </div>
  );
}
