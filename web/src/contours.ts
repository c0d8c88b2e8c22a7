// Sub-pixel outlines: where a field on a pixel grid crosses zero, as in crass_tf's contours.

/** A closed line, x and y in turn, in native pixels; (0, 0) is the centre of the first pixel. */
export type Ring = Float32Array;

/** Values on a part of the native pixel grid; background around it. */
export interface Field {
  left: number;
  top: number;
  width: number;
  height: number;
  values: Float32Array;
}

// What a marching square of four corners draws (top left 1, top right 2, bottom right 4, bottom left 8: a bit is set
// where the field is above zero): pairs of sides it enters and leaves by, 0 top, 1 right, 2 bottom, 3 left. What is
// above zero lies to the right of the way, and corners that meet at a point are joined.
const CASES: [number, number][][] = [
  [], [[0, 3]], [[1, 0]], [[1, 3]], [[2, 1]], [[0, 1], [2, 3]], [[2, 0]], [[2, 3]],
  [[3, 2]], [[0, 2]], [[1, 2], [3, 0]], [[1, 2]], [[3, 1]], [[0, 1]], [[3, 0]], [],
];

/** Returns the lines along which a field is zero, the one around the largest area first. */
export function outlines(field: Field): Ring[] {
  const { values, width, height } = framed(field);
  // Edges between neighbouring pixels: even numbers run to the right, odd ones down.
  const following = new Int32Array(2 * width * height).fill(-1);
  const starts: number[] = [];
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0, at = y * width; x + 1 < width; x++, at++) {
      const inside =
        (values[at] > 0 ? 1 : 0) + (values[at + 1] > 0 ? 2 : 0) + (values[at + width + 1] > 0 ? 4 : 0) + (values[at + width] > 0 ? 8 : 0);
      if (inside === 0 || inside === 15) continue;
      for (const [enter, leave] of CASES[inside]) {
        const start = edge(at, width, enter);
        following[start] = edge(at, width, leave);
        starts.push(start);
      }
    }
  }
  const rings: Ring[] = [];
  for (const start of starts) {
    const points: number[] = [];
    for (let at = start, next = following[at]; next >= 0; at = next, next = following[at]) {
      following[at] = -1;
      const pixel = at >> 1;
      const down = at & 1;
      const share = values[pixel] / (values[pixel] - values[pixel + (down ? width : 1)]);
      // The frame is one pixel wide.
      points.push((pixel % width) + (down ? 0 : share) - 1 + field.left);
      points.push(Math.floor(pixel / width) + (down ? share : 0) - 1 + field.top);
    }
    if (points.length) rings.push(Float32Array.from(points));
  }
  return rings.sort((a, b) => Math.abs(ringArea(b)) - Math.abs(ringArea(a)));
}

/** Returns the area within a ring in pixels; negative for a hole's outline. */
export function ringArea(ring: Ring): number {
  let twice = 0;
  for (let i = 0, last = ring.length - 2; i < ring.length; last = i, i += 2) twice += ring[last] * ring[i + 1] - ring[i] * ring[last + 1];
  return twice / 2;
}

function edge(at: number, width: number, side: number): number {
  return 2 * (at + (side === 2 ? width : 0) + (side === 1 ? 1 : 0)) + (side % 2);
}

/** Returns a field with a border below zero: it crosses zero at the outer edge of its outermost pixels. */
function framed({ values, width, height }: Field): { values: Float32Array; width: number; height: number } {
  const [wide, high] = [width + 2, height + 2];
  const out = new Float32Array(wide * high);
  for (let y = 0; y < high; y++) {
    const row = Math.min(height - 1, Math.max(0, y - 1)) * width;
    for (let x = 0; x < wide; x++) {
      const value = values[row + Math.min(width - 1, Math.max(0, x - 1))];
      const border = !x || !y || x === wide - 1 || y === high - 1;
      out[y * wide + x] = border ? -Math.abs(value) : value;
    }
  }
  return { values: out, width: wide, height: high };
}
