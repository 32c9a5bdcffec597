import { eventually, type Person, request, sql, stack, stripe } from "./stack.ts";

/** The sandbox's own API (local/stripe/README.md): what a test may do to the network and to Stripe. */
export async function sandbox<T = unknown>(
  path: string,
  body?: unknown,
  method = body === undefined ? "GET" : "POST",
): Promise<T> {
  const response = await fetch(`${stack().stripe_url}/_sandbox${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
  return text === "" ? JSON.parse("null") : JSON.parse(text);
}

export interface Fault {
  id: string;
  hits: unknown[];
}

/** Counts the requests that fit while `work` runs: a fault that delays each by a millisecond. */
export async function counting(
  match: { method?: string; path: string; contains?: string },
  work: () => Promise<void>,
): Promise<number> {
  const { id } = await sandbox<Fault>("/faults", { kind: "delay", ms: 1, times: 1_000, match });
  try {
    await work();
    const { data } = await sandbox<{ data: Fault[] }>("/faults");
    return data.find((fault) => fault.id === id)?.hits.length ?? 0;
  } finally {
    await sandbox(`/faults/${id}`, undefined, "DELETE");
  }
}

/** A customer of this person with a card, made as an operator would; on a test clock when one is given. */
export async function customerOf(
  person: Person,
  options: { card?: string; clock?: string } = {},
): Promise<string> {
  const customer = await stripe().customers.create({
    email: person.email,
    ...(options.clock && { test_clock: options.clock }),
  });
  const card = await stripe().paymentMethods.attach(options.card ?? "pm_card_visa", {
    customer: customer.id,
  });
  await stripe().customers.update(customer.id, {
    invoice_settings: { default_payment_method: card.id },
  });
  const db = sql({ max: 1 });
  await db`select public.link_customer(${person.id}, ${customer.id})`;
  await db.end();
  return customer.id;
}

export async function priceOf(lookupKey: string): Promise<string> {
  const { data } = await stripe().prices.list({ lookup_keys: [lookupKey] });
  if (data[0] === undefined) throw new Error(`no price ${lookupKey}`);
  return data[0].id;
}

/** A function that only the secret key may call. */
export function operator(name: string, body: unknown = {}) {
  return request(`/functions/v1/${name}`, { body, headers: { apikey: stack().secret_key } });
}

/** Waits until nothing is on its way: every delivery was answered and no customer is being synced. */
export async function quiet(): Promise<void> {
  const db = sql({ max: 1 });
  await eventually(async () => {
    const { data } = await sandbox<{ data: unknown[] }>("/delivery/held?state=pending");
    const [row] = await db<{ syncing: number }[]>`
      select count(*)::int as syncing from billing.sync_state where lease_until > clock_timestamp()`;
    return data.length + (row?.syncing ?? 0);
  }, (open) => open === 0);
  await db.end();
}
