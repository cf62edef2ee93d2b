"""A card tells what was measured, case by case."""

from dataclasses import replace

import numpy as np
import pytest

from inference.artifact import Spec
from inference.networks import ARCHS
from inference.preprocess import Recipe
from search import dataset
from search.card import Judged, by_study, holdout, origin
from search.data import Example, examples
from search.parts import Parts

SPEC = Spec("x", ARCHS["rx-lite"], Recipe(), "alo", threshold=0.5, temperature=2.0)


def judged(folder, labels, logits):
    found = [
        Example(
            folder / f"{i}.png",
            label,
            f"s{i // 2}",
            f"p{i // 2}",
            part="wrist",
            traits=(("metal", "no"), ("view", "")),
        )
        for i, label in enumerate(labels)
    ]
    return Judged(found, np.array(logits))


def test_it_tells_what_the_data_are_and_who_each_side_is(tmp_path):
    rows = [f"{i}.png,{i % 2},s{i},p{i},{'FM'[i % 2]},{i}" for i in range(40)]
    table = "\n".join(["image,label,study,patient,sex,age", *rows])
    (tmp_path / "examples.csv").write_text(table)
    for i in range(40):
        (tmp_path / f"{i}.png").write_bytes(bytes([i]))
    sides = Parts.of(examples(tmp_path))
    card = origin("x", tmp_path, sides)
    told = card["parts"]
    assert origin("x", tmp_path, sides)["data"] == card["data"]
    assert card["salts"] == []
    dataset.write_salt(tmp_path, "mark")
    assert origin("x", tmp_path, sides) == card | {"salts": ["mark"]}
    (tmp_path / "7.png").write_bytes(b"another")
    assert origin("x", tmp_path, sides)["data"] != card["data"]
    assert card["limits"].startswith(f"Judged on {len(sides.test)} patients")
    for side, found in vars(sides).items():
        sexes = {
            group["group"]: group["images"]
            for group in told[side]["attributes"]["sex"]["groups"]
        }
        women = sum(example.label == 0 for example in found)
        assert sexes == {"F": women, "M": len(found) - women}
        assert told[side]["attributes"]["view"]["missing"] == len(found)


def test_pictures_of_one_file_name_are_not_taken_for_one_another(tmp_path):
    rows = [
        f"{'ab'[i % 2]}/{i // 2}.png,{i % 2},s{i},p{i},{'FM'[i % 2]}" for i in range(40)
    ]
    table = "\n".join(["image,label,study,patient,sex", *rows])
    (tmp_path / "examples.csv").write_text(table)
    for i in range(40):
        path = tmp_path / "ab"[i % 2] / f"{i // 2}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([i]))
    sides = Parts.of(examples(tmp_path))
    told = origin("x", tmp_path, sides)["parts"]["training"]["attributes"]
    assert told["sex"]["known"] == len(sides.training)
    everybody = [*sides.training, *sides.validation, *sides.test]
    found = Judged(everybody, np.zeros(len(everybody)))
    assert len({case["id"] for case in holdout(found, SPEC)["cases"]}) == 40


def test_the_holdout_names_every_case_with_its_probability(tmp_path):
    first = holdout(judged(tmp_path, [0, 1, 1], [0.0, 2.0, -2.0]), SPEC)["cases"][1]
    assert first.pop("probability") == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)
    assert first == {
        "id": "1.png",
        "study": "s0",
        "patient": "p0",
        "label": 1,
        "subgroups": {"part": "wrist", "metal": "no"},
    }


def test_a_case_tells_its_hits_where_a_fracture_is_marked(tmp_path):
    found = judged(tmp_path, [0, 1, 1], [0.0, 2.0, -2.0])
    told = {"1.png": ["lrp"], "2.png": []}
    cases = holdout(found, SPEC, told)["cases"]
    assert [case.get("hits") for case in cases] == [None, ["lrp"], []]
    assert holdout(found, SPEC, told)["digest"] == holdout(found, SPEC)["digest"]


def test_hits_are_of_the_picture_and_not_of_another_of_its_name(tmp_path):
    found = judged(tmp_path, [1, 1], [2.0, -2.0])
    pairs = zip(found.examples, ("a/1.png", "b/1.png"), strict=True)
    named = [replace(example, known_as=path) for example, path in pairs]
    told = {"a/1.png": ["lrp"], "b/1.png": []}
    cases = holdout(Judged(named, found.logits), SPEC, told)["cases"]
    assert {case["id"]: case["hits"] for case in cases} == told


def test_the_digest_is_of_who_and_what_is_true_not_of_what_a_model_says(tmp_path):
    one = holdout(judged(tmp_path, [0, 1, 1], [0.0, 2.0, -2.0]), SPEC)["digest"]
    assert holdout(judged(tmp_path, [0, 1, 1], [5, 5, 5]), SPEC)["digest"] == one
    assert holdout(judged(tmp_path, [0, 1, 0], [0, 2, -2]), SPEC)["digest"] != one
    assert holdout(judged(tmp_path, [0, 1], [0.0, 2.0]), SPEC)["digest"] != one


def test_a_study_is_as_fractured_as_its_worst_image(tmp_path):
    report = by_study(judged(tmp_path, [0, 1, 0, 0], [-3.0, 3.0, -1.0, -2.0]), SPEC)
    assert (report.cases, report.fractured) == (2, 1)
    assert report.confusion == {"tp": 1, "fp": 0, "fn": 0, "tn": 1}
