"""From samples to trained weights: one training in stages, resumable, replayable.

A plan is a value. Everything random in epoch e is drawn from (seed, e), and every
rate follows from the step, so that a training taken up again at an epoch's end
goes on exactly as if it had never stopped.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from math import cos, isfinite, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from inference.preprocess import Recipe
from search import memory
from search.checkpoint import CHECKPOINT
from search.data import balanced
from search.evaluate import auroc
from search.group import ALONE, CPU, Group
from search.precision import halved
from search.samples import Samples, batches
from search.trainee import (
    Plan,
    Progress,
    Stage,
    Teacher,
    Trainee,
    as_input,
)

# Told the history and how many epochs are done, parts of one counted. What it raises
# ends the training; the checkpoint of the last whole epoch stays.
Tell = Callable[[Sequence[Mapping[str, float]], float], None]
WARM_UP = 0.15  # share of a stage in which the rate climbs


@dataclass(frozen=True)
class Material:
    """What to learn from, and what to choose the best epoch by."""

    everything: Samples
    ours: Samples
    validation: Samples

    def of(self, stage: Stage) -> tuple[Samples, Samples]:
        """-> (training, validation) samples at the size of `stage`."""
        training = self.everything if stage.everything else self.ours
        return training.scaled(stage.scale), self.validation.scaled(stage.scale)

    def smallest_batch(self, plan: Plan) -> int:
        """Samples, at least one: an epoch has two for each of the rarer class."""
        parts = [self.everything if s.everything else self.ours for s in plan.stages]
        rarer = [min(sum(p.labels == 0), sum(p.labels == 1)) for p in parts]
        return max(1, min(plan.batch, *(2 * int(count) for count in rarer)))


def fit(
    plan: Plan,
    material: Material,
    folder: Path,
    teacher: Teacher | None = None,
    start: Mapping[str, Tensor] | None = None,
    tell: Tell = lambda history, done: None,
    group: Group = ALONE,
) -> Progress:
    """Train as `plan` says, keeping a checkpoint in `folder` after each epoch.

    Only the last stage may provide the result, for it alone trains at full size on
    what is to be read. A checkpoint found in `folder` is taken up again. All of
    `group` call this alike; its first member writes. ValueError, for all of them,
    once the training has diverged: that epoch is neither kept nor told.
    """
    memory.keep()
    folder.mkdir(parents=True, exist_ok=True)
    trainee = Trainee(plan, teacher, start, group)
    progress = trainee.resume(folder / CHECKPOINT)
    first = 0
    for stage in plan.stages:
        begin = max(len(progress.history) - first, 0)
        if begin < stage.epochs:
            training, validation = material.of(stage)
            for epoch in range(begin, stage.epochs):
                if progress.stale(plan.patience):
                    break
                started = time.monotonic()
                say = partial(tell, tuple(progress.history))
                entry = _epoch(trainee, stage, epoch, first + epoch, training, say)
                if group.first:
                    entry |= _judged(trainee, validation)
                entry = group.agreed(entry)
                _refuse_divergence(entry)
                progress.note(entry, trainee, eligible=stage is plan.stages[-1])
                progress.seconds += time.monotonic() - started
                if group.first:
                    trainee.save(folder, progress)
                tell(tuple(progress.history), len(progress.history))
        first += stage.epochs
    return progress


def predict(
    network: nn.Module,
    samples: Samples,
    recipe: Recipe,
    batch: int = 32,
    *,
    exact: bool = False,
) -> np.ndarray:
    """Logits, float32 (N,), in the order of `samples`. exact: in single precision, as
    readings are, not in the quicker one of trainings. ValueError where there are none:
    nothing can be said of nobody."""
    if not len(samples):
        raise ValueError("None of the radiographs to judge by could be read.")
    device = next((w.device for w in network.parameters()), CPU)
    quick = nullcontext() if exact else halved(device)
    with torch.inference_mode(), quick:
        logits = []
        for i in range(0, len(samples), batch):
            views = as_input(samples.pixels[i : i + batch, None] / 255.0, recipe)
            logits.append(network(views.to(device)).cpu())
    return torch.cat(logits)[:, 0].float().numpy()


def _epoch(
    trainee: Trainee,
    stage: Stage,
    epoch: int,
    overall: int,
    training: Samples,
    say: Callable[[float], None],
) -> dict[str, float]:
    plan, group = trainee.plan, trainee.group
    rng = np.random.default_rng([plan.seed, overall])
    order = balanced(training.labels, rng)
    size = min(plan.batch, len(order)) // group.size * group.size
    steps = len(order) // size
    losses = []
    with torch.random.fork_rng():
        # No two members drop the same features of different views.
        torch.manual_seed(plan.seed * 1000 + overall + 10**9 * group.rank)
        trainee.begin(stage)
        work = batches(training, order, size, rng, plan.invert, group.part)
        bar = tqdm(work, f"epoch {overall + 1}", steps, disable=not group.first)
        for step, batch in enumerate(bar):
            done = (epoch + step / steps) / stage.epochs
            losses.append(trainee.learn(batch, stage.rate * height(done)))
            say(overall + (step + 1) / steps)
    return {"epoch": overall + 1, "loss": group.mean(float(np.mean(losses)))}


def _judged(trainee: Trainee, validation: Samples) -> dict[str, float]:
    """Its scores; none where an answer is no finite number."""
    logits = predict(trainee.average, validation, trainee.plan.recipe)
    return _scores(validation, logits) if np.isfinite(logits).all() else {}


def _refuse_divergence(entry: Mapping[str, float]) -> None:
    """ValueError, in words. `entry` is the same for all members of a group."""
    found = ""
    if not isfinite(entry["loss"]):
        found = f"its loss is {entry['loss']}"
    elif "study_auroc" not in entry:
        found = "not every validation view has a finite score"
    if found:
        raise ValueError(f"The training diverged in epoch {entry['epoch']}: {found}.")


def _scores(samples: Samples, logits: np.ndarray) -> dict[str, float]:
    """AUROC by view, and by study: each as suspicious as its most suspicious view."""
    views = samples.labels, logits
    if samples.studies is not None:
        inside = [samples.studies == study for study in np.unique(samples.studies)]
        views = (np.array([values[i].max() for i in inside]) for values in views)
    return {"auroc": auroc(samples.labels, logits), "study_auroc": auroc(*views)}


def height(done: float) -> float:
    """The learning rate's share of its peak when `done` of a stage, [0, 1)."""
    if done < WARM_UP:
        return 0.04 + 0.96 * done / WARM_UP
    return 0.5 + 0.5 * cos(pi * (done - WARM_UP) / (1 - WARM_UP))
