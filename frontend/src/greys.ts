/**
 * The greys in which a person first sees an image: those that the model was given.
 *
 * As inference/grayscale.py has it. Padding is no part of the picture and black
 * (PS3.3 C.7.5.1.1.2); MONOCHROME1 and INVERSE say the same, once (C.11.6); where no
 * window is named (C.11.2), or one that misses the picture, what it holds is spread
 * over the greys, outliers set aside. cornerstone draws padding like bone, knows no
 * INVERSE, and stretches to the outliers.
 */

import { Enums as CoreEnums, metaData, type Types, utilities } from "@cornerstonejs/core";
import { Enums } from "@cornerstonejs/metadata";

import { applyTables, type Range, type Tabled } from "./tables";

const SPREAD = [0.25, 99.75] as const; // percentiles
const SAMPLE = 4; // every fourth row and column is enough to place them
const LARGE = 1 << 18; // pixels

type Values = number | string | (number | string)[];
type Grade = (value: number) => number;

interface Header extends Tabled {
  PhotometricInterpretation?: string;
  PresentationLUTShape?: string;
  PixelPaddingValue?: Values;
  PixelPaddingRangeLimit?: Values;
  WindowCenter?: Values;
  WindowWidth?: Values;
  VOILUTFunction?: string | string[];
}

export interface Look {
  VOILUTFunction: CoreEnums.VOILUTFunctionType;
  invert: boolean;
}

const known = new WeakMap<Types.IImage, Look>();

/** How to open `image`, whose pixels are made ready for it, once. */
export function lookOf(image: Types.IImage): Look {
  const look = known.get(image) ?? prepared(image);
  known.set(image, look);
  return look;
}

function prepared(image: Types.IImage): Look {
  const told = metaData.get(Enums.MetadataModules.NATURALIZED, image.imageId);
  const header = (told ?? {}) as Header;
  const padding = paddingOf(image, header);
  const tabled = applyTables(image, header);
  const invert =
    header.PhotometricInterpretation === "MONOCHROME1" ||
    word(header.PresentationLUTShape) === "INVERSE";
  const isSigmoid = !tabled && word(header.VOILUTFunction) === "SIGMOID";
  openWith(image, tabled ?? opened(image, header, padding));
  if (padding) blacken(image, padding, invert);
  const { LINEAR, SAMPLED_SIGMOID } = CoreEnums.VOILUTFunctionType;
  return { VOILUTFunction: isSigmoid ? SAMPLED_SIGMOID : LINEAR, invert };
}

/** Have cornerstone open `image` with `range`: what the file says, it may misread. */
function openWith(image: Types.IImage, range: Range): void {
  const { lower, upper } = range;
  const window = utilities.windowLevel.toWindowLevel(lower, upper);
  Object.assign(image, { ...window, voiLUTFunction: undefined });
}

/** Which pixels are padding; null where none is. */
function paddingOf(image: Types.IImage, header: Header): Uint8Array | null {
  const value = first(header.PixelPaddingValue);
  if (value === null) return null;
  const limit = first(header.PixelPaddingRangeLimit) ?? value;
  const isSigned = header.PixelRepresentation === 1;
  // Pixels come with the slope worked in, the padding's values do not.
  const { slope, intercept } = image.preScale?.scaled ? image : { slope: 1, intercept: 0 };
  const ends = [value, limit].map((v) => (isSigned && v > 32767 ? v - 65536 : v));
  const [one, other] = ends.map((end) => end * slope + intercept) as [number, number];
  const [low, high] = [Math.min(one, other), Math.max(one, other)];
  const slack = Math.abs(slope) / 2;
  const pixels = image.getPixelData();
  const found = new Uint8Array(pixels.length);
  let any = false;
  for (let i = 0; i < found.length; i++) {
    const at = pixels[i] as number;
    if (at > low - slack && at < high + slack) any = !!(found[i] = 1);
  }
  return any ? found : null;
}

/** By the window that the image names, if it shows anything. */
function opened(image: Types.IImage, header: Header, padding: Uint8Array | null): Range {
  const [center, width] = [first(header.WindowCenter), first(header.WindowWidth)];
  const shape = word(header.VOILUTFunction) || "LINEAR";
  const isLinear = shape !== "SIGMOID" && shape !== "LINEAR_EXACT";
  const held = sorted(image, padding);
  if (center === null || width === null || width < (isLinear ? 1 : 1e-9)) return spread(held);
  const grade = graded(shape, center, width);
  const [least, most] = [held[0] ?? 0, held[held.length - 1] ?? 0];
  if (Math.round(255 * grade(least)) === Math.round(255 * grade(most))) return spread(held);
  const [middle, half] = isLinear ? [center - 0.5, (width - 1) / 2] : [center, width / 2];
  return { lower: middle - half, upper: Math.max(middle + half, middle - half + 1e-3) };
}

/** PS3.3 C.11.2.1.2 and C.11.2.1.3, unit interval. */
function graded(shape: string, center: number, width: number): Grade {
  const clip: Grade = (value) => Math.min(1, Math.max(0, value));
  if (shape === "SIGMOID") return (v) => 1 / (1 + Math.exp((-4 * (v - center)) / width));
  if (shape === "LINEAR_EXACT") return (v) => clip((v - center) / width + 0.5);
  if (width === 1) return (v) => Number(v > center - 0.5);
  return (v) => clip((v - (center - 0.5)) / (width - 1) + 0.5);
}

/** A sample of what is no padding, rising. */
function sorted(image: Types.IImage, padding: Uint8Array | null): Float64Array {
  const pixels = image.getPixelData();
  const step = pixels.length >= LARGE ? SAMPLE : 1;
  const held: number[] = [];
  for (let row = 0; row < image.rows; row += step) {
    for (let at = row * image.columns; at < (row + 1) * image.columns; at += step) {
      if (!padding?.[at]) held.push(pixels[at] as number);
    }
  }
  return Float64Array.from(held).sort();
}

function spread(held: Float64Array): Range {
  const [lower, upper] = SPREAD.map(
    (share) => held[Math.max(0, Math.ceil((share / 100) * held.length) - 1)] ?? 0,
  ) as [number, number];
  return { lower, upper: upper > lower ? upper : lower + 1 };
}

/** Give padding the value that is furthest into black. */
function blacken(image: Types.IImage, padding: Uint8Array, invert: boolean): void {
  const pixels = image.getPixelData();
  const black = furthest(image, pixels, invert);
  for (let i = 0; i < padding.length; i++) if (padding[i]) pixels[i] = black;
}

function furthest(image: Types.IImage, pixels: ArrayLike<number>, top: boolean): number {
  if (pixels instanceof Uint8Array) return top ? 255 : 0;
  if (pixels instanceof Uint16Array) return top ? 65535 : 0;
  if (pixels instanceof Int16Array) return top ? 32767 : -32768;
  const range = 16 * (image.maxPixelValue - image.minPixelValue);
  return top ? image.maxPixelValue + range : image.minPixelValue - range;
}

/** The first of one or several finite numbers; null where there is none. */
function first(values: Values | undefined): number | null {
  const value = Array.isArray(values) ? values[0] : values;
  if (value === undefined || value === null || value === "") return null;
  return Number.isFinite(Number(value)) ? Number(value) : null;
}

function word(value: string | string[] | undefined): string {
  return String((Array.isArray(value) ? value[0] : value) ?? "").trim().toUpperCase();
}
