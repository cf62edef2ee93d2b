"""Training a supernet where no published weights are at hand: progressive shrinking.

Cai et al. 2020 (arXiv:1908.09791): the largest sub-network first, then smaller
kernels, then fewer blocks, then fewer channels. In every step the largest and the
smallest that the phase knows learn, and some between (the sandwich rule, Yu & Huang
2019, arXiv:1903.05134), all but the largest also from what the largest says.

Everything random in an epoch is drawn from (seed, epoch): a training taken up again
at an epoch's end goes on exactly as if it had never stopped.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from inference.blueprint import DEPTHS, EXPANSIONS, KERNELS
from inference.preprocess import Recipe
from search import checkpoint
from search.checkpoint import CHECKPOINT
from search.data import balanced
from search.depthwise import Quick
from search.group import CPU
from search.precision import halved
from search.samples import Batch, Samples, batches
from search.spaces import SPACES
from search.spaces.ofa import PLACES, STAGES, Architecture
from search.supernet import Supernet
from search.train import height
from search.trainee import as_input

Told = Callable[[Sequence[dict[str, float]]], None]


@dataclass(frozen=True)
class Phase:
    """What sub-networks may be while it lasts. rate: the highest learning rate."""

    epochs: int
    rate: float = 1e-3
    depths: tuple[int, ...] = DEPTHS
    kernels: tuple[int, ...] = KERNELS
    expansions: tuple[int, ...] = EXPANSIONS

    @property
    def largest(self) -> Architecture:
        return self._all(max)

    @property
    def smallest(self) -> Architecture:
        return self._all(min)

    def drawn(self, rng: np.random.Generator) -> Architecture:
        return self._all(lambda values: rng.choice(values).item())

    def _all(self, choose: Callable[[Sequence[int]], int]) -> Architecture:
        return Architecture(
            tuple(choose(self.depths) for _ in STAGES),
            tuple(choose(self.kernels) for _ in range(PLACES)),
            tuple(choose(self.expansions) for _ in range(PLACES)),
        ).folded()


# Kernel, depth, width. Each half of a range has its own phase, as published.
PHASES = (
    Phase(8, depths=(4,), kernels=(7,), expansions=(6,)),
    Phase(4, depths=(4,), expansions=(6,)),
    Phase(2, depths=(3, 4), expansions=(6,)),
    Phase(4, expansions=(6,)),
    Phase(2, expansions=(4, 6)),
    Phase(6),
)


@dataclass(frozen=True)
class Plan:
    """between: sub-networks a step besides the largest and the smallest. teaching:
    how much of a label is what the largest says of it."""

    space: str = "ofa-1.0"
    phases: tuple[Phase, ...] = PHASES
    recipe: Recipe = field(default_factory=lambda: Recipe(width=128, height=192))
    seed: int = 0
    batch: int = 32
    decay: float = 1e-2
    between: int = 1
    teaching: float = 0.5

    def to_json(self) -> dict[str, object]:
        return json.loads(json.dumps(asdict(self)))


def shrink(
    plan: Plan,
    samples: Samples,
    folder: Path,
    tell: Told = lambda history: None,
) -> "Pupil":
    """A supernet trained as `plan` says; a checkpoint stays in `folder` after each
    epoch, and one found there is taken up again."""
    folder.mkdir(parents=True, exist_ok=True)
    pupil = Pupil(plan)
    pupil.resume(folder / CHECKPOINT)
    for epoch, phase, inside in _epochs(plan)[len(pupil.history) :]:
        if not inside:
            pupil.begin(phase)
        pupil.history.append(_epoch(pupil, phase, epoch, inside, samples))
        pupil.save(folder)
        tell(pupil.history)
    pupil.supernet.eval()
    return pupil


class Pupil:
    """A supernet in training, its optimiser and what came of its epochs."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.history = plan, []
        with torch.random.fork_rng():
            torch.manual_seed(plan.seed)
            recipe = plan.recipe
            self.supernet = Supernet(
                SPACES[plan.space], mean=recipe.mean, std=recipe.std
            )
        self.optimizer = self._optimizer()

    def begin(self, phase: int) -> None:
        """What follows narrower blocks must find in front what counts. What the
        optimiser remembers is of another order, and of another phase."""
        now = self.plan.phases[phase].expansions
        before = self.plan.phases[phase - 1].expansions if phase else now
        if now != before:
            self.supernet.sort(apart=before)
        self.optimizer = self._optimizer()

    def learn(
        self, batch: Batch, architectures: Sequence[Architecture], rate: float
    ) -> list[float]:
        """One step on one batch, of the largest first. -> each one's loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images = as_input(batch.images, self.plan.recipe)
        labels = wanted = torch.from_numpy(batch.labels)
        counts = None if batch.weights is None else torch.from_numpy(batch.weights)
        self.optimizer.zero_grad()
        losses = []
        for architecture in architectures:
            with halved(CPU), Quick():
                logits = self.supernet(images, architecture)[:, 0].float()
            loss = binary_cross_entropy_with_logits(logits, wanted, counts)
            loss.backward()  # one at a time: their graphs together need memory
            losses.append(loss.item())
            if wanted is labels:
                wanted = labels.lerp(logits.detach().sigmoid(), self.plan.teaching)
        nn.utils.clip_grad_norm_(self.supernet.parameters(), 5.0)
        self.optimizer.step()
        return losses

    def save(self, folder: Path) -> None:
        """Checkpoint, complete or not at all."""
        tensors = {f"supernet/{k}": v for k, v in self.supernet.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": v for k, v in state.items()}
        notes = {"plan": self.plan.to_json(), "history": self.history}
        checkpoint.write(folder, tensors, notes)

    def resume(self, path: Path) -> None:
        """Go on from the checkpoint `path`, or begin where there is no whole one.
        ValueError if it belongs to another plan."""
        found = checkpoint.read(path, self.plan.to_json())
        if not found:
            return
        notes, tensors = found
        weights: dict[str, Tensor] = {}
        remembered: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            owner, _, rest = name.partition("/")
            if owner == "supernet":
                weights[rest] = value
            else:
                index, _, key = rest.partition("/")
                remembered.setdefault(int(index), {})[key] = value
        self.supernet.load_state_dict(weights)
        state = self.optimizer.state_dict() | {"state": remembered}
        self.optimizer.load_state_dict(state)
        self.history = notes["history"]

    def _optimizer(self) -> torch.optim.Optimizer:
        """Matrices decay; biases and what scales do not, as published."""
        weights = list(self.supernet.parameters())
        groups = [
            {"params": [w for w in weights if w.dim() > 1]},
            {"params": [w for w in weights if w.dim() == 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, weight_decay=self.plan.decay)


def _epochs(plan: Plan) -> list[tuple[int, int, int]]:
    """(epoch, phase, epoch inside the phase)."""
    inside = [
        (p, e) for p, phase in enumerate(plan.phases) for e in range(phase.epochs)
    ]
    return [(epoch, *place) for epoch, place in enumerate(inside)]


def _epoch(
    pupil: Pupil, number: int, epoch: int, inside: int, samples: Samples
) -> dict[str, float]:
    plan, phase = pupil.plan, pupil.plan.phases[number]
    rng = np.random.default_rng([plan.seed, epoch])
    order = balanced(samples.labels, rng)
    size = min(plan.batch, len(order))
    steps = len(order) // size
    pupil.supernet.train()
    losses = []
    work = zip(
        _sandwiches(phase, plan.between, rng), batches(samples, order, size, rng)
    )
    for step, (architectures, batch) in enumerate(tqdm(work, f"{epoch + 1}", steps)):
        rate = phase.rate * height((inside + step / steps) / phase.epochs)
        losses.append(pupil.learn(batch, architectures, rate))
    means = np.array([[row[0], row[-1]] for row in losses]).mean(0)
    entry = {"epoch": epoch + 1, "phase": number + 1}
    return entry | {"largest": float(means[0]), "smallest": float(means[1])}


def _sandwiches(
    phase: Phase, between: int, rng: np.random.Generator
) -> Iterator[list[Architecture]]:
    """The largest first, the smallest last; a phase of one has that alone."""
    while phase.largest == phase.smallest:
        yield [phase.largest]
    while True:
        drawn = [phase.drawn(rng) for _ in range(between)]
        yield [phase.largest, *drawn, phase.smallest]
