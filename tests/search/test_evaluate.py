"""Scores and labels become a report."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.evaluate import (
    accuracies,
    auroc,
    aurocs,
    operating_point,
    report,
    specific_point,
    temperature,
)

CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40)


def scored(count=200, groups=10, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    scores = 1 / (1 + np.exp(-(labels + rng.normal(0, 1.5, count))))
    return labels, scores, np.array([str(i % groups) for i in range(count)])


@given(CASES)
def test_auroc_is_the_share_of_pairs_in_the_right_order_ties_halved(cases):
    labels, scores = (np.array(column, float) for column in zip(*cases))
    pairs = [
        (a > b) + (a == b) / 2 for a in scores[labels == 1] for b in scores[labels == 0]
    ]
    if not pairs:
        assert np.isnan(auroc(labels, scores))
        return
    assert auroc(labels, scores) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_of_scores_that_are_not_finite_there_is_no_auroc(wrong):
    with pytest.raises(ValueError, match="Not every score is a finite number"):
        auroc(np.array([1, 1, 0, 0]), np.array([wrong, 0.5, 1, 2]))


def test_auroc_within_cannot_profit_from_one_group_looking_different():
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 1])
    scores = np.array([9, 9, 8, 9, 1, 1, 2, 1])
    groups = ["all broken"] * 2 + ["high"] * 2 + ["low"] * 4
    assert auroc(labels, scores) > 0.5
    # high: 8 against 9, lost. low: 1 against 1, 1, 2: two ties and a loss.
    within = report(labels, scores, groups, 5, draws=50).auroc_within
    assert within.value == pytest.approx((0 + 1) / 4)


def test_confusion_and_rates_are_counted_at_the_threshold():
    labels = np.array([1, 1, 1, 0, 0])
    scores = np.array([0.9, 0.5, 0.1, 0.5, 0.2])
    found = report(labels, scores, list("abcde"), 0.5, draws=50)
    assert found.confusion == {"tp": 2, "fp": 1, "fn": 1, "tn": 1}
    assert found.sensitivity == pytest.approx(2 / 3)
    assert found.specificity == pytest.approx(1 / 2)
    assert found.accuracy.value == pytest.approx(3 / 5)
    assert (found.cases, found.fractured) == (5, 3)


@pytest.mark.parametrize("label", [0, 1])
def test_of_one_class_the_other_has_no_rate_and_there_is_no_auroc(label):
    found = report(np.full(3, label), np.array([0.9, 0.6, 0.1]), list("abc"), 0.5)
    assert (found.auroc, found.auroc_within) == (None, None)
    assert (found.sensitivity is None, found.specificity is None) == (not label, label)
    assert found.accuracy.value == pytest.approx((2 if label else 1) / 3)
    cells = {"tp": 2, "fn": 1} if label else {"fp": 2, "tn": 1}
    assert found.confusion == dict.fromkeys(("tp", "fp", "fn", "tn"), 0) | cells


def test_the_first_of_the_figures_is_measured_and_the_others_are_drawn():
    labels, scores, _ = scored(60)
    counts = np.array([np.ones(60), np.ones(60), np.arange(60) % 3])
    areas = aurocs(labels, scores, counts)
    right = accuracies(labels, scores >= 0.5, counts)
    for found in areas, right:
        assert found[0] == pytest.approx(found[1]) != found[2]
    assert areas[0] == auroc(labels, scores)
    assert right[0] == np.mean((scores >= 0.5) == labels)


def test_the_interval_holds_the_value_and_shrinks_with_more_patients():
    few = report(*scored(100, 100), 0.5, draws=300).auroc
    many = report(*scored(3000, 3000), 0.5, draws=300).auroc
    for interval in few, many:
        assert interval.low < interval.value < interval.high
    assert many.high - many.low < (few.high - few.low) / 2


def test_patients_are_drawn_whole():
    """Ten copies of each case are not ten times the evidence."""
    labels, scores, groups = scored(60, 60)
    once = report(labels, scores, groups, 0.5, draws=400).auroc
    copied = report(
        np.tile(labels, 10), np.tile(scores, 10), np.tile(groups, 10), 0.5, draws=400
    ).auroc
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.02)


def test_a_report_is_json_and_the_same_every_time():
    first, second = (report(*scored(), 0.5, draws=100) for _ in range(2))
    assert first == second
    assert json.loads(json.dumps(asdict(first)))["auroc"]["value"] == first.auroc.value


@given(CASES, st.floats(0.05, 1))
def test_the_operating_point_is_the_highest_that_is_sensitive_enough(cases, wanted):
    labels, scores = (np.array(column, float) for column in zip(*cases))
    if not labels.any():
        with pytest.raises(ValueError, match="no fractured"):
            operating_point(labels, scores, wanted)
        return
    threshold = operating_point(labels, scores, wanted)
    broken = scores[labels == 1]
    assert (broken >= threshold).mean() >= wanted - 1e-9
    found = broken[broken >= threshold]
    assert (broken > found.min()).mean() < wanted


@given(CASES, st.floats(0.05, 1))
def test_the_specific_point_is_the_lowest_that_spares_enough_of_the_sound(cases, share):
    labels, scores = (np.array(column, float) for column in zip(*cases))
    scores = scores / 6
    if labels.all():
        with pytest.raises(ValueError, match="no sound"):
            specific_point(labels, scores, share)
        return
    threshold = specific_point(labels, scores, share)
    sound = scores[labels == 0]
    assert (sound < threshold).mean() >= share - 1e-9
    spared = sound[sound < threshold]
    assert (sound < spared.max()).mean() < share


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_takes_back_overconfidence(true):
    rng = np.random.default_rng(1)
    honest = rng.normal(0, 2, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-honest))).astype(int)
    assert temperature(labels, honest * true) == pytest.approx(true, rel=0.05)
