// How a camera was held: the orientation in EXIF, applied as viewers do.
import type { Values } from "../grey_scale";
import type { Decoded } from "./content";

const TAG = 0x112;

/** Returns the orientation, 1 to 8, of an EXIF block without its `Exif` mark; 1 where it is broken or says none. */
export function exifOrientation(exif: Uint8Array): number {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
  try {
    const little = view.getUint16(0) === 0x4949;
    const directory = view.getUint32(4, little);
    const count = view.getUint16(directory, little);
    for (let entry = directory + 2; entry < directory + 2 + 12 * count; entry += 12) {
      if (view.getUint16(entry, little) !== TAG) continue;
      const value = view.getUint16(entry + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}

/** Returns stored pixels turned upright, spacing with them. */
export function upright(decoded: Decoded, orientation: number): Decoded {
  if (orientation === 1) return decoded;
  const { width, height, values } = decoded;
  const swaps = orientation > 4;
  const [newWidth, newHeight] = swaps ? [height, width] : [width, height];
  const turned = new (values.constructor as new (length: number) => Values)(values.length);
  const right = width - 1;
  const bottom = height - 1;
  for (let y = 0, at = 0; y < newHeight; y++) {
    for (let x = 0; x < newWidth; x++, at++) {
      // Where the pixel stood in the file.
      const [column, row] = (
        [[right - x, y], [right - x, bottom - y], [x, bottom - y], [y, x], [y, bottom - x], [right - y, bottom - x], [right - y, x]] as const
      )[orientation - 2];
      turned[at] = values[row * width + column];
    }
  }
  const note = `turned upright by the file's orientation tag (EXIF), value ${orientation}`;
  const spacing = decoded.spacing && swaps ? ([decoded.spacing[1], decoded.spacing[0]] as [number, number]) : decoded.spacing;
  return { ...decoded, width: newWidth, height: newHeight, values: turned, spacing, notes: [...decoded.notes, note] };
}
