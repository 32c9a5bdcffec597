import type { Stack } from "./stack.ts";

export const DEMO = { email: "demo@tollgate.test", password: "tollgate-demo" };

/** What a person sees: a line per step while it works, a small table at the end. Plain text when it is not a terminal. */
export class Terminal {
  readonly #colour = Deno.stdout.isTerminal() && !Deno.noColor;

  progress(text: string): void {
    console.log(`${this.#paint("36", "•")} ${text} …`);
  }

  step(name: string, milliseconds: number): void {
    console.log(`${this.#paint("32", "✓")} ${name} ${this.#paint("2", seconds(milliseconds))}`);
  }

  line(text: string): void {
    console.log(text);
  }

  error(text: string): void {
    console.error(`${this.#paint("31", "✗")} ${text}`);
  }

  table(stack: Stack, realStripe: boolean, milliseconds: number): void {
    const rows = [
      ["Web client", stack.webUrl],
      ["API", stack.apiUrl],
      ["Postgres", stack.dbUrl],
      [
        "Stripe",
        realStripe
          ? `${stack.stripeUrl} (your account, test mode)`
          : `${stack.stripeUrl} (sandbox)`,
      ],
      ["E-mails", `${stack.inboxUrl} (caught here, nothing is delivered)`],
      ["Demo login", `${DEMO.email} / ${DEMO.password}`],
    ];
    const width = Math.max(...rows.map(([name = ""]) => name.length));
    const lines = rows.map(([name = "", value = ""]) =>
      `  ${this.#paint("1", name.padEnd(width))}  ${value}`
    );
    console.log(
      `\nTollgate is ready after ${seconds(milliseconds)}. Ctrl-C stops it.\n\n${
        lines.join("\n")
      }\n`,
    );
  }

  #paint(code: string, text: string): string {
    return this.#colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
