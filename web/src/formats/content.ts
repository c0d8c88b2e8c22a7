// What all formats share: what comes out of a file, and how much is too much.
import type { Values } from "../grey_scale";
import { InputError } from "../input_error";

// As in crass_tf: the largest detectors have about 30 million pixels.
const MAX_PIXELS = 64_000_000;
const MAX_SIDE = 32_766;
export const MAX_BYTES = 400_000_000;
const SMALLEST_MM = 0.01;
const LARGEST_MM = 20;
const LARGEST_RATIO = 10;

/** (row, column) in millimetres. */
export type Spacing = [number, number];

export interface Decoded {
  width: number;
  height: number;
  /** Stored grey values, row by row. */
  values: Values;
  spacing: Spacing | null;
  /** Bit depth of the grey values where the file states it. */
  bits?: number;
  mirrored: boolean;
  notes: string[];
}

/** Throws InputError where a header claims no pixels, or more than are decoded. */
export function checkSize(width: number, height: number): void {
  if (!(width * height > 0) || width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
    const expected = `at most ${MAX_PIXELS} in all and ${MAX_SIDE} a side`;
    throw new InputError(`the header claims ${width} x ${height} pixels, expected ${expected}`);
  }
}

/** Returns the same without a spacing that is implausible, and with a note of it. */
export function plausibleSpacing(decoded: Decoded): Decoded {
  if (!decoded.spacing) return decoded;
  const [least, most] = [Math.min(...decoded.spacing), Math.max(...decoded.spacing)];
  if (least >= SMALLEST_MM && most <= LARGEST_MM && most <= least * LARGEST_RATIO) return decoded;
  const note = `the file's pixel spacing of ${decoded.spacing.join(" x ")} mm is implausible and was ignored`;
  return { ...decoded, spacing: null, notes: [...decoded.notes, note] };
}

export function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
