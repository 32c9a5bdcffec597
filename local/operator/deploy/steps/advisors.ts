import { OperatorError } from "../../project.ts";
import { adviceFor, describe } from "../advisors.ts";
import type { Cli } from "../cli.ts";
import type { Database } from "../database.ts";
import type { Step } from "../step.ts";

/**
 * What Supabase's advisors say of the project itself. The migrations were found clean on an empty database already; here other
 * schemas and the project's settings are looked at too, so warnings are told and only errors end the deployment.
 */
export function advisorsStep(cli: Cli, database: Database): Step {
  return {
    name: "advisors",
    plan: async () => {
      const advice = await adviceFor(cli, database);
      const errors = advice.filter(({ level }) => level === "ERROR");
      if (errors.length > 0) throw new OperatorError(errors.map(describe).join("\n"));
      if (advice.length === 0) return { nothing: "nothing to say" };
      return { nothing: `${advice.length} to look at\n${advice.map(describe).join("\n")}` };
    },
  };
}
