import { deepEqual, equal } from "node:assert/strict";
import type { Message } from "./records.ts";
import { flatten, openQuestion, titleFrom, withMessage, withoutMessage } from "./thread.ts";

function message(id: string, role: "user" | "assistant" = "user", content = id): Message {
  return { id, conversationId: "c", role, content, replyTo: null, createdAt: "" };
}

const ids = (messages: Message[]) => messages.map((row) => row.id);

Deno.test("pages read oldest first and a row on two pages appears once", () => {
  const data = {
    pages: [[message("4"), message("3")], [message("3"), message("2")]],
    pageParams: [undefined, "x"],
  };
  deepEqual(ids(flatten(data)), ["2", "3", "4"]);
  deepEqual(flatten(undefined), []);
});

Deno.test("an optimistic row is replaced by the stored one and not doubled", () => {
  const first = withMessage(undefined, message("1"));
  const second = withMessage(withMessage(first, message("2", "user", "draft")), message("2"));
  deepEqual(flatten(second).map((row) => row.content), ["1", "2"]);
});

Deno.test("a refused message leaves the thread as it was", () => {
  const before = withMessage(undefined, message("1"));
  deepEqual(ids(flatten(withoutMessage(withMessage(before, message("2")), "2"))), ["1"]);
});

Deno.test("only a last message of the user waits for an answer", () => {
  equal(openQuestion([message("1")])?.id, "1");
  equal(openQuestion([message("1"), message("2", "assistant")]), null);
  equal(openQuestion([]), null);
});

Deno.test("a title is the first line, cut at a word", () => {
  equal(titleFrom("  Hello\nworld "), "Hello");
  equal(titleFrom("a ".repeat(50).trim(), 10), "a a a a a…");
  equal(titleFrom("x".repeat(80), 10), "xxxxxxxxxx…");
});
