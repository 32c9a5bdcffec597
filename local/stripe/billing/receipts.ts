/** What the receipt of a payment says. */
import type { Work } from "../engine/work.ts";
import type { ReceiptView } from "../hosted.ts";

/** null for a charge that is not paid: there is no receipt of it. */
export function receiptView(work: Work, id: string): ReceiptView | null {
  const charge = work.find("charge", id);
  if (!charge?.receipt_url) return null;
  const { type, card } = charge.payment_method_details ?? {};
  return {
    id: charge.id,
    merchant_name: work.settings.merchantName,
    created: charge.created,
    currency: charge.currency,
    amount: charge.amount_captured,
    amount_refunded: charge.amount_refunded,
    description: charge.description,
    paid_with: card?.last4 ? `${card.brand ?? "Card"} •••• ${card.last4}` : type ?? "",
  };
}
