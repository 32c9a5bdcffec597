import type postgres from "postgres";

const ADA = "a0000000-0000-4000-8000-0000000000e1";
const BOB = "b0000000-0000-4000-8000-0000000000e1";
const CREATOR = "d0000000-0000-4000-8000-0000000000e1";
const LISTING = "e0000000-0000-4000-8000-0000000000e1";
const PURCHASE = "c0000000-0000-4000-8000-0000000000e1";

/** What a reader puts in the place of the brackets of the documentation's examples. */
const EXAMPLES: Record<string, string> = {
  "<user id>": ADA,
  "<other user id>": BOB,
  "<e-mail>": "ada-of-docs@example.com",
  "<customer id>": "cus_docs",
  "<other customer id>": "cus_docs_other",
  "<seller id>": CREATOR,
  "<listing id>": LISTING,
  "<purchase id>": PURCHASE,
  "<event id>": "evt_docs",
  "<identifier>": "docs-42",
  "<ref>": "abcdefghijklmnopqrst",
  "sb_secret_…": "sb_secret_of_docs",
};

/** Rows that those examples name, made within a transaction that is thrown away. Answers what stands for each placeholder. */
export async function plantExamples(
  transaction: postgres.TransactionSql,
): Promise<Record<string, string>> {
  // What an example inserts must not meet the numbers of the rows below.
  await transaction.unsafe(`
    select setval(s.name, greatest(100, nextval(s.name)))
    from unnest(array['billing.usage_outbox', 'billing.grants', 'public.notifications']) t (name)
    cross join lateral (select pg_get_serial_sequence(t.name, 'id')::regclass as name) s`);
  await transaction.unsafe(`
    insert into auth.users (id, email) values ('${ADA}', 'ada-of-docs@example.com'), ('${BOB}', 'bob-of-docs@example.com');
    insert into public.customers (user_id, stripe_customer_id) values ('${ADA}', 'cus_docs');
    insert into billing.stripe_events (id, type, stripe_created_at, status, next_attempt_at)
    values ('evt_docs', 'invoice.paid', now(), 'parked', null);
    delete from billing.grants where id = 42;
    insert into billing.grants (id, user_id, plan_id, reason) overriding system value values (42, '${ADA}', 'pro', 'docs');
    delete from vault.secrets where name in ('project_url', 'secret_key');
    ${usage()} ${market()}
  `);
  return EXAMPLES;
}

/** Rows 42 (parked) and 43 (sent) of the outbox, and notice 42, parked. */
function usage(): string {
  const row = (id: number, status: string) =>
    `(${id}, 'cus_docs', 'message', '2026-11-01', '${ADA}', ${id}, 5, 'docs-${id}', 'tollgate_message', '2026-11-02',
      '${status}', ${status === "sent" ? "now(), null" : "null, 'uncertain'"})`;
  return `
    insert into billing.overage_usage (stripe_customer_id, metric_id, period_start, period_end, user_id, quantity, claimed, amount_minor)
    values ('cus_docs', 'message', '2026-11-01', '2026-12-01', '${ADA}', 10, 10, 20);
    delete from billing.usage_outbox where id in (42, 43);
    insert into billing.usage_outbox (id, stripe_customer_id, metric_id, period_start, user_id, sequence, quantity, identifier,
      meter_event_name, event_time, status, sent_at, parked_reason) overriding system value
    values ${row(42, "parked")}, ${row(43, "sent")};
    delete from public.notifications where id = 42;
    insert into public.notifications (id, user_id, kind, metric_id, threshold, limit_value, period, title, body) overriding system value
    values (42, '${ADA}', 'allowance', 'message', 80, 50, 'docs', 'x', 'x');
    insert into billing.notification_emails (notification_id, queued_at, parked_at) values (42, now(), now());
  `;
}

/** A creator, their listing, and a sale of it that was paid. */
function market(): string {
  return `
    insert into public.sellers (id, user_id, stripe_account_id, status, display_name)
    values ('${CREATOR}', '${BOB}', 'acct_docs', 'active', 'Bob');
    insert into public.listings (id, seller_id, title, category, kind, price_minor, currency, status, version, published_at)
    values ('${LISTING}', '${CREATOR}', 'Help', 'agent', 'one_time', 900, 'usd', 'published', 1, now());
    insert into public.purchases (id, buyer_id, listing_id, seller_id, kind, title, amount_minor, currency, fee_bps, fee_minor,
      status, charge_id, paid_at)
    values ('${PURCHASE}', '${ADA}', '${LISTING}', '${CREATOR}', 'one_time', 'Help', 900, 'usd', 1000, 90, 'paid', 'ch_docs', now());
    insert into billing.purchase_charges (id, purchase_id, amount_minor, status, created_at)
    values ('ch_docs', '${PURCHASE}', 900, 'succeeded', now());
  `;
}
