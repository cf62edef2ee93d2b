"""What every strategy of the registry promises."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.spaces import SPACES
from search.strategies import STRATEGIES, Exhausted, Limit
from tests.search.strategies.letters import Letters, cost, fitness

NAMES = sorted(STRATEGIES)
SEVERAL = [name for name in NAMES if STRATEGIES[name].several]
# One number a step: even asks, odd tells one of those that wait; every seventh fails.
STEPS = st.lists(st.integers(0, 999), min_size=5, max_size=30)


def make(name, space=None, **made):
    return STRATEGIES[name](space or Letters(), **{"seed": 3, "budget": 40} | made)


def values(strategy, architecture):
    return (fitness(architecture), -cost(architecture))[: strategy.objectives]


def step(strategy, number):
    """-> what was asked, or None."""
    waiting = strategy.waiting
    if number % 2 and waiting:
        architecture = waiting[number % len(waiting)]
        failed = number % 7 == 0
        strategy.tell(architecture, None if failed else values(strategy, architecture))
        return None
    return strategy.ask()


def run(strategy, count):
    """One worker. -> the candidates."""
    for _ in range(count):
        architecture = strategy.ask()
        strategy.tell(architecture, values(strategy, architecture))
    return strategy.asked


@pytest.mark.parametrize("name", NAMES)
def test_every_candidate_comes_once_until_none_is_left(name):
    space = Letters(3)
    strategy, everything = make(name, space), space.everything()
    assert set(run(strategy, len(everything))) == everything
    assert len(strategy.asked) == len(everything) < 3**3
    with pytest.raises(Exhausted, match="No candidate is left"):
        strategy.ask()


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6)
@given(steps=STEPS)
def test_a_log_in_a_row_goes_on_as_if_nothing_had_happened(name, objectives, steps):
    """Saved and taken up by another process after every single step."""
    if objectives > 1 and name not in SEVERAL:
        return
    made = {"objectives": objectives, "start": (1, 2, 0, 1)}
    whole, broken = make(name, **made), make(name, **made)
    for number in steps:
        row = json.dumps(broken.log)
        broken = make(name, **made)
        broken.take_up(json.loads(row))
        assert step(broken, number) == step(whole, number)
        assert broken.log == whole.log
    assert broken.waiting == whole.waiting
    assert broken.best == whole.best


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_repeats_a_search_and_another_seed_does_not(name):
    first, second, other = (make(name, Letters(9), seed=s) for s in (1, 1, 2))
    for number in range(60):
        for strategy in first, second, other:
            step(strategy, number * 13)
    assert first.log == second.log
    assert first.asked != other.asked


@pytest.mark.parametrize("name", NAMES)
def test_what_costs_too_much_is_never_asked_for(name):
    limited = {"space": Letters(6), "limits": [Limit("cost", cost, 4)]}
    strategy = make(name, **limited)
    found = run(strategy, 25)
    assert max(map(cost, found)) <= 4
    assert strategy.rejected["cost"] > 0
    again = make(name, **limited)
    again.take_up(strategy.log)
    assert again.rejected == strategy.rejected
    nothing = make(name, limits=[Limit("cost", cost, -1)])
    with pytest.raises(Exhausted):
        nothing.ask()
    assert nothing.log == []


@pytest.mark.parametrize("name", NAMES)
def test_a_search_begins_where_it_is_told(name):
    start = (0, 1, 1, 2)
    strategy = make(name, start=start)
    assert strategy.ask() == Letters().canonical(start) != start
    assert strategy.ask() not in (start, (0, 1, 1, 0))


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_counts_once_and_only_for_what_was_asked(name):
    strategy = make(name)
    architecture = strategy.ask()
    unknown = next(a for a in Letters().everything() if a != architecture)
    with pytest.raises(ValueError, match="does not wait"):
        strategy.tell(unknown, (1.0,))
    for nonsense in ((float("nan"),), (float("inf"),), (), (1.0, 2.0)):
        with pytest.raises(ValueError, match="1 finite number"):
            strategy.tell(architecture, nonsense)
    strategy.tell(architecture, (1.0,))
    with pytest.raises(ValueError, match="does not wait"):
        strategy.tell(architecture, (1.0,))
    assert [entry[0] for entry in strategy.log] == ["ask", "tell"]


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_candidate_is_no_answer_and_never_comes_again(name):
    strategy = make(name)
    failed = strategy.ask()
    strategy.tell(failed, None)
    assert (strategy.best, strategy.waiting) == (None, [])
    assert failed not in run(strategy, 30)[1:]
    assert all(answer.architecture != failed for answer in strategy.answers)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"random"}))
def test_it_finds_more_than_chance_does(name):
    """Ten genes, each worth one: 3^10 candidates, 60 tries, ten seeds."""

    def reached(name):
        searches = [make(name, Letters(10), seed=s, budget=60) for s in range(10)]
        for strategy in searches:
            run(strategy, 60)
        return np.mean([strategy.best.values[0] for strategy in searches])

    assert reached(name) > reached("random") + 0.5


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(SEVERAL)))
def test_objectives_that_it_cannot_follow_are_refused(name):
    with pytest.raises(ValueError, match="cannot follow 2 objectives"):
        make(name, objectives=2)


@pytest.mark.parametrize("space", sorted(SPACES))
@pytest.mark.parametrize("name", NAMES)
def test_it_searches_every_space_there_is(name, space):
    strategy = make(name, SPACES[space], start=SPACES[space].start)
    for number in range(12):
        strategy.ask()
        if number % 3:
            strategy.tell(strategy.waiting[0], (float(number),))
    again = make(name, SPACES[space], start=SPACES[space].start)
    again.take_up(json.loads(json.dumps(strategy.log)))
    assert len(set(strategy.asked)) == 12
    assert again.ask() == strategy.ask()
