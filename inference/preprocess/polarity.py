"""Is the background white? Then the frame is a negative of what we expect."""

from collections.abc import Callable

import cv2
import numpy as np

from inference.preprocess.collimation import shutters

LIMIT = 100  # of 255: the thesis's threshold
PATCH = 10  # a corner patch is this part of a side
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
    inner = pixels[_within(pixels)]
    if min(inner.shape) < 8:
        return False
    rim = max(inner.shape) // RIM if min(inner.shape) > 32 else 0
    core = slice(rim, -rim or None)
    calm = cv2.GaussianBlur(inner, (5, 5), 0)[core, core]
    blocked = shutters(inner) | shutters(255 - inner)
    values = calm[~blocked[core, core]]
    if not values.size:
        return False
    counts = np.bincount(values, minlength=256).astype(float)
    commonest = np.convolve(counts, np.ones(9), "same").argmax()
    return bool(commonest > np.percentile(values, (2, 98)).mean())


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


def _within(pixels: np.ndarray) -> tuple[slice, slice]:
    """What remains when even lines are taken off all four sides."""
    return _uneven(pixels.std(axis=1)), _uneven(pixels.std(axis=0))


def _uneven(spread: np.ndarray) -> slice:
    lines = np.flatnonzero(spread > EVEN)
    return slice(lines[0], lines[-1] + 1) if len(lines) else slice(0, 0)
