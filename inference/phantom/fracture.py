"""Where a bone breaks, how far its end slips, and how the gap is drawn."""

from dataclasses import dataclass

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

    @property
    def line(self) -> np.ndarray:
        """The break as a polyline (N, 2), longer than the bone is wide."""
        return self.centre + self.jag[:, ::-1] @ self.frame


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
    frame = np.stack([along, [-along[1], along[0]]])
    size, small = owner.scale, min(bone.radius / 8, 1)
    return Fracture(
        bone=name,
        centre=start + at * (end - start),
        frame=frame,
        jag=_jag(SITES[name][2], size, rng),
        shift=np.array([-0.5, rng.choice([-1, 1]) * rng.uniform(1.0, 2.6)])
        * (force * size * small),
        turn=rng.normal(0, 7) * force,
        reach=8 * size * small**0.5,
        gap=rng.uniform(0.5, 1.1) * size * (0.5 + 0.5 * force),
        depth=rng.uniform(0.5, 0.8) * force**0.5,
        crush=rng.uniform(0, 0.3) if rng.random() < 0.6 else 0.0,
    )


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
    weight = np.where(beyond > 0, np.exp(-((beyond / fracture.reach) ** 2)), 0)
    spun = (points - fracture.centre) @ (rotation(fracture.turn).T - np.eye(2))
    move = fracture.shift @ fracture.frame + spun
    return points + weight[:, None] * move


def scored(
    density: np.ndarray, line: np.ndarray, fracture: Fracture, pitch: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the break into a bone's `density`; return it and the mask of the line.

    line: polyline in pixels of `density`. pitch: pixels a millimetre.
    """
    mask = trace(density.shape, line, max(fracture.gap * pitch, 1.0))
    fuzz = cv2.GaussianBlur(mask, (0, 0), max(0.28 * pitch, 0.4))
    cut = 1 - fracture.depth * fuzz
    if fracture.crush:
        away = fracture.frame[0] * 2.2 * pitch
        cut += fracture.crush * cv2.GaussianBlur(
            trace(density.shape, line + away, 3.0 * pitch), (0, 0), 1.2 * pitch
        )
    return density * cut, (mask > 0.5) & (density > 0)


def trace(shape: tuple[int, int], line: np.ndarray, width: float) -> np.ndarray:
    """`line` drawn `width` pixels wide: float32 in [0, 1]."""
    canvas = np.zeros(shape, np.uint8)
    thick = max(round(width), 1)
    fixed = np.rint(line * 16).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, 255, thick, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) * np.float32(min(width / thick, 1.0) / 255)
