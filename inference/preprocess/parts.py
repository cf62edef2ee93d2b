"""Which regions of a frame are anatomic parts? Markers and noise are not."""

import cv2
import numpy as np

SMALL = 0.05  # of the frame: a component below is a marker or noise


def find(pixels: np.ndarray, *, split: bool) -> list[np.ndarray]:
    """Masks of the parts, bool (rows, columns), left to right; at least one.

    pixels: uint8, dense is bright. Each pixel belongs to the part nearest to
    it, so that soft tissue below the threshold is kept.
    """
    whole = np.ones(pixels.shape, bool)
    if not split or min(pixels.shape) < 16:
        return [whole]
    _, bright = cv2.threshold(pixels, 0, 255, cv2.THRESH_OTSU)
    _, labels, stats, centroids = cv2.connectedComponentsWithStats(bright)
    areas = stats[1:, cv2.CC_STAT_AREA]
    large = 1 + np.flatnonzero(areas >= SMALL * pixels.size)
    large = large[np.argsort(centroids[large, 0])]
    if len(large) < 2:
        return [whole]
    distances = [_distance(labels == label) for label in large]
    nearest = np.argmin(distances, axis=0)
    return [nearest == index for index in range(len(large))]


def _distance(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
