// Outlines as polygons: fewer points for hands, pixels for files, what lies under a pointer.
import { type Ring, ringArea } from "./contours";

/** Returns a ring with fewer points, no further than `tolerance` pixels from what it was (Douglas and Peucker). */
export function simplified(ring: Ring, tolerance: number): Ring {
  const count = ring.length / 2;
  if (count < 5) return ring;
  // Two points far from each other cut the ring into two lines.
  let far = 0;
  for (let i = 1; i < count; i++) {
    if (distance(ring, 0, i) > distance(ring, 0, far)) far = i;
  }
  const kept = new Uint8Array(count);
  kept[0] = kept[far] = 1;
  const open: [number, number][] = [[0, far], [far, count]];
  for (let range = open.pop(); range; range = open.pop()) {
    const [first, last] = range;
    let [worst, place] = [tolerance, -1];
    for (let i = first + 1; i < last; i++) {
      const off = toSegment(ring[2 * i], ring[2 * i + 1], ring, first, last % count).distance;
      if (off > worst) [worst, place] = [off, i];
    }
    if (place < 0) continue;
    kept[place] = 1;
    open.push([first, place], [place, last]);
  }
  return ring.filter((_, i) => kept[i >> 1]);
}

/** Returns 1 for pixels whose centre lies within an odd number of rings. */
export function rasterized(rings: Ring[], width: number, height: number): Uint8Array {
  const mask = new Uint8Array(width * height);
  const crossings: number[][] = Array.from({ length: height }, () => []);
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
      const [x0, y0, x1, y1] = [ring[j], ring[j + 1], ring[i], ring[i + 1]];
      const [low, high] = [Math.max(0, Math.ceil(Math.min(y0, y1))), Math.min(height, Math.ceil(Math.max(y0, y1)))];
      for (let y = low; y < high; y++) crossings[y].push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
    }
  }
  crossings.forEach((xs, y) => {
    xs.sort((a, b) => a - b);
    for (let i = 0; i + 1 < xs.length; i += 2) {
      const [from, to] = [Math.max(0, Math.ceil(xs[i])), Math.min(width - 1, Math.floor(xs[i + 1]))];
      mask.fill(1, y * width + from, y * width + Math.max(from, to + 1));
    }
  });
  return mask;
}

/** Returns the area within rings in pixels, holes taken away. */
export function totalArea(rings: Ring[]): number {
  return Math.abs(rings.reduce((sum, ring) => sum + ringArea(ring), 0));
}

/** A place on an outline: a point, or where the line behind a point is nearest. */
export interface Hit {
  ring: number;
  point: number;
  distance: number;
  x: number;
  y: number;
}

/** Returns the point nearest to a place, or null without points. */
export function nearestPoint(rings: Ring[], x: number, y: number): Hit | null {
  let best: Hit | null = null;
  rings.forEach((points, ring) => {
    for (let point = 0; 2 * point < points.length; point++) {
      const off = Math.hypot(points[2 * point] - x, points[2 * point + 1] - y);
      if (!best || off < best.distance) best = { ring, point, distance: off, x: points[2 * point], y: points[2 * point + 1] };
    }
  });
  return best;
}

/** Returns where the outlines are nearest to a place, or null without points. */
export function nearestOnLine(rings: Ring[], x: number, y: number): Hit | null {
  let best: Hit | null = null;
  rings.forEach((points, ring) => {
    const count = points.length / 2;
    for (let point = 0; point < count; point++) {
      const hit = toSegment(x, y, points, point, (point + 1) % count);
      if (!best || hit.distance < best.distance) best = { ring, point, ...hit };
    }
  });
  return best;
}

export function withPoint(rings: Ring[], ring: number, point: number, x: number, y: number): Ring[] {
  return replaced(rings, ring, rings[ring].map((value, i) => (i === 2 * point ? x : i === 2 * point + 1 ? y : value)));
}

/** Returns the outlines with a new point behind one. */
export function withNewPoint(rings: Ring[], ring: number, point: number, x: number, y: number): Ring[] {
  const old = rings[ring];
  const place = 2 * (point + 1);
  return replaced(rings, ring, Float32Array.of(...old.subarray(0, place), x, y, ...old.subarray(place)));
}

/** Returns the outlines without a point; a ring of fewer than three points goes. */
export function withoutPoint(rings: Ring[], ring: number, point: number): Ring[] {
  const left = rings[ring].filter((_, i) => i >> 1 !== point);
  return left.length < 6 ? rings.filter((_, i) => i !== ring) : replaced(rings, ring, left);
}

function replaced(rings: Ring[], ring: number, points: Ring): Ring[] {
  return rings.map((old, i) => (i === ring ? points : old));
}

function distance(ring: Ring, i: number, j: number): number {
  return Math.hypot(ring[2 * i] - ring[2 * j], ring[2 * i + 1] - ring[2 * j + 1]);
}

function toSegment(x: number, y: number, ring: Ring, first: number, last: number) {
  const [ax, ay, bx, by] = [ring[2 * first], ring[2 * first + 1], ring[2 * last], ring[2 * last + 1]];
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const share = length ? Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length)) : 0;
  const [nx, ny] = [ax + share * (bx - ax), ay + share * (by - ay)];
  return { x: nx, y: ny, distance: Math.hypot(x - nx, y - ny) };
}
