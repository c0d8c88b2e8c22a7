// JPEG files: whether they are whole, how large they claim to be, how the camera was held; the browser decodes them.
import { luminance } from "../grey_scale";
import { InputError } from "../input_error";
import { checkSize, type Decoded, text } from "./content";
import { exifOrientation, upright } from "./orientation";

const START = 0xd8;
const END = 0xd9;
const EXIF = 0xe1;
// Markers of parts that change how a browser shows the stored pixels: EXIF, colour profile.
const LEFT_OUT = [EXIF, 0xe2];
const NO_FRAMES = [0xc4, 0xc8, 0xcc];
const MAX_PARTS = 2 ** 14;

interface Part {
  marker: number;
  start: number;
  end: number;
}

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

export async function readJpeg(bytes: Uint8Array): Promise<Decoded> {
  const parts = [...jpegParts(bytes)];
  if (parts.at(-1)?.marker !== END) throw new InputError("the JPEG file is truncated, expected its end marker; copy the file again");
  const size = frameSize(bytes);
  if (!size) throw new InputError("the JPEG file is damaged, expected a header with a size; copy the file again");
  checkSize(size[1], size[0]);
  const exif = parts.find((part) => part.marker === EXIF && text(bytes.subarray(part.start + 4, part.start + 10)) === "Exif\0\0");
  const orientation = exif ? exifOrientation(bytes.subarray(exif.start + 10, exif.end)) : 1;
  return upright(await decodeJpeg(bytes), orientation);
}

/** Returns the luminance of the stored pixels, not turned. */
export async function decodeJpeg(bytes: Uint8Array): Promise<Decoded> {
  let position = 0;
  const kept: Uint8Array<ArrayBuffer>[] = [];
  for (const part of jpegParts(bytes)) {
    if (!LEFT_OUT.includes(part.marker)) continue;
    kept.push(bytes.slice(position, part.start));
    position = part.end;
  }
  kept.push(bytes.slice(position));
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob(kept, { type: "image/jpeg" }), { colorSpaceConversion: "none" });
  } catch {
    throw new InputError("the image cannot be decoded; copy the file again");
  }
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const values = luminance(context.getImageData(0, 0, width, height).data, 4, 8);
  return { width, height, values, spacing: null, mirrored: false, notes: [] };
}

/** Returns the (height, width) of JPEG data of any process, or null where no header is found. */
export function frameSize(bytes: Uint8Array): [number, number] | null {
  for (const { marker, start, end } of jpegParts(bytes)) {
    const isFrame = (marker >= 0xc0 && marker <= 0xcf && !NO_FRAMES.includes(marker)) || marker === 0xf7;
    if (isFrame && end - start > 8) return [(bytes[start + 5] << 8) | bytes[start + 6], (bytes[start + 7] << 8) | bytes[start + 8]];
  }
  return null;
}

/** Yields the parts, the end of the image last, if it is there. */
function* jpegParts(bytes: Uint8Array): Generator<Part> {
  let position = 2;
  for (let count = 0; count < MAX_PARTS; count++) {
    position = nextMarker(bytes, position);
    if (position < 0) return;
    const marker = bytes[position + 1];
    if (marker === START || marker === END) {
      yield { marker, start: position, end: position + 2 };
      return;
    }
    const end = position + 2 + ((bytes[position + 2] << 8) | bytes[position + 3]);
    yield { marker, start: position, end };
    position = end;
  }
}

function nextMarker(bytes: Uint8Array, position: number): number {
  for (let at = bytes.indexOf(0xff, position); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1];
    if ((next >= 0xc0 && next <= 0xcf) || (next >= 0xd8 && next <= 0xfe)) return at;
  }
  return -1;
}
