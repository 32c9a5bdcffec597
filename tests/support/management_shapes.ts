import { createHash } from "node:crypto";

/** What the stand-in of the Management API keeps of a project, and how the API shows it. */
export interface DeployedFunction {
  id: string;
  slug: string;
  name: string;
  status: string;
  version: number;
  verify_jwt: boolean;
  import_map: boolean;
  entrypoint_path: string;
  import_map_path: string;
  ezbr_sha256: string;
  created_at: number;
  updated_at: number;
}

export interface Project {
  ref: string;
  name: string;
  status: string;
  secretKey: string;
  databaseUrl: string;
  secrets: Map<string, string>;
  functions: Map<string, DeployedFunction>;
  /** What was uploaded of each function: path and text. */
  files: Map<string, Map<string, string>>;
  /** What the API shows of a secret. */
  digest: (value: string) => string;
  lints: unknown[];
  health: { status: number; body: unknown };
}

export interface Branch {
  name: string;
  ref: string;
  isDefault: boolean;
  status: string;
}

export const REF = "abcdefghijklmnopqrst";
export const BRANCH_REF = "bcdefghijklmnopqrstu";
export function newProject(ref: string, name: string, databaseUrl: string): Project {
  return {
    ref,
    name,
    databaseUrl,
    status: "ACTIVE_HEALTHY",
    secretKey: `sb_secret_of_${ref}`,
    secrets: new Map(),
    functions: new Map(),
    files: new Map(),
    digest: (value) => createHash("sha256").update(value).digest("hex"),
    lints: [],
    health: { status: 200, body: { status: "ok", checks: [] } },
  };
}

const TIME = "2026-11-23T00:00:00.000Z";

export function describe({ ref, name, status }: Project) {
  return {
    id: ref,
    ref,
    name,
    status,
    organization_id: "org",
    organization_slug: "org",
    region: "eu-central-1",
    created_at: TIME,
    database: {
      host: `db.${ref}.standin.test`,
      version: "17.4",
      postgres_engine: "17",
      release_channel: "ga",
    },
  };
}

export function describeBranch({ name, ref, isDefault, status }: Branch) {
  return {
    id: crypto.randomUUID(),
    name,
    project_ref: ref,
    parent_project_ref: REF,
    is_default: isDefault,
    persistent: false,
    status,
    with_data: false,
    created_at: TIME,
    updated_at: TIME,
  };
}

export function keysOf(project: Project, reveal: boolean) {
  const secret = reveal ? project.secretKey : `${project.secretKey.slice(0, 12)}···`;
  return [
    { id: crypto.randomUUID(), type: "publishable", name: "default", api_key: "sb_publishable_x" },
    { id: crypto.randomUUID(), type: "secret", name: "default", api_key: secret },
  ];
}

/** Values never come back: the API shows the SHA-256 of each. */
export function digestsOf({ secrets, digest }: Project) {
  return [...secrets].map(([name, value]) => ({
    name,
    value: digest(value),
    updated_at: TIME,
  }));
}
