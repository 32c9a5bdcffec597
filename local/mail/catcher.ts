import { Buffer } from "node:buffer";
import PostalMime from "postal-mime";
import { SMTPServer } from "smtp-server";
import { z } from "zod";
import { Hono } from "hono";
import { refusal } from "../loopback.ts";
import { inboxPage, messagePage } from "./pages.ts";

/**
 * A mail server of this machine that delivers nothing: what it takes is kept in memory and shown on a page. As with Stripe's test
 * cards, some addresses misbehave: whoever is at `refused.test` does not exist.
 */
export interface CaughtMail {
  id: number;
  received_at: string;
  /** The envelope: who it would really have gone to. */
  recipients: string[];
  from: string;
  to: string;
  subject: string;
  message_id: string;
  headers: { key: string; value: string }[];
  text: string;
  html: string;
}

export interface MailCatcher {
  stop: () => Promise<void>;
}

const KEPT = 500;
const MAX_BYTES = 5 * 1024 * 1024;
const REFUSED = /@refused\.test$/i;

const smtpSwitch = z.strictObject({ down: z.boolean() });

export async function startMailCatcher(
  options: { smtpPort: number; inboxPort: number; log: (line: string) => void },
): Promise<MailCatcher> {
  const mails: CaughtMail[] = [];
  let count = 0;
  const keep = async (raw: Uint8Array, recipients: string[]) => {
    const mail = await read(raw);
    mails.unshift({
      id: ++count,
      received_at: new Date().toISOString(),
      recipients,
      ...mail,
    });
    mails.length = Math.min(mails.length, KEPT);
  };
  const smtp = new Smtp(options.smtpPort, keep, options.log);
  await smtp.listen();
  const server = Deno.serve(
    { port: options.inboxPort, hostname: "127.0.0.1", onListen: () => {} },
    inbox(mails, smtp).fetch,
  );
  return {
    stop: async () => {
      await Promise.all([server.shutdown(), smtp.close()]);
    },
  };
}

class Smtp {
  readonly #port: number;
  readonly #keep: (raw: Uint8Array, recipients: string[]) => Promise<void>;
  readonly #log: (line: string) => void;
  #server: SMTPServer | null = null;

  constructor(
    port: number,
    keep: (raw: Uint8Array, recipients: string[]) => Promise<void>,
    log: (line: string) => void,
  ) {
    this.#port = port;
    this.#keep = keep;
    this.#log = log;
  }

  async listen(): Promise<void> {
    if (this.#server !== null) return;
    const server = new SMTPServer({
      // Its log would say who writes to whom.
      logger: false,
      authOptional: true,
      disabledCommands: ["AUTH", "STARTTLS"],
      disableReverseLookup: true,
      size: MAX_BYTES,
      closeTimeout: 500,
      onRcptTo: ({ address }, _session, done) => {
        if (!REFUSED.test(address)) return done();
        done(Object.assign(new Error("No such mailbox here"), { responseCode: 550 }));
      },
      onData: (stream, { envelope }, done) => {
        const parts: Uint8Array[] = [];
        stream.on("data", (part: Uint8Array) => parts.push(part));
        stream.on("end", () => {
          const recipients = envelope.rcptTo.map(({ address }) => address);
          this.#keep(Buffer.concat(parts), recipients).then(() => done(), done);
        });
      },
    });
    server.on("error", (error: Error) => this.#log(`mail: ${error.message}`));
    await new Promise<void>((resolve, reject) => {
      server.server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", () => resolve());
    });
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

async function read(
  raw: Uint8Array,
): Promise<Omit<CaughtMail, "id" | "received_at" | "recipients">> {
  const mail = await PostalMime.parse(raw);
  return {
    from: mail.from?.address ?? "",
    to: (mail.to ?? []).map(({ address }) => address ?? "").join(", "),
    subject: mail.subject ?? "",
    message_id: mail.messageId ?? "",
    headers: mail.headers.map(({ key, value }) => ({ key, value })),
    text: mail.text ?? "",
    html: mail.html ?? "",
  };
}

function inbox(mails: CaughtMail[], smtp: Smtp): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    const refused = refusal(c.req.raw);
    if (refused) return c.text(refused.message, refused.status);
    c.header("cache-control", "no-store");
    c.header("x-content-type-options", "nosniff");
    // A mail brings its own HTML: nothing of it may run or be fetched.
    c.header(
      "content-security-policy",
      "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'",
    );
    await next();
  });
  const find = (id: string) => mails.find((mail) => String(mail.id) === id);
  app.get("/", (c) => c.html(inboxPage(mails)));
  app.post("/clear", (c) => {
    mails.length = 0;
    return c.redirect("/", 303);
  });
  app.get("/messages/:id", (c) => {
    const mail = find(c.req.param("id"));
    return mail ? c.html(messagePage(mail)) : c.notFound();
  });
  app.get("/messages/:id/html", (c) => {
    const mail = find(c.req.param("id"));
    if (!mail) return c.notFound();
    c.header("content-security-policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'");
    return c.html(mail.html);
  });
  app.get("/api/messages", (c) => c.json({ data: mails }));
  app.delete("/api/messages", (c) => {
    mails.length = 0;
    return c.json({ data: mails });
  });
  /** For tests: whether anybody answers on the SMTP port. */
  app.post("/api/smtp", async (c) => {
    const { down } = smtpSwitch.parse(await c.req.json());
    await (down ? smtp.close() : smtp.listen());
    return c.json({ down });
  });
  return app;
}
