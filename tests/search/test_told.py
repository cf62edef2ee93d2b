"""Cards of any shape: what they do not tell is missing."""

import pytest

from search import told


@pytest.mark.parametrize(
    "odd", [None, "0.5", True, float("nan"), float("inf"), 10**400, [1]]
)
def test_what_is_no_finite_number_is_no_figure(odd):
    assert told.figure(odd) is None
    assert told.figure(3) == 3.0


def sides(training, validation):
    return {"training": {"patients": training}, "validation": {"patients": validation}}


@pytest.mark.parametrize(
    "odd",
    [None, 3, {}, {"training": {"patients": [7]}}, sides(3, [7]), sides([7], None)],
)
def test_who_was_learnt_from_is_unknown_where_no_list_says_so(odd):
    assert told.learnt_from(odd) is None
    assert told.learnt_from(sides([7], [])) == {"7"}


FRACATLAS = {"data": {"name": "FracAtlas", "source": "Abedeen et al."}}


def test_who_has_a_number_for_a_name_is_told_from_a_block_of_fracatlas():
    card = {"parts": sides(["7", "70"], ["123", "x"])}
    assert told.numbered(card) == {"7", "70"}
    assert told.numbered(card | FRACATLAS) == frozenset()
    assert told.numbered(card | {"data": {"name": "FracAtlas"}}) == {"7", "70"}
    before = {"learnt_before": {"patients": ["5", "6"], "numbered": ["5"]}}
    assert told.numbered(FRACATLAS | before) == {"5"}


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
