import { parse } from "smol-toml";
import { z } from "zod";
import { SUPABASE } from "./paths.ts";
import { readTextIfAny, StartError } from "./util.ts";

/** The part of supabase/config.toml the local platform and the deployment act on. The defaults are the official CLI's. */
const functionConfig = z.object({
  enabled: z.boolean().default(true),
  verify_jwt: z.boolean().default(true),
  entrypoint: z.string().optional(),
  import_map: z.string().optional(),
});

const projectConfig = z.object({
  api: z.object({
    schemas: z.array(z.string()).default(["public", "graphql_public"]),
    max_rows: z.number().int().positive().default(1000),
  }).prefault({}),
  db: z.object({
    seed: z.object({
      enabled: z.boolean().default(true),
      sql_paths: z.array(z.string()).default(["./seed.sql"]),
    }).prefault({}),
  }).prefault({}),
  auth: z.object({
    jwt_expiry: z.number().int().positive().default(3600),
    additional_redirect_urls: z.array(z.string()).default([]),
    enable_signup: z.boolean().default(true),
    minimum_password_length: z.number().int().default(6),
    enable_refresh_token_rotation: z.boolean().default(true),
    refresh_token_reuse_interval: z.number().int().default(10),
    email: z.object({
      enabled: z.boolean().default(true),
      enable_confirmations: z.boolean().default(false),
    }).prefault({}),
  }).prefault({}),
  functions: z.record(z.string(), functionConfig).default({}),
});

export type ProjectConfig = z.infer<typeof projectConfig>;

export async function readProjectConfig(folder = SUPABASE): Promise<ProjectConfig> {
  return parseProjectConfig(await readTextIfAny(`${folder}/config.toml`) ?? "");
}

export function parseProjectConfig(text: string): ProjectConfig {
  try {
    return projectConfig.parse(parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new StartError(`supabase/config.toml: ${reason}`);
  }
}
