"""Strategies for one objective. A proposal is made of what was told, and the dice."""

from typing import ClassVar

from numpy.random import Generator

from search.strategies.strategy import Architecture, Strategy


class RandomSearch(Strategy):
    """Draws evenly, learns nothing: what every other strategy is measured against."""

    several: ClassVar[bool] = True

    def propose(self, rng: Generator) -> Architecture:
        return self.space.sample(rng)


class Evolution(Strategy):
    """Half (1+1) evolution, a mutation of the best so far with ever fewer genes at a
    time; half untried neighbours of the best.

    The share of genes that mutate falls evenly over the budget from `first` to one
    gene. FractNet begins with all of them, as `DiscreteBSOOnePlusOne` of nevergrad
    does, and thereby spends half its budget on random candidates; 0.15 was better
    from a good start and from none. `swept` is the chance of an untried neighbour
    instead: dice seldom hit the last ones. On NAS-Bench-Macro that was worth 93.190
    against the 93.147 of `OnePlusOne`. What is still being trained is nobody's
    parent; while nothing was told, candidates are drawn, or mutations of the start.
    """

    first: ClassVar[float] = 0.15
    swept: ClassVar[float] = 0.5

    def propose(self, rng: Generator) -> Architecture:
        parent = self.best.architecture if self.best else self.start
        if parent is None:
            return self.space.sample(rng)
        fresh = neighbour(self, rng) if rng.random() < self.swept else None
        return fresh or self.space.mutate(parent, self.share, rng)

    @property
    def share(self) -> float:
        """Of the genes, for the next candidate."""
        last = 1 / len(self.space.choices)
        left = max(0.0, 1 - len(self.asked) / self.budget)
        return last + left * max(0.0, self.first - last)


class OnePlusOne(Evolution):
    """Mutations alone, from 0.15 of the genes to one."""

    swept: ClassVar[float] = 0.0


class FractNet(Evolution):
    """As it was published."""

    first: ClassVar[float] = 1.0
    swept: ClassVar[float] = 0.0


class Regularised(Strategy):
    """Ageing evolution (Real et al. 2019, arXiv:1802.01548).

    The oldest member dies, not the worst: an architecture that was merely lucky once
    has to prove itself again through its children.
    """

    population: ClassVar[int] = 20
    tournament: ClassVar[int] = 5

    def propose(self, rng: Generator) -> Architecture:
        members = self.answers[-self.population :]
        if len(self.asked) < self.population or not members:
            return self.space.sample(rng)
        size = min(self.tournament, len(members))
        rivals = [members[i] for i in rng.choice(len(members), size, replace=False)]
        parent = max(rivals, key=lambda answer: answer.values)
        share = 1 / len(self.space.choices)
        return self.space.mutate(parent.architecture, share, rng)


class LocalSearch(Strategy):
    """Every neighbour of the best, then those of the next best (White et al. 2021,
    arXiv:2005.02960). It moves on as soon as one is better."""

    def propose(self, rng: Generator) -> Architecture:
        fresh = neighbour(self, rng)
        if fresh is None and self.start is not None:
            return self.space.mutate(self.start, 1 / len(self.space.choices), rng)
        return fresh or self.space.sample(rng)


def neighbour(strategy: Strategy, rng: Generator) -> Architecture | None:
    """An untried one, a gene away from the best candidate that still has any."""
    space = strategy.space
    changes = [(place, v) for place, n in enumerate(space.choices) for v in range(n)]
    for answer in sorted(strategy.answers, key=lambda a: a.values, reverse=True):
        genes = space.encode(answer.architecture)
        for place, value in rng.permutation(changes).tolist():
            other = space.decode((*genes[:place], value, *genes[place + 1 :]))
            if not strategy.known(other):
                return other
    return None
