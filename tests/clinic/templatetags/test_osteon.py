"""How pages write names and figures."""

import pytest

from clinic.templatetags.osteon import figures, percent, person, told_apart


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("DOE^JANE", "DOE, JANE"),
        ("DOE^JANE^M^DR", "DOE, JANE M"),
        ("DOE", "DOE"),
        ("^JANE", "JANE"),
        ("=山田^太郎", "山田, 太郎"),
        ("Yamada^Tarou=山田^太郎", "Yamada, Tarou"),
        ("", ""),
        ("^^^", ""),
    ],
)
def test_a_person_is_written_as_people_do(name, written):
    assert person(name) == written


@pytest.mark.parametrize(
    ("probability", "written"),
    [
        (None, "–"),
        (0, "0 %"),
        (0.004, "< 1 %"),
        (0.5, "50 %"),
        (0.996, "> 99 %"),
        (1, "100 %"),
    ],
)
def test_what_is_not_certain_is_not_rounded_to_certain(probability, written):
    assert percent(probability) == written


@pytest.mark.parametrize(
    ("probabilities", "written"),
    [
        ((0.3, 0.5, None), ["30 %", "50 %", "–"]),
        ((0.316, 0.324, 0.9), ["31.6 %", "32.4 %", "90.0 %"]),
        ((0.32, 0.32, 0.9), ["32 %", "32 %", "90 %"]),
        ((0.3239, 0.324, 0.9), ["32.39 %", "32.40 %", "90.00 %"]),
        ((0.996, 0.999), ["99.6 %", "99.9 %"]),
    ],
)
def test_what_is_below_a_threshold_is_not_written_as_it(probabilities, written):
    assert told_apart(*probabilities) == written


def test_a_card_of_any_shape_becomes_figures():
    card = {
        "minutes": 10.44,
        "notes": "words",
        "test": {"auroc": {"low": 0.6987, "value": 0.7728, "high": 0.8219}, "tp": 87},
        "pointing": {"lrp": {"hits": 0.033}, "reading": "words", "seen": [1, 2]},
        "plan": {"batch": 32},
        "none": {},
    }
    assert figures(card) == [
        ("test", [("auroc", "0.773 (0.699 – 0.822)"), ("tp", "87")]),
        ("pointing", [("lrp: hits", "0.033")]),
        ("other", [("minutes", "10.4")]),
    ]
