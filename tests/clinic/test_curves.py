"""What a card tells is drawn with its numbers; what it lacks is said in words."""

import json

import pytest
from django.conf import settings as configured

from clinic import curves
from clinic.models import ModelVersion
from tests.clinic.factories import HOSTILE, make_model

pytestmark = pytest.mark.django_db
SHIPPED = sorted(configured.SHIPPED_MODELS.glob("*/card.json"))


def tenth(count, fractured, said):
    return {"count": count, "fractured": fractured, "mean_probability": said}


@pytest.fixture
def version():
    made = make_model("fresh", ModelVersion.Stage.CANDIDATE)
    test = [tenth(40, 2, 0.05), tenth(0, 0, None), tenth(10, 8, 0.75)]
    made.card = {
        "history": [
            {"epoch": 1, "auroc": 0.5, "loss": 0.7},
            {"epoch": 2, "auroc": float("nan"), "loss": 0.6},
        ],
        "calibration": {
            "test": {"ece": 0.05, "bins": test},
            "validation": {"ece": 0.01, "bins": [tenth(20, 2, 0.1)]},
        },
        "coverage": [
            {"coverage": 1.0, "error": 0.2},
            {"coverage": 0.5, "error": 0.1},
        ],
    }
    return made


@pytest.fixture
def other():
    made = make_model("other", ModelVersion.Stage.CANDIDATE)
    made.card = {
        "history": [{"auroc": 0.9}],
        "calibration": {"test": {"bins": [tenth(4, 1, 0.3)]}},
        "coverage": [{"coverage": 1.0, "error": 0.3}],
    }
    return made


def charts(*versions):
    found = {curve.heading: curve.chart for curve in curves.of(*versions)}
    for chart in found.values():
        json.dumps(chart.drawn if chart else None, allow_nan=False)
    return found


def test_training_has_a_point_an_epoch(version, other):
    assert charts(version)["Training"].rows == [(1, 0.5, 0.7), (2, None, 0.6)]
    both = charts(version, other)["Training"]
    assert f"AUROC on validation, other {other.brief}" in both.lines
    assert both.rows[1][-1] is None


def test_a_committee_shows_how_each_of_its_members_was_trained(version, other):
    told = [{"auroc": 0.5, "loss": 0.7}, {"auroc": 0.6, "loss": 0.6}]
    other.card = {
        "members": {"ab" * 32: 0, "cd" * 32: 7},
        "histories": {"ab" * 32: told, "cd" * 32: told[:1], "ef" * 32: told[1:]},
    }
    chart = charts(other)["Training"]
    assert [*chart.lines][::2] == [
        f"AUROC on validation, {who}" for who in ("seed 0", "seed 7", "ef" * 6)
    ]
    assert chart.rows[1] == (2, 0.6, 0.6, None, None, None, None)
    both = charts(version, other)["Training"]
    assert f"loss, seed 7, other {other.brief}" in both.lines


def test_reliability_is_seen_against_told_with_how_many_images(version):
    chart = charts(version)["Reliability"]
    assert chart.head == (
        "mean probability told",
        "fractured, test",
        "fractured, validation",
        "as many as told",
        "images, test",
        "images, validation",
    )
    assert chart.rows == [
        (0.0, None, None, 0.0, None, None),
        (0.05, 0.05, None, 0.05, 40, None),
        (0.1, None, 0.1, 0.1, None, 20),
        (0.75, 0.8, None, 0.75, 10, None),
        (1.0, None, None, 1.0, None, None),
    ]
    assert len(chart.drawn["data"]) == len(chart.drawn["labels"]) + 1 == 4


def test_two_are_compared_on_the_test_part_only(version, other):
    chart = charts(version, other)["Reliability"]
    names = [f"{v.name} {v.brief}" for v in (version, other)]
    assert [*chart.lines][:2] == [f"fractured, test, {name}" for name in names]
    assert (0.3, None, 0.25, 0.3, None, 4) in chart.rows


def test_coverage_runs_from_few_answers_to_all(version, other):
    assert charts(version)["Coverage and error"].rows == [(0.5, 0.1), (1.0, 0.2)]
    both = charts(version, other)["Coverage and error"]
    assert both.rows == [(0.5, 0.1, None), (1.0, 0.2, 0.3)]


def test_a_card_without_them_says_so_of_each(version):
    bare = make_model("bare", ModelVersion.Stage.CANDIDATE)
    found = {curve.heading: curve for curve in curves.of(version, bare)}
    assert found["Reliability"].chart and found["Coverage and error"].chart
    said = [sentence for curve in found.values() for sentence in curve.lacking]
    assert said == [
        f"The card of bare {bare.brief} holds no {noun}."
        for noun in ("training curve", "reliability diagram", "coverage/error curve")
    ]
    assert not any(charts(bare).values())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_cards_have_all_three(version, path):
    version.card = card = json.loads(path.read_text())
    found = charts(version)
    if "members" in card:
        trained = max(map(len, card.get("histories", {}).values()), default=0)
        assert len(found["Training"].rows if trained else ()) == trained
    else:
        assert len(found["Training"].rows) == len(card["history"])
    images = found["Reliability"].beside["images, test"]
    assert sum(filter(None, images)) == card["test"]["cases"]
    assert len(found["Coverage and error"].rows) == len(card["coverage"])


ODD = (3, None, [], [3], {}, {"test": 3}, {"test": {"bins": [{"count": "x"}, None]}})
ZERO = {"test": {"bins": [tenth(0, 1, 0.5), tenth(-3, 1, 0.5)]}}


@pytest.mark.parametrize("odd", [*HOSTILE, *ODD, ZERO])
def test_a_card_that_holds_anything_is_still_a_page(version, odd):
    version.card = dict.fromkeys(("history", "calibration", "coverage"), odd)
    charts(version)
    version.card = {"members": odd, "histories": {"ab": odd}}
    charts(version)
    version.card = {"members": {"ab": odd}, "histories": odd}
    charts(version)
