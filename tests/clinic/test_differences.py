"""What differs is told; what may differ, within the tolerance, is not."""

import pytest

from clinic.differences import of_reading
from clinic.models import ImageReading, Prediction
from inference.reading import ImageReading as Now
from inference.reading import Reading, ViewReading

AFFINE = [[1.0, 0.0, 3.0], [0.0, 1.0, 4.0]]


def said(then, images, now, tolerance=0.025):
    shown = Prediction(**{"aggregation": "alo", "confident_from": 0.9} | then)
    found = Reading(
        **{"code": "", "reason": "", "threshold": 0.5, "aggregation": "alo"}
        | {"confident_from": 0.9, "confident": False, "milliseconds": {}}
        | now
    )
    return list(of_reading(shown, images, found, tolerance))


def read(then, now, flagged):
    """A study of one image: what is said of its probability then and now."""
    views = [{"affine": AFFINE, "probability": then}]
    image = ImageReading(
        state="read", probability=then, views=views, digest="d", voted=True
    )
    view = (ViewReading(AFFINE, now),)
    shown = {"state": "read", "probability": then, "threshold": 0.5}
    today = Now("1", "read", probability=now, views=view, voted=now >= 0.5)
    told = {"state": "read", "probability": now, "flagged": now >= 0.5}
    return said(shown | {"flagged": flagged}, [image], told | {"images": (today,)})


def test_what_the_tolerance_decides_is_the_same():
    assert read(0.51, 0.49, flagged=True) == []
    assert read(0.51, 0.51, flagged=True) == []


def test_a_mark_that_its_own_probability_does_not_bear_is_said_even_so_near():
    assert read(0.51, 0.49, flagged=False) == ["It was not flagged and is not now."]


def test_what_is_beyond_the_tolerance_is_said_of_study_image_and_view():
    assert read(0.55, 0.45, flagged=True) == [
        "The probability was 0.5500 and is now 0.4500.",
        "It was flagged and is not now.",
        "The probability of image 1 has changed.",
        "The views of image 1 have changed.",
        "Image 1 voted then or now, not both times.",
    ]


@pytest.mark.parametrize(("code", "same"), [("other_anatomy", True), ("blank", False)])
def test_a_report_that_came_later_has_no_say_in_the_reason(code, same):
    images = [
        ImageReading(state="not_ours", code=code, digest="d"),
        ImageReading(state="not_ours", code="not_an_image", digest=""),
    ]
    now = (
        Now("1", "not_ours", "other_anatomy", "A foot."),
        Now("2", "not_ours", "not_an_image", "A report."),
    )
    told = {"state": "not_ours", "probability": None, "flagged": False, "images": now}
    shown = {"state": "not_ours", "code": code, "threshold": 0.5}
    found = said(shown, images, told)
    assert (found == []) is same
