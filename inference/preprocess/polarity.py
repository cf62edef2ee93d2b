"""Is the background white? Then the frame is a negative of what we expect."""

from collections.abc import Callable

import cv2
import numpy as np

from inference.preprocess.collimation import calmed, histogram, level_at, shutters

LIMIT = 100  # of 255: the thesis's threshold
PATCH = 10  # a corner patch is this part of a side
GRID = 200  # pixels of the longer side that this needs
EVEN = 8  # grey levels; a line that spans less may belong to a frame
APART = 20  # grey levels between a frame and what it encloses
RIM = 20  # what is taken off each side is this part of the longer one


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
    calm = calmed(_coarse(pixels[_unframed(pixels), _unframed(pixels.T)]))
    open_field = ~(shutters(calm) | shutters(255 - calm))
    rim = max(calm.shape) // RIM
    if rim and min(calm.shape) > 4 * rim:
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


def _unframed(pixels: np.ndarray) -> slice:
    """The rows within a frame: even lines of another grey than the next.

    Air is even too, but goes on in the lines beside it.
    """
    spread = pixels.max(axis=1).astype(int) - pixels.min(axis=1)
    lines = np.flatnonzero(spread > EVEN)
    if not len(lines):
        return slice(None)
    first, last = lines[0], lines[-1]
    inner, outer = np.median(pixels[[first, last]], axis=1), pixels[[0, -1], 0]
    framed = np.abs(inner - outer) > APART
    return slice(first if framed[0] else 0, last + 1 if framed[1] else len(pixels))
