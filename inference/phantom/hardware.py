"""What is on or in a wrist that is not wrist: casts, plates, screws, wires."""

import cv2
import numpy as np

from inference.phantom.fracture import trace
from inference.phantom.projection import Pose
from inference.phantom.skeleton import Bone

STEEL = 0.45  # lost per mm


def add_cast(
    lost: np.ndarray, arm: np.ndarray, place: Pose, rng: np.random.Generator
) -> None:
    """Wrap `arm` (mask at half size) from the forearm to the knuckles; in place."""
    pitch = place.pitch / 2
    wall, air = rng.uniform(3.5, 7), rng.uniform(0.5, 2.5)
    sleeve = np.zeros(arm.shape, np.uint8)
    far, near = rng.uniform(-92, -66), rng.uniform(60, 170)
    ends = np.array([[-90, near + 6], [90, near - 6], [90, far - 4], [-90, far + 4]])
    cv2.fillPoly(sleeve, [np.rint(place.scaled(0.5)(ends)).astype(np.int32)], 1)
    outside = cv2.distanceTransform(1 - arm.astype(np.uint8), cv2.DIST_L2, 5) / pitch
    shell = ((outside < air + wall) & (sleeve > 0)).astype(np.uint8)
    shell = cv2.morphologyEx(
        shell, cv2.MORPH_CLOSE, np.ones((max(int(9 * pitch), 1) | 1,) * 2, np.uint8)
    )
    deep = cv2.distanceTransform(shell, cv2.DIST_L2, 5) / np.float32(pitch)
    radius = np.float32(max(float(deep.max()), wall + 1))
    outer, inner = (np.clip(deep - cut, 0, radius - cut) for cut in (0, wall))
    path = np.sqrt(outer * (2 * radius - outer))
    path -= np.sqrt(inner * (2 * (radius - wall) - inner))
    weave = rng.standard_normal(arm.shape, np.float32)
    weave = cv2.GaussianBlur(weave, (0, 0), 3.5 * pitch, sigmaY=0.9 * pitch)
    weave *= np.float32(0.1 / max(float(weave.std()), 1e-6))
    thick = path * (1 + weave) * np.float32(rng.uniform(0.025, 0.055))
    lost += cv2.resize(thick, lost.shape[::-1])


def add_metal(
    lost: np.ndarray,
    bones: list[Bone],
    view: str,
    place: Pose,
    rng: np.random.Generator,
) -> None:
    """Plate and screws, or wires, in the end of the radius; in place."""
    radius = next(bone for bone in bones if bone.name == "radius")
    top, foot = radius.axis
    down = (foot - top) / np.hypot(*(foot - top))
    side = np.array([-down[1], down[0]])
    size = radius.radius / 8.5
    frame = (top, down * size, side * size)
    draw = _wires if rng.random() < 0.35 else _plate
    draw(lost, frame, view, place, rng)


def _at(frame: tuple, u: float, v: float) -> np.ndarray:
    """`u` mm down the radius from its end, `v` mm to the side."""
    top, down, side = frame
    return top + u * down + v * side


def _wires(
    lost: np.ndarray, frame: tuple, view: str, place: Pose, rng: np.random.Generator
) -> None:
    lean = 0.24 if view == "pa" else 0.1
    for start in rng.uniform(-12, -4, 2):
        foot, slope = rng.uniform(48, 75), rng.normal(lean, 0.1)
        line = [(-8.0, start - 2.5), (-6.0, start), (foot, start + slope * (foot + 6))]
        _rod(lost, np.array([_at(frame, *point) for point in line]), 1.6, place)


def _plate(
    lost: np.ndarray, frame: tuple, view: str, place: Pose, rng: np.random.Generator
) -> None:
    length = rng.uniform(38, 62)
    holes = np.arange(20, length, 8)
    if view == "lateral":
        spine = np.array(
            [_at(frame, u, -10 + 0.05 * u) for u in (6, 12, 22, length + 4)]
        )
        _rod(lost, spine, 2.6, place)
        for u in (7, 10, *holes):
            reach = rng.uniform(15, 18) if u < 14 else 13
            _rod(
                lost,
                np.array([_at(frame, u, -10), _at(frame, u - 1, reach - 10)]),
                2.2,
                place,
            )
        return
    _rod(lost, np.array([_at(frame, u, 0) for u in (12, length + 4)]), 8.5, place, 2.2)
    _rod(lost, np.array([_at(frame, 9, v) for v in (-9, 9)]), 9, place, 2.2)
    for u, v in [(8, -9), (9, -3), (9, 3), (8, 9)] + [(u, 0) for u in holes]:
        tip = np.array([_at(frame, u, v), _at(frame, u - 1, v + rng.normal(0, 0.8))])
        _rod(lost, tip, 4.4, place, 6)


def _rod(
    lost: np.ndarray,
    line: np.ndarray,
    width: float,
    place: Pose,
    deep: float | None = None,
) -> None:
    drawn = trace(lost.shape, place(line), width * place.pitch)
    lost += drawn * np.float32(STEEL * (deep or width * 2.4))
