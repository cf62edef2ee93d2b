"""Limits follow from the data that a card names."""

import pytest

from search.limits import sentences


def side(known=(), **more):
    asked = ("age", "sex", "side", "maker", "cast", "metal")
    attributes = {name: {"known": 5 * (name in known)} for name in asked}
    return {"attributes": attributes, "patients": ["1", "2"]} | more


def test_what_was_never_seen_is_said():
    card = {
        "data": {"name": "FracAtlas"},
        "parts": {
            "training": side(known=("age", "sex", "side", "maker", "cast", "metal")),
            "test": side(known=("metal", "side"), parts={"wrist": 3, "hand": 5}),
        },
    }
    assert sentences(card) == [
        "Judged on 2 patients or groups of patients of FracAtlas alone: how it does on "
        "other machines and for other people is not known.",
        "Judged on no other body part than: hand, wrist.",
        "Not known of anybody it was judged on: age, sex, maker, cast; whether it "
        "serves all alike there cannot be said.",
    ]


def test_parts_without_a_name_are_no_names():
    def told(**parts):
        return sentences({"parts": {"test": {"parts": parts}}})[:-1]

    unnamed = "Of some images it was judged on the body part is not known."
    assert told(**{"": 8}) == [unnamed]
    assert told(**{"": 8, "hand": 2})[1:] == [unnamed]
    assert told(**{"": 8, "hand": 2})[0].endswith("than: hand.")


def test_a_part_without_attributes_knows_nobody():
    (said,) = sentences({"parts": {"training": {"images": 3}}})
    assert said.startswith("Not known of anybody it learnt from: age, sex, side, maker")


@pytest.mark.parametrize(
    "odd", [{}, {"parts": 3}, {"parts": {"test": [], "training": 3}}, {"data": "x"}]
)
def test_a_card_that_tells_nothing_has_no_limits_to_tell(odd):
    assert sentences(odd) == []
