"""How each strategy for one objective makes its proposals."""

import numpy as np
import pytest

from search.strategies.single import (
    Evolution,
    FractNet,
    LocalSearch,
    OnePlusOne,
    Regularised,
)
from tests.search.strategies.letters import Letters, fitness


def differing(first, second):
    return sum(a != b for a, b in zip(first, second))


def made(kind, genes=45, **wanted):
    return kind(Letters(genes), **{"seed": 0, "budget": 100} | wanted)


def mutated(strategy, answer=0.0):
    """A candidate, told as no better than the start -> genes in which it differs."""
    candidate = strategy.ask()
    strategy.tell(candidate, (answer,))
    return differing(candidate, strategy.start)


@pytest.mark.parametrize(
    ("kind", "first"), [(Evolution, 0.15), (OnePlusOne, 0.15), (FractNet, 1.0)]
)
def test_mutations_fall_evenly_from_the_first_share_to_one_gene(kind, first):
    strategy = made(kind, start=(1,) * 45)
    strategy.tell(strategy.ask(), (1.0,))
    shares, genes = [], []
    while len(strategy.asked) < 100:
        shares.append(strategy.share)
        genes.append(mutated(strategy))
    assert shares[0] == pytest.approx(first, rel=0.02)
    assert np.diff(shares) == pytest.approx((1 / 45 - first) / 100)
    assert strategy.share == pytest.approx(1 / 45)
    if kind is FractNet:  # nevergrad 1.0.12 does 37 and 3 with ten workers
        assert np.mean(genes[:10]) > 35
        assert np.mean(genes[-10:]) < 4


def test_half_of_evolution_are_untried_neighbours():
    strategy = made(Evolution, start=(1,) * 45)
    strategy.tell(strategy.ask(), (1.0,))
    genes = [mutated(strategy) for _ in range(60)]
    assert 0.4 < np.mean([count == 1 for count in genes]) < 0.75


def test_one_plus_one_has_none_but_mutations():
    """Of 0.15 of 45 genes at first: one alone is rare."""
    strategy = made(OnePlusOne, start=(1,) * 45, budget=1000)
    strategy.tell(strategy.ask(), (1.0,))
    genes = [mutated(strategy) for _ in range(60)]
    assert np.mean([count == 1 for count in genes]) < 0.2
    assert 5 < np.mean(genes) < 9


def test_the_parent_is_the_best_that_was_told():
    strategy = made(FractNet, start=(1,) * 45, budget=1)  # one gene from now on
    start = strategy.ask()
    child = strategy.ask()  # before any answer: of the start
    assert 1 <= differing(child, start) <= 6
    strategy.tell(child, (5.0,))
    strategy.tell(start, (4.0,))
    assert strategy.best.architecture == child
    assert all(1 <= differing(strategy.ask(), child) <= 6 for _ in range(20))


def test_of_equals_the_latest_is_the_parent():
    strategy = made(Evolution)
    first, second = strategy.ask(), strategy.ask()
    strategy.tell(second, (1.0,))
    strategy.tell(first, (1.0,))
    assert strategy.best.architecture == first


def test_ageing_evolution_forgets_even_the_best():
    strategy = made(Regularised, budget=200)
    best, *others = [strategy.ask() for _ in range(strategy.population + 1)]
    strategy.tell(best, (1000.0,))
    for other in others:
        strategy.tell(other, (0.0,))
    children = [strategy.ask() for _ in range(30)]
    assert min(differing(child, best) for child in children) > 6


def test_local_search_tries_every_neighbour_before_it_goes_on():
    space = Letters(5)
    strategy = LocalSearch(space, seed=0, budget=50, start=(1, 1, 1, 1, 1))
    start = strategy.ask()
    strategy.tell(start, (9.0,))
    around = [strategy.ask() for _ in range(10)]
    # Of the first gene's neighbours one folds away what the last gene says.
    assert sorted(differing(n, start) for n in around) == [1] * 9 + [2]
    assert len(set(around)) == 10
    for number, candidate in enumerate(around):
        strategy.tell(candidate, (float(number),))
    assert differing(strategy.ask(), around[-1]) == 1


def test_local_search_moves_on_as_soon_as_one_is_better():
    strategy = made(LocalSearch, start=(1,) * 45)
    strategy.tell(strategy.ask(), (0.0,))
    for _ in range(20):
        before = strategy.best.architecture
        candidate = strategy.ask()
        assert differing(candidate, before) <= 2  # two where one folds another away
        strategy.tell(candidate, (fitness(candidate),))
