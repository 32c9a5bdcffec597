/** A request to a portal session: finding it, leaving messages, and where finished actions lead. */
import type { Context } from "hono";
import type { PayOutcome, PlanChangeOutcome, PortalView } from "../hosted.ts";
import { declined, keepable } from "./fields.ts";
import { secure, webUrl } from "./guard.ts";
import { attempt, type Kit } from "./kit.ts";
import { message } from "./layout.ts";
import type { Problem } from "./memory.ts";
import { PortalPaths } from "./portal_paths.ts";

export type Answer = Response | Promise<Response>;
/** A request to a known session: its view, its addresses, and how to leave a message on one of its pages. */
export interface Visit {
  c: Context;
  kit: Kit;
  view: PortalView;
  paths: PortalPaths;
}

export function enter(c: Context, kit: Kit, run: (visit: Visit) => Answer): Answer {
  const found = attempt(() => kit.hosted.getPortalView(c.req.param("session") ?? ""));
  if ("refused" in found && found.refused.status === 410) return expiredPage(c);
  const view = "value" in found ? found.value : null;
  if (!view) return unknownPage(c);
  secure(c, [view.return_url, view.flow?.after_completion.redirect]);
  return run({ c, kit, view, paths: new PortalPaths(view) });
}

/** Where a finished action leads: the flow's own redirect, its message, or the overview with a word of success. */
export function finish(
  { kit, view, paths }: Visit,
  redirect: string | null,
  notice: string,
): string {
  const after = view.flow?.after_completion;
  const to = webUrl(redirect) ?? webUrl(after?.redirect);
  if (view.flow && to) return to;
  if (after?.type === "hosted_confirmation") return paths.done;
  return kit.flashes.leave(paths.overview, { notice });
}

export function again(
  visit: Visit,
  path: string,
  problems: Problem[],
  form?: URLSearchParams,
): string {
  return visit.kit.flashes.leave(path, { problems, ...(form ? { values: keepable(form) } : {}) });
}

export function settle(
  visit: Visit,
  outcome: PayOutcome | PlanChangeOutcome,
  notice: string,
  back: (problem: Problem) => string,
): string {
  if (outcome.outcome === "declined") return back(declined(outcome));
  if (outcome.outcome === "requires_action") return visit.paths.authenticate;
  return finish(visit, outcome.redirect, notice);
}

export function noSubscription({ c, view }: Visit): Answer {
  const to = webUrl(view.return_url);
  return c.html(
    message({
      title: "There is nothing to change",
      text: "This subscription has ended or belongs to somebody else.",
      links: to ? [{ href: to, label: `Return to ${view.merchant_name}`, primary: true }] : [],
    }),
    404,
  );
}

export function notOffered({ c, view, paths }: Visit): Answer {
  return c.html(
    message({
      title: `${view.merchant_name} does not offer this here`,
      text: "The portal's configuration has this step switched off.",
      links: [{ href: paths.overview, label: "Back to billing" }],
    }),
    403,
  );
}

function unknownPage(c: Context): Answer {
  return c.html(
    message({
      title: "There is no such billing page",
      text:
        "The address may be cut off, or the sandbox was reset since it was made. Open billing again from the app.",
    }),
    404,
  );
}

function expiredPage(c: Context): Answer {
  return c.html(
    message({
      title: "This billing page has expired",
      text: "Links to billing work for a short time only. Open billing again from the app.",
      icon: "wait",
    }),
    410,
  );
}
