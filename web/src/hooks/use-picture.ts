import { useState } from "react";
import { cropToFrame, isPicture, problemOfFile } from "../lib/picture.ts";

/** Best first; a picture that is too large in all of them is too rich in detail. */
const TRIES = [
  { type: "image/webp", quality: 0.86 },
  { type: "image/webp", quality: 0.7 },
  { type: "image/jpeg", quality: 0.8 },
  { type: "image/jpeg", quality: 0.6 },
] as const;
const TARGET_CHARS = 80_000;

/** Cuts and shrinks a picture in the browser: the file itself never leaves the device. */
async function shrink(file: File): Promise<string> {
  const problem = problemOfFile(file);
  if (problem) throw new Error(problem);
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("This file could not be read as a picture.");
  });
  try {
    const crop = cropToFrame(bitmap.width, bitmap.height);
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    if (!crop || !context) throw new Error("This file could not be read as a picture.");
    canvas.width = crop.width;
    canvas.height = crop.height;
    // JPEG knows no transparency: what is clear becomes white and not black.
    context.fillStyle = "#fff";
    context.fillRect(0, 0, crop.width, crop.height);
    context.imageSmoothingQuality = "high";
    const { x, y, width, height } = crop.source;
    context.drawImage(bitmap, x, y, width, height, 0, 0, crop.width, crop.height);
    return smallest(canvas);
  } finally {
    bitmap.close();
  }
}

function smallest(canvas: HTMLCanvasElement): string {
  let best: string | null = null;
  for (const { type, quality } of TRIES) {
    const data = canvas.toDataURL(type, quality);
    // A browser that cannot write a type writes PNG instead.
    if (!data.startsWith(`data:${type};`) || !isPicture(data)) continue;
    if (data.length <= TARGET_CHARS) return data;
    if (best === null || data.length < best.length) best = data;
  }
  if (best === null) throw new Error("This picture has too much detail. Choose a simpler one.");
  return best;
}

export interface PictureState {
  /** A data URL; null without one. */
  picture: string | null;
  /** undefined while it is as it was stored. */
  change: string | null | undefined;
  isReading: boolean;
  problem: string | null;
  choose: (file: File) => void;
  remove: () => void;
}

/** The picture in a form, beginning with the stored one. */
export function usePicture(stored: string | null): PictureState {
  const [change, setChange] = useState<string | null | undefined>(undefined);
  const [isReading, setReading] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const choose = (file: File) => {
    setReading(true);
    setProblem(null);
    shrink(file)
      .then(
        setChange,
        (error: unknown) =>
          setProblem(error instanceof Error ? error.message : "This file could not be read."),
      )
      .finally(() => setReading(false));
  };
  const remove = () => {
    setProblem(null);
    setChange(null);
  };
  const picture = change === undefined ? stored : change;
  return { picture, change, isReading, problem, choose, remove };
}
