"""Networks learn from the same patches, and are told of in one table."""

import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from inference.networks import ARCHS, Arch, build
from search import aufroc, lineup
from search.closeup import suspected
from search.data import Example
from search.evaluate import auroc
from search.lineup import PROPOSER, SERVED, Lineup, report, rows, to_json
from search.parts import Parts
from tests.search.test_proposals import model

TINY = {
    "tiny": Arch("resnet18", (("width", 20),)),
    "tinier": Arch("resnet18", (("width", 16),)),
}


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Forty patients with an image each, a bright square where a half is fractured; a
    detector proposes it, and a place beside it on every image, alike sure of both."""
    folder = tmp_path_factory.mktemp("lineup")
    rng, listed, boxes = np.random.default_rng(0), [], []
    for patient in range(40):
        pixels = rng.integers(20, 60, (120, 90)).astype(np.uint8)
        mark, name = [20.0, 30.0, 24.0, 24.0], f"{patient}.png"
        if broken := patient % 2:
            pixels[30:54, 20:44] += 150
        cv2.imwrite(str(folder / name), pixels)
        row = {"image": name, "label": broken, "study": patient, "patient": patient}
        listed.append(row | {"boxes": json.dumps([mark] if broken else [])})
        for place in (mark, [50.0, 80.0, 24.0, 24.0]):
            boxes.append({"image_id": name, "bbox": place, "score": 0.5})
    with (folder / "examples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, listed[0])
        writer.writeheader()
        writer.writerows(listed)
    (folder / "results.json").write_text(json.dumps(boxes))
    return folder


@pytest.fixture
def bench(room):
    source, work = room / "results.json", room / "work"
    return Lineup(room, source, work, (32, 32), 2, 8, networks=TINY)


@pytest.mark.timeout(300)
def test_a_row_a_network_and_one_for_who_proposed(bench):
    first, second, proposer = found = list(rows(bench, [0, 1]))
    assert [row.network for row in found] == ["tiny", "tinier", PROPOSER]
    assert first.less is None
    assert second.less.value == pytest.approx(second.aufroc.value - first.aufroc.value)
    assert second.less.low <= second.less.value <= second.less.high
    assert proposer.auroc.value == 0.5  # sure of all alike
    assert first.auroc.low <= first.auroc.value <= first.auroc.high
    assert (first.seeds, first.madds > second.madds > 0) == (2, True)
    text = report(bench, found)
    marked = sum(e.label for e in bench.sides["test"].examples)
    assert f"test: {len(bench.sides['test'].examples)} images, 2 proposals" in text
    assert f"of {marked} fractures 100% are hit" in text
    assert "less tiny" in text and text.count("\n| ") == 5
    assert json.dumps(to_json(bench, found))


def test_a_mean_over_seeds_is_of_what_each_seed_says(bench):
    test = bench.sides["test"]
    told = [bench.answers("tiny", seed) for seed in (0, 1)]
    scores = [np.array(one["logits"]) for one in told]
    row = next(rows(bench, [0, 1]))
    assert row.aufroc.value == pytest.approx(np.mean([test.area(s) for s in scores]))
    each = [auroc(test.samples.labels, s) for s in scores]
    assert row.auroc.value == pytest.approx(np.mean(each))
    single = aufroc.froc(test.judged(scores[0]), groups=test.patients)
    only = next(rows(bench, [0]))
    assert (only.aufroc.low, only.aufroc.high) == (single.area.low, single.area.high)


@pytest.mark.timeout(300)
def test_the_model_in_service_is_told_by_what_it_suspects(bench, tmp_path):
    folder = model(tmp_path / "served", ARCHS["squeezenet"])
    first, _, served, proposer = rows(replace(bench, served=folder), [0])
    assert (served.network, served.seeds, proposer.network) == (SERVED, 1, PROPOSER)
    test = bench.sides["test"]
    scores = suspected(folder, test)
    assert served.aufroc.value == pytest.approx(test.area(scores))
    assert served.less.value == pytest.approx(served.aufroc.value - first.aufroc.value)
    assert served.auroc.value == pytest.approx(auroc(test.samples.labels, scores))
    built = build(ARCHS["squeezenet"]).parameters()
    assert served.parameters == sum(weight.numel() for weight in built)
    assert (served.madds, served.minutes) == (None, None)  # it looks at no patch


def test_what_was_kept_is_of_these_labels_alone(bench):
    plan = bench.plan("tiny", 0)
    kept = bench._key(plan)
    assert bench._key(plan) == kept
    training = bench.sides["training"]
    first, *others = training.examples
    corrected = replace(first, label=1 - first.label)
    training = replace(training, examples=[corrected, *others])
    bench.__dict__["sides"] = bench.sides | {"training": training}
    assert bench._key(plan) != kept


def test_the_test_side_teaches_nobody(bench):
    parts = Parts.of([Example(None, 0, "", str(p)) for p in range(40)])
    for side, given in bench.sides.items():
        expected = {example.patient for example in getattr(parts, side)}
        assert {example.patient for example in given.examples} == expected
    learnt = bench.sides["training"].learnt()
    assert (bench.material.everything.pixels == learnt.pixels).all()


def test_what_was_trained_is_not_trained_again_but_of_another_plan(bench, monkeypatch):
    first = bench.answers("tiny", 0)

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(lineup, "fit", never)
    assert bench.answers("tiny", 0) == first
    for changed in ({"epochs": 3}, {"most": 1}, {"size": (40, 32)}):
        with pytest.raises(AssertionError):
            replace(bench, **changed).answers("tiny", 0)
    with pytest.raises(AssertionError):
        bench.answers("tiny", 7)
    assert not list((bench.work / "lineup").glob("tiny-0-*/*"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": (31, 64)}, "side: 32 or more"),
        ({"epochs": 0}, "epochs: 1 or more"),
        ({"batch": 1}, "batch: 2"),
        ({"most": 0}, "proposals: 1"),
    ],
)
def test_nonsense_is_refused_in_words(bench, changes, words):
    with pytest.raises(ValueError, match=words):
        replace(bench, **changes)


def test_radiographs_without_marks_are_refused_in_words(room, tmp_path):
    with (room / "examples.csv").open(newline="") as file:
        bare = [row | {"boxes": "[]"} for row in csv.DictReader(file)]
    for row in bare:
        (tmp_path / row["image"]).symlink_to(room / row["image"])
    with (tmp_path / "examples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, bare[0])
        writer.writeheader()
        writer.writerows(bare)
    with pytest.raises(ValueError, match="Nobody has marked a fracture by a box"):
        Lineup(tmp_path, room / "results.json", tmp_path).sides  # noqa: B018
