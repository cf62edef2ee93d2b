"""Once-For-All MobileNetV3 as a search space: 45 genes of three values.

Five depths, and for each of twenty places a kernel and an expansion. A stage of
depth d keeps its first d blocks; what the genes of the others say does not show.
One mutation in six would change nothing that does, and train a network twice: what
a space gives is canonical, with those genes folded away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from inference.blueprint import (
    DEPTHS,
    EXPANSIONS,
    KERNELS,
    STAGES,
    Blueprint,
    blueprint,
)
from search.spaces import published

DEEPEST = max(DEPTHS)
PLACES = len(STAGES) * DEEPEST
VALUES = (DEPTHS,) * len(STAGES) + (KERNELS,) * PLACES + (EXPANSIONS,) * PLACES
GENES = tuple[int, ...]


@dataclass(frozen=True)
class Architecture:
    """depths: blocks of each stage. kernels, expansions: at all twenty places, stage
    by stage; those beyond a stage's depth do not show."""

    depths: GENES
    kernels: GENES
    expansions: GENES

    def __post_init__(self) -> None:
        values = (*self.depths, *self.kernels, *self.expansions)
        lengths = len(self.depths), len(self.kernels), len(self.expansions)
        if lengths != (len(STAGES), PLACES, PLACES):
            raise ValueError("an architecture is 5 depths, 20 kernels, 20 expansions")
        for value, allowed in zip(values, VALUES, strict=True):
            if type(value) is not int or value not in allowed:
                raise ValueError(f"{value!r} where only {allowed} are known")

    def built(self, genes: GENES) -> GENES:
        """Those of twenty genes whose block is there."""
        shown = zip(genes, self._shown(), strict=True)
        return tuple(gene for gene, shows in shown if shows)

    def folded(self) -> "Architecture":
        """The canonical form: genes that do not show are the smallest."""
        kernels, expansions = (
            tuple(g if shows else 3 for g, shows in zip(genes, self._shown()))
            for genes in (self.kernels, self.expansions)
        )
        return replace(self, kernels=kernels, expansions=expansions)

    def _shown(self) -> list[bool]:
        return [place < depth for depth in self.depths for place in range(DEEPEST)]


# flops@595M_top1@80.0_finetune@75: of all published sub-networks the most accurate
# on ImageNet below 600 M multiply-adds (at 236 pixels); width 1.2. FractNet's start.
PUBLISHED = Architecture(
    (3, 4, 4, 4, 4),
    (3, 5, 3, 3, 5, 5, 3, 5, 7, 5, 3, 5, 3, 5, 7, 3, 3, 3, 5, 3),
    (3, 4, 3, 3, 4, 4, 6, 3, 6, 6, 3, 4, 6, 6, 6, 4, 6, 6, 6, 3),
)
LARGEST = Architecture((4,) * 5, (7,) * PLACES, (6,) * PLACES)
SMALLEST = Architecture((2,) * 5, (3,) * PLACES, (3,) * PLACES)


@dataclass(frozen=True)
class OnceForAll:
    """See `search.spaces.Space`. width: of every layer, 1.0 or 1.2."""

    width: float
    choices: ClassVar[GENES] = tuple(len(values) for values in VALUES)

    @property
    def start(self) -> Architecture:
        """The best one published; the largest at width 1, where we know of none."""
        return PUBLISHED if self.width == 1.2 else LARGEST

    def sample(self, rng: Generator) -> Architecture:
        return self.decode(rng.integers(self.choices))

    def mutate(
        self, architecture: Architecture, share: float, rng: Generator
    ) -> Architecture:
        """Each gene becomes another with probability `share`; drawn again until that
        shows. A block that was not there has no past: its genes are drawn."""
        if not 0 < share <= 1:
            raise ValueError(f"a share of {share} of all genes cannot change")
        parent = self.canonical(architecture)
        dormant = self._dormant(parent)
        while True:
            genes = np.array(self.encode(parent))
            genes[dormant] = rng.integers(self.choices)[dormant]
            changed = rng.random(len(genes)) < share
            others = genes + rng.integers(1, self.choices)
            child = self.decode(np.where(changed, others % self.choices, genes))
            if child != parent:
                return child

    def canonical(self, architecture: Architecture) -> Architecture:
        return architecture.folded()

    def encode(self, architecture: Architecture) -> GENES:
        values = (
            *architecture.depths,
            *architecture.kernels,
            *architecture.expansions,
        )
        return tuple(v.index(value) for v, value in zip(VALUES, values, strict=True))

    def decode(self, genes: Sequence[int]) -> Architecture:
        values = [v[int(gene)] for v, gene in zip(VALUES, genes, strict=True)]
        return _of(values).folded()

    def to_json(self, architecture: Architecture) -> dict[str, object]:
        """As OFA names the genes of a sub-network, and the width."""
        return {
            "width": self.width,
            "d": list(architecture.depths),
            "ks": list(architecture.kernels),
            "e": list(architecture.expansions),
        }

    def from_json(self, value: Mapping[str, object]) -> Architecture:
        """What `to_json` gave, or a `net.config` as OFA publishes them."""
        found = published.genes(value) if "blocks" in value else value
        missing = sorted({"width", "d", "ks", "e"} - found.keys())
        if missing:
            raise ValueError(f"no architecture: {', '.join(missing)} missing")
        if found["width"] != self.width:
            raise ValueError(f"of width {found['width']}, this space has {self.width}")
        if not all(isinstance(found[name], list) for name in ("d", "ks", "e")):
            raise ValueError("no architecture: d, ks and e are lists of numbers")
        return Architecture(*(tuple(found[n]) for n in ("d", "ks", "e"))).folded()

    def published(self, architecture: Architecture) -> dict[str, object]:
        """As OFA publishes it, `net.config`: for colours and a thousand classes."""
        return published.config(self.blueprint(architecture))

    def blueprint(self, architecture: Architecture) -> Blueprint:
        """Its network, block by block."""
        return blueprint(
            self.width,
            architecture.depths,
            architecture.built(architecture.kernels),
            architecture.built(architecture.expansions),
        )

    def parameters(self, architecture: Architecture) -> int:
        return self.blueprint(architecture).parameters()

    def madds(self, architecture: Architecture, height: int, width: int) -> int:
        return self.blueprint(architecture).madds(height, width)

    def _dormant(self, architecture: Architecture) -> np.ndarray:
        """Which genes do not show, bool (45,)."""
        hidden = ~np.array(architecture._shown())
        return np.concatenate([np.zeros(len(STAGES), bool), hidden, hidden])


def _of(values: Sequence[int]) -> Architecture:
    places = len(STAGES), len(STAGES) + PLACES
    return Architecture(
        tuple(values[: places[0]]),
        tuple(values[places[0] : places[1]]),
        tuple(values[places[1] :]),
    )
