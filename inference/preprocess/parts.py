"""Which regions of a frame are anatomic parts? Markers, frames and noise are not."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from inference.preprocess.collimation import WHITE, air_limit, shutters

SMALL = 0.015  # of the frame: a component below is a marker or noise
MINOR = 0.25  # of the largest component: less is a fragment or a helper's finger
FAINT = 0.2  # of the most contrast to air: less is uneven air
CLOSE = 0.2  # a size this near to one of these limits is decided on the full frame
NEAR = 0.06  # of the longer side: a fragment within belongs to the part
HALO = 0.05  # of the part's length: soft tissue fainter than the threshold, kept
RIM = 0.008  # of the longer side: film edges
THESIS_SMALL = 0.05  # of the frame


@dataclass(frozen=True)
class Part:
    """One anatomic part on the analysis grid.

    body: what is surely the part. keep: what of the frame its view shows; both
    bool (rows, columns). air: the grey level that is black in the view.
    """

    body: np.ndarray
    keep: np.ndarray
    air: int = 0


def by_shutters(pixels: np.ndarray, *, split: bool) -> tuple[list[Part], bool]:
    """The parts of a frame, left to right, at least one; was no size close?

    pixels: uint8, dense is bright. Without `split` all parts are one.
    """
    blocked = shutters(pixels)
    calm = cv2.GaussianBlur(pixels, (5, 5), 0)
    dim = calm[~blocked & (calm < WHITE * np.percentile(calm, 99.9))]
    if not dim.size:
        return [_whole(pixels)], True
    level = air_limit(dim)
    solid = _opened((calm > level) & ~blocked)
    labels, main, fragments, sure = _components(solid, calm)
    if not main:
        return [_whole(pixels)], sure
    air = min(int(np.percentile(calm, 10)), int(level))
    groups = [[n] for n in main] if split else [main]
    return _shares(labels, groups, fragments, blocked, air), sure


def by_otsu(pixels: np.ndarray, *, split: bool) -> tuple[list[Part], bool]:
    """The thesis's splitter: Otsu, components, drop the small, the rest are parts."""
    _, bright = cv2.threshold(pixels, 0, 255, cv2.THRESH_OTSU)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bright)
    areas = stats[1:, cv2.CC_STAT_AREA]
    large = 1 + np.flatnonzero(areas >= THESIS_SMALL * pixels.size)
    whole = np.ones(pixels.shape, bool)
    if not split or len(large) < 2:
        return [Part(whole, whole)], True
    found = []
    for label in large[np.argsort(stats[large, cv2.CC_STAT_LEFT])]:
        left, top, width, height, _ = stats[label]
        box = np.zeros(pixels.shape, bool)
        box[top : top + height, left : left + width] = True
        found.append(Part(labels == label, box))
    return found, True


RULES: dict[str, Callable[..., tuple[list[Part], bool]]] = {
    "shutters": by_shutters,
    "otsu": by_otsu,
}


def _whole(pixels: np.ndarray) -> Part:
    everything = np.ones(pixels.shape, bool)
    return Part(np.zeros(pixels.shape, bool), everything)


def _components(
    solid: np.ndarray, calm: np.ndarray
) -> tuple[np.ndarray, list[int], list[int], bool]:
    """Labels; the parts, left to right; what may be bits of parts; all clear?"""
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(solid)
    areas = stats[:, cv2.CC_STAT_AREA]
    large = [n for n in range(1, count) if areas[n] >= SMALL * solid.size]
    anatomic = [n for n in large if not _leftover(labels == n)]
    if not anatomic:
        return labels, [], [], True
    air = np.percentile(calm[solid == 0], 75) if (solid == 0).any() else 0
    height = {n: np.percentile(calm[labels == n], 75) - air for n in anatomic}
    highest = max(height.values())
    tall = [n for n in anatomic if height[n] >= min(FAINT * highest, highest)]
    enough = max(MINOR * areas[tall].max(), SMALL * solid.size)
    main = [n for n in tall if areas[n] >= enough]
    main.sort(key=lambda n: tuple(centroids[n]))
    near = np.abs(areas[1:] / enough - 1) < CLOSE
    return labels, main, sorted({*range(1, count)} - {*large} | {*main}), not near.any()


def _opened(solid: np.ndarray) -> np.ndarray:
    """Without film edges and thin bridges, uint8."""
    solid = solid.astype(np.uint8)
    rim = max(round(RIM * max(solid.shape)), 1)
    solid[:rim] = solid[-rim:] = solid[:, :rim] = solid[:, -rim:] = 0
    side = 2 * rim - 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.morphologyEx(solid, cv2.MORPH_OPEN, kernel)


def _leftover(component: np.ndarray) -> bool:
    """A shallow band along an edge or a long thin strip is what a shutter left."""
    contours, _ = cv2.findContours(
        component.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    area, side = component.sum(), max(component.shape)
    length = max(cv2.minAreaRect(contours[0])[1])
    if length > 0.55 * side and area / length < 0.065 * side:
        return True
    rim = 2 * max(round(RIM * side), 1)
    for band in (component, component[::-1], component.T, component.T[::-1]):
        along = band[:rim].any(axis=0).mean()
        if along > 0.4 and area < 0.12 * along * component.size:
            return True
    return False


def _shares(
    labels: np.ndarray,
    groups: list[list[int]],
    fragments: list[int],
    blocked: np.ndarray,
    air: int,
) -> list[Part]:
    """Every pixel belongs to the part nearest to it, if it is near to any."""
    distances = [_distance(np.isin(labels, group)) for group in groups]
    nearest = np.argmin(distances, axis=0)
    found = []
    for index, distance in enumerate(distances):
        mine = nearest == index
        close = np.unique(labels[(distance <= NEAR * max(labels.shape)) & mine])
        body = np.isin(labels, np.intersect1d(close, fragments)) & mine
        keep = (_distance(body) <= HALO * _length(body)) & mine & ~blocked
        found.append(Part(body, keep, air))
    return found


def _length(body: np.ndarray) -> float:
    return max(cv2.minAreaRect(cv2.findNonZero(body.astype(np.uint8)))[1])


def _distance(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
