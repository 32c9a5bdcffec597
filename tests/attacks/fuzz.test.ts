import assert from "node:assert/strict";
import fc from "fast-check";
import postgres from "postgres";
import { startStack } from "../../local/stack.ts";
import { findLeaks } from "../support/secrets.ts";
import { type Case, functionCases, type Known, rpcCases } from "../support/fuzz.ts";

/**
 * Every function's body and every RPC's arguments, from their own schemas and beyond: nothing may answer 5xx, hang, or leave a
 * rejection that nobody handles. On a stack of its own, because the secret key may write whatever it says.
 *
 * FUZZ_CASES (20,000) and FUZZ_SEED (the time) repeat a run.
 */
const CASES = Number(Deno.env.get("FUZZ_CASES") ?? 20_000);
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() % 2 ** 31);
const AT_ONCE = 24;
const PEOPLE = 40;
const HANG_MS = 30_000;

type Stack = Awaited<ReturnType<typeof startStack>>;

async function signUp(stack: Stack, number: number): Promise<{ id: string; token: string }> {
  const response = await fetch(`${stack.apiUrl}/auth/v1/signup`, {
    method: "POST",
    headers: { apikey: stack.publishableKey, "content-type": "application/json" },
    body: JSON.stringify({
      email: `fuzz-${number}@example.com`,
      password: "correct horse battery",
    }),
  });
  const { user, access_token } = await response.json();
  return { id: user.id, token: access_token };
}

/** What exists and may be named: people, their chat, the seed's rows, the catalogue's words. */
async function knownTo(db: postgres.Sql): Promise<Known> {
  const ids = await db<{ id: string }[]>`
    select id from auth.users union select id from public.listings union select id from public.conversations
    union select id from public.messages union select id from public.agents`;
  const words = await db<{ word: string }[]>`
    select lookup_key as word from public.prices union select lookup_key from public.credit_packs
    union select id from public.metrics union select id from public.plans union select id from public.features`;
  return {
    ids: ids.map(({ id }) => id),
    words: [
      ...words.map(({ word }) => word),
      "usd",
      "eur",
      "newest",
      "agent",
      "active",
      "cus_none",
      "acct_none",
    ],
  };
}

async function send(stack: Stack, tokens: string[], one: Case): Promise<string | null> {
  const token = one.as === "user" ? tokens[one.person % tokens.length] : undefined;
  const response = await fetch(`${stack.apiUrl}${one.path}`, {
    method: "POST",
    headers: {
      apikey: one.as === "secret" ? stack.secretKey : stack.publishableKey,
      "content-type": "application/json",
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: one.body,
    signal: AbortSignal.timeout(HANG_MS),
  });
  const text = await response.text();
  return response.status < 500 ? null : `${response.status} ${text.slice(0, 300)}`;
}

Deno.test(`${CASES} random calls of functions and RPCs: no 5xx, no hang, no stray rejection`, async () => {
  const log: string[] = [];
  const stack = await startStack({ web: false, cron: false, log: (line) => log.push(line) });
  const db = postgres(stack.dbUrl, { max: 4, onnotice: () => {} });
  try {
    const people = await Promise.all(Array.from({ length: PEOPLE }, (_, i) => signUp(stack, i)));
    const tokens = people.map(({ token }) => token);
    const known = await knownTo(db);
    const functions = await functionCases(known);
    const rpcs = await rpcCases(db, known);
    assert.ok(functions.length >= 15 && rpcs.length >= 60);
    // There are four RPCs to a function, and a function takes longer.
    const one = fc.oneof(
      { weight: 1, arbitrary: fc.oneof(...functions) },
      { weight: 2, arbitrary: fc.oneof(...rpcs) },
    );
    const cases = fc.sample(one, {
      numRuns: CASES,
      seed: SEED,
    });

    const failures = new Map<string, string[]>();
    const rest = cases.values();
    const begun = performance.now();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const one of rest) {
        const problem = await send(stack, tokens, one).catch((error) => String(error));
        if (problem === null) continue;
        const key = `${one.door} as ${one.as}`;
        failures.set(key, [...failures.get(key) ?? [], `${one.body.slice(0, 500)} → ${problem}`]);
      }
    }));
    const seconds = Math.round((performance.now() - begun) / 1000);
    console.log(`fuzz: ${cases.length} cases in ${seconds} s, FUZZ_SEED=${SEED}`);
    const report = [...failures].map(([door, all]) => `${door} (${all.length}): ${all[0]}`);
    assert.equal(report.join("\n"), "", `FUZZ_SEED=${SEED}`);
    assert.deepEqual(log.filter((line) => /unhandled rejection|ended unexpectedly/.test(line)), []);
    const { leaks, searched } = await findLeaks(log, stack.dataDir);
    console.log(`fuzz: ${searched}`);
    assert.deepEqual(leaks, []);
  } finally {
    if (Deno.env.get("FUZZ_LOG")) {
      await Deno.writeTextFile(Deno.env.get("FUZZ_LOG") ?? "", log.join("\n"));
    }
    await db.end();
    await stack.stop();
  }
});
