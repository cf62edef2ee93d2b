"""A supernet made of phantoms, from the drawing to the file."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.preprocess import Recipe
from search import dataset, supernets
from search.data import examples
from search.parts import Parts
from search.samples import Samples
from search.shrinking import Phase, Plan
from search.supernet_file import load
from search.supernets import joined, make, train
from tests.search import sides
from tests.search.test_run import changed, folder_of_phantoms, inverted

PLAN = Plan(
    phases=(Phase(1, depths=(2,), kernels=(3,), expansions=(3,)),),
    recipe=Recipe(width=24, height=32),
    batch=4,
)


def test_phantoms_become_a_supernet_that_says_where_it_comes_from(tmp_path):
    out, work = tmp_path / "made" / "ours.safetensors", tmp_path / "work"
    said = train(out, work, wrists=4, plan=PLAN)
    made, source = load(out)
    assert source == said["source"]
    assert source["wrists"] == 4 and source["views"] == 8
    assert [entry["epoch"] for entry in source["history"]] == [1]
    assert made.mean == source["plan"]["recipe"]["mean"] != Recipe().mean
    again = train(out, work, wrists=4, plan=PLAN)
    assert again["sha256"] == said["sha256"]


def test_views_are_as_large_as_asked(tmp_path):
    said = train(tmp_path / "out", tmp_path, wrists=2, plan=PLAN, size=(40, 32))
    recipe = said["source"]["plan"]["recipe"]
    assert (recipe["height"], recipe["width"]) == (40, 32)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "nothing to learn from"),
        ({"wrists": 4, "epochs": (1, 2)}, "1 phases"),
        ({"wrists": 4, "size": (0, 0)}, "size: from 32 to 2048 a side, not 0 0"),
        ({"wrists": 4, "size": (96, 31)}, "size: from 32"),
        ({"wrists": 4, "size": (4096, 64)}, "size: from 32"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_words(asked, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        train(tmp_path / "out", tmp_path, plan=PLAN, **asked)


@pytest.mark.parametrize(
    ("out", "asked", "said"),
    [(".", {"wrists": 4}, "is a folder"), ("out", {"wrists": -5}, "0 or more")],
)
def test_what_cannot_be_made_is_refused_before_the_work(out, asked, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        make(tmp_path / out, tmp_path, **asked)


@pytest.mark.parametrize("epochs", [(-1, 0), (-1, 2), (0, 0)])
def test_a_supernet_that_would_learn_nothing_is_not_written(epochs, tmp_path):
    plan = replace(PLAN, phases=PLAN.phases * 2)
    with pytest.raises(ValueError, match="epochs: 0 or more a phase, and not 0 in all"):
        train(tmp_path / "out", tmp_path, wrists=2, plan=plan, epochs=epochs)
    assert not (tmp_path / "out").exists()


def test_a_phase_may_be_left_out():
    phases = supernets._lasting(replace(PLAN, phases=PLAN.phases * 2), (0, 3)).phases
    assert [phase.epochs for phase in phases] == [0, 3]


def test_views_of_both_are_joined_and_weighed():
    none = (np.zeros((0, 4), np.float32),) * 2
    pixels, labels = np.zeros((2, 4, 3), np.uint8), np.array([0, 1])
    real = Samples(pixels, labels, np.array([0, 0]), none, np.array([0.5, 1], "f4"))
    drawn = Samples(pixels + 9, 1 - labels, np.array([0, 1]), none)
    both = joined(real, drawn)
    assert both.pixels[:, 0, 0].tolist() == [0, 0, 9, 9]
    assert both.labels.tolist() == [0, 1, 1, 0]
    assert both.owners.tolist() == [0, 0, 1, 2]
    assert both.weights.tolist() == [0.5, 1, 1, 1] and len(both.boxes) == 4


def test_radiographs_are_those_of_the_training_part_alone(tmp_path, monkeypatch):
    asked = []

    def prepared(found, recipe, work):
        asked.extend(found)
        raise KeyboardInterrupt

    monkeypatch.setattr(supernets, "prepare", prepared)
    folder = tmp_path / "images"
    folder.mkdir()
    rows = [f"{n}.png,{n % 2},s{n},p{n}" for n in range(80)]
    table = "\n".join(["image,label,study,patient", *rows])
    (folder / "examples.csv").write_text(table)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "out", tmp_path, images=folder, plan=replace(PLAN, seed=1))
    parts = supernets.Parts.of(supernets.data.examples(folder))
    assert asked == parts.training and 0 < len(parts.test) < 80 - len(asked)


def test_other_labels_or_phantoms_make_another_supernet(tmp_path):
    images = folder_of_phantoms(tmp_path / "phantoms", 24)
    other = changed(images, tmp_path / "inverted", inverted)
    made = []
    for folder, wrists in [(images, 0), (other, 0), (images, 2), (images, 0)]:
        train(tmp_path / "out", tmp_path, images=folder, wrists=wrists, plan=PLAN)
        made.append(load(tmp_path / "out")[0].state_dict())
    first, *others, again = made
    assert all(torch.equal(first[name], again[name]) for name in first)
    for state in others:
        assert not all(torch.equal(first[name], state[name]) for name in first)


def test_what_it_learns_from_is_the_training_part(tmp_path, monkeypatch):
    images = folder_of_phantoms(tmp_path / "phantoms", 40)
    dataset.write_salt(images, "mark")
    learnt, _ = sides.watched(monkeypatch)
    train(tmp_path / "out", tmp_path, images=images, plan=PLAN)
    parts = Parts.of(examples(images))
    met = load(tmp_path / "out")[1]["patients"]
    assert met == sorted(example.patient for example in parts.training)
    assert load(tmp_path / "out")[1]["salts"] == ["mark"]
    assert load(tmp_path / "out")[1]["data"] == {"name": "phantoms"}
    chosen = sides.views(parts.validation, PLAN.recipe)
    sides.check(images, PLAN.recipe, learnt, chosen)
