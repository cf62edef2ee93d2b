"""Every way from images to a study, judged alike."""

import json

import numpy as np
import pytest

from inference.aggregate import AGGREGATIONS
from inference.calibrate import probability
from search import aggregation
from search.aggregation import Images, learned, rows, table
from tests.search import specks


def studies_of(chances, labels):
    names = tuple(map(str, range(len(labels))))
    return Images(tuple(map(tuple, chances)), np.array(labels), names)


def likelihood(studies, rule):
    signs = np.where(studies.labels == 1, 1.0, -1.0)
    chances = np.clip(studies.scored(rule), 1e-9, 1 - 1e-9)
    return -np.logaddexp(0, -signs * np.log(chances / (1 - chances))).mean()


def drawn(seed, count=300):
    """Images say little alone: fractured studies show it in all of theirs."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=count)
    sizes = rng.integers(1, 5, size=count)
    middles = 1.5 * labels - 0.75
    logits = [rng.normal(m, 1, n) for m, n in zip(middles, sizes, strict=True)]
    return studies_of([probability(some, 1.0) for some in logits], labels)


def test_a_learned_rule_fits_better_than_those_nobody_fitted():
    known, new = drawn(0), drawn(1)
    rule = learned(known)
    for other in AGGREGATIONS.values():
        assert likelihood(known, rule) > likelihood(known, other)
        assert likelihood(new, rule) > likelihood(new, other)


def test_it_learns_that_the_mean_tells_more_where_it_does():
    rule = learned(drawn(0))
    assert rule.mean > rule.largest >= 0


def test_it_stays_finite_where_all_studies_are_told_apart():
    rule = learned(studies_of([(0.9,), (0.8, 0.9), (0.1,), (0.2, 0.1)], [1, 1, 0, 0]))
    assert np.isfinite([rule.largest, rule.mean, rule.count, rule.bias]).all()
    assert rule((0.9, 0.9), 0.5).probability > 0.5 > rule((0.1, 0.1), 0.5).probability


def test_evidence_turned_around_is_given_no_weight():
    """Never a negative one, whatever the studies say."""
    turned = studies_of([(0.1,), (0.2,), (0.9,), (0.8,)], [1, 1, 0, 0])
    rule = learned(turned)
    assert rule.largest == rule.mean == 0


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    room = tmp_path_factory.mktemp("aggregation")
    images = specks.folder(room / "images", 40)
    return list(rows([specks.model(room / "model")], images, room / "work", [0]))


def test_every_way_is_judged_on_the_same_studies(found):
    ways = [*AGGREGATIONS, "learned", "Aggregator, seed 0"]
    assert [row.way for row in found] == ways
    assert len({(row.test.cases, row.test.fractured) for row in found}) == 1
    assert {row.model for row in found} == {"tiny"}


def test_thresholds_are_chosen_on_validation_by_one_rule(found):
    for row in found:
        assert row.validation.threshold == row.test.threshold
        assert row.validation.sensitivity >= aggregation.SENSITIVITY


def test_a_table_has_a_line_for_each(found):
    assert json.dumps([row.to_json() for row in found])
    lines = table(found).splitlines()
    assert len(lines) == len(found) + 2
    assert f"{found[0].test.accuracy.value:.3f}" in lines[2]
