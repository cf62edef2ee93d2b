"""The front is what nothing else beats."""

from hypothesis import given
from hypothesis import strategies as st

from search.strategies.pareto import ParetoArchive, front
from search.strategies.strategy import Answer
from tests.search.strategies.letters import Letters

POINTS = st.lists(st.tuples(*[st.integers(0, 4).map(float)] * 3), max_size=15)


def beats(other, answer):
    as_good = all(a >= b for a, b in zip(other.values, answer.values))
    return as_good and other.values != answer.values


@given(POINTS)
def test_the_front_holds_what_no_other_dominates_once(points):
    answers = [Answer(number, values) for number, values in enumerate(points)]
    kept = [
        answer
        for place, answer in enumerate(answers)
        if not any(beats(other, answer) for other in answers)
        and answer.values not in points[:place]
    ]
    assert front(answers) == kept


def test_every_one_of_the_front_becomes_a_parent():
    strategy = ParetoArchive(Letters(20), seed=0, budget=100, objectives=2)
    first, second, third = (strategy.ask() for _ in range(3))
    strategy.tell(first, (1.0, 0.0))
    strategy.tell(second, (0.0, 1.0))
    strategy.tell(third, (0.0, 0.5))  # dominated by the second
    parents = set()
    for _ in range(30):
        child = strategy.ask()
        genes = [sum(a != b for a, b in zip(child, p)) for p in (first, second, third)]
        parents.add(genes.index(min(genes)))
    assert parents == {0, 1}
