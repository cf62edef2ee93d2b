"""Strategies for several objectives: what no other candidate beats in everything."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from search.strategies.strategy import Answer, Architecture, Strategy


def front(answers: Sequence[Answer]) -> list[Answer]:
    """Those that no other one dominates: as good in everything, better in something.

    Of answers with the same values the first stands for all.
    """
    first: dict[tuple[float, ...], Answer] = {}
    for answer in answers:
        first.setdefault(answer.values, answer)
    if not first:
        return []
    values = np.array(list(first))  # (N, objectives)
    beaten = (values[None] >= values[:, None]).all(2).sum(1) > 1  # besides itself
    return [answer for answer, lost in zip(first.values(), beaten) if not lost]


class ParetoArchive(Strategy):
    """Mutations, one gene on average, of a candidate drawn from the front so far.

    A decaying share of genes was clearly worse here: the archive itself keeps the
    search wide.
    """

    several: ClassVar[bool] = True

    def propose(self, rng: Generator) -> Architecture:
        parents = [answer.architecture for answer in front(self.answers)]
        if not parents and self.start is None:
            return self.space.sample(rng)
        parent = parents[rng.integers(len(parents))] if parents else self.start
        return self.space.mutate(parent, 1 / len(self.space.choices), rng)
