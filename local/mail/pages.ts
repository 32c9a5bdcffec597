import { html, raw } from "hono/html";
import type { CaughtMail } from "./catcher.ts";

/** The pages of the inbox: a list and a mail, without a script. */

const STYLE = `
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  table { width: 100%; border-collapse: collapse }
  th, td { text-align: left; padding: .5rem; border-bottom: 1px solid #8884; overflow-wrap: anywhere }
  pre { white-space: pre-wrap; border: 1px solid #8884; border-radius: .5rem; padding: 1rem }
  iframe { width: 100%; height: 24rem; border: 1px solid #8884; border-radius: .5rem; background: #fff }
`;

type Markup = ReturnType<typeof html>;

function page(title: string, body: Markup): Markup {
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>${title}</title>
        <style>${raw(STYLE)}</style>
      </head>
      <body>${body}</body>
    </html>
  `;
}

export function inboxPage(mails: readonly CaughtMail[]): Markup {
  return page(
    "Inbox",
    html`<h1>Inbox</h1>
<p>E-mails that Tollgate has sent on this machine. Nothing leaves it; they are forgotten when it stops.</p>
${
      mails.length === 0 ? html`<p>Nothing yet.</p>` : html`
        <table>
          <thead>
            <tr>
              <th scope="col">To</th>
              <th scope="col">Subject</th>
              <th scope="col">Received</th>
            </tr>
          </thead>
          <tbody>${mails.map((mail) =>
            html`
              <tr>
                <td>${mail.to}</td>
                <td><a href="/messages/${mail.id}">${mail.subject || "(no subject)"}</a></td>
                <td>${mail.received_at}</td>
              </tr>
            `
          )}</tbody>
        </table>
        <form method="post" action="/clear">
          <p><button>Clear</button></p>
        </form>
      `
    }`,
  );
}

export function messagePage(mail: CaughtMail): Markup {
  return page(
    mail.subject,
    html`
      <p><a href="/">Inbox</a></p>
      <h1>${mail.subject || "(no subject)"}</h1>
      <p>From ${mail.from} to ${mail.to}, ${mail.received_at}<br>${mail.message_id}</p>
      <h2>Text</h2>
      <pre>${mail.text}</pre>
      <h2>HTML</h2>
      <iframe sandbox title="The mail as HTML" src="/messages/${mail.id}/html"></iframe>
    `,
  );
}
