"""Is the background white? Then the frame is a negative of what we expect."""

from collections.abc import Callable

import cv2
import numpy as np

from inference.preprocess.collimation import calmed, histogram, level_at, shutters

LIMIT = 100  # of 255: the thesis's threshold
PATCH = 10  # a corner patch is this part of a side
GRID = 200  # pixels of the longer side that this needs
RIM = 20  # what is taken off each side is this part of the longer one
EVEN = 3  # grey levels; a line that varies less belongs to a frame


def corners(pixels: np.ndarray) -> bool:
    """The thesis's rule: the four corner patches are bright on average."""
    rows, columns = (max(side // PATCH, 1) for side in pixels.shape)
    patches = [pixels[y, x] for y in _ends(rows) for x in _ends(columns)]
    return bool(np.mean([patch.mean() for patch in patches]) >= LIMIT)


def border(pixels: np.ndarray) -> bool:
    """The commonest grey within frames and shutters is a bright one.

    Air is one even level and the largest of its kind, wherever the anatomy
    lies; corners and edges may belong to anything.
    """
    coarse = _coarse(pixels)
    inner = coarse[_within(coarse)]
    if min(inner.shape) < 8:
        return False
    calm = calmed(inner)
    open_field = ~(shutters(calm) | shutters(255 - calm))
    rim = max(inner.shape) // RIM
    if min(inner.shape) > 4 * rim:
        open_field[:rim] = open_field[-rim:] = False
        open_field[:, :rim] = open_field[:, -rim:] = False
    counts = histogram(calm, open_field.view(np.uint8))
    commonest = np.convolve(counts, np.ones(9), "same").argmax()
    return bool(commonest > (level_at(counts, 0.02) + level_at(counts, 0.98)) / 2)


def none(pixels: np.ndarray) -> bool:
    """Leave every frame as it is."""
    return False


RULES: dict[str, Callable[[np.ndarray], bool]] = {
    "border": border,
    "corners": corners,
    "none": none,
}


def _ends(length: int) -> tuple[slice, slice]:
    return slice(None, length), slice(-length, None)


def _coarse(pixels: np.ndarray) -> np.ndarray:
    step = max(max(pixels.shape) // GRID, 1) if min(pixels.shape) else 1
    if step == 1:
        return pixels
    size = (pixels.shape[1] // step, pixels.shape[0] // step)
    return (
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if all(size) else pixels
    )


def _within(pixels: np.ndarray) -> tuple[slice, slice]:
    """What remains when even lines are taken off all four sides."""
    return _uneven(pixels.std(axis=1)), _uneven(pixels.std(axis=0))


def _uneven(spread: np.ndarray) -> slice:
    lines = np.flatnonzero(spread > EVEN)
    return slice(lines[0], lines[-1] + 1) if len(lines) else slice(0, 0)
