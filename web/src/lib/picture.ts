/** Pictures of listings: shrunk here, kept as a data URL in a row. Pure; what draws them is in use-picture. */

export const PICTURE_WIDTH = 640;
export const PICTURE_HEIGHT = 360;
/** What the database takes, in characters of the data URL. */
export const MAX_PICTURE_CHARS = 150_000;
/** What we read at all: a camera's picture, not a film. */
export const MAX_FILE_BYTES = 20_000_000;
export const PICTURE_TYPES = ["image/jpeg", "image/png", "image/webp"];

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Crop {
  /** The part of the picture that is kept: its middle, as wide as 16:9. */
  source: Box;
  /** Never larger than the source: a small picture is not blown up. */
  width: number;
  height: number;
}

/** How a picture of this size fills the frame; null for one without a size. */
export function cropToFrame(width: number, height: number): Crop | null {
  if (!(width >= 1 && height >= 1)) return null;
  const frame = PICTURE_WIDTH / PICTURE_HEIGHT;
  const wide = width / height > frame;
  const part = wide
    ? { width: Math.round(height * frame), height }
    : { width, height: Math.round(width / frame) };
  const source = {
    width: Math.min(width, Math.max(1, part.width)),
    height: Math.min(height, Math.max(1, part.height)),
  };
  const scale = Math.min(1, PICTURE_WIDTH / source.width, PICTURE_HEIGHT / source.height);
  return {
    source: {
      ...source,
      x: Math.floor((width - source.width) / 2),
      y: Math.floor((height - source.height) / 2),
    },
    width: Math.max(1, Math.round(source.width * scale)),
    height: Math.max(1, Math.round(source.height * scale)),
  };
}

/** Why a file cannot be a picture here; null when it can be tried. */
export function problemOfFile({ type, size }: { type: string; size: number }): string | null {
  if (!PICTURE_TYPES.includes(type)) return "Choose a JPEG, PNG or WebP picture.";
  if (size > MAX_FILE_BYTES) return "Choose a picture of 20 MB at most.";
  return null;
}

/** A picture that the database takes, and that may be shown: nothing that could carry a script. */
export function isPicture(data: string): boolean {
  return data.length <= MAX_PICTURE_CHARS &&
    /^data:image\/(png|jpeg|webp);base64,[A-Za-z0-9+/]+=*$/.test(data);
}
