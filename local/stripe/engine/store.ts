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
  hidden text not null default '{}'
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
`;

export type Scalar = string | number | null;
export interface ListQuery {
  where?: Record<string, Scalar>;
  anyOf?: Record<string, readonly string[]>;
  above?: Record<string, number>;
  created?: { gt?: number; gte?: number; lt?: number; lte?: number };
  after?: string;
  before?: string;
  limit: number;
}

export class Store {
  readonly db: DatabaseSync;
  #statements = new Map<string, StatementSync>();
  #inTransaction = false;

  constructor(path: string) {
    this.db = new DatabaseSync(path);
    this.db.exec(SCHEMA);
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

  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) {
      statement = this.db.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  find<K extends Kind>(kind: K, id: string): Objects[K] | null {
    const row = this.sql("select data from objects where id = ? and kind = ?").get(id, kind);
    return row ? JSON.parse(String(row.data)) : null;
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
    row: { id: string; kind: Kind; created: number; clock: string; data: unknown; hidden: unknown },
  ): void {
    this.sql(
      "insert into objects (id, kind, created, clock, data, hidden) values (?, ?, ?, ?, ?, ?)",
    )
      .run(
        row.id,
        row.kind,
        row.created,
        row.clock,
        JSON.stringify(row.data),
        JSON.stringify(row.hidden),
      );
  }

  update(id: string, data: unknown, hidden: unknown, due: number | null): void {
    this.sql("update objects set data = ?, hidden = ?, due_at = ? where id = ?")
      .run(JSON.stringify(data), JSON.stringify(hidden), due, id);
  }

  remove(kind: Kind, id: string): void {
    this.sql("delete from objects where id = ?").run(id);
    this.sql("insert or replace into tombstones (id, kind) values (?, ?)").run(id, kind);
  }

  isDeleted(kind: Kind, id: string): boolean {
    return this.sql("select 1 from tombstones where id = ? and kind = ?").get(id, kind) !==
      undefined;
  }

  /** The newest first, as all of Stripe's lists; `null` when the cursor is unknown. */
  list<K extends Kind>(kind: K, query: ListQuery): { data: Objects[K][]; hasMore: boolean } | null {
    const parts = ["kind = ?"];
    const args: Scalar[] = [kind];
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
  all<K extends Kind>(kind: K, where: Record<string, Scalar>): Objects[K][] {
    return (this.list(kind, { where, limit: 10_000 })?.data ?? []).reverse();
  }

  meta(name: string): string | null {
    const row = this.sql("select value from meta where name = ?").get(name);
    return row ? String(row.value) : null;
  }

  setMeta(name: string, value: string): void {
    this.sql("insert or replace into meta (name, value) values (?, ?)").run(name, value);
  }
}
