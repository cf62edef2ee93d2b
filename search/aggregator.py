"""From a network of single views to one of studies: the Aggregator in training.

The thesis this project began with could not make it train. It does once it begins as
a network that reads single views already (see inference.networks.aggregator) and goes
on from there by studies: each is drawn whole, and has one label.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from inference import artifact
from inference.artifact import file_digest
from inference.networks import Arch, build
from inference.networks.aggregator import Aggregator
from inference.preprocess import Recipe
from search import provenance
from search.data import Example, balanced
from search.evaluate import auroc
from search.group import CPU
from search.once import once
from search.parts import OTHER_PARTS, Parts
from search.precision import halved
from search.samples import Samples, augmented, prepare
from search.trainee import as_input

BATCH = 32  # views described at a time
NONE = np.empty((0, 4), np.float32)  # boxes, of which nothing is learned here

# Indices of views, and where chance comes from -> their descriptions, augmented.
Describe = Callable[[np.ndarray, np.random.Generator], Tensor]


@dataclass(frozen=True)
class Course:
    """How to train. frozen: only what judges a study learns, from descriptions of
    `copies` augmentations of each view that are made once. Else everything learns."""

    epochs: int = 20
    rate: float = 3e-4
    batch: int = 16  # studies
    decay: float = 1e-2
    frozen: bool = True
    copies: int = 3


@dataclass(frozen=True)
class Studies:
    """Views by study. members: of each study the indices of its views. labels: int64
    (S,), 1 if an image is fractured. patients: (S,) names."""

    views: Samples
    members: tuple[np.ndarray, ...]
    labels: np.ndarray
    patients: tuple[str, ...]

    @classmethod
    def of(cls, views: Samples, found: Sequence[Example]) -> "Studies":
        """found: the examples that `views` were made of."""
        members = [np.flatnonzero(views.studies == s) for s in np.unique(views.studies)]
        shown = [[found[i] for i in views.owners[some]] for some in members]
        labels = np.array([max(e.label for e in images) for images in shown])
        patients = tuple(images[0].patient for images in shown)
        return cls(views, tuple(members), labels, patients)


@dataclass
class Taught:
    """What came out. history: one entry an epoch, the first from before any. logits:
    float32 (S,) of the studies of "validation" and "test"."""

    arch: Arch
    network: Aggregator
    studies: dict[str, Studies]
    history: list[dict[str, float]] = field(default_factory=list)
    logits: dict[str, np.ndarray] = field(default_factory=dict)


def fit(
    start: Path, parts: Parts, work: Path, seed: int, course: Course | None = None
) -> Taught:
    """Train an Aggregator that begins as the artifact in `start`.

    The epoch with the best AUROC on validation studies is kept, be it that before the
    first, and only then are the studies of the test judged. The same arguments give
    the same weights. Views and their descriptions are kept in `work`. Whether the
    artifact has met who is judged is for the caller to ask (`search.leaks`).
    """
    course, spec = course or Course(), artifact.load_spec(start)
    arch = Arch("aggregator", (("view", (spec.arch.family, spec.arch.options)),))
    network = build(arch).eval().to(memory_format=torch.channels_last)
    network.load_state_dict(artifact.load_network(start).state_dict())
    studies = {
        side: _studies(found, spec.recipe, work) for side, found in vars(parts).items()
    }
    taught = Taught(arch, network, studies)
    sources = {
        side: live(network, some.views, spec.recipe, alike=side != "training")
        for side, some in studies.items()
    }
    if course.frozen:
        for side, some in studies.items():
            shown = [file_digest(e.image) for e in getattr(parts, side)]
            copies = course.copies if side == "training" else 1
            name = provenance.key(artifact.digest(start), shown, copies)
            path = work / f"{name}.npy"
            count = len(some.views)
            sources[side] = kept(described(sources[side], count, copies, path))
    learn(taught, sources, course, seed)
    for side in ("validation", "test"):
        taught.logits[side] = judged(network, studies[side], sources[side])
    return taught


def learn(
    taught: Taught, sources: Mapping[str, Describe], course: Course, seed: int
) -> None:
    """Leave the best epoch's weights in the network, and what happened in `history`."""
    network, validation = taught.network, taught.studies["validation"]
    learning = network.judging if course.frozen else network
    optimizer = torch.optim.AdamW(learning.parameters(), weight_decay=course.decay)
    best, state = -1.0, {}
    for epoch in tqdm(range(course.epochs + 1), "studies", unit="epoch"):
        entry: dict[str, float] = {"epoch": epoch}
        if epoch:
            rate = course.rate * (1 + cos(pi * (epoch - 1) / course.epochs)) / 2
            optimizer.param_groups[0]["lr"] = rate
            chance = np.random.default_rng([seed, epoch])
            with torch.random.fork_rng():
                torch.manual_seed(seed * 1000 + epoch)
                entry["loss"] = _epoch(
                    taught, sources["training"], optimizer, course.batch, chance
                )
        logits = judged(network, validation, sources["validation"])
        entry["auroc"] = auroc(validation.labels, logits)
        taught.history.append(entry)
        if entry["auroc"] > best:
            best, state = entry["auroc"], deepcopy(network.state_dict())
    network.load_state_dict(state)


@torch.no_grad()
def judged(network: Aggregator, studies: Studies, describe: Describe) -> np.ndarray:
    """Logits of studies, float32 (S,)."""
    views = _all(describe, len(studies.views), np.random.default_rng(0))
    return _logits(network, views, studies.members).numpy()


def live(
    network: Aggregator, views: Samples, recipe: Recipe, *, alike: bool
) -> Describe:
    """Describe views as the network sees them now, through which it learns.

    alike: as they are, else augmented.
    """

    def describe(chosen: np.ndarray, chance: np.random.Generator) -> Tensor:
        pixels = [views.pixels[i] / np.float32(255) for i in chosen]
        if not alike:
            pairs = (augmented(views.pixels[i], NONE, chance) for i in chosen)
            pixels = [moved for moved, _ in pairs]
        with halved(CPU):
            seen = as_input(np.stack(pixels)[:, None], recipe)
            return network.describe(seen).float()

    return describe


def kept(copies: np.ndarray) -> Describe:
    """Describe views by one of their copies (copies, N, D), by chance."""

    def describe(chosen: np.ndarray, chance: np.random.Generator) -> Tensor:
        which = chance.integers(len(copies), size=len(chosen))
        return torch.from_numpy(copies[which, chosen].astype(np.float32))

    return describe


def described(describe: Describe, count: int, copies: int, path: Path) -> np.ndarray:
    """`copies` descriptions of each of `count` views, float16 (copies, count, D), from
    `path` if they are there; the same whoever asks."""

    def write(partial: Path) -> None:
        chance = np.random.default_rng(0)
        with torch.no_grad():
            found = [_all(describe, count, chance) for _ in range(copies)]
        np.save(partial, torch.stack(found).numpy().astype(np.float16))

    return once(path, write, np.load)


def _all(describe: Describe, count: int, chance: np.random.Generator) -> Tensor:
    starts = range(0, count, BATCH)
    parts = (np.arange(i, min(i + BATCH, count)) for i in starts)
    bar = tqdm(parts, "describing", len(starts), leave=False, delay=2)
    return torch.cat([describe(part, chance) for part in bar])


def _studies(found: Sequence[Example], recipe: Recipe, work: Path) -> Studies:
    """Those that are to be read."""
    views, _ = prepare(found, recipe, work)
    mine = np.array([example.part not in OTHER_PARTS for example in found])
    return Studies.of(views.of(mine[views.owners]), found)


def _epoch(
    taught: Taught,
    describe: Describe,
    optimizer: torch.optim.Optimizer,
    size: int,
    chance: np.random.Generator,
) -> float:
    """Learn once from as many sound as fractured studies. -> mean loss.

    Only what judges is in training mode: the statistics of batch norms stay those of
    single views, of which a batch of studies holds few.
    """
    studies, network, losses = taught.studies["training"], taught.network, []
    order = balanced(studies.labels, chance)
    network.judging.train()
    for chosen in np.split(order, range(size, len(order), size)):
        members = [studies.members[s] for s in chosen]
        ends = np.cumsum([len(some) for some in members])
        places = np.split(np.arange(ends[-1]), ends[:-1])
        views = describe(np.concatenate(members), chance)
        wanted = torch.from_numpy(studies.labels[chosen].astype(np.float32))
        logits = _logits(network, views, places)
        loss = F.binary_cross_entropy_with_logits(logits, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    network.judging.eval()
    return float(np.mean(losses))


def _logits(
    network: Aggregator, views: Tensor, members: Sequence[np.ndarray]
) -> Tensor:
    """Of studies, (S,), from the descriptions (N, D) of their views."""
    pooled = [network.seen(views[torch.from_numpy(some)]) for some in members]
    return network.judge(torch.cat(pooled))[:, 0]
