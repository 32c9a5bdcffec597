import type Stripe from "stripe";
import type { Account } from "./read.ts";
import { became, type Draft, SetupError, update } from "./steps.ts";
import { resolvedIn, type Wanted } from "./wanted.ts";

/** The Billing Portal's configurations. Pure. */

type Features = Stripe.BillingPortal.ConfigurationCreateParams.Features;

/**
 * supabase/functions finds the configurations by these values of `metadata.tollgate`. In the second nothing can be switched: the
 * portal would offer the plans also to the subscription of a licence, whose payments are its creator's.
 */
const PORTALS = ["portal", "portal_licences"] as const;
const PATH = "/v1/billing_portal/configurations";
/** Stripe's limit. */
const MOST_PRODUCTS = 10;

export function planPortals(draft: Draft, wanted: Wanted, account: Account): void {
  const products = switchable(wanted);
  if (products.length === 0) return;
  if (products.length > MOST_PRODUCTS) {
    throw new SetupError(
      `${products.length} plans are sold, and Stripe's portal offers ${MOST_PRODUCTS} products at most.`,
    );
  }
  for (const mark of PORTALS) {
    const ours = account.portals.filter(({ metadata }) => metadata?.["tollgate"] === mark);
    // The functions take the oldest that is active.
    const known = ours.toSorted((a, b) =>
      Number(b.active) - Number(a.active) || a.created - b.created
    )[0];
    planPortal(draft, mark, featuresOf(mark, products), known);
    const more = ours.filter(({ id, active }) => active && id !== known?.id);
    for (const { id } of more) {
      draft.notes.push(`The portal configuration ${id} says it is "${mark}" too, and is not used.`);
    }
  }
}

function planPortal(
  draft: Draft,
  mark: typeof PORTALS[number],
  features: Features,
  known: Stripe.BillingPortal.Configuration | undefined,
): void {
  const metadata = { tollgate: mark };
  if (known === undefined) {
    draft.add({
      kind: "portal",
      name: mark,
      change: "create",
      details: [mark === "portal" ? "plans can be switched" : "nothing can be switched"],
      calls: [{
        method: "POST",
        path: PATH,
        params: { features, metadata },
        creates: { ref: "", once: mark },
      }],
    });
    return;
  }
  const details = differences(known.features, resolvedIn(features, (ref) => draft.known(ref)), "");
  if (!known.active) details.push("inactive → active");
  if (details.length === 0) return draft.keep("portal", mark, known.id);
  const params = { features, ...(!known.active && { active: true }) };
  draft.add({
    kind: "portal",
    name: mark,
    change: "update",
    details,
    calls: [update(`${PATH}/${known.id}`, params)],
  });
}

/** The plans on sale with their prices, as references. */
function switchable({ prices }: Wanted): { product: string; prices: string[] }[] {
  const plans = prices.filter(({ isPlan }) => isPlan);
  return [...Map.groupBy(plans, ({ terms }) => terms.product)]
    .map(([product, of]) => ({ product, prices: of.map(({ ref }) => ref) }));
}

function featuresOf(
  mark: typeof PORTALS[number],
  products: { product: string; prices: string[] }[],
): Features {
  return {
    customer_update: { enabled: true, allowed_updates: ["email", "name", "address", "tax_id"] },
    invoice_history: { enabled: true },
    payment_method_update: { enabled: true },
    subscription_cancel: { enabled: true, mode: "at_period_end" },
    subscription_update: mark === "portal_licences" ? { enabled: false } : {
      enabled: true,
      default_allowed_updates: ["price", "promotion_code"],
      // At once: pending prorations of a plan that is then cancelled may never be paid.
      proration_behavior: "always_invoice",
      products,
    },
  };
}

/** Of what was asked for; Stripe's answer has fields of its own. Lists are sets: Stripe keeps an order of its own. */
function differences(theirs: unknown, wanted: unknown, path: string): string[] {
  if (isRecord(wanted)) {
    const known = isRecord(theirs) ? theirs : {};
    return Object.entries(wanted).flatMap(([name, value]) =>
      differences(known[name], value, path === "" ? name : `${path}.${name}`)
    );
  }
  if (sorted(theirs) === sorted(wanted)) return [];
  if (path.endsWith(".products")) return ["the plans and prices to switch to"];
  return [`${path} ${became(theirs, wanted)}`];
}

function sorted(value: unknown): string {
  if (!Array.isArray(value)) return JSON.stringify(value ?? null);
  return JSON.stringify(value.map(essence).toSorted());
}

/** Of an offered product what we say of it. */
function essence(value: unknown): string {
  if (!isRecord(value)) return JSON.stringify(value);
  return `${String(value["product"])} ${sorted(value["prices"])}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
