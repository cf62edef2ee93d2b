"""Affine maps between frame, analysis grid and view: (2, 3), (x, y, 1) -> (x, y)."""

import cv2
import numpy as np

ANALYSIS = 700  # pixels of the longer side that decisions need at least
QUARTER = 4
MARGIN = 0.02  # of the part's box, on each side


def shrunk(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frame for analysis, and the affine frame pixel -> its pixel."""
    factor = min(max(max(pixels.shape) // ANALYSIS, 1), QUARTER)
    return _area_shrink(pixels, factor), _shrink_affine(factor)


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The affine that applies `inner` first."""
    return outer @ np.vstack([inner, (0, 0, 1)])


def place(part: np.ndarray, turn: float, width: int, height: int) -> np.ndarray:
    """Turn `part` by `turn` degrees (counter-clockwise as seen) and fit its box.

    part: bool (rows, columns). The box keeps its aspect, centred in the view.
    """
    points = cv2.findNonZero(part.astype(np.uint8))
    outline = (
        cv2.convexHull(points)[:, 0, :] if points is not None else np.zeros((1, 2))
    )
    radians = np.deg2rad(turn)
    cos, sin = np.cos(radians), np.sin(radians)
    rotation = np.array([[cos, sin], [-sin, cos]])
    turned = outline @ rotation.T
    low, high = turned.min(axis=0) - 0.5, turned.max(axis=0) + 0.5
    extent = (high - low) * (1 + 2 * MARGIN)
    scale = min(width / extent[0], height / extent[1])
    middle = np.array([width - 1, height - 1]) / 2
    shift = middle - scale * (low + high) / 2
    return np.column_stack([scale * rotation, shift])


def warp(
    pixels: np.ndarray, affine: np.ndarray, size: tuple[int, int], *, outside: int
) -> np.ndarray:
    """One resampling, from an area shrink where the view is much coarser."""
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    factor = max(int(1 / scale), 1)
    source = _area_shrink(pixels, factor)
    from_source = compose(affine, _grow_affine(factor))
    return cv2.warpAffine(source, from_source, size, borderValue=outside)


def restore(
    relevance: np.ndarray, view_affine: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Map relevance on the view grid back onto the frame, 0 outside the view.

    relevance: (height, width). shape: (rows, columns). Returns float32.
    """
    return cv2.warpAffine(
        np.ascontiguousarray(relevance, dtype=np.float32),
        np.asarray(view_affine, dtype=np.float64),
        (shape[1], shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )


def _area_shrink(pixels: np.ndarray, factor: int) -> np.ndarray:
    rows, columns = (side // factor * factor for side in pixels.shape)
    if factor == 1 or not rows or not columns:
        return pixels
    size = (columns // factor, rows // factor)
    return cv2.resize(pixels[:rows, :columns], size, interpolation=cv2.INTER_AREA)


def _shrink_affine(factor: int) -> np.ndarray:
    offset = -(factor - 1) / 2 / factor
    return np.array([[1 / factor, 0, offset], [0, 1 / factor, offset]])


def _grow_affine(factor: int) -> np.ndarray:
    offset = (factor - 1) / 2
    return np.array([[factor, 0, offset], [0, factor, offset]])
