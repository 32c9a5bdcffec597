import { z } from "zod";
import type { Json } from "../database.types.ts";
import { AppError } from "../domain/errors.ts";
import { type Client, type Functions, rows } from "./client.ts";

/** Keys of the metered prices; what their items say of access is nothing. */
export type WantedItem = Functions["wanted_metered_items"]["Returns"][number];

export function wantedMeteredItems(
  admin: Client,
  stripeCustomerId: string,
): Promise<WantedItem[]> {
  return rows(
    admin.rpc("wanted_metered_items", { p_stripe_customer_id: stripeCustomerId }),
  );
}

export function customersWithoutMeteredItems(admin: Client, limit: number): Promise<string[]> {
  return rows(admin.rpc("customers_without_metered_items", { p_limit: limit }));
}

const overageRefusals = z.enum(["overage_not_available", "invalid_cap"]);

/** Says yes or no to paying beyond the allowance, as the signed-in user. */
export async function setOverage(
  client: Client,
  wish: { enabled: boolean; cap_minor?: number | undefined },
): Promise<Json> {
  const { data, error } = await client.rpc("set_overage", {
    p_enabled: wish.enabled,
    ...(wish.cap_minor !== undefined && { p_cap_minor: wish.cap_minor }),
  });
  if (error === null) return data;
  const refusal = overageRefusals.safeParse(error.code);
  if (refusal.success) throw new AppError(refusal.data, error.message);
  throw new AppError("internal_error", "Something went wrong on our side.", {
    cause: new Error(`postgres ${error.code}: ${error.message}`),
  });
}

export function myOverage(client: Client): Promise<Json> {
  return rows(client.rpc("my_overage"));
}

const overageTerms = z.object({ available: z.boolean(), currency: z.string() });

/** Whether the signed-in user may pay beyond the allowance at all, and in which currency that would be. */
export async function overageTermsOf(client: Client): Promise<z.infer<typeof overageTerms>> {
  return overageTerms.parse(await myOverage(client));
}
