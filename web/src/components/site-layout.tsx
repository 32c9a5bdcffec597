import { Link, Outlet } from "react-router";
import { useSession } from "../hooks/use-session.tsx";
import { ConnectivityBanner } from "./connectivity-banner.tsx";
import { Logo } from "./logo.tsx";
import { PaymentBanner } from "./payment-banner.tsx";
import { SkipLink } from "./skip-link.tsx";
import { ThemeToggle } from "./theme-choice.tsx";
import { Button } from "./ui/button.tsx";

/** Header and footer of the pages that need no account. */
export function SiteLayout() {
  return (
    <div className="flex min-h-dvh flex-col">
      <SkipLink />
      <ConnectivityBanner />
      <PaymentBanner />
      <SiteHeader />
      <main id="main" tabIndex={-1} className="flex-1 focus:outline-none">
        <Outlet />
      </main>
      <footer className="border-t border-line">
        <div className="mx-auto flex w-full max-w-6xl flex-wrap items-center justify-between gap-x-8 gap-y-3 px-5 py-8 text-sm text-muted">
          <Logo className="text-ink" />
          <nav aria-label="More" className="flex gap-5">
            <Link to="/marketplace" className="rounded underline-offset-4 hover:underline">
              Marketplace
            </Link>
            <Link to="/pricing" className="rounded underline-offset-4 hover:underline">
              Pricing
            </Link>
          </nav>
          <p>Daily allowances begin again at 00:00 UTC. Payments are handled by Stripe.</p>
        </div>
      </footer>
    </div>
  );
}

function SiteHeader() {
  const session = useSession();
  return (
    <header className="mx-auto flex w-full max-w-6xl items-center justify-between gap-3 px-5 py-4">
      <Link to="/" aria-label="Tollgate, home" className="rounded-lg">
        <Logo />
      </Link>
      <nav aria-label="Main" className="flex items-center gap-1 sm:gap-2">
        <Button variant="ghost" size="sm" asChild className="max-sm:hidden">
          <Link to="/marketplace">Marketplace</Link>
        </Button>
        <Button variant="ghost" size="sm" asChild className="max-sm:hidden">
          <Link to="/pricing">Pricing</Link>
        </Button>
        <ThemeToggle />
        {session.status === "loading" && <div aria-hidden className="h-9 w-24" />}
        {session.status === "signed-in" && (
          <Button size="sm" asChild>
            <Link to="/chat">Open chat</Link>
          </Button>
        )}
        {session.status === "signed-out" && (
          <>
            <Button variant="ghost" size="sm" asChild>
              <Link to="/sign-in">Sign in</Link>
            </Button>
            <Button size="sm" asChild className="max-[400px]:hidden">
              <Link to="/sign-up">Sign up</Link>
            </Button>
          </>
        )}
      </nav>
    </header>
  );
}
