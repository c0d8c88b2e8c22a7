// From the model's outputs to the outlines of each side in native pixels: the rules of crass_tf's Segmentation.
import { type Field, outlines, type Ring, ringArea } from "./contours";
import type { Letterbox } from "./letterbox";
import type { Outputs } from "./model";
import { totalArea } from "./polygon";
import type { Stopwatch } from "./stopwatch";

/** Always the patient's. */
export type Side = "right" | "left";
export const SIDES: Side[] = ["right", "left"];

export interface Segmentation {
  rings: Record<Side, Ring[]>;
  scores: Record<Side, number>;
  /** From 0 to 1; ranks results. 0 for what was refused. */
  score: number;
  /** Why this is taken for no frontal chest radiograph, or null. */
  refusal: string | null;
}

const OUTSIDE_LOGIT = -20;
// Of one clavicle, as crass_tf's quality.LEAST_SCORE; a test compares them.
const LEAST_SCORE = 0.5;
// Largest area of a speck / area of the whole outline, as crass_tf's contours.SPECK; a test compares them.
const SPECK = 0.05;

export function segment(outputs: Outputs, box: Letterbox, mirrored: boolean, watch: Stopwatch): Segmentation {
  const sides: Side[] = mirrored ? ["left", "right"] : ["right", "left"];
  const size = outputs.stripWidth * outputs.stripHeight;
  const scores = { right: 0, left: 0 };
  sides.forEach((side, i) => (scores[side] = outputs.score[i]));
  const refusal = refusalOf(outputs);
  const fields = [0, 1].map((i) =>
    refusal || outputs.score[i] < LEAST_SCORE
      ? null
      : stripField(outputs.strips.subarray(i * size, (i + 1) * size), outputs, nativeMatrix(outputs.matrices.subarray(6 * i, 6 * i + 6), box), box),
  );
  if (fields[0] && fields[1]) separate(fields[0], fields[1]);
  watch.lap("warp");
  const rings: Record<Side, Ring[]> = { right: [], left: [] };
  sides.forEach((side, i) => {
    const field = fields[i];
    if (field) rings[side] = withoutSpecks(outlines(field));
  });
  watch.lap("contour");
  const score = refusal ? 0 : (outputs.score[0] + outputs.score[1]) / 2;
  return { rings, scores, score, refusal };
}

/** Returns the rings but those of specks and small holes: a clavicle has neither. */
function withoutSpecks(rings: Ring[]): Ring[] {
  const least = SPECK * totalArea(rings);
  return rings.filter((ring) => Math.abs(ringArea(ring)) >= least);
}

function refusalOf({ score, strips }: Outputs): string | null {
  if (!strips.some((logit) => logit > 0)) return "found no clavicles, expected a frontal chest radiograph";
  if (score.every((value) => value < LEAST_SCORE)) {
    return "found shapes too uncertain for clavicles, expected a frontal chest radiograph";
  }
  return null;
}

/** Returns the matrix (two rows of three) from native pixels to the strip's, given the one from the model's. */
function nativeMatrix(m: Float32Array, box: Letterbox): number[] {
  const [sx, sy] = [box.innerWidth / box.width, box.innerHeight / box.height];
  const [tx, ty] = [(sx - 1) / 2 + box.left, (sy - 1) / 2 + box.top];
  return [0, 3].flatMap((row) => [m[row] * sx, m[row + 1] * sy, m[row] * tx + m[row + 1] * ty + m[row + 2]]);
}

/** Returns a strip's logits on the native grid, within a box around what is above zero, bilinearly; null for nothing. */
function stripField(strip: Float32Array, { stripWidth, stripHeight }: Outputs, m: number[], box: Letterbox): Field | null {
  const inside = insideOf(strip, stripWidth, stripHeight);
  const place = inside && nativeBox(m, inside, box);
  if (!place) return null;
  const { left, top, width, height } = place;
  const at = (x: number, y: number) =>
    x < 0 || y < 0 || x >= stripWidth || y >= stripHeight ? OUTSIDE_LOGIT : strip[y * stripWidth + x];
  const values = new Float32Array(width * height);
  const [a, b, c, d, e, f] = m;
  for (let row = 0, i = 0; row < height; row++) {
    // No pairs here: until it is compiled they cost more than all the rest.
    const ny = top + row;
    for (let column = 0; column < width; column++, i++) {
      const nx = left + column;
      const x = a * nx + b * ny + c;
      const y = d * nx + e * ny + f;
      const x0 = Math.floor(x);
      const y0 = Math.floor(y);
      const fx = x - x0;
      const fy = y - y0;
      if (x0 >= 0 && y0 >= 0 && x0 + 1 < stripWidth && y0 + 1 < stripHeight) {
        const above = y0 * stripWidth + x0;
        const below = above + stripWidth;
        values[i] = (strip[above] * (1 - fx) + strip[above + 1] * fx) * (1 - fy) + (strip[below] * (1 - fx) + strip[below + 1] * fx) * fy;
      } else if (x0 < -1 || y0 < -1 || x0 >= stripWidth || y0 >= stripHeight) {
        values[i] = OUTSIDE_LOGIT;
      } else {
        values[i] = (at(x0, y0) * (1 - fx) + at(x0 + 1, y0) * fx) * (1 - fy) + (at(x0, y0 + 1) * (1 - fx) + at(x0 + 1, y0 + 1) * fx) * fy;
      }
    }
  }
  return { left, top, width, height, values };
}

/** Returns the first and last column and row, one further on each side, of what is above zero; null for nothing. */
function insideOf(strip: Float32Array, width: number, height: number): [number, number, number, number] | null {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (strip[i] <= 0) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      bottom = y;
    }
  }
  return right < 0 ? null : [left - 1, top - 1, right + 1, bottom + 1];
}

/** Returns the part of the native grid that a part of the strip covers, or null for none. */
function nativeBox([a, b, c, d, e, f]: number[], [left0, top0, right0, bottom0]: [number, number, number, number], box: Letterbox) {
  const determinant = a * e - b * d;
  if (!Number.isFinite(1 / determinant)) return null;
  const corners = [[left0, top0], [right0, top0], [left0, bottom0], [right0, bottom0]].map(([u, v]) => [
    (e * (u - c) - b * (v - f)) / determinant,
    (a * (v - f) - d * (u - c)) / determinant,
  ]);
  const [xs, ys] = [corners.map((corner) => corner[0]), corners.map((corner) => corner[1])];
  const [left, top] = [Math.max(0, Math.floor(Math.min(...xs))), Math.max(0, Math.floor(Math.min(...ys)))];
  const right = Math.min(box.width, Math.ceil(Math.max(...xs)) + 1);
  const bottom = Math.min(box.height, Math.ceil(Math.max(...ys)) + 1);
  return right > left && bottom > top ? { left, top, width: right - left, height: bottom - top } : null;
}

/** Where both fields claim a pixel the larger logit has it, the first one where they are equal. */
function separate(first: Field, second: Field): void {
  const left = Math.max(first.left, second.left);
  const right = Math.min(first.left + first.width, second.left + second.width);
  const top = Math.max(first.top, second.top);
  const bottom = Math.min(first.top + first.height, second.top + second.height);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const i = (y - first.top) * first.width + x - first.left;
      const j = (y - second.top) * second.width + x - second.left;
      const [a, b] = [first.values[i], second.values[j]];
      if (a > 0 && a >= b) second.values[j] = -Math.abs(b);
      else if (b > 0) first.values[i] = -Math.abs(a);
    }
  }
}
