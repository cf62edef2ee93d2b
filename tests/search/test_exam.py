"""An exam reads as the clinic does, and no bad file ends it."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from inference.aggregate import AGGREGATIONS
from inference.artifact import Spec
from inference.networks import Arch, build
from inference.phantom import phantom
from inference.preprocess import Recipe
from inference.reader import Reader
from search import exam

TINY = Arch("rx", (("grid", (2, 1)), ("hidden", (8,)), ("widths", (4, 8, 8, 16))))
RECIPE = Recipe(width=64, height=96, polarity="none", split=False, align=False)


@pytest.fixture(scope="module")
def reader():
    torch.manual_seed(0)
    return Reader(Spec("tiny", TINY, RECIPE, "alo", threshold=0.5), build(TINY).eval())


@pytest.fixture
def folder(tmp_path):
    """Four phantoms of two studies in a subfolder, a broken file, and labels."""
    inside = tmp_path / "images" / "deep"
    inside.mkdir(parents=True)
    lines = ["image_id,fractured,study,patient"]
    for seed in range(4):
        made = phantom(seed, fractured=bool(seed % 2), rows=128, columns=100)
        cv2.imwrite(str(inside / f"{seed}.png"), (made.pixels >> 4).astype(np.uint8))
        lines.append(f"{seed}.png,{seed % 2},s{seed // 2},p{seed // 2}")
    (inside / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, and then nothing")
    lines += ["broken.png,1,s1,p1", "missing.png,0,s9,p9"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return tmp_path


def answers(reader, folder):
    asked = exam.questions(folder / "labels.csv")
    return exam.sit(reader, asked, folder / "images", "upper_limb")


def test_files_that_cannot_be_read_are_counted_and_named(reader, folder):
    counted = exam.marks(answers(reader, folder), reader)["images"]
    assert (counted["asked"], counted["read"]) == (6, 4)
    assert [row["file"] for row in counted["named"]] == ["broken.png", "missing.png"]
    assert all(row["reason"] for row in counted["named"])
    assert sum(counted["not_read"].values()) == 2


def test_studies_hold_their_images(reader, folder):
    found = exam.marks(answers(reader, folder), reader)
    assert found["instance"]["cases"] == 4
    assert {report["cases"] for report in found["study"].values()} == {2}
    # Both studies hold a fractured image: there is nothing to tell apart.
    assert found["study"]["alo"]["auroc"] is None
    assert found["instance"]["auroc"] is not None


def told(study, label, probability, patient="p"):
    question = exam.Question(f"{study} {label} {probability}", label, study, patient)
    state = "read" if probability is not None else "abstained"
    return exam.Answer(question, state, "", "", probability)


def test_a_fracture_on_an_image_that_was_not_read_is_one_nevertheless(reader):
    given = [told("a", 1, None), told("a", 0, 0.1), told("b", 0, 0.2)]
    found = exam.marks(given, reader)
    for report in (*found["study"].values(), found["even"]):
        assert report["confusion"] == {"tp": 0, "fp": 0, "fn": 1, "tn": 1}
    assert found["instance"]["fractured"] == 0


@pytest.mark.parametrize("labels", [(0, 1), (1, 0)])
def test_one_fractured_image_makes_a_study_fractured_wherever_it_stands(reader, labels):
    given = [told("a", label, 0.9) for label in labels]
    assert exam.marks(given, reader)["study"]["alo"]["fractured"] == 1


def test_one_number_of_two_patients_is_no_study(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("image,label,study,patient\na,1,1,P\nb,0,1,Q\n")
    with pytest.raises(ValueError, match="study '1' is of two patients, 'P' and 'Q'"):
        exam.questions(path)
    path.write_text("image,label,study,patient\na,1,1,P\nb,0,1,\n")
    assert [question.study for question in exam.questions(path)] == ["1", "1"]


def test_studies_of_which_nothing_was_read_are_counted_by_what_they_hold(reader):
    given = [told("a", 0, None), told("a", 1, None), told("b", 0, None)]
    found = exam.marks([*given, told("c", 0, 0.2)], reader)
    assert found["studies_left_to_people"] == {"fractured": 1, "sound": 1}
    assert found["study"]["alo"]["cases"] == 1


def test_intervals_are_of_drawn_patients_not_files(reader):
    """Twenty files of one patient tell no more of other patients than one."""
    scores = [(label, 0.9 if n % 3 else 0.1) for n in range(10) for label in (0, 1)]
    alone = [told(f"{n}", *case, patient="p") for n, case in enumerate(scores)]
    apart = [told(f"{n}", *case, patient=f"p{n}") for n, case in enumerate(scores)]
    one, many = (exam.marks(given, reader) for given in (alone, apart))
    for found in (one["instance"], one["study"]["alo"]):
        assert found["accuracy"]["low"] == found["accuracy"]["high"]
    for found in (many["instance"], many["study"]["alo"]):
        assert found["accuracy"]["low"] < found["accuracy"]["high"]


def test_a_name_too_long_for_any_file_is_counted_and_named(reader, folder):
    with (folder / "labels.csv").open("a") as file:
        file.write(f"\n{'x' * 300}.png,0,s7,p7\n")
    counted = exam.marks(answers(reader, folder), reader)["images"]
    assert (counted["asked"], counted["read"]) == (7, 4)
    assert counted["named"][-1]["reason"].startswith("The file cannot be read")


def test_a_perfect_reader_gets_full_marks(reader):
    asked = [exam.Question(str(i), i % 2, str(i), str(i)) for i in range(20)]
    given = [exam.Answer(q, "read", "", "", 0.9 if q.label else 0.1) for q in asked]
    found = exam.marks(given, reader)
    assert found["instance"]["auroc"]["value"] == 1
    assert found["study"]["majority"]["confusion"] == {
        "tp": 10,
        "fp": 0,
        "fn": 0,
        "tn": 10,
    }


def test_studies_are_judged_at_one_half_whatever_the_models_threshold(reader):
    asked = [exam.Question(str(i), i % 2, str(i), str(i)) for i in range(4)]
    scores = 0.1, 0.49, 0.51, 0.9
    given = [
        exam.Answer(question, "read", "", "", score)
        for question, score in zip(asked, scores, strict=True)
    ]
    spec = replace(reader.spec, threshold=0.05, confident=0.95)
    found = exam.marks(given, Reader(spec, reader.network))
    assert found["even"]["threshold"] == 0.5
    assert found["even"]["confusion"] == {"tp": 1, "fp": 1, "fn": 1, "tn": 1}
    assert found["study"]["alo"]["sensitivity"] == 1
    assert found["confident"]["study"]["alo"]["sensitivity"] == 0


def test_both_operating_points_are_judged_by_image_and_by_study(reader):
    asked = [exam.Question(str(i), i % 2, f"s{i // 2}", "p") for i in range(8)]
    given = [exam.Answer(q, "read", "", "", 0.6 if q.label else 0.3) for q in asked]
    spec = replace(reader.spec, threshold=0.2, confident=0.5)
    found = exam.marks(given, Reader(spec, reader.network))
    for of, threshold in (found, 0.2), (found["confident"], 0.5):
        assert of["study"].keys() == AGGREGATIONS.keys()
        reports = [of["instance"], *of["study"].values()]
        assert {report["threshold"] for report in reports} == {threshold}
    assert found["instance"]["specificity"] == 0
    assert found["confident"]["instance"]["specificity"] == 1


def test_what_a_missing_class_would_tell_is_not_measured(reader):
    asked = [exam.Question(str(i), 1, str(i), str(i)) for i in range(3)]
    given = [exam.Answer(question, "read", "", "", 0.9) for question in asked]
    found = exam.marks(given, reader)
    assert found["instance"]["sensitivity"] == 1
    assert found["instance"]["specificity"] is None
    assert found["instance"]["auroc"] is None
    assert json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("0.png,0,s0,p0", r"1 file\(s\) more than once, 0 of them"),
        ("deep/0.png,0,s0,p0", r"1 file\(s\) more than once, 0 of them"),
        ("deep/../deep/0.png,1,s0,p0", r"1 of them as fractured and as not .* 0\.png"),
        ("missing.png,1,s9,p9", r"1 of them as fractured and as not .* missing\.png"),
    ],
)
def test_a_file_counts_once(reader, folder, second, words):
    with (folder / "labels.csv").open("a") as file:
        file.write(f"\n{second}\n")
    with pytest.raises(ValueError, match=words):
        answers(reader, folder)


def test_nothing_read_is_said_and_not_measured(reader):
    asked = exam.Question("x", 1, "x", "x")
    found = exam.marks([exam.Answer(asked, "unreadable", "y", "z", None)], reader)
    assert found["instance"] is None
    assert set(found["study"].values()) == {None}


def test_peaks_are_compared_with_the_marked_boxes(reader, folder):
    everywhere, nowhere = (0, 0, 100, 128), (0, 0, 1, 1)
    # Of 2.png the labels say that it shows no fracture, whatever was marked there.
    boxes = {"1.png": everywhere, "3.png": nowhere, "2.png": everywhere}
    coco = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(boxes)],
        "annotations": [
            {"image_id": i, "bbox": box} for i, box in enumerate(boxes.values())
        ],
    }
    (folder / "boxes.json").write_text(json.dumps(coco))
    asked = exam.questions(folder / "labels.csv", folder / "boxes.json")
    given = exam.sit(reader, asked, folder / "images", "upper_limb")
    found = exam.pointing(given, reader, folder / "images")
    assert found["images"] == 2
    assert found["lrp"]["all"]["images"] == 2
    assert 0 <= found["lrp"]["all"]["hits"] <= 0.5
    marked = [a for a in given if a.question.boxes and a.question.label]
    flagged = sum(a.probability >= 0.5 for a in marked)
    assert found["lrp"]["detected"]["images"] == flagged


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,label\na.png,1", "no column 'image'"),
        ("image,truth\na.png,1", "no column 'label'"),
        ("image,label\na.png,perhaps", "line 2: the label 'perhaps'"),
        ("image,label\na.png,1\n,0", "line 3: no image"),
        ("image,label\na.png,7", "line 2: the label '7'"),
        ('image,label\n"a.png,1\n' + "x" * 200_000, "labels.csv is no table"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path, text, words):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        exam.questions(path)


def test_a_table_that_is_no_text_says_so(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"image,label\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match=r"labels\.csv is no table in UTF-8"):
        exam.questions(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("file", "marked"), [("a/1.png", True), ("b/1.png", False), ("c/2.png", True)]
)
def test_boxes_are_of_the_path_or_else_of_the_bare_name(tmp_path, file, marked):
    names = ["a/1.png", "b/1.png", "2.png"]
    coco = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [{"image_id": i, "bbox": [i, 0, 5, 5]} for i in (0, 2)],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(coco))
    (tmp_path / "labels.csv").write_text(f"image,label\n{file},1\n")
    (asked,) = exam.questions(tmp_path / "labels.csv", tmp_path / "boxes.json")
    assert bool(asked.boxes) is marked


@pytest.mark.parametrize("box", [[1, 2, 3], ["a", "b", "c", "d"], [1, 2, -3, 4], 5])
def test_boxes_that_are_none_are_refused_in_words(folder, box):
    coco = {
        "images": [{"id": 1, "file_name": "1.png"}],
        "annotations": [{"image_id": 1, "bbox": box}],
    }
    (folder / "boxes.json").write_text(json.dumps(coco))
    with pytest.raises(ValueError, match=r"boxes\.json is no COCO file"):
        exam.questions(folder / "labels.csv", folder / "boxes.json")


def test_a_column_without_a_name_is_no_study_and_no_patient(tmp_path):
    """Such as the index that pandas writes."""
    path = tmp_path / "labels.csv"
    path.write_text(",image,label,study\n7,a.png,1,s\n8,b.png,0,\n")
    first, second = exam.questions(path)
    assert (first.study, first.patient) == ("s", "s")
    assert (second.study, second.patient) == ("b.png", "b.png")


def test_without_study_and_patient_every_image_is_its_own(tmp_path):
    path = Path(tmp_path, "labels.csv")
    path.write_text("\ufefffile,fracture\nb/a.png,Fractured\nc.png,0\n", "utf-8")
    first, second = exam.questions(path)
    assert (first.label, first.study, first.patient) == (1, "b/a.png", "b/a.png")
    assert second.label == 0
