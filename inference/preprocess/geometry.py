"""Affine maps between frame, analysis grid and view: (2, 3), (x, y, 1) -> (x, y)."""

import cv2
import numpy as np

ANALYSIS = 350  # pixels of the longer side that decisions need


def reduction(shape: tuple[int, ...]) -> int:
    """By which whole factor a frame may shrink for its analysis."""
    return max(max(shape) // ANALYSIS, 1) if min(shape) > ANALYSIS // 2 else 1


def area_shrunk(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Each `factor` x `factor` block becomes its mean; what is left over is cut."""
    rows, columns = (side // factor * factor for side in pixels.shape)
    if factor == 1 or not rows or not columns:
        return pixels
    size = (columns // factor, rows // factor)
    return cv2.resize(pixels[:rows, :columns], size, interpolation=cv2.INTER_AREA)


def shrinking(factor: int) -> np.ndarray:
    """The affine of `area_shrunk`: a block's centre is its pixel's centre."""
    offset = -(factor - 1) / 2 / factor
    return np.array([[1 / factor, 0, offset], [0, 1 / factor, offset]])


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The affine that applies `inner` first."""
    return outer @ np.vstack([inner, (0, 0, 1)])


def place(keep: np.ndarray, turn: float, width: int, height: int) -> np.ndarray:
    """Turn a part by `turn` degrees, counter-clockwise as seen, and fit its box.

    keep: uint8 (rows, columns), not empty. The aspect is kept, the box centred.
    """
    contours, _ = cv2.findContours(keep, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = np.concatenate(contours)[:, 0, :]
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    rotation = np.array([[cos, sin], [-sin, cos]])
    turned = outline @ rotation.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    scale = min(np.array([width, height]) / (high - low + 1))
    middle = np.array([width - 1, height - 1]) / 2
    shift = middle - scale * (low + high) / 2
    return np.column_stack([scale * rotation, shift])


def warp(
    pixels: np.ndarray, affine: np.ndarray, size: tuple[int, int], *, outside: int
) -> np.ndarray:
    """Resample once, from an area shrink where the view is much coarser.

    size: (width, height).
    """
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    factor = min(max(int(1 / scale), 1), *pixels.shape)
    left, top, right, bottom = _needed(affine, size, pixels.shape, factor)
    source = area_shrunk(pixels[top:bottom, left:right], factor)
    cropped = np.array([[1.0, 0, left], [0, 1.0, top]])
    offset = (factor - 1) / 2
    grown = np.array([[factor, 0, offset], [0, factor, offset]])
    from_source = compose(affine, compose(cropped, grown))
    return cv2.warpAffine(source, from_source, size, borderValue=outside)


def warped_mask(
    mask: np.ndarray, affine: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """uint8 (height, width), 255 inside, 0 outside and beyond the mask's frame.

    mask: uint8, 0 or 1.
    """
    warped = cv2.warpAffine(mask * 255, affine, size, flags=cv2.INTER_LINEAR)
    return cv2.threshold(warped, 127, 255, cv2.THRESH_BINARY)[1]


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


def _needed(
    affine: np.ndarray, size: tuple[int, int], shape: tuple[int, ...], factor: int
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the frame pixels that the view shows."""
    width, height = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) - 0.5
    back = cv2.invertAffineTransform(affine)
    seen = corners @ back[:, :2].T + back[:, 2]
    bounds = np.array(shape[::-1])
    low = np.clip(np.floor(seen.min(axis=0)) - 2 * factor, 0, bounds - factor)
    high = np.clip(np.ceil(seen.max(axis=0)) + 2 * factor, low + factor, bounds)
    return (*low.astype(int), *high.astype(int))
