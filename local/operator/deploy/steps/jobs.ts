import { z } from "zod";
import { OperatorError } from "../../project.ts";
import { type Database, literal } from "../database.ts";
import type { Job } from "../proof.ts";
import type { Step } from "../step.ts";
import { list } from "../target.ts";

const job = z.object({
  jobname: z.string(),
  schedule: z.string(),
  command: z.string(),
  active: z.boolean(),
});

/**
 * Every scheduled job that the migrations make on an empty database is there. A missing one is scheduled again; what somebody
 * switched off or gave another time is said and left: that was a decision.
 */
export function jobsStep(database: Database, expected: Job[]): Step {
  const look = async () => {
    const there = new Map((await readJobs(database)).map((one) => [one.jobname, one]));
    return {
      missing: expected.filter(({ jobname }) => !there.has(jobname)),
      changed: expected.flatMap((wanted) => {
        const found = there.get(wanted.jobname);
        return found === undefined ? [] : howChanged(wanted, found);
      }),
    };
  };
  return {
    name: "jobs",
    plan: async () => {
      const { missing, changed } = await look();
      const notes = changed.length === 0 ? "" : `\nleft as they are: ${changed.join("; ")}`;
      if (missing.length === 0) return { nothing: `all ${expected.length} are scheduled${notes}` };
      return {
        todo: `schedule ${list(missing.map(({ jobname }) => jobname))}${notes}`,
        apply: async () => {
          for (const { jobname, schedule, command } of missing) {
            const values = [jobname, schedule, command].map(literal).join(", ");
            await database.write(`select cron.schedule(${values})`);
          }
          const left = (await look()).missing;
          if (left.length > 0) throw new OperatorError("pg_cron did not keep the jobs.");
          return `${missing.length} scheduled`;
        },
      };
    },
  };
}

function howChanged(wanted: Job, { schedule, command, active }: z.infer<typeof job>): string[] {
  if (!active) return [`${wanted.jobname} is switched off`];
  if (schedule !== wanted.schedule) return [`${wanted.jobname} runs at ${schedule}`];
  return command === wanted.command ? [] : [`${wanted.jobname} runs another command`];
}

async function readJobs(database: Database) {
  if (!(await database.has("cron.job"))) return [];
  return await database.read(
    job,
    "select jobname, schedule, command, active from cron.job where jobname like 'tollgate-%'",
  );
}
