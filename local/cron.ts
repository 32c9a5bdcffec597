import { Cron } from "croner";
import type postgres from "postgres";
import { connect, type Database } from "./postgres.ts";
import { messageOf, sleep } from "./util.ts";

/**
 * What pg_cron's background worker does: runs the rows of cron.job when they are due (UTC), each as its own user on a connection of
 * its own, one run of a job at a time, and writes cron.job_run_details.
 */
export type CronWorker = { stop: () => Promise<void> };

type Job = {
  jobid: string;
  schedule: string;
  command: string;
  database: string;
  username: string;
};
type Planned = { job: Job; next: Date | null; running: boolean };

const MAX_SLEEP_MS = 60_000;
/** pg_cron's cron.max_running_jobs is 32; a development machine wants fewer. */
const MAX_RUNNING = 8;

export async function startCron(
  database: Database,
  log: (line: string) => void,
): Promise<CronWorker> {
  const worker = new Worker(database, log);
  await worker.start();
  return worker;
}

class Worker implements CronWorker {
  readonly #database: Database;
  readonly #log: (line: string) => void;
  readonly #sql: postgres.Sql;
  readonly #planned = new Map<string, Planned>();
  readonly #runs = new Set<Promise<void>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  #first = true;

  constructor(database: Database, log: (line: string) => void) {
    this.#database = database;
    this.#log = log;
    this.#sql = connect(database.adminUrl, { max: 3 });
  }

  async start(): Promise<void> {
    await this.#sql.listen("tollgate_cron", () => void this.#reload());
    await this.#closeInterrupted();
    await this.#reload();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.race([Promise.all(this.#runs), sleep(1000)]);
    await this.#sql.end({ timeout: 1 });
  }

  async #installed(): Promise<boolean> {
    const [row] = await this.#sql<{ there: boolean }[]>`
      select to_regclass('cron.job') is not null as there`;
    return row?.there ?? false;
  }

  /** As pg_cron does when its server comes back. */
  async #closeInterrupted(): Promise<void> {
    if (!(await this.#installed())) return;
    await this.#sql`
      update cron.job_run_details set status = 'failed', return_message = 'server restarted', end_time = now()
       where status in ('starting', 'connecting', 'sending', 'running')`;
  }

  async #reload(): Promise<void> {
    try {
      if (this.#stopped || !(await this.#installed())) return;
      const jobs = await this.#sql<Job[]>`
        select jobid, schedule, command, database, username from cron.job where active order by jobid`;
      this.#plan(jobs);
    } catch (error) {
      if (!this.#stopped) this.#log(`cron: ${messageOf(error)}`);
    }
  }

  #plan(jobs: Job[]): void {
    const wanted = new Map(jobs.map((job) => [job.jobid, job]));
    for (const id of this.#planned.keys()) if (!wanted.has(id)) this.#planned.delete(id);
    const now = new Date();
    for (const job of jobs) {
      const known = this.#planned.get(job.jobid);
      if (known?.job.schedule === job.schedule) known.job = job;
      else {
        const next = this.#first && job.schedule.trim() === "@reboot"
          ? now
          : nextRun(job.schedule, now);
        this.#planned.set(job.jobid, { job, next, running: known?.running ?? false });
      }
    }
    this.#first = false;
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const times = [...this.#planned.values()].flatMap(({ next }) =>
      next === null ? [] : [next.getTime()]
    );
    const wait = Math.min(MAX_SLEEP_MS, ...times.map((time) => time - Date.now()));
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, wait));
  }

  #tick(): void {
    const now = new Date();
    for (const planned of this.#planned.values()) {
      if (planned.next === null || planned.next > now) continue;
      // A run that is still going, or too many at once: this one waits a moment rather than being skipped.
      if (planned.running || this.#runs.size >= MAX_RUNNING) {
        planned.next = new Date(now.getTime() + 1000);
        continue;
      }
      planned.next = nextRun(planned.job.schedule, now);
      planned.running = true;
      const run = this.#run(planned.job).finally(() => {
        planned.running = false;
        this.#runs.delete(run);
      });
      this.#runs.add(run);
    }
    this.#arm();
  }

  async #run(job: Job): Promise<void> {
    try {
      const [row] = await this.#sql<{ runid: string }[]>`
        insert into cron.job_run_details (jobid, database, username, command, status)
        values (${job.jobid}, ${job.database}, ${job.username}, ${job.command}, 'starting')
        returning runid`;
      if (!row) return;
      const outcome = await this.#execute(job, row.runid);
      await this.#sql`
        update cron.job_run_details
           set status = ${outcome.status}, return_message = ${outcome.message}, end_time = clock_timestamp()
         where runid = ${row.runid}`;
      if (outcome.status === "failed") {
        this.#log(`cron: job ${job.jobid} failed: ${outcome.message}`);
      }
    } catch (error) {
      if (!this.#stopped) this.#log(`cron: ${messageOf(error)}`);
    }
  }

  async #execute(job: Job, runid: string): Promise<{ status: string; message: string }> {
    const url = new URL(this.#database.adminUrl);
    url.pathname = `/${job.database}`;
    const sql = connect(url.href, { max: 1, connection: { application_name: "pg_cron" } });
    try {
      const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
      await this.#sql`
        update cron.job_run_details
           set status = 'running', job_pid = ${backend?.pid ?? null}, start_time = clock_timestamp()
         where runid = ${runid}`;
      await sql.unsafe(`set session authorization ${quoteIdentifier(job.username)}`);
      const result = await sql.unsafe(job.command).simple();
      return { status: "succeeded", message: commandTag(result) };
    } catch (error) {
      return { status: "failed", message: `ERROR:  ${messageOf(error)}` };
    } finally {
      await sql.end({ timeout: 1 });
    }
  }
}

/** Cron's five fields, its @names, or pg_cron's "N seconds". Null when it never runs (again). */
export function nextRun(schedule: string, after: Date): Date | null {
  const text = schedule.trim().toLowerCase();
  const seconds = /^(\d+)\s+seconds?$/.exec(text)?.[1];
  if (seconds !== undefined) return new Date(after.getTime() + Number(seconds) * 1000);
  if (text === "@reboot") return null;
  try {
    // pg_cron writes the last day of a month as `$`, croner as `L`.
    return new Cron(text.replaceAll("$", "L"), { timezone: "UTC", paused: true, mode: "5-part" })
      .nextRun(after);
  } catch (error) {
    if (!text.startsWith("@")) {
      throw new Error(`invalid schedule "${schedule}": ${messageOf(error)}`);
    }
    return new Cron(text, { timezone: "UTC", paused: true }).nextRun(after);
  }
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** libpq's words: "1 row" for a query's answer, the command tag for everything else. */
function commandTag(result: postgres.RowList<postgres.Row[]>): string {
  const last: unknown = Array.isArray(result[0]) ? result.at(-1) : result;
  if (typeof last !== "object" || last === null || !("command" in last) || !("count" in last)) {
    return "";
  }
  if (last.command === "SELECT") return `${last.count} row${last.count === 1 ? "" : "s"}`;
  const command = String(last.command ?? "");
  if (command === "INSERT") return `INSERT 0 ${last.count}`;
  return last.count === null ? command : `${command} ${last.count}`;
}
