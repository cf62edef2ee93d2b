"""Search spaces: what an architecture may be, and what it costs. No torch here.

An architecture is a frozen value. Two of them that build the same network have the
same canonical form, and only canonical ones leave a space. To add a space, write its
file and name it in SPACES; the contract tests pick it up from there.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

from numpy.random import Generator

from search.spaces.ofa import OnceForAll

SIDE = (32, 2048)  # pixels of a view's, from, to: below, the last stride leaves none


class Space(Protocol):
    """choices: how many values each gene has. start: where a search may begin."""

    choices: tuple[int, ...]
    start: Hashable

    def sample(self, rng: Generator) -> Hashable:
        """Every gene drawn evenly."""

    def mutate(self, architecture: Hashable, share: float, rng: Generator) -> Hashable:
        """Another one, `share` of whose genes differ on average, (0, 1]."""

    def canonical(self, architecture: Hashable) -> Hashable:
        """The same network, without what does not show."""

    def encode(self, architecture: Hashable) -> tuple[int, ...]:
        """Genes, each from 0 up to its number of choices."""

    def decode(self, genes: Sequence[int]) -> Hashable:
        """Undo `encode`."""

    def to_json(self, architecture: Hashable) -> dict[str, object]:
        """For rows and files."""

    def from_json(self, value: Mapping[str, object]) -> Hashable:
        """Undo `to_json`. ValueError, in words, for what is not of this space."""

    def parameters(self, architecture: Hashable) -> int:
        """Learnt numbers of the network with one input channel and one output."""

    def madds(self, architecture: Hashable, height: int, width: int) -> int:
        """Multiply-adds of the same network for one image."""


SPACES: dict[str, Space] = {
    "ofa-1.0": OnceForAll(1.0),
    "ofa-1.2": OnceForAll(1.2),
}
