/** `/setup/s/:account/:token`: a connected account tells who it is and where its money goes. */
import type { Context, Hono } from "hono";
import type { OnboardingInput, OnboardingView } from "../hosted.ts";
import { secure, webUrl } from "./guard.ts";
import { attempt, formOf, type Kit } from "./kit.ts";
import { message } from "./layout.ts";
import type { Problem } from "./memory.ts";
import { onboardingPage, TEST_BANKS } from "./onboarding_view.ts";

type Answer = Response | Promise<Response>;
const pathOf = (visit: string): string => `/setup/c/${encodeURIComponent(visit)}`;

export function mountOnboarding(app: Hono, kit: Kit): void {
  app.get("/setup/s/:account/:token", (c) => open(c, kit));
  app.get("/setup/c/:visit", (c) => show(c, kit));
  app.post("/setup/c/:visit", (c) => submit(c, kit));
  app.post("/setup/c/:visit/leave", (c) => leave(c, kit));
}

/** The link works once: what follows is the visit's own address, which survives a reload. */
function open(c: Context, kit: Kit): Answer {
  const opened = kit.hosted.openAccountLink(
    c.req.param("account") ?? "",
    c.req.param("token") ?? "",
  );
  if (!opened) return unknownPage(c);
  if ("visit" in opened) return c.redirect(pathOf(opened.visit), 303);
  const to = webUrl(opened.refresh);
  return to ? c.redirect(to, 303) : unknownPage(c);
}

function found(c: Context, kit: Kit): { view: OnboardingView } | { page: Answer } {
  const view = kit.hosted.getOnboardingView(c.req.param("visit") ?? "");
  if (!view) return { page: unknownPage(c) };
  secure(c, [view.return_url, view.refresh_url]);
  return view.done ? { page: donePage(c, view) } : { view };
}

function show(c: Context, kit: Kit): Answer {
  const known = found(c, kit);
  if ("page" in known) return known.page;
  return c.html(onboardingPage(known.view, pathOf(known.view.visit), kit.flash(c)));
}

async function submit(c: Context, kit: Kit): Promise<Response> {
  const form = await formOf(c);
  const known = found(c, kit);
  if ("page" in known) return await known.page;
  const { view } = known;
  const path = pathOf(view.visit);
  const input = read(view, form);
  const values = { ...input };
  if (form.has("fill")) {
    return c.redirect(kit.flashes.leave(path, { values: filled(input, form) }), 303);
  }
  const tried = attempt(() => kit.hosted.submitOnboarding(view.visit, input));
  if ("value" in tried) return c.redirect(webUrl(view.return_url) ?? path, 303);
  const { param = null, message } = tried.refused.body;
  const problems: Problem[] = [{ field: param, message }];
  return c.redirect(kit.flashes.leave(path, { problems, values }), 303);
}

async function leave(c: Context, kit: Kit): Promise<Response> {
  const known = found(c, kit);
  if ("page" in known) return await known.page;
  attempt(() => kit.hosted.leaveOnboarding(known.view.visit));
  return c.redirect(webUrl(known.view.return_url) ?? pathOf(known.view.visit), 303);
}

function read(view: OnboardingView, form: URLSearchParams): OnboardingInput {
  const text = (name: string) => (form.get(name) ?? "").trim().slice(0, 200);
  return {
    country: view.country_is_fixed ? view.country : text("country").toUpperCase(),
    entity_type: text("entity_type") === "company" ? "company" : "individual",
    given_name: text("given_name"),
    surname: text("surname"),
    registered_name: text("registered_name"),
    bank: text("bank"),
  };
}

/** The helper's button fills what is empty, and the bank. */
function filled(input: OnboardingInput, form: URLSearchParams): Record<string, string> {
  const country = input.country || "US";
  const chosen = TEST_BANKS.find((each) => each.key === form.get("fill"));
  const own = country === "US" ? TEST_BANKS[0] : TEST_BANKS[1];
  return {
    country,
    entity_type: input.entity_type,
    given_name: input.given_name || "Jenny",
    surname: input.surname || "Rosen",
    registered_name: input.registered_name || "Rosen Prompts",
    bank: (chosen ?? own)?.number ?? "",
  };
}

function unknownPage(c: Context): Answer {
  return c.html(
    message({
      title: "There is no such form",
      text: "The address may be cut off, or the sandbox was reset since it was made. Start again.",
    }),
    404,
  );
}

function donePage(c: Context, view: OnboardingView): Answer {
  const to = webUrl(view.return_url);
  return c.html(
    message({
      title: view.missing.length === 0 ? "You are all set" : "You left this form",
      text: view.missing.length === 0
        ? `${view.merchant_name} can send you money now.`
        : "Something is still missing. Start again to go on.",
      icon: view.missing.length === 0 ? "done" : "wait",
      links: to ? [{ href: to, label: `Continue to ${view.merchant_name}`, primary: true }] : [],
    }),
    410,
  );
}
