import { connect } from "../../postgres.ts";
import { cliBinary, cliEnvironment } from "../../migrate.ts";
import { LOCAL, ROOT } from "../../paths.ts";
import { listFiles } from "./files.ts";

/** For the tests of this folder: a project of somebody else, and what is done to it. */
const FIXTURE = `${ROOT}/tests/fixtures/foreign-project`;

/** A copy of the foreign project, gone after `work`. */
export async function withForeignProject(work: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "tollgate-adopt-" }));
  await Deno.chmod(root, 0o755);
  try {
    for (const path of await listFiles(FIXTURE)) {
      await put(root, path, await Deno.readFile(`${FIXTURE}/${path}`));
    }
    await work(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

export async function put(root: string, path: string, content: string | Uint8Array): Promise<void> {
  await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
  await Deno.writeFile(
    `${root}/${path}`,
    typeof content === "string" ? new TextEncoder().encode(content) : content,
  );
}

/** Every file and folder, with the bytes of the files. */
export async function picture(root: string): Promise<Record<string, string>> {
  const seen: Record<string, string> = {};
  const look = async (folder: string) => {
    for await (const entry of Deno.readDir(`${root}/${folder}`)) {
      const path = `${folder}${entry.name}`;
      if (!entry.isDirectory) seen[path] = (await Deno.readFile(`${root}/${path}`)).toHex();
      else {
        seen[`${path}/`] = "";
        await look(`${path}/`);
      }
    }
  };
  await look("");
  return Object.fromEntries(Object.entries(seen).sort());
}

export interface Run {
  code: number;
  text: string;
}

/** The command as `npm run adopt -- …` runs it. */
export async function adopt(...args: string[]): Promise<Run> {
  return await adoptFrom(Deno.cwd(), ...args);
}

/** The same, called in this folder: npm goes to that of package.json and says where it was. */
export async function adoptFrom(folder: string, ...args: string[]): Promise<Run> {
  return await run(Deno.execPath(), [
    "run",
    "-A",
    "--no-check",
    `${LOCAL}/operator/adopt/main.ts`,
    ...args,
  ], { INIT_CWD: folder });
}

/** The official CLI, in the project, on this database. */
export async function supabase(root: string, dbUrl: string, ...args: string[]): Promise<Run> {
  const home = await Deno.makeTempDir({ prefix: "tollgate-cli-" });
  try {
    const env = { ...cliEnvironment(home), PGSSLMODE: "disable" };
    return await run(await cliBinary(), [...args, "--workdir", root, `--remote=${dbUrl}`], env);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

async function run(command: string, args: string[], env: Record<string, string>): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, env, stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

export interface Refusal {
  code: string;
  message: string;
}

/** Runs a statement as a signed-in person, as PostgREST would; answers the refusal if there is one. */
export async function asPerson(
  sql: ReturnType<typeof connect>,
  id: string,
  statement: string,
): Promise<Refusal | null> {
  try {
    await sql.begin(async (tx) => {
      const claims = JSON.stringify({ role: "authenticated", sub: id });
      await tx`select set_config('role', 'authenticated', true),
        set_config('request.jwt.claim.sub', ${id}, true), set_config('request.jwt.claims', ${claims}, true)`;
      await tx.unsafe(statement);
    });
    return null;
  } catch (error) {
    if (error instanceof Error && "code" in error) {
      return { code: String(error.code), message: error.message };
    }
    throw error;
  }
}
