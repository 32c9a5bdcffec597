import assert from "node:assert/strict";
import { createTransport } from "nodemailer";
import { reservePorts } from "../ports.ts";
import { startMailCatcher } from "./catcher.ts";

Deno.test("the mail catcher keeps what it is sent, shows it, and runs nothing of it", async (t) => {
  const { ports, release } = await reservePorts();
  const catcher = await startMailCatcher({
    smtpPort: ports.smtp,
    inboxPort: ports.inbox,
    log: () => {},
  });
  const page = `http://127.0.0.1:${ports.inbox}`;
  const transport = createTransport({
    host: "127.0.0.1",
    port: ports.smtp,
    secure: false,
    name: "tollgate.test",
  });
  const text = async (path: string, init?: RequestInit) =>
    await (await fetch(`${page}${path}`, init)).text();
  const send = (to: string, subject: string) =>
    transport.sendMail({
      from: "notices@tollgate.test",
      to: { name: "", address: to },
      subject,
      text: "You have used 40 of 50.",
      html: `<p>40 of 50</p><script>alert(1)</script>`,
    });
  try {
    await t.step("a mail is in the list and on a page of its own", async () => {
      assert.match(await text("/"), /Nothing yet/);
      await send("ada@example.com", "80 % <used>");
      assert.match(await text("/"), /ada@example\.com[\s\S]*80 % &lt;used&gt;/);
      assert.match(await text("/messages/1"), /You have used 40 of 50/);
      assert.equal((await fetch(`${page}/messages/9`)).status, 404);
    });
    await t.step("its HTML is shown in a sandbox", async () => {
      const response = await fetch(`${page}/messages/1/html`);
      assert.match(response.headers.get("content-security-policy") ?? "", /^sandbox;/);
      assert.match(await response.text(), /40 of 50/);
    });
    await t.step("a line break in a subject begins no header", async () => {
      await send("ada@example.com", "Hello\r\nBcc: eve@example.com");
      const { data } = JSON.parse(await text("/api/messages"));
      assert.deepEqual(data[0].recipients, ["ada@example.com"]);
      assert.ok(!data[0].headers.some(({ key }: { key: string }) => key === "bcc"));
    });
    await t.step("who does not exist is refused", async () => {
      await assert.rejects(() => send("gone@refused.test", "Hello"), /550/);
    });
    await t.step("another site neither reads nor clears it", async () => {
      const origin = { origin: "https://evil.example", "sec-fetch-site": "cross-site" };
      assert.match(await text("/clear", { method: "POST", headers: origin }), /another site/);
      assert.match(await text("/"), /80 %/);
      assert.match(await text("/clear", { method: "POST" }), /Nothing yet/);
    });
  } finally {
    transport.close();
    await catcher.stop();
    release();
  }
});
