/** Stripe's own CLI and its own fixtures, unmodified, against the sandbox, and the events at a webhook endpoint. */
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { eventually, KEY, receiver, withSandbox } from "./testing.ts";

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
  // Not asked of this slice, but it costs nothing to keep them working.
  "charge.captured",
  "charge.dispute.closed",
  "charge.dispute.created",
  "charge.dispute.updated",
  "coupon.created",
  "coupon.deleted",
  "coupon.updated",
  "customer.discount.created",
  "customer.discount.deleted",
  "promotion_code.created",
  "promotion_code.updated",
  "charge.refunded",
  "checkout.session.expired",
  "customer.deleted",
  "customer.subscription.paused",
  "customer.subscription.trial_will_end",
  "invoice.created",
  "invoice.finalized",
  "invoice.marked_uncollectible",
  "invoice.payment_action_required",
  "invoice.sent",
  "invoice.updated",
  "invoice.voided",
  "invoiceitem.deleted",
  "payment_intent.canceled",
  "payment_intent.requires_action",
  "payment_method.detached",
  "price.updated",
  "product.deleted",
  "setup_intent.setup_failed",
  "setup_intent.succeeded",
  "subscription.payment_failed",
  "subscription.payment_succeeded",
  "subscription_schedule.canceled",
  "subscription_schedule.created",
  "subscription_schedule.released",
  "subscription_schedule.updated",
  "test_helpers.test_clock.deleted",
  // Marketplace money.
  "account.updated",
  "charge.refund.updated",
  "checkout.session.async_payment_failed",
  "checkout.session.async_payment_succeeded",
  "payout.created",
  "payout.updated",
  "transfer.created",
  "transfer.reversed",
  "transfer.updated",
];
/** Names of the CLI that are no events: what they lead to. */
const MEANT: Record<string, string> = {
  "subscription.payment_failed": "invoice.payment_failed",
  "subscription.payment_succeeded": "invoice.payment_succeeded",
};

const BINARY = fileURLToPath(new URL("../../node_modules/.bin/stripe", import.meta.url));

async function cli(
  url: string,
  home: string,
  ...args: string[]
): Promise<{ code: number; text: string }> {
  const command = new Deno.Command(BINARY, {
    args: [...args, "--api-base", url, "--api-key", KEY, "--color", "off"],
    // Its settings and its telemetry stay away from the person's home and from the network.
    env: { HOME: home, XDG_CONFIG_HOME: home, STRIPE_CLI_TELEMETRY_OPTOUT: "1" },
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(30_000),
  });
  const { code, stdout, stderr } = await command.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, text: decode(stdout) + decode(stderr) };
}

Deno.test("stripe trigger succeeds for each fixture and the endpoint gets the signed event", async (t) => {
  const home = await Deno.makeTempDir({ prefix: "tollgate-cli-" });
  await withSandbox(async ({ stripe, url }) => {
    let secret = "";
    const hook = await receiver(() => secret);
    secret =
      (await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] })).secret ?? "";
    let connectSecret = "";
    const connect = await receiver(() => connectSecret);
    connectSecret = (await stripe.webhookEndpoints.create({
      url: connect.url,
      enabled_events: ["*"],
      connect: true,
    })).secret ?? "";
    for (const trigger of TRIGGERS) {
      await t.step(trigger, async () => {
        const before = hook.events.length;
        const { code, text } = await cli(url, home, "trigger", trigger);
        assert.equal(code, 0, text);
        assert.match(text, /Trigger succeeded/, text);
        const wanted = MEANT[trigger] ?? trigger;
        await eventually(
          `${wanted} at the endpoint`,
          () =>
            Promise.resolve(
              [...hook.events.slice(before), ...connect.events].some((event) =>
                event.type === wanted
              ),
            ),
        );
      });
    }
    await hook.close();
    await connect.close();
  }, { asyncDelaySeconds: 1 });
  await Deno.remove(home, { recursive: true });
});

/**
 * Stripe's own fixtures of these two, but for the address they name: the CLI sends that step to
 * meter-events.stripe.com whatever `--api-base` says.
 */
const METER_FIXTURES = {
  "v1.billing.meter.error_report_triggered": "stripe_cli_billing_meter_for_fixture",
  "v1.billing.meter.no_meter_found": "${generate-uuid}",
};
const headers = { "Content-Type": "application/json", "Stripe-Version": "2024-09-30.acacia" };
const streamed = (event_name: string) => ({
  _meta: { template_version: 0 },
  fixtures: [
    {
      name: "billing_meter",
      path: "/v1/billing/meters",
      method: "post",
      params: {
        display_name: "Stripe CLI Billing Meter",
        event_name: "stripe_cli_billing_meter_for_fixture",
        default_aggregation: { formula: "sum" },
      },
      expected_error_type: "invalid_request_error",
    },
    {
      name: "session",
      path: "/v2/billing/meter_event_session",
      method: "post",
      headers,
      params: {},
    },
    {
      name: "stream",
      path: "/v2/billing/meter_event_stream",
      method: "post",
      headers: { ...headers, Authorization: "Bearer ${session:authentication_token}" },
      params: {
        events: [{ event_name, timestamp: "${time-now-RFC3339}", payload: { value: "10" } }],
      },
    },
  ],
});

Deno.test("the CLI's meter fixtures lead to their thin events", async (t) => {
  const home = await Deno.makeTempDir({ prefix: "tollgate-cli-" });
  await withSandbox(async ({ stripe, url }) => {
    for (const [trigger, event_name] of Object.entries(METER_FIXTURES)) {
      await t.step(trigger, async () => {
        const raw = JSON.stringify(streamed(event_name));
        const { code, text } = await cli(url, home, "trigger", trigger, "--raw", raw);
        assert.equal(code, 0, text);
        await eventually(
          trigger,
          async () => (await stripe.v2.core.events.list({ types: [trigger] })).data.length > 0,
        );
      });
    }
  }, { meterReportSeconds: 1 });
  await Deno.remove(home, { recursive: true });
});

Deno.test("the CLI's resource commands, get, post and events resend work", async () => {
  const home = await Deno.makeTempDir({ prefix: "tollgate-cli-" });
  await withSandbox(async ({ stripe, url }) => {
    const made = await cli(url, home, "customers", "create", "--email", "ada@example.com");
    assert.equal(made.code, 0, made.text);
    const [customer] = (await stripe.customers.list()).data;
    assert.equal(customer?.email, "ada@example.com");
    const got = await cli(url, home, "get", `/v1/customers/${customer?.id}`);
    assert.match(got.text, /"email": "ada@example.com"/);
    const refused = await cli(url, home, "post", "/v1/products", "-d", "nome=x");
    assert.match(refused.text, /parameter_unknown/);
    const [event] = (await stripe.events.list()).data;
    const resent = await cli(url, home, "events", "resend", event?.id ?? "");
    assert.equal(resent.code, 0, resent.text);
    assert.match(resent.text, /"object": "event"/);
  });
  await Deno.remove(home, { recursive: true });
});
