"""Questions asked of training: same split, several seeds, one answer each."""

import json
from dataclasses import replace

import numpy as np
import pytest

from inference.networks import Arch
from inference.preprocess import Recipe
from search import ablation, findings
from search.ablation import Bench
from search.experiments import PUBLISHED, ROWS, UNLABELLED, Row
from search.findings import Cases
from search.samples import Samples
from search.trainee import Plan, Stage
from tests.search.test_run import changed, folder_of_phantoms, inverted

RECIPE = Recipe(width=64, height=96, polarity="none", split=False, align=False)
TINY = Arch("rx", (("grid", (2, 1)), ("hidden", (8,)), ("widths", (4, 8, 8, 16))))
PLAN = Plan(TINY, (Stage(1, 1.0, True, 1e-3),), RECIPE, batch=8)
TINY_ROWS = {
    "plain": Row("plain", PLAN),
    "longer": Row("longer", replace(PLAN, batch=4), against="plain", pointed=True),
    "after": Row("begun with plain", PLAN, against="plain", start="plain"),
    "taught": Row("taught by plain", PLAN, against="plain", teacher="plain"),
    "drawn": Row("phantoms alone", PLAN, against="plain", phantoms=True),
    "unlabelled": Row("begun without labels", PLAN, "plain", start=UNLABELLED),
    "by-study": Row("labels of the study", PLAN, "plain", by_study=True),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    room = tmp_path_factory.mktemp("ablation")
    images = folder_of_phantoms(room / "phantoms", 40)
    return Bench(images, room / "no.npz", room / "work", TINY_ROWS)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(ablation, "WRISTS", 6)
    monkeypatch.setattr(ablation, "EPOCHS", 1)
    monkeypatch.setattr("search.pretext.BATCH", 8)


@pytest.mark.parametrize("name", TINY_ROWS)
def test_every_kind_of_row_is_trained_and_answers(bench, name):
    told = bench.answers(name, 0)
    for side in "validation", "test":
        assert len(told.images[side]) == len(getattr(bench.parts, side)) > 2
        assert len(told.logits[side]) == len(told.images[side])
        assert np.isfinite(told.logits[side]).all()
        assert told.mirrored[side] != told.logits[side]
    others = [bench.answers(other, 0).logits for other in TINY_ROWS if other != name]
    same = [other for other in others if other == told.logits]
    assert len(same) == (name in ("plain", "by-study"))  # one image a study: alike


def test_what_was_answered_is_not_asked_again_but_of_another_plan(bench, monkeypatch):
    first = bench.answers("plain", 0)

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(Bench, "_trained", never)
    assert bench.answers("plain", 0) == first
    changed = {"plain": replace(TINY_ROWS["plain"], plan=replace(PLAN, batch=2))}
    with pytest.raises(AssertionError):
        replace(bench, rows=changed).answers("plain", 0)


def test_answers_and_weights_of_other_labels_are_never_taken_for_these(bench, tmp_path):
    other = changed(bench.images, tmp_path / "phantoms", inverted)
    turned = replace(bench, images=other)
    for name in "plain", "after", "taught":
        told = bench.answers(name, 0)
        assert turned.answers(name, 0).logits != told.logits
        assert turned.answers(name, 0).data != told.data
        # Trained again for these, whose checkpoint is still there: the same.
        assert bench.answers(name, 0).logits == told.logits


def test_an_image_is_as_fractured_as_its_study():
    labels = np.array([0, 1, 0, 0])
    pixels, owners = np.zeros((4, 2, 2), np.uint8), np.arange(4)
    samples = Samples(pixels, labels, owners, (), studies=np.array([1, 1, 0, 2]))
    assert ablation._labelled_by_study(samples).labels.tolist() == [1, 1, 0, 0]


def test_a_finding_holds_a_row_against_another_on_the_same_studies(bench):
    plain, longer = findings.findings(bench, ["plain", "longer"], [0, 1])
    assert plain.gained is None
    assert longer.gained.value == pytest.approx(longer.test.value - plain.test.value)
    assert longer.gained.low <= longer.gained.value <= longer.gained.high
    assert plain.together.value != plain.test.value
    assert (plain.hits is None, 0 <= longer.hits <= 1) == (True, True)
    table = findings.table([plain, longer])
    assert table.count("\n") == 3
    assert f"{longer.gained.value:+.3f}" in table
    assert json.dumps([plain.to_json(), longer.to_json()])


def test_a_mean_over_seeds_and_its_interval():
    labels = np.array([0, 1, 0, 1])
    good, bad = [0.1, 0.9, 0.2, 0.8], [0.9, 0.1, 0.8, 0.2]
    cases = Cases(labels, np.array([good, bad]), np.array(["a", "a", "b", "b"]))
    found = cases.auroc()
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    better = replace(cases, scores=np.array([good, good]))
    assert better.less(cases).value == 0.5
    assert cases.accuracy([0.5, 0.5]).value == 0.5
    assert cases.accuracy([0.5, 0.95]).value == 0.75  # the bad one: all sound


@pytest.mark.parametrize("name", [n for n, row in ROWS.items() if row.against])
def test_a_row_is_trained_otherwise_than_the_row_it_is_held_against(name):
    def trained(row):
        return replace(row, words="", against="", pointed=False)

    assert trained(ROWS[name]) != trained(ROWS[ROWS[name].against])


def test_every_row_begins_with_what_is_there_and_is_held_against_a_row():
    for row in ROWS.values():
        assert row.against in {"", *ROWS}
        assert row.start in {"", PUBLISHED, UNLABELLED, *ROWS}
        assert row.teacher in {"", *ROWS}
        if row.teacher:  # it has to see what its pupil sees
            assert ROWS[row.teacher].plan.recipe == row.plan.recipe
        if row.start in ROWS:
            assert ROWS[row.start].plan.arch == row.plan.arch
