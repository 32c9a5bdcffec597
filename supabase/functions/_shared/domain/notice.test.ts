import assert from "node:assert/strict";
import { domainOf, noticeMail, noticeMessageId, toMailFailure } from "./notice.ts";

const SITE = "https://chat.example.com/ignored";

Deno.test("a notice becomes text and HTML with links on our own origin", () => {
  const { subject, text, html } = noticeMail({ title: "80 % used", body: "40 of 50." }, SITE);
  assert.equal(subject, "80 % used");
  assert.ok(text.startsWith("40 of 50.\n"));
  for (const part of [text, html]) {
    const links = part.match(/https?:\/\/[^\s"<]+/g) ?? [];
    assert.ok(links.length >= 2);
    assert.ok(links.every((link) => new URL(link).origin === "https://chat.example.com"), part);
  }
});

Deno.test("nothing in a notice becomes a header or markup", () => {
  const { subject, html } = noticeMail({
    title: "Hello\r\nBcc: evil@example.com\u2028<b>",
    body: `<img src=x onerror="alert(1)">`,
  }, SITE);
  assert.ok(!/[\r\n]/.test(subject), subject);
  assert.ok(!html.includes("<img") && !html.includes("<b>"), html);
});

Deno.test("the same notice has the same Message-ID, in the sender's domain", () => {
  const notice = { id: 7, createdAt: new Date(1_000) };
  const id = noticeMessageId(notice, "Tollgate <notices@example.com>");
  assert.equal(id, "<notice-7-1000@example.com>");
  assert.equal(domainOf("notices@example.com"), "example.com");
});

Deno.test("only a refused recipient is for good, and no reason quotes the address", () => {
  const fail = (responseCode: number | undefined, command: string, code = "EENVELOPE") =>
    toMailFailure(
      { responseCode, command, code, message: "no ada@example.com" },
      "ada@example.com",
    );
  assert.equal(fail(550, "RCPT TO").kind, "recipient");
  assert.equal(fail(450, "RCPT TO").kind, "again");
  assert.equal(fail(550, "MAIL FROM").kind, "again");
  assert.equal(fail(554, "DATA", "EMESSAGE").kind, "again");
  assert.equal(fail(535, "AUTH PLAIN", "EAUTH").kind, "unreachable");
  assert.equal(fail(undefined, "CONN", "ECONNREFUSED").kind, "unreachable");
  assert.ok(!fail(550, "RCPT TO").reason.includes("ada@"));
});
