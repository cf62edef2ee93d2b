"""The bones and soft tissue of a left wrist as outlines, seen from back or side.

Canonical frame: millimetres, origin at the middle of the wrist joint, x to the
right, y down; fingers up. From the back (pa) the thumb is on the right, from the
side (lateral) the palm is. Sizes are those of an adult; a person scales them.
"""

from dataclasses import dataclass, replace

import numpy as np

Outline = np.ndarray  # float64 (N, 2), closed, mm


@dataclass(frozen=True)
class Bone:
    """One bone.

    axis: two points, from the wrist's end to the far end. cortex: thickness of
    the wall at the ends and in the shaft, mm. radius: half its depth, mm.
    """

    name: str
    outline: Outline
    axis: np.ndarray
    cortex: tuple[float, float]
    radius: float
    physis: float | None = None  # where along the axis it grows, [0, 1]


@dataclass(frozen=True)
class Person:
    """scale: of an adult man. child: growth plates open. dense: of the bones."""

    scale: float
    child: bool
    dense: float
    right: bool


def person(rng: np.random.Generator) -> Person:
    child = rng.random() < 0.3
    scale = rng.uniform(0.62, 0.85) if child else rng.uniform(0.86, 1.08)
    dense = rng.uniform(0.8, 1.1) if child else rng.uniform(0.65, 1.2)
    return Person(scale, child, dense, right=bool(rng.random() < 0.5))


RADIUS = {
    "pa": "19,300 19,110 18.5,70 19.5,50 22.3,30 25.2,15 26.4,6 25.8,-2 23.8,-8.2 "
    "21.8,-8.2 19,-5.6 13.5,-2.6 8,-.9 3,.2 -1.8,.3 -4.4,1.6 -4.9,5 -4.2,9.5 "
    "-1.5,17 1.5,28 4,42 5,60 5.2,80 5,110 5,300",
    "lateral": "-7,300 -7,110 -6.6,60 -7.4,36 -9,20 -10.4,10 -10.6,3 -9.4,-2.2 "
    "-5,.8 0,2.4 5,3.6 9.2,3.4 10.6,6 9.6,12 7.2,22 5.6,36 5,60 5.4,110 5.4,300",
}
ULNA = {
    "pa": "-19.4,300 -19.4,110 -19,70 -19.2,40 -20,22 -21.6,11 -22.3,4 -22.4,-2 "
    "-21.6,-4.6 -20.2,-3.6 -19.2,.4 -16.5,1.6 -12,1.6 -8.6,3.2 -7.2,7 -7.6,12 "
    "-8.8,22 -9,40 -8.6,70 -8.4,110 -8.4,300",
    "lateral": "-8.6,300 -8.6,110 -8.2,60 -8,34 -8.6,18 -9.6,9 -9.2,3.4 -7,0 "
    "-5.6,-4.4 -3.6,-4.2 -2.6,-.4 .6,1.2 3,4.4 3.2,9 2,18 1.6,34 1.8,60 1.6,300",
}
# name: centre x, y, half width, half height, turn in degrees, squareness
CARPALS = {
    "pa": {
        "scaphoid": (16.6, -14.4, 6.6, 12.2, 33, 2.3),
        "lunate": (4.0, -8.8, 8.2, 6.6, 8, 2.6),
        "triquetrum": (-10.6, -13.2, 6.6, 6.2, -28, 2.5),
        "pisiform": (-13.6, -15.6, 4.4, 4.8, 10, 2.2),
        "trapezium": (25.6, -28.4, 6.8, 6.6, 40, 2.8),
        "trapezoid": (15.4, -30.8, 5.6, 5.8, 10, 2.9),
        "capitate": (4.4, -26.2, 6.9, 12.0, 4, 2.5),
        "hamate": (-8.2, -27.0, 7.0, 9.6, -24, 2.7),
        "hook": (-7.6, -30.0, 2.6, 3.6, -20, 2.0),
    },
    "lateral": {
        "scaphoid": (5.4, -13.6, 5.6, 12.4, 42, 2.3),
        "lunate": (0.2, -5.4, 8.4, 6.2, 6, 2.5),
        "triquetrum": (-3.6, -12.4, 6.4, 6.6, 0, 2.5),
        "pisiform": (12.4, -12.6, 4.4, 5.6, 20, 2.2),
        "trapezium": (12.4, -28.6, 6.6, 7.2, 20, 2.6),
        "trapezoid": (3.0, -30.8, 6.2, 5.6, 0, 2.8),
        "capitate": (0.4, -22.4, 6.6, 11.6, 0, 2.5),
        "hamate": (-1.2, -26.0, 6.8, 9.4, 0, 2.6),
    },
}
# finger: x, y of every joint from the base of the metacarpal to the tip
RAYS = {
    "pa": {
        1: "31,-36 49.5,-73 62,-101 70,-122",
        2: "14.2,-38 20.4,-101 25.6,-142 28.4,-166 30,-185",
        3: "4.4,-39.6 4.2,-102 4.6,-146 4.8,-174 4.9,-194",
        4: "-5.2,-37.8 -11.2,-94 -14.6,-134 -16.8,-160 -18.2,-180",
        5: "-13.0,-35.2 -24.2,-85 -31,-116 -35.2,-134 -38,-151",
    },
    "lateral": {
        1: "13.5,-36.5 27,-73 34,-103 37,-124",
        2: "1.6,-38 4.6,-101 10,-142 13,-166 15,-185",
        3: "0.2,-39.6 0.8,-102 3.4,-146 5,-174 6,-194",
        4: "-1.2,-37.8 -2.4,-94 -1.6,-134 0,-160 1,-180",
        5: "-1.8,-35.2 -5.4,-85 -6,-116 -4.6,-134 -4,-151",
    },
}
GIRTH = {  # half widths at base, shaft and head
    0: (6.9, 4.0, 6.9),
    1: (6.5, 4.0, 4.9),
    2: (5.2, 3.4, 4.2),
    3: (4.6, 2.2, 3.0),
}
ARM = {
    "pa": "-33,300 -33,110 -29,55 -28,15 -29,-12 -33,-40 -37,-75 -38,-92 -20,-104 "
    "4,-110 26,-106 33,-92 38,-70 40,-45 33,-15 32,10 33,55 37,110 37,300",
    "lateral": "-25,300 -25,110 -20,55 -17,15 -15,-12 -13,-40 -13,-75 -14,-100 "
    "-4,-112 8,-110 14,-90 21,-60 22,-30 18,-8 18,12 22,55 27,110 27,300",
}
SNUG = 1.09  # carpal bones leave little room between them
GROWTH = 0.046  # where radius and ulna grow, as a share of what is drawn of them
NAMES = ("metacarpal", "proximal_phalanx", "middle_phalanx", "distal_phalanx")


def skeleton(view: str, owner: Person, rng: np.random.Generator) -> list[Bone]:
    """Every bone in `view`, jittered by `rng` and scaled to `owner`."""
    bones = [_forearm("radius", RADIUS[view], 8.5), _forearm("ulna", ULNA[view], 6.5)]
    bones += [_carpal(name, *shape) for name, shape in CARPALS[view].items()]
    for finger, joints in RAYS[view].items():
        bones += _ray(finger, _points(joints))
    return [_grown(_varied(bone, rng), owner) for bone in bones]


def soft_tissue(view: str, owner: Person) -> tuple[Outline, list[np.ndarray]]:
    """The arm and palm as an outline, the fingers as lines to be drawn thick; mm."""
    fingers = [_points(joints) * owner.scale for joints in RAYS[view].values()]
    return smooth(_points(ARM[view])) * owner.scale, fingers


def smooth(points: np.ndarray, steps: int = 10) -> Outline:
    """A closed Catmull-Rom curve through `points` (N, 2): (N * steps, 2)."""
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    before, here, after, beyond = (
        np.roll(points, shift, axis=0)[:, None] for shift in (1, 0, -1, -2)
    )
    curve = (
        2 * here
        + (after - before) * t
        + (2 * before - 5 * here + 4 * after - beyond) * t**2
        + (3 * here - before - 3 * after + beyond) * t**3
    )
    return (curve / 2).reshape(-1, 2)


def _points(text: str) -> np.ndarray:
    return np.array([pair.split(",") for pair in text.split()], float)


def _forearm(name: str, outline: str, radius: float) -> Bone:
    points = _points(outline)
    foot = points[[0, -1]].mean(axis=0)
    middle = points[np.abs(points[:, 1]) < 14].mean(axis=0)
    axis = np.array([[middle[0], points[:, 1].min()], foot])
    return Bone(name, smooth(points), axis, (0.8, 2.6), radius, physis=GROWTH)


def _carpal(
    name: str, x: float, y: float, wide: float, tall: float, turn: float, square: float
) -> Bone:
    """A rounded box (superellipse), a little waisted as carpal bones are."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    box = np.stack(
        [
            SNUG * wide * np.sign(cos) * np.abs(cos) ** (2 / square),
            SNUG * tall * np.sign(sin) * np.abs(sin) ** (2 / square),
        ],
        axis=1,
    )
    box[:, 0] *= 1 - 0.14 * np.cos(np.pi * box[:, 1] / tall / 1.6) ** 2
    long = np.array([[0, tall], [0, -tall]])
    spin = rotation(turn).T
    place = np.array([x, y])
    radius = min(wide, tall)
    return Bone(name, box @ spin + place, long @ spin + place, (0.75, 0.9), radius)


def _ray(finger: int, joints: np.ndarray) -> list[Bone]:
    rows = [0, 1, 2, 3] if finger > 1 else [0, 1, 3]
    found = []
    for row, start, end in zip(rows, joints, joints[1:]):
        bone = _long(f"{NAMES[row]}_{finger}", start, end, GIRTH[row])
        at_base = row > 0 or finger == 1
        found.append(replace(bone, physis=0.1 if at_base else 0.88))
    return found


def _long(
    name: str, start: np.ndarray, end: np.ndarray, girth: tuple[float, float, float]
) -> Bone:
    """A tube that flares at both ends, 1.4 mm short of each joint."""
    base, shaft, head = girth
    along = end - start
    length = np.hypot(*along)
    unit = along / length
    across = np.array([-unit[1], unit[0]])
    t = np.array([0, 0.03, 0.1, 0.2, 0.35, 0.55, 0.75, 0.88, 0.95, 1.0])
    w = np.interp(t, [0, 0.1, 0.38, 0.55, 0.9, 1], [base, base, shaft, shaft, head, 0])
    w[[0, -2, -1]] = base * 0.72, head * 0.86, head * 0.36
    t = 1.4 / length + t * (1 - 2.8 / length)
    spine = start + t[:, None] * along
    edge = np.concatenate(
        [spine + across * w[:, None], (spine - across * w[:, None])[::-1]]
    )
    return Bone(name, smooth(edge), np.stack([start, end]), (0.7, shaft * 0.44), shaft)


def _varied(bone: Bone, rng: np.random.Generator) -> Bone:
    """The same bone in another body: turned, moved, swollen and wavy by a little."""
    centre = bone.axis.mean(axis=0) if bone.physis != GROWTH else bone.axis[0]
    spin = rotation(rng.normal(0, 1.2)).T * rng.normal(1, 0.025)
    shift = centre + rng.normal(0, 0.45, 2)
    around = np.linspace(0, 2 * np.pi, len(bone.outline), endpoint=False)
    phase = rng.uniform(0, 2 * np.pi, 3)
    wave = sum(np.sin(k * around + p) for k, p in zip((2, 3, 5), phase)) * 0.16
    spread = bone.outline - centre
    unit = spread / np.hypot(*spread.T).clip(1)[:, None]
    outline = (spread + unit * wave[:, None]) @ spin + shift
    return replace(bone, outline=outline, axis=(bone.axis - centre) @ spin + shift)


def _grown(bone: Bone, owner: Person) -> Bone:
    size = owner.scale
    walls = tuple(wall * size * owner.dense**0.5 for wall in bone.cortex)
    return replace(
        bone,
        outline=bone.outline * size,
        axis=bone.axis * size,
        cortex=walls,
        radius=bone.radius * size,
        physis=bone.physis if owner.child else None,
    )


def rotation(degrees: float) -> np.ndarray:
    """2x2; turns clockwise as seen on a screen (y down)."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
