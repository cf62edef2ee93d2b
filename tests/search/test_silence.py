"""What a model leaves to people is counted, or it speaks against the model."""

from dataclasses import replace

import pytest

from inference.doubt import Limits
from search.holdout import Case, Measured
from search.silence import Left, compared, left

LOOKS = Limits(contrast=0.2, sharpness=0.02, unlike=2.0)


def model(name="fresh", **about):
    """Of 100 images, every tenth at 0.05, the next at 0.15 and so on."""
    images = tuple(
        Case(f"{n}", f"{n}", f"{n}", n % 2, 0.05 + n % 10 / 10) for n in range(100)
    )
    return Measured(name, 0.5, images=images, **about)


def unsure(low, high, **about):
    return Limits(uncertain_from=low, uncertain_to=high, **about)


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ({}, (0.0, True)),
        ({"limits": unsure(0.0, 1.0)}, (1.0, True)),
        ({"limits": unsure(0.1, 0.4)}, (0.3, True)),
        ({"limits": LOOKS}, (0.0, False)),
        ({"limits": LOOKS, "silent": 7}, (0.07, True)),
        ({"limits": replace(LOOKS, uncertain_to=0.4)}, (0.4, False)),
        # A card that was written before the limits were.
        ({"limits": replace(LOOKS, uncertain_to=0.4), "silent": 7}, (0.4, True)),
    ],
)
def test_what_is_known_is_counted_and_what_is_not_is_known_to_lack(about, found):
    assert left(model(**about)) == Left(*found)


def test_studies_stand_for_their_images_where_none_are_told():
    alone = model(limits=unsure(0.0, 1.0))
    assert left(replace(alone, images=(), cases=alone.images)).share == 1.0


@pytest.mark.parametrize(("silent", "passes"), [(12, True), (13, False)])
def test_no_more_may_be_left_than_the_margin(silent, passes):
    before = model("serving", silent=7)
    row = compared(model(silent=silent), before, 0.05)
    assert (row.incumbent, row.candidate) == (0.07, silent / 100)
    assert row.blocker == (
        ""
        if passes
        else "fresh says nothing of 0.130 of the held-out images against 0.070 in "
        "service: at most 0.05 more is allowed."
    )


def test_what_nobody_counted_speaks_against_the_candidate():
    blind = model(limits=LOOKS)
    assert compared(blind, model(silent=7), 0.05).blocker == (
        "How many held-out images fresh leaves to people, as poor or unlike its "
        "training, was not measured."
    )
    assert not compared(model(silent=5), blind, 0.05).blocker
    words = compared(model(silent=6), replace(blind, name="serving"), 0.05).blocker
    assert "against at least 0.000 in service" in words
