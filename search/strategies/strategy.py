"""Ask for candidates, tell how good they were; who trains them is not known here.

A strategy has no loop and no clock. Its state is the log of what was asked and told:
JSON that goes into a row after every step, from which any other process goes on.
The generator of an ask is seeded by the seed and the number of that ask, so the same
answers in the same order give the same candidates, whoever worked them out.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.random import Generator

from search.spaces import Space

Architecture = Hashable
Values = tuple[float, ...]  # one an objective, each higher is better
TRIES = 100  # proposals before a strategy's own way of making them is left
SAMPLES = 3000  # of the space, before it is thought to be exhausted


class Exhausted(Exception):
    """Nothing that is new and within the limits was found; what runs may go on."""


@dataclass(frozen=True)
class Limit:
    """A cost known before training (parameters, multiply-adds, predicted latency)
    and the most that it may be."""

    name: str
    cost: Callable[[Architecture], float]
    most: float


class Answer(NamedTuple):
    architecture: Architecture
    values: Values


class Strategy(ABC):
    """One search. Subclasses say only what to `propose`.

    budget: candidates in all; schedules run over it, and asking may go on beyond.
    start: the first candidate, where one is known to be good.
    """

    several: ClassVar[bool] = False  # whether it can follow more than one objective
    # Whether proposing changes more than the log; then it happens once an ask, and
    # is done again where a log is taken up.
    stateful: ClassVar[bool] = False

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        budget: int,
        objectives: int = 1,
        limits: Sequence[Limit] = (),
        start: Architecture | None = None,
    ) -> None:
        if objectives < 1 or (objectives > 1 and not self.several):
            raise ValueError(f"This strategy cannot follow {objectives} objectives.")
        self.space, self.seed, self.budget, self.limits = space, seed, budget, limits
        self.objectives = objectives
        self.start = None if start is None else space.canonical(start)
        self.log: list[list[object]] = []
        self.asked: list[Architecture] = []
        self.answers: list[Answer] = []  # without those of failed candidates
        self.rejected = {limit.name: 0 for limit in limits}
        self._numbers: dict[Architecture, int] = {}
        self._open: set[Architecture] = set()

    @abstractmethod
    def propose(self, rng: Generator) -> Architecture:
        """What to try next. It may be known or too costly; then it is not taken."""

    def settle(self, architecture: Architecture) -> None:  # noqa: B027 - a hook
        """Learn what was taken in place of the last proposal."""

    def learn(self, number: int, values: Values | None) -> None:  # noqa: B027 - a hook
        """Learn what was told of the candidate with this number."""

    def ask(self) -> Architecture:
        """A canonical candidate that was never asked before and keeps the limits.

        Raises Exhausted.
        """
        before = dict(self.rejected)
        architecture = self._fresh(self._rng())
        self._enter(architecture)
        refused = {k: n - before[k] for k, n in self.rejected.items() if n > before[k]}
        self.log.append(["ask", self.space.to_json(architecture), refused])
        return architecture

    def tell(self, architecture: Architecture, values: Sequence[float] | None) -> None:
        """How good a candidate was; None if it failed and is given up.

        ValueError for what does not wait for an answer: a delivery that comes twice
        must not count twice.
        """
        architecture = self.space.canonical(architecture)
        if architecture not in self._open:
            raise ValueError("This candidate does not wait for an answer.")
        values = None if values is None else tuple(map(float, values))
        self._refuse_nonsense(values)
        number = self._numbers[architecture]
        self._close(number, values)
        self.log.append(["tell", number, values and list(values)])

    @property
    def waiting(self) -> list[Architecture]:
        """Asked and not yet told, in the order of asking."""
        return [known for known in self.asked if known in self._open]

    @property
    def best(self) -> Answer | None:
        """By the first objective; of equals the latest, so that a search can drift."""
        return max(
            reversed(self.answers), key=lambda answer: answer.values[0], default=None
        )

    def take_up(self, log: Sequence[Sequence[object]]) -> None:
        """Go on where another strategy of the same making broke off."""
        for what, *said in log:
            if what == "ask":
                architecture = self.space.from_json(said[0])
                if self.stateful:
                    self._proposal(self._rng())
                self._enter(architecture)
                for name, count in said[1].items():
                    self.rejected[name] = self.rejected.get(name, 0) + count
            else:
                number, values = said
                self._close(number, values and tuple(values))
            self.log.append([what, *said])

    def known(self, architecture: Architecture) -> bool:
        """Whether a canonical architecture was asked before."""
        return architecture in self._numbers

    def _rng(self) -> Generator:
        return np.random.default_rng([self.seed, len(self.asked)])

    def _fresh(self, rng: Generator) -> Architecture:
        for proposed in self._proposals(rng):
            candidate = self.space.canonical(proposed)
            if not self.known(candidate) and self._affordable(candidate):
                return candidate
        raise Exhausted("No candidate is left that is new and within the limits.")

    def _proposals(self, rng: Generator) -> Iterator[Architecture]:
        """The strategy's own, then ever wilder mutations of it, then anything."""
        proposed = self._proposal(rng)
        yield proposed
        for _ in range(0 if self.stateful else TRIES):
            yield (proposed := self.propose(rng))
        for attempt in range(1, TRIES + 1):
            yield self.space.mutate(proposed, attempt / TRIES, rng)
        for _ in range(SAMPLES):
            yield self.space.sample(rng)

    def _proposal(self, rng: Generator) -> Architecture:
        first = not self.asked and self.start is not None
        return self.start if first else self.propose(rng)

    def _affordable(self, architecture: Architecture) -> bool:
        for limit in self.limits:
            if limit.cost(architecture) > limit.most:
                self.rejected[limit.name] += 1
                return False
        return True

    def _enter(self, architecture: Architecture) -> None:
        self._numbers[architecture] = len(self.asked)
        self.asked.append(architecture)
        self._open.add(architecture)
        self.settle(architecture)

    def _close(self, number: int, values: Values | None) -> None:
        self._open.remove(self.asked[number])
        if values is not None:
            self.answers.append(Answer(self.asked[number], values))
        self.learn(number, values)

    def _refuse_nonsense(self, values: Values | None) -> None:
        if values is None:
            return
        if len(values) != self.objectives or not np.isfinite(values).all():
            raise ValueError(
                f"An answer is {self.objectives} finite number(s), not {values}."
            )
