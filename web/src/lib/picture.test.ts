import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { cropToFrame, isPicture, MAX_PICTURE_CHARS, problemOfFile } from "./picture.ts";

Deno.test("a picture is cut to its middle and shrunk to the frame", () => {
  deepEqual(cropToFrame(1920, 1080), {
    source: { x: 0, y: 0, width: 1920, height: 1080 },
    width: 640,
    height: 360,
  });
  deepEqual(cropToFrame(4000, 1000)?.source, { x: 1111, y: 0, width: 1778, height: 1000 });
  deepEqual(cropToFrame(1000, 3000)?.source, { x: 0, y: 1218, width: 1000, height: 563 });
});

Deno.test("a small picture is not blown up", () => {
  deepEqual(cropToFrame(160, 90), {
    source: { x: 0, y: 0, width: 160, height: 90 },
    width: 160,
    height: 90,
  });
});

Deno.test("whatever its size, what is kept lies within the picture and within the frame", () => {
  const size = fc.integer({ min: 1, max: 20_000 });
  fc.assert(fc.property(size, size, (width, height) => {
    const crop = cropToFrame(width, height);
    ok(crop);
    ok(crop.source.x >= 0 && crop.source.x + crop.source.width <= width);
    ok(crop.source.y >= 0 && crop.source.y + crop.source.height <= height);
    ok(crop.width >= 1 && crop.width <= 640 && crop.height >= 1 && crop.height <= 360);
  }));
  equal(cropToFrame(0, 10), null);
  equal(cropToFrame(NaN, 10), null);
});

Deno.test("only pictures that cannot carry a script are taken", () => {
  equal(problemOfFile({ type: "image/png", size: 1000 }), null);
  ok(problemOfFile({ type: "image/svg+xml", size: 10 }));
  ok(problemOfFile({ type: "image/png", size: 30_000_000 }));
  ok(isPicture("data:image/webp;base64,AAAA"));
  ok(!isPicture("data:image/svg+xml;base64,AAAA"));
  ok(!isPicture("data:image/png;base64,AA AA"));
  ok(!isPicture("https://example.com/a.png"));
  ok(!isPicture(`data:image/png;base64,${"A".repeat(MAX_PICTURE_CHARS)}`));
});
