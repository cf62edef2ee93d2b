"""Where a bone breaks, how far its end slips, and how the gap is drawn."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from inference.phantom.skeleton import Bone, Person, rotation

# bone: share of breaks, range along its axis (0 at the wrist), slant in degrees
SITES = {
    "radius": (0.66, (0.055, 0.115), 14),
    "ulna": (0.1, (0.03, 0.13), 14),
    "scaphoid": (0.08, (0.4, 0.62), 16),
    "metacarpal_5": (0.07, (0.55, 0.84), 22),
    "metacarpal_4": (0.03, (0.3, 0.7), 24),
    "metacarpal_2": (0.03, (0.3, 0.7), 24),
    "metacarpal_1": (0.03, (0.1, 0.3), 22),
}


@dataclass(frozen=True)
class Fracture:
    """A break across one bone, in the canonical frame (mm).

    centre: on the bone's axis. frame: rows are unit vectors along the bone and
    across it. jag: (N, 2), across and along, the line of the break. shift: how
    far the loose side moved, (along, across). turn: degrees. reach: how far from
    the break the loose side still moves. gap: width of the line. depth: how much
    of the bone's density the gap takes, [0, 1]. crush: density added beside it.
    split: (N, 2), like jag, a second line into the joint, or empty. buckle: how far
    a child's bone bulges instead of parting, mm; then there is hardly a line.
    """

    bone: str
    centre: np.ndarray
    frame: np.ndarray
    jag: np.ndarray
    shift: np.ndarray
    turn: float
    reach: float
    gap: float
    depth: float
    crush: float
    split: np.ndarray
    buckle: float

    @property
    def lines(self) -> list[np.ndarray]:
        """The break as polylines (N, 2), the first longer than the bone is wide."""
        parts = [self.jag, self.split] if len(self.split) else [self.jag]
        return [self.centre + part[:, ::-1] @ self.frame for part in parts]


def site(rng: np.random.Generator) -> tuple[str, float, float]:
    """Which bone breaks, where along it and how badly: shared by both views."""
    names, shares = list(SITES), np.array([SITES[name][0] for name in SITES])
    name = names[rng.choice(len(names), p=shares / shares.sum())]
    return name, rng.uniform(*SITES[name][1]), rng.uniform(0.45, 1.0)


def breaking(
    bones: list[Bone],
    chosen: tuple[str, float, float],
    owner: Person,
    rng: np.random.Generator,
) -> Fracture:
    """The break at the `chosen` site as this view shows it."""
    name, at, force = chosen
    bone = next(bone for bone in bones if bone.name == name)
    start, end = bone.axis
    along = (start - end) / np.hypot(*(start - end))
    size, small = owner.scale, min(bone.radius / 8, 1)
    jag = _jag(SITES[name][2], size, rng)
    sideways = rng.choice([-1, 1]) * rng.uniform(1.0, 2.6)
    whole = Fracture(
        bone=name,
        centre=start + at * (end - start),
        frame=np.stack([along, [-along[1], along[0]]]),
        jag=jag,
        shift=np.array([-0.5, sideways]) * (force * size * small),
        turn=rng.normal(0, 7) * force,
        reach=8 * size * small**0.5,
        gap=rng.uniform(0.5, 1.1) * size * (0.5 + 0.5 * force),
        depth=rng.uniform(0.5, 0.8) * force**0.5,
        crush=rng.uniform(0, 0.3) if rng.random() < 0.6 else 0.0,
        split=_split(jag, size, rng) if splits(chosen) else jag[:0],
        buckle=0.0,
    )
    return _buckled(whole, size, rng) if buckles(chosen, owner) else whole


def splits(chosen: tuple[str, float, float]) -> bool:
    """The worst breaks of the radius run on into the joint; both views agree."""
    return chosen[0] == "radius" and chosen[2] > 0.85


def buckles(chosen: tuple[str, float, float], owner: Person) -> bool:
    """A child's radius or ulna may bulge under a small force instead of parting."""
    return owner.child and chosen[0] in ("radius", "ulna") and chosen[2] < 0.66


def _buckled(whole: Fracture, size: float, rng: np.random.Generator) -> Fracture:
    return replace(
        whole,
        jag=whole.jag * (1, 0.3),
        shift=np.zeros(2),
        turn=0.0,
        gap=2.4 * size,
        depth=0.06,
        crush=rng.uniform(0.25, 0.45),
        buckle=rng.uniform(0.9, 1.7) * size,
    )


def _split(jag: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """From somewhere on the break towards the joint, which is along."""
    start = jag[rng.integers(len(jag) * 2 // 5, len(jag) * 3 // 5)]
    along = np.arange(0, 26, 1.0) * size
    wander = np.cumsum(rng.normal(0, 0.35, along.size)) * size
    lean = rng.normal(0, 0.25)
    return start + np.stack([wander - wander[0] + lean * along, along], axis=1)


def _jag(slant: float, size: float, rng: np.random.Generator) -> np.ndarray:
    across = np.arange(-24, 24.1, 0.8)
    rough = np.cumsum(rng.normal(0, 0.42, across.size))
    rough += np.cumsum(
        rng.normal(0, 0.5, across.size) * (rng.random(across.size) < 0.25)
    )
    rough -= rough[across.size // 2]
    tilt = np.tan(np.deg2rad(rng.normal(0, slant)))
    # A walk strays; pulled back, the break stays across the bone.
    along = across * tilt + rough - 0.6 * across * (rough @ across) / (across @ across)
    return np.stack([across, along], axis=1) * size


def slipped(points: np.ndarray, fracture: Fracture) -> np.ndarray:
    """`points` (N, 2) of the broken bone after its loose side moved."""
    along, across = ((points - fracture.centre) @ fracture.frame.T).T
    beyond = along - np.interp(across, *fracture.jag.T)
    if fracture.buckle:
        bulge = np.exp(-((beyond / (1.8 * fracture.buckle)) ** 2)) * np.sign(across)
        return points + fracture.buckle * bulge[:, None] * fracture.frame[1]
    weight = np.where(beyond > 0, np.exp(-((beyond / fracture.reach) ** 2)), 0)
    spun = (points - fracture.centre) @ (rotation(fracture.turn).T - np.eye(2))
    move = fracture.shift @ fracture.frame + spun
    return points + weight[:, None] * move


def scored(
    density: np.ndarray, lines: list[np.ndarray], fracture: Fracture, pitch: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the break into a bone's `density`; return it and the mask of the line.

    lines: polylines in pixels of `density`. pitch: pixels a millimetre.
    """
    width = max(fracture.gap * pitch, 1.0)
    mask = trace(density.shape, lines[0], width)
    for line in lines[1:]:
        mask = np.maximum(mask, trace(density.shape, line, width))
    fuzz = cv2.GaussianBlur(mask, (0, 0), max(0.28 * pitch, 0.4))
    cut = 1 - fracture.depth * fuzz
    if fracture.crush:
        away = fracture.frame[0] * (0 if fracture.buckle else 2.2 * pitch)
        band = trace(density.shape, lines[0] + away, 3.0 * pitch)
        cut += fracture.crush * cv2.GaussianBlur(band, (0, 0), 1.2 * pitch)
    return density * cut, (mask > 0.5) & (density > 0)


def trace(shape: tuple[int, int], line: np.ndarray, width: float) -> np.ndarray:
    """`line` drawn `width` pixels wide: float32 in [0, 1]."""
    canvas = np.zeros(shape, np.uint8)
    thick = max(round(width), 1)
    fixed = np.rint(line * 16).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, 255, thick, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) * np.float32(min(width / thick, 1.0) / 255)
