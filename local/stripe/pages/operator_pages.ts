/** `/` and `/_sandbox`: what this is, what happened, and moving time. For the developer, not for a customer. */
import type { Context, Hono } from "hono";
import { StripeError } from "../engine/errors.ts";
import { moment } from "./format.ts";
import { formOf, type Kit } from "./kit.ts";
import { message } from "./layout.ts";
import type { Flash } from "./memory.ts";
import { accountsPage, paymentsPage } from "./operator_money.ts";
import type { Operator } from "./operator.ts";
import {
  clocksPage,
  customersPage,
  deliveriesPage,
  eventPage,
  eventsPage,
  indexPage,
} from "./operator_view.ts";

type Answer = Response | Promise<Response>;
type Show = (c: Context, operator: Operator, flash: Flash) => Answer;
type Act = (c: Context, operator: Operator, form: URLSearchParams) => Promise<string> | string;
const UI = "/_sandbox/ui";
const PER_PAGE = 50;

export function mountOperator(app: Hono, kit: Kit, operator: Operator | undefined): void {
  const get = (path: string, show: Show) =>
    app.get(path, (c) => operator ? show(c, operator, kit.flash(c)) : notConnected(c));
  const post = (path: string, back: string, act: Act) =>
    app.post(
      path,
      (c) => operator ? perform(c, kit, back, () => actWith(c, operator, act)) : notConnected(c),
    );

  app.get("/", (c) => c.html(indexPage(operator?.endpoints() ?? null)));
  app.get("/_sandbox", (c) => c.redirect(`${UI}/events`, 303));
  get(`${UI}/events`, (c, op, flash) => {
    const events = op.events(PER_PAGE, c.req.query("before"));
    return c.html(eventsPage(events, events.length === PER_PAGE, flash));
  });
  get(`${UI}/events/:event`, showEvent);
  get(
    `${UI}/deliveries`,
    (c, op, flash) => c.html(deliveriesPage(op.deliveries(PER_PAGE), op.endpoints(), flash)),
  );
  get(`${UI}/clocks`, (c, op, flash) => c.html(clocksPage(op.now(), op.clocks(), flash)));
  get(`${UI}/customers`, (c, op, flash) => c.html(customersPage(op.customers(PER_PAGE), flash)));
  post(`${UI}/deliveries/:delivery/resend`, `${UI}/deliveries`, async (c, op) => {
    await op.resend(c.req.param("delivery") ?? "");
    return "The event is being delivered again.";
  });
  post(`${UI}/clocks/:clock`, `${UI}/clocks`, async (c, op, form) => {
    const to = timeOf(form);
    await op.advanceClock(c.req.param("clock") ?? "", to);
    return `The clock moves to ${moment(to)}.`;
  });
  get(`${UI}/accounts`, (c, op, flash) => c.html(accountsPage(op.accounts(PER_PAGE), flash)));
  get(`${UI}/payments`, (c, op, flash) => c.html(paymentsPage(op.payments(PER_PAGE), flash)));
  post(`${UI}/accounts/:account`, `${UI}/accounts`, (c, op, form) => {
    const wanted = form.get("transfers") === "active" ? "active" : "restricted";
    op.setTransfers(c.req.param("account") ?? "", wanted);
    return wanted === "active" ? "The account can get transfers." : "Transfers are disabled.";
  });
  post(`${UI}/payments/:charge/dispute`, `${UI}/payments`, (c, op) => {
    op.openDispute(c.req.param("charge") ?? "");
    return "The payment is disputed.";
  });
  post(`${UI}/disputes/:dispute`, `${UI}/payments`, (c, op, form) => {
    const outcome = form.get("outcome") === "won" ? "won" : "lost";
    op.decideDispute(c.req.param("dispute") ?? "", outcome);
    return `The dispute is ${outcome}.`;
  });
  post(`${UI}/time`, `${UI}/clocks`, async (_c, op, form) => {
    const to = timeOf(form);
    await op.advanceWorld(to);
    return `The sandbox's time is ${moment(to)} now.`;
  });
}

const actWith = async (c: Context, operator: Operator, act: Act) =>
  await act(c, operator, await formOf(c));

async function perform(
  c: Context,
  kit: Kit,
  back: string,
  run: () => Promise<string>,
): Promise<Response> {
  try {
    return c.redirect(kit.flashes.leave(back, { notice: await run() }), 303);
  } catch (error) {
    if (!(error instanceof StripeError)) throw error;
    const problems = [{ field: null, message: error.message }];
    return c.redirect(kit.flashes.leave(back, { problems }), 303);
  }
}

/** `<input type="datetime-local">` means UTC here, as the label says. */
function timeOf(form: URLSearchParams): number {
  const typed = form.get("to") ?? "";
  const milliseconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(typed)
    ? Date.parse(`${typed}Z`)
    : NaN;
  if (Number.isNaN(milliseconds)) {
    throw new StripeError(400, {
      type: "invalid_request_error",
      message: "Choose a date and a time to move to.",
    });
  }
  return milliseconds / 1000;
}

function showEvent(c: Context, operator: Operator, flash: Flash): Answer {
  const id = c.req.param("event") ?? "";
  const event = operator.event(id);
  if (!event) {
    const links = [{ href: `${UI}/events`, label: "All events" }];
    return c.html(message({ title: "There is no such event", text: id, links }), 404);
  }
  const deliveries = operator.deliveries(PER_PAGE, id).map((delivery) => ({
    delivery,
    attempts: operator.attempts(delivery.id),
  }));
  return c.html(eventPage(id, event, deliveries, flash));
}

function notConnected(c: Context): Answer {
  return c.html(
    message({
      title: "Not connected",
      text: "This sandbox was started without its operator pages.",
    }),
    501,
  );
}
