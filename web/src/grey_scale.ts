// The one rule for grey values, as in crass_tf's GreyScale.
import { InputError } from "./input_error";

const BITS = [8, 10, 12, 14, 16];

export type Values = Uint8Array | Uint16Array | Int16Array | Int8Array;

export interface GreyScale {
  /** What is added to stored values. */
  offset: number;
  /** Bit depth of the result. */
  bits: number;
}

/** Returns the lowest and the highest value. */
export function extremes(values: Values): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Returns the scale of the smallest usual bit depth that holds stored values from `low` to `high`. */
export function scaleHolding(low: number, high: number): GreyScale {
  const offset = [0, ...BITS.map((bits) => 2 ** (bits - 1))].find((candidate) => low + candidate >= 0);
  const bits = BITS.find((candidate) => high + (offset ?? 0) < 2 ** candidate);
  if (offset === undefined || bits === undefined) throw new InputError("found grey values of more than 16 bits");
  return { offset, bits };
}

/** Maps stored values of so many bits, else of as many as they need, to 8; unsigned 8-bit values stay as they are. */
export function toGrey8(values: Values, bits?: number): Uint8Array {
  if (values instanceof Uint8Array) return values;
  const [low, high] = extremes(values);
  const scale = bits ? { offset: 0, bits } : scaleHolding(low, high);
  const factor = Math.fround(255 / (2 ** scale.bits - 1));
  const table = new Uint8Array(high - low + 1);
  for (let i = 0; i < table.length; i++) {
    table[i] = roundHalfEven(Math.min(255, Math.max(0, Math.fround((low + i + scale.offset) * factor))));
  }
  const grey = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) grey[i] = table[values[i] - low];
  return grey;
}

/** Returns the luminance of interleaved red, green, blue (and alpha), with OpenCV's weights. */
export function luminance(values: ArrayLike<number>, channels: number, bits: number): Uint8Array | Uint16Array {
  const count = values.length / channels;
  const grey = bits > 8 ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0, at = 0; i < count; i++, at += channels) {
    grey[i] = Math.floor((values[at] * 9798 + values[at + 1] * 19235 + values[at + 2] * 3735 + 16384) / 32768);
  }
  return grey;
}

/** Rounds as NumPy and OpenCV do. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}
