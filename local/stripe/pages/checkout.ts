/** `/c/pay/:session`: pay for, subscribe to, or only save a card. */
import type { Context, Hono } from "hono";
import type { CheckoutView, PayOutcome } from "../hosted.ts";
import { challengePage } from "./challenge.ts";
import { checkoutPage, dueText } from "./checkout_view.ts";
import { declined, filled, keepable, readCard } from "./fields.ts";
import { secure, webUrl } from "./guard.ts";
import { attempt, formOf, type Kit } from "./kit.ts";
import { message } from "./layout.ts";
import type { Flash, Problem } from "./memory.ts";

const pathOf = (id: string): string => `/c/pay/${encodeURIComponent(id)}`;

export function mountCheckout(app: Hono, kit: Kit): void {
  app.get("/c/pay/:session", (c) => show(c, kit));
  app.post("/c/pay/:session", (c) => pay(c, kit));
  app.post("/c/pay/:session/promotion-code", (c) => promotionCode(c, kit));
  app.post("/c/pay/:session/address", (c) => address(c, kit));
  app.get("/c/pay/:session/authenticate", (c) => showChallenge(c, kit));
  app.post("/c/pay/:session/authenticate", (c) => answerChallenge(c, kit));
  app.get("/c/pay/:session/back", (c) => abandon(c, kit));
}

/** The view of a session that can be paid, or the page that says why not. */
function openView(
  c: Context,
  kit: Kit,
): { view: CheckoutView } | { page: Response | Promise<Response> } {
  const view = kit.hosted.getCheckoutView(c.req.param("session") ?? "");
  if (!view) return { page: unknownPage(c) };
  secure(c, [view.success_url, view.cancel_url]);
  if (view.status === "expired") return { page: expiredPage(c, view) };
  if (view.status === "complete") return { page: completePage(c, view) };
  return { view };
}

function show(c: Context, kit: Kit): Response | Promise<Response> {
  const found = openView(c, kit);
  if ("page" in found) return found.page;
  const path = pathOf(found.view.id);
  if (found.view.awaiting_authentication) return c.redirect(`${path}/authenticate`, 303);
  return c.html(checkoutPage(found.view, path, kit.flash(c)));
}

async function pay(c: Context, kit: Kit): Promise<Response> {
  // The body first: the session must still be open when it is paid, so nothing is awaited in between.
  const form = await formOf(c);
  const found = openView(c, kit);
  // The second click of a double click arrives here: it goes where the first one went.
  if ("page" in found) return finished(c, kit) ?? await found.page;
  const { view } = found;
  const path = pathOf(view.id);
  if (view.awaiting_authentication) return c.redirect(`${path}/authenticate`, 303);
  const values = filled(form);
  if (values) return c.redirect(kit.flashes.leave(path, { values }), 303);
  const location = kit.once.run(path, form, () => payWith(kit, view, form));
  return c.redirect(location, 303);
}

function payWith(kit: Kit, view: CheckoutView, form: URLSearchParams): string {
  const path = pathOf(view.id);
  const read = readPayment(view, form);
  const again = (problems: Problem[]) =>
    kit.flashes.leave(path, { problems, values: keepable(form) });
  if ("problems" in read) return again(read.problems);
  const tried = attempt(() => kit.hosted.payCheckout(view.id, read.input));
  if ("refused" in tried) {
    const { message, param = "" } = tried.refused.body;
    const isBank = param.startsWith("sepa_debit") || param.startsWith("us_bank_account");
    return again([{ field: isBank ? "bank_number" : null, message }]);
  }
  return after(path, view, tried.value, again);
}

async function promotionCode(c: Context, kit: Kit): Promise<Response> {
  const form = await formOf(c);
  const found = openView(c, kit);
  if ("page" in found) return await found.page;
  const { view } = found;
  const path = pathOf(view.id);
  if (form.has("remove")) {
    attempt(() => kit.hosted.removePromotionCode(view.id));
    return c.redirect(path, 303);
  }
  const values = { promotion_code: (form.get("promotion_code") ?? "").trim().slice(0, 500) };
  const again = (message: string) => {
    const problems: Problem[] = [{ field: "promotion_code", message }];
    return c.redirect(kit.flashes.leave(path, { problems, values }), 303);
  };
  if (values.promotion_code === "") return again("Enter a promotion code.");
  const tried = attempt(() => kit.hosted.applyPromotionCode(view.id, values.promotion_code));
  if ("refused" in tried) return again(tried.refused.message);
  return tried.value.outcome === "refused" ? again(tried.value.message) : c.redirect(path, 303);
}

async function address(c: Context, kit: Kit): Promise<Response> {
  const form = await formOf(c);
  const found = openView(c, kit);
  if ("page" in found) return await found.page;
  const { view } = found;
  const path = pathOf(view.id);
  const text = (name: string) => (form.get(name) ?? "").trim().slice(0, 20);
  const [country, postal_code] = [text("country").toUpperCase(), text("postal_code") || null];
  const tried = attempt(() => kit.hosted.setBillingAddress(view.id, { country, postal_code }));
  const outcome = "refused" in tried
    ? { outcome: "refused" as const, message: tried.refused.message }
    : tried.value;
  if (outcome.outcome === "applied") return c.redirect(path, 303);
  const field = country === "" ? "country" : "postal_code";
  const values = { country, postal_code: postal_code ?? "" };
  const problems: Problem[] = [{ field, message: outcome.message }];
  return c.redirect(kit.flashes.leave(path, { problems, values }), 303);
}

type Payment = Parameters<Kit["hosted"]["payCheckout"]>[1];

function readPayment(
  view: CheckoutView,
  form: URLSearchParams,
): { input: Payment } | { problems: Problem[] } {
  const method = form.get("method") ?? "new";
  const saved = view.saved_cards.find((card) => card.id === method);
  const isBank = method === "bank" && view.bank_debit !== null;
  const card = saved ? { saved_card: saved.id } : isBank ? readBank(form) : readCard(form);
  const email = (form.get("email") ?? "").trim();
  const problems: Problem[] = [];
  if (view.email_is_editable && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email)) {
    problems.push({
      field: "email",
      message: "Enter an e-mail address, for example you@example.com.",
    });
  }
  if ("problems" in card) problems.push(...card.problems);
  if ("problems" in card || problems.length > 0) return { problems };
  return { input: view.email_is_editable ? { ...card, email } : card };
}

function readBank(
  form: URLSearchParams,
): { bank: { number: string; name?: string } } | { problems: Problem[] } {
  const number = (form.get("bank_number") ?? "").trim();
  if (number === "") {
    return { problems: [{ field: "bank_number", message: "Enter your account number." }] };
  }
  const name = (form.get("name") ?? "").trim();
  return { bank: { number, ...(name === "" ? {} : { name }) } };
}

/** Where an outcome leads. The success address is the core's: the session's own, with its id filled in. */
function after(
  path: string,
  view: CheckoutView,
  outcome: PayOutcome,
  again: (problems: Problem[]) => string,
): string {
  if (outcome.outcome === "declined") return again([declined(outcome)]);
  if (outcome.outcome === "requires_action") return `${path}/authenticate`;
  return successOf(view) ?? path;
}

function successOf(view: CheckoutView): string | null {
  return webUrl(view.success_url?.replaceAll("{CHECKOUT_SESSION_ID}", view.id));
}

function finished(c: Context, kit: Kit): Response | null {
  const view = kit.hosted.getCheckoutView(c.req.param("session") ?? "");
  const to = view?.status === "complete" ? successOf(view) : null;
  return to ? c.redirect(to, 303) : null;
}

function showChallenge(c: Context, kit: Kit): Response | Promise<Response> {
  const found = openView(c, kit);
  if ("page" in found) return found.page;
  const { view } = found;
  const path = pathOf(view.id);
  if (!view.awaiting_authentication) return c.redirect(path, 303);
  return c.html(challengePage({
    action: `${path}/authenticate`,
    merchant: view.merchant_name,
    amount: view.amount_total > 0 ? dueText(view) : null,
    flash: kit.flash(c),
  }));
}

async function answerChallenge(c: Context, kit: Kit): Promise<Response> {
  const answer = (await formOf(c)).get("answer");
  const found = openView(c, kit);
  if ("page" in found) return finished(c, kit) ?? await found.page;
  const { view } = found;
  const path = pathOf(view.id);
  if (!view.awaiting_authentication || (answer !== "complete" && answer !== "fail")) {
    return c.redirect(path, 303);
  }
  const note = (flash: Flash) => kit.flashes.leave(path, flash);
  const tried = attempt(() => kit.hosted.confirmAuthentication(view.id, answer === "complete"));
  if ("refused" in tried) {
    return c.redirect(note({ problems: [{ field: null, message: tried.refused.message }] }), 303);
  }
  return c.redirect(after(path, view, tried.value, (problems) => note({ problems })), 303);
}

function abandon(c: Context, kit: Kit): Response | Promise<Response> {
  const view = kit.hosted.getCheckoutView(c.req.param("session") ?? "");
  if (!view) return unknownPage(c);
  const back = attempt(() => kit.hosted.abandonCheckout(view.id));
  const to = "value" in back ? webUrl(back.value.redirect) : null;
  return c.redirect(to ?? pathOf(view.id), 303);
}

function unknownPage(c: Context): Response | Promise<Response> {
  return c.html(
    message({
      title: "There is no such payment page",
      text:
        "The address may be cut off, or the sandbox was reset since it was made. Start again from the shop.",
    }),
    404,
  );
}

function expiredPage(c: Context, view: CheckoutView): Response | Promise<Response> {
  const back = webUrl(view.cancel_url);
  return c.html(
    message({
      title: "This payment page has expired",
      text: "Nothing was charged. Start again from the shop to get a new one.",
      icon: "wait",
      links: back ? [{ href: back, label: `Back to ${view.merchant_name}`, primary: true }] : [],
    }),
    410,
  );
}

function completePage(c: Context, view: CheckoutView): Response | Promise<Response> {
  const to = successOf(view);
  const setup = view.mode === "setup";
  return c.html(
    message({
      title: setup ? "Your card was saved" : "This was paid already",
      text: setup
        ? "There is nothing left to do here."
        : "The payment went through, and you were not charged again.",
      icon: "done",
      links: to ? [{ href: to, label: `Continue to ${view.merchant_name}`, primary: true }] : [],
    }),
    // Gone, as the payment page; a person who comes back with the browser's history still sees what happened.
    410,
  );
}
