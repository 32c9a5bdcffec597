import { z } from "zod";
import { sleep } from "../../../util.ts";
import { OperatorError } from "../../project.ts";
import type { Step } from "../step.ts";

const health = z.object({
  status: z.string(),
  checks: z.array(z.object({
    check_name: z.string(),
    status: z.string(),
    hint: z.string().nullish(),
  })).default([]),
});
type Health = z.infer<typeof health>;

export interface HealthOptions {
  url: string;
  secretKey: () => Promise<string>;
  /** New functions and jobs need a moment. */
  timeoutMs: number;
  everyMs: number;
}

/** Asks the function `health` until it is content. It is the first call from outside to what was just deployed. */
export function healthStep(slugs: readonly string[], options: HealthOptions): Step {
  return {
    name: "health",
    plan: () => {
      if (!slugs.includes("health")) {
        return Promise.resolve({ nothing: "this checkout has no function health" });
      }
      return Promise.resolve({
        todo: `ask ${options.url}/functions/v1/health`,
        apply: () => untilContent(options),
      });
    },
  };
}

async function untilContent({ url, secretKey, timeoutMs, everyMs }: HealthOptions) {
  const key = await secretKey();
  const deadline = Date.now() + timeoutMs;
  while (true) {
    const outcome = await ask(url, key);
    if (typeof outcome !== "string" && outcome.status !== "fail") return describe(outcome);
    if (Date.now() > deadline) {
      throw new OperatorError(
        typeof outcome === "string" ? outcome : `It is deployed, but ${describe(outcome)}`,
      );
    }
    await sleep(everyMs);
  }
}

/** The answer, or why there is none. */
async function ask(url: string, key: string): Promise<Health | string> {
  try {
    const response = await fetch(`${url}/functions/v1/health`, {
      headers: { apikey: key },
      signal: AbortSignal.timeout(10_000),
      // Elsewhere the key would be somebody else's.
      redirect: "error",
    });
    const text = await response.text();
    if (response.status === 200 || response.status === 503) {
      const answer = health.safeParse(parse(text));
      if (answer.success) return answer.data;
    }
    return `${url}/functions/v1/health answered ${response.status}.`;
  } catch {
    return `${url}/functions/v1/health cannot be reached.`;
  }
}

function describe({ status, checks }: Health): string {
  const bad = checks.filter((one) => one.status !== "ok");
  return [
    `health says ${status}`,
    ...bad.map(({ check_name, status, hint }) =>
      `${status} ${check_name}${hint ? `: ${hint}` : ""}`
    ),
  ].join("\n");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
