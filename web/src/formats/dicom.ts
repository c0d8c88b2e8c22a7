// DICOM files: which are frontal projection radiographs, their pixels, spacing and orientation, as in crass_tf.
import { type DataSet, parseDicom } from "dicom-parser";
import { Inflate } from "fflate";
import { InputError } from "../input_error";
import { checkSize, type Decoded, MAX_BYTES, type Spacing, text } from "./content";
import { isColour, showGrey } from "./dicom_grey";
import { storedValues, SYNTAXES } from "./dicom_pixels";

const EXPECTED = "a projection radiograph: CR, DX or secondary capture";
const MODALITIES = ["CR", "DX", "DR", "RG", "OT", "SC"];
const STORAGE = "1.2.840.10008.5.1.4.1.1.";
const CLASSES = ["1", "1.1", "7", "7.1", "7.2", "7.3", "7.4"].map((end) => STORAGE + end);
const CLASS_NAMES: Record<string, string> = {
  [`${STORAGE}2`]: "CT Image Storage",
  [`${STORAGE}2.1`]: "Enhanced CT Image Storage",
  [`${STORAGE}4`]: "MR Image Storage",
  [`${STORAGE}6.1`]: "Ultrasound Image Storage",
  [`${STORAGE}1.2`]: "Digital Mammography X-Ray Image Storage - For Presentation",
  [`${STORAGE}66.4`]: "Segmentation Storage",
};
const FOR_PROCESSING = `${STORAGE}1.1.1`;
const OTHER_VIEWS = ["LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO"];
const OTHER_WORDS = ["LAT", "OBL"];
const OTHER_PARTS =
  /^(ABDOMEN|ANKLE|ARM|BREAST|CALCANEUS|CALF|COCCYX|CSPINE|ELBOW|EXTREMITY|FEMUR|FINGER|FOOT|FOREARM|HAND|HEAD|HIP|JAW|KNEE|LEG|LSPINE|LUMBARSPINE|MANDIBLE|MAXILLA|ORBIT|PATELLA|PELVIS|SKULL|SSPINE|TOE|TEETH|THIGH|THUMB|TIBIA|WRIST)$/;
/** Distances between pixels, the most trustworthy first, and what has to be known of the others. */
const SPACINGS: [string, string, string][] = [
  ["x00280030", "PixelSpacing", ""],
  ["x00181164", "ImagerPixelSpacing", "spacing from ImagerPixelSpacing: at the detector, not corrected for magnification"],
  ["x00182010", "NominalScannedPixelSpacing", "spacing from NominalScannedPixelSpacing: of the film scanner"],
];
const GREY = ["MONOCHROME1", "MONOCHROME2"];
// Bytes behind the pixels that are always passed over; as many as the pixels themselves are a second image.
const MAX_SURPLUS = 4096;

export function isDicom(bytes: Uint8Array): boolean {
  return text(bytes.subarray(128, 132)) === "DICM";
}

/** Old files have no mark. */
export function isNamedDicom(name: string): boolean {
  return /\.(dcm|dicom)$/i.test(name);
}

export async function readDicom(bytes: Uint8Array): Promise<Decoded> {
  try {
    return await read(bytes);
  } catch (error) {
    if (error instanceof InputError) throw error;
    // On damaged files parser and codecs throw whatever the damage leads to.
    const reason = String((error as Error)?.message ?? (error as { exception?: string })?.exception ?? error);
    throw new InputError(`the DICOM file cannot be read (${reason.replace(/\s+/g, " ").slice(0, 200)})`);
  }
}

async function read(bytes: Uint8Array): Promise<Decoded> {
  const dataset = parse(bytes);
  if (!["x00080016", "x00080060", "x00280010"].some((tag) => tag in dataset.elements)) {
    throw new InputError("found no whole DICOM data set, expected one");
  }
  checkKind(dataset);
  checkView(dataset);
  const mirrored = isMirrored(dataset);
  const [spacing, spacingNotes] = pixelSpacing(dataset);
  const [height, width] = [wholeNumber(dataset, "x00280010", "Rows"), wholeNumber(dataset, "x00280011", "Columns")];
  const surplusNotes = checkPixels(dataset, width, height);
  const stored = await storedValues(dataset, width, height);
  const size = { width, height, spacing, mirrored };
  if (isColour(dataset)) return { ...size, values: stored, notes: ["colours became luminance", ...spacingNotes, ...surplusNotes] };
  const shown = showGrey(dataset, stored);
  return { ...size, values: shown.values, bits: shown.bits, notes: [...shown.notes, ...spacingNotes, ...surplusNotes] };
}

function parse(bytes: Uint8Array): DataSet {
  if (isDicom(bytes)) return parseDicom(bytes, { inflater: inflate });
  // Old files begin with their first element; two capital letters for its type mean explicit ones.
  const explicit = /^[A-Z]{2}$/.test(text(bytes.subarray(4, 6)));
  const options = { TransferSyntaxUID: explicit ? "1.2.840.10008.1.2.1" : "1.2.840.10008.1.2" };
  return parseDicom(bytes, options);
}

/** Returns a file whose data set was deflated, inflated up to a limit. */
function inflate(bytes: Uint8Array, position: number): Uint8Array {
  const parts = [bytes.subarray(0, position)];
  let total = position;
  const inflater = new Inflate((part) => {
    total += part.length;
    if (total > MAX_BYTES) throw new InputError(`found more than ${MAX_BYTES} bytes in the deflated DICOM file, expected fewer`);
    parts.push(part);
  });
  for (let at = position; at < bytes.length; at += 65536) inflater.push(bytes.subarray(at, at + 65536), at + 65536 >= bytes.length);
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function checkKind(dataset: DataSet): void {
  const kind = dataset.string("x00080016");
  const modality = capitals(dataset, "x00080060");
  if (kind === FOR_PROCESSING || capitals(dataset, "x00080068") === "FOR PROCESSING") {
    throw new InputError("found a detector's raw values (FOR PROCESSING), expected them FOR PRESENTATION");
  }
  if (kind && !CLASSES.includes(kind)) throw new InputError(`found ${CLASS_NAMES[kind] ?? kind}, expected ${EXPECTED}`);
  if (modality && !MODALITIES.includes(modality)) throw new InputError(`found modality ${modality}, expected ${EXPECTED}`);
  const frames = dataset.string("x00280008");
  if (frames && Number(frames) !== 1) throw new InputError(`found ${frames} frames in the DICOM file, expected 1`);
}

function checkView(dataset: DataSet): void {
  const [part, view] = [capitals(dataset, "x00180015"), capitals(dataset, "x00185101")];
  if (OTHER_PARTS.test(part)) throw new InputError(`found BodyPartExamined = ${part}, expected CHEST`);
  const words = view.match(/[A-Z]+/g) ?? [];
  if (words.some((word) => OTHER_VIEWS.includes(word) || OTHER_WORDS.some((start) => word.startsWith(start)))) {
    throw new InputError(`found ViewPosition = ${view}, expected a frontal view, PA or AP`);
  }
  for (const item of dataset.elements.x00540220?.items ?? []) {
    const meaning = item.dataSet ? capitals(item.dataSet, "x00080104") : "";
    if (meaning.includes("LATERAL") || meaning.includes("OBLIQUE")) {
      throw new InputError(`found the view '${meaning.toLowerCase()}', expected a frontal one, PA or AP`);
    }
  }
}

function isMirrored(dataset: DataSet): boolean {
  const [right = "", down = ""] = (dataset.string("x00200020") ?? "").split("\\").map((way) => way.trim());
  if (!["L", "R", ""].includes(right.slice(0, 1)) || !["F", ""].includes(down.slice(0, 1))) {
    throw new InputError(`found PatientOrientation = ${right}\\${down}, expected L\\F or R\\F, frontal and upright`);
  }
  return right.startsWith("R");
}

/** Returns the spacing and notes. 1 x 1 mm and 0 x 0 are what is filled in where nothing is known. */
function pixelSpacing(dataset: DataSet): [Spacing | null, string[]] {
  for (const [tag, name, note] of SPACINGS) {
    const found = dataset.string(tag)?.trim();
    if (!found) continue;
    const lengths = found.split("\\").map((part) => (part.trim() ? Number(part) : NaN));
    if (lengths.length === 2 && [0, 1].includes(lengths[0]) && lengths[0] === lengths[1]) continue;
    if (lengths.length !== 2 || !lengths.every((length) => Number.isFinite(length) && length > 0)) {
      throw new InputError(`found ${name} = '${found}', expected two lengths above 0 in millimetres`);
    }
    return [lengths as Spacing, note ? [note] : []];
  }
  return [null, []];
}

/** Returns notes on the pixels; bytes behind those that the header promises are passed over. */
function checkPixels(dataset: DataSet, width: number, height: number): string[] {
  const element = dataset.elements.x7fe00010;
  if (!element?.length && !element?.fragments?.length) {
    throw new InputError(`found a DICOM file without pixels, expected ${EXPECTED}`);
  }
  checkSize(width, height);
  const kind = dataset.string("x00280004") ?? "";
  const samples = wholeNumber(dataset, "x00280002", "SamplesPerPixel");
  if (samples === 1 ? !GREY.includes(kind) : samples !== 3 || !isColour(dataset)) {
    throw new InputError(`found ${samples} samples a pixel of ${kind}, expected 1 of ${GREY.join(" or ")}, or 3 of RGB`);
  }
  const [allocated, stored] = [dataset.uint16("x00280100"), dataset.uint16("x00280101")];
  const high = dataset.uint16("x00280102") ?? (stored ?? 0) - 1;
  if (![8, 16].includes(allocated ?? 0) || !stored || stored > allocated! || high !== stored - 1) {
    const found = `BitsAllocated = ${allocated}, BitsStored = ${stored}, HighBit = ${high}`;
    throw new InputError(`found ${found}, expected 8 or 16 bits, all stored ones from the lowest on`);
  }
  const sign = dataset.uint16("x00280103");
  if (sign !== 0 && sign !== 1) throw new InputError(`found PixelRepresentation = ${sign}, expected 0 or 1`);
  const syntax = dataset.string("x00020010") ?? "";
  if (syntax && !(syntax in SYNTAXES)) {
    throw new InputError(`this page has no decoder for the DICOM transfer syntax ${syntax}; crass-tf predict may have one`);
  }
  if (element.fragments) return [];
  const whole = (width * height * samples * allocated!) / 8;
  const expected = kind === "YBR_FULL_422" ? (whole * 2) / 3 : whole;
  const holds = (bytes: number) => element.length === bytes || element.length === bytes + (bytes % 2);
  if (holds(expected)) return [];
  const surplus = element.length - expected;
  // Colours of whose samples none was left out are no surplus.
  if (surplus <= 0 || surplus >= Math.max(expected, MAX_SURPLUS + 1) || (expected < whole && holds(whole))) {
    throw new InputError(`found ${element.length} bytes of pixels, expected ${expected} for ${width} x ${height}`);
  }
  return [`${surplus} bytes behind the pixels were ignored`];
}

function wholeNumber(dataset: DataSet, tag: string, name: string): number {
  const number = dataset.uint16(tag);
  if (!number) throw new InputError(`found ${name} = ${number}, expected a whole number above 0`);
  return number;
}

function capitals(dataset: DataSet, tag: string): string {
  return (dataset.string(tag) ?? "").trim().toUpperCase();
}
