"""How pages write names and figures."""

import pytest

from clinic.templatetags.osteon import figures, percent, person


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


def test_a_card_of_any_shape_becomes_figures():
    card = {"auroc": 0.81234, "holdout": {"by part": {"wrist": 0.9}}, "none": {}}
    assert figures(card) == [
        ("Model", [("auroc", "0.812")]),
        ("holdout", [("by part: wrist", "0.9")]),
    ]
