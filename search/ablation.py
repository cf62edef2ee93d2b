"""Which way of training pays? One question a row, the same split, several seeds.

Each training keeps its checkpoint and its answers: a table that was interrupted
goes on, and a row may begin with what another of the same seed has learnt.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from inference.artifact import Spec, file_digest
from inference.preprocess import Recipe
from search import data, pointing, provenance
from search.experiments import PUBLISHED, ROWS, UNLABELLED, Row
from search.parts import OTHER_PARTS, Parts, refuse_lacking
from search.phantoms import phantoms
from search.pretext import pretrained
from search.run import calibrated, commit, folded, judge, loaded, measured, starting
from search.samples import Samples, prepare
from search.train import Material, fit
from search.trainee import Plan, Progress, Teacher

WRISTS = 700  # phantoms to learn from, two views of each
EPOCHS = 3  # over all radiographs without their labels


@dataclass(frozen=True)
class Answers:
    """What one training says, side ("validation" or "test") by side.

    data: digest of what it was trained and judged on, see search.provenance.
    images: their names. logits: of each image; mirrored: the mean of those of its
    views and of their mirror images. pointing: shares of the marked test images
    whose LRP peak hits, as in search.pointing; none where it was not asked.
    """

    row: str
    seed: int
    plan: dict[str, object]
    data: str
    commit: str
    minutes: float
    epochs: int
    images: dict[str, list[str]]
    logits: dict[str, list[float]]
    mirrored: dict[str, list[float]]
    pointing: dict[str, float]


class Mirrored(nn.Module):
    """The mean of a network's logits for a view and for its mirror image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return (self.network(x) + self.network(x.flip(-1))) / 2


@dataclass(frozen=True)
class Bench:
    """Where the radiographs and the published weights (.npz) are, and what is kept."""

    images: Path
    published: Path
    work: Path
    rows: Mapping[str, Row] = field(default_factory=lambda: ROWS)

    @cached_property
    def parts(self) -> Parts:
        found = Parts.of(data.examples(self.images))
        refuse_lacking(found, both=tuple(vars(found)))
        return found

    @cached_property
    def origin(self) -> str:
        return provenance.of_parts(self.parts)

    @property
    def kept(self) -> Path:
        return self.work / "ablation"

    def answers(self, name: str, seed: int) -> Answers:
        """Of one row and seed; it is trained unless it was."""
        path, row = self.kept / f"{name}-{seed}.json", self.rows[name]
        known = {"plan": _told(replace(row.plan, seed=seed)), "data": self.origin}
        if path.exists():
            said = json.loads(path.read_text())
            if {what: said.get(what) for what in known} == known:
                return Answers(**said)
        code = commit()
        plan, progress = self._trained(name, seed)
        answers = self._asked(plan, progress, row.pointed)
        found = Answers(
            row=name,
            seed=seed,
            commit=code,
            minutes=round(progress.seconds / 60, 1),
            epochs=len(progress.history),
            **known,
            **answers,
        )
        path.write_text(json.dumps(asdict(found)))
        return found

    def _trained(self, name: str, seed: int) -> tuple[Plan, Progress]:
        """The plan as it was followed, and what came of it; a finished training is
        not trained again."""
        row = self.rows[name]
        everything = self._views("training", row.plan.recipe)
        recipe = measured(row.plan.recipe, everything)
        plan = replace(row.plan, seed=seed, recipe=recipe)
        teacher = None
        if row.teacher:
            theirs, learnt = self._trained(row.teacher, seed)
            teacher = Teacher(loaded(theirs.arch, learnt.best), theirs.recipe)
        material = self._material(row, everything)
        start = self._start(row, plan, everything)
        folder = self.kept / f"{name}-{seed}-{self._key(name, seed)}"
        return plan, fit(plan, material, folder, teacher, start)

    def _key(self, name: str, seed: int) -> str:
        """Of all that a row learns from, be it through another row."""
        row = self.rows[name]
        told = {
            "data": self.origin,
            "plan": _told(replace(row.plan, seed=seed)),
            "phantoms": row.phantoms and WRISTS,
            "by study": row.by_study,
            "unlabelled": row.start == UNLABELLED and EPOCHS,
            "published": row.start == PUBLISHED and file_digest(self.published),
        }
        others = {row.start, row.teacher} - {"", PUBLISHED, UNLABELLED}
        told["others"] = {other: self._key(other, seed) for other in others}
        told |= {"start": row.start, "teacher": row.teacher}
        return provenance.key(told)

    def _views(self, side: str, recipe: Recipe) -> Samples:
        return prepare(getattr(self.parts, side), recipe, self.work)[0]

    def _material(self, row: Row, everything: Samples) -> Material:
        validation = self._views("validation", row.plan.recipe)
        if row.phantoms:
            drawn = phantoms(WRISTS, row.plan.recipe)
            return Material(drawn, drawn, validation)
        if row.by_study:
            everything = _labelled_by_study(everything)
        parts = [self.parts.training[i].part for i in everything.owners]
        ours = np.array([part not in OTHER_PARTS for part in parts])
        return Material(everything, everything.of(ours), validation)

    def _start(
        self, row: Row, plan: Plan, everything: Samples
    ) -> Mapping[str, Tensor] | None:
        if not row.start:
            return None
        if row.start == PUBLISHED:
            return starting(self.published, plan.recipe)
        if row.start == UNLABELLED:
            return pretrained(plan, everything, EPOCHS)
        return self._trained(row.start, plan.seed)[1].best

    def _asked(
        self, plan: Plan, progress: Progress, pointed: bool
    ) -> dict[str, object]:
        arch, state = folded(plan.arch, progress.best)
        network = loaded(arch, state)
        told = {"images": {}, "logits": {}, "mirrored": {}, "pointing": {}}
        judged = {}
        for side in ("validation", "test"):
            views, found = self._views(side, plan.recipe), getattr(self.parts, side)
            judged[side] = judge(network, views, found, plan.recipe)
            turned = judge(Mirrored(network), views, found, plan.recipe)
            told["images"][side] = [e.name for e in judged[side].examples]
            told["logits"][side] = judged[side].logits.tolist()
            told["mirrored"][side] = turned.logits.tolist()
        if not pointed:
            return told
        spec = Spec("ablation", arch, plan.recipe, "alo", threshold=0.5)
        spec = calibrated(spec, judged["validation"])
        marked = pointing.marked(judged["test"].examples)
        by = {"lrp": pointing.ruled(spec, spec.composite)}
        return told | {"pointing": pointing.played(network, spec, marked, by)["lrp"]}


def _labelled_by_study(samples: Samples) -> Samples:
    """As where only studies are labelled: each image is as fractured as its study."""
    highest = np.zeros(samples.studies.max() + 1, np.int64)
    np.maximum.at(highest, samples.studies, samples.labels)
    return replace(samples, labels=highest[samples.studies])


def _told(plan: Plan) -> dict[str, object]:
    """As JSON gives it back."""
    return json.loads(json.dumps(plan.to_json()))
