/** What is sold: listings, their words, and the search that the address of the page holds. Pure. */

import { formatMoney } from "./money.ts";
import { nounOf } from "./plans.ts";

export type Kind = "one_time" | "monthly";
export type Category = "agent" | "template" | "addon";
export type ListingStatus = "draft" | "published" | "withdrawn";

export interface Listing {
  id: string;
  title: string;
  description: string;
  category: Category;
  kind: Kind;
  priceMinor: number;
  currency: string;
  /** null: sold by the house. */
  sellerName: string | null;
  salesCount: number;
  salesPaused: boolean;
  status: ListingStatus;
  /** Of an add-on: what it adds to a plan's limit. */
  grants: { metric: string; quantity: number } | null;
}

/** A listing among the results of a search, and what it is to the reader. */
export interface Found extends Listing {
  isOwned: boolean;
  isOwn: boolean;
}

export const SORTS = ["relevance", "newest", "popular", "price_low", "price_high"] as const;
export type Sort = typeof SORTS[number];
export const CATEGORIES: readonly Category[] = ["agent", "template", "addon"];
export const KINDS: readonly Kind[] = ["one_time", "monthly"];
export const LISTINGS_PER_PAGE = 24;
export const MAX_QUERY = 100;

export interface Search {
  query: string;
  sort: Sort;
  category: Category | null;
  kind: Kind | null;
  /** Only what is sold in it; prices of different currencies are not compared. */
  currency: string | null;
  /** From 1. */
  page: number;
}

/** What an address asks for; what it does not say, or says wrongly, is as usual. */
export function readSearch(params: URLSearchParams): Search {
  const query = (params.get("q") ?? "").slice(0, MAX_QUERY);
  const asked = SORTS.find((value) => value === params.get("sort"));
  const sort = asked && (asked !== "relevance" || query.trim()) ? asked : usualSort(query);
  const page = Number(params.get("page") ?? 1);
  return {
    query,
    sort,
    category: CATEGORIES.find((value) => value === params.get("category")) ?? null,
    kind: KINDS.find((value) => value === params.get("kind")) ?? null,
    currency: /^[a-z]{3}$/.exec(params.get("currency") ?? "")?.[0] ?? null,
    page: Number.isSafeInteger(page) && page > 0 && page < 10_000 ? page : 1,
  };
}

/** The address of a search: only what is not as usual. */
export function writeSearch(search: Search): URLSearchParams {
  const { query, sort, category, kind, currency, page } = search;
  const params = new URLSearchParams();
  if (query.trim()) params.set("q", query.trim());
  if (sort !== usualSort(query) && (sort !== "relevance" || query.trim())) params.set("sort", sort);
  if (category) params.set("category", category);
  if (kind) params.set("kind", kind);
  if (currency) params.set("currency", currency);
  if (page > 1) params.set("page", String(page));
  return params;
}

/** Who looks for something wants what fits best; who looks around, what is new. */
function usualSort(query: string): Sort {
  return query.trim() ? "relevance" : "newest";
}

/** What follows from a change: the first page, and the usual order for the new words unless one was chosen. */
export function changeSearch(before: Search, change: Partial<Search>): Search {
  const query = change.query ?? before.query;
  const wasChosen = before.sort !== usualSort(before.query);
  const isPossible = before.sort !== "relevance" || query.trim() !== "";
  const sort = wasChosen && isPossible ? before.sort : usualSort(query);
  return { ...before, sort, page: 1, ...change };
}

export const SORT_NAMES: Record<Sort, string> = {
  relevance: "Best match",
  newest: "Newest",
  popular: "Most bought",
  price_low: "Lowest price",
  price_high: "Highest price",
};

export const CATEGORY_NAMES: Record<Category, string> = {
  agent: "Agents",
  template: "Templates",
  addon: "Add-ons",
};

export const KIND_NAMES: Record<Kind, string> = {
  one_time: "Bought once",
  monthly: "By the month",
};

/** `1–24 of 57`. */
export function pageText(page: number, shown: number, total: number): string {
  const first = (page - 1) * LISTINGS_PER_PAGE + 1;
  return shown === total ? `${total}` : `${first}–${first + shown - 1} of ${total}`;
}

export function countPages(total: number): number {
  return Math.max(1, Math.ceil(total / LISTINGS_PER_PAGE));
}

type Priced = Pick<Listing, "priceMinor" | "currency" | "kind">;

/** `$12`, `$5 a month`. */
export function priceText({ priceMinor, currency, kind }: Priced): string {
  return `${formatMoney(priceMinor, currency)}${kind === "monthly" ? " a month" : ""}`;
}

export const HOUSE_NAME = "Tollgate";

export function sellerText({ sellerName }: Pick<Listing, "sellerName">): string {
  return sellerName ?? HOUSE_NAME;
}

/** What a buyer has from the day it is paid, one sentence each. */
export function whatYouGet({ category, kind, grants }: Listing): string[] {
  const end = kind === "monthly" ? "while you pay for it" : "for good";
  if (category === "addon") {
    return [
      grants
        ? `${grants.quantity.toLocaleString("en-US")} more ${
          nounOf(grants.metric, grants.quantity)
        }${grants.metric === "agent" ? "" : " a day"} in your plan, ${end}`
        : `More room in your plan, ${end}`,
      "It comes on top of whatever plan you have",
      kindSentence(kind),
    ];
  }
  return [
    `Use it in chat ${end}, with your own messages`,
    "Read its instructions, and make a copy to change",
    "It takes no place among the agents of your plan",
    "New versions of it are yours too, as soon as they are published",
    kindSentence(kind),
  ];
}

function kindSentence(kind: Kind): string {
  return kind === "monthly"
    ? "Renews every month; cancel whenever you like"
    : "One payment, nothing that renews";
}

/** A mark and its colours for a listing without a picture: always the same for the same one. */
export interface Cover {
  initial: string;
  palette: number;
  pattern: number;
  /** Degrees. */
  angle: number;
}

export const COVER_PALETTES = 6;
export const COVER_PATTERNS = 4;

export function coverOf(id: string, title: string): Cover {
  const seed = hash(id);
  return {
    initial: ([...title.trim()][0] ?? "").toLocaleUpperCase("en-US"),
    palette: seed % COVER_PALETTES,
    pattern: (seed >>> 8) % COVER_PATTERNS,
    angle: ((seed >>> 16) % 12) * 15,
  };
}

/** FNV-1a, 32 bits (isthe.com/chongo/tech/comp/fnv). */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  // Neighbouring bits are mixed once more: ids differ in few of them.
  return Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) >>> 0;
}
