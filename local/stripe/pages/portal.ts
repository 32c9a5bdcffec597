/**
 * `/p/session/:session`: the Billing Portal's routes. A session with a flow opens in the middle of its task and shows
 * nothing else; afterwards it goes where `after_completion` says. Without one the overview is the centre.
 */
import type { Context, Hono } from "hono";
import type { PlanInput, PortalSubscriptionView } from "../hosted.ts";
import { challengePage } from "./challenge.ts";
import { webUrl } from "./guard.ts";
import { attempt, formOf, type Kit } from "./kit.ts";
import { message } from "./layout.ts";
import type { Problem } from "./memory.ts";
import { removeCard, saveCard, setDefault, showCard } from "./portal_cards.ts";
import { cancelPage, choosePlanPage, confirmPlanPage } from "./portal_tasks.ts";
import { overviewPage } from "./portal_view.ts";
import {
  again,
  type Answer,
  enter,
  finish,
  noSubscription,
  notOffered,
  settle,
  type Visit,
} from "./portal_visit.ts";

export function mountPortal(app: Hono, kit: Kit): void {
  const root = "/p/session/:session";
  const visit = (run: (visit: Visit) => Answer) => (c: Context) => enter(c, kit, run);
  // The body first: what a view says must still be true when the action runs, so nothing is awaited in between.
  const post = (run: (visit: Visit, form: URLSearchParams) => string) => async (c: Context) => {
    const form = await formOf(c);
    return await enter(
      c,
      kit,
      (v) => c.redirect(kit.once.run(c.req.path, form, () => run(v, form)), 303),
    );
  };
  app.get(root, visit(entry));
  app.get(`${root}/overview`, visit(overview));
  app.get(`${root}/done`, visit(done));
  app.get(`${root}/authenticate`, visit(showChallenge));
  app.post(`${root}/authenticate`, post(answerChallenge));
  app.get(`${root}/subscriptions/:sub/cancel`, visit((v) => withSubscription(v, showCancel)));
  app.post(`${root}/subscriptions/:sub/cancel`, post(cancel));
  app.post(`${root}/subscriptions/:sub/resume`, post(resume));
  app.get(`${root}/subscriptions/:sub/plan`, visit((v) => withSubscription(v, showPlans)));
  app.post(`${root}/subscriptions/:sub/plan`, post(choosePlan));
  app.get(
    `${root}/subscriptions/:sub/plan/confirm`,
    visit((v) => withSubscription(v, showPreview)),
  );
  app.post(`${root}/subscriptions/:sub/plan/confirm`, post(changePlan));
  app.post(`${root}/subscriptions/:sub/plan/confirm/promotion-code`, post(promotionCode));
  app.get(`${root}/payment-methods/new`, visit(showCard));
  app.post(`${root}/payment-methods/new`, post(saveCard));
  app.post(`${root}/payment-methods/:card/default`, post(setDefault));
  app.post(`${root}/payment-methods/:card/remove`, post(removeCard));
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
    setDefault: true,
    remove: true,
  }));
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

function choosePlan(visit: Visit, form: URLSearchParams): string {
  const { view, paths } = visit;
  const sub = subscriptionOf(visit);
  if (!sub) return paths.overview;
  const price = view.prices.find((each) => each.id === form.get("price"));
  return price ? paths.confirmPlan(sub.id, price.id) : again(visit, paths.plan(sub.id), [NO_PLAN]);
}

const NO_PLAN: Problem = { field: null, message: "Choose the plan you want." };

function showPreview(visit: Visit, sub: PortalSubscriptionView): Answer {
  const { c, kit, view, paths } = visit;
  if (!view.features.subscription_update) return notOffered(visit);
  const problem = (text: string) =>
    c.redirect(again(visit, paths.plan(sub.id), [{ field: null, message: text }]), 303);
  const price = view.prices.find((each) => each.id === c.req.query("price"));
  if (!price) return problem(NO_PLAN.message);
  const input = { price: price.id, quantity: quantityOf(visit, sub) };
  if (price.id === sub.price?.id && input.quantity === sub.quantity) {
    return problem("This is the plan you have. Choose another one.");
  }
  const code = c.req.query("code");
  const preview = attempt(() =>
    kit.hosted.portalPreviewPlan(view.id, sub.id, withCode(input, code))
  );
  if ("refused" in preview) {
    if (code === undefined) return problem(preview.refused.message);
    // A code that was good a moment ago: without it, and the reason beside its field.
    const wrong = { field: "promotion_code", message: preview.refused.message };
    return c.redirect(again(visit, paths.confirmPlan(sub.id, price.id), [wrong]), 303);
  }
  return c.html(
    confirmPlanPage({
      view,
      sub,
      price,
      input,
      code: code ?? null,
      preview: preview.value,
      paths,
      flash: kit.flash(c),
    }),
  );
}

const withCode = (input: PlanInput, code: string | null | undefined): PlanInput =>
  code ? { ...input, promotion_code: code } : input;

function promotionCode(visit: Visit, form: URLSearchParams): string {
  const { kit, view, paths } = visit;
  const sub = subscriptionOf(visit);
  if (!sub) return paths.overview;
  const price = view.prices.find((each) => each.id === form.get("price"));
  if (!price) return again(visit, paths.plan(sub.id), [NO_PLAN]);
  const page = paths.confirmPlan(sub.id, price.id);
  if (form.has("remove")) return page;
  const code = (form.get("promotion_code") ?? "").trim().slice(0, 500);
  const wrong = (message: string) =>
    again(visit, page, [{ field: "promotion_code", message }], form);
  if (code === "") return wrong("Enter a promotion code.");
  const input = withCode({ price: price.id, quantity: quantityOf(visit, sub) }, code);
  const tried = attempt(() => kit.hosted.portalPreviewPlan(view.id, sub.id, input));
  if ("refused" in tried) return wrong(tried.refused.message);
  return paths.confirmPlan(sub.id, price.id, code);
}

/** Only a confirm flow may change the quantity; a person changes the plan. */
const quantityOf = ({ view }: Visit, sub: PortalSubscriptionView): number =>
  view.flow?.quantity ?? sub.quantity;

function changePlan(visit: Visit, form: URLSearchParams): string {
  const { kit, view, paths } = visit;
  const sub = subscriptionOf(visit);
  if (!sub) return paths.overview;
  const price = view.prices.find((each) => each.id === form.get("price"));
  if (!price) return again(visit, paths.plan(sub.id), [NO_PLAN]);
  const notice = `You are on ${price.product_name} now.`;
  const quantity = quantityOf(visit, sub);
  if (price.id === sub.price?.id && quantity === sub.quantity) return finish(visit, null, notice);
  const code = form.get("promotion_code");
  const input = withCode({ price: price.id, quantity }, code);
  const tried = attempt(() => kit.hosted.portalChangePlan(view.id, sub.id, input));
  const back = (problem: Problem) =>
    again(visit, paths.confirmPlan(sub.id, price.id, code ?? undefined), [problem]);
  if ("refused" in tried) return back({ field: null, message: tried.refused.message });
  return settle(visit, tried.value, notice, back);
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
