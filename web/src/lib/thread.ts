/** The pages of one conversation as the cache holds them: newest page first, newest message first. */

import type { Message } from "./records.ts";

export interface ThreadPages {
  pages: Message[][];
  pageParams: unknown[];
}

/** All messages, oldest first, without the rows that two pages share. */
export function flatten(data: ThreadPages | undefined): Message[] {
  const seen = new Set<string>();
  const newestFirst = (data?.pages ?? []).flat().filter((message) => {
    if (seen.has(message.id)) return false;
    seen.add(message.id);
    return true;
  });
  return newestFirst.reverse();
}

/** Adds a message at the end, or replaces the one with the same id (an optimistic row). */
export function withMessage(data: ThreadPages | undefined, message: Message): ThreadPages {
  if (!data) return { pages: [[message]], pageParams: [undefined] };
  if (data.pages.some((page) => page.some((row) => row.id === message.id))) {
    const replace = (row: Message) => row.id === message.id ? message : row;
    return { ...data, pages: data.pages.map((page) => page.map(replace)) };
  }
  const [newest = [], ...older] = data.pages;
  return { ...data, pages: [[message, ...newest], ...older] };
}

export function withoutMessage(data: ThreadPages | undefined, id: string): ThreadPages | undefined {
  return data && { ...data, pages: data.pages.map((page) => page.filter((row) => row.id !== id)) };
}

/** The last question when nothing answers it yet; null when the conversation is at rest. */
export function openQuestion(messages: Message[]): Message | null {
  const last = messages.at(-1);
  return last?.role === "user" ? last : null;
}

/** A title for a conversation: the first line of its first message, cut at a word. */
export function titleFrom(text: string, max = 60): string {
  const line = text.trim().split("\n", 1)[0]?.replace(/\s+/g, " ") ?? "";
  if (line.length <= max) return line;
  const cut = line.slice(0, max + 1);
  const space = cut.lastIndexOf(" ");
  return `${(space > max / 2 ? cut.slice(0, space) : line.slice(0, max)).trimEnd()}…`;
}
