/**
 * The database these tests run against: TEST_DB_URL when it is set (`TEST_DB_URL=… deno test -A supabase/tests`),
 * otherwise that of the stack `npm test` has started. They write, so never the one of `npm start`.
 */
export function databaseUrl(): string {
  const url = Deno.env.get("TEST_DB_URL");
  if (url) return url;
  const path = Deno.env.get("TEST_STACK");
  if (!path) throw new Error("Set TEST_DB_URL, or run the tests with `npm test`.");
  const stack: { db_url: string } = JSON.parse(Deno.readTextFileSync(path));
  return stack.db_url;
}
