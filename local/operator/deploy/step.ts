import { messageOf } from "../../util.ts";
import { OperatorError } from "../project.ts";
import type { Report } from "./report.ts";

/** Looks and changes nothing. Gives what was found, in a few words; throws an OperatorError for what is wrong. */
export interface Check {
  name: string;
  look: () => Promise<string>;
}

/** What a step found: nothing to do and why, or what it would do and how. */
export type Plan =
  | { nothing: string }
  | { todo: string; apply: () => Promise<string> };

export interface Step {
  name: string;
  /** Looks at the project as it is now, so that a run after a failure goes on where the last one stopped. */
  plan: () => Promise<Plan>;
}

/** Runs every check, also after one that failed: all that is wrong is said at once. Gives how many failed. */
export async function runChecks(checks: Check[], report: Report): Promise<number> {
  let failed = 0;
  for (const { name, look } of checks) {
    try {
      report.step("✓", name, await look());
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      failed += 1;
      report.step("✗", name, error.message);
    }
  }
  return failed;
}

/** Runs the steps in order and stops at the first that fails. A dry run only plans. */
export async function runSteps(steps: Step[], dryRun: boolean, report: Report): Promise<void> {
  for (const [index, { name, plan }] of steps.entries()) {
    try {
      await runStep(name, await plan(), dryRun, report);
    } catch (error) {
      report.step("✗", name, messageOf(error));
      if (!(error instanceof OperatorError)) throw error;
      const done = steps.slice(0, index).map((step) => step.name);
      throw new OperatorError(
        `Stopped at ${name}.${dryRun || done.length === 0 ? "" : ` Done: ${done.join(", ")}.`}` +
          `${dryRun ? "" : " Run it again once that is mended: it goes on from here."}`,
      );
    }
  }
}

async function runStep(
  name: string,
  plan: Plan,
  dryRun: boolean,
  report: Report,
): Promise<void> {
  if ("nothing" in plan) return report.step("–", name, `skipped: ${plan.nothing}`);
  if (dryRun) return report.step("→", name, `would ${plan.todo}`);
  report.step("•", name, `doing: ${plan.todo}`);
  report.step("✓", name, `done: ${await plan.apply()}`);
}
