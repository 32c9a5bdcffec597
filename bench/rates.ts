import { parseArgs } from "node:util";
import postgres from "postgres";
import { median, progress, withDatabase } from "./database.ts";

const STATEMENTS = {
  /** What a transaction of an RPC costs that does nothing. */
  nothing: "select 0 as wait",
  user: "select public.take_rate('sync', $1::uuid) as wait",
  both: "select public.take_rate('sync', $1::uuid, $2::text) as wait",
};

type Name = keyof typeof STATEMENTS;

/**
 * `npm run bench -- rates [--calls=3000] [--people=10000] [--url=…]`: what taking a place costs, call by call, in a transaction
 * as PostgREST makes it, beside one that does nothing. Milliseconds, seen by the client.
 */
export async function rates(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      calls: { type: "string", default: "3000" },
      people: { type: "string", default: "10000" },
      url: { type: "string" },
    },
  });
  const [calls, people] = [Number(values.calls), Number(values.people)];
  await withDatabase(values.url, async (url) => {
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    try {
      progress("filling the buckets");
      await sql`select count(public.take_rate('sync', md5(n::text)::uuid, '192.0.2.' || n % 250))
        from generate_series(1, ${people}) n`;
      const times: Record<Name, number[]> = { nothing: [], user: [], both: [] };
      const names = Object.keys(STATEMENTS) as Name[];
      for (let round = -300; round < calls; round++) {
        for (const name of names) {
          const taken = await timed(sql, name, people);
          // The first rounds make plans and fill caches.
          if (round >= 0) times[name].push(taken);
        }
      }
      print(times);
      const [size] = await sql<{ rows: string; pruned: string; kb: string }[]>`
        select (select count(*) from billing.rate_buckets) as rows,
          pg_total_relation_size('billing.rate_buckets') / 1024 as kb, billing.prune_rate_buckets() as pruned`;
      console.log(`\n${size?.rows} buckets in ${size?.kb} kB; pruned ${size?.pruned}.`);
    } finally {
      await sql.end({ timeout: 5 });
    }
  });
}

async function timed(sql: postgres.Sql, name: Name, people: number): Promise<number> {
  const n = Math.floor(Math.random() * people);
  const user = crypto.randomUUID();
  const parameters = { nothing: [], user: [user], both: [user, `192.0.2.${n % 250}`] }[name];
  const began = performance.now();
  await sql.begin(async (tx) => {
    await tx`select set_config('role', 'service_role', true)`;
    await tx.unsafe(STATEMENTS[name], parameters, { prepare: true });
  });
  return performance.now() - began;
}

function print(times: Record<Name, number[]>): void {
  const base = median(times.nothing);
  console.log("| call    | median ms | middle half | 99 % | more than nothing |");
  console.log("| :------ | --------: | :---------: | ---: | ----------------: |");
  for (const [name, values] of Object.entries(times)) {
    const sorted = values.toSorted((a, b) => a - b);
    const at = (share: number) => (sorted[Math.floor(share * sorted.length)] ?? NaN).toFixed(2);
    const more = (median(values) - base).toFixed(2);
    console.log(
      `| ${name.padEnd(7)} | ${at(0.5).padStart(9)} | ${at(0.25)} – ${at(0.75)} | ${at(0.99)} | ${
        more.padStart(17)
      } |`,
    );
  }
}
