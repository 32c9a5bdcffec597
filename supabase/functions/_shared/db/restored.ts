import type { LostSale } from "../domain/purchase.ts";
import { type Client, rows } from "./client.ts";

/** Binds a customer to the user whose id Stripe has of us: linked, known, no_user or other_customer. */
export function adoptCustomer(admin: Client, userId: string, customer: string): Promise<string> {
  return rows(admin.rpc("adopt_customer", {
    p_user_id: userId,
    p_stripe_customer_id: customer,
  }));
}

/** Makes the row of a sale again: recreated, known or lost. */
export function adoptPurchase(admin: Client, sale: LostSale): Promise<string> {
  return rows(admin.rpc("adopt_purchase", {
    p_purchase_id: sale.purchase,
    p_session_id: sale.session,
    p_buyer_id: sale.buyer,
    p_listing_id: sale.listing,
    p_kind: sale.kind,
    p_amount_minor: sale.amountMinor,
    p_currency: sale.currency,
    p_fee_bps: sale.feeBps,
    p_fee_minor: sale.feeMinor,
  }));
}
