"""Which regions of a frame are anatomic parts? Markers, frames and noise are not."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from inference.preprocess.collimation import (
    WHITE,
    air_level,
    air_limit,
    calmed,
    histogram,
    level_at,
    shutters,
    unframed,
)

SMALL = 0.015  # of the frame: a component below is a marker or noise
MINOR = 0.25  # of the largest component: less is a fragment or a helper's finger
FAINT = 0.2  # of the most contrast to air: less is uneven air
FAINTEST = 0.55  # of the way from air to the limit: fingertips, not noise
FLOOD = 1.6  # times the part: what grows more with its faint surroundings leaks out
SHALLOW = 0.12  # of the frame: what a shutter's blurred border leaves is less deep
CLOSE = 0.2  # a size this near to one of these limits is decided on the full frame
NEAR = 0.06  # of the longer side: a fragment within belongs to the part
HALO = 0.05  # of the part's length: soft tissue fainter than the threshold, kept
RIM = 0.008  # of the longer side: film edges
THESIS_SMALL = 0.05  # of the frame


@dataclass(frozen=True)
class Part:
    """One anatomic part on the analysis grid.

    body: what is surely the part. keep: what of the frame its view shows; both
    uint8 (rows, columns), 0 or 1. air: the grey level that is black in the view.
    """

    body: np.ndarray
    keep: np.ndarray
    air: int = 0


@dataclass(frozen=True)
class Components:
    """labels: (rows, columns), 0 is air. main: the parts, left to right.

    bits: small ones that may belong to a part. sure: no size was close.
    """

    labels: np.ndarray
    main: list[int]
    bits: list[int]
    sure: bool


def by_shutters(pixels: np.ndarray, *, split: bool) -> tuple[list[Part], bool]:
    """The parts of a frame, left to right, at least one; was no size close?

    pixels: uint8, dense is bright. Without `split` all parts are one.
    """
    calm = calmed(pixels)
    clear = np.zeros(pixels.shape, np.uint8)
    clear[unframed(pixels)] = 1
    clear[shutters(calm)] = 0
    counts = histogram(calm, clear)
    dim = counts.copy()
    dim[int(WHITE * level_at(histogram(calm), 0.999)) + 1 :] = 0
    if not dim.any():
        return [_whole(pixels)], True
    limit = air_limit(dim)
    components = _components((calm > limit).view(np.uint8) & clear, calm, limit)
    if not components.main:
        return [_whole(pixels)], components.sure
    groups = [[n] for n in components.main] if split else [components.main]
    faint = _faint(pixels, dim, limit) & clear
    air = min(level_at(counts, 0.1), limit)
    shares = _shares(components, groups, faint)
    return [Part(body, keep & clear, air) for body, keep in shares], components.sure


def by_otsu(pixels: np.ndarray, *, split: bool) -> tuple[list[Part], bool]:
    """The thesis's splitter: Otsu, components, drop the small, the rest are parts."""
    _, bright = cv2.threshold(pixels, 0, 1, cv2.THRESH_OTSU)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bright)
    areas = stats[1:, cv2.CC_STAT_AREA]
    large = 1 + np.flatnonzero(areas >= THESIS_SMALL * pixels.size)
    if not split or len(large) < 2:
        whole = np.ones(pixels.shape, np.uint8)
        return [Part(whole, whole)], True
    found = []
    for label in large[np.argsort(stats[large, cv2.CC_STAT_LEFT])]:
        left, top, width, height, _ = stats[label]
        box = np.zeros(pixels.shape, np.uint8)
        box[top : top + height, left : left + width] = 1
        found.append(Part((labels == label).view(np.uint8), box))
    return found, True


RULES: dict[str, Callable[..., tuple[list[Part], bool]]] = {
    "shutters": by_shutters,
    "otsu": by_otsu,
}


def _whole(pixels: np.ndarray) -> Part:
    return Part(np.zeros(pixels.shape, np.uint8), np.ones(pixels.shape, np.uint8))


def _components(solid: np.ndarray, calm: np.ndarray, limit: int) -> Components:
    solid = _opened(solid)
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(
        solid, ltype=cv2.CV_16U
    )
    areas = stats[:, cv2.CC_STAT_AREA]
    large = [n for n in range(1, count) if areas[n] >= SMALL * solid.size]
    anatomic = [n for n in large if not _leftover(labels, n, stats[n])]
    if not anatomic:
        return Components(labels, [], [], sure=True)
    heights = [_upper_quartile(calm, labels, n, stats[n]) - limit for n in anatomic]
    tall = [n for n, h in zip(anatomic, heights) if h >= FAINT * max(heights)]
    enough = max(MINOR * areas[tall].max(), SMALL * solid.size)
    main = [n for n in tall if areas[n] >= enough]
    main.sort(key=lambda n: tuple(centroids[n]))
    bits = sorted({*range(1, count)} - {*large})
    near = np.abs(areas[1:] / enough - 1) < CLOSE
    return Components(labels, main, bits, sure=not near.any())


def _faint(pixels: np.ndarray, dim: np.ndarray, limit: int) -> np.ndarray:
    air = air_level(dim)
    smooth = cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape) / 180)
    faint = (smooth > air + FAINTEST * (limit - air)).view(np.uint8)
    return _without_rim(faint, max(round(1.5 * RIM * max(pixels.shape)), 1))


def _without_rim(solid: np.ndarray, rim: int) -> np.ndarray:
    solid[:rim] = solid[-rim:] = solid[:, :rim] = solid[:, -rim:] = 0
    return solid


def _opened(solid: np.ndarray) -> np.ndarray:
    """Without film edges and thin bridges."""
    rim = max(round(RIM * max(solid.shape)), 1)
    side = 2 * rim - 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.morphologyEx(_without_rim(solid, rim), cv2.MORPH_OPEN, kernel)


def _crop(box: np.ndarray) -> tuple[slice, slice]:
    left, top, width, height = box[:4]
    return slice(top, top + height), slice(left, left + width)


def _upper_quartile(
    calm: np.ndarray, labels: np.ndarray, label: int, box: np.ndarray
) -> int:
    crop = _crop(box)
    return level_at(histogram(calm[crop], (labels[crop] == label).view(np.uint8)), 0.75)


def _leftover(labels: np.ndarray, label: int, box: np.ndarray) -> bool:
    """A shallow band along an edge or a long thin strip is what a shutter left."""
    area, side = box[cv2.CC_STAT_AREA], max(labels.shape)
    length = _length((labels[_crop(box)] == label).view(np.uint8))
    if length > 0.55 * side and area / length < 0.065 * side:
        return True
    return any(
        _hugs(edge, label, area)
        for edge in (labels, labels[::-1], labels.T, labels.T[::-1])
    )


def _hugs(labels: np.ndarray, label: int, area: int) -> bool:
    """Does the component lie along the first row, and hardly anywhere else?"""
    rim = 2 * max(round(RIM * max(labels.shape)), 1)
    along = (labels[:rim] == label).any(axis=0).mean()
    if along <= 0.4 or area >= SHALLOW * along * labels.size:
        return False
    shallow = round(2 * SHALLOW * len(labels))
    return (labels[:shallow] == label).sum() > 0.8 * area


def _shares(
    components: Components, groups: list[list[int]], faint: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(body, what its view shows) of each part: all that is nearest to it.

    faint: what is a little denser than air, as fingertips are.
    """
    whole = np.ones(faint.shape, np.uint8)
    territories = [whole] * len(groups)
    if len(groups) > 1:
        distances = [_distance(_among(components.labels, group)) for group in groups]
        nearest = np.argmin(distances, axis=0)
        territories = [(nearest == n).view(np.uint8) for n in range(len(groups))]
    shares = []
    for group, mine in zip(groups, territories):
        body = _with_bits(components, group, mine)
        seen = _with_faint(body, faint & mine)
        halo = cv2.compare(_distance(seen), HALO * _length(body), cv2.CMP_LE)
        shares.append((body, halo & mine))
    return shares


def _with_bits(
    components: Components, group: list[int], mine: np.ndarray
) -> np.ndarray:
    """A part with its fragments, each near to the last."""
    labels, own = components.labels, np.array(group)
    while True:
        body = _among(labels, own) & mine
        if not components.bits:
            return body
        reach = cv2.compare(_distance(body), NEAR * max(labels.shape), cv2.CMP_LE)
        near = np.intersect1d(np.unique(labels[(reach & mine) > 0]), components.bits)
        if len(near) + len(group) == len(own):
            return body
        own = np.concatenate([group, near])


def _with_faint(body: np.ndarray, faint: np.ndarray) -> np.ndarray:
    """A part with what is faint and joined to it, unless that is uneven air."""
    _, labels = cv2.connectedComponents(body | faint, ltype=cv2.CV_16U)
    grown = _among(labels, np.unique(labels[body > 0]))
    return grown if grown.sum() <= FLOOD * body.sum() else body


def _among(labels: np.ndarray, chosen: list[int] | np.ndarray) -> np.ndarray:
    table = np.zeros(int(labels.max()) + 1, np.uint8)
    table[chosen] = 1
    return table[labels]


def _length(body: np.ndarray) -> float:
    contours, _ = cv2.findContours(body, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return max(cv2.minAreaRect(np.concatenate(contours))[1], default=1.0)


def _distance(body: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(1 - body, cv2.DIST_L2, 3)
