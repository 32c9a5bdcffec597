import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { noticeMail, noticeMessageId, toMailFailure } from "../domain/notice.ts";
import { env } from "../env.ts";
import { log } from "../log.ts";
import { type Mailer, MailError, openMailer } from "../mail.ts";

/** pg_net waits 55 seconds for an answer; what is left waits for the next call. */
const BUDGET_MS = 40_000;
/** Leased together and sent side by side, so that a slow server holds a lease no longer than one mail takes. */
const AT_ONCE = 5;

export interface NoticeReport {
  sent: number;
  /** Left for another attempt, or parked for an operator. */
  failed: number;
}

/**
 * Sends the notices that are due by e-mail. Each is leased, sent and marked; whoever dies in between leaves a lease that
 * ends, and the mail goes out again under the same Message-ID. Without a mail server in the settings nothing is leased.
 *
 * Errors: `not_configured`.
 */
export async function sendNotices(admin: db.Client): Promise<NoticeReport> {
  const mailer = await configuredMailer(admin);
  const report: NoticeReport = { sent: 0, failed: 0 };
  const deadline = Date.now() + BUDGET_MS;
  try {
    while (Date.now() < deadline) {
      const notices = await db.leaseNotifications(admin, AT_ONCE);
      if (notices.length === 0) break;
      const outcomes = await Promise.all(notices.map((notice) => send(admin, mailer, notice)));
      report.sent += outcomes.filter((outcome) => outcome === "sent").length;
      report.failed += outcomes.filter((outcome) => outcome !== "sent").length;
      // Nobody answers: the others keep their attempts for when somebody does.
      if (outcomes.every((outcome) => outcome === "unreachable")) break;
    }
  } finally {
    mailer.close();
  }
  return report;
}

async function configuredMailer(admin: db.Client): Promise<Mailer> {
  try {
    return openMailer();
  } catch (error) {
    if (error instanceof AppError && error.cause instanceof Error) {
      await db.reportEmailSetup(admin, error.cause.message);
    }
    throw error;
  }
}

async function send(
  admin: db.Client,
  mailer: Mailer,
  notice: db.DueNotification,
): Promise<"sent" | "recipient" | "again" | "unreachable"> {
  const createdAt = new Date(notice.created_at);
  try {
    await mailer.send({
      ...noticeMail(notice, env().SITE_URL),
      to: notice.email,
      messageId: noticeMessageId({ id: notice.id, createdAt }, mailer.from),
    });
  } catch (error) {
    if (!(error instanceof MailError)) throw error;
    const failure = toMailFailure(error, notice.email);
    // Its words may quote the address, which is for nobody's log.
    log("warn", "notice_failed", {
      notification_id: notice.id,
      kind: failure.kind,
      code: error.code,
      status: error.responseCode,
    });
    await db.notificationFailed(admin, notice, {
      error: failure.reason,
      forGood: failure.kind === "recipient",
    });
    return failure.kind;
  }
  await db.notificationSent(admin, notice.id);
  return "sent";
}
