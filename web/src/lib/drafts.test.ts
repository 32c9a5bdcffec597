import { equal } from "node:assert/strict";
import { forgetDrafts, mergeDraft, newDraftKey, readDraft, writeDraft } from "./drafts.ts";

Deno.test("a refused text comes back in front of what was typed since", () => {
  equal(mergeDraft("first", ""), "first");
  equal(mergeDraft("first", "  "), "first");
  equal(mergeDraft("first", "second"), "first\n\nsecond");
});

Deno.test("a draft is kept per conversation and forgotten with its person", () => {
  writeDraft("a", { text: "hello", attempt: null });
  equal(readDraft("a").text, "hello");
  equal(readDraft("b").text, "");
  forgetDrafts();
  equal(readDraft("a").text, "");
});

Deno.test("what was meant for one agent is not offered to another", () => {
  equal(newDraftKey(null), "new");
  equal(newDraftKey({ kind: "listing", id: "a" }), "new.a");
});
