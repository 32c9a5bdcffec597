import { stack } from "./stack.ts";

/** What the local mail server caught; local/mail/catcher.ts. */
export interface CaughtMail {
  id: number;
  recipients: string[];
  from: string;
  to: string;
  subject: string;
  message_id: string;
  headers: { key: string; value: string }[];
  text: string;
  html: string;
}

export async function mailsTo(address: string): Promise<CaughtMail[]> {
  const response = await fetch(`${stack().inbox_url}/api/messages`);
  const { data } = await response.json() as { data: CaughtMail[] };
  return data.filter(({ recipients }) => recipients.includes(address));
}

/** Nobody answers on the mail server's port while `work` runs. */
export async function withoutMailServer(work: () => Promise<void>): Promise<void> {
  await mailServer(true);
  try {
    await work();
  } finally {
    await mailServer(false);
  }
}

async function mailServer(down: boolean): Promise<void> {
  const response = await fetch(`${stack().inbox_url}/api/smtp`, {
    method: "POST",
    body: JSON.stringify({ down }),
  });
  if (!response.ok) throw new Error(`/api/smtp answered ${response.status}`);
  await response.body?.cancel();
}
