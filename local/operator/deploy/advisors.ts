import { z } from "zod";
import { OperatorError } from "../project.ts";
import type { Cli } from "./cli.ts";
import type { Database } from "./database.ts";

/** One piece of advice of Supabase's Security and Performance Advisors. */
const advice = z.object({
  name: z.string(),
  title: z.string(),
  level: z.enum(["INFO", "WARN", "ERROR"]),
  detail: z.string().nullish(),
});
export type Advice = z.infer<typeof advice>;

/** What the advisors say of level `warn` and above. */
export async function adviceFor(cli: Cli, { remote, env }: Database): Promise<Advice[]> {
  const args = ["db", "advisors", `--remote=${remote}`, "--level", "warn"];
  const answer = (await cli.run(args, { env })).trim();
  if (answer === "") return [];
  const found = z.array(advice).safeParse(parse(answer));
  if (!found.success) throw new OperatorError("The advisors' answer is not understood.");
  return found.data;
}

export function describe({ level, name, detail, title }: Advice): string {
  return `${level.toLowerCase()} ${name}: ${detail ?? title}`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
