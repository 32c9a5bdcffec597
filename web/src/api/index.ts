/**
 * The one door to the server. Pages and hooks call these functions; they answer plain values in the
 * client's own shapes (times in milliseconds) or throw one `ApiError`.
 */

export * from "./agents.ts";
export * from "./auth.ts";
export * from "./billing.ts";
export * from "./chat.ts";
export { connect, type Connection } from "./client.ts";
export * from "./library.ts";
export * from "./marketplace.ts";
export * from "./overage.ts";
export * from "./plans.ts";
export * from "./privacy.ts";
export * from "./seller.ts";
