import { z } from "zod";
import { OperatorError } from "../project.ts";
import type { Cli } from "./cli.ts";

/**
 * The project's database, through the official CLI: by the project's reference (the CLI then asks the Management API, or connects
 * with the database's password or a role it is given for the moment), or by a URL.
 */
export interface Database {
  /** `--remote=…` for commands that take a database. Never holds a password. */
  remote: string;
  /** What those commands need in their environment. */
  env: Record<string, string>;
  /** Runs one statement in a transaction that cannot write. */
  read<T extends z.ZodType>(row: T, sql: string): Promise<z.infer<T>[]>;
  write(sql: string): Promise<void>;
  /** Whether the table or view is there: what the first push makes cannot be looked at before it. */
  has(relation: Relation): Promise<boolean>;
}

const RELATIONS = [
  "supabase_migrations.schema_migrations",
  "billing.deployments",
  "vault.decrypted_secrets",
  "cron.job",
] as const;
export type Relation = typeof RELATIONS[number];

export function openDatabase(cli: Cli, remote: string, env: Record<string, string>): Database {
  const query = ["db", "query", `--remote=${remote}`];
  // By standard input: an argument can be seen by everybody on the machine.
  const read: Database["read"] = async (row, sql) =>
    z.array(row).parse(await cli.json([...query, "--read-only"], { stdin: sql, env }));
  const there = new Set<string>();
  return {
    remote,
    env,
    read,
    write: async (sql) => void await cli.run([...query, "--yes"], { stdin: sql, env }),
    has: async (relation) => {
      // All at once, since every question costs a second; what is not there yet is asked for again.
      if (!there.has(relation)) {
        const names = RELATIONS.map((name) => `(${literal(name)})`).join(", ");
        const found = await read(
          z.object({ name: z.string() }),
          `select r.name from (values ${names}) r (name) where to_regclass(r.name) is not null`,
        );
        for (const { name } of found) there.add(name);
      }
      return there.has(relation);
    },
  };
}

/** The address without its password, and the password for the environment: arguments are visible to other users. */
export function splitDatabaseUrl(text: string): { remote: string; env: Record<string, string> } {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === "") {
    throw new OperatorError("--db-url (or SUPABASE_DB_URL) is no postgresql:// URL.");
  }
  if (url.searchParams.has("password")) {
    throw new OperatorError("The database's password belongs before the @ of its URL.");
  }
  const password = decodeURIComponent(url.password);
  url.password = "";
  return { remote: url.href, env: password === "" ? {} : { PGPASSWORD: password } };
}

/** A URL of another project would put the migrations there and the functions here. */
export function checkSameProject(remote: string, ref: string): void {
  const url = new URL(remote);
  const host = /^db\.([a-z]{20})\./.exec(url.hostname)?.[1];
  const user = /\.([a-z]{20})$/.exec(decodeURIComponent(url.username))?.[1];
  const other = host ?? user;
  if (other !== undefined && other !== ref) {
    throw new OperatorError(`The database's URL belongs to project ${other}, not to ${ref}.`);
  }
}

/** A text as a literal of SQL. */
export function literal(text: string): string {
  if (text.includes("\0")) throw new OperatorError("A text with a zero byte cannot be stored.");
  return text.includes("\\")
    ? `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`;
}
