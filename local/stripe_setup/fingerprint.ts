import { createHash } from "node:crypto";

/** Sixteen hexadecimal digits that differ when what is asked for does. */
export function fingerprint(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}
