/** A plan's pieces. Nothing here talks to Stripe. */

/** What cannot be done, in words for an operator. The plan is refused as a whole. */
export class SetupError extends Error {
  override name = "SetupError";
}

export type StepKind =
  | "destination"
  | "feature"
  | "meter"
  | "portal"
  | "price"
  | "product"
  | "webhook";
export type Change = "create" | "keep" | "move" | "replace" | "update";

/** A call that a step makes. References in its parameters become ids when it is made. */
export interface Call {
  method: "DELETE" | "POST";
  path: string;
  params: Record<string, unknown>;
  /** What is made, below the path by its id. */
  creates?: {
    /** The reference it has from then on; empty when nothing refers to it. */
    ref: string;
    /**
     * The idempotency key. One made of what was asked for and of what was there before: whoever starts again after a crash, or at
     * the same time as another, gets what was made already.
     */
    once: string;
  };
  /** Its answer has a signing secret, under this name. */
  secret?: string;
}

export interface Step {
  kind: StepKind;
  /** The row's key or id, or which of several. */
  name: string;
  change: Change;
  /** What changes, old → new, for a person to read. */
  details: string[];
  calls: Call[];
}

/** What a plan grows in. */
export class Draft {
  readonly steps: Step[] = [];
  /** What an operator should know and this command never does by itself. */
  readonly notes: string[] = [];
  /** Ids of what is there already, by reference. */
  readonly ids = new Map<string, string>();

  add(step: Step): void {
    this.steps.push(step);
  }

  keep(kind: StepKind, name: string, detail: string): void {
    this.add({ kind, name, change: "keep", details: [detail], calls: [] });
  }

  /** The id behind a reference; the reference itself while there is none. */
  known(ref: string): string {
    return this.ids.get(ref) ?? ref;
  }
}

export function update(path: string, params: Record<string, unknown>): Call {
  return { method: "POST", path, params };
}

/** `"Pro" → "Professional"`. */
export function became(before: unknown, after: unknown): string {
  return `${shown(before)} → ${shown(after)}`;
}

function shown(value: unknown): string {
  return value === undefined || value === null ? "nothing" : JSON.stringify(value);
}
