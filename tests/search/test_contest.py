"""Models side by side: figures that can be worked out by hand."""

import csv
import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from inference import artifact
from inference.artifact import Spec
from inference.networks import Arch, build
from inference.preprocess import Recipe
from search import contest, pointing
from search.parts import Parts
from tests.search.test_run import folder_of_phantoms

RECIPE = Recipe(width=64, height=96, polarity="none", split=False, align=False)
TINY = Arch("rx", (("grid", (2, 1)), ("hidden", (8,)), ("widths", (4, 8, 8, 16))))


@pytest.mark.parametrize(
    ("broken", "share"),
    [([1, 2, 3], 1.0), ([0.95, 0.85, 0.5], 2 / 3), ([0.0, 0.1, 0.2], 0.0)],
)
def test_sensitivity_where_nine_in_ten_sound_are_right(broken, share):
    sound = np.arange(10) / 10  # one of the ten may be wrong: 0.9
    labels = np.array([0] * 10 + [1] * 3)
    scores = np.array([*sound, *broken])
    assert contest.sensitivity(labels, scores) == pytest.approx(share)
    assert contest.sensitivity(labels[:10], scores[:10]) is None


@pytest.mark.parametrize("seed", range(20))
def test_that_sensitivity_is_the_best_of_any_threshold_whatever_ties(seed):
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 2, 40), rng.integers(0, 9, 40)
    best = max(
        np.mean(scores[labels == 1] >= least)
        for least in range(10)
        if np.mean(scores[labels == 0] >= least) <= 0.1
    )
    assert contest.sensitivity(labels, scores) == pytest.approx(best)


def test_multiply_adds_of_a_convolution_and_a_dense_layer():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 8, 1)
    )
    assert contest.madds(network, (1, 1, 8, 10)) == 4 * 6 * 8 * 9 + 4 * 6 * 8


def test_every_model_has_a_row_on_the_same_cases(tmp_path):
    images = folder_of_phantoms(tmp_path / "phantoms", 40)
    folders = []
    for seed in range(2):
        torch.manual_seed(seed)
        spec = Spec(f"tiny-{seed}", TINY, RECIPE, "alo", threshold=1.0)
        artifact.save(tmp_path / spec.name, spec, build(TINY).state_dict(), {})
        folders.append(tmp_path / spec.name)
    rows = list(contest.rows(folders, images, tmp_path / "work"))
    test = Parts.of(contest.data.examples(images)).test
    assert {row.instance.cases for row in rows} == {len(test)}
    assert {row.study.cases for row in rows} == {len({e.study for e in test})}
    assert {(row.study.threshold, row.even.threshold) for row in rows} == {(1.0, 0.5)}
    assert {row.study.sensitivity for row in rows} == {0.0}
    assert max(row.even.sensitivity for row in rows) > 0
    assert [row.model for row in rows] == ["tiny-0", "tiny-1"]
    assert {row.without_metal for row in rows} == {None}  # nobody says
    assert json.dumps([row.to_json() for row in rows])
    reports, holdout = contest.on_holdout(folders[0], images, tmp_path / "work")
    assert reports["by_study"] == asdict(rows[0].study)
    assert reports["by_image"] == asdict(rows[0].instance)
    assert [case["id"] for case in holdout["cases"]] == [e.name for e in test]
    marked = pointing.marked(test)
    for row, folder in zip(rows, folders, strict=True):
        spec, network = artifact.load_spec(folder), artifact.load_network(folder)
        by = pointing.methods(spec)
        assert row.pointing == pointing.played(network, spec, marked, by)
    assert {shares["flagged"] for shares in rows[0].pointing.values()} == {0}
    table = contest.table(rows)
    assert table.count("\n") == 3
    assert f"{rows[0].instance.accuracy.value:.3f}" in table
    assert f"{rows[0].even.accuracy.value:.3f}" in table
    shares = {"flagged": 4.0, "hits_flagged": 0.625, "hits": 0.5}
    played = {"lrp": shares, "gradcam": shares | {"hits_flagged": 0.75}}
    for found, cell in ((played, "62% / 75%"), (rows[0].pointing, "–"), ({}, "–")):
        row = contest.table([replace(rows[0], pointing=found)]).splitlines()[2]
        assert [c.strip() for c in row.split("|")][10] == cell


def test_where_nobody_marked_a_fracture_there_is_no_pointing_game(tmp_path):
    images = folder_of_phantoms(tmp_path / "phantoms", 40)
    table = images / "examples.csv"
    lines = csv.DictReader(io.StringIO(table.read_text()))
    bare = [line | {"boxes": ""} for line in lines]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, bare[0])
        writer.writeheader()
        writer.writerows(bare)
    spec = Spec("tiny", TINY, RECIPE, "alo", threshold=0.0)
    artifact.save(tmp_path / "tiny", spec, build(TINY).state_dict(), {})
    (row,) = contest.rows([tmp_path / "tiny"], images, tmp_path / "work")
    assert row.pointing == {}
