"""How far must a part be turned to stand upright, fingers up?

Principal components give the axis; which of its ends is the hand they cannot
say. Three things tell, whatever the frame's edges do: the hand's end is
narrower, its outline is longer, and its bones have ends, which draw lines
across the axis where shafts draw them along it.
"""

from collections.abc import Callable

import cv2
import numpy as np

ROUND = 1.5  # ratio of the principal variances below which there is no axis
TRUNK = 5.5  # the same for a part that fills much of the frame: it may be no limb
MUCH = 0.35  # of the frame
GRID = 220  # pixels of the longer side that telling the ends apart needs
ENDS = np.array([-2.4, 2.4, 0.7])  # weights of width, outline, lines across
KERNEL_SHARE = 40  # the thesis's morphology: a kernel of this part of a side


def hand_up(pixels: np.ndarray, body: np.ndarray) -> tuple[float, bool]:
    """Degrees counter-clockwise, (-180, 180], 0 if none can be told; is it clear?

    pixels: uint8 (rows, columns), dense is bright. body: 0 or 1, the part.
    """
    axis, ratio = _axis(body)
    least = TRUNK if body.mean() > MUCH else ROUND
    if ratio < least:
        return 0.0, ratio == 0 or ratio < 0.8 * least
    if ENDS @ _more_above(pixels, body, axis) < 0:
        axis = -axis
    return _degrees(axis), ratio >= 1.2 * least


def axis_up(pixels: np.ndarray, body: np.ndarray) -> tuple[float, bool]:
    """The thesis's alignment: Otsu, close, open, principal axis upright.

    Its acos loses the sign of the angle; this keeps it and turns the short way.
    """
    _, bright = cv2.threshold(pixels, 0, 255, cv2.THRESH_OTSU)
    side = max(min(pixels.shape) // KERNEL_SHARE, 1)
    kernel = np.ones((side, side), np.uint8)
    closed = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, kernel)
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel) > 0
    axis, ratio = _axis(opened.view(np.uint8) & body)
    told = ratio > 0 and not opened.all()
    return (_degrees(axis) if told else 0.0), True


RULES: dict[str, Callable[[np.ndarray, np.ndarray], tuple[float, bool]]] = {
    "hand": hand_up,
    "axis": axis_up,
}


def _axis(body: np.ndarray) -> tuple[np.ndarray, float]:
    """The principal axis (x, y), upwards, and the ratio of variances; 0 if empty."""
    moments = cv2.moments(body, binaryImage=True)
    covariance = np.array(
        [[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]
    )
    (minor, major), vectors = np.linalg.eigh(covariance)
    if major <= 0:
        return np.array([0.0, -1.0]), 0.0
    axis = vectors[:, 1]
    return (-axis if axis[1] > 0 else axis), major / max(minor, major * 1e-9)


def _degrees(axis: np.ndarray) -> float:
    return float(np.rad2deg(np.arctan2(axis[0], -axis[1])))


def _more_above(pixels: np.ndarray, body: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Log ratios, end along `axis` to other end: width, outline, lines across."""
    step = max(round(max(pixels.shape) / GRID), 1)
    size = tuple(max(side // step, 1) for side in pixels.shape[::-1])
    grey = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    solid = cv2.resize(body, size, interpolation=cv2.INTER_NEAREST)
    height = _height(solid, axis)
    return np.array(
        [
            _width(solid, height),
            _outline(solid, height),
            _lines(grey, solid, axis, height),
        ]
    )


def _height(solid: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Where along the axis each pixel lies, the part's ends at -1 and 1."""
    rows, columns = np.ogrid[: solid.shape[0], : solid.shape[1]]
    along = (columns * axis[0] + rows * axis[1]).astype(np.float32)
    inside = along[solid > 0]
    low, high = (inside.min(), inside.max()) if inside.size else (0, 1)
    return (along - low) / max(high - low, 1) * 2 - 1


def _width(solid: np.ndarray, height: np.ndarray) -> float:
    upper = solid[(height > 0.75) & (height < 0.92)].sum(dtype=float)
    lower = solid[(height < -0.75) & (height > -0.92)].sum(dtype=float)
    return _log_ratio(upper, lower, 1)


def _outline(solid: np.ndarray, height: np.ndarray) -> float:
    """Length of outline, without where the frame's edge cuts the part."""
    rim = max(round(0.012 * max(solid.shape)), 2)
    edge = cv2.morphologyEx(solid, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    edge[:rim] = edge[-rim:] = edge[:, :rim] = edge[:, -rim:] = False
    return _log_ratio((edge & (height > 0.2)).sum(), (edge & (height < -0.2)).sum(), 10)


def _lines(
    grey: np.ndarray, solid: np.ndarray, axis: np.ndarray, height: np.ndarray
) -> float:
    calm = cv2.GaussianBlur(grey, (0, 0), max(max(grey.shape) / GRID, 0.8))
    right = cv2.Sobel(calm, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(calm, cv2.CV_32F, 0, 1)
    across = np.abs(right * axis[0] + down * axis[1])
    along = np.abs(down * axis[0] - right * axis[1])
    rim = 2 * max(round(0.012 * max(solid.shape)), 2) + 1
    inside = cv2.erode(solid, np.ones((rim, rim), np.uint8)) > 0
    upper, lower = (inside & end for end in (height > 0.34, height < -0.34))
    if not upper.any() or not lower.any():
        return 0.0
    shares = [across[end].mean() / (along[end].mean() + 1e-3) for end in (upper, lower)]
    return _log_ratio(*shares, 1e-3)


def _log_ratio(upper: float, lower: float, least: float) -> float:
    return float(np.log((upper + least) / (lower + least)))
