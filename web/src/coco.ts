// Outlines in COCO's form, as crass_tf writes it.
import { ringArea } from "./contours";
import type { Item } from "./item";
import { type Side, SIDES } from "./segmentation";

const IDS: Record<Side, number> = { right: 1, left: 2 };

export const categories = SIDES.map((side) => ({ id: IDS[side], name: `${side} clavicle`, supercategory: "clavicle" }));

/** Returns an annotation for each clavicle that is there; `masks` are on the grid of the image that is written. */
export function annotations(item: Item, masks: Record<Side, Uint8Array>, image: number, firstId: number): object[] {
  return SIDES.filter((side) => masks[side].includes(1)).map((side, place) => ({
    id: firstId + place,
    image_id: image,
    category_id: IDS[side],
    segmentation: runLengths(masks[side], item.width, item.height),
    polygons: polygons(item, side),
    area: masks[side].reduce((sum, value) => sum + value, 0),
    bbox: boundingBox(masks[side], item.width),
    iscrowd: 0,
    score: item.scores[side],
  }));
}

/** Returns a mask in COCO's run-length encoding: column by column, background first. */
export function runLengths(mask: Uint8Array, width: number, height: number): { size: number[]; counts: string } {
  const counts: number[] = [];
  let [last, run] = [0, 0];
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const value = mask[y * width + x];
      if (value !== last) {
        counts.push(run);
        [last, run] = [value, 0];
      }
      run++;
    }
  }
  counts.push(run);
  return { size: [height, width], counts: encoded(counts) };
}

/** Returns counts as COCO writes them: from the third on as differences to the last but one, 5 bits a character. */
function encoded(counts: number[]): string {
  let text = "";
  counts.forEach((count, place) => {
    let rest = count - (place > 2 ? counts[place - 2] : 0);
    for (let more = true; more; ) {
      const bits = rest & 31;
      rest >>= 5;
      // The last character's highest bit is the sign of all.
      more = rest !== (bits & 16 ? -1 : 0);
      text += String.fromCharCode((more ? bits | 32 : bits) + 48);
    }
  });
  return text;
}

/** Polygons in COCO's coordinates, where (0, 0) is the first pixel's corner. */
function polygons(item: Item, side: Side): number[][] {
  const place = (value: number, i: number) => {
    const at = i % 2 === 0 && item.mirrored ? item.width - 1 - value : value;
    return Math.round((at + 0.5) * 100) / 100;
  };
  return item.sides[side].rings.filter((ring) => ringArea(ring) !== 0).map((ring) => Array.from(ring, place));
}

function boundingBox(mask: Uint8Array, width: number): number[] {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return [left, top, right - left + 1, bottom - top + 1];
}
