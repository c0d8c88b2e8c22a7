// A file in, a radiograph out: the same reading rules as crass_tf's read_radiograph, for PNG, JPEG and DICOM.
import { type Decoded, MAX_BYTES, plausibleSpacing, type Spacing } from "./formats/content";
import { isDicom, isNamedDicom, readDicom } from "./formats/dicom";
import { isJpeg, readJpeg } from "./formats/jpeg";
import { isPng, readPng } from "./formats/png";
import { toGrey8 } from "./grey_scale";
import { InputError } from "./input_error";

const EXPECTED = "PNG, JPEG or DICOM";
const FOREIGN: [string, string][] = [
  ["%PDF", "a PDF document"],
  ["PK\u0003\u0004", "a ZIP archive"],
  ["\u001f\u008b", "a gzip archive"],
  ["RIFF", "a WebP or other RIFF file"],
  ["BM", "a BMP file"],
  ["GIF8", "a GIF file"],
  ["II*\0", "a TIFF file"],
  ["MM\0*", "a TIFF file"],
  ["\u00ff\u004f\u00ff\u0051", "a JPEG 2000 file"],
  ["ObjectType", "a MetaImage header"],
  ["<", "an HTML, SVG or other XML file"],
];

export interface Radiograph {
  width: number;
  height: number;
  /** 0 to 255, row by row, dense tissue bright. */
  grey: Uint8Array;
  /** (row, column) in millimetres, or null where unknown. */
  spacing: Spacing | null;
  /** Whether image left is the patient's left. */
  mirrored: boolean;
  /** What reading did to the pixels, or what has to be known of the spacing. */
  notes: string[];
}

/** Reads a file; the content decides which format it is. Throws InputError for anything else. */
export async function readRadiograph(name: string, bytes: Uint8Array): Promise<Radiograph> {
  const decoded = plausibleSpacing(await decode(name, bytes));
  const { width, height, values, spacing, mirrored, notes } = decoded;
  return { width, height, grey: toGrey8(values, decoded.bits), spacing, mirrored, notes };
}

async function decode(name: string, bytes: Uint8Array): Promise<Decoded> {
  if (!bytes.length) throw new InputError("found an empty file of 0 bytes, expected an image");
  if (bytes.length > MAX_BYTES) throw new InputError(`found a file of ${bytes.length} bytes, expected at most ${MAX_BYTES}`);
  if (isDicom(bytes)) return readDicom(bytes);
  if (isPng(bytes)) return readPng(bytes);
  if (isJpeg(bytes)) return readJpeg(bytes);
  if (isNamedDicom(name)) return readDicom(bytes);
  const head = String.fromCharCode(...bytes.subarray(0, 16));
  const foreign = FOREIGN.find(([start]) => head.startsWith(start));
  throw new InputError(`found ${foreign ? foreign[1] : "something else"}, expected a ${EXPECTED} file`);
}
