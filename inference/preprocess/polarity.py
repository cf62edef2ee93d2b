"""Is the background white? Then the frame is a negative of what we expect."""

from collections.abc import Callable

import cv2
import numpy as np

LIMIT = 100  # of 255: the thesis's threshold


def corners(pixels: np.ndarray) -> bool:
    """The thesis's rule: the four corner patches are bright on average."""
    rows, columns = (max(side // 10, 1) for side in pixels.shape)
    patches = [pixels[y, x] for y in _ends(rows) for x in _ends(columns)]
    return bool(np.mean([patch.mean() for patch in patches]) >= LIMIT)


def border(pixels: np.ndarray) -> bool:
    """The rim within any frame is brighter than what it encloses."""
    inner = pixels[_within(pixels)]
    if min(inner.shape) < 8:
        return False
    level, _ = cv2.threshold(inner, 0, 255, cv2.THRESH_OTSU)
    rim = np.ones(inner.shape, bool)
    rim[tuple(slice(side // 16 + 1, -(side // 16) - 1) for side in inner.shape)] = False
    return bool((inner[rim] > level).mean() > 0.6)


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
    """What remains when uniform lines are taken off all four sides."""
    return tuple(_busy(pixels.std(axis=axis)) for axis in (1, 0))


def _busy(spread: np.ndarray) -> slice:
    lines = np.flatnonzero(spread > 4)
    return slice(lines[0], lines[-1] + 1) if len(lines) else slice(0, 0)
