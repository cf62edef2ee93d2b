"""From beam lost to 12-bit pixels: tone, scatter, noise, frame and lettering."""

from dataclasses import dataclass

import cv2
import numpy as np

FULL = 4095


@dataclass(frozen=True)
class Exposure:
    """base: level of unshielded air. knee: beam lost at 63 % of full brightness.
    contrast: exponent of the tone curve; above 1, flesh darkens more than bone.

    heel: slope of the beam, (x, y), over the plate. grain: noise of the open
    beam. fog: scattered share. blur: in pixels of the finished image.
    """

    base: float
    knee: float
    contrast: float
    heel: tuple[float, float]
    grain: float
    fog: float
    blur: float


def exposure(rng: np.random.Generator) -> Exposure:
    return Exposure(
        base=rng.uniform(0.03, 0.16),
        knee=rng.uniform(1.2, 2.4),
        contrast=rng.uniform(0.9, 1.35),
        heel=(rng.normal(0, 0.05), rng.normal(0, 0.05)),
        grain=rng.uniform(0.008, 0.022),
        fog=rng.uniform(0.03, 0.1),
        blur=rng.uniform(0.45, 0.8),
    )


def expose(
    lost: np.ndarray,
    shape: tuple[int, int],
    settings: Exposure,
    noise: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """`lost` (any size) as seen by a detector of `shape`: float32 in [0, 1]."""
    small = cv2.resize(lost, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    veil = cv2.resize(cv2.GaussianBlur(small, (0, 0), 8), lost.shape[::-1])
    lost = lost * np.float32(1 - settings.fog) + veil * np.float32(settings.fog)
    if lost.shape != shape:
        lost = cv2.resize(lost, shape[::-1], interpolation=cv2.INTER_CUBIC)
    lost = cv2.GaussianBlur(lost, (0, 0), settings.blur * max(shape[0] / 512, 1) ** 0.5)
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)
    lost = lost + np.float32(settings.heel[0]) * x + np.float32(settings.heel[1]) * y
    lost += 0.012 * np.float32(noise) * _stripes(shape, rng)
    # Fewer photons behind the bone: noise grows with what was lost.
    grain = rng.standard_normal(shape, np.float32)
    lost += grain * np.exp(lost * 0.42) * np.float32(settings.grain * noise)
    toned = 1 - np.exp(-np.maximum(lost, 0) / np.float32(settings.knee))
    return settings.base + (1 - settings.base) * toned**settings.contrast


def _stripes(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Faint bands that a plate reader leaves along its scan lines."""
    rows = rng.standard_normal((shape[0], 1), np.float32)
    return cv2.GaussianBlur(rows, (1, 0), sigmaX=0.1, sigmaY=2) * 2


def collimate(image: np.ndarray, rng: np.random.Generator) -> None:
    """White where the beam never came: bands at some sides, ragged; in place."""
    rows, columns = image.shape
    sides = rng.choice([True, False], 4) if rng.random() < 0.6 else np.ones(4, bool)
    sides[rng.integers(4)] = True
    shade = np.full(image.shape, 1e3, np.float32)
    y = np.arange(rows, dtype=np.float32)[:, None]
    x = np.arange(columns, dtype=np.float32)[None]
    for side, along, away in zip(
        range(4), (x, x, y, y), (y, rows - 1 - y, x, columns - 1 - x)
    ):
        if sides[side]:
            edge = rng.uniform(0.02, 0.09) * max(image.shape)
            tilt = rng.normal(0, 0.012) * along
            shade = np.minimum(shade, away - edge - tilt)
    soft = max(image.shape) / 512 * rng.uniform(0.6, 2.5)
    open_beam = 1 / (1 + np.exp(-np.clip(shade / soft, -30, 30)))
    image *= open_beam
    image += (1 - open_beam) * np.float32(rng.uniform(0.9, 1.0))


def letter(image: np.ndarray, side: str, text: str, rng: np.random.Generator) -> None:
    """A lead letter for the side in one corner, sometimes a printed line; in place."""
    rows, columns = image.shape
    unit = min(rows, columns) / 400
    x = rng.uniform(0.04, 0.12) if rng.random() < 0.5 else rng.uniform(0.82, 0.9)
    y = rng.uniform(0.1, 0.2) if rng.random() < 0.5 else rng.uniform(0.86, 0.94)
    stamp = np.zeros(image.shape, np.uint8)
    style, thick = (cv2.FONT_HERSHEY_SIMPLEX, max(round(2.4 * unit), 1))
    at = (int(x * columns), int(y * rows))
    cv2.putText(stamp, side, at, style, 0.95 * unit, 255, thick, cv2.LINE_AA)
    if text:
        below = (int(0.14 * columns), int(0.975 * rows))
        cv2.putText(stamp, text, below, style, 0.36 * unit, 230, 1, cv2.LINE_AA)
    np.maximum(image, stamp * np.float32(0.97 / 255), out=image)
