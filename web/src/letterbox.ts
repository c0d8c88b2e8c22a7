// How a radiograph becomes the model's input, as crass_tf's Letterbox: aspect kept, centred, padded with 0.
import { roundHalfEven } from "./grey_scale";

// Of a source pixel's side: less of it is rounding.
const LEAST_PART = 1e-6;

export interface Letterbox {
  width: number;
  height: number;
  modelWidth: number;
  modelHeight: number;
  innerWidth: number;
  innerHeight: number;
  left: number;
  top: number;
}

export function fitLetterbox(width: number, height: number, modelWidth: number, modelHeight: number): Letterbox {
  const scale = Math.min(modelHeight / height, modelWidth / width);
  const innerWidth = Math.min(modelWidth, Math.max(1, roundHalfEven(width * scale)));
  const innerHeight = Math.min(modelHeight, Math.max(1, roundHalfEven(height * scale)));
  const left = Math.floor((modelWidth - innerWidth) / 2);
  const top = Math.floor((modelHeight - innerHeight) / 2);
  return { width, height, modelWidth, modelHeight, innerWidth, innerHeight, left, top };
}

/** Returns a native image on the model's grid, float32 of whole grey values, those that OpenCV has to the last bit. */
export function imageToModel(grey: Uint8Array, box: Letterbox): Float32Array {
  const model = new Float32Array(box.modelWidth * box.modelHeight);
  const put = (y: number, row: ArrayLike<number>) => model.set(row, (box.top + y) * box.modelWidth + box.left);
  if (box.innerWidth === box.width && box.innerHeight === box.height) {
    for (let y = 0; y < box.height; y++) put(y, grey.subarray(y * box.width, (y + 1) * box.width));
  } else if (box.innerWidth * box.innerHeight < box.width * box.height) averaged(grey, box, put);
  else interpolated(grey, box, put);
  return model;
}

/** Each pixel is the mean of what it covers, parts of pixels included. */
function averaged(grey: Uint8Array, box: Letterbox, put: (y: number, row: Float32Array) => void): void {
  const columns = areaTaps(box.width, box.innerWidth);
  const rows = areaTaps(box.height, box.innerHeight);
  // OpenCV halves with whole numbers, and rounds a half up there.
  const halves = box.width === 2 * box.innerWidth && box.height === 2 * box.innerHeight;
  const roundAll = halves ? roundHalvesUp : roundHalvesEven;
  const sums = new Float32Array(box.innerWidth);
  // Neighbouring rows of the result share a source row.
  const row = new Float32Array(box.innerWidth);
  let source = -1;
  for (let y = 0; y < box.innerHeight; y++) {
    sums.fill(0);
    for (let tap = rows.starts[y], from = rows.sources[y]; tap < rows.starts[y + 1]; tap++, from++) {
      if (from !== source) averagedRow(grey.subarray(from * box.width, (from + 1) * box.width), columns, row);
      source = from;
      addWeighted(sums, rows.weights[tap], row);
    }
    roundAll(sums);
    put(y, sums);
  }
}

function roundHalvesUp(values: Float32Array): void {
  for (let i = 0; i < values.length; i++) values[i] = Math.floor(values[i] + 0.5);
}

/** As roundHalfEven, for float32 values of less than 2^22: this sum has no room for what stands behind the point. */
function roundHalvesEven(values: Float32Array): void {
  for (let i = 0; i < values.length; i++) values[i] = Math.fround(values[i] + 12582912) - 12582912;
}

/** Bilinear, with weights of 11 bits and OpenCV's shifts: the int8 model shows where a grey value is another. */
function interpolated(grey: Uint8Array, box: Letterbox, put: (y: number, row: Int32Array) => void): void {
  const columns = linearTaps(box.width, box.innerWidth);
  const rows = linearTaps(box.height, box.innerHeight);
  const out = new Int32Array(box.innerWidth);
  const rowOf = (source: number) => {
    const row = new Int32Array(box.innerWidth);
    const start = source * box.width;
    for (let x = 0; x < row.length; x++) {
      const place = start + columns.sources[x];
      row[x] = (grey[place] * columns.first[x] + grey[Math.min(start + box.width - 1, place + 1)] * columns.second[x]) >> 4;
    }
    return row;
  };
  for (let y = 0; y < box.innerHeight; y++) {
    const above = rowOf(rows.sources[y]);
    const below = rowOf(Math.min(box.height - 1, rows.sources[y] + 1));
    const [first, second] = [rows.first[y], rows.second[y]];
    for (let x = 0; x < out.length; x++) out[x] = (((first * above[x]) >> 16) + ((second * below[x]) >> 16) + 2) >> 2;
    put(y, out);
  }
}

/** What each pixel is made of: source pixels from `sources[i]` on, by the weights `starts[i]` to `starts[i + 1] - 1`. */
interface Taps {
  starts: Int32Array;
  sources: Int32Array;
  weights: Float32Array;
}

function areaTaps(size: number, target: number): Taps {
  const scale = size / target;
  const [starts, sources] = [new Int32Array(target + 1), new Int32Array(target)];
  const weights: number[] = [];
  for (let i = 0; i < target; i++) {
    const [from, to] = [i * scale, Math.min(size, (i + 1) * scale)];
    sources[i] = Math.floor(from + LEAST_PART);
    for (let source = sources[i]; source < to - LEAST_PART; source++) {
      weights.push((Math.min(to, source + 1) - Math.max(from, source)) / scale);
    }
    starts[i + 1] = weights.length;
  }
  return { starts, sources, weights: Float32Array.from(weights) };
}

/** Between which two source pixels each pixel lies: the first of them, and the weights of both, in 2048ths. */
function linearTaps(size: number, target: number): { sources: Int32Array; first: Int32Array; second: Int32Array } {
  const sources = new Int32Array(target);
  const [first, second] = [new Int32Array(target), new Int32Array(target)];
  for (let i = 0; i < target; i++) {
    const place = Math.fround(((i + 0.5) * size) / target - 0.5);
    const source = Math.min(size - 1, Math.max(0, Math.floor(place)));
    const share = place < 0 || source === size - 1 ? 0 : Math.fround(place - source);
    sources[i] = source;
    first[i] = roundHalfEven(Math.fround(1 - share) * 2048);
    second[i] = roundHalfEven(share * 2048);
  }
  return { sources, first, second };
}

function averagedRow(grey: Uint8Array, { starts, sources, weights }: Taps, row: Float32Array): void {
  for (let x = 0, tap = 0; x < row.length; x++) {
    let sum = 0;
    for (let at = sources[x], end = starts[x + 1]; tap < end; tap++, at++) sum += weights[tap] * grey[at];
    row[x] = sum;
  }
}

function addWeighted(sums: Float32Array, weight: number, row: Float32Array): void {
  for (let x = 0; x < sums.length; x++) sums[x] += weight * row[x];
}
