// The middle of one clavicle, from its medial end to its lateral one, as crass_tf's measures lay it.
import type { Ring } from "./contours";
import { rasterized } from "./polygon";

// Cross-sections of a clavicle, and the degree of the polynomials that make a smooth line of their middles.
const SECTIONS = 64;
const DEGREE = 3;
// What a cross-section keeps from the ends, of its length.
const CLEAR = 0.5;
// Points from the end of a curve to that by which its direction there is known.
const TANGENT = 4;
const ROUNDS = 4;
// Samples across the width of a clavicle, at most.
const FINENESS = 64;
// A shape that is shorter than so many times its width has no direction.
const LEAST_ELONGATION = 1.5;

type Point = [number, number];

export interface CentreLine {
  /** From the medial end to the lateral one, in native pixels. */
  points: Point[];
  /** Both ends of whole cross-sections, in native pixels. */
  sections: [Point, Point][];
}

interface Shape {
  /** 1 inside, -1 outside, with a border of the latter. */
  values: Int8Array;
  width: number;
  height: number;
  left: number;
  top: number;
  unit: Point;
}

/**
 * Returns the centre line of what lies within a ring, or null where that is no band.
 * `towards` is where the lateral end is: -1 image left, 1 image right; `unit` the size (x, y) of a pixel.
 */
export function centreLine(ring: Ring, towards: number, unit: Point): CentreLine | null {
  const shape = shapeOf(ring, unit);
  let { line, width } = straight(shape, towards);
  if (lengthOf(line) < LEAST_ELONGATION * width) return null;
  for (let round = ROUNDS; ; round--) {
    const { sections, whole } = crossSections(shape, line, width);
    const kept = whole.flatMap((isWhole, i) => (isWhole ? [i] : []));
    if (kept.length <= DEGREE) return null;
    if (!round) {
      if (line.slice(1, -1).some((point) => sample(shape, point) <= 0)) return null;
      const native = ([x, y]: Point): Point => [x / unit[0] + shape.left, y / unit[1] + shape.top];
      return { points: line.map(native), sections: kept.map((i) => [native(sections[i][0]), native(sections[i][1])]) };
    }
    width = kept.reduce((sum, i) => sum + distance(...sections[i]), 0) / kept.length;
    line = extended(shape, smoothed(line, sections, kept), width);
  }
}

export function lengthOf(points: Point[]): number {
  return along(points).at(-1)!;
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

function shapeOf(ring: Ring, unit: Point): Shape {
  const [xs, ys] = [0, 1].map((axis) => ring.filter((_, i) => i % 2 === axis));
  const [left, top] = [Math.floor(Math.min(...xs)) - 2, Math.floor(Math.min(...ys)) - 2];
  const [width, height] = [Math.ceil(Math.max(...xs)) + 3 - left, Math.ceil(Math.max(...ys)) + 3 - top];
  const mask = rasterized([ring.map((value, i) => value - (i % 2 ? top : left))], width, height);
  return { values: Int8Array.from(mask, (inside) => (inside ? 1 : -1)), width, height, left, top, unit };
}

/** Returns the line along the longest direction, the lateral end last, and the shape's mean width. */
function straight({ values, width: columns, unit }: Shape, towards: number): { line: Point[]; width: number } {
  const points: Point[] = [];
  values.forEach((value, i) => value > 0 && points.push([(i % columns) * unit[0], Math.floor(i / columns) * unit[1]]));
  const count = points.length || 1;
  const mean = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / count);
  let [xx, xy, yy] = [0, 0, 0];
  for (const [x, y] of points) {
    xx += (x - mean[0]) ** 2;
    xy += (x - mean[0]) * (y - mean[1]);
    yy += (y - mean[1]) ** 2;
  }
  const angle = Math.atan2(2 * xy, xx - yy) / 2;
  const sign = Math.cos(angle) * towards < 0 ? -1 : 1;
  const way: Point = [sign * Math.cos(angle), sign * Math.sin(angle)];
  let [low, high] = [Infinity, -Infinity];
  for (const [x, y] of points) {
    const place = (x - mean[0]) * way[0] + (y - mean[1]) * way[1];
    [low, high] = [Math.min(low, place), Math.max(high, place)];
  }
  const line = spread(low, high).map((place): Point => [mean[0] + place * way[0], mean[1] + place * way[1]]);
  return { line, width: (points.length * unit[0] * unit[1]) / (high - low + Math.min(...unit)) };
}

/** Returns the cross-sections at the points of a line, and which of them no end cuts off. */
function crossSections(shape: Shape, line: Point[], width: number): { sections: [Point, Point][]; whole: boolean[] } {
  const step = stepOf(shape, width);
  const reach = Array.from({ length: Math.ceil((3 * width) / step) }, (_, i) => -1.5 * width + i * step);
  const places = along(line);
  const sections: [Point, Point][] = [];
  const whole = line.map((point, i) => {
    const [before, after] = [line[Math.max(0, i - 1)], line[Math.min(line.length - 1, i + 1)]];
    const length = distance(before, after) || 1;
    const normal: Point = [-(after[1] - before[1]) / length, (after[0] - before[0]) / length];
    const at = (offset: number): Point => [point[0] + normal[0] * offset, point[1] + normal[1] * offset];
    const run = crossed(reach.map((offset) => sample(shape, at(offset))));
    const offsets = (run ?? [0, 1]).map((place) => reach[0] + place * step);
    sections.push([at(offsets[0]), at(offsets[1])]);
    const needed = CLEAR * Math.max(offsets[1] - offsets[0], width);
    return !!run && places[i] > needed && places[i] < places.at(-1)! - needed;
  });
  return { sections, whole };
}

/** Returns where values cross zero on both sides of what is above zero nearest to their middle, or null. */
function crossed(values: number[]): Point | null {
  const middle = Math.floor(values.length / 2);
  let nearest = -1;
  values.forEach((value, i) => {
    if (value > 0 && (nearest < 0 || Math.abs(i - middle) < Math.abs(nearest - middle))) nearest = i;
  });
  if (nearest < 0) return null;
  let [low, high] = [nearest, nearest];
  while (low >= 0 && values[low] > 0) low--;
  while (high < values.length && values[high] > 0) high++;
  if (low < 0 || high >= values.length) return null;
  return [low + zero(values[low], values[low + 1]), high - zero(values[high], values[high - 1])];
}

function zero(outside: number, inside: number): number {
  return outside / (outside - inside);
}

/** Returns the polynomial curve through the middles of whole cross-sections; for these alone. */
function smoothed(line: Point[], sections: [Point, Point][], kept: number[]): Point[] {
  const places = along(line);
  const [first, last] = [places[kept[0]], places[kept.at(-1)!]];
  const scaled = (place: number) => (2 * (place - first)) / (last - first || 1) - 1;
  const xs = kept.map((i) => scaled(places[i]));
  const curves = [0, 1].map((axis) => fitted(xs, kept.map((i) => (sections[i][0][axis] + sections[i][1][axis]) / 2)));
  return spread(-1, 1).map((x) => curves.map((factors) => factors.reduceRight((sum, factor) => sum * x + factor, 0)) as Point);
}

/** Returns the factors of the polynomial of `DEGREE` with the least squares, the constant first. */
function fitted(xs: number[], ys: number[]): number[] {
  const size = DEGREE + 1;
  const rows = Array.from({ length: size }, (_, i) => [
    ...Array.from({ length: size }, (_, j) => xs.reduce((sum, x) => sum + x ** (i + j), 0)),
    xs.reduce((sum, x, k) => sum + x ** i * ys[k], 0),
  ]);
  for (let i = 0; i < size; i++) {
    const pivot = rows.slice(i).reduce((best, row) => (Math.abs(row[i]) > Math.abs(best[i]) ? row : best));
    rows.splice(rows.indexOf(pivot), 1);
    rows.splice(i, 0, pivot);
    for (const row of rows) {
      if (row === pivot) continue;
      const factor = row[i] / pivot[i];
      for (let j = i; j <= size; j++) row[j] -= factor * pivot[j];
    }
  }
  return rows.map((row, i) => row[size] / row[i]);
}

/** Returns a line that goes on straight at both ends to the outline; evenly spaced again. */
function extended(shape: Shape, line: Point[], width: number): Point[] {
  const step = stepOf(shape, width);
  const reach = 3 * width + (lengthOf(line) * 4) / SECTIONS;
  const ends = [[line[0], line[TANGENT]], [line.at(-1)!, line.at(-1 - TANGENT)!]].map(([end, inner]): Point => {
    const length = distance(end, inner) || 1;
    const at = (place: number): Point => [end[0] + (place * (end[0] - inner[0])) / length, end[1] + (place * (end[1] - inner[1])) / length];
    let [before, place] = [sample(shape, end), step];
    for (; place < reach; place += step) {
      const value = sample(shape, at(place));
      if (value <= 0) return before > 0 ? at(place - step + (step * before) / (before - value)) : end;
      before = value;
    }
    return at(place);
  });
  const whole = [ends[0], ...line, ends[1]];
  const places = along(whole);
  let next = 1;
  return spread(0, places.at(-1)!).map((place): Point => {
    while (next < whole.length - 1 && places[next] < place) next++;
    const share = (place - places[next - 1]) / (places[next] - places[next - 1] || 1);
    return [0, 1].map((axis) => whole[next - 1][axis] + share * (whole[next][axis] - whole[next - 1][axis])) as Point;
  });
}

/** Returns the shape at a place in the unit's measure, bilinearly; beyond its border that of it. */
function sample({ values, width, height, unit }: Shape, point: Point): number {
  const x = Math.min(width - 1, Math.max(0, point[0] / unit[0]));
  const y = Math.min(height - 1, Math.max(0, point[1] / unit[1]));
  const [left, top] = [Math.min(Math.floor(x), width - 2), Math.min(Math.floor(y), height - 2)];
  const [fx, fy, at] = [x - left, y - top, top * width + left];
  return (values[at] * (1 - fx) + values[at + 1] * fx) * (1 - fy) + (values[at + width] * (1 - fx) + values[at + width + 1] * fx) * fy;
}

function stepOf({ unit }: Shape, width: number): number {
  return Math.max(Math.min(...unit) / 2, width / FINENESS);
}

function along(points: Point[]): number[] {
  const places = [0];
  for (let i = 1; i < points.length; i++) places.push(places[i - 1] + distance(points[i - 1], points[i]));
  return places;
}

function spread(from: number, to: number): number[] {
  return Array.from({ length: SECTIONS }, (_, i) => from + ((to - from) * i) / (SECTIONS - 1));
}
