import postgres from "postgres";

/** One transaction, repeated by every client until the time is over. */
export interface Load {
  url: string;
  clients: number;
  seconds: number;
  /** Table that is written to. */
  table: string;
  /** People, numbered from firstUser, of whom each transaction takes one at random. */
  users: number;
  firstUser: number;
}

/** Answers transactions per second. */
export type Driver = (load: Load) => Promise<number>;

/** Id of the n-th person, and of their conversation, as SQL over an integer expression. */
export function userIdSql(n: string): string {
  return `'00000000-0000-4000-8000-' || lpad(to_hex(${n}), 12, '0')`;
}

/** The insert as PostgREST makes it: from JSON, in a transaction that has taken on the caller's role and claims. */
function statements(table: string, user: string): [string, string] {
  return [
    `select set_config('role', 'authenticated', true),
      set_config('request.jwt.claim.sub', ${user}, true),
      set_config('request.jwt.claims', '{"role":"authenticated","sub":"' || ${user} || '"}', true),
      set_config('request.method', 'POST', true),
      set_config('request.path', '/messages', true)`,
    `with source as (
      insert into ${table} (conversation_id, role, content)
      select r.conversation_id, r.role, r.content
      from json_to_record(json_build_object('conversation_id', ${user}, 'role', 'user',
        'content', 'What is the weather like in Lisbon today?'))
        as r (conversation_id uuid, role text, content text)
      returning id
    ) select count(*) from source`,
  ];
}

/** pgbench where a Debian or Homebrew Postgres brings it: a client in C costs less, so the ratio shows more of the server. */
export async function pgbench(): Promise<Driver | null> {
  const path = await findPgbench();
  if (path === null) return null;
  return async ({ url, clients, seconds, table, users, firstUser }) => {
    const [claims, insert] = statements(table, userIdSql(":user::int"));
    const script = await Deno.makeTempFile({ suffix: ".sql" });
    const oneLine = (text: string) => text.replace(/\s+/g, " ");
    await Deno.writeTextFile(
      script,
      `\\set user random(${firstUser}, ${firstUser + users - 1})\nbegin;\n${oneLine(claims)};\n${
        oneLine(insert)
      };\ncommit;\n`,
    );
    try {
      const jobs = String(Math.min(clients, navigator.hardwareConcurrency));
      const args = [
        "-n",
        "-M",
        "prepared",
        "-c",
        `${clients}`,
        "-j",
        jobs,
        "-T",
        `${seconds}`,
        "-f",
        script,
      ];
      const result = await new Deno.Command(path, { args: [...args, url], stdin: "null" }).output();
      const output = new TextDecoder().decode(result.stdout);
      const tps = /^tps = ([\d.]+)/m.exec(output)?.[1];
      if (!result.success || !tps || /number of failed transactions: [1-9]/.test(output)) {
        throw new Error(`pgbench failed:\n${new TextDecoder().decode(result.stderr)}`);
      }
      return Number(tps);
    } finally {
      await Deno.remove(script);
    }
  };
}

async function findPgbench(): Promise<string | null> {
  const found: { major: number; path: string }[] = [];
  try {
    for await (const entry of Deno.readDir("/usr/lib/postgresql")) {
      const path = `/usr/lib/postgresql/${entry.name}/bin/pgbench`;
      const info = await Deno.stat(path).catch(() => null);
      if (info?.isFile) found.push({ major: Number(entry.name), path });
    }
  } catch {
    return null;
  }
  return found.sort((a, b) => b.major - a.major)[0]?.path ?? null;
}

/** The same transactions over the npm driver, for machines without pgbench. */
export const driverLoop: Driver = async ({ url, clients, seconds, table, users, firstUser }) => {
  const sql = postgres(url, { max: clients, onnotice: () => {} });
  try {
    const connections = await Promise.all(Array.from({ length: clients }, () => sql.reserve()));
    const started = performance.now();
    const until = started + seconds * 1000;
    const counts = await Promise.all(connections.map(async (connection) => {
      let count = 0;
      const [claims, insert] = statements(table, "$1::text");
      while (performance.now() < until) {
        const n = firstUser + Math.floor(Math.random() * users);
        const user = `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
        await connection`begin`;
        await connection.unsafe(claims, [user], { prepare: true });
        await connection.unsafe(insert, [user], { prepare: true });
        await connection`commit`;
        count++;
      }
      return count;
    }));
    const elapsed = (performance.now() - started) / 1000;
    for (const connection of connections) connection.release();
    return counts.reduce((sum, count) => sum + count, 0) / elapsed;
  } finally {
    await sql.end({ timeout: 5 });
  }
};

/**
 * Requests per second of processor time that one backend spends, commits not waited for: what a request costs the server,
 * also on a machine that is busy with other things. Linux only, and only with the database on this machine.
 */
export const processorTime: Driver = async ({ url, seconds, table, users, firstUser }) => {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await sql`set synchronous_commit = off`;
    const [claims, insert] = statements(table, "$1::text");
    const request = async () => {
      const n = firstUser + Math.floor(Math.random() * users);
      const user = `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
      await sql`begin`;
      await sql.unsafe(claims, [user], { prepare: true });
      await sql.unsafe(insert, [user], { prepare: true });
      await sql`commit`;
    };
    // Plans are made and caches are warm before it counts.
    for (let count = 0; count < 300; count++) await request();
    const before = await ticks(row?.pid ?? 0);
    const until = performance.now() + seconds * 1000;
    let count = 0;
    for (; performance.now() < until; count++) await request();
    return count / ((await ticks(row?.pid ?? 0) - before) / TICKS_A_SECOND);
  } finally {
    await sql.end({ timeout: 5 });
  }
};

/** USER_HZ, which is 100 on every Linux there is. */
const TICKS_A_SECOND = 100;

/** utime and stime of a process: proc(5). */
async function ticks(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
