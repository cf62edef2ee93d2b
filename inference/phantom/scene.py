"""One wrist, or two, put on a plate and seen through."""

from dataclasses import dataclass
from zlib import crc32

import cv2
import numpy as np

from inference.phantom.fracture import Fracture, breaking, site
from inference.phantom.hardware import add_cast, add_metal
from inference.phantom.projection import Pose, add_bone, flesh, pose
from inference.phantom.skeleton import Bone, Person, person, skeleton, soft_tissue

FINEST = 1100  # rows drawn; what is larger is enlarged before its noise is added
DEPTH = {"pa": 1.0, "lateral": 1.35}  # of soft tissue along the beam
MARKED = ("radius", "ulna", "lunate", "capitate", "metacarpal_3", "metacarpal_5")


@dataclass(frozen=True)
class Subject:
    """What to draw; see `radiograph.phantom`."""

    seed: int
    view: str
    fractured: bool
    cast: bool
    metal: bool
    both_wrists: bool
    rotated: float


@dataclass(frozen=True)
class Drawing:
    """lost: float32, beam lost, at most FINEST rows. box, landmarks: in pixels of
    the finished image. side: "L" or "R". spacing: mm a finished pixel."""

    lost: np.ndarray
    box: tuple[int, int, int, int] | None
    landmarks: dict[str, tuple[float, float]]
    side: str
    spacing: float


def stream(seed: int, *purpose: str) -> np.random.Generator:
    """Chance for one purpose: drawing more of one leaves the others as they were."""
    return np.random.default_rng([seed, crc32("/".join(purpose).encode())])


def draw(subject: Subject, shape: tuple[int, int]) -> Drawing:
    """Project the subject on a plate of `shape` (rows, columns)."""
    zoom = min(1.0, FINEST / max(shape))
    canvas = tuple(max(round(side * zoom), 1) for side in shape)
    owner = person(stream(subject.seed, "person"))
    lost = np.zeros(canvas, np.float32)
    places = _places(subject, canvas, owner)
    bones = skeleton(subject.view, owner, stream(subject.seed, "bones", subject.view))
    fracture = _fracture(subject, bones) if subject.fractured else None
    texture = _trabeculae(subject, canvas, places[0])
    line = None
    for place, broken in zip(places, (fracture, None)):
        found = _add_wrist(lost, subject, bones, place, texture, broken)
        line = found if found is not None else line
    factor = shape[0] / canvas[0]
    return Drawing(
        lost,
        None if line is None else _box(line, factor, places[0].pitch),
        _landmarks(bones, places[0].scaled(factor)),
        "R" if owner.right else "L",
        1 / (places[0].pitch * factor),
    )


def _places(subject: Subject, shape: tuple[int, int], owner: Person) -> list[Pose]:
    rng = stream(subject.seed, "pose", subject.view)
    rows, columns = shape
    tall = rng.uniform(150, 225)
    wide = 0.72 * tall
    if subject.both_wrists:  # far enough apart for two thumbs
        wide = max(1.25 * tall, 310 * owner.scale)
    pitch = min(rows / tall, columns / wide)
    middle = np.array([1.0, rng.uniform(-28, 2)])
    tilts = subject.rotated + rng.normal(0, 3, 2)
    shift = rng.normal(0, 0.02, 2) * (columns, rows)
    centre = np.array([columns / 2, rows / 2])
    if not subject.both_wrists:
        return [pose(pitch, tilts[0], owner.right, middle, centre + shift)]
    apart = np.array([0.26 * columns, 0]) * (1 if owner.right else -1)
    return [
        pose(pitch, tilts[0], owner.right, middle, centre + apart),
        pose(pitch, tilts[1], not owner.right, middle, centre - apart),
    ]


def _fracture(subject: Subject, bones: list[Bone]) -> Fracture:
    owner = person(stream(subject.seed, "person"))
    chosen = site(stream(subject.seed, "site"))
    return breaking(bones, chosen, owner, stream(subject.seed, "break", subject.view))


def _add_wrist(
    lost: np.ndarray,
    subject: Subject,
    bones: list[Bone],
    place: Pose,
    texture: np.ndarray,
    fracture: Fracture | None,
) -> np.ndarray | None:
    owner = person(stream(subject.seed, "person"))
    outline, fingers = soft_tissue(subject.view, owner)
    tissue, arm = flesh(outline, fingers, DEPTH[subject.view], place, lost.shape)
    lost += tissue
    line = None
    for bone in bones:
        broken = fracture if fracture and fracture.bone == bone.name else None
        cut = add_bone(lost, bone, place, texture, broken, owner.dense)
        line = cut if cut is not None else line
    if subject.metal:
        rng = stream(subject.seed, "metal", subject.view)
        add_metal(lost, bones, subject.view, place, rng)
    if subject.cast:
        add_cast(lost, arm, place, stream(subject.seed, "cast", subject.view))
    return line


def _trabeculae(subject: Subject, shape: tuple[int, int], place: Pose) -> np.ndarray:
    """Texture of spongy bone, stretched along the arm: about [-3, 3]."""
    rng = stream(subject.seed, "texture", subject.view)
    pitch = place.pitch
    grain = rng.standard_normal(shape, np.float32)
    fine = cv2.GaussianBlur(grain, (0, 0), 0.17 * pitch, sigmaY=0.4 * pitch)
    coarse = cv2.GaussianBlur(grain, (0, 0), 0.9 * pitch, sigmaY=2.2 * pitch)
    bands = fine / max(float(fine.std()), 1e-6) + 0.6 * coarse / float(coarse.std())
    centre = (shape[1] / 2, shape[0] / 2)
    turn = cv2.getRotationMatrix2D(centre, -subject.rotated, 1)
    bands = cv2.warpAffine(bands, turn, shape[::-1], borderMode=cv2.BORDER_REFLECT)
    return bands / np.float32(max(float(bands.std()), 1e-6))


def _box(line: np.ndarray, factor: float, pitch: float) -> tuple[int, int, int, int]:
    """Around the break, 2 mm wider, within the image."""
    x, y, width, height = cv2.boundingRect(line.view(np.uint8))
    margin = 2 * pitch
    left, top = max(x - margin, 0), max(y - margin, 0)
    right = min(x + width + margin, line.shape[1])
    bottom = min(y + height + margin, line.shape[0])
    left, top, right, bottom = (
        round(side * factor) for side in (left, top, right, bottom)
    )
    return left, top, right - left, bottom - top


def _landmarks(bones: list[Bone], place: Pose) -> dict[str, tuple[float, float]]:
    points = {
        bone.name: bone.axis[0]
        if bone.name in ("radius", "ulna")
        else bone.axis.mean(0)
        for bone in bones
        if bone.name in MARKED
    }
    points |= {"forearm": np.array([0.0, 60.0]), "fingers": np.array([0.0, -70.0])}
    return {
        name: tuple(float(value) for value in place(point[None])[0])
        for name, point in points.items()
    }
