import { callingStripe, type Stripe, stripe } from "../stripe.ts";

/**
 * Closes a Checkout session for payment and answers what became of it. One that was paid a moment ago refuses, and is
 * `complete`.
 */
export async function expireSession(
  sessionId: string,
): Promise<Stripe.Checkout.Session["status"]> {
  const session = await callingStripe(() => stripe().checkout.sessions.retrieve(sessionId));
  if (session.status !== "open") return session.status;
  try {
    return (await stripe().checkout.sessions.expire(sessionId)).status;
  } catch (error) {
    const now = await callingStripe(() => stripe().checkout.sessions.retrieve(sessionId));
    if (now.status === "open") await callingStripe(() => Promise.reject(error));
    return now.status;
  }
}
