/**
 * `/p/session/:session`: the Billing Portal's routes. A session with a flow opens in the middle of its task and shows
 * nothing else; afterwards it goes where `after_completion` says. Without one the overview is the centre.
 */
import type { Context, Hono } from "hono";
import type {
  PayOutcome,
  PlanChangeOutcome,
  PortalSubscriptionView,
  PortalView,
} from "../hosted.ts";
import { challengePage } from "./challenge.ts";
import { declined, filled, keepable, readCard } from "./fields.ts";
import { secure, webUrl } from "./guard.ts";
import { attempt, formOf, type Kit } from "./kit.ts";
import { message } from "./layout.ts";
import type { Problem } from "./memory.ts";
import { PortalPaths } from "./portal_paths.ts";
import { cancelPage, cardPage, choosePlanPage, confirmPlanPage } from "./portal_tasks.ts";
import { overviewPage } from "./portal_view.ts";

type Answer = Response | Promise<Response>;
/** A request to a known session: its view, its addresses, and how to leave a message on one of its pages. */
interface Visit {
  c: Context;
  kit: Kit;
  view: PortalView;
  paths: PortalPaths;
}

export function mountPortal(app: Hono, kit: Kit): void {
  const root = "/p/session/:session";
  const visit = (run: (visit: Visit) => Answer) => (c: Context) => enter(c, kit, run);
  const post = (run: (visit: Visit, form: URLSearchParams) => string) =>
    visit(async (v) => {
      const form = await formOf(v.c);
      return v.c.redirect(v.kit.once.run(v.c.req.path, form, () => run(v, form)), 303);
    });
  app.get(root, visit(entry));
  app.get(`${root}/overview`, visit(overview));
  app.get(`${root}/done`, visit(done));
  app.get(`${root}/authenticate`, visit(showChallenge));
  app.post(`${root}/authenticate`, post(answerChallenge));
  app.get(`${root}/subscriptions/:sub/cancel`, visit((v) => withSubscription(v, showCancel)));
  app.post(`${root}/subscriptions/:sub/cancel`, post(cancel));
  app.post(`${root}/subscriptions/:sub/resume`, post(resume));
  app.get(`${root}/subscriptions/:sub/plan`, visit((v) => withSubscription(v, showPlans)));
  app.get(
    `${root}/subscriptions/:sub/plan/confirm`,
    visit((v) => withSubscription(v, showPreview)),
  );
  app.post(`${root}/subscriptions/:sub/plan/confirm`, post(changePlan));
  app.get(`${root}/payment-methods/new`, visit(showCard));
  app.post(`${root}/payment-methods/new`, post(saveCard));
  app.post(`${root}/payment-methods/:card/default`, post(setDefault));
  app.post(`${root}/payment-methods/:card/remove`, post(removeCard));
}

function enter(c: Context, kit: Kit, run: (visit: Visit) => Answer): Answer {
  const found = attempt(() => kit.hosted.getPortalView(c.req.param("session") ?? ""));
  if ("refused" in found && found.refused.status === 410) return expiredPage(c);
  const view = "value" in found ? found.value : null;
  if (!view) return unknownPage(c);
  secure(c, [view.return_url, view.flow?.after_completion.redirect]);
  return run({ c, kit, view, paths: new PortalPaths(view) });
}

function entry({ c, view, paths }: Visit): Answer {
  const flow = view.flow;
  if (view.awaiting_authentication) return c.redirect(paths.authenticate, 303);
  if (!flow) return c.redirect(paths.overview, 303);
  return c.redirect(paths.step(flow), 303);
}

function overview({ c, kit, view, paths }: Visit): Answer {
  if (view.awaiting_authentication) return c.redirect(paths.authenticate, 303);
  return c.html(overviewPage(view, paths, kit.flash(c), {
    setDefault: kit.hosted.portalSetDefaultPaymentMethod !== undefined,
    remove: kit.hosted.portalDetachPaymentMethod !== undefined,
  }));
}

/** Where a finished action leads: the flow's own redirect, its message, or the overview with a word of success. */
function finish({ kit, view, paths }: Visit, redirect: string | null, notice: string): string {
  const after = view.flow?.after_completion;
  const to = webUrl(redirect) ?? webUrl(after?.redirect);
  if (view.flow && to) return to;
  if (after?.type === "hosted_confirmation") return paths.done;
  return kit.flashes.leave(paths.overview, { notice });
}

function again(visit: Visit, path: string, problems: Problem[], form?: URLSearchParams): string {
  return visit.kit.flashes.leave(path, { problems, ...(form ? { values: keepable(form) } : {}) });
}

function withSubscription(
  visit: Visit,
  run: (visit: Visit, sub: PortalSubscriptionView) => Answer,
): Answer {
  const sub = subscriptionOf(visit);
  return sub ? run(visit, sub) : noSubscription(visit);
}

const subscriptionOf = (visit: Visit): PortalSubscriptionView | undefined =>
  visit.view.subscriptions.find((sub) => sub.id === visit.c.req.param("sub"));

function showCancel(visit: Visit, sub: PortalSubscriptionView): Answer {
  const { c, kit, view, paths } = visit;
  if (!view.features.subscription_cancel) return notOffered(visit);
  return c.html(cancelPage(view, sub, paths, kit.flash(c)));
}

function cancel(visit: Visit, form: URLSearchParams): string {
  const { kit, view, paths } = visit;
  const sub = subscriptionOf(visit);
  if (!sub) return paths.overview;
  const notice = "Your subscription was canceled.";
  if (sub.ends_at !== null || sub.status === "canceled") return finish(visit, null, notice);
  const feedback = view.features.cancellation_reasons.find((reason) =>
    reason === form.get("feedback")
  );
  const comment = (form.get("comment") ?? "").trim().slice(0, 500);
  const tried = attempt(() =>
    kit.hosted.portalCancel(view.id, sub.id, {
      ...(feedback ? { feedback } : {}),
      ...(comment ? { comment } : {}),
    })
  );
  if ("refused" in tried) {
    return again(
      visit,
      paths.cancel(sub.id),
      [{ field: null, message: tried.refused.message }],
      form,
    );
  }
  return finish(visit, tried.value.redirect, notice);
}

function resume(visit: Visit): string {
  const { kit, view, paths } = visit;
  const sub = subscriptionOf(visit);
  if (!sub) return paths.overview;
  const notice = "Your subscription goes on.";
  if (sub.ends_at === null) return kit.flashes.leave(paths.overview, { notice });
  const tried = attempt(() => kit.hosted.portalResume(view.id, sub.id));
  if ("refused" in tried) {
    return again(visit, paths.overview, [{ field: null, message: tried.refused.message }]);
  }
  return kit.flashes.leave(paths.overview, { notice });
}

function showPlans(visit: Visit, sub: PortalSubscriptionView): Answer {
  const { c, kit, view, paths } = visit;
  if (!view.features.subscription_update) return notOffered(visit);
  return c.html(choosePlanPage(view, sub, paths, kit.flash(c)));
}

function showPreview(visit: Visit, sub: PortalSubscriptionView): Answer {
  const { c, kit, view, paths } = visit;
  if (!view.features.subscription_update) return notOffered(visit);
  const problem = (text: string) =>
    c.redirect(again(visit, paths.plan(sub.id), [{ field: null, message: text }]), 303);
  const price = view.prices.find((each) => each.id === c.req.query("price"));
  if (!price) return problem("Choose the plan you want.");
  const input = { price: price.id, quantity: quantityOf(visit, sub) };
  if (price.id === sub.price?.id && input.quantity === sub.quantity) {
    return problem("This is the plan you have. Choose another one.");
  }
  const preview = attempt(() => kit.hosted.portalPreviewPlan(view.id, sub.id, input));
  if ("refused" in preview) return problem(preview.refused.message);
  return c.html(
    confirmPlanPage({
      view,
      sub,
      price,
      input,
      preview: preview.value,
      paths,
      flash: kit.flash(c),
    }),
  );
}

/** Only a confirm flow may change the quantity; a person changes the plan. */
const quantityOf = ({ view }: Visit, sub: PortalSubscriptionView): number =>
  view.flow?.quantity ?? sub.quantity;

function changePlan(visit: Visit, form: URLSearchParams): string {
  const { kit, view, paths } = visit;
  const sub = subscriptionOf(visit);
  if (!sub) return paths.overview;
  const price = view.prices.find((each) => each.id === form.get("price"));
  if (!price) {
    return again(visit, paths.plan(sub.id), [{
      field: null,
      message: "Choose the plan you want.",
    }]);
  }
  const notice = `You are on ${price.product_name} now.`;
  const quantity = quantityOf(visit, sub);
  if (price.id === sub.price?.id && quantity === sub.quantity) return finish(visit, null, notice);
  const tried = attempt(() =>
    kit.hosted.portalChangePlan(view.id, sub.id, { price: price.id, quantity })
  );
  const back = (problem: Problem) => again(visit, paths.confirmPlan(sub.id, price.id), [problem]);
  if ("refused" in tried) return back({ field: null, message: tried.refused.message });
  return settle(visit, tried.value, notice, back);
}

function settle(
  visit: Visit,
  outcome: PayOutcome | PlanChangeOutcome,
  notice: string,
  back: (problem: Problem) => string,
): string {
  if (outcome.outcome === "declined") return back(declined(outcome));
  if (outcome.outcome === "requires_action") return visit.paths.authenticate;
  return finish(visit, outcome.redirect, notice);
}

function showCard(visit: Visit): Answer {
  const { c, kit, view, paths } = visit;
  if (!view.features.payment_method_update) return notOffered(visit);
  return c.html(cardPage(view, paths, kit.flash(c)));
}

function saveCard(visit: Visit, form: URLSearchParams): string {
  const { kit, view, paths } = visit;
  const values = filled(form);
  if (values) return kit.flashes.leave(paths.newCard, { values });
  const back = (...problems: Problem[]) => again(visit, paths.newCard, problems, form);
  const card = readCard(form);
  if ("problems" in card) return back(...card.problems);
  const tried = attempt(() => kit.hosted.portalUpdatePaymentMethod(view.id, card.card));
  if ("refused" in tried) return back({ field: null, message: tried.refused.message });
  return settle(visit, tried.value, "Your card was saved and will be used from now on.", back);
}

function setDefault(visit: Visit): string {
  const { kit, view, c } = visit;
  const id = c.req.param("card") ?? "";
  return cardAction(
    visit,
    () => kit.hosted.portalSetDefaultPaymentMethod?.(view.id, id),
    "Default card changed.",
  );
}

function removeCard(visit: Visit): string {
  const { kit, view, c } = visit;
  const id = c.req.param("card") ?? "";
  return cardAction(
    visit,
    () => kit.hosted.portalDetachPaymentMethod?.(view.id, id),
    "The card was removed.",
  );
}

function cardAction(visit: Visit, run: () => unknown, notice: string): string {
  const tried = attempt(run);
  if ("refused" in tried) {
    return again(visit, visit.paths.overview, [{ field: null, message: tried.refused.message }]);
  }
  return visit.kit.flashes.leave(visit.paths.overview, { notice });
}

function showChallenge({ c, kit, view, paths }: Visit): Answer {
  if (!view.awaiting_authentication) return c.redirect(paths.entry, 303);
  return c.html(challengePage({
    action: paths.authenticate,
    merchant: view.merchant_name,
    amount: null,
    flash: kit.flash(c),
  }));
}

function answerChallenge(visit: Visit, form: URLSearchParams): string {
  const { kit, view, paths } = visit;
  const answer = form.get("answer");
  if (!view.awaiting_authentication || (answer !== "complete" && answer !== "fail")) {
    return paths.entry;
  }
  const tried = attempt(() =>
    kit.hosted.portalConfirmAuthentication(view.id, answer === "complete")
  );
  // In a flow the overview is not shown: the message goes to the step that asked for the authentication.
  const home = view.flow ? paths.step(view.flow) : paths.overview;
  const back = (problem: Problem) => again(visit, home, [problem]);
  if ("refused" in tried) return back({ field: null, message: tried.refused.message });
  return settle(visit, tried.value, "Authentication complete.", back);
}

function done({ c, view }: Visit): Answer {
  const to = webUrl(view.return_url);
  return c.html(message({
    title: "Done",
    text: view.flow?.after_completion.message ?? "Your change was saved.",
    icon: "done",
    links: to ? [{ href: to, label: `Return to ${view.merchant_name}`, primary: true }] : [],
  }));
}

function noSubscription({ c, view }: Visit): Answer {
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

function notOffered({ c, view, paths }: Visit): Answer {
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
