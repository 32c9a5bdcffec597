import { equal, ok } from "node:assert/strict";
import { countries, likelyCountry } from "./countries.ts";

Deno.test("countries go by their names", () => {
  const names = countries().map((country) => country.name);
  equal(names[0], "Australia");
  ok(names.includes("United States"));
});

Deno.test("the reader's country is guessed from their languages", () => {
  equal(likelyCountry(["de-AT", "en-US"]), "AT");
  equal(likelyCountry(["fr"]), "FR");
  equal(likelyCountry(["zh-CN", "not a language"]), "US");
});
