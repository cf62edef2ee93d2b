"""Where did the shutters, a frame or the edge of a pasted film leave a white area?

Unexposed film is as bright as bone. Taken for anatomy it joins what lies apart,
turns the axis, and makes a dark background look white.
"""

import cv2
import numpy as np

WHITE = 0.55  # of the brightest: unexposed film is far from air, bone is nearer
BAND, STRIP = 0.3, 0.3  # of the width, of the height: longer than a bone is thick
THIN = 0.04  # of the longer side
DARK = 0.28  # of the shutter's brightness: air beside it; soft tissue is brighter
DEEP = 0.35  # of the frame: nothing deeper is a shutter
FLAT = 7  # grey levels between neighbours, upper quartile; bone and flesh have more


def shutters(pixels: np.ndarray) -> np.ndarray:
    """Mask of the white areas that are not anatomy, bool (rows, columns).

    They reach the edge, are long and flat, and border on air; bone lies within
    soft tissue, so its neighbourhood is bright.
    """
    nothing = np.zeros(pixels.shape, bool)
    if min(pixels.shape) < 32:
        return nothing
    calm = cv2.medianBlur(pixels, 5)
    white = calm >= WHITE * np.percentile(calm, 99.9)
    if not 0.002 < white.mean() < 0.9:
        return nothing
    found = nothing
    rows, columns = pixels.shape
    for kernel in ((1, round(BAND * columns)), (round(STRIP * rows), 1)):
        long = cv2.morphologyEx(
            white.astype(np.uint8), cv2.MORPH_OPEN, np.ones(kernel, np.uint8)
        )
        found = found | _shutters_among(long, calm)
    return found


def air_limit(values: np.ndarray) -> float:
    """The grey level between air and soft tissue: Otsu on a logarithmic scale.

    X-rays fade exponentially, so on a linear scale Otsu often cuts between
    soft tissue and bone and loses the fingers.
    """
    counts = np.bincount(values.ravel(), minlength=256).astype(float)
    counts[: np.convolve(counts, np.ones(5), "same").argmax()] = 0
    return float(_otsu(counts, np.log1p(np.arange(256))))


def _otsu(counts: np.ndarray, scale: np.ndarray) -> int:
    """The level that separates two classes best (Otsu 1979), on any scale."""
    below = np.cumsum(counts)
    above = below[-1] - below
    mass = np.cumsum(counts * scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    return int(np.nanargmax(between)) if np.isfinite(between).any() else 0


def _shutters_among(long: np.ndarray, calm: np.ndarray) -> np.ndarray:
    found = np.zeros(long.shape, bool)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(long)
    for label in range(1, count):
        if _may_be_shutter(stats[label], long.shape):
            area = (labels == label).astype(np.uint8)
            if _is_shutter(area, stats[label], calm):
                found |= _grown(area, 0.012)
    return found


def _may_be_shutter(box: np.ndarray, shape: tuple[int, int]) -> bool:
    (left, top, width, height, area), (rows, columns) = box, shape
    edge = 0.015 * max(shape)
    reaches = min(left, top, columns - left - width, rows - top - height) <= edge
    shallow = min(area / height / columns, area / width / rows) <= DEEP
    return reaches and shallow and area >= 0.003 * rows * columns


def _is_shutter(area: np.ndarray, box: np.ndarray, calm: np.ndarray) -> bool:
    _, _, width, height, size = box
    rows, columns = area.shape
    rough = _roughness(calm, area)
    whole = max(width / columns, height / rows) > 0.9 and size > 0.85 * width * height
    thin = min(size / width, size / height) <= THIN * max(area.shape)
    if whole and (thin or rough < FLAT):
        return True
    around = _grown(area, 0.025) & ~_grown(area, 0.012)
    if not around.any():
        return False
    return bool(np.median(calm[around]) <= DARK * calm[area > 0].mean())


def _roughness(calm: np.ndarray, area: np.ndarray) -> float:
    inside = cv2.erode(area, np.ones((3, 3), np.uint8)) > 0
    if not inside.any():
        return 255.0
    steps = cv2.morphologyEx(calm, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return float(np.percentile(steps[inside], 75))


def _grown(area: np.ndarray, share: float) -> np.ndarray:
    """Dilated by `share` of the longer side."""
    side = 2 * round(share * max(area.shape)) + 1
    return cv2.dilate(area, np.ones((side, side), np.uint8)) > 0
