type Field = string | number | boolean | null | undefined;

/** What somebody else's message may quote, and no line of ours may hold. */
const QUOTED: readonly RegExp[] = [
  // A person's address.
  /[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,8}\.[a-z]{2,24}\b/gi,
  // Keys and secrets of Stripe and Supabase, and access tokens.
  /\b(?:sk|rk)_(?:test|live)_\w+|\bwhsec_\w+|\bsb_secret_[\w-]+|\b\w+_secret_\w{8,}/g,
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
];

/**
 * One structured line. Fields are ids, codes and counts; never a body, a token, a secret or a person's address. The words of
 * Stripe, Postgres or a mail server may quote what they were sent, so what looks like one of these is taken out.
 */
export function log(
  level: "info" | "warn" | "error",
  event: string,
  fields: Record<string, Field> = {},
): void {
  const line = JSON.stringify({ level, event, ...fields }, (_, value) => withoutQuotes(value));
  if (level === "error") console.error(line);
  else if (level === "warn") console.warn(line);
  else console.info(line);
}

function withoutQuotes(value: unknown): unknown {
  if (typeof value !== "string") return value;
  return QUOTED.reduce((text, pattern) => text.replaceAll(pattern, "***"), value);
}
