"""Where did the shutters, a frame or the edge of a pasted film leave a white area?

Unexposed film is as bright as bone. Taken for anatomy it joins what lies apart,
turns the axis, and makes a dark background look white.
"""

import cv2
import numpy as np

WHITE = 0.55  # of the brightest: unexposed film is far from air, bone is nearer
LONG = 0.3  # of a side: longer than a bone is thick
DEEP = 0.35  # of the frame: nothing deeper is a shutter
THIN = 0.04  # of the longer side
FLAT = 7  # grey levels between neighbours, upper quartile; bone and flesh have more
DARK = 0.28  # of the shutter's brightness: air beside it; soft tissue is brighter
FADING = 0.45  # the same beside a band along a whole side, whose border is blurred
COMMON = 0.4  # of the commonest grey
EVEN = 8  # grey levels; a line that spans less may belong to a frame
APART = 20  # grey levels between a frame and what it encloses
EDGE = 0.015  # of the longer side: what begins within reaches the edge


def calmed(pixels: np.ndarray) -> np.ndarray:
    """Without the finest noise; what all decisions look at."""
    return cv2.GaussianBlur(pixels, (5, 5), 0)


def histogram(values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """How many pixels have each of the 256 levels; mask: uint8, 0 leaves out."""
    return cv2.calcHist([values], [0], mask, [256], [0, 256]).ravel().astype(float)


def level_at(counts: np.ndarray, share: float) -> int:
    """The grey level that `share` of the pixels do not exceed."""
    below = np.cumsum(counts)
    return int(np.searchsorted(below, share * below[-1]))


def air_level(counts: np.ndarray) -> int:
    """The darkest grey that is common: neither a gap between films nor flesh."""
    common = np.convolve(counts, np.ones(5), "same")
    first = int(np.argmax(common >= COMMON * common.max()))
    falling = np.flatnonzero(np.diff(common[first:]) < 0)
    return first + int(falling[0]) if len(falling) else first


def air_limit(counts: np.ndarray) -> int:
    """The grey level between air and soft tissue: Otsu on a logarithmic scale.

    X-rays fade exponentially, so on a linear scale Otsu often cuts between
    soft tissue and bone and loses the fingers.
    """
    counts = counts.copy()
    counts[: air_level(counts)] = 0
    return _otsu(counts, np.log1p(np.arange(256)))


def unframed(pixels: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns within a frame: even lines of another grey than the next.

    Air is even too, but goes on in the lines beside it.
    """
    return _unframed(pixels, axis=1), _unframed(pixels, axis=0)


def shutters(calm: np.ndarray) -> np.ndarray:
    """Mask of the white areas that are not anatomy, bool (rows, columns).

    They reach the edge, are long, and border on air; bone lies within soft
    tissue, so its surroundings are bright.
    """
    found = np.zeros(calm.shape, bool)
    limit = WHITE * level_at(histogram(calm), 0.999)
    white = (calm >= limit).view(np.uint8)
    if min(calm.shape) < 32 or not 0.002 < white.mean() < 0.9:
        return found
    for axis, side in enumerate(calm.shape):
        kernel = np.ones((1, 1), np.uint8).repeat(round(LONG * side), axis=axis)
        runs = cv2.morphologyEx(white, cv2.MORPH_OPEN, kernel)
        if cv2.countNonZero(runs):
            _add_shutters(found, runs, calm)
    return found


def _otsu(counts: np.ndarray, scale: np.ndarray) -> int:
    """The level that separates two classes best (Otsu 1979), on any scale."""
    below = np.cumsum(counts)
    above = below[-1] - below
    mass = np.cumsum(counts * scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    return int(np.nanargmax(between)) if np.isfinite(between).any() else 0


def _add_shutters(found: np.ndarray, runs: np.ndarray, calm: np.ndarray) -> None:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(runs, ltype=cv2.CV_16U)
    margin = round(0.025 * max(calm.shape)) + 2
    for label in range(1, count):
        if _may_be_shutter(stats[label], calm.shape):
            left, top, width, height = stats[label, :4]
            near = (
                slice(max(top - margin, 0), top + height + margin),
                slice(max(left - margin, 0), left + width + margin),
            )
            area = (labels[near] == label).view(np.uint8)
            if _is_shutter(area, stats[label], calm[near], calm.shape):
                found[near] |= _grown(area, 0.012, calm.shape)


def _may_be_shutter(box: np.ndarray, shape: tuple[int, int]) -> bool:
    (left, top, width, height, area), (rows, columns) = box, shape
    margin = min(left, top, columns - left - width, rows - top - height)
    shallow = min(area / height / columns, area / width / rows) <= DEEP
    reaches = margin <= EDGE * max(shape)
    return reaches and shallow and area >= 0.003 * rows * columns


def _is_shutter(
    area: np.ndarray, box: np.ndarray, calm: np.ndarray, shape: tuple[int, int]
) -> bool:
    beside = _grown(area, 0.025, shape) & ~_grown(area, 0.012, shape)
    counts = histogram(calm, beside.view(np.uint8))
    if not counts.any():
        return False
    brightness = cv2.mean(calm, area)[0]
    limit = FADING if _spans(area, box, calm, shape) else DARK
    return level_at(counts, 0.5) <= limit * brightness


def _spans(
    area: np.ndarray, box: np.ndarray, calm: np.ndarray, shape: tuple[int, int]
) -> bool:
    """Is it a thin or an even band along a whole side?"""
    _, _, width, height, size = box
    if max(width / shape[1], height / shape[0]) < 0.9 or size < 0.85 * width * height:
        return False
    thin = min(size / width, size / height) <= THIN * max(shape)
    return thin or _roughness(calm, area) < FLAT


def _roughness(calm: np.ndarray, area: np.ndarray) -> float:
    square = np.ones((3, 3), np.uint8)
    counts = histogram(
        cv2.morphologyEx(calm, cv2.MORPH_GRADIENT, square), cv2.erode(area, square)
    )
    return level_at(counts, 0.75) if counts.any() else 255


def _grown(area: np.ndarray, share: float, shape: tuple[int, int]) -> np.ndarray:
    """Dilated by `share` of the frame's longer side."""
    side = 2 * round(share * max(shape)) + 1
    return cv2.dilate(area, np.ones((side, side), np.uint8)) > 0


def _unframed(pixels: np.ndarray, *, axis: int) -> slice:
    highest = pixels.max(axis=axis).astype(int)
    spread = highest - pixels.min(axis=axis)
    uneven = np.flatnonzero(spread > EVEN)
    if not len(uneven):
        return slice(None)
    first, last = uneven[0], uneven[-1]
    inner = np.median(pixels.take([first, last], axis=1 - axis), axis=axis)
    framed = np.abs(inner - highest[[0, -1]]) > APART
    return slice(first if framed[0] else 0, last + 1 if framed[1] else len(spread))
