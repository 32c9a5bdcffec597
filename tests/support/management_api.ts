import { createHash } from "node:crypto";
import postgres from "postgres";
import { z } from "zod";
import { bundleProblems, type Metadata, readUpload } from "./management_bundler.ts";
import {
  type Branch,
  BRANCH_REF,
  type DeployedFunction,
  describe,
  describeBranch,
  digestsOf,
  keysOf,
  newProject,
  type Project,
  REF,
} from "./management_shapes.ts";

/**
 * A stand-in for Supabase's Management API, for the official CLI to talk to: it keeps state, answers as the API does (as far as
 * its OpenAPI description and the CLI's own parser tell), refuses what it does not know, and remembers every request. The
 * database behind a project is a real Postgres; bundling is what a strict bundler would find missing.
 */
export interface ManagementApi {
  url: string;
  token: string;
  /** A profile for `SUPABASE_PROFILE`, which sends the CLI here. */
  profile: string;
  project: Project;
  branch: Project;
  requests: RecordedRequest[];
  /** Requests that would have changed something, as `METHOD path`. */
  writes(): string[];
  /** The next requests of that kind fail. */
  fail(fault: Fault): void;
  forget(): void;
  stop(): Promise<void>;
}

export interface RecordedRequest {
  method: string;
  path: string;
  query: string;
  writes: boolean;
  status: number;
}

export interface Fault {
  method: string;
  path: RegExp;
  status: number;
  body?: string;
  times?: number;
  /** How many requests of that kind are let through before. */
  after?: number;
}

type Answer = { status: number; body: unknown };
type Handler = (call: Call) => Answer | Promise<Answer>;
interface Call {
  project: Project;
  request: Received;
  url: URL;
}

/** The body is read once and looked at as often as needed. */
interface Received {
  method: string;
  headers: Headers;
  body(): Response;
}

// Of the form that the CLI insists on.
const TOKEN = `sbp_${"0123456789".repeat(4)}`;

export async function startManagementApi(
  databases: { main: string; branch: string },
): Promise<ManagementApi> {
  const api = new Api(databases);
  await api.listen();
  return api;
}

class Api implements ManagementApi {
  url = "";
  profile = "";
  readonly token = TOKEN;
  readonly project: Project;
  readonly branch: Project;
  readonly branches: Branch[];
  readonly requests: RecordedRequest[] = [];
  /** What was bundled and not yet made live. */
  readonly #bundles = new Map<string, { made: DeployedFunction; files: Map<string, string> }>();
  readonly #faults: Required<Fault>[] = [];
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;

  constructor(databases: { main: string; branch: string }) {
    this.project = newProject(REF, "stand-in", databases.main);
    this.branch = newProject(BRANCH_REF, "feature-x", databases.branch);
    this.branches = [
      { name: "main", ref: REF, isDefault: true, status: "FUNCTIONS_DEPLOYED" },
      { name: "feature-x", ref: BRANCH_REF, isDefault: false, status: "FUNCTIONS_DEPLOYED" },
      { name: "unborn", ref: "cdefghijklmnopqrstuv", isDefault: false, status: "CREATING_PROJECT" },
    ];
  }

  async listen(): Promise<void> {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#serve(request),
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
    this.profile = await Deno.makeTempFile({ prefix: "tollgate-profile-", suffix: ".yaml" });
    await Deno.writeTextFile(
      this.profile,
      `name: standin\napi_url: ${this.url}\ndashboard_url: ${this.url}/dashboard\nproject_host: standin.test\n`,
    );
  }

  async stop(): Promise<void> {
    await this.#server?.shutdown();
    await Deno.remove(this.profile);
  }

  writes(): string[] {
    return this.requests.filter(({ writes }) => writes).map(({ method, path }) =>
      `${method} ${path}`
    );
  }

  fail(fault: Fault): void {
    this.#faults.push({ body: '{"message":"stand-in: a fault"}', times: 1, after: 0, ...fault });
  }

  forget(): void {
    this.requests.length = 0;
    this.#faults.length = 0;
  }

  async #serve(received: Request): Promise<Response> {
    const url = new URL(received.url);
    const { method, headers } = received;
    const bytes = await received.bytes();
    const request: Received = { method, headers, body: () => new Response(bytes, { headers }) };
    const writes = method !== "GET" && !(await isReadOnlyQuery(url, request));
    const answer = await this.#answer(request, url);
    this.requests.push({
      method: request.method,
      path: url.pathname,
      query: url.search,
      writes,
      status: answer.status,
    });
    return typeof answer.body === "string"
      ? new Response(answer.body, { status: answer.status, headers: JSON_TYPE })
      : Response.json(answer.body, { status: answer.status });
  }

  async #answer(request: Received, url: URL): Promise<Answer> {
    if (url.pathname === "/functions/v1/health") return this.#health(request);
    if (request.headers.get("authorization") !== `Bearer ${this.token}`) {
      return { status: 401, body: { message: "Unauthorized" } };
    }
    const fault = this.#faultFor(request.method, url.pathname);
    if (fault) return { status: fault.status, body: fault.body };
    for (const [method, pattern, handle] of this.#routes()) {
      const match = method === request.method ? pattern.exec(url.pathname) : null;
      if (!match) continue;
      const project = [this.project, this.branch].find(({ ref }) => ref === (match[1] ?? REF));
      if (!project) return { status: 404, body: { message: "Project not found" } };
      try {
        return await handle({ project, request, url });
      } catch (error) {
        return { status: 400, body: { message: String(error) } };
      }
    }
    return { status: 404, body: { message: `Cannot ${request.method} ${url.pathname}` } };
  }

  #faultFor(method: string, path: string): Required<Fault> | undefined {
    const fault = this.#faults.find((one) => one.method === method && one.path.test(path));
    if (!fault) return undefined;
    if (fault.after > 0) {
      fault.after -= 1;
      return undefined;
    }
    fault.times -= 1;
    if (fault.times <= 0) this.#faults.splice(this.#faults.indexOf(fault), 1);
    return fault;
  }

  #routes(): [string, RegExp, Handler][] {
    const of = (rest: string) => new RegExp(`^/v1/projects/([a-z]+)${rest}$`);
    return [
      ["GET", /^\/v1\/projects$/, () => ({ status: 200, body: [describe(this.project)] })],
      [
        "GET",
        of(""),
        ({ project }) =>
          project === this.project
            ? { status: 200, body: describe(project) }
            : { status: 404, body: { message: "Project not found" } },
      ],
      ["GET", of("/api-keys"), ({ project, url }) => ({
        status: 200,
        body: keysOf(project, url.searchParams.get("reveal") === "true"),
      })],
      ["GET", of("/branches"), () => ({ status: 200, body: this.branches.map(describeBranch) })],
      ["GET", /^\/v1\/branches\/([a-z]+)$/, ({ project }) => this.#branchConfig(project)],
      ["GET", of("/secrets"), ({ project }) => ({ status: 200, body: digestsOf(project) })],
      ["POST", of("/secrets"), setSecrets],
      ["GET", of("/functions"), ({ project }) => ({
        status: 200,
        body: [...project.functions.values()],
      })],
      ["POST", of("/functions/deploy"), (call) => this.#bundle(call)],
      ["PUT", of("/functions"), (call) => this.#goLive(call)],
      ["POST", of("/database/query"), runQuery],
      ["GET", of("/advisors/security"), ({ project }) => ({
        status: 200,
        body: { lints: project.lints },
      })],
      ["GET", of("/advisors/performance"), () => ({ status: 200, body: { lints: [] } })],
    ];
  }

  #branchConfig(project: Project): Answer {
    if (project !== this.branch) return { status: 404, body: { message: "Branch not found" } };
    return {
      status: 200,
      body: {
        ref: project.ref,
        postgres_version: "17",
        postgres_engine: "17",
        release_channel: "ga",
        status: project.status,
        db_host: `db.${project.ref}.standin.test`,
        db_port: 5432,
      },
    };
  }

  async #bundle({ project, request, url }: Call): Promise<Answer> {
    const slug = url.searchParams.get("slug") ?? "";
    const { metadata, files } = await readUpload(await request.body().formData());
    const problems = bundleProblems(metadata, files);
    if (problems.length > 0) {
      return { status: 400, body: { message: `Failed to bundle the function: ${problems[0]}` } };
    }
    const made = this.#functionOf(slug, metadata, files);
    this.#bundles.set(made.ezbr_sha256, { made, files });
    if (url.searchParams.get("bundleOnly") !== "true") this.#activate(project, made.ezbr_sha256);
    return { status: 201, body: made };
  }

  #functionOf(slug: string, metadata: Metadata, files: Map<string, string>): DeployedFunction {
    const hash = createHash("sha256").update(slug).update(JSON.stringify([...files]));
    return {
      id: crypto.randomUUID(),
      slug,
      name: metadata.name,
      status: "ACTIVE",
      version: 0,
      verify_jwt: metadata.verify_jwt,
      import_map: true,
      entrypoint_path: metadata.entrypoint_path,
      import_map_path: metadata.import_map_path,
      ezbr_sha256: hash.digest("hex"),
      created_at: Date.now(),
      updated_at: Date.now(),
    };
  }

  async #goLive({ project, request }: Call): Promise<Answer> {
    const wanted = z.array(z.object({ slug: z.string(), ezbr_sha256: z.string() }))
      .parse(await request.body().json());
    const unknown = wanted.find(({ ezbr_sha256 }) => !this.#bundles.has(ezbr_sha256));
    if (unknown) return { status: 400, body: { message: `${unknown.slug} was never bundled` } };
    for (const { ezbr_sha256 } of wanted) this.#activate(project, ezbr_sha256);
    return { status: 200, body: { functions: [...project.functions.values()] } };
  }

  #activate(project: Project, hash: string): void {
    const bundle = this.#bundles.get(hash);
    if (!bundle) return;
    const { made, files } = bundle;
    const before = project.functions.get(made.slug);
    const version = (before?.version ?? 0) + 1;
    project.functions.set(made.slug, { ...made, id: before?.id ?? made.id, version });
    project.files.set(made.slug, files);
  }

  /** Every project's functions are called here: which one it is, the key says. */
  #health(request: Received): Answer {
    const key = request.headers.get("apikey");
    const project = [this.project, this.branch].find(({ secretKey }) => secretKey === key);
    if (!project) return { status: 401, body: { message: "Not a secret key" } };
    if (project.functions.has("health")) return project.health;
    return { status: 404, body: { message: "No function" } };
  }
}

const JSON_TYPE = { "content-type": "application/json" };

async function setSecrets({ project, request }: Call): Promise<Answer> {
  const secret = z.strictObject({
    name: z.string().regex(/^(?!SUPABASE_).{1,256}$/),
    value: z.string().max(24_576),
  });
  for (const { name, value } of z.array(secret).min(1).parse(await request.body().json())) {
    project.secrets.set(name, value);
  }
  return { status: 201, body: null };
}

const queryBody = z.strictObject({ query: z.string().min(1), read_only: z.boolean().optional() });

async function runQuery({ project, request }: Call): Promise<Answer> {
  const { query, read_only } = queryBody.parse(await request.body().json());
  const sql = postgres(project.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    const rows = await sql.begin(read_only ? "read only" : "", (one) => one.unsafe(query));
    return { status: 201, body: [...rows] };
  } catch (error) {
    return { status: 400, body: { message: `Failed to run sql query: ${error}` } };
  } finally {
    await sql.end();
  }
}

async function isReadOnlyQuery({ pathname }: URL, request: Received): Promise<boolean> {
  if (!pathname.endsWith("/database/query")) return false;
  const body = queryBody.safeParse(await request.body().json().catch(() => null));
  return body.success && body.data.read_only === true;
}
