"""From a folder of labelled radiographs to a model that can be shipped.

Three parts by patient: training, validation (chooses the epoch, the temperature and
the threshold) and test, which only the model that came out gets to see, once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from inference import artifact
from inference.artifact import Spec
from inference.calibrate import probability
from inference.networks import ARCHS, Arch, build
from inference.networks.squeezenet import imagenet
from inference.preprocess import Recipe
from inference.weights import kept
from search import calibration, card, data, pointing, provenance
from search.card import Judged
from search.checkout import commit, machine
from search.data import Example
from search.evaluate import (
    Report,
    operating_point,
    report,
    specific_point,
    temperature,
)
from search.leaks import refuse_met
from search.parts import OTHER_PARTS, Parts, refuse_lacking
from search.samples import Samples, prepare
from search.together import fit
from search.train import Material, Tell, predict
from search.trainee import Plan, Stage, Teacher

SENSITIVITY = 0.85  # on validation, at the threshold
SPECIFICITY = 0.95  # on validation, from where a finding counts as confident

RX_TRAINED = Arch("rx", (("batch_norm", True), ("dropout", 0.3)))
RX_LARGE_TRAINED = Arch("rx", (*RX_TRAINED.options, *ARCHS["rx-large"].options))
# Half the size: what two cores can learn from in minutes.
HALF = Recipe(width=171, height=256)
# Published weights, gently: the head first, then everything at a tenth of the usual
# rate; three times that unlearns what they know. At the end what is to be read alone.
TRANSFER = (
    Stage(4, 1.0, True, 1e-3, frozen=True),
    Stage(34, 1.0, True, 1e-4),
    Stage(6, 1.0, False, 3e-5),
)
PLANS = {
    "squeezenet": Plan(
        Arch("squeezenet", (("attention", 0.8), ("dropout", 0.3), ("stride", 8))),
        TRANSFER,
        Recipe(width=256, height=384),
        batch=16,
        boxes=3.0,
        focus=2.0,
        ema=0.98,
    ),
    "resnet18": Plan(ARCHS["resnet18"], (Stage(30, 1.0, True, 1e-3),), HALF),
    "rx-lite": Plan(RX_TRAINED, (Stage(30, 1.0, True, 1e-3),), HALF),
    "rx-large": Plan(RX_LARGE_TRAINED, (Stage(30, 1.0, True, 1e-3),), HALF),
}


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
    `start` may also be the file of SqueezeNet's published weights (.npz).
    Checkpoints and prepared views are kept in `work`: the same call goes on where
    it was interrupted, one on other data, labels or weights begins its own. tell: see
    search.train.
    """
    artifact.refuse_place(out, teacher, start)
    code = commit()
    parts = Parts.of(data.examples(images))
    refuse_lacking(parts, some=("test",), both=("training", "validation"))
    behind = [source for source in (teacher, start) if source and source.is_dir()]
    refuse_met(behind, parts.test, images)
    material, set_aside = prepared(parts, plan.recipe, work)
    plan = replace(plan, recipe=looks(plan.recipe, material.everything, start))
    taught = _teacher(teacher, plan.recipe) if teacher else None
    weights = starting(start, plan.recipe) if start else None
    sources = {"teacher": _identity(teacher), "start": _identity(start)}
    origin = provenance.key(provenance.of_parts(parts), plan.to_json(), sources)
    folder = work / f"{name}-{plan.seed}-{origin}"
    progress = fit(plan, material, folder, taught, weights, tell)
    facts = card.origin(name, images, parts)
    facts |= {
        "set_aside": dict(set_aside),
        "plan": plan.to_json(),
        **sources,
        **_ancestry(facts, teacher, start),
        "commit": code,
        "machine": machine(),
        "seconds": round(progress.seconds),
        "history": progress.history,
    }
    arch, state = folded(plan.arch, progress.best)
    test, _ = prepare(parts.test, plan.recipe, work)
    spec = Spec(name, arch, plan.recipe, "alo", threshold=0.5)
    return finished(loaded(arch, state), spec, parts, material, test, facts, out)


def prepared(parts: Parts, recipe: Recipe, work: Path) -> tuple[Material, Counter[str]]:
    """What to learn from, and how many frames were set aside for which reason."""
    everything, set_aside = prepare(parts.training, recipe, work)
    validation, _ = prepare(parts.validation, recipe, work)
    ours = [parts.training[i].part not in OTHER_PARTS for i in everything.owners]
    return Material(everything, everything.of(np.array(ours)), validation), set_aside


def finished(
    network: nn.Module,
    spec: Spec,
    parts: Parts,
    material: Material,
    test: Samples,
    facts: Mapping[str, object],
    out: Path,
) -> Verdict:
    """Choose what else `spec` says, on validation; measure; leave the artifact in
    `out`. facts: what the card says of how the network came about.

    All of it is said of the weights as the artifact keeps them, in half precision.
    """
    network = kept(spec.arch, network).to(memory_format=torch.channels_last)
    chosen = judge(network, material.validation, parts.validation, spec.recipe)
    spec = calibrated(spec, chosen)
    spec = replace(spec, composite=pointing.chosen(network, spec, parts.validation))
    spec, known, scores = calibration.cautious(
        network, spec, material.ours, material.validation
    )
    judged = judge(network, test, parts.test, spec.recipe)
    facts = dict(facts) | {
        **card.measured(network, spec, judged),
        **trust(spec, chosen, judged),
        "abstentions": calibration.abstentions(network, spec, known, test),
        "training_scores": scores,
    }
    digest = artifact.save(out, spec, network.state_dict(), facts, known)
    return Verdict(out, digest, assess(judged, spec))


def looks(recipe: Recipe, samples: Samples, start: Path | None) -> Recipe:
    """`recipe` with the mean and standard deviation that the artifact `start` was
    trained with, so that its pupil begins as it ended; else those of these views."""
    if not start or start.suffix == ".npz":
        return measured(recipe, samples)
    known = artifact.load_spec(start).recipe
    return replace(recipe, mean=known.mean, std=known.std)


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
    logits = predict(network, samples, recipe, exact=True)
    owners = np.unique(samples.owners)
    highest = [logits[samples.owners == owner].max() for owner in owners]
    return Judged([found[i] for i in owners], np.array(highest))


def calibrated(spec: Spec, judged: Judged) -> Spec:
    """Temperature by likelihood, then the operating points: the threshold by
    SENSITIVITY, from where a finding is confident by SPECIFICITY."""
    degrees = temperature(judged.labels, judged.logits)
    scores = probability(judged.logits, degrees)
    threshold = operating_point(judged.labels, scores, SENSITIVITY)
    confident = max(specific_point(judged.labels, scores, SPECIFICITY), threshold)
    return replace(spec, temperature=degrees, threshold=threshold, confident=confident)


def trust(spec: Spec, chosen: Judged, judged: Judged) -> dict[str, object]:
    """Facts of a card: how good, and how well calibrated, on the images that chose
    the operating points and on the test's."""
    sides = {"validation": chosen, "test": judged}
    surer = replace(spec, threshold=spec.confident)
    return {
        **{side: asdict(assess(found, spec)) for side, found in sides.items()},
        "confident": {side: asdict(assess(f, surer)) for side, f in sides.items()},
        "calibration": {
            side: calibration.calibration(found, spec) for side, found in sides.items()
        },
        "coverage": calibration.coverage(judged, spec),
    }


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
    network, target = loaded(arch, state), build(plain)
    for block, simple in zip(network.features, target.features, strict=True):
        simple[0].load_state_dict(fuse_conv_bn_eval(block[0], block[1]).state_dict())
    target.head.load_state_dict(network.head.state_dict())
    return plain, target.state_dict()


def loaded(arch: Arch, state: Mapping[str, Tensor]) -> nn.Module:
    network = build(arch).eval()
    network.load_state_dict(state)
    return network.to(memory_format=torch.channels_last)


def starting(start: Path, recipe: Recipe) -> dict[str, Tensor]:
    if start.suffix == ".npz":
        try:
            with np.load(start) as published:  # refuses pickles
                return imagenet(published, recipe.mean, recipe.std)
        except (KeyError, TypeError, ValueError, EOFError, BadZipFile) as error:
            raise ValueError(
                f"{start.name} does not hold SqueezeNet's published weights: {error}"
            ) from error
    return artifact.load_network(start).state_dict()


def _identity(source: Path | None) -> str:
    """The digest of an artifact, or of the file of published weights."""
    return artifact.any_digest(source) if source else ""


def _ancestry(facts: Mapping[str, object], *sources: Path | None) -> dict[str, object]:
    """Published weights have met no patients. facts: of the data."""
    cards = [artifact.load_card(s) for s in sources if s and s.is_dir()]
    if not cards:
        return {}
    met = provenance.ancestry(cards)
    return {"learnt_before": met, "salts": provenance.marks([facts, *cards])}


def _teacher(folder: Path, recipe: Recipe) -> Teacher:
    """ValueError if the artifact in `folder` looks at other views."""
    found = artifact.load_spec(folder).recipe
    if replace(found, mean=recipe.mean, std=recipe.std) != recipe:
        raise ValueError(f"{folder}: this teacher looks at other views: {found}")
    network = artifact.load_network(folder)
    return Teacher(network.to(memory_format=torch.channels_last), found)
