import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { returnUrls } from "../domain/redirect.ts";
import { env } from "../env.ts";
import { callingStripe, isCustomerMissing, type Stripe, stripe } from "../stripe.ts";
import { currentRow } from "./subscription.ts";

export type PortalFlow = "cancel" | "update" | "payment_method";

const CONFIGURATION_TTL_MS = 5 * 60_000;
/** Ids by the value of `metadata.tollgate`. */
let configurations: { ids: ReadonlyMap<string, string>; readAt: number } | undefined;

/**
 * Opens Stripe's Billing Portal, at its front page or in the middle of one task.
 *
 * Errors: `customer_not_found` before the first checkout and when Stripe does not know the customer any more (the next
 * checkout makes another), `subscription_not_found` when there is nothing to cancel or change, `billing_unavailable`.
 */
export async function openPortal(
  flow: PortalFlow | undefined,
  call: db.UserCall,
): Promise<{ url: string }> {
  const customer = await db.findCustomer(call.supabase, call.user.id);
  if (customer === null) throw nothingToManage();
  const urls = returnUrls(env().SITE_URL);
  const flowData = flow === undefined ? undefined : await flowFor(flow, call, urls.portal);
  const ours = await configurationFor(flow, call);
  try {
    const session = await stripe().billingPortal.sessions.create({
      customer,
      return_url: urls.portal,
      ...(flowData && { flow_data: flowData }),
      ...(ours && { configuration: ours }),
    });
    return { url: session.url };
  } catch (error) {
    if (isCustomerMissing(error)) throw nothingToManage();
    return await callingStripe(() => Promise.reject(error));
  }
}

function nothingToManage(): AppError {
  return new AppError("customer_not_found", "There is nothing to manage yet.");
}

async function flowFor(
  flow: PortalFlow,
  call: db.UserCall,
  returnUrl: string,
): Promise<Stripe.BillingPortal.SessionCreateParams.FlowData | undefined> {
  const after_completion = { type: "redirect", redirect: { return_url: returnUrl } } as const;
  if (flow === "payment_method") return { type: "payment_method_update", after_completion };

  const live = await currentRow(call);
  if (flow === "update") {
    return {
      type: "subscription_update",
      subscription_update: { subscription: live.id },
      after_completion,
    };
  }
  // Stripe refuses the cancel flow for a subscription that is ending already; the front page offers to resume it.
  if (live.cancel_at_period_end || live.cancel_at !== null) return undefined;
  return {
    type: "subscription_cancel",
    subscription_cancel: { subscription: live.id },
    after_completion,
  };
}

/**
 * The configuration that the catalogue's set-up made; without one Stripe uses the account's default. Whoever pays for a licence
 * by the month gets one in which nothing can be switched: the portal would offer the plans for that subscription too, and its
 * payments are the creator's. Changing one's plan itself names the subscription.
 */
async function configurationFor(
  flow: PortalFlow | undefined,
  { supabase }: db.UserCall,
): Promise<string | undefined> {
  const ids = await ourConfigurations();
  const fixed = flow !== "update" && await db.paysForLicences(supabase);
  if (!fixed) return ids.get("portal");
  const id = ids.get("portal_licences");
  if (id !== undefined) return id;
  throw new AppError("not_configured", "This deployment is not configured.", {
    cause: new Error("Stripe has no portal configuration with metadata tollgate: portal_licences"),
  });
}

async function ourConfigurations(): Promise<ReadonlyMap<string, string>> {
  const now = Date.now();
  if (configurations && now - configurations.readAt < CONFIGURATION_TTL_MS) {
    return configurations.ids;
  }
  const { data } = await callingStripe(() =>
    stripe().billingPortal.configurations.list({ active: true, limit: 100 })
  );
  const ids = new Map(data.flatMap(({ id, metadata }) => {
    const mark = metadata?.["tollgate"];
    return mark === undefined ? [] : [[mark, id] as const];
  }));
  configurations = { ids, readAt: now };
  return ids;
}
