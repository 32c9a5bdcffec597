/// <reference path="./sqlite.d.ts" />
/** Persistence: one SQLite file, one row per object. Synchronous, so a request is one transaction without interleaving. */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Hidden, Kind, Objects } from "./types.ts";

const SCHEMA = `
pragma journal_mode = wal;
pragma synchronous = normal;
pragma busy_timeout = 5000;
create table if not exists objects (
  seq integer primary key autoincrement,
  id text not null unique,
  kind text not null,
  created integer not null,
  clock text not null default '',
  due_at integer,
  data text not null,
  hidden text not null default '{}',
  account text not null default ''
) strict;
create index if not exists objects_kind_idx on objects (kind, seq);
create index if not exists objects_customer_idx on objects (kind, json_extract(data, '$.customer'));
create index if not exists objects_due_idx on objects (clock, due_at) where due_at is not null;
create table if not exists tombstones (id text primary key, kind text not null) strict;
create table if not exists deliveries (
  id text primary key,
  event_id text not null,
  endpoint_id text not null,
  state text not null default 'pending',
  attempts integer not null default 0,
  next_at integer not null,
  created integer not null,
  unique (event_id, endpoint_id)
) strict;
create index if not exists deliveries_due_idx on deliveries (next_at) where state = 'pending';
create table if not exists attempts (
  seq integer primary key autoincrement,
  delivery_id text not null,
  at integer not null,
  status integer,
  error text,
  body text,
  milliseconds integer not null
) strict;
create table if not exists idempotency (
  key text primary key,
  fingerprint text not null,
  status integer not null,
  body text not null,
  request_id text not null,
  created integer not null
) strict;
create table if not exists meta (name text primary key, value text not null) strict;
create table if not exists meter_events (
  seq integer primary key autoincrement,
  identifier text not null,
  event_name text not null,
  meter text not null,
  customer text not null,
  value integer not null,
  at integer not null,
  received integer not null,
  cancelled integer not null default 0
) strict;
create index if not exists meter_events_usage_idx on meter_events (meter, customer, at);
create index if not exists meter_events_identifier_idx on meter_events (identifier);
create table if not exists meter_errors (
  seq integer primary key autoincrement,
  meter text,
  code text not null,
  message text not null,
  identifier text not null,
  at integer not null,
  real_ms integer not null
) strict;
create table if not exists meter_sessions (
  token text primary key,
  expires_at integer not null
) strict;
create table if not exists history (
  change integer not null,
  id text not null,
  customer text,
  before text,
  primary key (change, id)
) strict, without rowid;
`;

/** Columns that came later than their table: a data folder of an older version gets them on opening. */
const ADDED: readonly { table: string; column: string; type: string }[] = [
  { table: "deliveries", column: "copies", type: "integer not null default 1" },
  { table: "objects", column: "account", type: "text not null default ''" },
];

/** How many changes back a stale read can reach. */
const HISTORY = 1000;

export type Scalar = string | number | null;
export interface ListQuery {
  where?: Record<string, Scalar>;
  anyOf?: Record<string, readonly string[]>;
  above?: Record<string, number>;
  created?: { gt?: number; gte?: number; lt?: number; lte?: number };
  after?: string;
  before?: string;
  limit: number;
  /** Whose objects: a connected account's, or the platform's own. */
  account?: string;
}

export class Store {
  readonly db: DatabaseSync;
  #statements = new Map<string, StatementSync>();
  #inTransaction = false;
  /** The number of the last change; a change is a transaction that wrote any object but the queue's own bookkeeping. */
  #change: number;
  #isCounted = false;

  constructor(path: string) {
    this.db = new DatabaseSync(path);
    this.db.exec(SCHEMA);
    for (const { table, column, type } of ADDED) {
      const known = this.sql(`select 1 from pragma_table_info('${table}') where name = ?`);
      if (!known.get(column)) this.db.exec(`alter table ${table} add column ${column} ${type}`);
    }
    this.#change = Number(this.sql("select max(change) as n from history").get()?.n ?? 0);
  }

  close(): void {
    this.#statements.clear();
    this.db.close();
  }

  /** Everything or nothing; nested calls join the outer transaction. */
  transaction<T>(run: () => T): T {
    if (this.#inTransaction) return run();
    this.db.exec("begin immediate");
    this.#inTransaction = true;
    this.#isCounted = false;
    try {
      const result = run();
      this.db.exec("commit");
      return result;
    } catch (error) {
      this.db.exec("rollback");
      throw error;
    } finally {
      this.#inTransaction = false;
    }
  }

  /** Runs inside a transaction and takes everything back, whatever `run` wrote: how a preview and a stale read are made. */
  rehearse<T>(run: () => T): T {
    return this.transaction(() => {
      const { isCounted, change } = { isCounted: this.#isCounted, change: this.#change };
      this.db.exec("savepoint rehearsal");
      try {
        return run();
      } finally {
        this.db.exec("rollback to rehearsal");
        this.db.exec("release rehearsal");
        this.#isCounted = isCounted;
        this.#change = change;
      }
    });
  }

  get change(): number {
    return this.#change;
  }

  /** Keeps what was there before the first write of this transaction to `id`; null = nothing. */
  #remember(id: string, customer: string | null, isNew: boolean): void {
    if (!this.#isCounted) {
      this.#isCounted = true;
      this.#change += 1;
      this.sql("delete from history where change <= ?").run(this.#change - HISTORY);
    }
    if (isNew) {
      this.sql("insert or ignore into history (change, id, customer) values (?, ?, ?)")
        .run(this.#change, id, customer);
      return;
    }
    this.sql(
      "insert or ignore into history (change, id, customer, before) " +
        "select ?, id, coalesce(json_extract(data, '$.customer'), iif(kind = 'customer', id, null)), " +
        "json_object('seq', seq, 'kind', kind, 'created', created, 'clock', clock, 'due_at', due_at, 'data', data, " +
        "'hidden', hidden, 'account', account) from objects where id = ?",
    ).run(this.#change, id);
  }

  /** The number of the newest change but `back`, counting only those that touched `customer`'s objects when one is named. */
  changesAgo(back: number, customer: string | null): number {
    const row = customer === null
      ? this.sql(
        "select distinct change as n from history order by change desc limit 1 offset ?",
      ).get(back - 1)
      : this.sql(
        "select distinct change as n from history where customer = ? order by change desc limit 1 offset ?",
      ).get(customer, back - 1);
    if (row) return Number(row.n) - 1;
    // Fewer than that are known: before them all.
    return Number(this.sql("select min(change) as n from history").get()?.n ?? 1) - 1;
  }

  /** Puts every object back to what it was just after `change`. Only inside `rehearse`. */
  goBackTo(change: number): void {
    const rows = this.sql("select id, before from history where change > ? order by change desc")
      .all(change);
    for (const row of rows) {
      const id = String(row.id);
      this.sql("delete from objects where id = ?").run(id);
      if (row.before === null) continue;
      const was = JSON.parse(String(row.before));
      this.sql("delete from tombstones where id = ?").run(id);
      this.sql(
        "insert into objects (seq, id, kind, created, clock, due_at, data, hidden, account) " +
          "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      ).run(
        ...[was.seq, id, was.kind, was.created, was.clock, was.due_at, was.data, was.hidden],
        was.account ?? "",
      );
    }
  }

  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) {
      statement = this.db.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  /** Whosever it is, unless `account` says whose it must be. */
  find<K extends Kind>(kind: K, id: string, account: string | null = null): Objects[K] | null {
    const row = this.sql(
      "select data from objects where id = ? and kind = ? and account = coalesce(?, account)",
    ).get(id, kind, account);
    return row ? JSON.parse(String(row.data)) : null;
  }

  /** Whose it is: a connected account's, or "" for the platform's own. */
  accountOf(id: string): string {
    const row = this.sql("select account from objects where id = ?").get(id);
    return row ? String(row.account) : "";
  }

  kindOf(id: string): string | null {
    const row = this.sql("select kind from objects where id = ?").get(id);
    return row ? String(row.kind) : null;
  }

  hidden<K extends Kind>(kind: K, id: string): Hidden<K> {
    const row = this.sql("select hidden from objects where id = ? and kind = ?").get(id, kind);
    return JSON.parse(row ? String(row.hidden) : "{}");
  }

  clockOf(id: string): string {
    const row = this.sql("select clock from objects where id = ?").get(id);
    return row ? String(row.clock) : "";
  }

  insert(
    row: {
      id: string;
      kind: Kind;
      created: number;
      clock: string;
      data: unknown;
      hidden: unknown;
      account?: string;
    },
  ): void {
    this.#remember(row.id, customerOf(row.kind, row.id, row.data), true);
    this.sql(
      "insert into objects (id, kind, created, clock, data, hidden, account) values (?, ?, ?, ?, ?, ?, ?)",
    )
      .run(
        row.id,
        row.kind,
        row.created,
        row.clock,
        JSON.stringify(row.data),
        JSON.stringify(row.hidden),
        row.account ?? "",
      );
  }

  update(id: string, data: unknown, hidden: unknown, due: number | null): void {
    // An event changes only in how often it was delivered, which is no change of the world.
    if (!id.startsWith("evt_")) this.#remember(id, null, false);
    this.sql("update objects set data = ?, hidden = ?, due_at = ? where id = ?")
      .run(JSON.stringify(data), JSON.stringify(hidden), due, id);
  }

  remove(kind: Kind, id: string): void {
    this.#remember(id, null, false);
    this.sql("delete from objects where id = ?").run(id);
    this.sql("insert or replace into tombstones (id, kind) values (?, ?)").run(id, kind);
  }

  isDeleted(kind: Kind, id: string): boolean {
    return this.sql("select 1 from tombstones where id = ? and kind = ?").get(id, kind) !==
      undefined;
  }

  /** The newest first, as all of Stripe's lists; `null` when the cursor is unknown. */
  list<K extends Kind>(kind: K, query: ListQuery): { data: Objects[K][]; hasMore: boolean } | null {
    const parts = ["kind = ?", "account = ?"];
    const args: Scalar[] = [kind, query.account ?? ""];
    const add = (sql: string, ...values: Scalar[]) => {
      parts.push(sql);
      args.push(...values);
    };
    for (const [path, value] of Object.entries(query.where ?? {})) {
      add(`json_extract(data, '$.${path}') is ?`, value);
    }
    for (const [path, values] of Object.entries(query.anyOf ?? {})) {
      add(`json_extract(data, '$.${path}') in (${values.map(() => "?").join(",")})`, ...values);
    }
    for (const [path, value] of Object.entries(query.above ?? {})) {
      add(`json_extract(data, '$.${path}') > ?`, value);
    }
    const { gt, gte, lt, lte } = query.created ?? {};
    if (gt !== undefined) add("created > ?", gt);
    if (gte !== undefined) add("created >= ?", gte);
    if (lt !== undefined) add("created < ?", lt);
    if (lte !== undefined) add("created <= ?", lte);
    const cursor = query.after ?? query.before;
    if (cursor !== undefined) {
      const row = this.sql("select seq from objects where id = ? and kind = ?").get(cursor, kind);
      if (!row) return null;
      add(query.after !== undefined ? "seq < ?" : "seq > ?", Number(row.seq));
    }
    const backwards = query.after === undefined && query.before !== undefined;
    const text = `select data from objects where ${parts.join(" and ")} order by seq ${
      backwards ? "asc" : "desc"
    } limit ?`;
    const rows = this.sql(text).all(...args, query.limit + 1);
    const data = rows.slice(0, query.limit).map((row): Objects[K] => JSON.parse(String(row.data)));
    return { data: backwards ? data.reverse() : data, hasMore: rows.length > query.limit };
  }

  /** All of them, oldest first: for the sandbox's own use, never an answer. */
  all<K extends Kind>(kind: K, where: Record<string, Scalar>, account = ""): Objects[K][] {
    return (this.list(kind, { where, limit: 10_000, account })?.data ?? []).reverse();
  }

  meta(name: string): string | null {
    const row = this.sql("select value from meta where name = ?").get(name);
    return row ? String(row.value) : null;
  }

  setMeta(name: string, value: string): void {
    this.sql("insert or replace into meta (name, value) values (?, ?)").run(name, value);
  }
}

/** Whose change it is: an event belongs to the customer of its object. */
function customerOf(kind: Kind, id: string, data: unknown): string | null {
  if (kind === "customer") return id;
  if (typeof data !== "object" || data === null) return null;
  const fields = new Map<string, unknown>(Object.entries(data));
  if (kind !== "event") return textOrNull(fields.get("customer"));
  const inner = new Map<string, unknown>(Object.entries(fields.get("data") ?? {})).get("object");
  if (typeof inner !== "object" || inner === null) return null;
  const object = new Map<string, unknown>(Object.entries(inner));
  return textOrNull(
    object.get("object") === "customer" ? object.get("id") : object.get("customer"),
  );
}

const textOrNull = (value: unknown) => typeof value === "string" ? value : null;
