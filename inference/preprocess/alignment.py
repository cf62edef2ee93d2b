"""How far must a part be turned to stand upright, fingers up?"""

import cv2
import numpy as np

ROUND = 1.5  # ratio of the principal variances below which there is no axis


def turn(pixels: np.ndarray, part: np.ndarray) -> float:
    """Degrees counter-clockwise, (-180, 180]; 0 where no axis can be told.

    pixels: uint8 (rows, columns), dense is bright. part: bool mask.
    """
    body = _body(pixels, part)
    moments = cv2.moments(body, binaryImage=True)
    if not moments["m00"]:
        return 0.0
    covariance = np.array(
        [[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]
    )
    (minor, major), vectors = np.linalg.eigh(covariance)
    if major < ROUND * max(minor, 1e-9):
        return 0.0
    axis = vectors[:, 1]
    axis = axis if axis[1] < 0 else -axis
    return float(np.rad2deg(np.arctan2(axis[0], -axis[1])))


def _body(pixels: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The part without holes and specks: 0 or 255, uint8."""
    inside = np.where(part, pixels, 0).astype(np.uint8)
    _, bright = cv2.threshold(inside, 0, 255, cv2.THRESH_OTSU)
    side = max(min(pixels.shape) // 40, 1)
    kernel = np.ones((side, side), np.uint8)
    closed = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, kernel)
    return cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel)
