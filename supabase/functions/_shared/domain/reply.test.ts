import assert from "node:assert/strict";
import { composeReply } from "./reply.ts";

Deno.test("a reply quotes what it answers and says what it is", () => {
  const reply = composeReply("  How are\nyou?  ");
  assert.match(reply, /You asked: “How are you\?” \(3 words\)/);
  assert.match(reply, /built-in reply/);
});

Deno.test("a long message is quoted in part, without cutting a character in two", () => {
  const reply = composeReply("😀".repeat(500));
  assert.match(reply, /“(😀){139}…”/u);
});

Deno.test("an agent answers in its own name, and shows that it was told something", () => {
  const reply = composeReply("Hello", [], { name: "Tutor", instructions: "Explain slowly." });
  assert.match(reply, /^Tutor answers, told: “Explain slowly\.”\.\n/);
  assert.match(composeReply("Hello", [], { name: "Mute", instructions: " " }), /^Mute answers\.\n/);
});
