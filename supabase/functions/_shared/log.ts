type Field = string | number | boolean | null | undefined;

/**
 * One structured line. Fields are ids, codes and counts; never a body, a token, a secret or a person's address.
 */
export function log(
  level: "info" | "warn" | "error",
  event: string,
  fields: Record<string, Field> = {},
): void {
  const line = JSON.stringify({ level, event, ...fields });
  if (level === "error") console.error(line);
  else if (level === "warn") console.warn(line);
  else console.info(line);
}
