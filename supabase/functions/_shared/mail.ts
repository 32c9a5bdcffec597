import { createTransport } from "nodemailer";
import { isThisMachine, mailEnv } from "./env.ts";
import { domainOf, type NoticeMail } from "./domain/notice.ts";

/** Long enough for a slow server, and all of them together shorter than a lease. */
const CONNECT_MS = 10_000;
const SILENCE_MS = 20_000;

export interface Mailer {
  /** Resolves when the server has taken it, and rejects with a `MailError`. */
  send: (mail: NoticeMail & { to: string; messageId: string }) => Promise<void>;
  /** The sender's address, as the settings say. */
  from: string;
  close: () => void;
}

/** What nodemailer throws, as far as it matters. */
export class MailError extends Error {
  override name = "MailError";
  readonly code: string | undefined;
  readonly command: string | undefined;
  readonly responseCode: number | undefined;

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.code = textOf(cause, "code");
    this.command = textOf(cause, "command");
    const status = Number(textOf(cause, "responseCode"));
    this.responseCode = Number.isInteger(status) ? status : undefined;
  }
}

function textOf(error: unknown, name: string): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const value: unknown = Reflect.get(error, name);
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** Connections to the mail server of the settings; throws `not_configured` when they are missing. The caller closes it. */
export function openMailer(): Mailer {
  const { SMTP_URL, EMAIL_FROM } = mailEnv();
  const transport = createTransport({
    url: SMTP_URL.href,
    pool: true,
    maxConnections: 5,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    // Passwords and addresses never go in clear text, except to this very machine.
    requireTLS: SMTP_URL.protocol === "smtp:" && !isThisMachine(SMTP_URL),
    // Otherwise it asks the operating system, which an edge function may not.
    name: domainOf(EMAIL_FROM),
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    from: EMAIL_FROM,
    close: () => transport.close(),
    send: async ({ to, messageId, subject, text, html }) => {
      try {
        await transport.sendMail({
          from: EMAIL_FROM,
          // As an object it is one address, whatever is in it.
          to: { name: "", address: to },
          messageId,
          subject,
          text,
          html,
          headers: { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All" },
        });
      } catch (error) {
        throw new MailError(error);
      }
    },
  };
}
