import { deepEqual, equal, ok } from "node:assert/strict";
import { heightOf, labelledDays, layoutBars, niceScale, signedScale } from "./chart.ts";

Deno.test("a scale has round steps and room for the highest value", () => {
  deepEqual(niceScale(7).ticks, [0, 2, 4, 6, 8]);
  deepEqual(niceScale(50).ticks, [0, 20, 40, 60]);
  deepEqual(niceScale(500).ticks, [0, 200, 400, 600]);
  deepEqual(niceScale(1_000_000).ticks.at(-1), 1_000_000);
});

Deno.test("units are whole: no half a message, also when there are none", () => {
  deepEqual(niceScale(0), { max: 1, ticks: [0, 1] });
  deepEqual(niceScale(3).ticks, [0, 1, 2, 3]);
});

Deno.test("below zero the scale goes on in the same steps, with zero among them", () => {
  deepEqual(signedScale(0, 700), niceScale(700));
  deepEqual(signedScale(-300, 700), {
    min: -400,
    max: 800,
    ticks: [-400, -200, 0, 200, 400, 600, 800],
  });
  deepEqual(signedScale(-1000, 0), { min: -1000, max: 0, ticks: [-1000, -500, 0] });
});

Deno.test("an allowance far above the bars is left out, so that they can be read", () => {
  equal(heightOf([30, 70], [50, 50]), 70);
  equal(heightOf([3, 20], [50, 50]), 50);
  equal(heightOf([3, 10], [2000, 2000]), 10);
  equal(heightOf([30, 65], [50, 500]), 65, "the one that fits is kept");
  equal(heightOf([3], [null]), 3);
  equal(heightOf([], [50]), 50);
});

Deno.test("bars fill the plot, and a year of them is wider than a phone", () => {
  const week = layoutBars(700, 7);
  equal(week.width, 700);
  ok(week.barWidth <= 44);
  equal(week.indexAt(-5), 0);
  equal(week.indexAt(350), 3);
  equal(week.indexAt(9999), 6);
  const year = layoutBars(300, 365);
  equal(year.width, 365 * 4);
  ok(year.barWidth >= 2);
  ok(year.left(364) + year.barWidth <= year.width);
});

Deno.test("labels keep their distance, and the last day always has one", () => {
  deepEqual(labelledDays(7, 100), [0, 1, 2, 3, 4, 5, 6]);
  deepEqual(labelledDays(30, 20), [1, 5, 9, 13, 17, 21, 25, 29]);
  deepEqual(labelledDays(0, 20), []);
});
