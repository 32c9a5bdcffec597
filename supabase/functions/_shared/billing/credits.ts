import { creditDue, type CreditOrder, hasEnded, paidCredit } from "../domain/credits.ts";
import { log } from "../log.ts";
import { callingStripe, isInvalidRequest, type Stripe, stripe } from "../stripe.ts";

const MAX_SESSIONS = 1_000;
const MAX_GRANTS = 1_000;
const MAX_DISPUTES = 100;

type Grant = Stripe.Billing.CreditGrant;

/**
 * Gives a customer the credit they have paid for, once per checkout, and takes back what was refunded or is disputed. Looks at
 * what Stripe has now, so it may be called from the webhook, from the way back and by reconcile, in any order and again.
 */
export async function fulfilCredits(customer: string): Promise<void> {
  const sessions = await callingStripe(() =>
    stripe().checkout.sessions.list({
      customer,
      status: "complete",
      limit: 100,
      expand: ["data.payment_intent.latest_charge"],
    }).autoPagingToArray({ limit: MAX_SESSIONS })
  );
  const orders = sessions.flatMap((session) => paidCredit(session) ?? []);
  if (orders.length === 0) return;
  const grants = await callingStripe(() =>
    stripe().billing.creditGrants.list({ customer, limit: 100 })
      .autoPagingToArray({ limit: MAX_GRANTS })
  );
  for (const order of orders) {
    const own = grants.filter(({ metadata }) => metadata["checkout_session"] === order.session);
    await settle(customer, order, own);
  }
}

async function settle(customer: string, order: CreditOrder, grants: Grant[]): Promise<void> {
  const { due, grantsDue } = creditDue(order, await disputesOf(order));
  if (!due) {
    for (const grant of grants) await takeBack(grant, order);
    return;
  }
  // Voided while it was disputed, as if it had never been: after the dispute was won it is given again. What an operator
  // has voided is not.
  const gone = grants.every(({ voided_at }) => voided_at !== null);
  if (gone && grants.length < grantsDue) await grantCredit(customer, order, grants.length);
}

async function disputesOf(
  { disputed, paymentIntent }: CreditOrder,
): Promise<Stripe.Dispute[]> {
  if (!disputed || paymentIntent === null) return [];
  return await callingStripe(() =>
    stripe().disputes.list({ payment_intent: paymentIntent, limit: 100 })
      .autoPagingToArray({ limit: MAX_DISPUTES })
  );
}

/** The key makes one grant of two calls at the same moment; later ones see it in the list. */
async function grantCredit(customer: string, order: CreditOrder, before: number): Promise<void> {
  const { session, currency, creditMinor, expiresAt, name } = order;
  await callingStripe(() =>
    stripe().billing.creditGrants.create({
      customer,
      category: "paid",
      name,
      amount: { type: "monetary", monetary: { currency, value: creditMinor } },
      applicability_config: { scope: { price_type: "metered" } },
      ...(expiresAt !== null && { expires_at: expiresAt }),
      metadata: { checkout_session: session },
    }, { idempotencyKey: before === 0 ? `credit:${session}` : `credit:${session}:${before}` })
  );
}

/** Nothing used yet: as if it had never been. Otherwise the rest of it ends. */
async function takeBack(grant: Grant, { expiresAt }: CreditOrder): Promise<void> {
  if (hasEnded(grant, Date.now() / 1000)) return;
  log("warn", "credit_taken_back", { grant: grant.id });
  try {
    await stripe().billing.creditGrants.voidGrant(grant.id);
  } catch (error) {
    if (!isInvalidRequest(error)) return await callingStripe(() => Promise.reject(error));
    await endGrant(grant.id, expiresAt);
  }
}

async function endGrant(id: string, expiresAt: number | null): Promise<void> {
  try {
    await stripe().billing.creditGrants.expire(id);
  } catch (error) {
    // A refund tells of itself in several events at once: somebody else may have ended it just now. On a test clock that is
    // a time to come, but never the one it was granted with.
    const now = await callingStripe(() => stripe().billing.creditGrants.retrieve(id));
    if (hasEnded(now, Date.now() / 1000) || now.expires_at !== expiresAt) return;
    await callingStripe(() => Promise.reject(error));
  }
}
