/**
 * Run by tests/journeys/health.test.ts in a process of its own, with a project and keys of its own: asks the function `health` with each of
 * PROBE_KEYS (separated by commas; an empty one is nobody's) and prints `[{status, ms, text}]`.
 */
import health from "../../supabase/functions/health/index.ts";

const url = "http://127.0.0.1/functions/v1/health";
const answers: { status: number; ms: number; text: string }[] = [];
for (const apikey of (Deno.env.get("PROBE_KEYS") ?? "").split(",")) {
  const begun = performance.now();
  const response = await health.fetch(new Request(url, { headers: { apikey } }));
  const text = await response.text();
  answers.push({ status: response.status, ms: performance.now() - begun, text });
}
console.log(JSON.stringify(answers));
