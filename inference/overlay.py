"""From relevance on views to one picture that lies on the frame, and its peak.

Red speaks for a fracture, blue against. Full colour is the 99.5th percentile of the
strength over this image: colours compare places in one image, not two images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

RED, BLUE = (255, 40, 40), (40, 110, 255)
FULL = 99.5  # percentile of |relevance| drawn in full colour
DEAD = 0.1  # below this share of it nothing is drawn: the radiograph stays clear
OPAQUE = 224  # alpha, of 255, of full colour
GRAIN = 1.5  # view pixels; relevance finer than this is speckle to the eye
FINGER = 1 / 48  # of a view's longer side; a fingertip finds the peak: most relevance


@dataclass(frozen=True)
class Overlay:
    """png: RGBA over the whole frame, its longer side at most `max_side` pixels.

    peak: (x, y) in frame pixels where most speaks for a fracture, if anything does.
    """

    png: bytes
    peak: tuple[float, float] | None


def render(
    relevances: Sequence[tuple[np.ndarray, np.ndarray]],
    shape: tuple[int, int],
    max_side: int = 1024,
) -> Overlay:
    """Draw the relevance of the views of one frame.

    relevances: for each view its relevance (height, width) and its affine (2, 3),
    frame pixel (x, y, 1) -> view pixel (x, y). shape: the frame's (rows, columns).
    Where views overlap the stronger relevance is drawn.
    """
    scale = min(1.0, max_side / max(shape))
    rows, columns = (max(1, round(side * scale)) for side in shape)
    from_small = _enlargement(shape, (rows, columns))
    drawn = np.zeros((rows, columns), np.float32)
    smooth = [_blurred(relevance, GRAIN) for relevance, _ in relevances]
    for relevance, (_, affine) in zip(smooth, relevances):
        warped = cv2.warpAffine(
            relevance,
            np.asarray(affine, float) @ from_small,
            (columns, rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        drawn = np.where(np.abs(warped) > np.abs(drawn), warped, drawn)
    return Overlay(_png(_rgba(drawn / _full(smooth))), _peak(relevances, shape))


def peak(relevance: np.ndarray) -> tuple[float, float, float]:
    """(x, y, strength) of the smoothed positive relevance at its highest."""
    finger = FINGER * max(relevance.shape)
    smooth = _blurred(np.maximum(relevance, 0), finger)
    _, strength, _, (x, y) = cv2.minMaxLoc(smooth)
    return float(x), float(y), strength


def _peak(
    relevances: Sequence[tuple[np.ndarray, np.ndarray]], shape: tuple[int, int]
) -> tuple[float, float] | None:
    peaks = [(*peak(relevance), affine) for relevance, affine in relevances]
    x, y, strength, affine = max(peaks, key=lambda found: found[2])
    if strength <= 0:
        return None
    back = cv2.invertAffineTransform(np.asarray(affine, float))
    column, row = back @ (x, y, 1.0)
    rows, columns = shape
    return float(np.clip(column, 0, columns - 1)), float(np.clip(row, 0, rows - 1))


def _enlargement(large: tuple[int, int], small: tuple[int, int]) -> np.ndarray:
    """(3, 3): pixel (x, y, 1) of the small grid -> the same place in the large one,
    pixel centres at whole numbers in both."""
    across, down = large[1] / small[1], large[0] / small[0]
    return np.array(
        [[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]]
    )


def _blurred(relevance: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(relevance.astype(np.float32), (0, 0), sigma)


def _full(smooth: Sequence[np.ndarray]) -> float:
    strengths = np.abs(np.stack(smooth))
    return float(np.percentile(strengths, FULL) or strengths.max() or 1.0)


def _rgba(signed: np.ndarray) -> np.ndarray:
    """Red above 0, blue below; alpha grows from DEAD to full colour at |1|."""
    strength = np.clip((np.abs(signed) - DEAD) / (1 - DEAD), 0, 1)
    picture = np.zeros((*signed.shape, 4), np.uint8)
    picture[signed > 0, :3], picture[signed < 0, :3] = RED, BLUE
    picture[..., 3] = np.rint(OPAQUE * strength)
    picture[picture[..., 3] == 0] = 0
    return picture


def _png(rgba: np.ndarray) -> bytes:
    bgra = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)
    _, data = cv2.imencode(".png", bgra, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return data.tobytes()
