/**
 * Where a pixel of the frame lies on the screen, and back.
 *
 * Frame coordinates are (x, y) in pixels, x to the right; (0, 0) is the outer corner
 * of the first pixel and (columns, rows) that of the last. Canvas coordinates are CSS
 * pixels from the upper left of the viewport.
 */

import type { Types } from "@cornerstonejs/core";

export type Point = [number, number];

/** x' = a·x + c·y + e, y' = b·x + d·y + f: the order of CSS `matrix()`. */
export type Affine = [number, number, number, number, number, number];

/**
 * Frame -> canvas, from three corners of the image as cornerstone has it now.
 *
 * Its voxel indices count centres, so that the corner is half a voxel before index 0.
 * Corners rather than spacing: they hold when the texture is smaller than the frame.
 * null: nothing is drawn yet.
 */
export function frameToCanvas(
  viewport: Types.IStackViewport,
  columns: number,
  rows: number,
): Affine | null {
  const image = viewport.getImageData();
  if (!image) return null;
  const [width, height] = image.dimensions;
  const grid = image.imageData as { indexToWorld(index: number[]): Types.Point3 };
  const corner = (i: number, j: number): Types.Point2 =>
    viewport.worldToCanvas(grid.indexToWorld([i - 0.5, j - 0.5, 0]));
  const [e, f] = corner(0, 0);
  const [rightX, rightY] = corner(width, 0);
  const [downX, downY] = corner(0, height);
  return [
    (rightX - e) / columns,
    (rightY - f) / columns,
    (downX - e) / rows,
    (downY - f) / rows,
    e,
    f,
  ];
}

export function apply([a, b, c, d, e, f]: Affine, [x, y]: Point): Point {
  return [a * x + c * y + e, b * x + d * y + f];
}

export function invert([a, b, c, d, e, f]: Affine): Affine {
  const det = a * d - b * c;
  return [
    d / det,
    -b / det,
    -c / det,
    a / det,
    (c * f - d * e) / det,
    (b * e - a * f) / det,
  ];
}
