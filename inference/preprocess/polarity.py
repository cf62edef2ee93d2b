"""Is the background white? Then the frame is a negative of what we expect."""

from collections.abc import Callable

import cv2
import numpy as np

from inference.preprocess.collimation import (
    calmed,
    histogram,
    level_at,
    shutters,
    unframed,
)

LIMIT = 100  # of 255: the thesis's threshold
PATCH = 10  # a corner patch is this part of a side
GRID = 180  # pixels of the longer side that this needs
LINE = 7  # pixels of that grid: wider than the wall of a bone
SQUARES = np.arange(256.0) ** 2
MOST = 0.5  # of the frame that shutters may cover
RIM = 20  # what is taken off each side is this part of the longer one


def corners(pixels: np.ndarray) -> bool:
    """The thesis's rule: the four corner patches are bright on average."""
    rows, columns = (max(side // PATCH, 1) for side in pixels.shape)
    patches = [pixels[y, x] for y in _ends(rows) for x in _ends(columns)]
    return bool(np.mean([patch.mean() for patch in patches]) >= LIMIT)


def border(pixels: np.ndarray) -> bool:
    """Within frames and shutters bright greys are the commonest, and lines dark.

    Air is one even level and the largest of its kind, wherever the anatomy
    lies; corners and edges may belong to anything. Where a tight crop has
    little air, bone tells: its thin lines are the brighter ones.
    """
    calm = calmed(_coarse(pixels[unframed(pixels)]))
    field = np.ones(calm.shape, np.uint8)
    for blocked in (shutters(calm), shutters(255 - calm)):
        if blocked.mean() <= MOST:  # more is air that a frame encloses
            field[blocked] = 0
    rim = max(calm.shape) // RIM
    if rim and min(calm.shape) > 4 * rim:
        field[:rim] = field[-rim:] = field[:, :rim] = field[:, -rim:] = 0
    return _darkness_of_air(calm, field) + _brightness_of_lines(calm, field) < 0


def _darkness_of_air(calm: np.ndarray, field: np.ndarray) -> float:
    """How far the commonest grey lies below the middle, -0.5 to 0.5."""
    counts = histogram(calm, field)
    low, high = level_at(counts, 0.02), level_at(counts, 0.98)
    commonest = int(np.convolve(counts, np.ones(9), "same").argmax())
    return ((low + high) / 2 - commonest) / (high - low + 1)


def _brightness_of_lines(calm: np.ndarray, field: np.ndarray) -> float:
    """Energy of thin bright structures against dark ones, -0.5 to 0.5."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (LINE, LINE))
    energies = [
        float((histogram(cv2.morphologyEx(calm, hat, kernel), field) * SQUARES).sum())
        for hat in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    ]
    return energies[0] / (sum(energies) + 1e-9) - 0.5 if sum(energies) else 0.0


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
