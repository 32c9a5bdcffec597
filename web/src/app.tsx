import { type ComponentType, lazy, Suspense, useState } from "react";
import { BrowserRouter, Link, Outlet, Route, Routes } from "react-router";
import { ErrorBoundary } from "./components/error-boundary.tsx";
import { PageLoading } from "./components/page.tsx";
import { ScrollToTop } from "./components/scroll-to-top.tsx";
import { SiteLayout } from "./components/site-layout.tsx";
import { ownConnection } from "./connection.ts";
import { requireEnv } from "./env.ts";
import { TollgateProvider } from "./tollgate/index.ts";

type PageModule = { default: ComponentType };

const Landing = lazy((): Promise<PageModule> => import("./pages/landing.tsx"));
const Pricing = lazy((): Promise<PageModule> => import("./pages/pricing.tsx"));
const SignIn = lazy((): Promise<PageModule> => import("./pages/sign-in.tsx"));
const SignUp = lazy((): Promise<PageModule> => import("./pages/sign-up.tsx"));
const Checkout = lazy((): Promise<PageModule> => import("./pages/checkout.tsx"));
const Chat = lazy((): Promise<PageModule> => import("./pages/chat.tsx"));
const Agents = lazy((): Promise<PageModule> => import("./pages/agents.tsx"));
const Usage = lazy((): Promise<PageModule> => import("./pages/usage.tsx"));
const Account = lazy((): Promise<PageModule> => import("./pages/account.tsx"));
const Marketplace = lazy((): Promise<PageModule> => import("./pages/marketplace.tsx"));
const Listing = lazy((): Promise<PageModule> => import("./pages/listing.tsx"));
const Library = lazy((): Promise<PageModule> => import("./pages/library.tsx"));
const Sell = lazy((): Promise<PageModule> => import("./pages/sell.tsx"));
const SellListing = lazy((): Promise<PageModule> => import("./pages/sell-listing.tsx"));
const OpenFrame = lazy(() =>
  import("./components/open-frame.tsx").then((module) => ({ default: module.OpenFrame }))
);
const AppShell = lazy(() =>
  import("./components/app-shell.tsx").then((module) => ({ default: module.AppShell }))
);
const NotFound = lazy((): Promise<PageModule> => import("./pages/not-found.tsx"));

/** Keeps the frame around a page while the page's own code is loaded. */
function Loading() {
  return (
    <Suspense fallback={<PageLoading />}>
      <Outlet />
    </Suspense>
  );
}

export function App() {
  const [client] = useState(ownConnection);
  return (
    <ErrorBoundary>
      <TollgateProvider client={client} Link={Link} contactEmail={requireEnv().contactEmail}>
        <BrowserRouter>
          <ScrollToTop />
          <Routes>
            <Route element={<SiteLayout />}>
              <Route element={<Loading />}>
                <Route index element={<Landing />} />
                <Route path="pricing" element={<Pricing />} />
                <Route path="checkout/:lookupKey" element={<Checkout />} />
                <Route path="*" element={<NotFound />} />
              </Route>
            </Route>
            <Route element={<Loading />}>
              <Route path="sign-in" element={<SignIn />} />
              <Route path="sign-up" element={<SignUp />} />
            </Route>
            <Route element={<Loading />}>
              <Route element={<OpenFrame />}>
                <Route element={<Loading />}>
                  <Route path="marketplace" element={<Marketplace />} />
                  <Route path="marketplace/:listingId" element={<Listing />} />
                </Route>
              </Route>
              <Route element={<AppShell />}>
                <Route element={<Loading />}>
                  <Route path="library" element={<Library />} />
                  <Route path="sell" element={<Sell />} />
                  <Route path="sell/listings/:listingId" element={<SellListing />} />
                  <Route path="chat/:conversationId?" element={<Chat />} />
                  <Route path="agents" element={<Agents />} />
                  <Route path="usage" element={<Usage />} />
                  <Route path="account" element={<Account />} />
                </Route>
              </Route>
            </Route>
          </Routes>
        </BrowserRouter>
      </TollgateProvider>
    </ErrorBoundary>
  );
}
