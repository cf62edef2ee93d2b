"""Networks side by side on the same patches: the form of FractNet's Table 1.

All learn from random weights, by the recipe of a search's candidates, from the same
patches in the same order, and are judged on the test side, which none has learnt from.
What was trained is kept: a table that was interrupted goes on.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inference import artifact
from inference.artifact import Spec
from inference.networks import Arch
from inference.preprocess import Recipe
from search import aufroc, data, patches
from search.baselines import LINE_UP, build
from search.candidate import learning
from search.card import milliseconds
from search.closeup import suspected
from search.draws import Interval, interval, of_groups
from search.evaluate import aurocs
from search.example import Example
from search.leaks import refuse_met
from search.markdown import in_words, markdown
from search.parts import Parts, ours, refuse_unmarked
from search.patches import MOST, Patches
from search.provenance import of_examples
from search.run import measured
from search.train import Material, fit, predict
from search.trainee import Plan

PROPOSER, SERVED = "who proposed", "in service"
DRAWS = 1000
HEAD = ("network", "AUFROC [90 %]", "less {}", "AUROC by patch [90 %]")
HEAD += ("parameters", "MAdds", "ms", "minutes")


@dataclass(frozen=True)
class Row:
    """One network, means over its seeds. aufroc, auroc: of the test side. less: AUFROC
    less that of the first, on the same draws. madds: multiply-adds of one patch.
    milliseconds: of one, compiled. minutes: of one training. None: not known of who
    proposed the patches, nor of a model in service, which looks at whole views."""

    network: str
    seeds: int
    aufroc: Interval | None
    less: Interval | None
    auroc: Interval | None
    parameters: int | None = None
    madds: int | None = None
    milliseconds: float | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Lineup:
    """source: who proposes; see `search.proposals`. size: (height, width) of a patch.
    most: proposals an image. served: a model of whole views beside them, see
    `search.closeup`."""

    images: Path
    source: Path
    work: Path
    size: tuple[int, int] = (64, 64)
    epochs: int = 5
    batch: int = 128
    most: int = MOST
    networks: Mapping[str, Arch] = field(default_factory=lambda: LINE_UP)
    served: Path | None = None

    def __post_init__(self) -> None:
        least = {"side": 32, "epochs": 1, "batch": 2, "proposals": 1}
        given = min(self.size), self.epochs, self.batch, self.most
        for (name, low), value in zip(least.items(), given, strict=True):
            if value < low:
                raise ValueError(f"{name}: {low} or more, not {value}.")

    @cached_property
    def sides(self) -> dict[str, Patches]:
        """ValueError, in a sentence, where nobody has marked a fracture."""
        parts = Parts.of(data.examples(self.images))
        refuse_unmarked(parts)
        models = [m for m in (self.source, self.served) if m and m.is_dir()]
        refuse_met(models, parts.test, self.images)
        judged = {
            side: self._prepared(ours(getattr(parts, side)), self.most)
            for side in ("validation", "test")
        }
        return {"training": self._prepared(parts.training, None), **judged}

    def _prepared(self, found: Sequence[Example], most: int | None) -> Patches:
        return patches.prepare(found, self.source, self._looks, self.work, most)[0]

    @property
    def _looks(self) -> Recipe:
        height, width = self.size
        folder = self.source.is_dir()
        looks = artifact.load_spec(self.source).recipe if folder else Recipe()
        return replace(looks, height=height, width=width)

    @cached_property
    def material(self) -> Material:
        learnt = self.sides["training"].learnt()
        return Material(learnt, learnt, self.sides["validation"].glimpse())

    def plan(self, name: str, seed: int) -> Plan:
        seen = measured(self._looks, self.material.everything)
        return learning(self.networks[name], seen, self.epochs, seed, self.batch)

    def answers(self, name: str, seed: int) -> dict[str, object]:
        """Logits of the test patches, and minutes; trained unless it was."""
        plan = self.plan(name, seed)
        path = self.work / "lineup" / f"{name}-{seed}-{self._key(plan)}.json"
        if path.exists():
            return json.loads(path.read_text())
        folder = path.with_suffix("")
        progress = fit(plan, self.material, folder)
        network = build(plan.arch).eval()
        network.load_state_dict(progress.best)
        logits = predict(network, self.sides["test"].samples, plan.recipe)
        spec = Spec(name, plan.arch, plan.recipe, "alo", threshold=0.5)
        told = {
            "logits": logits.tolist(),
            "minutes": round(progress.seconds / 60, 1),
            "milliseconds": milliseconds(network, spec),
            "history": progress.history,
        }
        path.write_text(json.dumps(told))
        shutil.rmtree(folder)  # up to a gigabyte each
        return told

    def _key(self, plan: Plan) -> str:
        seen = {s: of_examples(p.examples) for s, p in self.sides.items()}
        said = [plan.to_json(), seen, artifact.any_digest(self.source), self.most]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def rows(lineup: Lineup, seeds: Sequence[int]) -> Iterator[Row]:
    """A row a network, each as soon as its seeds are trained; then who is in service,
    if that is asked, and who proposed."""
    test, first = lineup.sides["test"], None
    for name in lineup.networks:
        told = [lineup.answers(name, seed) for seed in seeds]
        scores = [np.array(one["logits"]) for one in told]
        areas = _areas(test, scores)
        network = build(lineup.networks[name]).eval()
        yield Row(
            name,
            len(told),
            interval(areas),
            None if first is None else interval(areas - first),
            _auroc(test, scores),
            sum(weight.numel() for weight in network.parameters()),
            madds(network, lineup.size),
            float(np.mean([one["milliseconds"] for one in told])),
            float(np.mean([one["minutes"] for one in told])),
        )
        first = areas if first is None else first
    if lineup.served:
        weights = artifact.load_network(lineup.served).parameters()
        yield replace(
            _untrained(SERVED, suspected(lineup.served, test), test, first),
            parameters=sum(weight.numel() for weight in weights),
        )
    yield _untrained(PROPOSER, test.scores, test, first)


def _untrained(
    name: str, scores: np.ndarray, test: Patches, first: np.ndarray | None
) -> Row:
    areas = _areas(test, [scores])
    less = None if first is None else interval(areas - first)
    return Row(name, 1, interval(areas), less, _auroc(test, [scores]))


def madds(network: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-adds for one image of `size`."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, *size))
    return counter.get_total_flops() // 2


def _areas(test: Patches, scores: Sequence[np.ndarray]) -> np.ndarray:
    """Means over the seeds: as measured, then of each draw of patients."""
    drawn = {"groups": test.patients, "draws": DRAWS}
    return np.mean([aufroc.areas(test.judged(s), **drawn) for s in scores], axis=0)


def _auroc(test: Patches, scores: Sequence[np.ndarray]) -> Interval | None:
    labels, owners = test.samples.labels, test.samples.owners
    patients = np.array([example.patient for example in test.examples])[owners]
    counts = of_groups(patients, DRAWS, 0)
    return interval(np.mean([aurocs(labels, s, counts) for s in scores], axis=0))


def report(lineup: Lineup, found: Sequence[Row]) -> str:
    """Markdown, for a person: what the patches are, and the table."""
    head = [words.format(found[0].network) for words in HEAD]
    sides = [_side(*side) for side in lineup.sides.items()]
    return "\n".join([*sides, "", markdown(head, map(_cells, found))])


def to_json(lineup: Lineup, found: Sequence[Row]) -> list[dict[str, object]]:
    ceilings = {side: given.ceiling() for side, given in lineup.sides.items()}
    return [{"proposals": ceilings}, *map(asdict, found)]


def _side(name: str, given: Patches) -> str:
    told = given.ceiling()
    return (
        f"{name}: {len(given.examples)} images, {told['an_image']:.0f} proposals each, "
        f"{given.samples.labels.sum()} of them on a fracture; of {told['fractures']} "
        f"fractures {told['by_fracture']:.0%} are hit by any (by study "
        f"{told['by_study']:.0%}): no network finds more."
    )


def _cells(row: Row) -> list[str]:
    return [
        row.network,
        in_words(row.aufroc),
        "–" if row.less is None else in_words(row.less, "+"),
        in_words(row.auroc),
        "–" if row.parameters is None else f"{row.parameters / 1e6:.1f} M",
        "–" if row.madds is None else f"{row.madds / 1e6:.0f} M",
        "–" if row.milliseconds is None else f"{row.milliseconds:.1f}",
        "–" if row.minutes is None else f"{row.minutes:.1f}",
    ]
