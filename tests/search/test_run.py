"""A folder of radiographs becomes a model with a card."""

import csv
import json
import platform
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from inference import artifact
from inference.calibrate import probability
from inference.networks import Arch, build
from inference.phantom import phantom
from inference.preprocess import Recipe
from search import data, dataset
from search.data import Example
from search.parts import Parts
from search.run import Judged, assess, calibrated, folded, judge, run
from search.samples import Samples, prepare
from search.trainee import Plan, Stage
from tests.search import sides

RECIPE = Recipe(width=64, height=96, polarity="none", split=False, align=False)
PLAN = Plan(
    Arch("rx", (("batch_norm", True), ("hidden", (8,)), ("widths", (4, 8, 8, 16)))),
    (Stage(1, 1.0, True, 1e-3), Stage(1, 1.0, False, 1e-3)),
    RECIPE,
    batch=8,
)


def folder_of_phantoms(folder, count):
    """Phantoms of `count` patients, the odd ones fractured; one leg among them."""
    folder.mkdir()
    rows = []
    for seed in range(count):
        made = phantom(seed, fractured=bool(seed % 2), rows=128, columns=100)
        name = f"{seed}.png"
        cv2.imwrite(str(folder / name), (made.pixels >> 4).astype(np.uint8))
        rows.append(
            {
                "image": name,
                "label": seed % 2,
                "study": seed,
                "patient": seed,
                "part": "leg" if seed == 0 else "wrist",
                "boxes": json.dumps([made.box] if made.box else []),
            }
        )
    with (folder / "examples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    room = tmp_path_factory.mktemp("run")
    images = folder_of_phantoms(room / "phantoms", 40)
    verdict = run("tiny", PLAN, images, room / "tiny", room / "work")
    return room, images, verdict


def test_the_artifact_is_whole_and_reads_as_its_spec_says(trained):
    room, _, verdict = trained
    assert artifact.digest(room / "tiny") == verdict.digest
    spec = artifact.load_spec(room / "tiny", verdict.digest)
    assert (spec.name, spec.aggregation) == ("tiny", "alo")
    assert 0 < spec.threshold < 1
    network = artifact.load_network(room / "tiny", verdict.digest)
    assert network(torch.zeros(1, 1, 96, 64)).shape == (1, 1)


def test_mean_and_spread_are_those_of_the_training_views(trained):
    room, *_ = trained
    recipe = artifact.load_spec(room / "tiny").recipe
    assert (recipe.mean, recipe.std) != (RECIPE.mean, RECIPE.std)
    assert 0 < recipe.mean < 1


def test_the_card_says_what_it_was_made_of_and_tested_on(trained):
    room, _, verdict = trained
    card = artifact.load_card(room / "tiny")
    sides = {side: set(part["patients"]) for side, part in card["parts"].items()}
    assert not sides["training"] & sides["test"]
    assert not sides["training"] & sides["validation"]
    assert not sides["validation"] & sides["test"]
    assert {f"{patient}.png" for patient in sides["test"]} == set(card["test_images"])
    assert card["test"]["cases"] == verdict.report.cases == len(card["test_images"])
    assert card["plan"]["seed"] == 0
    assert f"torch {torch.__version__}" in card["machine"]
    assert platform.node() not in card["machine"]
    assert card["seconds"] >= 0
    assert len(card["history"]) == 2
    assert card["confident"]["test"]["threshold"] >= card["test"]["threshold"]
    for side in ("validation", "test"):
        told = card["calibration"][side]
        assert sum(b["count"] for b in told["bins"]) == card[side]["cases"]
        assert 0 <= told["ece"] <= 1
    assert card["coverage"][0]["error"] == 1 - card["test"]["accuracy"]["value"]
    assert card["abstentions"]["images"] == card["test"]["cases"]


def test_the_same_call_again_gives_the_same_model(trained):
    room, images, _ = trained
    before = artifact.load_network(room / "tiny").state_dict()
    run("tiny", PLAN, images, room / "again", room / "work")
    after = artifact.load_network(room / "again").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_finished_model_can_teach_the_next(trained):
    room, images, verdict = trained
    plan = replace(PLAN, seed=1)
    run("pupil", plan, images, room / "pupil", room / "work", teacher=room / "tiny")
    assert artifact.load_card(room / "pupil")["teacher"] == verdict.digest


def test_it_learns_from_the_training_part_and_chooses_by_validation(
    trained, tmp_path, monkeypatch
):
    _, images, _ = trained
    learnt, chosen = sides.watched(monkeypatch)
    run("tiny", replace(PLAN, stages=PLAN.stages[:1]), images, tmp_path / "m", tmp_path)
    sides.check(images, RECIPE, learnt, chosen)


def changed(images, to, change):
    """The same radiographs with other rows in their table."""
    shutil.copytree(images, to)
    with (to / "examples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    with (to / "examples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return to


def inverted(row):
    row["label"], row["boxes"] = 1 - int(row["label"]), "[]"


def unmarked(row):
    row["boxes"] = "[]"


def lighter(row):
    row["weight"] = 0.1 if int(row["patient"]) % 4 else 1


def same_weights(one, other):
    one, other = (artifact.load_network(f).state_dict() for f in (one, other))
    return all(torch.equal(one[name], other[name]) for name in one)


def nearly_same_weights(one, other):
    one, other = (artifact.load_network(f).state_dict() for f in (one, other))
    return all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


@pytest.mark.parametrize("change", [inverted, unmarked, lighter])
def test_other_labels_boxes_or_weights_make_another_training(trained, tmp_path, change):
    room, images, _ = trained
    other = changed(images, tmp_path / "phantoms", change)
    run("tiny", PLAN, other, tmp_path / "tiny", room / "work")
    assert not same_weights(room / "tiny", tmp_path / "tiny")
    run("tiny", PLAN, images, tmp_path / "again", room / "work")
    assert same_weights(room / "tiny", tmp_path / "again")


def test_another_teacher_or_start_makes_another_training(trained, tmp_path):
    room, images, _ = trained
    run("tiny", replace(PLAN, seed=7), images, tmp_path / "other", room / "work")
    for how in "teacher", "start":
        # What begins with an artifact has its architecture: batch norms are folded.
        arch = artifact.load_spec(room / "tiny").arch if how == "start" else PLAN.arch
        plan = replace(PLAN, arch=arch, seed=9)
        for source in room / "tiny", tmp_path / "other":
            out = tmp_path / f"{how}-{source.name}"
            run("heir", plan, images, out, room / "work", **{how: source})
        assert not same_weights(tmp_path / f"{how}-tiny", tmp_path / f"{how}-other")


def test_what_goes_on_from_an_artifact_begins_as_it(trained, tmp_path):
    """Also on darker views: at a rate of nothing it is the same."""
    room, *_ = trained
    images = folder_of_phantoms(tmp_path / "dark", 40)
    for path in images.glob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) // 3)
    spec = artifact.load_spec(room / "tiny")
    plan = replace(PLAN, arch=spec.arch, stages=(Stage(1, 1.0, True, 1e-12),))
    run("heir", plan, images, tmp_path / "heir", tmp_path, start=room / "tiny")
    heir = artifact.load_spec(tmp_path / "heir")
    assert (heir.recipe.mean, heir.recipe.std) == (spec.recipe.mean, spec.recipe.std)
    assert nearly_same_weights(room / "tiny", tmp_path / "heir")


def test_whom_a_start_or_a_teacher_has_met_is_met(trained, tmp_path):
    def renamed(row):
        row["patient"] = f"other {row['patient']}"

    room, images, _ = trained
    others = changed(images, tmp_path / "others", renamed)
    dataset.write_salt(others, "theirs")
    plan = replace(PLAN, arch=artifact.load_spec(room / "tiny").arch)
    first, second = tmp_path / "first", tmp_path / "second"
    run("heir", plan, others, first, tmp_path, start=room / "tiny")
    run("heir", PLAN, images, second, tmp_path, teacher=first)
    assert artifact.load_card(room / "tiny")["salts"] == []
    assert artifact.load_card(second)["salts"] == ["theirs"]
    learnt, heirs = (
        {p for side in ("training", "validation") for p in parts[side]["patients"]}
        for parts in (artifact.load_card(f)["parts"] for f in (room / "tiny", first))
    )
    before = artifact.load_card(first)["learnt_before"]
    assert before == {
        "patients": sorted(learnt),
        "unnamed": [],
        "numbered": sorted(patient for patient in learnt if len(patient) < 3),
    }
    assert not learnt & heirs
    met = artifact.load_card(second)["learnt_before"]["patients"]
    assert met == sorted(learnt | heirs)
    assert "learnt_before" not in artifact.load_card(room / "tiny")


def test_a_teacher_that_looks_at_other_views_is_refused(trained):
    room, images, _ = trained
    plan = replace(PLAN, recipe=replace(RECIPE, polarity="border"))
    with pytest.raises(ValueError, match="other views"):
        run("pupil", plan, images, room / "x", room / "other", teacher=room / "tiny")


def test_without_batch_norm_the_function_is_the_same():
    torch.manual_seed(0)
    network = build(PLAN.arch)
    views = torch.randn(16, 1, 96, 64)
    network.train()(views)
    network.eval()
    arch, state = folded(PLAN.arch, network.state_dict())
    plain = build(arch).eval()
    plain.load_state_dict(state)
    assert not [m for m in plain.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert torch.allclose(plain(views), network(views), atol=1e-4)


def test_a_family_that_needs_batch_norm_keeps_it():
    arch = Arch("resnet18", (("width", 16),))
    state = build(arch).state_dict()
    assert folded(arch, state) == (arch, state)


def test_an_image_is_as_suspicious_as_its_most_suspicious_view(tmp_path):
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    pixels = np.full((3, 96, 64), 10, np.uint8)
    pixels[1] = 200
    zeros = np.zeros(3, np.int64)
    samples = Samples(pixels, zeros, np.array([0, 0, 2]), ())
    found = [Example(tmp_path / name, 0, name, name) for name in "abc"]
    judged = judge(network, samples, found, Recipe(mean=0.0, std=1.0))
    assert [example.study for example in judged.examples] == ["a", "c"]
    assert judged.logits == pytest.approx([200 / 255, 10 / 255], rel=0.01)


def test_a_card_tells_what_the_network_in_the_artifact_says(trained):
    """Not what it said before its weights were rounded, nor in another precision."""
    room, images, _ = trained
    spec, network = (
        load(room / "tiny") for load in (artifact.load_spec, artifact.load_network)
    )
    test = Parts.of(data.examples(images)).test
    views, _ = prepare(test, spec.recipe, room / "work")
    with torch.inference_mode():
        inputs = torch.from_numpy(views.pixels[:, None] / np.float32(255))
        logits = network((inputs - spec.recipe.mean) / spec.recipe.std)[:, 0]
    told = artifact.load_card(room / "tiny")["holdout"]["cases"]
    for case in told:
        (number,) = (i for i, e in enumerate(test) if e.image.name == case["id"])
        highest = logits[views.owners == number].max().numpy()
        again = probability(highest, spec.temperature)
        assert case["probability"] == pytest.approx(float(again), abs=2e-6)


def test_the_threshold_is_chosen_on_what_the_spec_was_calibrated_with(trained):
    room, *_ = trained
    spec = artifact.load_spec(room / "tiny")
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    found = [Example(room, label, str(i), str(i)) for i, label in enumerate(labels)]
    judged = Judged(found, labels * 2.0 + rng.normal(0, 1, 200))
    better = calibrated(spec, judged)
    report = assess(judged, better)
    scores = 1 / (1 + np.exp(-judged.logits / better.temperature))
    assert report.sensitivity == pytest.approx(0.85)
    assert (scores[labels == 1] >= better.threshold).mean() == pytest.approx(0.85)
    assert report.specificity > 0.6
    assert (scores[labels == 0] < better.confident).mean() == pytest.approx(0.95)
    assert better.confident > better.threshold


def test_a_model_that_separates_well_is_never_confident_before_it_is_suspicious(
    trained,
):
    room, *_ = trained
    found = [Example(room, label, str(label), str(label)) for label in (0, 0, 1, 1)]
    judged = Judged(found, np.array([-3.0, -2.0, 2.0, 3.0]))
    better = calibrated(artifact.load_spec(room / "tiny"), judged)
    assert better.confident >= better.threshold
