"""From a folder of labelled radiographs to a model that can be shipped.

Three parts by patient: training, validation (chooses the epoch, the temperature and
the threshold) and test, which only the model that came out gets to see, once.
"""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from inference import artifact
from inference.artifact import Spec
from inference.calibrate import probability
from inference.networks import ARCHS, Arch, build
from inference.preprocess import Recipe
from search import data
from search.data import Example
from search.evaluate import Report, operating_point, report, temperature
from search.parts import OTHER_PARTS, Parts
from search.samples import Samples, prepare
from search.train import Material, Tell, fit, predict
from search.trainee import Plan, Stage, Teacher

SENSITIVITY = 0.8  # on validation, at the threshold

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

RX_TRAINED = Arch("rx", (("batch_norm", True), ("dropout", 0.3)))
# Half the size: what two cores can learn from in minutes.
HALF = Recipe(width=171, height=256)
PLANS = {
    "resnet18": Plan(ARCHS["resnet18"], (Stage(30, 1.0, True, 1e-3),), HALF),
    "rx-lite": Plan(RX_TRAINED, (Stage(30, 1.0, True, 1e-3),), HALF),
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


@dataclass(frozen=True)
class Verdict:
    """What came out: the artifact's folder and digest, and its test report."""

    folder: Path
    digest: str
    report: Report


def run(
    name: str,
    plan: Plan,
    images: Path,
    out: Path,
    work: Path,
    *,
    teacher: Path | None = None,
    start: Path | None = None,
    tell: Tell = lambda history, done: None,
) -> Verdict:
    """Train `name` on the folder `images`; leave the artifact in `out`.

    Artifacts of networks trained on the same parts: `teacher` has opinions worth
    learning, `start` has the weights (of the plan's architecture) to go on from.
    Checkpoints and prepared views are kept in `work`: the same call goes on where
    it was interrupted. tell: see search.train.
    """
    started, commit = time.monotonic(), _commit()
    parts = Parts.of(data.examples(images))
    everything, set_aside = prepare(parts.training, plan.recipe, work)
    validation, _ = prepare(parts.validation, plan.recipe, work)
    plan = replace(plan, recipe=measured(plan.recipe, everything))
    mine = [parts.training[i].part not in OTHER_PARTS for i in everything.owners]
    material = Material(everything, everything.of(np.array(mine)), validation)
    taught = _teacher(teacher, plan.recipe) if teacher else None
    weights = artifact.load_network(start).state_dict() if start else None
    room = work / f"{name}-{plan.seed}"
    progress = fit(plan, material, room, taught, weights, tell)

    arch, state = folded(plan.arch, progress.best)
    network = _loaded(arch, state)
    chosen = judge(network, validation, parts.validation, plan.recipe)
    spec = calibrated(Spec(name, arch, plan.recipe, "alo", threshold=0.5), chosen)
    test, _ = prepare(parts.test, plan.recipe, work)
    judged = judge(network, test, parts.test, plan.recipe)
    outcome = assess(judged, spec)
    card = _origin(name, images, parts) | {
        "set_aside": dict(set_aside),
        "test_images": sorted(e.image.name for e in judged.examples),
        "plan": plan.to_json(),
        "teacher": artifact.digest(teacher) if teacher else "",
        "start": artifact.digest(start) if start else "",
        "commit": commit,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "history": progress.history,
        "validation": asdict(assess(chosen, spec)),
        "test": asdict(outcome),
    }
    return Verdict(out, artifact.save(out, spec, state, card), outcome)


def _origin(name: str, images: Path, parts: Parts) -> dict[str, object]:
    """The part of a card that is known before the training."""
    return {
        "name": name,
        "intended_use": INTENDED_USE,
        "data": FRACATLAS if images.name == "fracatlas" else {"name": images.name},
        "parts": {side: data.demography(found) for side, found in vars(parts).items()},
    }


def measured(recipe: Recipe, samples: Samples) -> Recipe:
    """`recipe` with the mean and standard deviation of these views."""
    pixels = samples.pixels / np.float32(255)
    return replace(
        recipe, mean=round(float(pixels.mean()), 5), std=round(float(pixels.std()), 5)
    )


def judge(
    network: nn.Module, samples: Samples, found: Sequence[Example], recipe: Recipe
) -> Judged:
    """An image is as suspicious as its most suspicious view."""
    logits = predict(network, samples, recipe)
    owners = np.unique(samples.owners)
    highest = [logits[samples.owners == owner].max() for owner in owners]
    return Judged([found[i] for i in owners], np.array(highest))


def calibrated(spec: Spec, judged: Judged) -> Spec:
    """Temperature by likelihood, then the threshold by SENSITIVITY."""
    degrees = temperature(judged.labels, judged.logits)
    scores = probability(judged.logits, degrees)
    threshold = operating_point(judged.labels, scores, SENSITIVITY)
    return replace(spec, temperature=degrees, threshold=threshold)


def assess(judged: Judged, spec: Spec) -> Report:
    scores = probability(judged.logits, spec.temperature)
    return report(judged.labels, scores, judged.patients, spec.threshold)


def folded(arch: Arch, state: Mapping[str, Tensor]) -> tuple[Arch, dict[str, Tensor]]:
    """The same function without batch norm, where the family can do without.

    Model Rx learns faster with it, and is easier to explain and to run without.
    """
    options = dict(arch.options)
    if not options.pop("batch_norm", False):
        return arch, dict(state)
    plain = Arch(arch.family, tuple(sorted(options.items())))
    network, target = _loaded(arch, state), build(plain)
    for block, simple in zip(network.features, target.features, strict=True):
        simple[0].load_state_dict(fuse_conv_bn_eval(block[0], block[1]).state_dict())
    target.head.load_state_dict(network.head.state_dict())
    return plain, target.state_dict()


def _loaded(arch: Arch, state: Mapping[str, Tensor]) -> nn.Module:
    network = build(arch).eval()
    network.load_state_dict(state)
    return network.to(memory_format=torch.channels_last)


def _teacher(folder: Path, recipe: Recipe) -> Teacher:
    """ValueError if the artifact in `folder` looks at other views."""
    found = artifact.load_spec(folder).recipe
    if replace(found, mean=recipe.mean, std=recipe.std) != recipe:
        raise ValueError(f"{folder}: this teacher looks at other views: {found}")
    network = artifact.load_network(folder)
    return Teacher(network.to(memory_format=torch.channels_last), found)


def _commit() -> str:
    """The code's commit; empty outside a checkout."""
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip()
