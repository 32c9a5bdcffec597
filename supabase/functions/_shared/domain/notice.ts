/** A notice as it goes into a mail: plain text, and the same as simple HTML. */
export interface NoticeMail {
  subject: string;
  text: string;
  html: string;
}

/** `siteUrl` is the web client's origin; the links are fixed paths on it. */
export function noticeMail(notice: { title: string; body: string }, siteUrl: string): NoticeMail {
  const { origin, host } = new URL(siteUrl);
  const usage = `${origin}/usage`;
  const account = `${origin}/account#notices`;
  const title = oneLine(notice.title);
  return {
    subject: title,
    text: `${notice.body}

See what you have used: ${usage}

You get this because you have an account at ${host}. Switch these e-mails off: ${account}
`,
    html: `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escape(title)}</title></head>
<body style="font-family: sans-serif; line-height: 1.5">
<h1 style="font-size: 1.25em">${escape(title)}</h1>
<p>${escape(notice.body)}</p>
<p><a href="${escape(usage)}">See what you have used</a></p>
<p style="color: #666; font-size: 0.875em">You get this because you have an account at ${
      escape(host)
    }. <a href="${escape(account)}">Switch these e-mails off</a></p>
</body>
</html>
`,
  };
}

/**
 * The same for the same notice, however often it is sent: who receives it twice may tell. `from` is the sender's address; the
 * time tells databases apart that count from one.
 */
export function noticeMessageId(notice: { id: number; createdAt: Date }, from: string): string {
  return `<notice-${notice.id}-${notice.createdAt.getTime()}@${domainOf(from)}>`;
}

/** `Tollgate <notices@example.com>` and `notices@example.com` → `example.com`. */
export function domainOf(address: string): string {
  return /@([^@<>\s]+?)>?\s*$/.exec(address)?.[1] ?? "localhost";
}

/** A line break in a header would begin another header. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").trim();
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** What a mail server's refusal means for the notice: `recipient` will not pass by itself. */
export type MailFailure = { kind: "recipient" | "again" | "unreachable"; reason: string };

/**
 * Only a 5xx for the recipient is for good: one for the sender or the content is mostly the account's or the server's
 * doing, and would park everybody's notices. Without an answer the others would fail as well.
 */
export function toMailFailure(
  error: {
    code?: string | undefined;
    command?: string | undefined;
    responseCode?: number | undefined;
    message: string;
  },
  recipient: string,
): MailFailure {
  const { code = "", command = "", responseCode } = error;
  const reason = [code, command, error.message].filter((part) => part !== "").join(" ")
    .replaceAll(recipient, "<recipient>");
  if (command.startsWith("RCPT") && responseCode !== undefined && responseCode >= 500) {
    return { kind: "recipient", reason };
  }
  return { kind: responseCode === undefined || code === "EAUTH" ? "unreachable" : "again", reason };
}
