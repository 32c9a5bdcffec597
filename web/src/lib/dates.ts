/** Everything about time that the pages show. Pure: "now" is always an argument, in milliseconds. */

const LOCALE = "en-US";
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * Reads a timestamp in ISO form or as Postgres prints it (`2026-11-22 12:40:29.80+00`), which is what
 * some REST servers pass on. Returns milliseconds, or null when it is not a time.
 */
export function parseTime(value: string | null | undefined): number | null {
  if (!value) return null;
  const match =
    /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(\.\d+)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?$/
      .exec(value.trim());
  if (!match) return null;
  const [, day, clock, fraction = "", zone = "Z"] = match;
  const millis = fraction ? `.${fraction.slice(1, 4).padEnd(3, "0")}` : "";
  const time = Date.parse(`${day}T${clock}${millis}${isoZone(zone)}`);
  return Number.isNaN(time) ? null : time;
}

/** `+00` and `+0530` are Postgres' short forms; ISO wants `+00:00`. */
function isoZone(zone: string): string {
  if (zone === "Z") return zone;
  const digits = zone.slice(1).replace(":", "").padEnd(4, "0");
  return `${zone[0]}${digits.slice(0, 2)}:${digits.slice(2)}`;
}

/** The next 00:00 UTC strictly after `now`: when daily allowances begin again. */
export function nextUtcMidnight(now: number): number {
  return (Math.floor(now / DAY) + 1) * DAY;
}

/** `8 h 09 min`, `4 min 07 s`, `32 s`: two units at most, never negative. */
export function formatDuration(ms: number): string {
  const total = Math.max(0, Math.ceil(ms / SECOND));
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const seconds = total % 60;
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  if (hours > 0) return `${hours} h ${pad(minutes)} min`;
  if (minutes > 0) return `${minutes} min ${pad(seconds)} s`;
  return `${seconds} s`;
}

/** `08:09:05`, for the live countdown of an exhausted allowance. */
export function formatCountdown(ms: number): string {
  const total = Math.max(0, Math.ceil(ms / SECOND));
  return [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60].map(pad).join(":");
}

const pad = (value: number) => String(value).padStart(2, "0");

/** `December 22, 2026` in the reader's time zone, or in the given one. */
export function formatDate(time: number, timeZone?: string): string {
  return new Intl.DateTimeFormat(LOCALE, {
    day: "numeric",
    month: "long",
    year: "numeric",
    timeZone,
  }).format(time);
}

/** `00:00` in 24-hour form, in the reader's time zone or in the given one. */
export function formatClock(time: number, timeZone?: string): string {
  return new Intl.DateTimeFormat(LOCALE, {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone,
  }).format(time);
}

/**
 * When something resets, as an absolute time: `00:00 UTC`, with the reader's own clock beside it when
 * that differs, and the weekday when it is not within a day.
 */
export function formatResetTime(time: number, now: number, timeZone?: string): string {
  const utc = `${formatClock(time, "UTC")} UTC`;
  const local = formatClock(time, timeZone);
  const clock = local === formatClock(time, "UTC") ? utc : `${utc} (${local} your time)`;
  return time - now > DAY ? `${formatDate(time, "UTC")}, ${clock}` : clock;
}

/** `Today`, `Yesterday` or a date, by the reader's own days; for headings in a list. */
export function formatDay(time: number, now: number): string {
  const startOfToday = new Date(now).setHours(0, 0, 0, 0);
  if (time >= startOfToday) return "Today";
  const yesterday = new Date(startOfToday);
  yesterday.setDate(yesterday.getDate() - 1);
  return time >= yesterday.getTime() ? "Yesterday" : formatDate(time);
}
