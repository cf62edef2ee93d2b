"""Cards of any shape: what they do not tell is missing."""

import pytest

from search import told


@pytest.mark.parametrize(
    "odd", [None, "0.5", True, float("nan"), float("inf"), 10**400, [1]]
)
def test_what_is_no_finite_number_is_no_figure(odd):
    assert told.figure(odd) is None
    assert told.figure(3) == 3.0


@pytest.mark.parametrize("odd", [None, 3, {}, {"training": {"patients": 3}}])
def test_who_was_learnt_from_is_unknown_where_no_list_says_so(odd):
    assert told.learnt_from(odd) is None
    assert told.learnt_from({"training": {"patients": [7]}}) == {"7"}


@pytest.mark.parametrize(
    ("abstentions", "count"),
    [
        ({"images": 9, "poor_quality": 2, "uncertain": 3}, 5),
        ({"images": 9}, 0),
        ({"images": 8, "poor_quality": 2}, None),
        ({"images": 9, "poor_quality": "2"}, None),
        ({"images": 9, "poor_quality": -2}, None),
        ({"images": 9, "poor_quality": 10}, None),
        ({}, None),
        (None, None),
    ],
)
def test_who_is_left_to_people_is_counted_on_these_images_or_not_at_all(
    abstentions, count
):
    assert told.silent(abstentions, 9) == count
