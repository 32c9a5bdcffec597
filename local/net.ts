import type postgres from "postgres";
import { connect, type Database } from "./postgres.ts";
import { messageOf, sleep } from "./util.ts";

/**
 * What pg_net's background worker does: takes requests from net.http_request_queue once their transaction has committed, sends each
 * with its own timeout, keeps the answer in net._http_response for six hours. At most once, as the real one: a request is removed
 * before it is sent, and a crash in between loses it.
 */
export type NetWorker = { stop: () => Promise<void> };

type Queued = {
  id: string;
  method: string;
  url: string;
  headers: Record<string, string> | null;
  body: Uint8Array | null;
  timeout_milliseconds: number;
};
type Answer = {
  status_code: number | null;
  content_type: string | null;
  headers: Record<string, string> | null;
  content: string | null;
  timed_out: boolean | null;
  error_msg: string | null;
};

/** pg_net.batch_size is 200 there. */
const BATCH = 50;
/** The notification wakes it; polling is for rows somebody inserted by hand. */
const POLL_MS = 250;
const PRUNE_MS = 60_000;

export async function startNet(
  database: Database,
  log: (line: string) => void,
): Promise<NetWorker> {
  const sql = connect(database.adminUrl, { max: 3 });
  const stopping = new AbortController();
  let wake = () => {};
  await sql.listen("tollgate_net", () => wake());
  const loop = (async () => {
    let pruned = 0;
    while (!stopping.signal.aborted) {
      try {
        const sent = await drain(sql, stopping.signal);
        if (Date.now() - pruned > PRUNE_MS) {
          pruned = Date.now();
          await prune(sql);
        }
        if (sent > 0) continue;
      } catch (error) {
        if (!stopping.signal.aborted) log(`net: ${messageOf(error)}`);
      }
      await Promise.race([sleep(POLL_MS), new Promise<void>((resolve) => wake = resolve)]);
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      wake();
      await Promise.race([loop, sleep(1000)]);
      await sql.end({ timeout: 1 });
    },
  };
}

async function drain(sql: postgres.Sql, stopping: AbortSignal): Promise<number> {
  if (!(await installed(sql))) return 0;
  const queued = await sql<Queued[]>`
    delete from net.http_request_queue q
     where q.id in (select id from net.http_request_queue order by id limit ${BATCH} for update skip locked)
    returning q.id, q.method, q.url, q.headers, q.body, q.timeout_milliseconds`;
  await Promise.all(queued.map(async (request) => {
    const answer = await send(request, stopping);
    await sql`insert into net._http_response ${sql({ id: request.id, ...answer })}`;
  }));
  return queued.length;
}

async function installed(sql: postgres.Sql): Promise<boolean> {
  const [row] = await sql<{ there: boolean }[]>`
    select to_regclass('net.http_request_queue') is not null as there`;
  return row?.there ?? false;
}

async function prune(sql: postgres.Sql): Promise<void> {
  if (await installed(sql)) {
    await sql`delete from net._http_response where created < now() - interval '6 hours'`;
  }
}

async function send(request: Queued, stopping: AbortSignal): Promise<Answer> {
  const timeout = AbortSignal.timeout(request.timeout_milliseconds);
  try {
    const response = await fetch(request.url, {
      method: request.method.toUpperCase(),
      headers: { "user-agent": "pg_net/0.20.0", ...request.headers },
      body: request.body === null ? undefined : new Uint8Array(request.body),
      redirect: "manual",
      signal: AbortSignal.any([timeout, stopping]),
    });
    return {
      status_code: response.status,
      content_type: response.headers.get("content-type"),
      headers: Object.fromEntries(response.headers),
      content: (await response.text()).replaceAll("\0", ""),
      timed_out: false,
      error_msg: null,
    };
  } catch (error) {
    const late = timeout.aborted;
    return {
      status_code: null,
      content_type: null,
      headers: null,
      content: null,
      timed_out: late,
      error_msg: late
        ? `Timeout of ${request.timeout_milliseconds} ms reached.`
        : messageOf(error).slice(0, 500),
    };
  }
}
