/**
 * `npm run health [-- --all]`: asks the project how it is and prints every check that is not well (`--all`: every check). Exit code
 * 0: all is well, or there are only warnings; 2: something fails; 1: the project or its database does not answer.
 */
import { parseArgs } from "node:util";
import { z } from "zod";
import {
  askFunction,
  OperatorError,
  operatorProject,
  type Project,
  runCommand,
} from "./project.ts";

const check = z.object({
  check_name: z.string(),
  status: z.enum(["ok", "warn", "fail"]),
  value: z.number().nullable(),
  threshold: z.number().nullable(),
  since: z.string().nullable(),
  hint: z.string(),
  unit: z.string(),
});
const answer = z.object({ status: check.shape.status, at: z.string(), checks: z.array(check) });
type Check = z.infer<typeof check>;

const SIGNS = { ok: "✓", warn: "!", fail: "✗" } as const;

await runCommand(async () => {
  const { values } = parseArgs({ args: Deno.args, options: { all: { type: "boolean" } } });
  const project = await operatorProject();
  const { status, checks } = await read(project);
  const shown = values.all ? checks : checks.filter((one) => one.status !== "ok");
  for (const line of shown.flatMap(lines)) console.log(line);
  const count = (of: Check["status"]) => checks.filter((one) => one.status === of).length;
  console.log(
    `${project.url}: ${status}. ${checks.length} checks, ${count("warn")} warn, ${
      count("fail")
    } fail.`,
  );
  return status === "fail" ? 2 : 0;
});

async function read(project: Project): Promise<z.infer<typeof answer>> {
  const { status, text } = await askFunction(project, "health");
  const body = answer.safeParse(parsed(text));
  if (body.success) return body.data;
  throw new OperatorError(`health answered ${status}: ${text.slice(0, 300)}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The figures in a line, and below it what to do. */
function lines(one: Check): string[] {
  const limit = one.threshold === null ? "" : ` (limit ${one.threshold})`;
  const value = one.value === null ? "" : `${one.value} ${one.unit}${limit}`;
  const since = one.since === null ? "" : `since ${one.since.slice(0, 16).replace("T", " ")}`;
  const first = `${SIGNS[one.status]} ${one.check_name.padEnd(34)} ${value.padEnd(36)} ${since}`;
  return one.status === "ok" ? [first.trimEnd()] : [first.trimEnd(), `    ${one.hint}`];
}
