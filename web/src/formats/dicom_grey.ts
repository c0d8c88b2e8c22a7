// From a DICOM file's stored values to the grey values that a viewer shows, PS3.3 C.11, as in crass_tf.
import type { DataSet } from "dicom-parser";
import { extremes, roundHalfEven, type GreyScale, scaleHolding, type Values } from "../grey_scale";
import { InputError } from "../input_error";

const COLOURS = ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"];

export function isColour(dataset: DataSet): boolean {
  return COLOURS.includes(dataset.string("x00280004") ?? "");
}

/** Returns grey values as shown, and their bit depth. Where no window or LUT says what is shown, the grey scale does. */
export function showGrey(dataset: DataSet, stored: Values): { values: Values; bits: number; notes: string[] } {
  const [low, high] = possible(dataset);
  const padding = paddingRange(dataset, low, high);
  const scale = storedScale(dataset, stored, padding);
  // All stored values that there can be are few beside an image's pixels, so they alone go through floating point.
  const values = Float64Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const modality = applyModality(dataset, values, scale);
  const voi = applyVoi(dataset, modality.values, modality.full);
  const notes = [...modality.notes, ...voi.notes];
  const inverse = dataset.string("x00280004") === "MONOCHROME1";
  const bits = notes.length ? 16 : scale.bits;
  const most = 2 ** bits - 1;
  const table = bits === 8 ? new Uint8Array(values.length) : new Uint16Array(values.length);
  for (let i = 0; i < table.length; i++) {
    const shown = inverse ? 1 - voi.values[i] : voi.values[i];
    table[i] = roundHalfEven(Math.min(1, Math.max(0, shown)) * most);
  }
  if (padding) table.fill(0, padding[0] - low, padding[1] - low + 1);
  const grey = bits === 8 ? new Uint8Array(stored.length) : new Uint16Array(stored.length);
  for (let i = 0; i < stored.length; i++) grey[i] = table[stored[i] - low];
  return { values: grey, bits, notes };
}

/** Returns values behind a window, from 0 to 1, PS3.3 C.11.2.1; an unknown function is taken for LINEAR. */
function applyWindow(values: Float64Array, center: number, width: number, kind: string): Float64Array {
  if (kind === "SIGMOID") return values.map((value) => 0.5 * (1 + Math.tanh((2 * (value - center)) / width)));
  if (kind !== "LINEAR_EXACT") {
    center -= 0.5;
    // One value wide is a threshold.
    width = Math.max(width - 1, 1e-6);
  }
  return values.map((value) => Math.min(1, Math.max(0, (value - center) / width + 0.5)));
}

function possible(dataset: DataSet): [number, number] {
  const span = 2 ** dataset.uint16("x00280101")!;
  const low = isSigned(dataset) ? -span / 2 : 0;
  return [low, low + span - 1];
}

/** Returns the first and last of the values that stand where there is no image, and are shown black; or null. */
function paddingRange(dataset: DataSet, low: number, high: number): [number, number] | null {
  const read = (tag: string) => (isSigned(dataset) ? dataset.int16(tag) : dataset.uint16(tag));
  const first = dataset.elements.x00280120?.length ? read("x00280120") : undefined;
  if (first === undefined) return null;
  const last = dataset.elements.x00280121?.length ? (read("x00280121") ?? first) : first;
  const range: [number, number] = [Math.min(first, last), Math.max(first, last)];
  return low <= range[0] && range[1] <= high ? range : null;
}

function storedScale(dataset: DataSet, stored: Values, padding: [number, number] | null): GreyScale {
  const image = padding ? stored.filter((value) => value < padding[0] || value > padding[1]) : stored;
  const scale = scaleHolding(...extremes(image.length ? image : stored));
  const bits = dataset.uint16("x00280101")!;
  // 13 bits, say, which are no usual depth.
  return scale.bits <= bits ? scale : { offset: -possible(dataset)[0], bits };
}

function applyModality(dataset: DataSet, values: Float64Array, scale: GreyScale) {
  const lut = dataset.elements.x00283000?.items?.[0]?.dataSet;
  if (lut) {
    const { shown, bits } = applyLut(dataset, lut, "ModalityLUTSequence", values);
    return { values: shown, full: [0, 2 ** bits - 1], notes: ["Modality LUT applied"] };
  }
  const [slope, intercept] = [number(dataset, "x00281053", "RescaleSlope") ?? 1, number(dataset, "x00281052", "RescaleIntercept") ?? 0];
  if (slope === 0) throw new InputError("found RescaleSlope = 0, expected another number");
  const ends = [-scale.offset, 2 ** scale.bits - 1 - scale.offset].map((end) => end * slope + intercept);
  return { values: values.map((value) => value * slope + intercept), full: ends.sort((a, b) => a - b), notes: [] };
}

/** Returns from 0 to 1 what a viewer shows; a LUT comes before a window, the first before others. */
function applyVoi(dataset: DataSet, values: Float64Array, [black, white]: number[]) {
  const lut = dataset.elements.x00283010?.items?.[0]?.dataSet;
  if (lut) {
    const { shown, bits } = applyLut(dataset, lut, "VOILUTSequence", values);
    return { values: shown.map((value) => value / (2 ** bits - 1)), notes: ["VOI LUT applied"] };
  }
  const whole = () => values.map((value) => (value - black) / (white - black));
  const [center, width] = [number(dataset, "x00281050", "WindowCenter"), number(dataset, "x00281051", "WindowWidth")];
  const kind = (dataset.string("x00281056") ?? "LINEAR").trim().toUpperCase() || "LINEAR";
  if (center === null || width === null) return { values: whole(), notes: [] };
  if (width <= 0 || (kind === "LINEAR" && width < 1)) {
    return { values: whole(), notes: [`WindowWidth = ${width} means nothing and was ignored`] };
  }
  return { values: applyWindow(values, center, width, kind), notes: [`window ${center} / ${width} (${kind}) applied`] };
}

function applyLut(dataset: DataSet, item: DataSet, name: string, values: Float64Array) {
  const data = item.elements.x00283006;
  const [entries, start, bits] = [0, 1, 2].map((place) => item.uint16("x00283002", place));
  if (entries === undefined || start === undefined || bits === undefined || !data?.length) {
    throw new InputError(`found ${name} without a table, expected its LUTDescriptor and LUTData`);
  }
  const count = entries || 2 ** 16;
  // The VR of the first mapped value is ambiguous: it is signed where stored values are.
  const first = isSigned(dataset) && start >= 2 ** 15 ? start - 2 ** 16 : start;
  const packed = bits === 8 && data.length < 2 * count;
  const found = Math.floor(data.length / (packed ? 1 : 2));
  if (found < count || bits < 8 || bits > 16) {
    throw new InputError(`found ${found} entries of ${bits} bits in ${name}, expected ${count} of 8 to 16 bits`);
  }
  const entry = (place: number) => (packed ? item.byteArray[data.dataOffset + place] : item.uint16("x00283006", place)!);
  const most = 2 ** bits - 1;
  const shown = values.map((value) => Math.min(most, entry(Math.min(count - 1, Math.max(0, roundHalfEven(value - first))))));
  return { shown, bits };
}

/** Returns the first of an element's numbers, or null where there is none. */
function number(dataset: DataSet, tag: string, name: string): number | null {
  const found = dataset.string(tag)?.split("\\")[0].trim();
  if (!found) return null;
  const value = Number(found);
  if (!Number.isFinite(value)) throw new InputError(`found ${name} that is no finite number, expected one`);
  return value;
}

function isSigned(dataset: DataSet): boolean {
  return dataset.uint16("x00280103") === 1;
}
