/** The part of `node:sqlite` in use: the `@types/node` that other packages pin here is older than the module. */
declare module "node:sqlite" {
  export type SqlValue = string | number | bigint | null | Uint8Array;
  export interface StatementSync {
    get(...args: SqlValue[]): Record<string, SqlValue> | undefined;
    all(...args: SqlValue[]): Record<string, SqlValue>[];
    run(...args: SqlValue[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  }
  export class DatabaseSync {
    constructor(path: string);
    exec(sql: string): void;
    prepare(sql: string): StatementSync;
    close(): void;
  }
}
