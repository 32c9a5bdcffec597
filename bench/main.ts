import { gate } from "./gate.ts";
import { rates } from "./rates.ts";
import { retention } from "./retention.ts";

/** `npm run bench -- <name> [--option=value …]` */
const benches: Record<string, (args: string[]) => Promise<void>> = { gate, rates, retention };

const [name = "", ...args] = Deno.args;
const bench = benches[name];
if (!bench) {
  console.error(
    `Which one? ${Object.keys(benches).map((one) => `npm run bench -- ${one}`).join(", ")}`,
  );
  Deno.exit(2);
}
await bench(args);
Deno.exit(0);
