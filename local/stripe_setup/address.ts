import { SetupError } from "./steps.ts";

/**
 * Where Stripe should deliver: the project's function, or what was `asked` for. Null when that is this machine, which Stripe cannot
 * reach; a sandbox (`isSandbox`) can. Throws `SetupError` for what Stripe would not deliver to.
 */
export function deliveryUrl(
  { asked, projectUrl, prefix, live, isSandbox }: {
    asked: string | undefined;
    projectUrl: string;
    /** What stands before our functions' names in a project that has them under others. */
    prefix: string;
    live: boolean;
    isSandbox: boolean;
  },
): string | null {
  const text = asked ?? `${projectUrl}/functions/v1/${prefix}stripe-webhook`;
  if (!URL.canParse(text)) throw new SetupError(`${text} is no address.`);
  const { protocol, hostname } = new URL(text);
  const isHere = ["localhost", "[::1]", "0.0.0.0"].includes(hostname) ||
    /^127(\.\d{1,3}){3}$/.test(hostname);
  if (!["http:", "https:"].includes(protocol) || (!isHere && protocol !== "https:")) {
    throw new SetupError(`Stripe delivers by https only, not to ${text}.`);
  }
  if (!isHere || isSandbox) return text;
  if (live) throw new SetupError(`A live account cannot deliver to this machine (${text}).`);
  return null;
}
