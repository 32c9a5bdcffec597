import { fromFileUrl } from "./util.ts";

/** The repository's root: every path of the local platform starts here, never at the working directory. */
export const ROOT = fromFileUrl(new URL("../", import.meta.url)).replace(/\/$/, "");
export const LOCAL = `${ROOT}/local`;
export const SUPABASE = `${ROOT}/supabase`;
export const FUNCTIONS = `${SUPABASE}/functions`;
export const NODE_MODULES = `${ROOT}/node_modules`;
