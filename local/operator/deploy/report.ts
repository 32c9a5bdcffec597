import type { Redactor } from "./redact.ts";

/** What a person sees: one line per check and per step. */
export interface Report {
  line(text: string): void;
  title(text: string): void;
  /** `mark name  text`, further lines indented below. */
  step(mark: "✓" | "✗" | "•" | "–" | "→", name: string, text: string): void;
}

const WIDTH = 12;

export function createReport(redact: Redactor, print: (line: string) => void): Report {
  const line = (text: string) => print(redact(text));
  return {
    line,
    title: (text) => line(`\n${text}`),
    step: (mark, name, text) => {
      const [first = "", ...more] = text.split("\n");
      line(`${mark} ${name.padEnd(WIDTH)} ${first}`);
      for (const one of more) line(`${" ".repeat(WIDTH + 3)}${one}`);
    },
  };
}
