import { type Client, rows } from "./client.ts";

/** The right to change a user's subscription; `changedAt` in Unix seconds, null when nothing was changed yet. */
export interface PlanChangeLease {
  token: number;
  changedAt: number | null;
}

/** The lease on a user's subscription, or null while another request is changing it. */
export async function beginPlanChange(
  admin: Client,
  userId: string,
): Promise<PlanChangeLease | null> {
  const [row] = await rows(admin.rpc("begin_plan_change", { p_user_id: userId }));
  if (row === undefined) return null;
  const { token, changed_at } = row;
  return {
    token,
    changedAt: changed_at ? Math.floor(new Date(changed_at).getTime() / 1000) : null,
  };
}

/** Gives the lease up. `changed`: previews made until now are no longer true. */
export async function endPlanChange(
  admin: Client,
  userId: string,
  token: number,
  changed: boolean,
): Promise<void> {
  await rows(
    admin.rpc("end_plan_change", { p_user_id: userId, p_token: token, p_changed: changed }),
  );
}
