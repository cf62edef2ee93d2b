"""From images to a study: which way pays? Every rule, one that is learned, and the
Aggregator, on the same studies, of the same network of single views."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from inference import artifact
from inference.aggregate import AGGREGATIONS, Aggregation, Learned, told
from inference.artifact import Spec
from inference.calibrate import probability
from search import aggregator, data
from search.card import Judged
from search.evaluate import Report, operating_point, report
from search.leaks import refuse_met
from search.markdown import figure, in_words, markdown
from search.parts import Parts, refuse_lacking
from search.run import SENSITIVITY, judge
from search.samples import prepare

RIDGE = 1e-3  # keeps weights small where all studies are told apart
SIDES = "validation", "test"


@dataclass(frozen=True)
class Images:
    """Studies as a network of single views sees them. chances: of each study the
    probabilities of its images. labels: (S,), patients: (S,) names."""

    chances: tuple[tuple[float, ...], ...]
    labels: np.ndarray
    patients: tuple[str, ...]

    @classmethod
    def of(cls, judged: Judged, spec: Spec) -> "Images":
        inside = defaultdict(list)
        for i, example in enumerate(judged.examples):
            inside[example.study].append(i)
        chances = probability(judged.logits, spec.temperature)
        return cls(
            tuple(tuple(chances[members].tolist()) for members in inside.values()),
            np.array([judged.labels[members].max() for members in inside.values()]),
            tuple(judged.patients[members[0]] for members in inside.values()),
        )

    def scored(self, rule: Aggregation) -> np.ndarray:
        """Probabilities of the studies, (S,)."""
        return np.array([rule(images, 0.5).probability for images in self.chances])


@dataclass(frozen=True)
class Row:
    """One way of one model, by study, at the threshold that validation chose."""

    model: str
    way: str
    validation: Report
    test: Report

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def measured(
    folders: Sequence[Path], images: Path, work: Path, seeds: Sequence[int]
) -> tuple[list[dict[str, object]], str]:
    """All rows: as JSON, and as a table to read."""
    found = list(rows(folders, images, work, seeds))
    return [row.to_json() for row in found], table(found)


def rows(
    folders: Sequence[Path], images: Path, work: Path, seeds: Sequence[int]
) -> Iterator[Row]:
    """Of every artifact all ways, each as soon as it is measured."""
    parts = Parts.of(data.examples(images))
    refuse_lacking(parts, some=("test",), both=("training", "validation"))
    refuse_met(folders, parts.test, images)
    for folder in folders:
        yield from _ruled(folder, parts, work)
        for seed in seeds:
            yield _together(folder, parts, work, seed)


def learned(studies: Images) -> Learned:
    """The rule under which these studies are most likely."""
    looks = np.array([(*told(images), 1.0) for images in studies.chances])
    signs = np.where(studies.labels == 1, 1.0, -1.0)

    def loss(weights: np.ndarray) -> float:
        wrong = np.logaddexp(0, -signs * (looks @ weights)).mean()
        return float(wrong + RIDGE * np.square(weights).sum())

    free = (None, None)
    limits = [(0, None), (0, None), free, free]
    found = minimize(loss, [1.0, 0.0, 0.0, 0.0], bounds=limits, method="L-BFGS-B")
    return Learned(*map(float, found.x))


def table(found: Sequence[Row]) -> str:
    """Markdown, for a person."""
    head = ("model", "way", "AUROC validation", "AUROC test", "accuracy test")
    head = (*head, "sensitivity", "specificity")
    return markdown(head, map(_cells, found))


def _ruled(folder: Path, parts: Parts, work: Path) -> Iterator[Row]:
    spec, network = artifact.load_spec(folder), artifact.load_network(folder)
    sides = {}
    for side in SIDES:
        examples = getattr(parts, side)
        views, _ = prepare(examples, spec.recipe, work)
        sides[side] = Images.of(judge(network, views, examples, spec.recipe), spec)
    rules = AGGREGATIONS | {"learned": learned(sides["validation"])}
    for name, rule in rules.items():
        scores = {side: studies.scored(rule) for side, studies in sides.items()}
        yield _row(spec.name, name, sides, scores)


def _together(folder: Path, parts: Parts, work: Path, seed: int) -> Row:
    taught = aggregator.fit(folder, parts, work, seed)
    scores = {side: probability(taught.logits[side], 1.0) for side in SIDES}
    name = artifact.load_spec(folder).name
    return _row(name, f"Aggregator, seed {seed}", taught.studies, scores)


def _row(
    model: str,
    way: str,
    sides: Mapping[str, Images | aggregator.Studies],
    scores: Mapping[str, np.ndarray],
) -> Row:
    threshold = operating_point(
        sides["validation"].labels, scores["validation"], SENSITIVITY
    )
    reports = (
        report(sides[side].labels, scores[side], sides[side].patients, threshold)
        for side in SIDES
    )
    return Row(model, way, *reports)


def _cells(row: Row) -> list[str]:
    return [
        row.model,
        row.way,
        in_words(row.validation.auroc),
        in_words(row.test.auroc),
        in_words(row.test.accuracy),
        figure(row.test.sensitivity),
        figure(row.test.specificity),
    ]
