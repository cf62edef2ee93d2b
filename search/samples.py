"""From examples to the views a network learns from, and to augmented batches.

Views come from `inference.preprocess`, the same for training as for reading. They
are computed once and kept as bytes, in memory and in a cache whose name changes
with the recipe, with the code of the preprocessing and with the pictures.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from inference import picture, preprocess
from inference.artifact import file_digest
from inference.preprocess import Recipe
from inference.unreadable import UnreadableFrame
from search.data import Box, Example
from search.once import arrays, once

TURN = 12  # degrees
SHIFT = 0.04  # of width and height
ZOOM = (0.95, 1.12)  # of each side: crops down to 90 %, and at times a rim
GAMMA = 0.3  # natural logarithm
GAIN = 0.15


@dataclass(frozen=True)
class Samples:
    """N views in memory.

    pixels: uint8 (N, height, width). labels: int64 (N,). owners: (N,) index of the
    example a view comes from. boxes: a view's fractures, float32 (k, 4) left, top,
    right, bottom in view pixels. weights: float32 (N,), how much each label counts.
    studies: (N,) number of the study a view is of; None: each is one of its own.
    """

    pixels: np.ndarray
    labels: np.ndarray
    owners: np.ndarray
    boxes: tuple[np.ndarray, ...]
    weights: np.ndarray | None = None  # None: all the same
    studies: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, chosen: np.ndarray) -> "Samples":
        """The samples whose indices, or whose marks in a mask, are `chosen`."""
        indices = np.arange(len(self))[chosen]
        boxes = tuple(self.boxes[i] for i in indices)
        columns = self.pixels, self.labels, self.owners
        kept = (None if c is None else c[indices] for c in (self.weights, self.studies))
        return Samples(*(column[indices] for column in columns), boxes, *kept)

    def scaled(self, scale: float) -> "Samples":
        """The same views, smaller. They are not decoded again."""
        if scale == 1:
            return self
        height, width = (round(side * scale) for side in self.pixels.shape[1:])
        pixels = [
            cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA)
            for p in self.pixels
        ]
        boxes = tuple(boxes * np.float32(scale) for boxes in self.boxes)
        return replace(self, pixels=np.stack(pixels), boxes=boxes)


@dataclass(frozen=True)
class Batch:
    """images: float32 (N, 1, height, width) in [0, 1]. labels: float32 (N,).
    boxes, weights: as in Samples."""

    images: np.ndarray
    labels: np.ndarray
    boxes: list[np.ndarray]
    weights: np.ndarray | None = None


def prepare(
    found: Sequence[Example], recipe: Recipe, cache: Path
) -> tuple[Samples, Counter[str]]:
    """The views of `found`, and how many frames were set aside for which reason."""
    path = cache / f"{_key(found, recipe)}.npz"
    kept = once(path, lambda partial: _write(partial, found, recipe), arrays)
    pixels, affines, owners = kept["pixels"], kept["affines"], kept["owners"]
    reasons = Counter(kept["reasons"].tolist())
    boxes = [
        placed(found[i].boxes, affine, recipe)
        for i, affine in zip(owners, affines, strict=True)
    ]
    labels = _labels(found, owners, boxes)
    weights = np.array([found[i].weight for i in owners], np.float32)
    studies = np.unique([found[i].study for i in owners], return_inverse=True)[1]
    return Samples(pixels, labels, owners, tuple(boxes), weights, studies), reasons


def batches(
    samples: Samples,
    order: np.ndarray,
    size: int,
    rng: np.random.Generator,
    invert: float = 0.0,
    part: slice = slice(None),
) -> Iterator[Batch]:
    """Augmented batches of `size`; what is left at the end is not used.

    invert: how often a view turns negative. part: which of each batch to make; what
    is drawn for a view is the same whoever makes it.
    """
    height, width = samples.pixels.shape[1:]
    for start in range(0, len(order) - size + 1, size):
        looks = [_look(width, height, rng) for _ in range(size)][part]
        turned = (rng.random(size) < invert if invert else np.zeros(size, bool))[part]
        chosen = order[start : start + size][part]
        images, boxes = [], []
        for i, look, turn in zip(chosen, looks, turned, strict=True):
            image, moved = _seen(samples.pixels[i], samples.boxes[i], *look)
            images.append(1 - image if turn else image)
            boxes.append(moved)
        labels = samples.labels[chosen].astype(np.float32)
        weights = None if samples.weights is None else samples.weights[chosen]
        yield Batch(np.stack(images)[:, None], labels, boxes, weights)


def augmented(
    pixels: np.ndarray, boxes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Crop, flip, turn and light one view; its boxes go along.

    -> float32 (height, width) in [0, 1], and boxes as in Samples.
    """
    height, width = pixels.shape
    return _seen(pixels, boxes, *_look(width, height, rng))


def _look(
    width: int, height: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """-> where pixels go, (2, 3), and how bright each of 256 levels becomes."""
    affine = _jitter(width, height, rng)
    levels = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-GAMMA, GAMMA))
    levels = np.clip(levels * rng.uniform(1 - GAIN, 1 + GAIN), 0, 1)
    return affine, levels.astype(np.float32)


def _seen(
    pixels: np.ndarray, boxes: np.ndarray, affine: np.ndarray, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    moved = cv2.warpAffine(pixels, affine, pixels.shape[::-1])
    return levels[moved], _hulls(_corners(boxes), affine)


def _jitter(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A random similarity about the centre, mirrored half of the time, (2, 3)."""
    middle = (width / 2, height / 2)
    affine = cv2.getRotationMatrix2D(
        middle, rng.uniform(-TURN, TURN), rng.uniform(*ZOOM)
    )
    affine[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * (width, height)
    if rng.random() < 0.5:
        affine[0] = -affine[0]
        affine[0, 2] += width - 1
    return affine


def placed(boxes: Sequence[Box], affine: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Boxes of a frame on one of its views; those with their middle outside drop."""
    found = np.array(boxes, np.float32).reshape(-1, 4)
    found[:, 2:] += found[:, :2]
    hulls = _hulls(_corners(found), affine)
    x, y = (hulls[:, 0] + hulls[:, 2]) / 2, (hulls[:, 1] + hulls[:, 3]) / 2
    return hulls[(x >= 0) & (x < recipe.width) & (y >= 0) & (y < recipe.height)]


def _corners(boxes: np.ndarray) -> np.ndarray:
    """(k, 4) left, top, right, bottom -> (k, 4, 2) corners."""
    return boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def _hulls(corners: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The upright boxes around moved corners, float32 (k, 4)."""
    moved = corners @ affine[:, :2].T + affine[:, 2]
    return np.concatenate([moved.min(1), moved.max(1)], 1).astype(np.float32)


def _labels(
    found: Sequence[Example], owners: np.ndarray, boxes: Sequence[np.ndarray]
) -> np.ndarray:
    """A view has its frame's label, but where another view of the same frame shows
    what is marked, and this one does not."""
    showing = {i for i, inside in zip(owners, boxes, strict=True) if len(inside)}
    return np.array(
        [
            found[i].label if len(inside) or i not in showing else 0
            for i, inside in zip(owners, boxes, strict=True)
        ],
        np.int64,
    )


def _write(path: Path, found: Sequence[Example], recipe: Recipe) -> None:
    pixels, affines, owners, reasons = [], [], [], []
    for i, example in enumerate(tqdm(found, desc="preparing", unit="image")):
        try:
            views = preprocess.views(picture.frame(example.image).pixels, recipe)
        except UnreadableFrame as error:
            reasons.append(error.code)
            continue
        pixels += [view.pixels for view in views]
        affines += [view.affine for view in views]
        owners += [i] * len(views)
    codes = np.array(reasons, dtype=str)
    np.savez(path, pixels=pixels, affines=affines, owners=owners, reasons=codes)


def _key(found: Sequence[Example], recipe: Recipe) -> str:
    steps = sorted(Path(preprocess.__file__).parent.glob("*.py"))
    code = [path.read_text() for path in (Path(picture.__file__), *steps)]
    pictures = [file_digest(e.image) for e in found]
    looks = asdict(recipe) | {"mean": 0, "std": 1}  # views are not normalised yet
    text = json.dumps([looks, code, pictures])
    return hashlib.sha256(text.encode()).hexdigest()[:20]
