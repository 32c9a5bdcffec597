import type { PostgrestSingleResponse } from "@supabase/supabase-js";
import { z } from "zod";
import { AppError, ERROR_STATUS, type ErrorCode } from "../domain/errors.ts";
import { rows } from "./client.ts";

/**
 * The answer of an RPC that may refuse what somebody wants: a refusal of the database carries its code, and becomes ours
 * with the database's words. Every other error is a mistake of ours, as with `rows`.
 */
export async function refusable<T>(answer: PromiseLike<PostgrestSingleResponse<T>>): Promise<T> {
  const settled = await answer;
  const { error } = settled;
  if (error !== null && isErrorCode(error.code) && ERROR_STATUS[error.code] < 500) {
    throw new AppError(error.code, sentence(error));
  }
  return await rows(Promise.resolve(settled));
}

/** A refusal may say why beside what: `{"reason": "…"}`. */
const because = z.string().transform((details, context): unknown => {
  try {
    return JSON.parse(details);
  } catch {
    context.addIssue("not JSON");
    return z.NEVER;
  }
}).pipe(z.object({ reason: z.string() }));

function sentence({ message, details }: { message: string; details: string | null }): string {
  const why = because.safeParse(details);
  return why.success ? `${message} ${why.data.reason}` : message;
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_STATUS, code);
}
