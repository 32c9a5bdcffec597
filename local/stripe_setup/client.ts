import Stripe from "stripe";
import { API_VERSION } from "../../supabase/functions/_shared/stripe.ts";

export { API_VERSION };

/** A client of Stripe, or of the server that `apiBase` names. */
export function stripeClient(secretKey: string, apiBase: string | undefined): Stripe {
  const base = apiBase === undefined ? undefined : new URL(apiBase);
  return new Stripe(secretKey, {
    apiVersion: API_VERSION,
    httpClient: Stripe.createFetchHttpClient(),
    telemetry: false,
    timeout: 20_000,
    ...(base && {
      host: base.hostname,
      port: base.port || (base.protocol === "http:" ? 80 : 443),
      protocol: base.protocol === "http:" ? "http" as const : "https" as const,
    }),
  });
}

/** Which of Stripe's two worlds a secret key opens; null when it is none. */
export function modeOf(key: string): "live" | "test" | null {
  const found = /^[sr]k_(live|test)_\w+$/.exec(key)?.[1];
  return found === "live" || found === "test" ? found : null;
}
