"""What people should know of a model: facts for its card, measured or from the data.

A card's `holdout` is what the promotion gate compares two models by: every case of
the test part with the probability that this model gave it.
"""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from torch import nn

from inference.aggregate import AGGREGATIONS
from inference.artifact import Spec
from inference.calibrate import probability
from inference.runtime import compiled
from search import data, dataset, demographics, limits, pointing
from search.data import Example
from search.evaluate import Report, report
from search.holdout import METHODS
from search.parts import Parts

INTENDED_USE = (
    "Decision support: marks radiographs of the upper limb for a radiologist, who "
    "decides. A first model for development and demonstration; not a medical device."
)
FRACATLAS = {
    "name": "FracAtlas",
    "licence": "CC BY 4.0",
    "source": "Abedeen et al., FracAtlas, Sci Data 10, 521 (2023), "
    "doi:10.1038/s41597-023-02432-4",
    "notes": "No patient or study ids: a patient is a published block of consecutive "
    "images, a study consecutive images that seem to be views of one person "
    "(search/studies.py). Labels are of the image.",
}


@dataclass(frozen=True)
class Judged:
    """One score an image: the highest logit of its views."""

    examples: list[Example]
    logits: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return np.array([example.label for example in self.examples])

    @property
    def patients(self) -> list[str]:
        return [example.patient for example in self.examples]


def source(images: Path) -> dict[str, str]:
    """Of what data the folder `images` is, and whose."""
    return dict(FRACATLAS) if data.is_fracatlas(images) else {"name": images.name}


def origin(name: str, images: Path, parts: Parts) -> dict[str, object]:
    """The part of a card that is known before the training."""
    everybody = demographics.rows_of(images)
    found = [*parts.training, *parts.validation, *parts.test]
    facts = {
        "name": name,
        "intended_use": INTENDED_USE,
        "data": source(images) | {"digest": dataset.digest(images, found)},
        "salts": dataset.salts(images),
        "parts": {
            side: data.demography(found) | {"attributes": _attributes(found, everybody)}
            for side, found in vars(parts).items()
        },
    }
    return facts | {"limits": " ".join(limits.sentences(facts))}


def _attributes(
    found: list[Example], everybody: list[demographics.Row]
) -> dict[str, object]:
    """Age, sex, side, view and the like of one side of the data."""
    names = {example.name for example in found}
    paths = {example.known_as for example in found}
    mine = [
        row
        for row in everybody
        if Path(row["image"]).as_posix() in paths
        or Path(row["image"]).name in names - paths
    ]
    return demographics.summary(mine)["attributes"]


def measured(
    network: nn.Module,
    spec: Spec,
    judged: Judged,
    played: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """What only the finished model can tell. judged: the test part. played: the
    pointing game, if these weights have played it at this threshold before."""
    shown = played or pointing.card(network, spec, judged.examples)
    return {
        "test_images": sorted(example.name for example in judged.examples),
        "test_by_study": asdict(by_study(judged, spec)),
        "pointing": shown,
        "holdout": holdout(judged, spec, shown.get("hit_by"))
        | {
            "hits": {m: shown[m]["hits"] for m in METHODS if m in shown},
            "milliseconds": milliseconds(network, spec),
        },
    }


def holdout(
    judged: Judged, spec: Spec, hit_by: Mapping[str, list[str]] | None = None
) -> dict[str, object]:
    """The cases, and a digest of who they are and of what is true of them.

    hit_by: see search.pointing.card; the hits of an image it does not name are unknown.
    """
    hit_by = hit_by or {}
    scores = probability(judged.logits, spec.temperature)
    cases = [
        {
            "id": example.name,
            "study": example.study,
            "patient": example.patient,
            "label": example.label,
            "probability": round(float(score), 6),
            "subgroups": _subgroups(example),
        }
        | _hits(example, hit_by)
        for example, score in zip(judged.examples, scores, strict=True)
    ]
    known = json.dumps(sorted([case["id"], case["label"]] for case in cases))
    return {"digest": hashlib.sha256(known.encode()).hexdigest(), "cases": cases}


def by_study(judged: Judged, spec: Spec) -> Report:
    """A study scores as the model aggregates its images; it is fractured if one is."""
    inside = defaultdict(list)
    for i, example in enumerate(judged.examples):
        inside[example.study].append(i)
    chances = probability(judged.logits, spec.temperature)
    aggregate = AGGREGATIONS[spec.aggregation]
    scores = [
        aggregate(chances[members].tolist(), spec.threshold).probability
        for members in inside.values()
    ]
    labels = [judged.labels[members].max() for members in inside.values()]
    patients = [judged.patients[members[0]] for members in inside.values()]
    return report(np.array(labels), np.array(scores), patients, spec.threshold)


def _hits(example: Example, hit_by: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {"hits": hit_by[example.name]} if example.name in hit_by else {}


def _subgroups(example: Example) -> dict[str, str]:
    known = dict(example.traits) | {"part": example.part}
    return {name: value for name, value in known.items() if value}


def milliseconds(network: nn.Module, spec: Spec, rounds: int = 15) -> float:
    """CPU time of this process for one view, compiled: the median."""
    read = compiled(network, spec)
    view = np.zeros((1, 1, spec.recipe.height, spec.recipe.width), np.float32)
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        read(view)
        spent.append(1e3 * (time.process_time() - start))
    return round(float(np.median(spent)), 2)
