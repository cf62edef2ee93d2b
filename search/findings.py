"""What came of the questions asked of training: a table over seeds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from search.ablation import Answers, Bench
from search.draws import Interval, interval, of_groups
from search.evaluate import accuracies, aurocs, operating_point
from search.markdown import in_words, markdown
from search.run import SENSITIVITY

DRAWS, SEED = 2000, 0


@dataclass(frozen=True)
class Finding:
    """One row, means over its seeds. validation, test_*: AUROC; by study, as
    suspicious as the most suspicious image, unless said. mirrored: with the mirror
    image of every view. together: of the mean of all seeds' logits. accuracy: of
    studies, at the threshold that each seed chose on validation images. gained: test
    AUROC by study less that of `against`, of the same seeds. hits: of the marked test
    images that are flagged, the share whose LRP peak hits, None where it was not
    asked. epochs and minutes: of one training.
    """

    row: str
    words: str
    against: str
    seeds: int
    validation: float
    test_image: Interval
    test: Interval
    mirrored: Interval
    together: Interval
    accuracy: Interval
    gained: Interval | None
    hits: float | None
    epochs: float
    minutes: float

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Cases:
    """The cases of one side. labels: (N,). scores: (seeds, N). groups: whom the
    bootstrap draws together."""

    labels: np.ndarray
    scores: np.ndarray
    groups: np.ndarray

    def auroc(self) -> Interval:
        """Mean over the seeds, with its 90 % interval."""
        return interval(self._means(aurocs, self.scores))

    def less(self, other: "Cases") -> Interval:
        """AUROC of these less that of `other`, on the same draws."""
        mine, theirs = (c._means(aurocs, c.scores) for c in (self, other))
        return interval(mine - theirs)

    def accuracy(self, thresholds: Sequence[float]) -> Interval:
        """Mean over the seeds, each by its own threshold."""
        flagged = self.scores >= np.array(thresholds)[:, None]
        return interval(self._means(accuracies, flagged))

    def _means(
        self, measure: Callable[..., np.ndarray], told: np.ndarray
    ) -> np.ndarray:
        counts = of_groups(self.groups, DRAWS, SEED)
        return np.mean([measure(self.labels, one, counts) for one in told], axis=0)


def findings(
    bench: Bench, names: Sequence[str], seeds: Sequence[int]
) -> Iterator[Finding]:
    """A finding a row, each as soon as its seeds are trained."""
    for name in names:
        yield _finding(bench, name, [bench.answers(name, seed) for seed in seeds])


def _finding(bench: Bench, name: str, told: Sequence[Answers]) -> Finding:
    row = bench.rows[name]
    images = _images(bench, "test", told)
    test = _grouped(bench, "test", told, images)
    board = replace(images, scores=images.scores.mean(0, keepdims=True))
    against = None
    if row.against:
        others = [bench.answers(row.against, one.seed) for one in told]
        against = _studies(bench, "test", others)
    return Finding(
        row=name,
        words=row.words,
        against=row.against,
        seeds=len(told),
        validation=round(_studies(bench, "validation", told).auroc().value, 4),
        test_image=images.auroc(),
        test=test.auroc(),
        mirrored=_studies(bench, "test", told, "mirrored").auroc(),
        together=_grouped(bench, "test", told, board).auroc(),
        accuracy=test.accuracy([_threshold(bench, one) for one in told]),
        gained=test.less(against) if against else None,
        hits=_hits(told) if row.pointed else None,
        epochs=float(np.mean([one.epochs for one in told])),
        minutes=float(np.mean([one.minutes for one in told])),
    )


def _hits(told: Sequence[Answers]) -> float:
    return float(np.mean([one.pointing["hits_flagged"] for one in told]))


def _images(
    bench: Bench, side: str, told: Sequence[Answers], what: str = "logits"
) -> Cases:
    known = {e.name: e for e in getattr(bench.parts, side)}
    found = [known[name] for name in told[0].images[side]]
    return Cases(
        np.array([e.label for e in found]),
        np.array([getattr(one, what)[side] for one in told]),
        np.array([e.patient for e in found]),
    )


def _studies(
    bench: Bench, side: str, told: Sequence[Answers], what: str = "logits"
) -> Cases:
    return _grouped(bench, side, told, _images(bench, side, told, what))


def _grouped(bench: Bench, side: str, told: Sequence[Answers], images: Cases) -> Cases:
    """A study is as suspicious as its most suspicious image, fractured if one is."""
    known = {e.name: e.study for e in getattr(bench.parts, side)}
    studies = np.array([known[name] for name in told[0].images[side]])
    inside = [studies == study for study in np.unique(studies)]
    return Cases(
        np.array([images.labels[i].max() for i in inside]),
        np.array([images.scores[:, i].max(1) for i in inside]).T,
        np.array([images.groups[i][0] for i in inside]),
    )


def _threshold(bench: Bench, told: Answers) -> float:
    """As a shipped model's: the logit that finds SENSITIVITY of the fractured
    validation images."""
    images = _images(bench, "validation", [told])
    return operating_point(images.labels, images.scores[0], SENSITIVITY)


def table(found: Sequence[Finding]) -> str:
    """Markdown, for a person."""
    head = (
        "row",
        "validation, study",
        "test, image",
        "test, study",
        "mirrored too",
        "seeds together",
        "accuracy, study",
        "gain against",
        "LRP hits",
        "epochs",
        "minutes",
    )
    return markdown(head, map(_cells, found))


def _cells(found: Finding) -> list[str]:
    gain = f"{in_words(found.gained, '+')} {found.against}" if found.gained else "–"
    return [
        f"`{found.row}` {found.words}",
        f"{found.validation:.3f}",
        in_words(found.test_image),
        in_words(found.test),
        in_words(found.mirrored),
        in_words(found.together),
        in_words(found.accuracy),
        gain,
        "–" if found.hits is None else f"{found.hits:.0%}",
        f"{found.epochs:.0f}",
        f"{found.minutes:.1f}",
    ]
