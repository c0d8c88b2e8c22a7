// The chest's midline from the radiograph's own symmetry, as crass_tf finds it: an estimate.
import { roundHalfEven } from "./grey_scale";
import { imageToModel } from "./letterbox";
import type { Radiograph } from "./radiograph";

// The axis is looked for on the radiograph at this width, in this part of its height, by these tilts.
const WIDTH = 128;
const TALLEST = 4;
const ROWS = [0.05, 0.7];
const TILTS_DEG = Array.from({ length: 13 }, (_, i) => -9 + 1.5 * i);
const OFF_CENTRE = 0.2;
// Standard deviations of what is smoothed away, and of the neighbourhood by which contrast is evened.
const NOISE = 2;
const NEIGHBOURHOOD = 8;
// Grey levels: where contrast is less than this, there is nothing to compare.
const FLAT = 4;
// By how much the whole weighs against what an axis leaves in view.
const WHOLE = 0.25;

interface Picture {
  values: Float32Array;
  width: number;
  height: number;
}

/** Returns x, y on the first row and on the last one, in native pixels. */
export function midline({ width, height, grey, spacing }: Radiograph): Float32Array {
  const shape = spacing ? spacing[0] / spacing[1] : 1;
  const high = Math.min(Math.max(roundHalfEven((height / width) * WIDTH * shape), 2), TALLEST * WIDTH);
  const box = { width, height, modelWidth: WIDTH, modelHeight: high, innerWidth: WIDTH, innerHeight: high, left: 0, top: 0 };
  const picture = evened({ values: imageToModel(grey, box), width: WIDTH, height: high });
  const found = TILTS_DEG.map((tilt) => uprightAxis(turned(picture, tilt)));
  const place = peak(found.map(({ likeness }) => likeness)).place;
  const tilt = (interpolated(TILTS_DEG, place) * Math.PI) / 180;
  const x = interpolated(found.map((axis) => axis.x), place);
  // Two points of the upright axis of the turned picture, brought back.
  const [cx, cy] = [(WIDTH - 1) / 2, ((ROWS[0] + ROWS[1]) / 2) * high];
  const ends = [0, high - 1].map((y) => [
    cx + Math.cos(tilt) * (x - cx) - Math.sin(tilt) * (y - cy),
    cy + Math.sin(tilt) * (x - cx) + Math.cos(tilt) * (y - cy),
  ]);
  const [top, bottom] = ends.map(([u, v]) => [((u + 0.5) * width) / WIDTH - 0.5, ((v + 0.5) * height) / high - 0.5]);
  const slope = (bottom[0] - top[0]) / (bottom[1] - top[1]);
  const last = Math.max(height - 1, 1);
  return Float32Array.of(top[0] - slope * top[1], 0, top[0] + slope * (last - top[1]), last);
}

/** Returns grey values without their local mean and contrast. */
function evened(picture: Picture): Picture {
  const image = blurred(picture, NOISE);
  const mean = blurred(image, NEIGHBOURHOOD).values;
  const squares = image.values.map((value, i) => (value - mean[i]) ** 2);
  const contrast = blurred({ ...image, values: squares }, NEIGHBOURHOOD).values;
  return { ...image, values: image.values.map((value, i) => (value - mean[i]) / (Math.sqrt(contrast[i]) + FLAT)) };
}

function blurred({ values, width, height }: Picture, deviation: number): Picture {
  const reach = 4 * deviation;
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * deviation ** 2)));
  const total = kernel.reduce((sum, weight) => sum + weight, 0);
  const pass = (from: Float32Array, at: (i: number, k: number) => number) =>
    Float32Array.from(from, (_, i) => kernel.reduce((sum, weight, k) => sum + weight * from[at(i, k - reach)], 0) / total);
  const rows = pass(values, (i, k) => i - (i % width) + mirrored((i % width) + k, width));
  return { values: pass(rows, (i, k) => mirrored(Math.floor(i / width) + k, height) * width + (i % width)), width, height };
}

/** Returns a place within a line that is continued by its mirror image. */
function mirrored(place: number, size: number): number {
  while (place < 0 || place >= size) place = place < 0 ? -place : 2 * size - 2 - place;
  return place;
}

/** Returns the rows that are compared, turned about the middle of them; 0 outside. */
function turned({ values, width, height }: Picture, tiltDeg: number): Picture {
  const tilt = (tiltDeg * Math.PI) / 180;
  const [cx, cy] = [(width - 1) / 2, ((ROWS[0] + ROWS[1]) / 2) * height];
  const [top, bottom] = ROWS.map((share) => roundHalfEven(share * height));
  const rows = Math.max(bottom - top, 1);
  const at = (x: number, y: number) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : values[y * width + x]);
  const out = new Float32Array(rows * width);
  for (let y = 0, i = 0; y < rows; y++) {
    for (let x = 0; x < width; x++, i++) {
      const [dx, dy] = [x - cx, y + top - cy];
      const [u, v] = [cx + Math.cos(tilt) * dx - Math.sin(tilt) * dy, cy + Math.sin(tilt) * dx + Math.cos(tilt) * dy];
      const [u0, v0] = [Math.floor(u), Math.floor(v)];
      const [fu, fv] = [u - u0, v - v0];
      out[i] = (at(u0, v0) * (1 - fu) + at(u0 + 1, v0) * fu) * (1 - fv) + (at(u0, v0 + 1) * (1 - fu) + at(u0 + 1, v0 + 1) * fu) * fv;
    }
  }
  return { values: out, width, height: rows };
}

/** Returns x of the upright axis about which rows are most like their mirror image, and how like. */
function uprightAxis({ values, width, height }: Picture): { x: number; likeness: number } {
  const squares = new Float64Array(width + 1);
  for (let x = 0; x < width; x++) {
    squares[x + 1] = squares[x];
    for (let y = 0; y < height; y++) squares[x + 1] += values[y * width + x] ** 2;
  }
  // An axis at x pairs columns that add up to 2 x.
  const furthest = roundHalfEven(2 * width * OFF_CENTRE);
  const first = width - 1 - furthest;
  const likeness = Array.from({ length: 2 * furthest + 1 }, (_, i) => {
    const sum = first + i;
    const [low, high] = [Math.max(0, sum - width + 1), Math.min(width - 1, sum)];
    let products = 0;
    for (let y = 0; y < height; y++) {
      for (let x = low; x <= high; x++) products += values[y * width + x] * values[y * width + sum - x];
    }
    return products / Math.max((squares[high + 1] - squares[low]) ** (1 - WHOLE) * squares[width] ** WHOLE, 1e-6);
  });
  const { place, best } = peak(likeness);
  return { x: (first + place) / 2, likeness: best };
}

/** Returns the place of the largest value, by a parabola through its neighbours, and the value; flat: the middle. */
function peak(values: number[]): { place: number; best: number } {
  const most = Math.max(...values);
  if (most - Math.min(...values) < 1e-9) return { place: (values.length - 1) / 2, best: values[0] };
  const place = values.indexOf(most);
  if (place === 0 || place === values.length - 1) return { place, best: most };
  const [before, after] = [values[place - 1], values[place + 1]];
  const bend = before - 2 * most + after;
  return { place: place + (bend < 0 ? (0.5 * (before - after)) / bend : 0), best: most };
}

function interpolated(values: number[], place: number): number {
  const first = Math.min(Math.floor(place), values.length - 2);
  return values[first] + (place - first) * (values[first + 1] - values[first]);
}
