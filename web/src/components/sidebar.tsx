import {
  Bot,
  ChartColumn,
  CreditCard,
  HandCoins,
  LibraryBig,
  PenLine,
  Store,
  Tags,
} from "lucide-react";
import type { ComponentType } from "react";
import { Link, NavLink } from "react-router";
import { cn } from "../lib/cn.ts";
import { ConversationList } from "./chat/conversation-list.tsx";
import { Logo } from "./logo.tsx";
import { NotificationBell } from "./notification-bell.tsx";
import { Badge } from "./ui/badge.tsx";
import { Button } from "./ui/button.tsx";
import { UsageBars, useEntitlements } from "../tollgate/index.ts";

interface SidebarProps {
  email: string;
  /** A link was followed: on a phone the sheet closes. */
  onNavigate?: () => void;
}

export function Sidebar({ email, onNavigate }: SidebarProps) {
  return (
    <>
      <div className="flex h-14 shrink-0 items-center justify-between pr-3 pl-4">
        <Link to="/chat" aria-label="Tollgate, chat" className="rounded-lg" onClick={onNavigate}>
          <Logo />
        </Link>
        {/* In the sheet of a phone its place is the close button's; there it is in the header. */}
        {!onNavigate && <NotificationBell align="start" />}
      </div>
      <div className="px-3 pt-1 pb-3">
        <Button variant="outline" asChild className="w-full justify-start px-3">
          <Link to="/chat" onClick={onNavigate}>
            <PenLine aria-hidden />
            New chat
          </Link>
        </Button>
      </div>
      <nav aria-label="Conversations" className="min-h-0 flex-1 overflow-y-auto px-3">
        <ConversationList onNavigate={onNavigate} />
      </nav>
      <SidebarUsage />
      <nav aria-label="Main" className="grid grid-cols-2 gap-0.5 border-t border-line p-3">
        <SidebarLink to="/marketplace" icon={Store} label="Marketplace" onNavigate={onNavigate} />
        <SidebarLink to="/library" icon={LibraryBig} label="Library" onNavigate={onNavigate} />
        <SidebarLink to="/sell" icon={HandCoins} label="Sell" onNavigate={onNavigate} />
        <SidebarLink to="/agents" icon={Bot} label="Agents" onNavigate={onNavigate} />
        <SidebarLink to="/usage" icon={ChartColumn} label="Usage" onNavigate={onNavigate} />
        <SidebarLink to="/pricing" icon={Tags} label="Pricing" onNavigate={onNavigate} />
        <SidebarLink to="/account" icon={CreditCard} label="Account" onNavigate={onNavigate} />
        <p className="col-span-2 truncate px-2.5 pt-1.5 text-xs text-muted" title={email}>
          {email}
        </p>
      </nav>
    </>
  );
}

function SidebarUsage() {
  const { entitlements } = useEntitlements();
  return (
    <section
      aria-label="Usage at a glance"
      className="grid grid-cols-[minmax(0,1fr)] gap-3.5 border-t border-line px-6 py-4"
    >
      <div className="flex min-h-6 min-w-0 items-center justify-between gap-3">
        <h2 className="text-xs font-semibold text-muted">Usage</h2>
        {entitlements && <Badge tone="good">{entitlements.plan.name}</Badge>}
      </div>
      <UsageBars compact />
    </section>
  );
}

interface SidebarLinkProps {
  to: string;
  icon: ComponentType<{ className?: string; "aria-hidden"?: boolean }>;
  label: string;
  onNavigate?: () => void;
}

function SidebarLink({ to, icon: Icon, label, onNavigate }: SidebarLinkProps) {
  return (
    <NavLink
      to={to}
      onClick={onNavigate}
      className={({ isActive }) =>
        cn(
          "flex h-9 min-w-0 items-center gap-2 rounded-lg px-2.5 text-sm font-medium transition-colors",
          isActive ? "bg-brand-soft text-brand-text" : "text-ink hover:bg-ink/6",
        )}
    >
      <Icon aria-hidden className="size-4 shrink-0 text-muted" />
      {label}
    </NavLink>
  );
}
