import { createHash } from "node:crypto";
import { z } from "zod";
import { OperatorError } from "../../project.ts";
import type { Cli } from "../cli.ts";
import type { Step } from "../step.ts";
import { list } from "../target.ts";

/** What the Management API tells of a secret: its name and the SHA-256 of its value. */
const secret = z.object({ name: z.string(), value: z.string() });

/** `supabase secrets set`, for those that are missing or have another value. Others on the project stay as they are. */
export function secretsStep(
  cli: Cli,
  ref: string,
  secrets: Readonly<Record<string, string>>,
): Step {
  const names = Object.keys(secrets).toSorted();
  const look = async () => {
    const answer = await cli.json(["secrets", "list", `--remote=${ref}`]);
    const there = new Map(z.array(secret).parse(answer).map(({ name, value }) => [name, value]));
    return {
      missing: names.filter((name) => !there.has(name)),
      differing: names.filter((name) => there.get(name) !== digest(secrets[name] ?? "")),
    };
  };
  return {
    name: "secrets",
    plan: async () => {
      const { differing } = await look();
      if (differing.length === 0) return { nothing: `all ${names.length} have these values` };
      return {
        todo: `set ${list(differing)}`,
        apply: async () => {
          await setSecrets(cli, ref, differing.map((name) => [name, secrets[name] ?? ""]));
          return `${differing.length} set${outcome(names, await look())}`;
        },
      };
    },
  };
}

/** Throws when some were not kept as they were given. When none looks right, it is the digest that means something else. */
function outcome(
  names: string[],
  { missing, differing }: { missing: string[]; differing: string[] },
): string {
  const unknown = missing.length === 0 && differing.length === names.length;
  if (differing.length > 0 && !unknown) {
    throw new OperatorError(`Supabase did not keep ${list(differing)}.`);
  }
  return unknown
    ? "\nwhat the project shows of them is not their SHA-256: they will be set every time"
    : "";
}

/** By a file that only this user can read: an argument is visible to everybody on the machine. */
async function setSecrets(cli: Cli, ref: string, pairs: [string, string][]): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "tollgate-secrets-" });
  try {
    const file = `${folder}/env`;
    await Deno.writeTextFile(file, pairs.map(line).join(""), { mode: 0o600 });
    await cli.run(["secrets", "set", `--env-file=${file}`, `--remote=${ref}`, "--yes"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * The CLI's parser knows no escapes: a value ends at the next quote of its kind. Within single quotes and backticks everything
 * is literal; within double quotes `\n` and `\r` are not.
 */
export function line([name, value]: [string, string]): string {
  const quote = ["'", "`", '"'].find((one) =>
    !value.includes(one) && (one !== '"' || !/\\[nr]/.test(value))
  );
  if (quote === undefined || value.includes("\r")) {
    throw new OperatorError(
      `${name} has characters that cannot be handed on; set it in the dashboard.`,
    );
  }
  return `${name}=${quote}${value}${quote}\n`;
}

function digest(value: string): string {
  return createHash("sha256").update(value).digest("hex");
}
