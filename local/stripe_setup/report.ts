import { ENDPOINTS } from "./endpoints.ts";
import type { Plan } from "./mod.ts";
import type { Shown } from "./apply.ts";
import type { Change, Step } from "./steps.ts";

/** What a person reads: the plan, and what to do with the secrets. */

const SIGNS: Record<Change, string> = {
  create: "+",
  update: "~",
  replace: "±",
  move: "→",
  keep: "=",
};

export function planText({ steps, notes, changes }: Plan): string {
  const widths = {
    kind: Math.max(...steps.map(({ kind }) => kind.length), 0),
    name: Math.max(...steps.map(({ name }) => name.length), 0),
  };
  const counts = [...Map.groupBy(steps, ({ change }) => change)]
    .map(([change, of]) => `${of.length} to ${change}`);
  const sum = changes.length === 0
    ? `Nothing to do: all ${steps.length} are as the rows say.`
    : `Plan: ${counts.toSorted().join(", ")}.`;
  return [
    ...steps.map((step) => line(step, widths)),
    "",
    ...notes.map((note) => `! ${note}`),
    sum,
  ].join("\n");
}

function line(
  { kind, name, change, details }: Step,
  widths: { kind: number; name: number },
): string {
  const head = `  ${SIGNS[change]} ${kind.padEnd(widths.kind)}  ${name.padEnd(widths.name)}`;
  return `${head}  ${details.join("; ")}`.trimEnd();
}

/**
 * The line that sets the signing secrets. `present`: those that are set already, as far as this machine knows; setting the name
 * anew would otherwise throw them away. The project is named where its address does: the CLI may be linked to another.
 */
export function secretsText(
  secrets: Shown[],
  present: string | undefined,
  projectUrl: string,
): string {
  const made = ENDPOINTS.flatMap(({ mark }) =>
    secrets.filter(({ name }) => name === mark).map(({ secret }) => secret)
  );
  const isAll = made.length === ENDPOINTS.length;
  const before = isAll ? [] : [present ?? "<what is set now>"];
  const value = [...before, ...made].join(",");
  const ref = /^https:\/\/([a-z]{20})\.supabase\.co(?:\/|$)/.exec(projectUrl)?.[1];
  const project = ref === undefined ? "" : ` --project-ref ${ref}`;
  return [
    "",
    "Stripe shows these signing secrets this once. Set them now:",
    "",
    `  npx supabase secrets set STRIPE_WEBHOOK_SECRET='${value}'${project}`,
    "",
    "The same STRIPE_WEBHOOK_SECRET='…' belongs into the env file of `npm run deploy`, which sets what stands there.",
    ...(isAll || present !== undefined ? [] : [
      "",
      "It replaces the whole list: put what is set now in front, or the events of the other endpoints are refused.",
    ]),
  ].join("\n");
}
