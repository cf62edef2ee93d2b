"""What a card tells of the holdout, and the figures drawn from it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

import inference
from inference.artifact import Spec
from inference.networks import ARCHS
from inference.preprocess import Recipe
from search.calibration import reliability
from search.card import Judged
from search.card import holdout as written
from search.evaluate import auroc
from search.example import Example
from search.holdout import (
    Case,
    Measured,
    by_subgroup,
    calibration_error,
    measured,
    measures,
    summary,
    weights,
)

SHIPPED = sorted(Path(inference.__file__).parent.glob("models/*"))


def card(**changes):
    """A card of two patients; `changes` are of its holdout."""
    cases = [
        {"id": "a", "patient": "p1", "label": 1, "probability": 0.9},
        {"id": "b", "patient": "p2", "label": 0, "probability": 0.2},
    ]
    cases[0]["study"] = "s"
    cases[0]["subgroups"] = {"sex": "F", "age": None}
    told = {"digest": "abc", "cases": cases, "milliseconds": 41}
    told["hits"] = {"lrp": 0.5, "gradcam": "none"}
    parts = {"training": {"patients": ["p7"]}, "validation": {"patients": [8]}}
    return {"holdout": told | changes, "parts": parts}


CASES = card()["holdout"]["cases"]


class TestACard:
    def test_what_it_tells_is_taken(self):
        found = measured("fresh", 0.5, card(), "alo")
        assert [(i.id, i.study) for i in found.images] == [("a", "s"), ("b", "b")]
        assert [c.id for c in found.cases] == ["s", "b"]
        assert found.cases[0].subgroups == {"sex F"}
        assert (found.digest, found.milliseconds) == ("abc", 41.0)
        assert found.pointing == {"lrp": 0.5}
        assert found.learnt_from == {"p7", "8"}
        assert found.trouble == ""

    @pytest.mark.parametrize("games", [None, 3, {"lrp": 1}, {"lrp": {"near": 0.5}}])
    def test_an_older_card_tells_hits_where_it_tells_of_the_game(self, games):
        told = {k: v for k, v in card()["holdout"].items() if k != "hits"}
        told["pointing"] = {"lrp": 0.6, "gradcam": 0.6}  # near, which is not asked
        older = card() | {"holdout": told, "pointing": games}
        assert measured("older", 0.5, older, "alo").pointing == {}
        older["pointing"] = {"lrp": {"near": 0.6, "hits": 0.4}}
        assert measured("older", 0.5, older, "alo").pointing == {"lrp": 0.4}

    def test_it_says_which_marked_images_were_hit_and_how_many_there_are(self):
        cases = [CASES[0] | {"hits": ["lrp"]}, CASES[1]]
        found = measured("fresh", 0.5, card(cases=cases), "alo")
        assert [image.hits for image in found.images] == [{"lrp"}, None]
        assert found.marked == 1

    @pytest.mark.parametrize(
        ("hits", "games", "marked"),
        [
            ({}, None, 0),  # nobody marked a fracture
            ({"lrp": 0.5}, {"images": 91}, 91),
            ({"lrp": 0.5}, {"images": "many"}, None),
            ({"lrp": 0.5}, 3, None),
        ],
    )
    def test_an_older_card_says_at_most_how_many_are_marked(self, hits, games, marked):
        older = card(hits=hits) | {"pointing": games}
        found = measured("older", 0.5, older, "alo")
        assert found.marked == marked
        assert {image.hits for image in found.images} == {None}

    def test_its_own_count_of_the_silent_outranks_that_of_the_card(self):
        beside = card() | {"abstentions": {"images": 2, "uncertain": 2}}
        assert measured("fresh", 0.5, card(), "alo").silent is None
        assert measured("fresh", 0.5, beside, "alo").silent == 2
        within = beside | card(abstentions={"images": 2, "poor_quality": 1})
        assert measured("fresh", 0.5, within, "alo").silent == 1

    @pytest.mark.parametrize("old", [{}, {"test": {"auroc": 0.8}}, {"holdout": 3}])
    def test_one_from_before_the_holdout_says_so(self, old):
        found = measured("older", 0.5, old, "alo")
        assert found.trouble == (
            "older was not measured on a holdout: its card has none."
        )
        assert found.learnt_from is None

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"cases": None}, "it lists no cases"),
            ({"cases": []}, "with and without a fracture"),
            ({"cases": [3]}, "lacks its id"),
            ({"cases": [{"id": "a", "patient": "p"}]}, "label None"),
            ({"cases": card()["holdout"]["cases"][:1] * 2}, "occurs twice"),
            ({"cases": card()["holdout"]["cases"][:1]}, "with and without"),
            (
                {"cases": [c | {"study": "s"} for c in CASES]},
                "s is of several patients",
            ),
        ],
    )
    def test_a_holdout_that_is_none_is_told_in_words(self, change, words):
        found = measured("odd", 0.5, card(**change), "alo")
        assert words in found.trouble and "odd" in found.trouble

    @pytest.mark.parametrize("chance", [None, "0.5", 1.2, float("nan"), True])
    def test_a_probability_that_is_none_is_refused(self, chance):
        cases = card()["holdout"]["cases"]
        cases[0]["probability"] = chance
        assert (
            "no probability" in measured("odd", 0.5, card(cases=cases), "alo").trouble
        )


def test_what_a_training_writes_is_what_the_gate_reads(tmp_path):
    found = [
        Example(
            tmp_path / f"{n}.png", n // 2 % 2, f"s{n // 2}", f"p{n // 4}", part="wrist"
        )
        for n in range(8)
    ]
    spec = Spec("x", ARCHS["rx-lite"], Recipe(), "alo", threshold=0.5)
    told = written(Judged(found, np.linspace(-1, 1, 8)), spec)
    read = measured("x", 0.5, {"holdout": told}, "alo")
    assert read.trouble == "" and read.digest == told["digest"]
    assert [(i.id, i.study, i.patient, i.label) for i in read.images] == [
        (e.image.name, e.study, e.patient, e.label) for e in found
    ]
    assert read.images[-1].probability == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_cards_tell_the_studies_that_their_training_measured(folder):
    told = json.loads((folder / "card.json").read_text())
    spec = json.loads((folder / "spec.json").read_text())
    known = measured("x", spec["threshold"], told, spec["aggregation"])
    counted = told["test_by_study"]
    assert (len(known.images), len(known.cases)) == (
        told["test"]["cases"],
        counted["cases"],
    )
    found = summary(known)
    assert found["AUROC"].value == pytest.approx(counted["auroc"]["value"], abs=1e-4)
    for what in ("sensitivity", "specificity"):
        assert found[what].value == pytest.approx(counted[what])


def study_of(chances, labels=(0, 1, 0), aggregation="alo"):
    cases = [
        {"id": str(n), "study": "s", "patient": "p", "label": label}
        | {"probability": chance, "subgroups": {"view": "FL"[n % 2], "sex": "F"}}
        for n, (chance, label) in enumerate(zip(chances, labels, strict=True))
    ]
    rest = {"id": "r", "patient": "q", "label": 1 - max(labels), "probability": 0.5}
    found = measured("x", 0.5, card(cases=[*cases, rest]), aggregation)
    assert found.trouble == ""
    return found.cases[0]


class TestAStudy:
    @pytest.mark.parametrize(
        ("aggregation", "chance"),
        [("alo", 0.8), ("majority", 0.4), ("mean", 0.5), ("noisy_or", 0.916)],
    )
    def test_is_what_its_model_makes_of_its_images(self, aggregation, chance):
        found = study_of((0.3, 0.8, 0.4), aggregation=aggregation)
        assert found.probability == pytest.approx(chance)

    def test_is_fractured_if_one_of_its_images_is(self):
        assert study_of((0.1, 0.1, 0.1)).label == 1
        assert study_of((0.1, 0.1, 0.1), (0, 0, 0)).label == 0

    def test_is_in_every_subgroup_of_its_images(self):
        assert study_of((0.1, 0.1, 0.1)).subgroups == {"view F", "view L", "sex F"}


@pytest.fixture
def model():
    """Ties, and patients with several studies."""
    rng = np.random.default_rng(1)
    chances = rng.integers(0, 8, 90) / 8
    labels = (chances + rng.normal(0, 0.4, 90) > 0.5).astype(int)
    cases = [
        Case(
            str(i),
            str(i),
            str(i % 25),
            int(labels[i]),
            chances[i],
            frozenset({f"sex {'FM'[i % 2]}"}),
        )
        for i in range(90)
    ]
    return Measured("m", 0.5, cases=tuple(cases))


def test_measures_are_those_of_the_cases_as_often_as_they_count(model):
    counts = weights(model.cases)
    assert (counts[0] == 1).all()
    labels = np.array([c.label for c in model.cases])
    chances = np.array([c.probability for c in model.cases])
    area, found, passed = measures(model, counts)
    for row in (0, 1, 2):
        drawn = np.repeat(np.arange(90), counts[row].astype(int))
        y, p = labels[drawn], chances[drawn]
        assert area[row] == pytest.approx(auroc(y, p))
        assert found[row] == pytest.approx((p[y == 1] >= 0.5).mean())
        assert passed[row] == pytest.approx((p[y == 0] < 0.5).mean())


def test_patients_are_drawn_as_a_whole(model):
    counts = weights(model.cases)
    owners = np.array([c.patient for c in model.cases])
    for patient in np.unique(owners):
        assert (np.ptp(counts[:, owners == patient], axis=1) == 0).all()
    assert len({tuple(row) for row in counts}) > 1000


def test_intervals_hold_the_value(model):
    found = summary(model)
    assert list(found) == ["AUROC", "sensitivity", "specificity"]
    for told in found.values():
        assert 0 <= told.low < told.value < told.high <= 1


def test_subgroups_with_both_classes_have_figures_of_their_own(model):
    (first, count, figures), second = by_subgroup(model)
    assert (first, count, second[0]) == ("sex F", 45, "sex M")
    assert figures["AUROC"] != summary(model)["AUROC"]


def test_the_calibration_error_is_the_gap_between_said_and_seen():
    cases = [Case(str(i), str(i), str(i), int(i < 6), 0.85) for i in range(10)]
    assert calibration_error(cases) == pytest.approx(0.25)
    mixed = [*cases, *(Case(f"n{i}", f"n{i}", f"n{i}", 0, 0.0) for i in range(10))]
    assert calibration_error(mixed) == pytest.approx(0.125)


def test_the_calibration_error_is_that_of_scikit_learns_curve(model):
    """Also of probabilities at the very edge of a bin, which lie in the lower one."""
    told = [(0.05, 0), (0.1, 1), (0.15, 0), (0.45, 0), (0.5, 1), (0.55, 0), (1, 1)]
    cases = [replace(model.cases[0], probability=p, label=label) for p, label in told]
    for found in model.cases, cases:
        labels = np.array([case.label for case in found])
        chances = np.array([case.probability for case in found])
        shares, means = calibration_curve(labels, chances, n_bins=10)
        counts = np.unique(
            np.searchsorted(np.linspace(0, 1, 11)[1:-1], chances), return_counts=True
        )[1]
        gap = np.average(np.abs(shares - means), weights=counts)
        assert calibration_error(found) == pytest.approx(gap)
        assert reliability(labels, chances)["ece"] == pytest.approx(gap)
