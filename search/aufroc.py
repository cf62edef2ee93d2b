"""From proposals and marked fractures to the area under the FROC curve.

FROC: the share of fractures found against false positives an image, over all
thresholds. FractNet's area, as SPEC §2 tells it, between 0.02 and 0.5 false positives
an image, divided by the length of that interval: a model that finds everything at once
has 1. It is not the penalised index of Bandos et al. (2009), whose values must not be
compared with these.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.draws import Interval, interval
from search.example import Box

FROM, TO = 0.02, 0.5  # false positives an image
OVERLAP = 0.5  # intersection over union above which a proposal hits a fracture
DRAWS = 1000
MISSED = float("-inf")  # the score at which a fracture is found that no proposal hits


@dataclass(frozen=True)
class Image:
    """proposals: (box, score). fractures: their boxes by a name, which is the same on
    every image of the study that shows this fracture."""

    proposals: Sequence[tuple[Box, float]]
    fractures: Mapping[Hashable, Box]


@dataclass(frozen=True)
class Judged:
    """One study. found: for each of its fractures the highest score of a hit, on any
    of its images. false: the scores of all proposals that hit nothing."""

    images: int
    found: tuple[float, ...]
    false: tuple[float, ...]

    def __post_init__(self) -> None:
        scores = np.array([*(s for s in self.found if s != MISSED), *self.false])
        if not np.isfinite(scores).all():
            raise ValueError("A proposal's score is not a finite number.")


@dataclass(frozen=True)
class Froc:
    """area: normalised, [0, 1]; None without a fracture. reached: false positives an
    image at the lowest threshold; below 0.5 the end of the curve was held."""

    studies: int
    images: int
    fractures: int
    area: Interval | None
    reached: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same studies; difference: first less second area."""

    first: Froc
    second: Froc
    difference: Interval | None


def judge(images: Sequence[Image]) -> Judged:
    """One study's images.

    A fracture counts as found if a proposal overlaps it by more than half (IoU) on at
    least one image. A proposal may hit several fractures; a second hit of the same one
    is neither a gain nor a false positive; what overlaps by half or less is false.
    """
    found = {name: MISSED for image in images for name in image.fractures}
    false = []
    for image in images:
        for box, score in image.proposals:
            hits = [n for n, f in image.fractures.items() if overlap(box, f) > OVERLAP]
            for name in hits:
                found[name] = max(found[name], score)
            if not hits:
                false.append(score)
    return Judged(len(images), tuple(found.values()), tuple(false))


def overlap(first: Box, second: Box) -> float:
    """Intersection over union, [0, 1]."""
    (x, y, w, h), (p, q, u, v) = first, second
    width = min(x + w, p + u) - max(x, p)
    height = min(y + h, q + v) - max(y, q)
    shared = max(width, 0.0) * max(height, 0.0)
    union = w * h + u * v - shared
    return shared / union if union else 0.0


def froc(
    studies: Sequence[Judged],
    *,
    groups: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Froc:
    """The area with its 90 % interval; see `Curve` for what it is at the edges.

    The bootstrap draws whole studies, or whole `groups` of them: patients.
    """
    return _froc(studies, list(_weights(studies, groups, draws, seed)))[0]


def compare(
    first: Sequence[Judged],
    second: Sequence[Judged],
    *,
    groups: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Two models on the same studies in the same order, each draw shared by both: what
    is hard in a study is hard for both, and cancels out. ValueError where the studies
    differ in images or fractures."""
    for place, (a, b) in enumerate(zip(first, second, strict=True)):
        if (a.images, len(a.found)) != (b.images, len(b.found)):
            raise ValueError(f"Study {place} is not the same for both models.")
    weights = list(_weights(first, groups, draws, seed))
    (one, ones), (other, others) = _froc(first, weights), _froc(second, weights)
    return Comparison(one, other, interval(ones - others))


def areas(
    studies: Sequence[Judged],
    *,
    groups: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> np.ndarray:
    """The area, then that of each draw of the bootstrap, (1 + draws,); nan without a
    fracture. The same for all who are judged on the same studies, so that areas of
    several may be subtracted or averaged draw by draw."""
    curve = Curve(studies)
    drawn = _weights(studies, groups, draws, seed)
    return np.array([curve.area(each) for each in drawn])


class Curve:
    """All operating points of a set of studies, joined by straight lines.

    Recall is the mean over the studies that have a fracture of the share of theirs
    that is found; several in one study do not count more than one in another. False
    positives are divided by all images, those of sound studies too. Proposals of
    equal score come in together, along a straight line, as ties are halved in AUROC.
    The curve begins in (0, 0), above the highest score, and is held at its last recall
    where it ends before 0.5.
    """

    def __init__(self, studies: Sequence[Judged]) -> None:
        self.images = np.array([study.images for study in studies], float)
        self.fractured = np.array([bool(study.found) for study in studies], float)
        events = [
            (score, place, 1 / len(study.found), 0.0)
            for place, study in enumerate(studies)
            for score in study.found
            if score > MISSED
        ]
        events += [
            (score, place, 0.0, 1.0)
            for place, study in enumerate(studies)
            for score in study.false
        ]
        columns = np.array(sorted(events, key=lambda e: -e[0])).reshape(-1, 4).T
        scores, places, self.gain, self.false = columns
        self.places = places.astype(int)
        self.last = np.flatnonzero(np.diff(scores, append=np.nan))  # of each score
        # A draw seldom needs more scores than would do for twice as many false ones.
        most = 2 * TO * self.images.sum()
        self.near = int((np.cumsum(self.false)[self.last] <= most).sum())

    def points(
        self, weights: np.ndarray, scores: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(false positives an image, recall) from the highest threshold on, where each
        study counts as often as its weight says. weights: (studies,). scores: how
        many thresholds; else all."""
        last = self.last[:scores]
        events = slice(last[-1] + 1 if len(last) else 0)
        of_event = weights[self.places[events]]
        with np.errstate(invalid="ignore", divide="ignore"):
            false, found = (
                np.cumsum(of_event * each[events])[last] / (weights @ total)
                for each, total in (
                    (self.false, self.images),
                    (self.gain, self.fractured),
                )
            )
        return np.insert(false, 0, 0.0), np.insert(found, 0, 0.0)

    def area(self, weights: np.ndarray) -> float:
        """Normalised, between FROM and TO; nan where no study has a fracture."""
        if not weights @ self.fractured:
            return float("nan")
        x, y = self.points(weights, self.near)
        if x[-1] < TO:
            x, y = self.points(weights)
        near = slice(
            max(np.searchsorted(x, FROM) - 1, 0), np.searchsorted(x, TO, "right") + 1
        )
        x, y = x[near], y[near]
        width, rise = np.diff(x), np.diff(y)
        begin, end = (np.clip(side, FROM, TO) for side in (x[:-1], x[1:]))
        slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
        heights = y[:-1] + slope * ((begin + end) / 2 - x[:-1])
        held = (TO - np.clip(x[-1], FROM, TO)) * y[-1]
        return float(((end - begin) * heights).sum() + held) / (TO - FROM)


def _froc(
    studies: Sequence[Judged], weights: Sequence[np.ndarray]
) -> tuple[Froc, np.ndarray]:
    curve = Curve(studies)
    areas = np.array([curve.area(each) for each in weights])
    images = sum(study.images for study in studies)
    false = sum(len(study.false) for study in studies)
    found = Froc(
        studies=len(studies),
        images=images,
        fractures=sum(len(study.found) for study in studies),
        area=interval(areas),
        reached=false / images if images else 0.0,
    )
    return found, areas


def _weights(
    studies: Sequence[Judged],
    groups: Sequence[Hashable] | None,
    draws: int,
    seed: int,
) -> Iterator[np.ndarray]:
    """How often each study counts: once, then as the bootstrap draws them."""
    rng = np.random.default_rng(seed)
    names = range(len(studies)) if groups is None else groups
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    of_study = np.array([numbers[name] for name in names])
    yield np.ones(len(studies))
    for _ in range(draws):
        drawn = rng.integers(len(numbers), size=len(numbers))
        yield np.bincount(drawn, minlength=len(numbers))[of_study].astype(float)
