import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { applyAdoption, planAdoption } from "./adopt.ts";
import { hashOf, listFiles } from "./files.ts";
import { planRemoval } from "./remove.ts";
import { rewriteSql, rewriteTypeScript } from "./rewrite.ts";
import { openTarget, versionsAfter } from "./target.ts";
import { adopt, adoptFrom, picture, put, withForeignProject } from "./testing.ts";

const CHECKOUT = "supabase/functions/checkout/index.ts";

Deno.test("a project takes Tollgate in, and every file is told", async () => {
  await withForeignProject(async (root) => {
    const before = await picture(root);
    const { code, text } = await adopt(root);
    assert.equal(code, 0, text);
    const after = await picture(root);
    const config = "supabase/config.toml";
    for (const path of Object.keys(before)) {
      if (path !== config) assert.equal(after[path], before[path], path);
    }
    const created = Object.keys(after).filter((path) => !(path in before) && !path.endsWith("/"));
    for (const path of created) assert.match(text, new RegExp(`create +${path}\n`), path);
    assert.ok(created.includes(CHECKOUT));
    assert.ok(!created.some((path) => /\.test\.ts$|functions\/reply\/|_shared\//.test(path)));
    const migrations = (await listFiles(`${root}/supabase/migrations`)).slice(2);
    assert.match(migrations[0] ?? "", /^\d{14}_tollgate_schema\.sql$/);
    assert.match(migrations[1] ?? "", /^\d{14}_tollgate_privileges\.sql$/);
    assert.match(migrations.at(-1) ?? "", /_tollgate_/);
  });
});

Deno.test("a dry run says the same and does nothing", async () => {
  await withForeignProject(async (root) => {
    const before = await picture(root);
    const dry = await adopt(root, "--dry-run");
    assert.equal(dry.code, 0);
    assert.match(dry.text, /create +supabase\/functions\/checkout\/index\.ts/);
    assert.match(dry.text, /nothing was/);
    assert.deepEqual(await picture(root), before);
  });
});

Deno.test("taking it in again changes nothing", async () => {
  await withForeignProject(async (root) => {
    await adopt(root);
    const before = await picture(root);
    const again = await adopt(root);
    assert.equal(again.code, 0);
    assert.match(again.text, /Nothing to do/);
    assert.deepEqual(await picture(root), before);
  });
});

Deno.test("taken out again, the folder is what it was to the byte", async () => {
  await withForeignProject(async (root) => {
    const before = await picture(root);
    await adopt(root, "--prefix=pay-", "--schema=billing_api");
    const dry = await adopt(root, "--remove", "--dry-run");
    assert.equal(dry.code, 0);
    assert.ok("supabase/tollgate.json" in await picture(root));
    const { code, text } = await adopt(root, "--remove");
    assert.equal(code, 0, text);
    const after = await picture(root);
    const added = Object.keys(after).filter((path) => !(path in before));
    assert.equal(added.length, 1);
    assert.match(added[0] ?? "", /^supabase\/migrations\/\d{14}_remove_tollgate\.sql$/);
    assert.match(text, /migration repair --remote --status reverted \d{14} \d{14}/);
    await Deno.remove(`${root}/${added[0]}`);
    assert.deepEqual(await picture(root), before);
    assert.equal((await adopt(root, "--remove")).code, 1, "there is nothing to take out any more");
  });
});

Deno.test("a project without functions and migrations is left without their folders", async () => {
  await withForeignProject(async (root) => {
    await Deno.remove(`${root}/supabase/functions`, { recursive: true });
    const before = await picture(root);
    await adopt(root);
    await adopt(root, "--remove");
    const after = Object.entries(await picture(root)).filter(([path]) => !/_remove_/.test(path));
    assert.deepEqual(Object.fromEntries(after), before);
  });
});

Deno.test("what somebody changed is neither overwritten nor removed", async () => {
  await withForeignProject(async (root) => {
    await adopt(root);
    await put(root, CHECKOUT, "// mine\n");
    const before = await picture(root);
    const again = await adopt(root);
    assert.equal(again.code, 1);
    assert.match(
      again.text,
      /was changed since it was put there:\n +supabase\/functions\/checkout\/index\.ts/,
    );
    assert.deepEqual(await picture(root), before);
    const removed = await adopt(root, "--remove");
    assert.equal(removed.code, 2);
    assert.match(removed.text, /kept +supabase\/functions\/checkout\/index\.ts/);
    assert.equal(await Deno.readTextFile(`${root}/${CHECKOUT}`), "// mine\n");
  });
});

Deno.test("a part of config.toml that somebody changed is left to them", async () => {
  await withForeignProject(async (root) => {
    await adopt(root);
    const path = `${root}/supabase/config.toml`;
    const text = (await Deno.readTextFile(path)).replace(
      "[functions.checkout]\nverify_jwt = false",
      "[functions.checkout]\nverify_jwt = true",
    );
    await Deno.writeTextFile(path, text);
    assert.equal((await adopt(root)).code, 1);
    const removed = await adopt(root, "--remove");
    assert.equal(removed.code, 2);
    assert.match(removed.text, /Take it out by hand/);
    assert.equal(await Deno.readTextFile(path), text);
  });
});

Deno.test("what an interrupted run left is finished by the next one", async () => {
  await withForeignProject(async (root) => {
    await adopt(root);
    const whole = await picture(root);
    await Deno.remove(`${root}/${CHECKOUT}`);
    await Deno.remove(`${root}/supabase/functions/portal`, { recursive: true });
    assert.equal((await adopt(root)).code, 0);
    assert.deepEqual(await picture(root), whole);
  });
});

/** Stops after so many changes, as if the machine had. */
async function interrupted(root: string, count: (all: number) => number): Promise<void> {
  const target = await openTarget(root);
  const wishes = { schema: undefined, prefix: undefined, now: new Date(), tollgate: "1" };
  const plan = await planAdoption(target, wishes);
  const changes = plan.changes.filter(({ change }) => change !== "keep");
  await applyAdoption(target, { ...plan, changes: changes.slice(0, count(changes.length)) });
}

Deno.test("an update that was interrupted anywhere is finished by the next one", async () => {
  await withForeignProject(async (root) => {
    await adopt(root);
    const whole = await picture(root);
    const path = "supabase/tollgate.json";
    const manifest = JSON.parse(await Deno.readTextFile(`${root}/${path}`));
    const old = "// of an older Tollgate\n";
    for (let done = 0; done < 3; done++) {
      const files = structuredClone(manifest.files);
      for (const file of files) {
        if (`supabase/${file.path}` === CHECKOUT) file.sha256 = await hashOf(old);
      }
      files.push({ path: "functions/_tollgate/gone.ts", sha256: await hashOf(old) });
      await put(root, CHECKOUT, old);
      await put(root, "supabase/functions/_tollgate/gone.ts", old);
      await put(root, path, JSON.stringify({ ...manifest, files }));
      await interrupted(root, () => done);
      await interrupted(root, () => 0);
      const { code, text } = await adopt(root);
      assert.equal(code, 0, text);
      assert.deepEqual(await picture(root), whole, `${done}`);
    }
  });
});

Deno.test("what was interrupted the first time is finished, or taken back", async () => {
  for (const finish of [true, false]) {
    await withForeignProject(async (root) => {
      const before = await picture(root);
      await interrupted(root, (all) => all - 20);
      if (finish) assert.equal((await adopt(root)).code, 0);
      const { code, text } = await adopt(root, "--remove");
      assert.equal(code, 0, text);
      const after = Object.entries(await picture(root)).filter(([path]) => !/_remove_/.test(path));
      assert.deepEqual(Object.fromEntries(after), before);
    });
  }
});

Deno.test("a newer Tollgate brings its new migrations behind everything that is there", async () => {
  await withForeignProject(async (root) => {
    await adopt(root);
    const manifest = `${root}/supabase/tollgate.json`;
    const known = JSON.parse(await Deno.readTextFile(manifest));
    // As if the last one had not been written yet, and the checkout had been another.
    const last = known.files.pop();
    await Deno.remove(`${root}/supabase/${last.path}`);
    await Deno.writeTextFile(manifest, JSON.stringify(known));
    await put(root, "supabase/migrations/29991231235900_mine.sql", "select 1;\n");
    const { code, text } = await adopt(root);
    assert.equal(code, 0, text);
    const concern = last.source.replace(/^\d+_/, "");
    assert.match(
      text,
      new RegExp(`create +supabase/migrations/29991231235901_tollgate_${concern}\\.sql`),
    );
    assert.match(text, /^2 files\.$/m, "that and the manifest");
  });
});

const CLASHES: [string, string, string, RegExp][] = [
  ["a function", CHECKOUT, "//", /the function checkout\n.*--prefix tollgate-/],
  ["our folder", "supabase/functions/_tollgate/x.ts", "//", /supabase\/functions\/_tollgate/],
  [
    "a schema of our name",
    "supabase/migrations/20250101000000_x.sql",
    'CREATE  SCHEMA IF NOT EXISTS "billing";',
    /the schema billing \(made in supabase\/migrations\/20250101000000_x\.sql\)/,
  ],
  [
    "the API's schema",
    "supabase/schemas/x.sql",
    "create schema tollgate;",
    /the schema tollgate .*--schema takes another name/,
  ],
  [
    "a manifest that leaves the folder",
    "supabase/tollgate.json",
    '{"tollgate":"1","schema":"x","prefix":"","files":[{"path":"../x","sha256":""}],"folders":[],"config":[]}',
    /leaves the folder/,
  ],
  ["a migration that is no time", "supabase/migrations/99999999999999_x.sql", "", /is no time/],
];

for (const [what, path, content, expected] of CLASHES) {
  Deno.test(`${what} in the way is named, and nothing is done`, async () => {
    await withForeignProject(async (root) => {
      await put(root, path, content);
      const before = await picture(root);
      const { code, text } = await adopt(root);
      assert.equal(code, 1, text);
      assert.match(text, expected);
      assert.doesNotMatch(text, /\n +at /, "a sentence, not a stack");
      assert.deepEqual(await picture(root), before);
    });
  });
}

Deno.test("nothing is written or deleted through a symbolic link", async () => {
  await withForeignProject(async (root) => {
    const outside = await Deno.realPath(await Deno.makeTempDir({ prefix: "tollgate-outside-" }));
    try {
      await put(outside, "migrations/x.sql", "select 1;\n");
      const places = [
        ["supabase/tollgate.json", "nowhere.json"],
        ["supabase/migrations", "migrations"],
        ["supabase/functions", "functions"],
        ["supabase/functions/checkout", "checkout"],
        ["supabase/functions/_tollgate", "nowhere"],
        ["supabase/config.toml", "config.toml"],
        ["supabase", "supabase"],
      ];
      for (const adopted of [false, true]) {
        if (adopted) assert.equal((await adopt(root)).code, 0);
        for (const [path = "", target = ""] of places) {
          const [aside, link] = [`${root}/aside`, `${root}/${path}`];
          const moved = await Deno.rename(link, aside).then(() => true, () => false);
          if (moved && target !== "migrations") await copy(aside, `${outside}/${target}`);
          await Deno.symlink(`${outside}/${target}`, link);
          const before = await picture(outside);
          for (const args of [[], ["--remove"]]) {
            const { code, text } = await adopt(root, ...args);
            assert.equal(code, 1, `${path} ${args}: ${text}`);
            assert.doesNotMatch(text, /\n +at /);
            if (adopted) assert.match(text, new RegExp(`links.*\n  ${path}\n`));
          }
          assert.deepEqual(await picture(outside), before, path);
          await Deno.remove(link);
          if (moved) await Deno.rename(aside, link);
        }
      }
    } finally {
      await Deno.remove(outside, { recursive: true });
    }
  });
});

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  for (const path of await listFiles(from)) {
    await put(to, path, await Deno.readFile(`${from}/${path}`));
  }
}

Deno.test("a link in the place of a function is a clash, and not in the way of another name", async () => {
  await withForeignProject(async (root) => {
    await Deno.symlink(`${root}/nowhere`, `${root}/supabase/functions/checkout`);
    const { code, text } = await adopt(root);
    assert.equal(code, 1);
    assert.match(text, /is in the way:\n +the function checkout\n/);
    const other = await adopt(root, "--prefix=pay-");
    assert.equal(other.code, 0, other.text);
  });
});

Deno.test("names in the manifest that the command would not take are refused, and nothing is done", async () => {
  await withForeignProject(async (root) => {
    await adopt(root);
    const path = "supabase/tollgate.json";
    const manifest = JSON.parse(await Deno.readTextFile(`${root}/${path}`));
    const wrong = [
      ...["public", "auth", "storage", "pg_catalog", "information_schema", "billing", ""],
      ...["x cascade; drop schema auth", "x\n", "X", "a".repeat(41)],
    ].map((schema) => ({ schema }));
    for (const names of [...wrong, { prefix: "../" }, { prefix: "x" }]) {
      await put(root, path, JSON.stringify({ ...manifest, ...names }));
      const target = await openTarget(root);
      const refused =
        /tollgate\.json of the project cannot be read: (.|\n)*is no (name|prefix) that/;
      const [options, what] = [{ dropData: true, now: new Date() }, JSON.stringify(names)];
      await assert.rejects(planRemoval(target, options), refused, what);
    }
    const before = await picture(root);
    const { code, text } = await adopt(root, "--remove", "--drop-data");
    assert.equal(code, 1, text);
    assert.doesNotMatch(text, /\n +at /);
    assert.deepEqual(await picture(root), before);
  });
});

Deno.test("a prefix gives our functions other names, everywhere", async () => {
  await withForeignProject(async (root) => {
    await put(root, CHECKOUT, "// its own\n");
    const { code, text } = await adopt(root, "--prefix=tollgate-");
    assert.equal(code, 0, text);
    const config = parse(await Deno.readTextFile(`${root}/supabase/config.toml`));
    assert.ok("tollgate-checkout" in Object(config.functions));
    assert.ok(!("checkout" in Object(config.functions)));
    assert.match(
      await readMigration(root, "scheduled_jobs"),
      /'\/functions\/v1\/tollgate-' \|\| p_name/,
    );
    assert.equal(await Deno.readTextFile(`${root}/${CHECKOUT}`), "// its own\n");
    const other = await adopt(root, "--prefix=pay-");
    assert.equal(other.code, 1);
    assert.match(other.text, /--remove it first/);
  });
});

Deno.test("what is no project, and what is no name, is refused in a sentence", async () => {
  await withForeignProject(async (root) => {
    for (
      const args of [
        [],
        [`${root}/nowhere`],
        ["/tmp"],
        [root, "--schema=public"],
        [root, "--schema=pg_tollgate"],
        [root, "--schema=Billing;drop"],
        [root, "--prefix=no"],
        [root, "--drop-data"],
        [root, "--remove"],
        [root, "--no-such-thing"],
        ["."],
      ]
    ) {
      const { code, text } = await adopt(...args);
      assert.equal(code, 1, `${args}: ${text}`);
      assert.match(text, /^✗ /m);
      assert.doesNotMatch(text, /\n +at /);
    }
  });
});

Deno.test("a path is that of the folder in which the command was called", async () => {
  await withForeignProject(async (root) => {
    const { code, text } = await adoptFrom(`${root}/supabase`, "..", "--dry-run");
    assert.equal(code, 0, text);
    assert.match(text, /create +supabase\/functions\/checkout/);
  });
});

async function readMigration(root: string, concern: string): Promise<string> {
  const name = (await listFiles(`${root}/supabase/migrations`)).find((file) =>
    file.endsWith(`_tollgate_${concern}.sql`)
  );
  return await Deno.readTextFile(`${root}/supabase/migrations/${name}`);
}

Deno.test("what is ours in public moves, and nothing else does", () => {
  const naming = { schema: "tollgate", prefix: "" };
  const same = [
    "revoke all on x from public, anon;",
    'select republic.x, "public.x".y, $public.x;',
    "is_public boolean",
  ];
  for (const text of same) assert.equal(rewriteSql(text, naming), text);
  assert.equal(
    rewriteSql("'public.customers'::regclass", naming),
    "'tollgate.customers'::regclass",
  );
  assert.equal(rewriteSql("in schema public\n", naming), "in schema tollgate\n");
  assert.equal(
    rewriteTypeScript('import "../_shared/x.ts"; Database["public"]; "republic"', naming),
    'import "../_tollgate/x.ts"; Database["tollgate"]; "republic"',
  );
});

Deno.test("versions come behind the newest, a second apart, whatever the calendar", () => {
  const now = new Date("2026-02-28T23:59:59Z");
  assert.deepEqual(versionsAfter(null, now, 2), ["20260228235959", "20260301000000"]);
  assert.deepEqual(versionsAfter("20240101000000", now, 1), ["20260228235959"]);
  assert.deepEqual(versionsAfter("0001", now, 1), ["20260228235959"]);
  assert.deepEqual(versionsAfter("20281231235959", now, 1), ["20290101000000"]);
  assert.throws(() => versionsAfter("20991399000000", now, 1), /is no time/);
});
