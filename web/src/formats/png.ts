// PNG files: checked part by part, since decoders fill what is missing; the pixel spacing in pHYs; writing.
import { luminance } from "../grey_scale";
import { InputError } from "../input_error";
import { checkSize, type Decoded, type Spacing, text } from "./content";
import { exifOrientation, upright } from "./orientation";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
// Samples a pixel by colour type: grey, colours, palette, grey and alpha, colours and alpha.
const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS = [1, 2, 4, 8, 16];
const UP = 2;
// Where the passes of an interlaced file begin, x and y, and their steps.
const ADAM7 = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
const DAMAGED = "the image cannot be decoded; copy the file again";
const MAX_CHUNKS = 2 ** 17;
// 72 and 96 dots per inch are what image editors write when they know nothing.
const SCREEN_PIXELS_PER_METRE = [2834, 2835, 3779, 3780];
const CRC = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, place) => bytes[place] === byte);
}

interface Header {
  width: number;
  height: number;
  depth: number;
  colour: number;
  interlaced: boolean;
}

export async function readPng(bytes: Uint8Array): Promise<Decoded> {
  let spacing: Spacing | null = null;
  let orientation = 1;
  let header: Header | null = null;
  let palette = new Uint8Array();
  const data: Uint8Array[] = [];
  for (const [kind, body] of chunks(bytes)) {
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    const lengths: Record<string, number> = { IHDR: 13, pHYs: 9, acTL: 8 };
    if (kind in lengths && body.length !== lengths[kind]) {
      throw new InputError(`found ${body.length} bytes in the PNG file's ${kind} part, expected ${lengths[kind]}`);
    }
    if (kind === "IHDR") {
      checkSize(view.getUint32(0), view.getUint32(4));
      header = { width: view.getUint32(0), height: view.getUint32(4), depth: body[8], colour: body[9], interlaced: body[12] === 1 };
    }
    if (kind === "PLTE") palette = body.slice();
    if (kind === "IDAT") data.push(body);
    if (kind === "pHYs") spacing = physicalSpacing(view);
    if (kind === "eXIf") orientation = exifOrientation(body);
    if (kind === "acTL" && view.getUint32(0) !== 1) {
      throw new InputError(`found an animation of ${view.getUint32(0)} pictures in the PNG file, expected 1 picture`);
    }
  }
  if (!header || !CHANNELS[header.colour] || !DEPTHS.includes(header.depth)) throw new InputError(DAMAGED);
  const values = greyOf(await samplesOf(header, data), header, palette);
  const { width, height } = header;
  return upright({ width, height, values, spacing, mirrored: false, notes: [] }, orientation);
}

/** Returns a PNG file of 8-bit grey values, with its spacing in a pHYs part where it is known. */
export async function writePng(width: number, height: number, grey: Uint8Array, spacing: Spacing | null): Promise<Blob> {
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++) {
    // Differences to the row above, which pack well.
    const [from, to] = [y * width, y * (width + 1)];
    rows[to] = UP;
    for (let x = 0; x < width; x++) rows[to + 1 + x] = grey[from + x] - (y ? grey[from + x - width] : 0);
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", header)];
  if (spacing) {
    const physical = new Uint8Array(9);
    new DataView(physical.buffer).setUint32(0, Math.round(1000 / spacing[1]));
    new DataView(physical.buffer).setUint32(4, Math.round(1000 / spacing[0]));
    physical[8] = 1;
    parts.push(chunk("pHYs", physical));
  }
  const packed = await new Response(new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer();
  return new Blob([...parts, chunk("IDAT", new Uint8Array(packed)), chunk("IEND", new Uint8Array())], { type: "image/png" });
}

function chunk(kind: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const part = new Uint8Array(body.length + 12);
  const view = new DataView(part.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) part[4 + i] = kind.charCodeAt(i);
  part.set(body, 8);
  view.setUint32(8 + body.length, crc32(part.subarray(4, 8 + body.length)));
  return part;
}

/** Returns all samples, channels interleaved: 16-bit ones as such, smaller ones one a byte. */
async function samplesOf(header: Header, data: Uint8Array[]): Promise<Uint8Array | Uint16Array> {
  const { width, height, depth, interlaced } = header;
  const channels = CHANNELS[header.colour];
  const passes = interlaced ? ADAM7 : [[0, 0, 1, 1]];
  const sizes = passes.map(([x, y, dx, dy]) => [Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)]);
  const lengths = sizes.map(([w, h]) => (w > 0 ? h * (1 + Math.ceil((w * channels * depth) / 8)) : 0));
  const bytes = await inflated(data, lengths.reduce((sum, length) => sum + length, 0));
  const samples = depth === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  let start = 0;
  passes.forEach(([left, top, dx, dy], pass) => {
    const [w, h] = sizes[pass];
    const stride = Math.ceil((w * channels * depth) / 8);
    if (w <= 0) return;
    unfilter(bytes.subarray(start, start + lengths[pass]), stride, h, Math.max(1, (channels * depth) / 8));
    for (let y = 0; y < h; y++) {
      const row = start + y * (stride + 1) + 1;
      if (depth === 8 && !interlaced) {
        samples.set(bytes.subarray(row, row + stride), y * stride);
        continue;
      }
      for (let x = 0; x < w; x++) {
        const to = ((top + y * dy) * width + left + x * dx) * channels;
        for (let c = 0; c < channels; c++) samples[to + c] = sample(bytes, row, x * channels + c, depth);
      }
    }
    start += lengths[pass];
  });
  return samples;
}

function sample(bytes: Uint8Array, row: number, place: number, depth: number): number {
  if (depth === 8) return bytes[row + place];
  if (depth === 16) return (bytes[row + 2 * place] << 8) | bytes[row + 2 * place + 1];
  const bit = place * depth;
  return (bytes[row + (bit >> 3)] >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
}

/** Inflates by the browser's own zlib; InputError where there is less than is needed. */
async function inflated(data: Uint8Array[], needed: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(needed);
  let at = 0;
  try {
    const stream = new Blob(data as BlobPart[]).stream().pipeThrough(new DecompressionStream("deflate"));
    // Read no further than is needed: what follows may have any size.
    for (const reader = stream.getReader(); at < needed; ) {
      const { value, done } = await reader.read();
      if (done) break;
      bytes.set(value.subarray(0, needed - at), at);
      at += value.length;
    }
  } catch {
    throw new InputError(DAMAGED);
  }
  if (at < needed) throw new InputError(DAMAGED);
  return bytes;
}

/** Undoes the filters of rows in place; each begins with the number of its filter. */
function unfilter(bytes: Uint8Array, stride: number, height: number, pixel: number): void {
  let above: Uint8Array = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1);
    const row = bytes.subarray(start + 1, start + 1 + stride);
    const undo = FILTERS[bytes[start]];
    if (!undo) throw new InputError(DAMAGED);
    undo(row, above, pixel);
    above = row;
  }
}

type Undo = (row: Uint8Array, above: Uint8Array, pixel: number) => void;

/** By number. One loop each, since all of a file's bytes pass here. */
const FILTERS: Undo[] = [
  () => {},
  (row, _, pixel) => {
    for (let i = pixel; i < row.length; i++) row[i] += row[i - pixel];
  },
  (row, above) => {
    for (let i = 0; i < row.length; i++) row[i] += above[i];
  },
  (row, above, pixel) => {
    for (let i = 0; i < pixel; i++) row[i] += above[i] >> 1;
    for (let i = pixel; i < row.length; i++) row[i] += (row[i - pixel] + above[i]) >> 1;
  },
  (row, above, pixel) => {
    for (let i = 0; i < pixel; i++) row[i] += above[i];
    for (let i = pixel; i < row.length; i++) {
      const left = row[i - pixel];
      const up = above[i];
      const corner = above[i - pixel];
      const a = Math.abs(up - corner);
      const b = Math.abs(left - corner);
      const c = Math.abs(left + up - 2 * corner);
      row[i] += a <= b && a <= c ? left : b <= c ? up : corner;
    }
  },
];

/** Returns grey values: colours become luminance, an alpha channel is ignored, fewer than 8 bits become 8. */
function greyOf(samples: Uint8Array | Uint16Array, { depth, colour }: Header, palette: Uint8Array): Uint8Array | Uint16Array {
  if (colour === 3) {
    const shades = luminance(palette, 3, 8);
    return Uint8Array.from(samples, (index) => shades[index] ?? 0);
  }
  const channels = CHANNELS[colour];
  if (channels > 2) return luminance(samples, channels, depth);
  if (channels === 2) return samples.filter((_, place) => place % 2 === 0);
  return depth < 8 ? samples.map((value) => (value * 255) / (2 ** depth - 1)) : samples;
}

function* chunks(bytes: Uint8Array): Generator<[string, Uint8Array]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let position = SIGNATURE.length;
  for (let count = 0; count < MAX_CHUNKS; count++) {
    const length = position + 12 <= bytes.length ? view.getUint32(position) : Infinity;
    const end = position + 12 + length;
    if (end > bytes.length) {
      throw new InputError(`the PNG file is truncated after ${bytes.length} bytes; copy the file again`);
    }
    const kind = text(bytes.subarray(position + 4, position + 8));
    if (crc32(bytes.subarray(position + 4, end - 4)) !== view.getUint32(end - 4)) {
      throw new InputError(`wrong checksum in the PNG file's ${kind} part; copy the file again`);
    }
    yield [kind, bytes.subarray(position + 8, end - 4)];
    if (kind === "IEND") return;
    position = end;
  }
  throw new InputError(`found more than ${MAX_CHUNKS} parts in the PNG file, expected fewer`);
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function physicalSpacing(view: DataView): Spacing | null {
  const [columns, rows, unit] = [view.getUint32(0), view.getUint32(4), view.getUint8(8)];
  const screen = columns === rows && SCREEN_PIXELS_PER_METRE.includes(columns);
  return unit !== 1 || !columns || !rows || screen ? null : [1000 / rows, 1000 / columns];
}
