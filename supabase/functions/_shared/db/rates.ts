import type { Client } from "./client.ts";
import { rows } from "./client.ts";

/** Takes a place for one call of a function: 0, or the seconds until there is one. `network` is hashed there, never stored. */
export function takeRate(
  admin: Client,
  call: { name: string; userId: string; network: string | null },
): Promise<number> {
  return rows(admin.rpc("take_rate", {
    p_name: call.name,
    p_user_id: call.userId,
    ...(call.network !== null && { p_address: call.network }),
  }));
}
