"""Proposals and fractures become an area, as counting by hand would have it."""

import json
import time
from dataclasses import asdict
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from search.aufroc import (
    FROM,
    MISSED,
    TO,
    Curve,
    Image,
    Judged,
    compare,
    froc,
    judge,
    overlap,
)

SCORES = st.integers(0, 6).map(float)  # few, so that there are ties
STUDIES = st.lists(
    st.builds(
        Judged,
        images=st.integers(1, 4),
        found=st.lists(SCORES | st.just(MISSED), max_size=3).map(tuple),
        false=st.lists(SCORES, max_size=4).map(tuple),
    ),
    min_size=1,
    max_size=12,
)


def brute(studies):
    """The definition, threshold by threshold, in fractions; None without fracture."""
    fractured = [study for study in studies if study.found]
    if not fractured:
        return None
    scores = {s for study in studies for s in (*study.found, *study.false)} - {MISSED}
    points = [(Fraction(0), Fraction(0))]
    for threshold in sorted(scores, reverse=True):
        false = sum(s >= threshold for study in studies for s in study.false)
        shares = [
            Fraction(sum(s >= threshold for s in study.found), len(study.found))
            for study in fractured
        ]
        images = sum(study.images for study in studies)
        points.append((Fraction(false, images), sum(shares) / len(fractured)))
    area, low, high = Fraction(0), Fraction(str(FROM)), Fraction(str(TO))
    points.append((max(points[-1][0], high), points[-1][1]))
    for (x0, y0), (x1, y1) in pairwise(points):
        a, b = max(x0, low), min(x1, high)
        if a < b:
            at_a, at_b = (y0 + (y1 - y0) * (x - x0) / (x1 - x0) for x in (a, b))
            area += (b - a) * (at_a + at_b) / 2
    return area / (high - low)


def drawn(count, seed=0, skill=1.0, images=2, proposals=8):
    """Studies, half of them with a fracture or two; skill: how far hits score above."""
    rng = np.random.default_rng(seed)
    return [
        Judged(
            images,
            tuple(rng.normal(skill, 1, rng.integers(1, 3)) if number % 2 else ()),
            tuple(rng.normal(0, 1, rng.integers(0, 2 * proposals))),
        )
        for number in range(count)
    ]


@settings(max_examples=100)
@given(STUDIES)
def test_the_area_is_that_of_the_definition(studies):
    expected, area = brute(studies), froc(studies, draws=1).area
    if expected is None:
        assert area is None
    else:
        assert area.value == pytest.approx(float(expected), abs=1e-12)


@settings(max_examples=50)
@given(STUDIES, st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_a_weight_is_a_study_that_comes_so_often(studies, counts):
    counts = counts[: len(studies)]
    copies = [s for s, n in zip(studies, counts) for _ in range(n)]
    assume(any(study.found for study in copies))
    area = Curve(studies).area(np.array(counts, float))
    assert area == pytest.approx(float(brute(copies)), abs=1e-12)


def test_by_hand():
    """Two images a study; the sound study's count as well."""
    studies = [
        Judged(2, (0.9, MISSED), (0.8,)),  # one of two found, before any false one
        Judged(2, (0.5,), ()),
        Judged(2, (), (0.4, 0.3)),
    ]
    x, y = Curve(studies).points(np.ones(3))
    assert x == pytest.approx([0, 0, 1 / 6, 1 / 6, 2 / 6, 3 / 6])
    assert y == pytest.approx([0, 1 / 4, 1 / 4, 3 / 4, 3 / 4, 3 / 4])
    expected = ((1 / 6 - 0.02) * 0.25 + (0.5 - 1 / 6) * 0.75) / 0.48
    assert froc(studies, draws=5).area.value == pytest.approx(expected)


def test_whoever_finds_all_at_once_has_one_and_who_finds_nothing_has_none():
    perfect = [Judged(1, (1.0,), (0.5,)), Judged(1, (), (0.1,))]
    assert froc(perfect, draws=5).area.value == pytest.approx(1)
    assert froc([Judged(3, (MISSED,), ())], draws=5).area.value == 0


def test_a_curve_that_ends_early_is_held_and_says_so():
    short = froc([Judged(10, (1.0, MISSED), (0.5,))], draws=5)
    assert short.reached == pytest.approx(0.1)
    assert short.area.value == pytest.approx(0.5)


def test_without_a_fracture_there_is_no_area():
    assert froc([Judged(1, (), (0.3,))], draws=5).area is None


def test_a_fracture_counts_once_for_its_study_wherever_it_is_found():
    box, near, off = (10, 10, 20, 20), (12, 12, 20, 20), (25, 25, 20, 20)
    seen = judge(
        [
            Image([(box, 0.9)], {"radius": box, "ulna": (80, 80, 9, 9)}),
            Image([(near, 0.6), (box, 0.4), (off, 0.7)], {"radius": box}),
        ]
    )
    assert seen == Judged(2, (0.9, MISSED), (0.7,))


def test_of_several_hits_of_one_image_the_highest_counts_wherever_it_stands():
    box, near, close = (10, 10, 20, 20), (12, 12, 20, 20), (11, 9, 20, 20)
    proposals = [(near, 0.6), (box, 0.8), (close, 0.4)]
    for turned in (proposals, proposals[::-1], proposals[1:] + proposals[:1]):
        assert judge([Image(turned, {"ulna": box})]) == Judged(1, (0.8,), ())


def test_one_proposal_may_find_two_fractures():
    seen = judge([Image([((0, 0, 10, 10), 0.5)], {1: (0, 0, 10, 9), 2: (0, 0, 9, 10)})])
    assert seen == Judged(1, (0.5, 0.5), ())


def test_half_an_overlap_is_not_enough():
    box = (0, 0, 10, 10)
    assert overlap(box, (0, 0, 10, 5)) == 0.5
    assert overlap(box, (20, 20, 5, 5)) == overlap((1, 1, 0, 0), (1, 1, 0, 0)) == 0
    assert judge([Image([((0, 0, 10, 5), 1.0)], {"x": box})]).false == (1.0,)
    assert judge([Image([((0, 0, 10, 5.1), 1.0)], {"x": box})]).false == ()


def test_the_interval_shrinks_with_more_studies_and_repeats_by_seed():
    few, many = (froc(drawn(n), draws=300).area for n in (60, 2000))
    for area in few, many:
        assert area.low < area.value < area.high
    assert many.high - many.low < (few.high - few.low) / 3
    assert froc(drawn(60), draws=300).area == few


def test_patients_are_drawn_whole():
    studies = drawn(100) * 4
    alone = froc(studies, draws=400).area
    whole = froc(studies, groups=list(range(100)) * 4, draws=400).area
    once = froc(studies[:100], draws=400).area
    assert whole.value == pytest.approx(once.value)
    assert whole.high - whole.low == pytest.approx(once.high - once.low, rel=0.02)
    assert alone.high - alone.low < 0.7 * (whole.high - whole.low)


def test_two_models_are_compared_on_the_same_draws():
    """What both find hard cancels out: the difference is surer than either area."""
    first = drawn(300)
    second = [Judged(s.images, tuple(f - 0.3 for f in s.found), s.false) for s in first]
    found = compare(first, second, draws=300)
    assert found.first == froc(first, draws=300)
    assert found.second == froc(second, draws=300)
    difference = found.difference
    assert difference.value == found.first.area.value - found.second.area.value
    assert 0 < difference.low < difference.value < difference.high
    width = found.first.area.high - found.first.area.low
    assert difference.high - difference.low < width / 2
    same = compare(first, first, draws=50).difference
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_models_that_saw_different_studies_are_not_compared():
    with pytest.raises(ValueError, match="Study 1 is not the same"):
        compare(drawn(3), [*drawn(1), *drawn(3)[:2]], draws=2)
    with pytest.raises(ValueError):
        compare(drawn(3), drawn(2), draws=2)


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        froc([Judged(1, (float("nan"),), (0.1,))], draws=2)


def test_a_result_is_json():
    found = compare(drawn(20), drawn(20, seed=1)[:0] or drawn(20), draws=5)
    assert json.loads(json.dumps(asdict(found)))["first"]["studies"] == 20


def test_a_thousand_draws_of_ten_thousand_studies_take_seconds():
    """Of the processor: about one where nothing else runs."""
    studies = drawn(10_000)
    began = time.process_time()
    froc(studies)
    assert time.process_time() - began < 5
