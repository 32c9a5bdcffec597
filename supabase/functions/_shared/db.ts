/** Everything the use cases ask of the database: the only door to the files in `db/`. */
export {
  adminClient,
  type Client,
  type SecretCall,
  type Trace,
  traced,
  type User,
  type UserCall,
} from "./db/client.ts";
export * from "./db/audit.ts";
export * from "./db/catalogue.ts";
export * from "./db/changes.ts";
export * from "./db/conversations.ts";
export * from "./db/customers.ts";
export * from "./db/events.ts";
export * from "./db/health.ts";
export * from "./db/marketplace.ts";
export * from "./db/messages.ts";
export * from "./db/notifications.ts";
export * from "./db/overage.ts";
export * from "./db/privacy.ts";
export * from "./db/purchases.ts";
export * from "./db/rates.ts";
export * from "./db/reconcile.ts";
export * from "./db/restored.ts";
export * from "./db/sellers.ts";
export * from "./db/sync.ts";
export * from "./db/usage.ts";
