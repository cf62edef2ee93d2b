/** The window an image opens with when only a VOI LUT says what matters in it. */

import { metaData } from "@cornerstonejs/core";
import { Enums } from "@cornerstonejs/metadata";

const NEGLIGIBLE = 0.01; // of the table's height: flat ends are not part of the window

export interface Range {
  lower: number;
  upper: number;
}

interface Table {
  LUTDescriptor?: [entries: number, first: number, bits: number];
  LUTData?: (ArrayBuffer | number)[] | number;
}

interface Header {
  WindowCenter?: unknown;
  PixelRepresentation?: number;
  VOILUTSequence?: Table[];
}

/**
 * The input values over which the table of a loaded image rises (PS3.3 C.11.2.1.1).
 *
 * cornerstone draws windows and not tables, so a table is shown as the window that
 * comes nearest. null: the image has a window of its own, or no table.
 */
export function tableRange(imageId: string): Range | null {
  const header = metaData.get(Enums.MetadataModules.NATURALIZED, imageId) as Header | undefined;
  const table = header?.VOILUTSequence?.[0];
  if (!header || !table?.LUTDescriptor || header.WindowCenter !== undefined) return null;
  const values = valuesOf(table);
  if (values.length < 2) return null;
  const ends = [values[0] as number, values.at(-1) as number];
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const margin = (high - low) * NEGLIGIBLE;
  const rises = (value: number): boolean => value > low + margin && value < high - margin;
  const start = values.findIndex(rises);
  const end = values.findLastIndex(rises);
  const first = signed(table.LUTDescriptor[1], header.PixelRepresentation === 1);
  return start < end ? { lower: first + start, upper: first + end } : null;
}

function valuesOf({ LUTData: data }: Table): number[] {
  if (!Array.isArray(data)) return [];
  const [only] = data;
  return only instanceof ArrayBuffer ? [...new Uint16Array(only)] : (data as number[]);
}

/** The descriptor's second value has the sign of the pixels, whatever its VR says. */
function signed(value: number, isSigned: boolean): number {
  return isSigned ? (value << 16) >> 16 : value;
}
