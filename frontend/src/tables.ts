/**
 * Modality and VOI LUT of a loaded image, worked into its pixels.
 *
 * cornerstone draws slopes and windows and leaves tables out. Looked up here as
 * inference/grayscale.py does it, so that people see what the model was given: a VOI
 * LUT goes before a window, values beyond a table take its nearest entry.
 */

import { type Types, utilities } from "@cornerstonejs/core";

export interface Range {
  lower: number;
  upper: number;
}

interface Item {
  LUTDescriptor?: [entries: number, first: number, bits: number];
  LUTData?: (ArrayBuffer | number)[];
}

export interface Tabled {
  PixelRepresentation?: number;
  ModalityLUTSequence?: Item[];
  VOILUTSequence?: Item[];
}

interface Table {
  first: number;
  bits: number;
  values: Uint16Array;
}

/**
 * Replace the pixels of `image` by what its tables make of them.
 *
 * Gives the range of what a VOI LUT made; null where there is none.
 */
export function applyTables(image: Types.IImage, header: Tabled): Range | null {
  const isSigned = header.PixelRepresentation === 1;
  const modality = tableOf(header.ModalityLUTSequence?.[0], isSigned);
  // What a modality table gives is unsigned (PS3.3 C.11.1.1.1).
  const voi = tableOf(header.VOILUTSequence?.[0], isSigned && !modality);
  const table = modality && voi ? chained(modality, voi) : (modality ?? voi);
  if (table) replace(image, lookUp(table, image.getPixelData()));
  return voi && { lower: 0, upper: 2 ** voi.bits - 1 };
}

function tableOf(item: Item | undefined, isSigned: boolean): Table | null {
  if (!item?.LUTDescriptor || !Array.isArray(item.LUTData)) return null;
  const [, first, bits] = item.LUTDescriptor;
  const [only] = item.LUTData;
  const values = new Uint16Array(
    only instanceof ArrayBuffer ? only : (item.LUTData as number[]),
  );
  // The descriptor's second value has the sign of the pixels, whatever its VR says.
  return values.length ? { first: isSigned ? (first << 16) >> 16 : first, bits, values } : null;
}

function chained(one: Table, other: Table): Table {
  return { ...one, bits: other.bits, values: lookUp(other, one.values) };
}

function lookUp({ first, values }: Table, pixels: ArrayLike<number>): Uint16Array {
  const last = values.length - 1;
  const found = new Uint16Array(pixels.length);
  for (let i = 0; i < found.length; i++) {
    const at = Math.trunc(pixels[i] as number) - first;
    found[i] = values[at < 0 ? 0 : at > last ? last : at] as number;
  }
  return found;
}

function replace(image: Types.IImage, pixels: Uint16Array): void {
  const { width, height } = image;
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({
    scalarData: pixels,
    width,
    height,
    numberOfComponents: 1,
  });
  let [least, most] = [Infinity, -Infinity];
  for (const value of pixels) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  Object.assign(image, {
    dataType: "Uint16Array",
    minPixelValue: least,
    maxPixelValue: most,
    sizeInBytes: pixels.byteLength,
    voxelManager,
    getPixelData: () => pixels,
  });
}
