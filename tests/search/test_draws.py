"""All draws of a bootstrap at once say what scikit-learn says of each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score

from search.draws import aurocs, of_groups, shares

CASE = st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3))
CASES = st.lists(CASE, min_size=1, max_size=30)


def area(labels, scores, weights):
    """scikit-learn's; nan where nobody of a class counts."""
    if len(set(labels[weights > 0])) < 2:
        return float("nan")
    return roc_auc_score(labels, scores, sample_weight=weights)


@given(CASES)
def test_aurocs_are_scikit_learns_whatever_ties_and_weights(cases):
    labels, scores, weights = (np.array(column, float) for column in zip(*cases))
    counts = np.array([np.ones(len(cases)), weights])
    expected = [area(labels, scores, row) for row in counts]
    assert aurocs(labels, scores, counts) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("label", [0, 1])
def test_of_one_class_there_is_no_auroc(label):
    found = aurocs(np.full(3, label), np.arange(3.0), np.ones((2, 3)))
    assert np.isnan(found).all()


def test_inside_groups_the_aurocs_are_weighed_by_their_pairs():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 60), rng.integers(0, 9, 60).astype(float)
    groups = rng.integers(0, 6, 60)
    labels[groups == 0], labels[groups == 1] = 0, 1  # nobody to compare with
    counts = rng.integers(0, 4, (20, 60)).astype(float)
    for found, row in zip(aurocs(labels, scores, counts, groups), counts):
        inside = [groups == name for name in range(2, 6)]
        areas = [area(labels[i], scores[i], row[i]) for i in inside]
        pairs = [
            row[i & (labels == 1)].sum() * row[i & (labels == 0)].sum() for i in inside
        ]
        assert found == pytest.approx(np.average(areas, weights=pairs))


def test_without_a_pair_inside_a_group_there_is_none():
    labels, scores, groups = np.array([0, 1]), np.array([0.1, 0.9]), np.array([0, 1])
    assert np.isnan(aurocs(labels, scores, np.ones((1, 2)), groups)).all()


def test_shares_are_scikit_learns_accuracies():
    rng = np.random.default_rng(1)
    labels, flagged = rng.integers(0, 2, (2, 40))
    counts = rng.integers(0, 4, (10, 40)).astype(float)
    expected = [accuracy_score(labels, flagged, sample_weight=row) for row in counts]
    assert shares(labels == flagged, counts) == pytest.approx(expected)
    assert np.isnan(shares(labels == flagged, np.zeros((1, 40)))).all()


def test_groups_are_drawn_whole_with_replacement_after_everybody_once():
    groups = np.array(["b", "a", "b", "c"])
    counts = of_groups(groups, 500, 0)
    assert counts.shape == (501, 4) and (counts[0] == 1).all()
    assert (counts[:, 0] == counts[:, 2]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert counts[1:].mean(axis=0) == pytest.approx(np.ones(4), abs=0.1)
    assert counts.max() == 3
    assert (counts == of_groups(groups, 500, 0)).all()
    assert (counts != of_groups(groups, 500, 1)).any()
