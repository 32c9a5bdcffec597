import type Stripe from "stripe";
import { type Applied, applySteps } from "./apply.ts";
import { readEndpoints } from "./endpoints.ts";
import { planFeatures, planMeters, planProducts } from "./plan_catalogue.ts";
import { type EndpointOptions, planEndpoints } from "./plan_endpoints.ts";
import { planPortals } from "./plan_portals.ts";
import { planPrices } from "./plan_prices.ts";
import { readAccount } from "./read.ts";
import type { CatalogueRows } from "./rows.ts";
import { Draft, type Step } from "./steps.ts";
import { wantedOf } from "./wanted.ts";

/**
 * Puts the catalogue's rows into a Stripe account. One direction: the rows are the truth, Stripe's objects follow. Reading,
 * planning (pure) and applying are separate; `npm run stripe:setup` and the start of the local stack use the same three.
 */

export { deliveryUrl } from "./address.ts";
export { type Applied, markShown, type Shown } from "./apply.ts";
export { API_VERSION, modeOf, stripeClient } from "./client.ts";
export { type EndpointMark, ENDPOINTS } from "./endpoints.ts";
export type { EndpointOptions } from "./plan_endpoints.ts";
export { type CatalogueRows, catalogueRows, readRows } from "./rows.ts";
export { type Change, SetupError, type Step, type StepKind } from "./steps.ts";
export { refTo } from "./wanted.ts";

export interface Plan {
  /** In the order in which they are done. */
  steps: Step[];
  /** What an operator should know and is left to them. */
  notes: string[];
  /** The steps that change something. */
  changes: Step[];
  apply(): Promise<Applied>;
}

/**
 * What must be done so that Stripe has what the rows say (none: only the endpoints) and, when `endpoints` says where, delivers
 * what we use. Changes nothing until it is applied. Throws `SetupError` for rows that Stripe cannot have.
 */
export async function planSetup(
  stripe: Stripe,
  rows: CatalogueRows | null,
  options: { endpoints?: EndpointOptions } = {},
): Promise<Plan> {
  const draft = new Draft();
  const { endpoints } = options;
  const [account, known] = await Promise.all([
    rows === null ? null : readWanted(stripe, rows),
    endpoints === undefined ? [] : readEndpoints(stripe),
  ]);
  if (account) {
    const { wanted, state } = account;
    planProducts(draft, wanted, state);
    planMeters(draft, wanted, state);
    planPrices(draft, wanted, state);
    planFeatures(draft, wanted, state);
    planPortals(draft, wanted, state);
  }
  if (endpoints) planEndpoints(draft, known, endpoints);
  const { steps, notes, ids } = draft;
  const changes = steps.filter(({ calls }) => calls.length > 0);
  return { steps, notes, changes, apply: () => applySteps(stripe, steps, ids) };
}

async function readWanted(stripe: Stripe, rows: CatalogueRows) {
  const wanted = wantedOf(rows);
  return { wanted, state: await readAccount(stripe, wanted) };
}
