"""A card says what was measured, and where it lacks something, that it does."""

import json

import pytest
from django.conf import settings as configured

from clinic import cards
from clinic.models import ModelVersion
from tests.clinic.factories import HOSTILE, make_model

pytestmark = pytest.mark.django_db
DOUBT = "Calibration and doubt"
SHIPPED = sorted(configured.SHIPPED_MODELS.glob("*/card.json"))


@pytest.fixture
def version(settings):
    """A candidate whose spec lies where it should."""
    made = make_model("fresh", ModelVersion.Stage.CANDIDATE)
    folder = settings.MODEL_ROOT / made.folder
    folder.mkdir(parents=True)
    spec = {"threshold": 0.5, "confident": 0.9, "aggregation": "alo", "limits": {}}
    folder.joinpath("spec.json").write_text(json.dumps(spec))
    return made


def told(version):
    """Every value of the card, by heading and name."""
    return {
        (heading, name): value
        for heading, rows in cards.facts(version).items()
        for name, value in rows
    }


def holdout(n=40):
    cases = [
        {
            "id": str(i),
            "study": str(i // 2 * 2) if i < 4 else str(i),
            "patient": str(i // 2),
            "label": i % 2,
            "probability": (0.8 if i % 2 else 0.3) if i % 10 else 0.9,
            "subgroups": {"sex": "FM"[i // 2 % 2]},
        }
        for i in range(n)
    ]
    pointing = {"lrp": 0.625, "gradcam": 0.5}
    return {"digest": "abc", "cases": cases, "hits": pointing, "milliseconds": 9.5}


def test_a_card_tells_by_its_digest_which_published_weights_it_began_with(version):
    version.card = {"start": "12" * 32, "published": "ab" * 32}
    found = {name: value for (_, name), value in told(version).items()}
    assert found["Went on from"] == "12" * 32
    assert found["Published weights (SHA-256)"] == "ab" * 32


def test_an_empty_card_says_not_measured_everywhere(version):
    values = set(told(version).values())
    assert values == {"not measured", "not stated"}
    assert {cell for row in cards.data({}).rows for cell in row[1:]} == {"not measured"}
    assert cards.people({}).rows == [
        ("age", *["not measured"] * 3),
        ("sex", *["not measured"] * 3),
    ]
    assert cards.subgroups(version).rows == []
    assert cards.auroc({}) == "not measured"


def test_what_was_measured_is_told_with_its_interval(version):
    area = {"value": 0.8654, "low": 0.8, "high": 0.91}
    version.card = {
        "intended_use": "To look at.",
        "commit": "abc123",
        "data": {"digest": "da7a" * 16},
        "plan": {"seed": 0, "arch": {"family": "squeezenet"}},
        "members": {"ab" * 32: 0, "cd" * 32: 2},
        "test": {"auroc": area, "cases": 217, "confusion": {"fn": 3}},
        "holdout": holdout(),
        "pointing": {"lrp": {"near": 0.132, "hits": 0.11}, "images": 91},
    }
    found = told(version)
    assert found["Use", "Intended use"] == "To look at."
    assert found["Making", "Digest of the data"] == "da7a" * 16
    assert found["Test part by image", "AUROC"] == "0.865 (0.800 – 0.910)"
    assert found["Test part by image", "False negatives"] == "3"
    assert found["Making", "Seed"] == "0, 2"
    assert found["Making", "Network"] == "a committee of 2: squeezenet"
    assert (
        found["Making", "The mean of"] == "abababababab (seed 0), cdcdcdcdcdcd (seed 2)"
    )
    judged = "Holdout of its card, by study"
    assert found[judged, "Sensitivity"].startswith("1.000 (1.000 – ")
    assert found[judged, "Specificity"].startswith("0.833 (0.")
    assert (found[judged, "Studies"], found[judged, "Images"]) == ("38", "40")
    assert found[judged, "Overlay hit rate, LRP"] == "0.625"
    assert found[judged, "Milliseconds a view"] == "9.5"
    assert found["Overlays", "LRP: peak in or beside the box"] == "0.132"
    assert found["Overlays", "LRP: peak in the box, wider by a tenth"] == "0.11"
    assert found["Overlays", "Grad-CAM: peak in or beside the box"] == "not measured"
    rows = cards.subgroups(version).rows
    assert [row[:2] for row in rows] == [("sex F", "19"), ("sex M", "19")]


def test_limits_are_the_card_s_own_words_where_it_has_them(version):
    version.card = {"limits": "Adults only."}
    assert told(version)["Use", "Limits"] == "Adults only."


def test_who_the_data_show_is_told_with_those_of_whom_nothing_is_known():
    groups = [{"group": "F", "images": 12}, {"group": "M", "images": 9}]
    sex = {"known": 21, "missing": 3, "groups": groups}
    age = {"known": 0, "missing": 24, "groups": []}
    part = {"attributes": {"maker": {"groups": groups[:1]}, "sex": sex, "age": age}}
    found = cards.people({"parts": {"training": part}}).rows
    rest = ["not measured"] * 2
    assert found == [
        ("age", "not measured", *rest),
        ("sex", "F 12, M 9, missing 3", *rest),
        ("maker", "F 12", *rest),
    ]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_cards_tell_what_they_must(version, path):
    version.card = json.loads(path.read_text())
    found = told(version)
    wanted = [("Use", "Intended use"), ("Use", "Licence of the data")]
    wanted += [
        ("Test part by study", "AUROC"),
        ("Making", "Commit"),
        ("Making", "Seed"),
    ]
    assert not [key for key in wanted if found[key].startswith("not ")]
    assert found["Use", "Limits"].startswith("Judged on 11 patients or groups")
    assert found[DOUBT, "Expected calibration error, test"].startswith("0.")
    assert found[DOUBT, "Left to people: poor quality"] == "4 of 217 images"
    assert cards.data(version.card).rows[0][1] != "not measured"


def judged(auroc, **more):
    interval = {"value": auroc, "low": auroc - 0.1, "high": auroc + 0.05}
    return {"auroc": interval, "cases": 20, "confusion": {"fp": 3}} | more


def test_two_models_are_told_apart_by_quality_and_cost_first():
    made = {"by_study": judged(0.8), "by_image": judged(0.75), "parameters": 6_384_753}
    served = {"by_study": judged(0.7, cases=20), "madds": 72_005_312}
    found = cards.compared({"candidate": made, "incumbent": served})
    assert found.first == [
        ("AUROC by study", "0.800 (0.700 – 0.850)", "0.700 (0.600 – 0.750)"),
        ("AUROC by image", "0.750 (0.650 – 0.800)", "not measured"),
        ("Parameters", "6.38 million", "not measured"),
        ("Multiply-adds of a view", "not measured", "72.01 million"),
    ]
    assert ("False positives by image", "3", "not measured") in found.rest
    assert not [name for name, *_ in found.rest if name.startswith("AUROC by")]


@pytest.mark.parametrize("odd", [{}, {"candidate": 3}, {"candidate": {"by_study": []}}])
def test_a_comparison_that_holds_anything_is_still_a_table(odd):
    assert {row[1] for row in cards.compared(odd).first} == {"not measured"}


ODD = {"training": {"attributes": {"sex": {"groups": [3, None], "missing": "x"}}}}
KEYS = ("parts", "test", "holdout", "plan", "data", "pointing", "limits")
KEYS += ("members", "calibration", "confident", "abstentions")


@pytest.mark.parametrize("odd", [*HOSTILE, 3, None, [], [3], {}, {"training": 3}, ODD])
def test_a_card_that_holds_anything_is_still_a_page(version, odd):
    version.card = dict.fromkeys(KEYS, odd)
    assert told(version)
    cards.data(version.card), cards.people(version.card)
    cards.subgroups(version)
