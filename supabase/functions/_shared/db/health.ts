import { z } from "zod";
import { type Client, rows } from "./client.ts";

const level = z.enum(["ok", "warn", "fail"]);

const health = z.object({
  status: level,
  at: z.string(),
  checks: z.array(z.object({
    check_name: z.string(),
    status: level,
    value: z.number().nullable(),
    threshold: z.number().nullable(),
    since: z.string().nullable(),
    hint: z.string(),
    unit: z.string(),
  })),
});

export type Health = z.infer<typeof health>;

/** Every check beside its threshold, the worst first, computed at most `maxAgeSeconds` ago. */
export async function readHealth(
  admin: Client,
  maxAgeSeconds: number,
  signal: AbortSignal,
): Promise<Health> {
  return health.parse(
    await rows(admin.rpc("read_health", { p_max_age_seconds: maxAgeSeconds }).abortSignal(signal)),
  );
}
