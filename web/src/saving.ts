// One ZIP of what was checked: a CRASS12 folder, COCO and what was corrected, by whom and when.
import { Zip, ZipDeflate, ZipPassThrough, strToU8 } from "fflate";
import type { App } from "./app";
import { annotations, categories } from "./coco";
import { writePng } from "./formats/png";
import type { Item } from "./item";
import { rasterized } from "./polygon";
import type { Radiograph } from "./radiograph";
import { type Side, SIDES } from "./segmentation";

export const NOTICE = "Research software, not a medical device: not for diagnosis or treatment.";
const SCHEMA = "urn:crass-tf:corrections:1";
// Every fifth radiograph validates, the second one first: a data set has both splits from two radiographs on.
const FOLDS = 5;
const isValidation = (place: number) => place % FOLDS === 1;

/** Returns the ZIP of some radiographs; `onStep` is called before each. */
export async function saved(app: App, items: Item[], onStep: (done: number) => void): Promise<Blob> {
  const parts: Blob[] = [];
  // Blobs, which the browser may keep on the disk.
  const zip = new Zip((error, part) => {
    if (error) throw error;
    parts.push(new Blob([part.slice()]));
  });
  const put = (name: string, bytes: Uint8Array, compress = false) => {
    const file = compress ? new ZipDeflate(name) : new ZipPassThrough(name);
    zip.add(file);
    file.push(bytes, true);
  };
  const names = uniqueNames(items);
  const learnable: string[] = [];
  const coco = { info: { description: `Clavicles. ${NOTICE}` }, licenses: [], images: [] as object[], categories, annotations: [] as object[] };
  const corrections: object[] = [];
  const spacings = new Set<string>();
  for (const [place, item] of items.entries()) {
    onStep(place);
    const name = names[place];
    const radiograph = await app.read(item);
    // Sides are told apart by where they lie, so a mirrored radiograph is turned.
    const masks = Object.fromEntries(SIDES.map((side) => [side, turned(sideMask(item, side), item)])) as Record<Side, Uint8Array>;
    const hidden = SIDES.some((side) => item.sides[side].verdict === "not visible");
    if (!hidden) {
      learnable.push(name);
      spacings.add(JSON.stringify(item.spacing));
      const both = masks.right.map((value, i) => (value || masks.left[i] ? 255 : 0));
      for (const [folder, pixels] of [["image", turned(radiograph.grey, item)], ["mask", both]] as const) {
        const png = await writePng(item.width, item.height, pixels, item.spacing);
        put(`CRASS12/${folder}/${name}.PNG`, new Uint8Array(await png.arrayBuffer()));
      }
    }
    coco.images.push({ id: place + 1, file_name: `CRASS12/image/${name}.PNG`, height: item.height, width: item.width });
    coco.annotations.push(...annotations(item, masks, place + 1, coco.annotations.length + 1));
    corrections.push(correction(item, name, !hidden, radiograph));
  }
  learnable.sort();
  put("CRASS12/train.txt", lines(learnable.filter((_, i) => !isValidation(i))));
  put("CRASS12/val.txt", lines(learnable.filter((_, i) => isValidation(i))));
  const [only] = spacings;
  // Each PNG has its own spacing; this is for programs that look into the folder only.
  if (spacings.size === 1 && only !== "null") put("CRASS12/spacing.json", strToU8(`{"spacing_mm": ${only}}\n`));
  put("coco.json", strToU8(JSON.stringify(coco)), true);
  const record = { schema: SCHEMA, note: NOTICE, saved: new Date().toISOString(), radiographs: corrections };
  put("corrections.json", strToU8(`${JSON.stringify(record, null, 2)}\n`), true);
  zip.end();
  return new Blob(parts, { type: "application/zip" });
}

function sideMask(item: Item, side: Side): Uint8Array {
  const { verdict, rings } = item.sides[side];
  return rasterized(verdict === "outlined" ? rings : [], item.width, item.height);
}

function turned(pixels: Uint8Array, { mirrored, width }: Item): Uint8Array {
  if (!mirrored) return pixels;
  const copy = pixels.slice();
  for (let start = 0; start < copy.length; start += width) copy.subarray(start, start + width).reverse();
  return copy;
}

function correction(item: Item, name: string, learnable: boolean, { notes }: Radiograph): object {
  const side = (which: Side) => ({
    verdict: item.sides[which].verdict,
    corrected: item.sides[which].edited,
    score: item.scores[which],
    iou_with_model: overlap(item, which),
  });
  return {
    file: item.name,
    image_id: name,
    in_folder: learnable,
    checked: item.checked,
    initials: item.initials || null,
    changed: item.changed,
    model: item.model,
    refusal: item.refusal,
    spacing_mm: item.spacing,
    turned: item.mirrored,
    notes,
    sides: { right: side("right"), left: side("left") },
  };
}

/** Returns the IoU of a side as it is with what the model found; null where both are empty. */
function overlap(item: Item, side: Side): number | null {
  const now = sideMask(item, side);
  const before = rasterized(item.predicted[side], item.width, item.height);
  let [both, either] = [0, 0];
  for (let i = 0; i < now.length; i++) {
    both += now[i] & before[i];
    either += now[i] | before[i];
  }
  return either ? both / either : null;
}

/** Returns a name for each radiograph that every file system takes, none of them twice. */
function uniqueNames(items: Item[]): string[] {
  const taken = new Set<string>();
  return items.map((item) => {
    const stem = item.name.replace(/^.*\//, "").replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9_-]+/g, "_") || "radiograph";
    let name = stem;
    for (let number = 2; taken.has(name.toLowerCase()); number++) name = `${stem}_${number}`;
    taken.add(name.toLowerCase());
    return name;
  });
}

function lines(names: string[]): Uint8Array {
  return strToU8(names.map((name) => `${name}\n`).join(""));
}
