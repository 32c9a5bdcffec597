import assert from "node:assert/strict";
import { chooseTools, isTooLate, notUsed, runTool, toolRequestId } from "./tools.ts";

const NOW = new Date("2026-11-22T10:15:42Z");

Deno.test("a message's text says which tools are used", () => {
  const sums = (content: string) =>
    chooseTools(content).map((use) => use.tool === "calculator" ? use.expression : use.tool);
  const cases: [string, string[]][] = [
    ["How much is 12 * (3 + 4)?", ["12 * (3 + 4)"]],
    ["What is 10/4?", ["10/4"]],
    ["2+2. And 3+3.", ["2+2", "3+3"]],
    ["100 - 42", ["100 - 42"]],
    ["What time is it, and what is 1,000 * 2?", ["clock", "1,000 * 2"]],
    ["what's the date today", ["clock"]],
    ["- 2 + 2\n- **3 * 3**", ["2 + 2", "3 * 3"]],
    [`${"1+".repeat(150)}1`, []],
    ["1+1\n2+2\n3+3\n4+4", ["1+1", "2+2", "3+3"]],
    ["Open 24/7, for 10-20 people, until 2026-12-31.", []],
    ["What is 2026-12-31?", []],
    ["Call +49 170 1234567 about C++ 11.", []],
    ["What is the time of my life?", []],
    ["I had a good time. What is love?", []],
  ];
  for (const [content, expected] of cases) assert.deepEqual(sums(content), expected, content);
});

Deno.test("no text, however made, takes long to look through", () => {
  for (
    const part of ["-", "- 1 ", "1+1 ", "what is ", "what is 1-1 ", "(", "1,", " ", "what time "]
  ) {
    const started = performance.now();
    chooseTools(part.repeat(100_000 / part.length));
    assert.ok(performance.now() - started < 1_000, part);
  }
});

Deno.test("a tool says what it found", () => {
  assert.equal(
    runTool({ tool: "calculator", expression: "12 * (3 + 4)" }, NOW),
    "Calculator: 12 * (3 + 4) = 84.",
  );
  assert.match(runTool({ tool: "calculator", expression: "1/0" }, NOW), /no result/);
  assert.equal(
    runTool({ tool: "clock" }, NOW).replace("Sunday, ", "Sunday "),
    "Clock: it is Sunday 22 November 2026, 10:15 UTC.",
  );
  assert.match(notUsed({ tool: "clock" }, "quota_exceeded"), /did not use the clock: your plan's/);
});

Deno.test("a use is charged under one id, another message or position under another", async () => {
  const message = {
    id: "9b2f6f7e-0000-4000-8000-000000000001",
    created_at: "2026-11-22T10:00:00Z",
  };
  const id = await toolRequestId(message, 0);
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(await toolRequestId({ ...message }, 0), id);
  assert.notEqual(await toolRequestId(message, 1), id);
  const again = { ...message, created_at: "2026-11-22T10:00:01Z" };
  assert.notEqual(await toolRequestId(again, 0), id);
});

Deno.test("tools are not used for a message of the day before yesterday", () => {
  assert.equal(isTooLate(new Date("2026-11-21T10:16:00Z"), NOW), false);
  assert.equal(isTooLate(new Date("2026-11-21T10:15:00Z"), NOW), true);
});
