/** Beyond the plan: pay as you go, prepaid credit, and the notices about both. */

import { redirectAnswer } from "../lib/answers.ts";
import type { Overage } from "../lib/overage.ts";
import type { CreditGrant, CreditPack, Notification, NotificationEmails } from "../lib/records.ts";
import {
  creditGrantsAnswer,
  creditPacksAnswer,
  notificationEmailsAnswer,
  notificationsAnswer,
  overageAnswer,
} from "../lib/usage-answers.ts";
import { call, db, rest, understand } from "./client.ts";

const NOTIFICATIONS_SHOWN = 30;

export async function getOverage(): Promise<Overage> {
  return understand(overageAnswer, await rest(db().rpc("my_overage")));
}

/** Says yes to paying beyond the allowance up to a cap in minor units, or no more with null. */
export function setOverage(capMinor: number | null): Promise<Overage> {
  const body = capMinor === null ? { enabled: false } : { enabled: true, cap_minor: capMinor };
  return call("overage", body, overageAnswer);
}

/** Opens a Checkout session for prepaid credit; it comes back to /account?credits=success or cancelled. */
export async function openCreditsCheckout(lookupKey: string): Promise<string> {
  return (await call("credits", { lookup_key: lookupKey }, redirectAnswer)).url;
}

export async function listCreditPacks(): Promise<CreditPack[]> {
  const rows = await rest(
    db().from("credit_packs").select(
      "lookup_key,name,currency,price_minor,credit_minor,expires_days,credit_pack_currency_options(currency,price_minor,credit_minor)",
    ).eq("is_active", true).order("price_minor"),
  );
  return understand(creditPacksAnswer, rows);
}

/** Newest first. */
export async function listCreditGrants(): Promise<CreditGrant[]> {
  const rows = await rest(
    db().from("credit_grants").select(
      "id,name,amount_minor,currency,stripe_created_at,effective_at,expires_at,voided_at",
    ).order("stripe_created_at", { ascending: false }).order("id"),
  );
  return understand(creditGrantsAnswer, rows);
}

/** Newest first. */
export async function listNotifications(): Promise<Notification[]> {
  const rows = await rest(
    db().from("notifications").select("id,kind,title,body,created_at,read_at")
      .order("id", { ascending: false }).limit(NOTIFICATIONS_SHOWN),
  );
  return understand(notificationsAnswer, rows);
}

/** Up to this one: what came after it was not seen yet. */
export async function markNotificationsRead(upTo: number): Promise<void> {
  await rest(db().rpc("mark_notifications_read", { p_up_to: upTo }));
}

export async function getNotificationEmails(): Promise<NotificationEmails> {
  return understand(notificationEmailsAnswer, await rest(db().rpc("my_notification_emails")));
}

export async function setNotificationEmails(isEnabled: boolean): Promise<NotificationEmails> {
  const answer = await rest(db().rpc("set_notification_emails", { p_enabled: isEnabled }));
  return understand(notificationEmailsAnswer, answer);
}
