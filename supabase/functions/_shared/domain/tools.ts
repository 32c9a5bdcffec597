import { calculate, formatResult, MAX_EXPRESSION } from "./calculator.ts";

export type ToolUse = { tool: "calculator"; expression: string } | { tool: "clock" };
export type ToolRefusal = "quota_exceeded" | "spending_cap_reached" | "too_late";

/** More than this many are not used for one message. */
const MAX_TOOLS = 3;
/** Ids of requests are remembered for two days (billing.usage_requests); a repeat after that would be charged again. */
const FREE_REPEATS_MS = 24 * 3_600_000;

const CLOCK =
  /\bwhat(?:'s|’s| is)? (?:the )?(?:current )?(?:time|date|day)\b(?! of\b)|\b(?:current|today's|today’s) (?:time|date)\b/i;
/** A sentence's end is not a decimal point. */
const PIECES = /[.,;:!?](?:\s|$)|\n/;
const ARITHMETIC = /[\d\s.,+\-−*×·/÷^%()]+/g;
/** Around an expression: bullets, emphasis, the rest of a sentence. */
const BEFORE = /^(?:[\s,*×·/÷^%)]|[+\-−]\s)+/;
const AFTER = /[\s.,+\-−*×·/÷^(]+$/;
const ASKED = /(?:calculate|compute|work out|how much is|what is|what's|what’s)\s*$/i;
const UNMISTAKABLE = /[+*×·÷^]/;
const LOOKS_LIKE_A_DATE = /\d{4}-\d{2}-\d{2}/;

/** Which tools a message's text asks for, the clock first: always the same ones in the same order for the same text. */
export function chooseTools(content: string): ToolUse[] {
  const clock: ToolUse[] = CLOCK.test(content) ? [{ tool: "clock" }] : [];
  const sums = content.split(PIECES).flatMap(expressionsOf)
    .map((expression): ToolUse => ({ tool: "calculator", expression }));
  return [...clock, ...sums].slice(0, MAX_TOOLS);
}

/** `24/7`, `10-20` and dates are not sums, unless they are all there is or somebody asks. */
function expressionsOf(piece: string): string[] {
  return Array.from(piece.matchAll(ARITHMETIC)).flatMap(({ 0: run, index }) => {
    // Also so that no message makes the patterns go over a long run again and again.
    if (run.length > MAX_EXPRESSION) return [];
    const expression = run.replace(BEFORE, "").replace(AFTER, "");
    if (calculate(expression) === null || LOOKS_LIKE_A_DATE.test(expression)) return [];
    const asked = UNMISTAKABLE.test(expression.slice(1)) || run.length === piece.length ||
      ASKED.test(piece.slice(Math.max(0, index - 20), index));
    return asked ? [expression] : [];
  });
}

/** What a tool says; deterministic but for the time, which is an argument. */
export function runTool(use: ToolUse, now: Date): string {
  if (use.tool === "calculator") {
    return `Calculator: ${use.expression} ${formatResult(calculate(use.expression) ?? NaN)}.`;
  }
  const day = now.toLocaleDateString("en-GB", {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
    timeZone: "UTC",
  });
  return `Clock: it is ${day}, ${now.toISOString().slice(11, 16)} UTC.`;
}

const REASONS: Record<ToolRefusal, string> = {
  quota_exceeded:
    "your plan's tools for today are used up. They come back at midnight UTC, or with a higher plan",
  spending_cap_reached:
    "it would cost more than your spending cap leaves. Raise the cap, or wait for the next period",
  too_late: "the message is more than a day old. Ask again in a new one",
};

export function notUsed({ tool }: ToolUse, refusal: ToolRefusal): string {
  return `I did not use the ${tool}: ${REASONS[refusal]}.`;
}

export function isTooLate(askedAt: Date, now: Date): boolean {
  return now.getTime() - askedAt.getTime() > FREE_REPEATS_MS;
}

/**
 * The id under which a use is charged: the same for every attempt at the same answer. With the time the message was
 * written, which no client can choose: somebody who deletes it and writes another under its id is charged anew.
 */
export async function toolRequestId(
  message: { id: string; created_at: string },
  position: number,
): Promise<string> {
  const name = `tool:${message.id}:${message.created_at}:${position}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name));
  const bytes = new Uint8Array(digest).slice(0, 16);
  // RFC 9562: version 8 (made in a way of our own), variant 10.
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
