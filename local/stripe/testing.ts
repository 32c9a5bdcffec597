/** For the sandbox's own tests: a running sandbox with the real SDK, a webhook receiver, and bounded waiting. */
import Stripe from "stripe";
import { type SandboxOptions, startStripeSandbox, type StripeSandbox } from "./server.ts";

export const KEY = "sk_test_sandboxtests0001";

export interface Fixture {
  sandbox: StripeSandbox;
  stripe: Stripe;
  url: string;
  dataDir: string;
}

export function client(port: number): Stripe {
  return new Stripe(KEY, {
    host: "127.0.0.1",
    port,
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
  });
}

export async function withSandbox(
  run: (fixture: Fixture) => Promise<void>,
  options: Partial<SandboxOptions> = {},
): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-stripe-" });
  const sandbox = await startStripeSandbox({ port: 0, dataDir, secretKey: KEY, ...options });
  try {
    await run({ sandbox, stripe: client(sandbox.port), url: sandbox.url, dataDir });
  } finally {
    await sandbox.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
}

/** Polls until `probe` gives something, at most ten seconds. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false>,
): Promise<T> {
  const end = Date.now() + 10_000;
  while (Date.now() < end) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`It never came to be: ${what}`);
}

export interface Receiver {
  url: string;
  events: Stripe.Event[];
  bodies: { body: string; signature: string }[];
  /** The status of the next answers; 200 once it is empty. */
  answers: number[];
  close(): Promise<void>;
}

/** Verifies each signature with the SDK; a bad one fails the test that waits for the event. */
export async function receiver(secret: () => string): Promise<Receiver> {
  const provider = Stripe.createSubtleCryptoProvider();
  const stripe = client(1);
  const events: Stripe.Event[] = [];
  const bodies: Receiver["bodies"] = [];
  const answers: number[] = [];
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      const body = await request.text();
      const signature = request.headers.get("stripe-signature") ?? "";
      bodies.push({ body, signature });
      const status = answers.shift() ?? 200;
      if (status === 200) {
        events.push(
          await stripe.webhooks.constructEventAsync(body, signature, secret(), 300, provider),
        );
      }
      return new Response("seen", { status });
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}/hook`;
  await Promise.resolve();
  return { url, events, bodies, answers, close: () => server.shutdown() };
}

export interface ThinReceiver {
  url: string;
  notifications: Stripe.V2.Core.EventNotification[];
  bodies: { body: string; signature: string }[];
  close(): Promise<void>;
}

/** As `receiver`, for an event destination: `stripe` verifies, and fetches what the notifications name. */
export async function thinReceiver(stripe: Stripe, secret: () => string): Promise<ThinReceiver> {
  const provider = Stripe.createSubtleCryptoProvider();
  const notifications: Stripe.V2.Core.EventNotification[] = [];
  const bodies: ThinReceiver["bodies"] = [];
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      const body = await request.text();
      const signature = request.headers.get("stripe-signature") ?? "";
      bodies.push({ body, signature });
      notifications.push(
        await stripe.parseEventNotificationAsync(body, signature, secret(), 300, provider),
      );
      return new Response("seen");
    },
  );
  await Promise.resolve();
  const url = `http://127.0.0.1:${server.addr.port}/thin`;
  return { url, notifications, bodies, close: () => server.shutdown() };
}

export async function monthlyPrice(
  stripe: Stripe,
  unit_amount = 1500,
  lookup_key?: string,
): Promise<Stripe.Price> {
  return await stripe.prices.create({
    currency: "usd",
    unit_amount,
    recurring: { interval: "month" },
    product_data: { name: `Plan ${unit_amount}` },
    ...(lookup_key ? { lookup_key } : {}),
  });
}

/** A customer (on a new test clock when `frozen` is given) whose default card is the test card `token`. */
export async function customerWithCard(stripe: Stripe, token = "tok_visa", frozen?: number) {
  const clock = frozen === undefined
    ? null
    : await stripe.testHelpers.testClocks.create({ frozen_time: frozen });
  const customer = await stripe.customers.create({
    email: "ada@example.com",
    name: "Ada",
    ...(clock ? { test_clock: clock.id } : {}),
  });
  const method = await stripe.paymentMethods.create({ type: "card", card: { token } });
  await stripe.paymentMethods.attach(method.id, { customer: customer.id });
  await stripe.customers.update(customer.id, {
    invoice_settings: { default_payment_method: method.id },
  });
  return { customer, method, clock: clock?.id ?? "" };
}

export async function advance(stripe: Stripe, clock: string, to: number): Promise<void> {
  const started = await stripe.testHelpers.testClocks.advance(clock, { frozen_time: to });
  if (started.status !== "advancing") throw new Error(`The clock is ${started.status} at once`);
  await eventually("the clock is ready", async () => {
    const now = await stripe.testHelpers.testClocks.retrieve(clock);
    return now.status === "ready";
  });
}

export async function refusal(promise: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error;
    throw error;
  }
  throw new Error("It was not refused");
}

export const at = (day: string) => Date.parse(`${day}T12:00:00Z`) / 1000;
/** The last day of a month, so that the clamping of periods is always part of a test. */
export const START = at("2026-01-31");

/** A subscription at $15 a month of a customer on a test clock that stands at `START`. */
export async function subscribed(
  stripe: Stripe,
  options: Partial<Stripe.SubscriptionCreateParams> = {},
  token = "tok_visa",
) {
  const price = await monthlyPrice(stripe);
  const { customer, clock, method } = await customerWithCard(stripe, token, START);
  const sub = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    ...options,
  });
  return { price, customer, clock, method, sub };
}
