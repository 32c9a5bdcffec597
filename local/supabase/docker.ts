import { StartError, within } from "../util.ts";

/** The CLI speaks to Docker through the program `docker`, and so do we: what it can reach, the CLI can. */

const INSTEAD =
  "Install or start Docker (https://docs.docker.com/get-started/get-docker/), or try the official CLI's own experimental runtime: " +
  "npm start -- --supabase=native\nWithout --supabase everything runs on the embedded platform, which needs neither.";

export async function requireDocker(): Promise<void> {
  const answer = await ask(["version", "--format", "{{.Server.Version}}"]);
  if (answer.ok) return;
  throw new StartError(
    `--supabase runs the official CLI's stack in Docker, and ${answer.reason}\n${INSTEAD}`,
  );
}

/**
 * The address that `host.docker.internal` means inside a container on Linux: the default bridge's (Docker calls it host-gateway).
 * Null where there is none.
 */
export async function bridgeAddress(): Promise<string | null> {
  const format = "{{range .IPAM.Config}}{{println .Gateway}}{{end}}";
  const answer = await ask(["network", "inspect", "bridge", "--format", format]);
  if (!answer.ok) return null;
  return answer.text.split("\n").map((line) => line.trim())
    .find((line) => /^\d{1,3}(\.\d{1,3}){3}$/.test(line)) ?? null;
}

type Answer = { ok: true; text: string } | { ok: false; reason: string };

const PATIENCE_MS = 15_000;

async function ask(args: string[]): Promise<Answer> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("docker", { args, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { ok: false, reason: "there is no program `docker` on the PATH." };
  }
  const output = child.output();
  if (!(await within(PATIENCE_MS, output))) {
    child.kill("SIGKILL");
    await output;
    return { ok: false, reason: `\`docker ${args[0]}\` does not answer.` };
  }
  const { success, stdout, stderr } = await output;
  const decoder = new TextDecoder();
  if (success) return { ok: true, text: decoder.decode(stdout) };
  const said = decoder.decode(stderr).trim().split("\n")[0] || "it does not say why.";
  return { ok: false, reason: `Docker does not answer: ${said}` };
}
