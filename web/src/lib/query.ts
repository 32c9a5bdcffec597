import { QueryClient } from "@tanstack/react-query";
import { isTransient } from "./errors.ts";

/** Names of cached answers. All but the catalogue, the credit packs and the listings belong to a person and go when the person does. */
export const keys = {
  catalogue: ["catalogue"] as const,
  entitlements: ["me", "entitlements"] as const,
  usage: ["me", "usage"] as const,
  conversations: ["me", "conversations"] as const,
  conversation: (id: string) => ["me", "conversation", id] as const,
  messages: (id: string) => ["me", "messages", id] as const,
  send: (id: string) => ["me", "send", id] as const,
  reply: (id: string) => ["me", "reply", id] as const,
  invoices: ["me", "invoices"] as const,
  preview: (lookupKey: string) => ["me", "preview", lookupKey] as const,
  currency: (subscriptionId: string) => ["me", "currency", subscriptionId] as const,
  agents: ["me", "agents"] as const,
  overage: ["me", "overage"] as const,
  histories: ["me", "history"] as const,
  history: (metric: string, from: string, to: string) =>
    ["me", "history", metric, from, to] as const,
  credits: ["me", "credits"] as const,
  notifications: ["me", "notifications"] as const,
  notificationEmails: ["me", "notification-emails"] as const,
  creditPacks: ["credit-packs"] as const,
  listings: ["listings"] as const,
  found: (address: string, userId: string | null) =>
    ["listings", "found", userId, address] as const,
  listing: (id: string, userId: string | null) => ["listings", "one", userId, id] as const,
  picture: (id: string) => ["listings", "picture", id] as const,
  pictures: (ids: string[]) => ["listings", "pictures", ...ids] as const,
  currencies: ["listings", "currencies"] as const,
  library: ["me", "library"] as const,
  seller: ["me", "seller"] as const,
  ownListings: ["me", "listings"] as const,
  sales: (from: string, to: string) => ["me", "sales", from, to] as const,
  earnings: (from: string, to: string, currency: string) =>
    ["me", "earnings", from, to, currency] as const,
  payouts: ["me", "payouts"] as const,
  /** Mutations that change what is paid: one at a time. */
  billing: ["me", "billing"] as const,
};

export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 20_000,
        // "Offline" by the browser's word would pause requests to a server on this very machine.
        networkMode: "always",
        retry: (failures, error) => failures < 2 && isTransient(error),
        retryDelay: (attempt) => 500 * 2 ** attempt,
      },
      mutations: { networkMode: "always" },
    },
  });
}
