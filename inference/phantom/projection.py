"""From outlines in millimetres to how much of the beam each pixel loses."""

from dataclasses import dataclass

import cv2
import numpy as np

from inference.phantom.fracture import Fracture, scored, slipped, trace
from inference.phantom.skeleton import Bone, rotation

COMPACT, SPONGY, FLESH = 0.098, 0.024, 0.0285  # lost per mm (natural logarithm)


@dataclass(frozen=True)
class Pose:
    """matrix: 2x3, canonical mm -> pixel (x, y). pitch: pixels a millimetre."""

    matrix: np.ndarray
    pitch: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) mm to (N, 2) pixels."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def scaled(self, factor: float) -> "Pose":
        return Pose(self.matrix * factor, self.pitch * factor)


def pose(
    pitch: float, degrees: float, mirror: bool, middle: np.ndarray, at: np.ndarray
) -> Pose:
    """Put the canonical point `middle` (mm) on pixel `at`, turned clockwise."""
    linear = rotation(degrees) * pitch
    if mirror:
        linear = linear @ np.diag([-1.0, 1.0])
    return Pose(np.column_stack([linear, at - linear @ middle]), pitch)


def flesh(
    outline: np.ndarray,
    fingers: list[np.ndarray],
    depth: float,
    place: Pose,
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Beam lost in soft tissue, float32 `shape`, and the mask of it at half size."""
    half = place.scaled(0.5)
    mask = np.zeros(((shape[0] + 1) // 2, (shape[1] + 1) // 2), np.uint8)
    cv2.fillPoly(mask, [_fixed(half(outline))], 255, cv2.LINE_8, 4)
    for finger in fingers:
        for width, part in ((19, finger[:2]), (17.5, finger[1:3]), (15, finger[2:])):
            thick = max(round(width * half.pitch), 1)
            cv2.polylines(mask, [_fixed(half(part))], False, 255, thick, cv2.LINE_8, 4)
    # Webs between fingers are round, and so is a wrist.
    mask = cv2.GaussianBlur(mask, (0, 0), 1.6 * half.pitch)
    inside = cv2.distanceTransform((mask > 127).view(np.uint8), cv2.DIST_L2, 3)
    inside = cv2.GaussianBlur(inside, (0, 0), 0.55 * half.pitch) / np.float32(
        half.pitch
    )
    thickness = 7.2 * depth * np.sqrt(20 * np.tanh(inside / 20))
    lost = cv2.resize(thickness * np.float32(FLESH), shape[::-1])
    return lost, mask > 127


def add_bone(
    lost: np.ndarray,
    bone: Bone,
    place: Pose,
    texture: np.ndarray,
    fracture: Fracture | None,
    dense: float,
) -> np.ndarray | None:
    """Add what `bone` takes of the beam to `lost`; the mask of its break, if any.

    The mask is bool, shaped like `lost`.
    """
    outline = bone.outline if fracture is None else slipped(bone.outline, fracture)
    window = _window(place(bone.outline), lost.shape, margin=round(4 * place.pitch) + 2)
    if window is None:
        return None
    corner = np.array([window[1].start, window[0].start])
    mask = np.zeros(lost[window].shape, np.uint8)
    cv2.fillPoly(mask, [_fixed(place(outline) - corner)], 255, cv2.LINE_8, 4)
    density = _tube(mask, bone, place, corner, texture[window])
    if bone.physis is not None:
        density = _grow(density, bone, place, corner)
    line = None
    if fracture is not None:
        lines = [place(line) - corner for line in fracture.lines]
        density, cut = scored(density, lines, fracture, place.pitch)
        line = np.zeros(lost.shape, bool)
        line[window] = cut
    lost[window] += density * np.float32(dense)
    return line


def _tube(
    mask: np.ndarray, bone: Bone, place: Pose, corner: np.ndarray, texture: np.ndarray
) -> np.ndarray:
    """Beam lost in a hollow bone: wall and filling by the chords of two circles."""
    deep = cv2.distanceTransform(mask, cv2.DIST_L2, 5) / np.float32(place.pitch)
    wall = _wall(mask.shape, bone, place, corner)
    radius = np.float32(min(bone.radius, float(deep.max()) + 0.1))
    outer = _chord(deep, radius)
    inner = _chord(deep - wall, np.maximum(radius - wall, 0.2))
    marrow = (wall - bone.cortex[0]) / np.float32(max(np.ptp(bone.cortex), 0.5))
    spongy = SPONGY * (1 - 0.55 * marrow) * (1 + 0.21 * texture)
    return COMPACT * (outer - inner) + spongy * inner


def _chord(deep: np.ndarray, radius: np.ndarray | np.float32) -> np.ndarray:
    deep = np.clip(deep, 0, radius)
    return 2 * np.sqrt(deep * (2 * radius - deep))


def _wall(
    shape: tuple[int, int], bone: Bone, place: Pose, corner: np.ndarray
) -> np.ndarray:
    """Thickness of the cortex at every pixel, mm: thin at the ends of a bone."""
    start, end = place(bone.axis) - corner
    step = (end - start) / ((end - start) @ (end - start))
    y, x = np.ogrid[: shape[0], : shape[1]]
    t = ((x - start[0]) * step[0] + (y - start[1]) * step[1]).astype(np.float32)
    thin, thick = bone.cortex
    middle = np.clip(np.minimum(t - 0.06, 0.96 - t) * 6, 0, 1)
    return np.float32(thin) + np.float32(thick - thin) * middle


def _grow(
    density: np.ndarray, bone: Bone, place: Pose, corner: np.ndarray
) -> np.ndarray:
    """Open the growth plate: a dark, wavy band between two bright ones."""
    start, end = bone.axis
    along = (end - start) / np.hypot(*(end - start))
    across = np.array([-along[1], along[0]])
    v = np.linspace(-20, 20, 41)
    swing = 0.9 * np.sin(v / 3.1) - 0.012 * v**2 * (bone.radius > 5)
    line = (
        start
        + bone.physis * (end - start)
        + np.outer(v, across)
        + np.outer(swing, along)
    )
    line = place(line) - corner
    dark = cv2.GaussianBlur(trace(density.shape, line, 1.3 * place.pitch), (3, 3), 0)
    rim = cv2.GaussianBlur(
        trace(density.shape, line, 3.4 * place.pitch), (0, 0), 0.5 * place.pitch
    )
    return density * (1 + 0.3 * rim) * (1 - 0.78 * dark)


def _window(
    points: np.ndarray, shape: tuple[int, int], margin: int
) -> tuple[slice, slice] | None:
    left, top = np.floor(points.min(axis=0)).astype(int) - margin
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + margin
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, shape[1]), min(bottom, shape[0])
    if right - left < 3 or bottom - top < 3:
        return None
    return slice(top, bottom), slice(left, right)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixels to OpenCV's fixed point with 4 fractional bits."""
    return np.rint(points * 16).astype(np.int32)
