// Lengths, angles and distances of one radiograph, as crass_tf's measures.
import { centreLine, distance, lengthOf } from "./centre_line";
import { type Ring, ringArea } from "./contours";
import type { Spacing } from "./formats/content";
import type { Item } from "./item";
import { type Side, SIDES } from "./segmentation";

type Point = [number, number];

/** In pixels, and in millimetres where the spacing is known. */
export interface Length {
  pixels: number;
  mm: number | null;
}

export interface SideMeasures {
  /** The centre line, the medial end first. */
  line: Ring;
  length: Length;
  width: Length;
  /** To the horizontal; positive where the lateral end is higher. */
  angleDeg: number;
  /** From the medial end, negative beyond the midline. */
  toMidline: Length | null;
}

export type Measures = Record<Side, SideMeasures | null>;

export function measure(item: Item, midline: Ring | null): Measures {
  return Object.fromEntries(SIDES.map((side) => [side, measureSide(item, side, midline)])) as Measures;
}

function measureSide(item: Item, side: Side, midline: Ring | null): SideMeasures | null {
  const { verdict, rings } = item.sides[side];
  if (verdict !== "outlined" || !rings.length) return null;
  const ring = rings.reduce((best, other) => (Math.abs(ringArea(other)) > Math.abs(ringArea(best)) ? other : best));
  const atImageLeft = (side === "right") !== item.mirrored;
  const unit: Point = item.spacing ? [item.spacing[1], item.spacing[0]] : [1, 1];
  const found = centreLine(ring, atImageLeft ? -1 : 1, unit);
  if (!found) return null;
  const { points, sections } = found;
  const both = (of: (unit: Point) => number): Length => ({ pixels: of([1, 1]), mm: item.spacing ? of(unit) : null });
  const [medial, lateral] = [points[0], points.at(-1)!];
  return {
    line: Float32Array.from(points.flat()),
    length: both((size) => lengthOf(points.map((point) => scaled(point, size)))),
    width: both((size) => sections.reduce((sum, [a, b]) => sum + distance(scaled(a, size), scaled(b, size)), 0) / sections.length),
    angleDeg: (Math.atan2(-(lateral[1] - medial[1]) * unit[1], Math.abs(lateral[0] - medial[0]) * unit[0]) * 180) / Math.PI,
    toMidline: midline && toMidline(medial, lateral, midline, item.spacing),
  };
}

function toMidline(medial: Point, lateral: Point, line: Ring, spacing: Spacing | null): Length {
  const unit: Point = spacing ? [spacing[1], spacing[0]] : [1, 1];
  const [point, first, second] = [medial, [line[0], line[1]] as Point, [line[2], line[3]] as Point].map((place) => scaled(place, unit));
  const length = distance(first, second);
  const way = [(second[0] - first[0]) / length, (second[1] - first[1]) / length];
  const place = (point[0] - first[0]) * way[0] + (point[1] - first[1]) * way[1];
  // The perpendicular, in native pixels.
  const off: Point = [(first[0] + place * way[0] - point[0]) / unit[0], (first[1] + place * way[1] - point[1]) / unit[1]];
  const sign = -Math.sign(off[0] * (lateral[0] - medial[0]));
  return { pixels: sign * Math.hypot(...off), mm: spacing ? sign * Math.hypot(...scaled(off, unit)) : null };
}

function scaled([x, y]: Point, [width, height]: Point): Point {
  return [x * width, y * height];
}
