"""One architecture tried: weights cut out of a supernet, trained briefly, judged.

FractNet's way (SPEC of its paper): five epochs of stochastic gradient descent at 0.02,
falling along a cosine, momentum 0.9, batches of 128, decay 1e-4, averaged weights by
0.99. The best are trained for twenty. Ours besides, as in every training here: the
rate climbs over the first 15 %, gradients are clipped at a norm of 5, an epoch draws
twice as many samples as the rarer class has, half of each kind, the averaged weights
follow faster while they know little, and the network computes in bfloat16.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from inference.networks import Arch, build
from inference.preprocess import Recipe
from search.evaluate import auroc
from search.parts import Parts
from search.patches import Patches, prepare
from search.samples import Samples
from search.spaces import SPACES
from search.spaces.ofa import Architecture
from search.supernet import Supernet, arch, recalibrate
from search.train import Material, fit, predict
from search.trainee import Plan, Progress, Stage, as_input

EPOCHS, FINAL_EPOCHS = 5, 20
CALIBRATING, AT_ONCE = 2000, 200  # images a cut-out network sees before it learns

# How much of the training is done, and how much of it is kept, [0, 1].
Tell = Callable[[float, float], None]


@dataclass(frozen=True)
class Task:
    """What every candidate of a search is trained and judged on. supernet: None
    begins with random weights. proposed: the validation side, where candidates look
    at patches and not at whole views; `material` then is of patches, too."""

    space: str
    material: Material
    recipe: Recipe
    supernet: Supernet | None = None
    seed: int = 0
    batch: int = 128
    proposed: Patches | None = None

    def __post_init__(self) -> None:
        if self.supernet and self.supernet.space != SPACES[self.space]:
            raise ValueError(
                f"the supernet has width {self.supernet.space.width}, candidates of "
                f"{self.space} another"
            )


@dataclass(frozen=True)
class Tried:
    """scores: by `weights`, which are the last epoch's. auroc: of the validation
    studies; of patches, each by itself. aufroc: of patches only."""

    arch: Arch
    scores: Mapping[str, float]
    weights: Mapping[str, Tensor]
    history: list[dict[str, float]]
    costs: Mapping[str, int]


def of_patches(
    parts: Parts, source: Path, recipe: Recipe, work: Path
) -> tuple[Material, Patches, Counter[str]]:
    """What candidates learn from that look at patches of the size of `recipe`; the
    validation side; how many frames were set aside for which reason. source: see
    `search.proposals`."""
    taught, set_aside = prepare(parts.training, source, recipe, work, None)
    judged, _ = prepare(parts.validation, source, recipe, work)
    learnt = taught.learnt()
    return Material(learnt, learnt, judged.glimpse()), judged, set_aside


def attempt(
    task: Task,
    architecture: Architecture,
    folder: Path,
    epochs: int = EPOCHS,
    tell: Tell = lambda done, kept: None,
) -> Tried:
    """Train and judge; a training found in `folder` is taken up again."""
    chosen, start = begun(task, architecture)
    progress = fit(
        plan(task, chosen, epochs),
        task.material,
        folder,
        start=start,
        tell=lambda history, done: tell(done / epochs, len(history) / epochs),
    )
    space, size = SPACES[task.space], (task.recipe.height, task.recipe.width)
    costs = {
        "parameters": space.parameters(architecture),
        "madds": space.madds(architecture, *size),
    }
    scores = _scores(task, chosen, progress)
    return Tried(chosen, scores, progress.best, progress.history, costs)


def _scores(task: Task, arch: Arch, progress: Progress) -> dict[str, float]:
    if task.proposed is None:
        return {"auroc": progress.history[-1]["study_auroc"]}
    network = build(arch).eval()
    network.load_state_dict(progress.best)
    logits = predict(network, task.proposed.samples, task.recipe)
    found = auroc(task.proposed.samples.labels, logits)
    return {"auroc": found, "aufroc": task.proposed.area(logits)}


def plan(task: Task, arch: Arch, epochs: int) -> Plan:
    return learning(arch, task.recipe, epochs, task.seed, task.batch)


def learning(
    arch: Arch, recipe: Recipe, epochs: int, seed: int = 0, batch: int = 128
) -> Plan:
    """FractNet's way of training, for whichever network."""
    return Plan(
        arch,
        (Stage(epochs, 1.0, True, 0.02),),
        recipe,
        seed=seed,
        batch=batch,
        decay=1e-4,
        boxes=0.0,
        ema=0.99,
        optimizer="sgd",
    )


def begun(
    task: Task, architecture: Architecture
) -> tuple[Arch, dict[str, Tensor] | None]:
    """The candidate's network, and its weights before it learns: cut out, their
    batch norms set to these images."""
    if task.supernet is None:
        return arch(SPACES[task.space], architecture), None
    chosen = task.supernet.arch(architecture)
    network = build(chosen)
    network.load_state_dict(task.supernet.weights(architecture, task.recipe))
    recalibrate(network, _seen(task.material.everything, task.recipe, task.seed))
    return chosen, network.state_dict()


def _seen(samples: Samples, recipe: Recipe, seed: int) -> list[Tensor]:
    order = np.random.default_rng(seed).permutation(len(samples))[:CALIBRATING]
    return [
        as_input(samples.pixels[order[i : i + AT_ONCE], None] / 255.0, recipe)
        for i in range(0, len(order), AT_ONCE)
    ]
