import { deepEqual, equal, notDeepEqual, ok } from "node:assert/strict";
import {
  changeSearch,
  countPages,
  coverOf,
  type Listing,
  pageText,
  priceText,
  readSearch,
  whatYouGet,
  writeSearch,
} from "./marketplace.ts";

const listing: Listing = {
  id: "1",
  title: "Proofreader",
  description: "",
  category: "agent",
  kind: "one_time",
  priceMinor: 1250,
  currency: "usd",
  sellerName: "Ada",
  salesCount: 0,
  salesPaused: false,
  status: "published",
  grants: null,
};

const read = (text: string) => readSearch(new URLSearchParams(text));

Deno.test("an empty address shows what is new, one with words what fits best", () => {
  deepEqual(read(""), {
    ...{ query: "", sort: "newest", category: null, kind: null, currency: null, page: 1 },
  });
  equal(read("q=letters").sort, "relevance");
  equal(read("q=letters&sort=price_low").sort, "price_low");
  equal(read("sort=relevance").sort, "newest", "nothing to be relevant to");
});

Deno.test("what an address says wrongly is as usual", () => {
  const search = read("sort=evil&category=__proto__&kind=1&currency=EURO&page=-3");
  deepEqual(search, read(""));
  equal(read("page=2.5").page, 1);
  equal(read("page=1e99").page, 1);
  equal(read(`q=${"x".repeat(300)}`).query.length, 100);
});

Deno.test("a search written into an address is read back as it was, and the usual is left out", () => {
  equal(writeSearch(read("")).toString(), "");
  for (
    const address of [
      "q=a+letter&sort=popular&category=agent&kind=monthly&page=3",
      "q=%26%3D",
      "sort=price_high",
      "sort=price_low&currency=eur",
      "q=x&sort=newest",
    ]
  ) equal(writeSearch(read(address)).toString(), address);
});

Deno.test("a change begins at the first page, and keeps an order that was chosen", () => {
  const change = (address: string, what: Parameters<typeof changeSearch>[1]) =>
    writeSearch(changeSearch(read(address), what)).toString();
  equal(change("page=3", { query: "tea" }), "q=tea");
  equal(change("q=tea&page=2", { query: "" }), "");
  equal(change("q=tea&sort=popular", { query: "" }), "sort=popular");
  equal(change("q=tea&sort=popular", { kind: "monthly" }), "q=tea&sort=popular&kind=monthly");
  equal(change("q=tea", { sort: "newest" }), "q=tea&sort=newest");
  equal(change("q=tea", { page: 2 }), "q=tea&page=2");
  equal(change("sort=price_low&page=2", { currency: "gbp" }), "sort=price_low&currency=gbp");
});

Deno.test("a page says which of how many it shows", () => {
  equal(pageText(1, 24, 57), "1–24 of 57");
  equal(pageText(3, 9, 57), "49–57 of 57");
  equal(pageText(1, 5, 5), "5");
  equal(countPages(0), 1);
  equal(countPages(24), 1);
  equal(countPages(25), 2);
});

Deno.test("a price says whether it is paid once or every month", () => {
  equal(priceText(listing), "$12.50");
  equal(priceText({ priceMinor: 500, currency: "eur", kind: "monthly" }), "€5 a month");
});

Deno.test("what is bought is told by what it is", () => {
  ok(whatYouGet(listing)[0]?.includes("for good"));
  ok(whatYouGet({ ...listing, kind: "monthly" })[0]?.includes("while you pay"));
  ok(whatYouGet(listing).some((line) => line.startsWith("New versions")), "buyers get updates");
  const addon = { ...listing, category: "addon" as const };
  ok(!whatYouGet(addon).some((line) => line.startsWith("New versions")), "of what has any");
  equal(
    whatYouGet({ ...addon, grants: { metric: "message", quantity: 1000 } })[0],
    "1,000 more messages a day in your plan, for good",
  );
  equal(
    whatYouGet({ ...addon, grants: { metric: "agent", quantity: 1 } })[0],
    "1 more agent in your plan, for good",
  );
});

Deno.test("a cover is always the same for the same listing, and differs between listings", () => {
  deepEqual(coverOf("a", "élan"), coverOf("a", "élan"));
  equal(coverOf("a", " élan").initial, "É");
  equal(coverOf("a", "").initial, "");
  notDeepEqual(coverOf("a", "x"), coverOf("b", "x"));
  const ids = Array.from({ length: 60 }, (_, index) => `00000000-0000-4000-8000-${index}`);
  equal(new Set(ids.map((id) => coverOf(id, "").palette)).size, 6);
});
