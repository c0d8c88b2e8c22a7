// The stored values of a DICOM file, decoded where they are compressed.
import type { DataSet } from "dicom-parser";
import { createJPEGBasicOffsetTable, readEncapsulatedPixelDataFromFragments } from "dicom-parser";
import { Decoder as LosslessDecoder } from "jpeg-lossless-decoder-js";
import { luminance, type Values } from "../grey_scale";
import { InputError } from "../input_error";
import { isColour } from "./dicom_grey";
import { decodeJpeg, frameSize } from "./jpeg";

type Bytes = Uint8Array<ArrayBufferLike>;
type Decode = (frame: Bytes, dataset: DataSet) => Promise<{ bytes: Bytes; width?: number; height?: number }>;

interface Codec {
  getEncodedBuffer(length: number): Uint8Array;
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): { width: number; height: number };
  decode(): void;
  delete(): void;
}

const rle: Decode = async (frame, dataset) => ({ bytes: decodeRle(frame, dataset) });
const lossless: Decode = async (frame) => {
  const decoder = new LosslessDecoder();
  const buffer = frame.slice().buffer as ArrayBuffer;
  return { bytes: new Uint8Array(decoder.decompress(buffer)), width: decoder.frame.dimX, height: decoder.frame.dimY };
};
const jpegLs: Decode = async (frame) => {
  const { default: load } = await import("@cornerstonejs/codec-charls/decodewasmjs");
  return run(new (await load({ locateFile })).JpegLSDecoder() as Codec, frame);
};
const jpeg2000: Decode = async (frame) => {
  const { default: load } = await import("@cornerstonejs/codec-openjpeg/decodewasmjs");
  return run(new (await load({ locateFile })).J2KDecoder() as Codec, frame);
};
const baseline: Decode = async (frame) => {
  const { values, width, height } = await decodeJpeg(frame);
  return { bytes: values as Uint8Array, width, height };
};

/** How each transfer syntax is decoded; null where it is not compressed. */
export const SYNTAXES: Record<string, Decode | null> = {
  "1.2.840.10008.1.2": null,
  "1.2.840.10008.1.2.1": null,
  "1.2.840.10008.1.2.1.99": null,
  "1.2.840.10008.1.2.2": null,
  "1.2.840.10008.1.2.5": rle,
  "1.2.840.10008.1.2.4.50": baseline,
  "1.2.840.10008.1.2.4.57": lossless,
  "1.2.840.10008.1.2.4.70": lossless,
  "1.2.840.10008.1.2.4.80": jpegLs,
  "1.2.840.10008.1.2.4.81": jpegLs,
  "1.2.840.10008.1.2.4.90": jpeg2000,
  "1.2.840.10008.1.2.4.91": jpeg2000,
};
const BIG_ENDIAN = "1.2.840.10008.1.2.2";

/** Returns stored values; of colours their luminance. */
export async function storedValues(dataset: DataSet, width: number, height: number): Promise<Values> {
  const syntax = dataset.string("x00020010") ?? "";
  const decode = SYNTAXES[syntax] ?? null;
  const element = dataset.elements.x7fe00010;
  const bits = dataset.uint16("x00280100")!;
  let bytes = dataset.byteArray.subarray(element.dataOffset, element.dataOffset + element.length) as Bytes;
  if (decode) {
    const frame = encapsulated(dataset);
    checkWhole(frame, width, height);
    const decoded = await decode(frame, dataset);
    if (decoded.width !== undefined && (decoded.width !== width || decoded.height !== height)) {
      throw new InputError(`found pixels of ${decoded.width} x ${decoded.height}, expected ${width} x ${height} by the header`);
    }
    // The browser has made grey values of colours.
    if (decode === baseline) return decoded.bytes as Uint8Array;
    bytes = decoded.bytes;
  } else if (syntax === BIG_ENDIAN && bits === 16) {
    bytes = swapped(bytes);
  }
  const samples = dataset.uint16("x00280002")!;
  if (bytes.length < (width * height * samples * bits) / 8) {
    throw new InputError(`found ${bytes.length} bytes of decoded pixels, expected ${(width * height * samples * bits) / 8}`);
  }
  if (isColour(dataset)) return colours(dataset, bytes, width * height);
  return withoutUnusedBits(typed(bytes, width * height, bits, dataset.uint16("x00280103") === 1), dataset.uint16("x00280101")!);
}

function encapsulated(dataset: DataSet): Bytes {
  const element = dataset.elements.x7fe00010;
  if (!element.fragments?.length) throw new InputError("found no compressed pixels where the header promises them");
  createJPEGBasicOffsetTable(dataset, element);
  return readEncapsulatedPixelDataFromFragments(dataset, element, 0, element.fragments.length) as Bytes;
}

/** Throws InputError where compressed pixels are cut off, or of another size than the header says. */
function checkWhole(frame: Bytes, width: number, height: number): void {
  const isJpeg = frame[0] === 0xff && frame[1] === 0xd8;
  const isJpeg2000 = frame[0] === 0xff && frame[1] === 0x4f && frame[2] === 0xff && frame[3] === 0x51;
  if (!isJpeg && !isJpeg2000) return;
  const size = isJpeg ? frameSize(frame) : siz(frame);
  if (size && (size[0] !== height || size[1] !== width)) {
    throw new InputError(`found pixels of ${size[1]} x ${size[0]}, expected ${width} x ${height} by the header`);
  }
  let end = frame.length;
  while (end > 2 && frame[end - 1] === 0) end--;
  const tail = frame.subarray(Math.max(0, end - 64), end);
  if (size && !tail.some((byte, place) => byte === 0xff && tail[place + 1] === 0xd9)) {
    throw new InputError("the compressed pixels are truncated, expected their end marker; copy the file again");
  }
}

function siz(frame: Bytes): [number, number] {
  const view = new DataView(frame.buffer, frame.byteOffset);
  return [view.getUint32(12) - view.getUint32(20), view.getUint32(8) - view.getUint32(16)];
}

function locateFile(name: string): string {
  return `codecs/${name}`;
}

function run(codec: Codec, frame: Bytes): { bytes: Bytes; width: number; height: number } {
  try {
    codec.getEncodedBuffer(frame.length).set(frame);
    codec.decode();
    const { width, height } = codec.getFrameInfo();
    return { bytes: codec.getDecodedBuffer().slice(), width, height };
  } finally {
    codec.delete();
  }
}

/** Undoes PackBits, PS3.5 annex G: a segment for each byte of a pixel, the highest first. */
function decodeRle(frame: Bytes, dataset: DataSet): Bytes {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const count = view.getUint32(0, true);
  const pixels = dataset.uint16("x00280010")! * dataset.uint16("x00280011")!;
  const step = dataset.uint16("x00280100")! / 8;
  const samples = dataset.uint16("x00280002")!;
  if (count !== step * samples) throw new InputError(`found ${count} RLE segments, expected ${step * samples}`);
  const out = new Uint8Array(pixels * count);
  for (let segment = 0; segment < count; segment++) {
    let position = view.getUint32(4 + 4 * segment, true);
    const stop = segment + 1 < count ? view.getUint32(8 + 4 * segment, true) : frame.length;
    const [sample, byte] = [Math.floor(segment / step), step - 1 - (segment % step)];
    let at = 0;
    const put = (value: number) => {
      if (at < pixels) out[(at++ * samples + sample) * step + byte] = value;
    };
    while (position < stop && at < pixels) {
      const control = view.getInt8(position++);
      if (control >= 0) for (let i = 0; i <= control; i++) put(view.getUint8(position++));
      else if (control !== -128) {
        for (let i = 0; i < 1 - control; i++) put(frame[position]);
        position++;
      }
    }
    if (at < pixels) throw new InputError("the RLE pixels are truncated; copy the file again");
  }
  return out;
}

function swapped(bytes: Bytes): Bytes {
  const copy = bytes.slice();
  for (let i = 0; i + 1 < copy.length; i += 2) [copy[i], copy[i + 1]] = [copy[i + 1], copy[i]];
  return copy;
}

function typed(bytes: Bytes, count: number, bits: number, signed: boolean): Values {
  // A copy, so that 16-bit values begin where they must.
  const buffer = bytes.slice(0, (count * bits) / 8).buffer as ArrayBuffer;
  if (bits === 8) return signed ? new Int8Array(buffer) : new Uint8Array(buffer);
  return signed ? new Int16Array(buffer) : new Uint16Array(buffer);
}

/** Returns stored values without the bits above those stored, where old files have overlays. */
function withoutUnusedBits(values: Values, stored: number): Values {
  const unused = 8 * values.BYTES_PER_ELEMENT - stored;
  if (!unused) return values;
  // Shifted to the left and back, signed values keep their sign.
  for (let i = 0; i < values.length; i++) {
    values[i] = values[i] << unused;
    values[i] = values[i] >> unused;
  }
  return values;
}

function colours(dataset: DataSet, bytes: Bytes, count: number): Values {
  if (dataset.uint16("x00280100") !== 8) throw new InputError("found colours of 16 bits, expected 8 bits");
  const kind = dataset.string("x00280004");
  if (kind === "YBR_FULL_422") throw new InputError("this page does not read uncompressed YBR_FULL_422 pixels; crass-tf predict does");
  const rgb = dataset.uint16("x00280006") === 1 ? interleaved(bytes, count) : bytes.subarray(0, 3 * count);
  return luminance(kind === "YBR_FULL" ? fromYbr(rgb) : rgb, 3, 8);
}

function interleaved(planes: Bytes, count: number): Bytes {
  const rgb = new Uint8Array(3 * count);
  for (let i = 0; i < count; i++) for (let c = 0; c < 3; c++) rgb[3 * i + c] = planes[c * count + i];
  return rgb;
}

function fromYbr(ybr: Bytes): Bytes {
  const rgb = new Uint8ClampedArray(ybr.length);
  for (let i = 0; i < ybr.length; i += 3) {
    const [y, b, r] = [ybr[i], ybr[i + 1] - 128, ybr[i + 2] - 128];
    rgb[i] = y + 1.402 * r;
    rgb[i + 1] = y - 0.344136 * b - 0.714136 * r;
    rgb[i + 2] = y + 1.772 * b;
  }
  return new Uint8Array(rgb.buffer);
}
