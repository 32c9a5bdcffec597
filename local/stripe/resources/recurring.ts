/** How often a price recurs; apart, because products and prices make each other. */
import { int, oneOf, required } from "../engine/params.ts";

export const interval = {
  interval: required(oneOf("day", "week", "month", "year")),
  interval_count: int(1, 1095),
};
