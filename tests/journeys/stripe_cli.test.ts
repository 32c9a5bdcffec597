import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { npmBin, run } from "../support/run.ts";
import { fund } from "../support/marketplace.ts";
import { eventually, sql, stack } from "../support/stack.ts";

/** Stripe's own fixtures, run by Stripe's own CLI against the sandbox. */
const TRIGGERS = [
  "product.created",
  "price.created",
  "customer.created",
  "customer.subscription.created",
  "customer.subscription.updated",
  "customer.subscription.deleted",
  "checkout.session.completed",
  "invoice.paid",
  "invoice.payment_failed",
  "payment_intent.succeeded",
  "payment_intent.payment_failed",
  "billing_portal.session.created",
  "test_helpers.test_clock.ready",
  "invoice.payment_action_required",
  "customer.subscription.trial_will_end",
  "customer.subscription.paused",
  "coupon.created",
  "promotion_code.created",
  "subscription_schedule.created",
  "subscription_schedule.released",
  "charge.refunded",
  "charge.dispute.created",
  "checkout.session.expired",
  "customer.discount.created",
  "subscription.payment_failed",
  "subscription.payment_succeeded",
  // Marketplace money. (`account.updated` goes to webhooks for connected accounts only.)
  "charge.dispute.closed",
  "charge.refund.updated",
  "checkout.session.async_payment_failed",
  "checkout.session.async_payment_succeeded",
  "payout.created",
  "transfer.created",
  "transfer.reversed",
] as const;

/** Two of the CLI's names are scenarios, not events. */
const EVENT_OF: Record<string, string> = {
  "subscription.payment_failed": "invoice.payment_failed",
  "subscription.payment_succeeded": "invoice.payment_succeeded",
};

Deno.test("stripe trigger succeeds and our webhook takes in the signed event", async (t) => {
  const home = mkdtempSync(join(tmpdir(), "tollgate-stripe-cli-"));
  const db = sql({ max: 1 });
  // Payouts and transfers need an available balance, which refunds and disputes of other journeys may have taken.
  await fund(10_000_000);
  try {
    for (const type of TRIGGERS) {
      await t.step(type, async () => {
        const [before] = await db<{ at: Date }[]>`select clock_timestamp() as at`;
        const outcome = await run(npmBin("stripe"), [
          "trigger",
          type,
          "--api-base",
          stack().stripe_url,
          "--api-key",
          "sk_test_tollgate_sandbox",
        ], {
          env: { HOME: home, XDG_CONFIG_HOME: home, STRIPE_CLI_TELEMETRY_OPTOUT: "1" },
          timeoutMs: 60_000,
        });
        assert.equal(outcome.code, 0, `${outcome.stdout}\n${outcome.stderr}`);
        assert.match(outcome.stdout, /Trigger succeeded/);

        const since = before?.at ?? new Date();
        const [row] = await eventually(
          () =>
            db<{ status: string }[]>`
              select status from billing.stripe_events
              where type = ${
              EVENT_OF[type] ?? type
            } and received_at >= ${since} and status in ('processed', 'ignored')`,
          (rows) => rows.length > 0,
        );
        assert.ok(row);
      });
    }
  } finally {
    await db.end();
    rmSync(home, { recursive: true, force: true });
  }
});
