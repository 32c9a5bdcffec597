/** Takes every secret out of a text before a person, a log or a CI sees it. */
export interface Redactor {
  (text: string): string;
  /** One that is known only now. */
  learn(secret: string): void;
}

const SHORTEST = 6;

export function redactor(secrets: Iterable<string | undefined>): Redactor {
  const known = new Set<string>();
  const learn = (secret: string) => {
    for (const form of [secret, encodeURIComponent(secret)]) {
      if (form.length >= SHORTEST) known.add(form);
    }
  };
  for (const secret of secrets) if (secret !== undefined) learn(secret);
  const redact = (text: string) =>
    // A secret that contains another goes first.
    [...known].toSorted((one, other) => other.length - one.length)
      .reduce((shown, secret) => shown.replaceAll(secret, "***"), text);
  return Object.assign(redact, { learn });
}
