/** Addresses inside one portal session. */
import type { PortalFlowView, PortalView } from "../hosted.ts";

export class PortalPaths {
  readonly entry: string;
  readonly overview: string;
  readonly done: string;
  readonly authenticate: string;
  readonly newCard: string;

  constructor(view: PortalView) {
    this.entry = `/p/session/${encodeURIComponent(view.id)}`;
    this.overview = `${this.entry}/overview`;
    this.done = `${this.entry}/done`;
    this.authenticate = `${this.entry}/authenticate`;
    this.newCard = `${this.entry}/payment-methods/new`;
  }

  card(id: string, action: "default" | "remove"): string {
    return `${this.entry}/payment-methods/${encodeURIComponent(id)}/${action}`;
  }
  cancel(sub: string): string {
    return `${this.#subscription(sub)}/cancel`;
  }
  resume(sub: string): string {
    return `${this.#subscription(sub)}/resume`;
  }
  plan(sub: string): string {
    return `${this.#subscription(sub)}/plan`;
  }
  confirmPlan(sub: string, price?: string, code?: string): string {
    const query = new URLSearchParams({ ...(price && { price }), ...(code && { code }) });
    return `${this.plan(sub)}/confirm${query.size > 0 ? `?${query}` : ""}`;
  }
  planCode(sub: string): string {
    return `${this.plan(sub)}/confirm/promotion-code`;
  }

  /** The page on which a flow begins. */
  step(flow: PortalFlowView): string {
    const sub = flow.subscription ?? "";
    if (flow.type === "payment_method_update") return this.newCard;
    if (flow.type === "subscription_cancel") return this.cancel(sub);
    if (flow.type === "subscription_update" || !flow.price) return this.plan(sub);
    return this.confirmPlan(sub, flow.price);
  }

  #subscription(sub: string): string {
    return `${this.entry}/subscriptions/${encodeURIComponent(sub)}`;
  }
}
