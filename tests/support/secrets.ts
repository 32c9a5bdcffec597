import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { PASSWORD as DATABASE_PASSWORD } from "../../local/postgres.ts";
import { JWT_SECRET, SANDBOX_KEY } from "../../local/stack_options.ts";
import { Tokens } from "../../local/tokens.ts";
import type { StackFile } from "./stack.ts";

/** What must never stand in a log: a value by its name, or whatever looks like one. */
export interface Secret {
  name: string;
  value: string | RegExp;
}

/** Of every shape, also those that a test made up for itself. */
const SHAPES: Secret[] = [
  { name: "an access token", value: /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{16,}/ },
  { name: "a Stripe key", value: /\b(?:sk|rk)_(?:test|live)_\w+/ },
  { name: "a secret key", value: /\bsb_secret_\w+/ },
  { name: "a webhook secret", value: /\bwhsec_\w+/ },
  { name: "a client secret", value: /\b(?:pi|seti|cs|ek|src)_\w+_secret_\w+/ },
  { name: "a card number", value: /\b4242 ?4242 ?4242 ?4242\b/ },
  { name: "a person's address", value: /\b[\w-]+-[0-9a-f]{8}-[0-9a-f-]{27}@example\.com/ },
  { name: "a database password", value: new RegExp(`postgresql://\\w+:${DATABASE_PASSWORD}@`) },
];

/** Everything secret that a run used: the stack's own, every refresh token, every hash of a password, every address. */
export async function secretsOf(stack: StackFile): Promise<Secret[]> {
  const db = postgres(stack.db_url, { max: 1, onnotice: () => {} });
  try {
    const tokens = await db<{ token: string }[]>`select token from auth.refresh_tokens`;
    const people = await db<{ email: string; hash: string | null }[]>`
      select email, encrypted_password as hash from auth.users where email is not null`;
    const kept = await db<{ name: string; value: string }[]>`
      select name, decrypted_secret as value from vault.decrypted_secrets where name <> 'project_url'`;
    return [
      { name: "the secret key", value: stack.secret_key },
      { name: "the webhook secret", value: stack.webhook_secret },
      { name: "the secret that signs access tokens", value: JWT_SECRET },
      { name: "the same, as a key", value: signingKey() },
      { name: "the sandbox's key", value: SANDBOX_KEY },
      { name: "the password of the tests' people", value: "correct horse battery staple" },
      ...kept.map(({ name, value }) => ({ name: `the vault's ${name}`, value })),
      ...tokens.map(({ token }) => ({ name: "a refresh token", value: token })),
      ...people.map(({ email }) => ({ name: "a person's address", value: email })),
      ...people.flatMap(({ hash }) => hash ? [{ name: "a password's hash", value: hash }] : []),
      ...SHAPES,
    ].filter(({ value }) => typeof value !== "string" || value.length >= 8);
  } finally {
    await db.end();
  }
}

/** As the functions' settings have it. */
function signingKey(): string {
  return JSON.parse(new Tokens(JWT_SECRET).privateJwks).keys[0].k;
}

/** Where a secret stands in a log. Says which, where and what is around it, never the secret itself. */
export function leaksIn(log: string, text: string, secrets: Secret[]): string[] {
  const lines = text.split("\n");
  return secrets.flatMap(({ name, value }) => {
    const found = typeof value === "string" ? text.includes(value) : value.test(text);
    if (!found) return [];
    return lines.flatMap((line, index) => {
      const shown = typeof value === "string"
        ? line.replaceAll(value, "***")
        : line.replace(value, "***");
      return shown === line ? [] : [`${name} in ${log}:${index + 1}: ${shown.slice(0, 160)}`];
    }).slice(0, 3);
  });
}

/** What is secret and stands in what a stack has printed or written down, while it still runs. */
export async function findLeaks(
  printed: string[],
  dataDir: string,
): Promise<{ leaks: string[]; searched: string }> {
  const described: StackFile = JSON.parse(readFileSync(join(dataDir, "stack.json"), "utf8"));
  const secrets = await secretsOf(described);
  const logs = new Map([["the stack's output", printed.join("\n")], ...logFiles(dataDir)]);
  const lines = [...logs.values()].reduce((sum, text) => sum + text.split("\n").length, 0);
  return {
    leaks: [...logs].flatMap(([name, text]) => leaksIn(name, text, secrets)),
    searched: `Looked for ${secrets.length} secrets in ${logs.size} logs of ${lines} lines.`,
  };
}

/** The log files of a stack, by name. */
function logFiles(dataDir: string): Map<string, string> {
  const folder = join(dataDir, "logs");
  const names = readdirSync(folder).filter((name) => name.endsWith(".log"));
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}
