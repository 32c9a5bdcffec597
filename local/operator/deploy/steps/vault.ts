import { createHash } from "node:crypto";
import { z } from "zod";
import { type Database, literal } from "../database.ts";
import type { Step } from "../step.ts";
import { list } from "../target.ts";

const entry = z.object({ name: z.string(), digest: z.string() });

/** What pg_cron needs to call the functions: `project_url` and `secret_key`, in the Vault. Values are compared by digest. */
export function vaultStep(
  database: Database,
  wanted: { project_url: string; secret_key: () => Promise<string> },
): Step {
  return {
    name: "vault",
    plan: async () => {
      const values = { project_url: wanted.project_url, secret_key: await wanted.secret_key() };
      const there = await readEntries(database, Object.keys(values));
      const differing = Object.entries(values)
        .filter(([name, value]) => there.get(name) !== digest(value));
      if (differing.length === 0) return { nothing: `${list(Object.keys(values))} are in it` };
      const names = differing.map(([name]) => name);
      return {
        todo: `store ${list(names)}`,
        apply: async () => {
          for (const [name, value] of differing) {
            await database.write(statement(name, value, there.has(name)));
          }
          return `${list(names)} stored`;
        },
      };
    },
  };
}

async function readEntries(database: Database, names: string[]): Promise<Map<string, string>> {
  if (!(await database.has("vault.decrypted_secrets"))) return new Map();
  const rows = await database.read(
    entry,
    `select name, encode(sha256(convert_to(decrypted_secret, 'UTF8')), 'hex') as digest
     from vault.decrypted_secrets where name in (${names.map(literal).join(", ")})`,
  );
  return new Map(rows.map(({ name, digest }) => [name, digest]));
}

function statement(name: string, value: string, exists: boolean): string {
  return exists
    ? `select vault.update_secret(s.id, ${literal(value)}) from vault.secrets s where s.name = ${
      literal(name)
    }`
    : `select vault.create_secret(${literal(value)}, ${literal(name)})`;
}

function digest(value: string): string {
  return createHash("sha256").update(value).digest("hex");
}
