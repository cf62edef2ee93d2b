"""One network in training: what it learns from a batch, and its checkpoint."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inference.networks import Arch
from inference.preprocess import Recipe
from search import checkpoint
from search.baselines import build
from search.depthwise import Quick
from search.group import ALONE, Group
from search.pair import Pair
from search.precision import halved
from search.samples import Batch
from search.targets import distraction, middles, suspicion, targets

OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one size: `scale` of the recipe's width and height.

    everything: learn from every body part, not only from those to be read.
    rate: the highest learning rate; it climbs to it and falls along a cosine.
    frozen: only what is behind the features learns. What begins with good features
    and a random head would unlearn them first (Kumar et al. 2022, arXiv:2202.10054).
    """

    epochs: int
    scale: float
    everything: bool
    rate: float
    frozen: bool = False


@dataclass(frozen=True)
class Plan:
    """How to train. boxes: weight of the marked fractures in the loss; 0 ignores
    them. focus: weight of looking at the middle of one rather than anywhere else in
    its view; at 0 all of a box counts alike, cell by cell. ema: how slowly the
    averaged weights, which are the result, follow. teaching: how much of a label is a
    teacher's opinion of it, if there is one (Hinton et al. 2015, arXiv:1503.02531).
    bootstrap: how much of it is what the network itself holds more likely, against
    wrong labels (Reed et al. 2015, arXiv:1412.6596). invert: how often a view turns
    negative. optimizer: one of OPTIMIZERS. patience: epochs of the last stage without
    a better score of the validation studies after which it ends, and the best is the
    result; 0 goes to the end, whose averaged weights are the result: few studies
    flatter single epochs."""

    arch: Arch
    stages: tuple[Stage, ...]
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    batch: int = 32
    decay: float = 1e-2
    boxes: float = 1.0
    focus: float = 0.0
    ema: float = 0.99
    teaching: float = 0.5
    bootstrap: float = 0.0
    invert: float = 0.0
    optimizer: str = "adamw"
    patience: int = 0

    def to_json(self) -> dict[str, object]:
        return asdict(self) | {"arch": self.arch.to_json()}


@dataclass(frozen=True)
class Teacher:
    """A trained network, for views of the same size and kind as the pupil's."""

    network: nn.Module
    recipe: Recipe

    @torch.no_grad()
    def opinion(self, images: np.ndarray) -> Tensor:
        """How likely each of images (N, 1, H, W) in [0, 1] is fractured, (N,)."""
        device = next(self.network.parameters()).device
        with halved(device):
            logits = self.network(as_input(images, self.recipe).to(device))
        return logits[:, 0].float().sigmoid()


class Trainee:
    """A network in training: weights, their average, a box head, an optimiser.

    Marked boxes teach a network with attention where to look; any other learns them
    on a map of its own that serves nobody afterwards.
    """

    def __init__(
        self,
        plan: Plan,
        teacher: Teacher | None = None,
        start: Mapping[str, Tensor] | None = None,
        group: Group = ALONE,
    ) -> None:
        """start: weights of the network, or of its features alone, to begin with.
        group: those it learns with; each makes its own of the same."""
        self.plan, self.group = plan, group
        self.teacher = teacher and replace(
            teacher, network=deepcopy(teacher.network).to(group.device)
        )
        with torch.random.fork_rng():
            torch.manual_seed(plan.seed)
            self.network = group.placed(build(plan.arch))
            self.box_head = nn.Conv2d(self.network.channels, 1, 1).to(group.device)
        if start:
            self.network.load_state_dict({**self.network.state_dict(), **start})
        nn.init.constant_(self.box_head.bias, -3.0)  # few cells hold a fracture
        self.average = deepcopy(self.network).eval()
        self.look = self.learning = Pair([self.network, self.box_head])
        self.attentions = self.learning.attentions
        self.optimizer = OPTIMIZERS[plan.optimizer](
            self.learning.parameters(), weight_decay=plan.decay
        )
        self.steps = 0

    def begin(self, stage: Stage) -> None:
        """Ready to learn as in `stage`."""
        self.learning.train()
        self.network.features.requires_grad_(not stage.frozen)
        if stage.frozen:
            self.network.features.eval()
        for attention in self.attentions:
            attention.requires_grad_(True)
        # Made anew: it must know which parameters learn.
        self.look = self.group.joined(self.learning, partly=bool(self.attentions))

    def learn(self, batch: Batch, rate: float) -> float:
        """One step of the optimiser. -> classification loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, boxes = self._losses(batch)
        self.optimizer.zero_grad()
        (loss + boxes).backward()
        nn.utils.clip_grad_norm_(self.learning.parameters(), 5.0)
        self.optimizer.step()
        self._follow()
        return loss.item()

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        device = self.group.device
        images = as_input(batch.images, self.plan.recipe).to(device)
        with halved(device), Quick():
            logits, marks = self.look(images)
        labels = torch.from_numpy(batch.labels).to(device)
        if self.teacher:
            opinion = self.teacher.opinion(batch.images)
            labels = labels.lerp(opinion, self.plan.teaching)
        labels = labels.lerp((logits > 0).float(), self.plan.bootstrap)
        weights = batch.weights
        counts = None if weights is None else torch.from_numpy(weights).to(device)
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels, counts)
        return loss, self._taught(marks, batch, counts)

    def _taught(self, marks: Tensor, batch: Batch, counts: Tensor | None) -> Tensor:
        """What the marked fractures have to say about `marks`; counts: of each view."""
        plan, network = self.plan, self.network
        shape = tuple(marks.shape[-2:])
        drawn = middles if plan.focus else targets
        cells = drawn(batch.boxes, shape, network.origin, network.stride)
        cells = cells.to(marks.device)
        wrong = plan.boxes * suspicion(marks, cells, counts)
        if not plan.focus:
            return wrong
        return wrong + plan.focus * distraction(marks, cells, counts)

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the average follow, faster while it knows little."""
        self.steps += 1
        share = 1 - min(self.plan.ema, self.steps / (9 + self.steps))
        states = self.average.state_dict(), self.network.state_dict()
        for slow, fast in zip(*(state.values() for state in states), strict=True):
            if slow.dtype.is_floating_point:
                slow.lerp_(fast, share)
            else:
                slow.copy_(fast)

    def save(self, folder: Path, progress: "Progress") -> None:
        """Checkpoint, complete or not at all."""
        tensors = {
            **_under("learning", self.learning.state_dict()),
            **_under("average", self.average.state_dict()),
            **_under("best", progress.best),
        }
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= _under(f"optimizer.{index}", state)
        notes = {"steps": self.steps, "plan": self.plan.to_json()}
        notes |= {"history": progress.history, "seconds": progress.seconds}
        checkpoint.write(folder, tensors, notes)

    def resume(self, path: Path) -> "Progress":
        """Go on from the checkpoint `path`, or begin where there is no whole one.
        ValueError if it belongs to another plan."""
        found = checkpoint.read(path, self.plan.to_json())
        if not found:
            return Progress()
        notes, tensors = found
        self.learning.load_state_dict(_below("learning", tensors))
        self.average.load_state_dict(_below("average", tensors))
        state = self.optimizer.state_dict()
        indices = range(len(list(self.learning.parameters())))
        state["state"] = {i: _below(f"optimizer.{i}", tensors) for i in indices}
        self.optimizer.load_state_dict(state)
        self.steps = notes["steps"]
        return Progress(notes["history"], _below("best", tensors), notes["seconds"])


@dataclass
class Progress:
    """history: one entry a finished epoch. best: the weights to be shipped. seconds:
    of work on finished epochs, over all attempts."""

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    def note(self, entry: dict[str, float], trainee: Trainee, eligible: bool) -> None:
        """Keep the averaged weights of an eligible epoch, if the plan has patience only
        where it is the best so far."""
        ahead = self._scores()
        self.history.append(entry | {"eligible": eligible})
        better = not ahead or entry["study_auroc"] > max(ahead)
        if eligible and (better or not trainee.plan.patience):
            state = trainee.average.state_dict()
            self.best = {k: value.to("cpu", copy=True) for k, value in state.items()}

    def stale(self, patience: int) -> bool:
        """Whether the last `patience` eligible epochs brought nothing better."""
        found = self._scores()
        return 0 < patience <= len(found) - 1 - int(np.argmax(found or [0]))

    def _scores(self) -> list[float]:
        return [e["study_auroc"] for e in self.history if e["eligible"]]


def as_input(pixels: np.ndarray, recipe: Recipe) -> Tensor:
    """[0, 1] -> what networks take, in the memory layout that trains fastest."""
    images = (torch.from_numpy(pixels.astype(np.float32)) - recipe.mean) / recipe.std
    return images.to(memory_format=torch.channels_last)


def _under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}/{key}": value for key, value in tensors.items()}


def _below(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{name}/"
    found = {k: v for k, v in tensors.items() if k.startswith(start)}
    return {k.removeprefix(start): v for k, v in found.items()}
