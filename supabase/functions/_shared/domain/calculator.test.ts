import assert from "node:assert/strict";
import fc from "fast-check";
import { calculate, formatResult } from "./calculator.ts";

Deno.test("arithmetic has the precedence it has in mathematics", () => {
  const cases: [string, number][] = [
    ["2+2", 4],
    ["1 + 2 * 3", 7],
    ["(1 + 2) * 3", 9],
    ["10 - 4 - 3", 3],
    ["8 / 4 / 2", 1],
    ["2^3^2", 512],
    ["-2^2", -4],
    ["2^-1", 0.5],
    ["200 * 15%", 30],
    ["1,234,567.5 × 2", 2_469_135],
    ["7 ÷ −2", -3.5],
    [".5 + .5", 1],
  ];
  for (const [expression, value] of cases) assert.equal(calculate(expression), value, expression);
});

Deno.test("what is not arithmetic, or no more than a number, is none", () => {
  const cases = ["", "7", "-7", "15%", "1,5 + 2", "1 2", "2 +", "(1 + 2", "1 + 2)", "a + b"];
  for (const expression of [...cases, "1..2 + 3", "alert(1)", "9+".repeat(150) + "9"]) {
    assert.equal(calculate(expression), null, expression);
  }
});

Deno.test("the deepest brackets that fit are no harm", () => {
  assert.equal(calculate(`${"(".repeat(98)}1+1${")".repeat(98)}`), 2);
});

Deno.test("sums of integers are what they are, whatever the spaces", () => {
  const integer = fc.integer({ min: -1_000_000, max: 1_000_000 });
  fc.assert(fc.property(integer, integer, fc.constantFrom("", " ", "\t"), (a, b, space) => {
    assert.equal(calculate(`(${a})${space}+${space}(${b})`), a + b);
    assert.equal(calculate(`(${a})${space}*${space}(${b})`), a * b);
  }));
});

Deno.test("results are written down without the dust of binary fractions", () => {
  assert.equal(formatResult(0.1 + 0.2), "= 0.3");
  assert.equal(formatResult(1 / 3), "≈ 0.333333333333333");
  assert.equal(formatResult(2 ** 70), "≈ 1.18059162071741e+21");
  assert.match(formatResult(1 / 0), /no result/);
});
