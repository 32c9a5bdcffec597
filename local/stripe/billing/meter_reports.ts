/**
 * Meter events that turned out to be invalid after they were taken: gathered for some seconds and reported as one thin
 * event for each meter, and one for all that name no meter.
 */
import { relatedTo } from "../engine/related.ts";
import { iso } from "../engine/v2.ts";
import { type Work, worldNow } from "../engine/work.ts";
import type { Problem } from "./usage.ts";

const SAMPLES = 5;

export function complain(work: Work, { code, message, meter }: Problem, identifier: string): void {
  work.store.sql(
    "insert into meter_errors (meter, code, message, identifier, at, real_ms) values (?, ?, ?, ?, ?, ?)",
  ).run(
    meter,
    // Reports have no word of their own for a value that is missing.
    code === "no_value" ? "meter_event_invalid_value" : code,
    message,
    identifier,
    worldNow(work.store),
    Date.now(),
  );
}

interface Row {
  meter: string | null;
  code: string;
  message: string;
  identifier: string;
  at: number;
}

/** Reports what has waited long enough (or all of it, when `isAll`); says whether there was anything. */
export function report(work: Work, isAll = false): boolean {
  const window = work.settings.meterReportSeconds;
  const rows = work.store.sql("select * from meter_errors order by seq").all();
  const [first] = rows;
  if (!first || !isAll && Date.now() < Number(first.real_ms) + window * 1000) return false;
  work.store.sql("delete from meter_errors").run();
  const errors = rows.map((row): Row => ({
    meter: row.meter === null ? null : String(row.meter),
    code: String(row.code),
    message: String(row.message),
    identifier: String(row.identifier),
    at: Number(row.at),
  }));
  for (const meter of new Set(errors.map((each) => each.meter))) {
    const own = errors.filter((each) => each.meter === meter);
    const object = meter === null ? null : work.find("billing.meter", meter);
    const data = summary(own, window);
    if (object) {
      const related_object = relatedTo(object);
      work.emitThin("v1.billing.meter.error_report_triggered", { data, related_object });
    } else work.emitThin("v1.billing.meter.no_meter_found", { data });
  }
  return true;
}

function summary(errors: readonly Row[], window: number) {
  const count = errors.length;
  const times = errors.map((each) => each.at);
  const aligned = (at: number) => Math.floor(at / window) * window * 1000;
  return {
    developer_message_summary: count === 1
      ? "There is 1 invalid event"
      : `There are ${count} invalid events`,
    reason: {
      error_count: count,
      error_types: [...new Set(errors.map((each) => each.code))].map((code) => {
        const own = errors.filter((each) => each.code === code);
        return {
          code,
          error_count: own.length,
          sample_errors: own.slice(0, SAMPLES).map(({ message, identifier }) => ({
            error_message: message,
            request: { identifier },
          })),
        };
      }),
    },
    validation_end: iso(aligned(Math.max(...times)) + window * 1000),
    validation_start: iso(aligned(Math.min(...times))),
  };
}
