/** For the tests of the pages: a sandbox with a catalogue, and a person with a browser that has no script. */
import Stripe from "stripe";
import { startStripeSandbox } from "../server.ts";

export const SITE = "http://127.0.0.1:9";
const SECRET = "sk_test_tollgate_sandbox";

export interface Shop {
  url: string;
  stripe: Stripe;
  prices: { pro: string; business: string };
  /** Lets so many days go by for the whole sandbox. */
  pass(days: number): Promise<void>;
  stop(): Promise<void>;
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

export async function openShop(): Promise<Shop> {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-pages-" });
  const port = freePort();
  const sandbox = await startStripeSandbox({ port, dataDir, secretKey: SECRET, log: () => {} });
  const stripe = new Stripe(SECRET, {
    host: "127.0.0.1",
    port,
    protocol: "http",
    maxNetworkRetries: 0,
  });
  const price = async (name: string, unit_amount: number): Promise<string> => {
    const recurring = { interval: "month" as const };
    return (await stripe.prices.create({
      currency: "usd",
      unit_amount,
      recurring,
      product_data: { name },
    })).id;
  };
  const prices = { pro: await price("Pro", 1500), business: await price("Business", 4900) };
  const stop = async () => {
    await sandbox.stop();
    await Deno.remove(dataDir, { recursive: true });
  };
  const pass = async (days: number) => {
    const body = JSON.stringify({ seconds: days * 86_400 });
    const response = await fetch(`${sandbox.url}/_sandbox/clock`, { method: "POST", body });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`The clock did not move: ${response.status}`);
  };
  return { url: sandbox.url, stripe, prices, pass, stop };
}

/** Runs `run` with a shop that is always closed again. */
export async function withShop(run: (shop: Shop) => Promise<void>): Promise<void> {
  const shop = await openShop();
  try {
    await run(shop);
  } finally {
    await shop.stop();
  }
}

export async function checkout(
  shop: Shop,
  options: Partial<Stripe.Checkout.SessionCreateParams> = {},
): Promise<Stripe.Checkout.Session> {
  return await shop.stripe.checkout.sessions.create({
    mode: "subscription",
    line_items: [{ price: shop.prices.pro, quantity: 1 }],
    success_url: `${SITE}/account?checkout=success&session_id={CHECKOUT_SESSION_ID}`,
    cancel_url: `${SITE}/pricing?checkout=cancelled`,
    ...options,
  });
}

/** A customer with an active subscription, paid on the hosted page. */
export async function subscriber(
  shop: Shop,
  name = "Ada",
): Promise<{ customer: string; subscription: string }> {
  const customer = await shop.stripe.customers.create({ email: "ada@example.com", name });
  const session = await checkout(shop, { customer: customer.id });
  await new Person().open(session.url).then((person) => person.submit(CARD));
  const { data } = await shop.stripe.subscriptions.list({ customer: customer.id });
  return { customer: customer.id, subscription: data[0]?.id ?? "" };
}

export async function portal(
  shop: Shop,
  customer: string,
  flow_data?: Stripe.BillingPortal.SessionCreateParams["flow_data"],
): Promise<Person> {
  const return_url = `${SITE}/account?portal=return`;
  const session = await shop.stripe.billingPortal.sessions.create({
    customer,
    return_url,
    ...(flow_data ? { flow_data } : {}),
  });
  return await new Person().open(session.url);
}

export const CARD = { number: "4242 4242 4242 4242", expiry: "12 / 34", cvc: "123", name: "Ada" };
export const DECLINED = { ...CARD, number: "4000 0000 0000 0002" };
export const ASKS = { ...CARD, number: "4000 0025 0000 3155" };

/** Follows redirects inside the sandbox, and stops (`left`) at the first address outside, without fetching it. */
export class Person {
  url = "";
  status = 0;
  html = "";
  left: string | null = null;

  async open(url: string | null | undefined): Promise<this> {
    return await this.#go(new URL(url ?? "", this.url || undefined), { method: "GET" });
  }

  /** Follows the link with this text. */
  async click(text: string): Promise<this> {
    const links = [...this.html.matchAll(/<a\s[^>]*?href="([^"]*)"[^>]*>(.*?)<\/a>/gs)];
    const found = links.find(([, , inside]) => textOf(inside ?? "").includes(text));
    if (!found) throw new Error(`No link "${text}" on ${this.url}`);
    return await this.open(decode(found[1] ?? ""));
  }

  /** Sends the form whose action ends with `action` (the first one by default), with its own hidden inputs. */
  async submit(fields: Record<string, string> = {}, action = ""): Promise<this> {
    const forms = [...this.html.matchAll(/<form\s[^>]*?action="([^"]*)"[^>]*>(.*?)<\/form>/gs)];
    const form = forms.find(([, target]) => target?.endsWith(action));
    if (!form) throw new Error(`No form on ${this.url}`);
    const body = new URLSearchParams(fields);
    for (const [input] of (form[2] ?? "").matchAll(/<input type="hidden"[^>]*>/g)) {
      body.set(attribute(input, "name"), attribute(input, "value"));
    }
    const target = new URL(decode(form[1] ?? ""), this.url);
    const headers = { origin: target.origin, "sec-fetch-site": "same-origin" };
    return await this.#go(target, { method: "POST", body, headers });
  }

  get text(): string {
    return textOf(this.html);
  }

  get alert(): string {
    return textOf(/role="alert"[^>]*>(.*?)<\/div>/s.exec(this.html)?.[1] ?? "");
  }

  /** What an input shows. */
  value(name: string): string | null {
    const input = new RegExp(`<input[^>]*\\sname="${name}"[^>]*>`).exec(this.html);
    return input ? attribute(input[0], "value") : null;
  }

  async #go(target: URL, init: RequestInit): Promise<this> {
    let next = { url: target, init };
    for (let hops = 0; hops < 6; hops++) {
      const response = await fetch(next.url, { ...next.init, redirect: "manual" });
      this.html = await response.text();
      this.status = response.status;
      this.url = next.url.href;
      const location = response.headers.get("location");
      if (response.status !== 303 || !location) return this;
      const to = new URL(location, next.url);
      if (to.origin !== next.url.origin) {
        this.left = to.href;
        return this;
      }
      next = { url: to, init: { method: "GET" } };
    }
    throw new Error(`Redirects without end at ${this.url}`);
  }
}

const ENTITIES: Record<string, string> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};
const decode = (text: string): string =>
  text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity] ?? entity);
const attribute = (tag: string, name: string): string =>
  decode(new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? "");
const textOf = (html: string): string =>
  decode(html.replaceAll(/<[^>]*>/g, " ")).replaceAll(/\s+/g, " ").trim();
