/**
 * Walks the sandbox's hosted pages without a browser, as a person would: by labels and button texts, never by the
 * names of fields. Every page works without a script, so plain requests are enough.
 */
export interface Page {
  url: string;
  html: string;
  status: number;
}

/** Where a page sent the person who finished with it: an address outside the sandbox. */
export interface Left {
  leftTo: string;
}

/** Test cards of Stripe's documentation (docs.stripe.com/testing). */
export const CARDS = {
  success: "4242 4242 4242 4242",
  declined: "4000 0000 0000 0002",
  authentication: "4000 0025 0000 3155",
  failsLater: "4000 0000 0000 0341",
} as const;

const MAX_REDIRECTS = 10;

export async function openPage(url: string): Promise<Page> {
  const result = await follow(url, { redirect: "manual" });
  if ("leftTo" in result) throw new Error(`${url} leads out of the sandbox, to ${result.leftTo}`);
  return result;
}

/** Presses the button (or follows the link) with this text, after filling the fields with these labels. */
export async function press(
  page: Page,
  text: string,
  fields: Record<string, string> = {},
): Promise<Page | Left> {
  const link = findLink(page, text);
  if (link !== null) return await follow(link, { redirect: "manual" });
  const form = findForm(page, text);
  for (const [label, value] of Object.entries(fields)) form.values.set(nameOf(page, label), value);
  const url = new URL(form.action, page.url).href;
  return await follow(url, {
    redirect: "manual",
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      origin: new URL(page.url).origin,
    },
    body: form.values.toString(),
  });
}

/** Pays on a Checkout page. */
export async function pay(url: string, card: string, button = "Subscribe"): Promise<Page | Left> {
  return await press(await openPage(url), button, {
    "Card number": card,
    "Expiry": "12 / 40",
    "CVC": "123",
    "Name on card": "Ada Lovelace",
  });
}

export function mustLeave(result: Page | Left): URL {
  if ("leftTo" in result) return new URL(result.leftTo);
  throw new Error(
    `still on ${result.url} (${result.status}): ${textOf(result.html).slice(0, 800)}`,
  );
}

export function mustStay(result: Page | Left): Page {
  if ("leftTo" in result) throw new Error(`left to ${result.leftTo}`);
  return result;
}

/** What a person reads on the page. */
export function textOf(html: string): string {
  return decode(
    html.replace(
      /<(script|style)[\s\S]*?<\/\1>|<(\w+)[^>]*aria-hidden="true"[^>]*>[\s\S]*?<\/\2>/g,
      "",
    ).replace(/<[^>]+>/g, " "),
  )
    .replace(/\s+/g, " ").trim();
}

async function follow(url: string, init: RequestInit): Promise<Page | Left> {
  const origin = new URL(url).origin;
  let response = await fetch(url, init);
  let at = url;
  for (let hop = 0; response.status >= 300 && response.status < 400; hop++) {
    await response.body?.cancel();
    if (hop === MAX_REDIRECTS) throw new Error(`more than ${MAX_REDIRECTS} redirects from ${url}`);
    const next = new URL(response.headers.get("location") ?? "", at);
    if (next.origin !== origin) return { leftTo: next.href };
    at = next.href;
    response = await fetch(at, { redirect: "manual" });
  }
  return { url: at, html: await response.text(), status: response.status };
}

function findLink(page: Page, text: string): string | null {
  for (const [, attributes, inner] of page.html.matchAll(/<a\b([^>]*)>([\s\S]*?)<\/a>/g)) {
    if (labelled(attributes ?? "", inner ?? "", text)) {
      return new URL(attribute(attributes ?? "", "href") ?? "", page.url).href;
    }
  }
  return null;
}

function findForm(page: Page, text: string): { action: string; values: URLSearchParams } {
  for (const [, attributes, inner] of page.html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)) {
    const button = Array.from((inner ?? "").matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/g))
      .find(([, own, label]) => labelled(own ?? "", label ?? "", text));
    if (button === undefined) continue;
    const values = presentValues(inner ?? "");
    const name = attribute(button[1] ?? "", "name");
    if (name !== null) values.set(name, attribute(button[1] ?? "", "value") ?? "");
    const action = attribute(button[1] ?? "", "formaction") ??
      attribute(attributes ?? "", "action");
    return { action: action ?? page.url, values };
  }
  throw new Error(`no button or link “${text}” on ${page.url}: ${textOf(page.html).slice(0, 800)}`);
}

function presentValues(inner: string): URLSearchParams {
  const values = new URLSearchParams();
  for (const [, attributes = ""] of inner.matchAll(/<input\b([^>]*)>/g)) {
    const name = attribute(attributes, "name");
    const type = attribute(attributes, "type");
    const chosen = (type !== "radio" && type !== "checkbox") || /\bchecked\b/.test(attributes);
    if (name !== null && chosen) values.set(name, attribute(attributes, "value") ?? "");
  }
  return values;
}

function nameOf(page: Page, label: string): string {
  for (
    const [, attributes = "", inner = ""] of page.html.matchAll(
      /<label\b([^>]*)>([\s\S]*?)<\/label>/g,
    )
  ) {
    if (!textOf(inner).startsWith(label)) continue;
    const id = attribute(attributes, "for");
    // A choice has its radio button inside the label.
    const inside = /<input\b([^>]*)>/.exec(inner)?.[1];
    const choice = inside === undefined ? null : attribute(inside, "name");
    if (choice !== null) return choice;
    const input = Array.from(
      page.html.matchAll(/<(?:input|select|textarea)\b([^>]*)>/g),
      ([, own]) => own ?? "",
    )
      .find((own) => id !== null && attribute(own, "id") === id);
    const name = input === undefined ? null : attribute(input, "name");
    if (name !== null) return name;
  }
  throw new Error(`no field “${label}” on ${page.url}`);
}

function labelled(attributes: string, inner: string, text: string): boolean {
  return textOf(inner).startsWith(text) || attribute(attributes, "aria-label") === text;
}

function attribute(attributes: string, name: string): string | null {
  const match = attributes.match(new RegExp(`(?:^|\\s)${name}="([^"]*)"`));
  return match?.[1] === undefined ? null : decode(match[1]);
}

function decode(html: string): string {
  return html.replace(/&#x([0-9a-f]+);/gi, (_, code) => String.fromCodePoint(parseInt(code, 16)))
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"')
    .replaceAll("&nbsp;", " ").replaceAll("&amp;", "&");
}
