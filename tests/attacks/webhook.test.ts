import assert from "node:assert/strict";
import Stripe from "stripe";
import { judge, note, raw, unchanged } from "../support/attacks.ts";
import { eventually, request, sql, stack } from "../support/stack.ts";

const PATH = "/functions/v1/stripe-webhook";
const encoder = new TextEncoder();

function anEvent(extra: Record<string, unknown> = {}): string {
  return JSON.stringify({
    id: `evt_attack_${crypto.randomUUID().replaceAll("-", "")}`,
    object: "event",
    api_version: "2026-10-28.endive",
    created: Math.floor(Date.now() / 1000),
    type: "customer.subscription.updated",
    data: { object: { object: "subscription", customer: "cus_of_nobody" } },
    ...extra,
  });
}

function sign(payload: string, options: { secret?: string; timestamp?: number } = {}) {
  return Stripe.webhooks.generateTestHeaderStringAsync({
    payload,
    secret: stack().webhook_secret,
    ...options,
  });
}

/** A POST as it is on the wire, with headers as often and as odd as they are given. */
function wire(body: Uint8Array, headers: string[]): Uint8Array {
  const head = encoder.encode([
    `POST ${PATH} HTTP/1.1`,
    `host: ${new URL(stack().api_url).host}`,
    "connection: close",
    ...headers,
    "",
    "",
  ].join("\r\n"));
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

async function forgeries(): Promise<[string, string, string | undefined][]> {
  const event = anEvent();
  const good = await sign(event);
  const v1 = /v1=([0-9a-f]+)/.exec(good)?.[1] ?? "";
  const t = /t=(\d+)/.exec(good)?.[1] ?? "";
  const now = Number(t);
  const other = anEvent();
  return [
    ["no signature", event, undefined],
    ["an empty signature", event, ""],
    ["garbage", event, "garbage"],
    ["signed with another secret", event, await sign(event, { secret: "whsec_other" })],
    ["signed with no secret", event, await sign(event, { secret: "whsec_" })],
    [
      "signed with the publishable key",
      event,
      await sign(event, { secret: stack().publishable_key }),
    ],
    ["the signature of another body", other, good],
    ["truncated by a byte", event.slice(0, -1), good],
    ["cut in half", event.slice(0, event.length / 2), good],
    ["a space more", `${event} `, good],
    ["a byte order mark more", `\ufeff${event}`, good],
    [
      "keys in another order",
      JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(event)).reverse())),
      good,
    ],
    ["ten minutes old", event, await sign(event, { timestamp: now - 600 })],
    ["a year old", event, await sign(event, { timestamp: now - 31_536_000 })],
    ["time zero", event, await sign(event, { timestamp: 1 })],
    ["the time changed", event, `t=${now + 1},v1=${v1}`],
    ["no time", event, `v1=${v1}`],
    ["a time that is no number", event, `t=abc,v1=${v1}`],
    ["an old scheme", event, `t=${t},v0=${v1}`],
    ["the signature cut", event, `t=${t},v1=${v1.slice(0, -2)}`],
    [
      "the signature in capitals",
      event,
      `t=${t},v1=${v1.toUpperCase()}`.replace(/v1=\d+$/, "v1=0"),
    ],
    ["two wrong signatures", event, `t=${t},v1=${"0".repeat(64)},v1=${"f".repeat(64)}`],
    ["the time twice", event, `t=${now - 600},t=${t},v1=${"0".repeat(64)}`],
    ["an empty body", "", good],
    ["a body that is null", "null", await sign("null", { secret: "whsec_other" })],
    ["thin and unsigned", anEvent({ object: "v2.core.event" }), good],
  ];
}

Deno.test("a forged, broken or repeated webhook writes nothing", async (t) => {
  const db = sql();
  const failures: string[] = [];
  let tried = 0;
  const check = (what: string, problem: string | null) => {
    tried += 1;
    if (problem) failures.push(`${what}: ${problem}`);
  };

  await t.step("what is not signed by Stripe is 400 signature_invalid", async () => {
    await unchanged(db, async () => {
      for (const [what, body, signature] of await forgeries()) {
        const answer = await request(PATH, {
          method: "POST",
          body,
          headers: signature === undefined ? {} : { "stripe-signature": signature },
        });
        check(what, judge(answer, { status: [400] }, []));
      }
    });
  });

  await t.step("bytes that are not UTF-8, headers twice, and lengths that lie", async () => {
    const event = anEvent();
    const good = await sign(event);
    const bad = await sign(event, { secret: "whsec_other" });
    const bytes = encoder.encode(event);
    const broken = bytes.with(10, 0xff).with(11, 0xfe);
    const type = "content-type: application/json";
    const length = (n: number) => `content-length: ${n}`;
    const huge = encoder.encode(" ".repeat(10 * 1024 * 1024));
    const cases: [string, Uint8Array, string[]][] = [
      ["not UTF-8", broken, [type, length(broken.length), `stripe-signature: ${good}`]],
      ["overlong UTF-8", bytes.with(10, 0xc0).with(11, 0xaf), [
        type,
        length(bytes.length),
        `stripe-signature: ${good}`,
      ]],
      ["a NUL", bytes.with(10, 0), [type, length(bytes.length), `stripe-signature: ${good}`]],
      ["wrong signature before the right one", bytes, [
        type,
        length(bytes.length),
        `stripe-signature: ${bad}`,
        `stripe-signature: t=1,v1=0`,
      ]],
      ["ten megabytes", huge, [type, length(huge.length), `stripe-signature: ${good}`]],
      [
        "ten megabytes in chunks",
        encoder.encode(`a00000\r\n${" ".repeat(0xa00000)}\r\n0\r\n\r\n`),
        [type, "transfer-encoding: chunked", `stripe-signature: ${good}`],
      ],
      ["two megabytes", encoder.encode(" ".repeat(2 * 1024 * 1024)), [
        type,
        length(2 * 1024 * 1024),
        `stripe-signature: ${good}`,
      ]],
      ["two lengths", bytes, [type, length(bytes.length), length(5), `stripe-signature: ${bad}`]],
      ["a length that is no number", bytes, [
        type,
        "content-length: many",
        `stripe-signature: ${bad}`,
      ]],
      ["length and chunks", bytes, [
        type,
        length(bytes.length),
        "transfer-encoding: chunked",
        `stripe-signature: ${bad}`,
      ]],
      ["a header of a hundred kilobytes", bytes, [
        type,
        length(bytes.length),
        `stripe-signature: ${"a".repeat(100_000)}`,
      ]],
      ["compressed, it says", bytes, [
        type,
        length(bytes.length),
        "content-encoding: gzip",
        `stripe-signature: ${bad}`,
      ]],
      ["a line break in the signature", bytes, [
        type,
        length(bytes.length),
        "stripe-signature: t=1\r\n ,v1=2",
      ]],
    ];
    await unchanged(db, async () => {
      for (const [what, body, headers] of cases) {
        const { status, text } = await raw(wire(body, headers));
        // Cut off without an answer, or one of the refusals.
        check(what, status === 0 || (status >= 400 && status < 500) ? null : text.slice(0, 300));
      }
    });
  });

  await t.step("a signed event that is repeated a hundred times is one row", async () => {
    const event = anEvent();
    const { id } = JSON.parse(event);
    const headers = { "stripe-signature": await sign(event) };
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => request(PATH, { body: event, headers })),
    );
    for (const { status, text } of answers) check("replayed", status === 200 ? null : text);
    const rows = await db`select attempts from billing.stripe_events where id = ${id}`;
    assert.equal(rows.length, 1);
  });

  await t.step("signed nonsense is no 5xx", async () => {
    const odd = [
      "null",
      "1",
      "[]",
      "{}",
      '"text"',
      '{"object":"event"}',
      anEvent({ id: null }),
      anEvent({ type: null }),
      anEvent({ created: "yesterday" }),
      anEvent({ created: 1e20 }),
      anEvent({ created: -1 }),
      anEvent({ data: null }),
      anEvent({ data: { object: null } }),
      anEvent({ data: { object: "cus_1" } }),
      anEvent({ data: { object: { object: "subscription", customer: { id: 5 } } } }),
      anEvent({ data: { object: { object: "subscription", customer: "'; drop table x; --" } } }),
      anEvent({ data: { object: { object: "charge", id: {}, metadata: [], payment_intent: 7 } } }),
      anEvent({ type: "x".repeat(5_000) }),
      anEvent({ id: "evt_\u0000" }),
      anEvent({ account: {} }),
      anEvent({ object: "v2.core.event", created: "not a time" }),
    ];
    for (const body of odd) {
      const answer = await request(PATH, {
        body,
        headers: { "stripe-signature": await sign(body) },
      });
      check(
        `signed: ${body.slice(0, 90)}`,
        answer.status < 500 ? null : `${answer.status} ${answer.text}`,
      );
    }
    await eventually(
      () => db`select 1 from billing.stripe_events where status = 'processing'`,
      () => true,
    );
    await db`delete from billing.stripe_events where id like 'evt_attack_%'`;
  });

  note("forged, broken and repeated webhooks", tried);
  await db.end();
  assert.deepEqual(failures, []);
});
