/**
 * What an app takes of Tollgate: a provider for its Supabase client, hooks, and the components that this project's own
 * web client is made of. docs/adopt.md says what they need.
 */

export { type Connection } from "../api/index.ts";
export { LimitPanel } from "../components/limit-panel.tsx";
export { ErrorNotice } from "../components/notice.tsx";
export { PlanBoard, PlanBoardSkeleton } from "../components/plan-board.tsx";
export { SpendMeter } from "../components/spend-meter.tsx";
export { UsageMeter as UsageBar } from "../components/usage-meter.tsx";
export { UsageMeters as UsageBars } from "../components/usage-meters.tsx";
export { useConfirmation, useSyncOnce } from "../hooks/use-sync.ts";
export { useCheckout } from "../hooks/use-checkout.ts";
export { useOverage } from "../hooks/use-overage.ts";
export { usePortal } from "../hooks/use-portal.ts";
export { useSession, useSignOut } from "../hooks/use-session.tsx";
export { useSubscription as useEntitlements } from "../hooks/use-subscription.ts";
export { useTariff as usePlans } from "../hooks/use-tariff.ts";
export { useRefusal, useUsage } from "../hooks/use-usage.ts";
export { ApiError, explain } from "../lib/errors.ts";
export { type Host, type LinkProps } from "./host.tsx";
export { TollgateProvider, type TollgateProviderProps } from "./provider.tsx";
