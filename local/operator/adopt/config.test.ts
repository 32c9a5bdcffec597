import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { applyEdits, editsFor, undoEdits } from "./config.ts";

const WANTED = { schema: "tollgate", functions: ["checkout", "stripe-webhook"] };

const CONFIGS: Record<string, string> = {
  "none of it": 'project_id = "x"\n',
  "no end of line at the end": 'project_id = "x"',
  "nothing at all": "",
  "a table [api] without schemas": "[api]\nport = 1\n\n[db]\nport = 2\n",
  "a table [api] at the end": "[api]",
  "a list on a line": '[api]\nschemas = ["public", "app"] # mine\nport = 1\n',
  "a list on several":
    "[api]\nschemas = [\n\t\"public\",\n\t'app'\n]\n[functions.x]\nverify_jwt = true\n",
  "a list with a comma behind": '[api]\nschemas = ["public",]\n',
  "an empty list": "[api]\nschemas = []\n",
  "ours in it already": '[api]\nschemas = ["tollgate"]\n',
  "lines that end as on Windows": '[api]\r\nschemas = ["public"]\r\n\r\n[db]\r\nport = 2\r\n',
  "a byte order mark": '\uFEFF[api]\nschemas = ["public"]\n',
  "another table that looks like it":
    '[db]\nschemas = ["x"]\n[api]\nschemas = ["public"]\n[api.tls]\nenabled = false\n',
  "dollar signs": '[auth]\nsecret = "$& $1 $$"\n[api]\nschemas = ["public"]\n',
};

for (const [what, text] of Object.entries(CONFIGS)) {
  Deno.test(`config.toml with ${what} gets ours and gives it back`, () => {
    const edits = editsFor(text, WANTED);
    const result = applyEdits(text, edits);
    const config = JSON.parse(JSON.stringify(parse(result.replace(/^\uFEFF/, ""))));
    assert.ok(config.api.schemas.includes("tollgate"));
    assert.equal(config.functions["stripe-webhook"].verify_jwt, false);
    assert.equal(undoEdits(result, edits), text);
  });
}

for (
  const text of [
    'api = { schemas = ["public"] }\n',
    'api.schemas = ["public"]\n',
    '[api]\nschemas = [\n  "public" # a comment, and no comma\n]\n',
    "functions = {}\n",
    "not toml at all [",
  ]
) {
  Deno.test(`a config.toml that cannot be added to is refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => editsFor(text, WANTED), /supabase\/config\.toml/);
  });
}
