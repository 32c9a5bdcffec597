/** What the handlers of all pages share. */
import type { Context } from "hono";
import { StripeError } from "../engine/errors.ts";
import type { Hosted } from "../hosted.ts";
import { type Flash, Flashes, Once } from "./memory.ts";

export class Kit {
  readonly flashes = new Flashes();
  readonly once = new Once();
  constructor(readonly hosted: Hosted) {}

  flash(c: Context): Flash {
    return this.flashes.read(c.req.path, c.req.query("note"));
  }
}

const MOST_BYTES = 64 * 1024;
/** The body of a form; anything else, or too much of it, reads as empty. */
export async function formOf(c: Context): Promise<URLSearchParams> {
  const type = c.req.header("content-type") ?? "";
  const text = await c.req.text();
  if (!type.startsWith("application/x-www-form-urlencoded") || text.length > MOST_BYTES) {
    return new URLSearchParams();
  }
  return new URLSearchParams(text);
}

/** A refusal that can be shown, or what `run` gives. Anything that is not a `StripeError` is a bug and flies on. */
export function attempt<T>(run: () => T): { value: T } | { refused: StripeError } {
  try {
    return { value: run() };
  } catch (error) {
    if (error instanceof StripeError) return { refused: error };
    throw error;
  }
}
