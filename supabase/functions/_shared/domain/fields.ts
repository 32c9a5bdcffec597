import { AppError } from "./errors.ts";

/** Reads fields of Stripe's objects. Each throws `stripe_shape_unknown` instead of letting a null through. */

export function amount(value: unknown, field: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw shapeUnknown(field);
  return value;
}

export function text(value: unknown, field: string): string {
  if (typeof value !== "string" || value === "") throw shapeUnknown(field);
  return value;
}

/** Unix seconds to ISO 8601. */
export function time(value: unknown, field: string): string {
  if (typeof value !== "number" || !Number.isFinite(value)) throw shapeUnknown(field);
  return new Date(value * 1000).toISOString();
}

export function timeOrNull(value: unknown, field: string): string | null {
  return value === null || value === undefined ? null : time(value, field);
}

export function shapeUnknown(field: string): AppError {
  return new AppError(
    "stripe_shape_unknown",
    `Stripe answered something whose ${field} is not understood.`,
  );
}
