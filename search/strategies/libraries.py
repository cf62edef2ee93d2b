"""Strategies of others: optuna's for several objectives, nevergrad's to compare with.

Neither avoids duplicates, knows our limits or can be kept as JSON. So each proposes
once a candidate, is told what was taken in its place, and is asked all over again
where a log is taken up. Both are imported when wanted: they bring pandas and SQL.
"""

from typing import ClassVar

from numpy.random import Generator

from search.strategies.strategy import Architecture, Strategy, Values

SEEDS = 2**31


class Nevergrad(Strategy):
    """`DiscreteBSOOnePlusOne`, which FractNet cites: a cross-check of our own.

    The genes are one TransitionChoice: a Choice a gene would be sampled anew at every
    ask, and the decay of the mutations would have no effect.
    """

    stateful: ClassVar[bool] = True

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        import nevergrad

        values, count = set(self.space.choices), len(self.space.choices)
        if len(values) != 1:
            raise ValueError("nevergrad is used where every gene has as many values")
        genes = nevergrad.p.TransitionChoice(
            range(values.pop()), repetitions=count, ordered=False
        )
        maker = nevergrad.optimizers.registry["DiscreteBSOOnePlusOne"]
        self._optimizer = maker(genes, budget=self.budget, num_workers=self.budget)
        self._optimizer.parametrization.random_state.seed(self.seed % SEEDS)
        self._taken: list = []
        self._proposed = None

    def propose(self, rng: Generator) -> Architecture:
        self._proposed = self._optimizer.ask()
        return self.space.decode(self._proposed.value)

    def settle(self, architecture: Architecture) -> None:
        taken, self._proposed = self._proposed, None
        if taken is None or self.space.decode(taken.value) != architecture:
            genes = tuple(self.space.encode(architecture))
            taken = self._optimizer.parametrization.spawn_child(new_value=genes)
        self._taken.append(taken)

    def learn(self, number: int, values: Values | None) -> None:
        if values is not None:
            self._optimizer.tell(self._taken[number], -values[0])  # it minimises


class Optuna(Strategy):
    """NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017) as optuna has it."""

    several: ClassVar[bool] = True
    stateful: ClassVar[bool] = True
    population: ClassVar[int] = 20

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._failed = optuna.trial.TrialState.FAIL
        self._genes = {
            f"gene {place}": optuna.distributions.IntDistribution(0, count - 1)
            for place, count in enumerate(self.space.choices)
        }
        sampler = optuna.samplers.NSGAIISampler(
            population_size=self.population, seed=self.seed % SEEDS
        )
        self._study = optuna.create_study(
            directions=["maximize"] * self.objectives, sampler=sampler
        )
        self._taken: list[optuna.Trial] = []
        self._proposed: optuna.Trial | None = None

    def propose(self, rng: Generator) -> Architecture:
        self._proposed = self._study.ask(self._genes)
        return self._decoded(self._proposed)

    def settle(self, architecture: Architecture) -> None:
        taken, self._proposed = self._proposed, None
        if taken is None or self._decoded(taken) != architecture:
            if taken is not None:
                self._study.tell(taken, state=self._failed)
            genes = zip(self._genes, self.space.encode(architecture))
            self._study.enqueue_trial({name: int(gene) for name, gene in genes})
            taken = self._study.ask(self._genes)
        self._taken.append(taken)

    def learn(self, number: int, values: Values | None) -> None:
        trial = self._taken[number]
        if values is None:
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, values)

    def _decoded(self, trial) -> Architecture:
        return self.space.decode([trial.params[name] for name in self._genes])
