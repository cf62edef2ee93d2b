"""Patches: what a detector or a model proposed, cut out to be looked at closer.

FractNet's data set (SPEC §2). A proposal that overlaps a marked fracture by more than
half (intersection over union) shows it; one that overlaps none by a fifth or more shows
none; of what lies between nothing is learnt, and in a test it is held for none. Sides
are by patient, as everywhere (`search.parts`): a side's patches come from its images.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from inference import artifact, picture, preprocess
from inference.artifact import file_digest
from inference.preprocess import Recipe, View, geometry
from inference.unreadable import UnreadableFrame
from search import aufroc, proposals
from search.aufroc import OVERLAP, Image, Judged, overlap
from search.example import Box, Example
from search.once import arrays, once
from search.proposals import Proposal
from search.samples import Samples

APART = 0.2  # overlap from which on a patch is not surely without a fracture
CONTEXT = 1.5  # of the longer side of its box, a patch shows
MOST = 3 * proposals.AROUND  # an image that is judged, the highest scores first
SOUND = 18  # patches without a fracture to learn from, an image
GLIMPSE = 1000  # patches without a fracture that are looked at after every epoch
ALIKE = 0.3  # overlap above which two proposals of an image point at the same place


@dataclass(frozen=True)
class Patches:
    """One side of a data set, proposal by proposal.

    examples: the images that were read and whose fractures are known. samples:
    `owners` number the examples; labels: 1 where the overlap is above OVERLAP.
    boxes: (N, 4) left, top, width, height in frame pixels. scores: (N,) of who
    proposed. overlaps: (N,) with the marked fracture each overlaps most.
    """

    examples: tuple[Example, ...]
    samples: Samples
    boxes: np.ndarray
    scores: np.ndarray
    overlaps: np.ndarray

    def learnt(self) -> Samples:
        """What may be learnt from: an overlap of exactly a fifth or a half, and all
        between, is neither a fracture nor none."""
        return self.samples.of((self.overlaps < APART) | (self.overlaps > OVERLAP))

    def glimpse(self) -> Samples:
        """Enough to see after every epoch how it goes: all that show a fracture, and
        evenly chosen others."""
        sound = np.flatnonzero(self.samples.labels == 0)
        some = sound[:: len(sound) // GLIMPSE + 1]
        chosen = [np.flatnonzero(self.samples.labels), some]
        return self.samples.of(np.sort(np.concatenate(chosen)))

    def judged(self, scores: np.ndarray, *, thinned: bool = True) -> list[Judged]:
        """The studies for `search.aufroc`, as `patients` has them. scores: (N,).

        thinned: of proposals of one image that overlap by more than ALIKE only the
        highest speaks. Where nobody says which marks of a study are views of the same
        fracture, those of one rank by size on their image are taken for it.
        """
        by_study = defaultdict(list)
        for number, example in enumerate(self.examples):
            mine = np.flatnonzero(self.samples.owners == number)
            found = [(tuple(self.boxes[i]), float(scores[i])) for i in mine]
            kept = standing(found) if thinned else found
            by_study[example.study].append(Image(kept, ranked(example.boxes)))
        return [aufroc.judge(images) for images in by_study.values()]

    @property
    def patients(self) -> list[str]:
        """Of each study, in the order of `judged`."""
        return list({e.study: e.patient for e in self.examples}.values())

    def area(self, scores: np.ndarray) -> float:
        """Under the FROC curve; see `search.aufroc`. nan without a fracture."""
        studies = self.judged(scores)
        return aufroc.Curve(studies).area(np.ones(len(studies)))

    def ceiling(self) -> dict[str, float]:
        """What no network can find more than: fractures that any proposal hits."""
        studies = [s for s in self.judged(self.scores, thinned=False) if s.found]
        hit = [[score > aufroc.MISSED for score in study.found] for study in studies]
        return {
            "studies": len(studies),
            "fractures": sum(map(len, hit)),
            "by_fracture": float(np.mean([h for study in hit for h in study])),
            "by_study": float(np.mean([np.mean(study) for study in hit])),
            "an_image": len(self.scores) / len(self.examples),
        }


def known(found: Sequence[Example]) -> list[Example]:
    """Without fractured images on which nobody marked where."""
    return [example for example in found if example.boxes or not example.label]


def prepare(
    found: Sequence[Example],
    source: Path,
    recipe: Recipe,
    cache: Path,
    most: int | None = MOST,
) -> tuple[Patches, Counter[str]]:
    """The patches of `found` and how many frames were set aside for which reason.

    source: see `search.proposals`. recipe: its size is that of a patch. most: an image;
    None makes patches to learn from: all that show a fracture, those between left out,
    SOUND others. Kept on disk as views are; the name changes with whatever they
    depend on.
    """
    found = known(found)
    path = cache / f"{_key(found, source, recipe, most)}.npz"
    told = once(
        path, lambda partial: _write(partial, found, source, recipe, most), arrays
    )
    examples = tuple(found[i] for i in told["seen"])
    return _patches(examples, told), Counter(told["reasons"].tolist())


def _patches(examples: tuple[Example, ...], told: dict[str, np.ndarray]) -> Patches:
    boxes, owners = told["boxes"], told["owners"]
    pairs = zip(map(tuple, boxes), owners, strict=True)
    overlaps = np.array([nearest(box, examples[i]) for box, i in pairs])
    studies = np.unique([e.study for e in examples], return_inverse=True)[1]
    none = np.zeros((0, 4), np.float32)
    samples = Samples(
        told["pixels"],
        (overlaps > OVERLAP).astype(np.int64),
        owners,
        (none,) * len(owners),
        np.array([examples[i].weight for i in owners], np.float32),
        studies[owners],
    )
    return Patches(examples, samples, boxes, told["scores"], overlaps)


def nearest(box: Box, example: Example) -> float:
    """Its overlap with the mark it overlaps most."""
    return max((overlap(box, mark) for mark in example.boxes), default=0.0)


def standing(found: Sequence[Proposal]) -> list[Proposal]:
    """Those that no higher one which stands overlaps by more than ALIKE."""
    kept: list[Proposal] = []
    for box, score in sorted(found, key=lambda p: -p[1]):
        if all(overlap(box, other) <= ALIKE for other, _ in kept):
            kept.append((box, score))
    return kept


def ranked(boxes: Sequence[Box]) -> dict[int, Box]:
    """The largest is the first."""
    return dict(enumerate(sorted(boxes, key=lambda b: (-b[2] * b[3], b))))


# --- Cutting -----------------------------------------------------------------------


def cut(
    frame: np.ndarray, views: Sequence[View], box: Box, recipe: Recipe
) -> np.ndarray:
    """uint8 (height, width): the box in its surroundings, dense bright, turned as the
    view that shows its middle."""
    x, y, width, height = box
    middle = np.array([x + width / 2, y + height / 2])
    view = next((v for v in views if _shows(v, middle)), views[0])
    linear = view.affine[:, :2]
    shown = CONTEXT * max(width, height)
    size = recipe.width, recipe.height
    linear = linear / np.sqrt(abs(np.linalg.det(linear))) * min(size) / shown
    centre = (np.array(size) - 1) / 2
    affine = np.column_stack([linear, centre - linear @ middle])
    outside = 255 if view.inverted else 0
    patch = geometry.warp(frame, affine, size, outside=outside)
    return cv2.bitwise_not(patch) if view.inverted else patch


def _shows(view: View, middle: np.ndarray) -> bool:
    x, y = view.affine @ (*middle, 1.0)
    height, width = view.pixels.shape
    return 0 <= x < width and 0 <= y < height


def _write(
    path: Path,
    found: Sequence[Example],
    source: Path,
    recipe: Recipe,
    most: int | None,
) -> None:
    pixels, boxes, scores, owners, seen, reasons = [], [], [], [], [], []
    all_of_them = proposals.proposed(source, found, finer=most is None)
    pairs = zip(found, all_of_them, strict=True)
    wanted = [_teaching(*pair) if most is None else pair[1][:most] for pair in pairs]
    for number, frame, each in _frames(found, wanted, reasons):
        views = preprocess.views(frame, recipe)
        pixels += [cut(frame, views, box, recipe) for box, _ in each]
        boxes += [box for box, _ in each]
        scores += [score for _, score in each]
        owners += [len(seen)] * len(each)
        seen.append(number)
    shape = (len(pixels), recipe.height, recipe.width)
    np.savez(
        path,
        pixels=np.array(pixels, np.uint8).reshape(shape),
        boxes=np.array(boxes, float).reshape(-1, 4),
        scores=np.array(scores, float),
        owners=np.array(owners, int),
        seen=np.array(seen, int),
        reasons=np.array(reasons, str),
    )


def _teaching(example: Example, found: Sequence[Proposal]) -> list[Proposal]:
    overlaps = np.array([nearest(box, example) for box, _ in found])
    sound = np.flatnonzero(overlaps < APART)
    some = sound[:: max(1, -(-len(sound) // SOUND))]
    chosen = np.concatenate([np.flatnonzero(overlaps > OVERLAP), some])
    return [found[i] for i in np.sort(chosen).astype(int)]


def _frames(
    found: Sequence[Example],
    wanted: Sequence[Sequence[Proposal]],
    reasons: list[str],
) -> Iterator[tuple[int, np.ndarray, Sequence[Proposal]]]:
    for number, example in enumerate(tqdm(found, "cutting", unit="image")):
        try:
            yield number, picture.frame(example.image).pixels, wanted[number]
        except UnreadableFrame as error:
            reasons.append(error.code)


def _key(
    found: Sequence[Example], source: Path, recipe: Recipe, most: int | None
) -> str:
    steps = sorted(Path(preprocess.__file__).parent.glob("*.py"))
    mine = (picture.__file__, proposals.__file__, __file__)
    code = [path.read_text() for path in (*map(Path, mine), *steps)]
    pictures = [file_digest(e.image) for e in found]
    looks = asdict(recipe) | {"mean": 0, "std": 1}
    text = json.dumps([looks, code, pictures, artifact.any_digest(source), most])
    return hashlib.sha256(text.encode()).hexdigest()[:20]
