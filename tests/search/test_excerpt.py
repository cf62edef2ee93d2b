"""One side of a data set as files for an exam."""

import csv
import json

import pytest

from search.data import examples
from search.exam import questions
from search.excerpt import excerpt, in_words
from search.parts import Parts

SIDES = ("training", "validation", "test")
BOX = [1.0, 2.0, 30.0, 4.5]


def dataset_of(folder, patients=40, marked=True):
    """Two images of one study a patient, called alike in a folder each; every other
    patient has a fracture on the first of them, with a box if it is `marked`."""
    folder.mkdir()
    rows = []
    for n in range(patients):
        for view in "ab":
            broken = n % 2 and view == "a"
            boxes = json.dumps([BOX, BOX] if broken and marked else [])
            name = f"{view}{n}/view.png"
            (folder / name).parent.mkdir()
            (folder / name).touch()
            rows.append((name, int(broken), f"s{n}", f"p{n}", boxes))
    with (folder / "examples.csv").open("w", newline="") as file:
        csv.writer(file).writerow(("image", "label", "study", "patient", "boxes"))
        csv.writer(file).writerows(rows)
    return folder


@pytest.mark.parametrize("side", SIDES)
def test_an_exam_asks_what_the_side_holds_and_nothing_else(tmp_path, side):
    folder, out = dataset_of(tmp_path / "set"), tmp_path / "deep" / "out"
    found = excerpt(folder, side, out)
    assert found == getattr(Parts.of(examples(folder)), side)
    asked = questions(out / "labels.csv", out / "boxes.json")
    known = [(q.label, q.study, q.patient, q.boxes) for q in asked]
    assert known == [(e.label, e.study, e.patient, e.boxes) for e in found]
    assert [folder / q.file for q in asked] == [e.image for e in found]
    assert {len(q.boxes) for q in asked} == {0, 2}


def test_without_a_marked_fracture_no_boxes_are_written(tmp_path):
    folder, out = dataset_of(tmp_path / "set", marked=False), tmp_path / "out"
    found = excerpt(folder, "test", out)
    assert [path.name for path in out.iterdir()] == ["labels.csv"]
    assert in_words("test", found).endswith("no fracture is marked.")


def test_it_says_how_many_there_are_and_how_many_of_them_are_fractured(tmp_path):
    found = excerpt(dataset_of(tmp_path / "set"), "test", tmp_path / "out")
    studies, broken = len(found) // 2, sum(e.label for e in found)
    assert studies > broken > 0
    assert in_words("test", found) == (
        f"test: images {2 * studies} (fractured {broken}), "
        f"studies {studies} (fractured {broken}), "
        f"patients {studies} (fractured {broken}); fractures are marked on {broken}."
    )


def test_a_side_on_which_nobody_is_is_refused(tmp_path):
    folder = dataset_of(tmp_path / "set", patients=1)
    sides = vars(Parts.of(examples(folder)))
    empty = next(side for side, found in sides.items() if not found)
    with pytest.raises(ValueError, match=f"The {empty} part has no radiograph"):
        excerpt(folder, empty, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["labels.csv", "boxes.json"])
def test_what_is_there_is_not_overwritten(tmp_path, name):
    folder, out = dataset_of(tmp_path / "set"), tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(ValueError, match=f"{name} is there already"):
        excerpt(folder, "test", out)
    assert [(p.name, p.read_text()) for p in out.iterdir()] == [(name, "mine")]


def test_folders_that_cannot_be_are_refused_in_words(tmp_path):
    folder, file = dataset_of(tmp_path / "set"), tmp_path / "file"
    file.touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(folder)
    for source, out, words in (
        (tmp_path / "nowhere", tmp_path / "out", "nowhere is no folder"),
        (tmp_path / "empty", tmp_path / "out", r"empty is no data set.*examples\.csv"),
        (folder, file, "file is no folder"),
        (folder, folder, "lies in the data set"),
        (folder, folder / "studies" / "new", "new lies in the data set"),
        (folder, tmp_path / "link" / "new", "new lies in the data set"),
    ):
        with pytest.raises(ValueError, match=words):
            excerpt(source, "test", out)
    assert not (tmp_path / "out").exists()
    assert not (folder / "new").exists()
