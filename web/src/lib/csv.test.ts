import { equal } from "node:assert/strict";
import { toCsv } from "./csv.ts";

Deno.test("records end with CRLF, and what is not known is an empty field", () => {
  equal(
    toCsv(["Day", "Used"], [["2026-11-22", 3], ["2026-11-23", null]]),
    [
      "Day,Used\r\n",
      "2026-11-22,3\r\n",
      "2026-11-23,\r\n",
    ].join(""),
  );
});

Deno.test("commas, quotes and line ends are quoted", () => {
  equal(toCsv(['a"b'], [["x,y"], ["one\ntwo"]]), '"a""b"\r\n"x,y"\r\n"one\ntwo"\r\n');
});

Deno.test("a text cannot become a formula", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"]) {
    equal(toCsv([text], []), `'${text}\r\n`);
  }
  equal(toCsv(['=HYPERLINK("x","y")'], []), `"'=HYPERLINK(""x"",""y"")"\r\n`);
});

Deno.test("a negative number stays a number", () => {
  equal(toCsv(["n"], [[-5]]), "n\r\n-5\r\n");
});

Deno.test("an amount below zero stays a number", () => {
  equal(toCsv(["a"], [[{ decimal: "-0.50" }]]), "a\r\n-0.50\r\n");
});
