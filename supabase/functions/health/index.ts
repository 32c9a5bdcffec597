import { healthOf } from "../_shared/billing/health.ts";
import { probeFunction } from "../_shared/http.ts";

/**
 * For monitors: GET or HEAD, by anybody → 200 `{status: "ok" | "warn"}` or 503 `{status: "fail"}`. With the secret key also
 * `{at, checks: [{check_name, status, value, threshold, since, hint, unit}]}`, the rows of `billing.health`. Without the database
 * it is 503 within five seconds.
 */
export default { fetch: probeFunction("health", healthOf) };
