"""Labelled folders become examples, and splits do not leak."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.data import (
    Example,
    balanced,
    demography,
    examples,
    members,
    split,
    without_contradictions,
)
from search.table import BadTable

EXAMPLES = st.lists(
    st.builds(
        Example,
        image=st.just(Path("x.png")),
        label=st.integers(0, 1),
        study=st.uuids().map(str),
        patient=st.integers(0, 12).map(str),
        group=st.sampled_from(["", "", "g1", "g2", "g3"]),
    ),
    max_size=40,
)


@given(EXAMPLES, st.floats(0, 1), st.text(max_size=5))
def test_no_patient_and_no_duplicate_is_on_both_sides(found, share, purpose):
    rest, held = split(found, share, purpose)
    assert not {e.patient for e in rest} & {e.patient for e in held}
    assert not {e.group for e in rest} & {e.group for e in held} - {""}


@given(EXAMPLES, st.floats(0, 1))
def test_only_duplicates_of_the_held_get_lost(found, share):
    rest, held = split(found, share, "test")
    lost = Counter(found) - Counter(rest) - Counter(held)
    assert {e.group for e in lost} <= {e.group for e in held} - {""}


@given(EXAMPLES, EXAMPLES)
def test_a_patient_stays_where_they_are_as_the_archive_grows(found, more):
    _, held = split(found, 0.3, "test")
    _, later = split(found + more, 0.3, "test")
    assert later[: len(held)] == held


def people(count):
    return [Example(Path("x"), 0, str(i), str(i)) for i in range(count)]


def test_about_the_share_asked_for_is_held():
    _, held = split(people(4000), 0.25, "test")
    assert len(held) == pytest.approx(1000, rel=0.1)


def test_another_purpose_holds_others():
    _, first = split(people(4000), 0.5, "test")
    _, second = split(people(4000), 0.5, "validation")
    assert len(set(first) & set(second)) == pytest.approx(1000, rel=0.15)


@given(EXAMPLES)
def test_duplicates_whose_labels_disagree_are_dropped_altogether(found):
    kept = without_contradictions(found)
    for group in {e.group for e in found} - {""}:
        labels = {e.label for e in found if e.group == group}
        survivors = [e for e in kept if e.group == group]
        assert bool(survivors) == (len(labels) == 1)
    assert [e for e in kept if not e.group] == [e for e in found if not e.group]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_an_epoch_is_twice_the_smaller_class_each_at_most_once(broken, sound, seed):
    labels = np.array([1] * broken + [0] * sound)
    order = balanced(labels, np.random.default_rng(seed))
    assert len(order) == len(set(order)) == 2 * min(broken, sound)


def test_the_first_of_an_epoch_is_as_often_fractured_as_not():
    """P(s) = n_opposite / (2 n_b n_nb), whatever the prevalence."""
    labels = np.array([1] * 5 + [0] * 45)
    rng = np.random.default_rng(0)
    firsts = np.array([balanced(labels, rng)[0] for _ in range(4000)])
    assert labels[firsts].mean() == pytest.approx(0.5, abs=0.03)
    assert np.bincount(firsts)[:5].std() < 0.15 * np.bincount(firsts)[:5].mean()


def test_one_class_alone_cannot_be_balanced():
    with pytest.raises(ValueError, match="no example"):
        balanced(np.zeros(5, int), np.random.default_rng(0))


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_table_of_examples_is_read(tmp_path):
    boxes = json.dumps([[1, 2, 3, 4]])
    write(
        tmp_path / "examples.csv",
        [
            {
                "image": "a.png",
                "label": 1,
                "study": "s",
                "patient": "p",
                "boxes": boxes,
            },
            {"image": "b.png", "label": 0, "study": "t", "patient": "q", "boxes": ""},
        ],
    )
    first, second = examples(tmp_path)
    assert first == Example(tmp_path / "a.png", 1, "s", "p", boxes=((1, 2, 3, 4),))
    assert (second.label, second.boxes) == (0, ())


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        examples(tmp_path)


@pytest.fixture(scope="module")
def fracatlas(sample_data):
    return examples(sample_data / "fracatlas")


def test_published_files_exist_and_boxes_are_on_the_fractured(fracatlas):
    assert len(fracatlas) > 2000
    for example in fracatlas:
        assert example.image.exists()
        assert bool(example.boxes) == bool(example.label)


def test_truncated_files_and_contradictions_are_out(fracatlas, sample_data):
    kept = {e.image.name for e in without_contradictions(fracatlas)}
    with (sample_data / "fracatlas" / "split_info.csv").open() as file:
        rows = list(csv.DictReader(file))
    bad = {
        r["image_id"]
        for r in rows
        if r["truncated"] == "1" or r["dup_flag"] == "crosslabel_dup"
    }
    assert len(bad) > 20
    assert not bad & kept
    assert {r["image_id"] for r in rows} - bad == kept


def test_a_card_can_tell_what_is_in_it(fracatlas):
    told = demography(fracatlas)
    assert told["images"] == len(fracatlas)
    assert sum(told["parts"].values()) == told["images"]
    assert told["patients"][:3] == ["0", "1", "4"]


def test_a_table_may_say_how_much_a_label_counts(tmp_path):
    lines = "image,label,study,patient,weight\na.png,1,s,p,0.5\nb.png,1,s,p,\n"
    (tmp_path / "examples.csv").write_text(lines)
    assert [example.weight for example in examples(tmp_path)] == [0.5, 1.0]


def named(folder, *images):
    rows = [f"{image},0,s{i},p{i}" for i, image in enumerate(images)]
    table = "\n".join(["image,label,study,patient", *rows])
    (folder / "examples.csv").write_text(table)
    return [example.name for example in examples(folder)]


def test_pictures_of_one_file_name_are_known_by_their_paths(tmp_path):
    assert named(tmp_path, "a/1.png", "b/1.png", "b/2.png", "1.png") == [
        "a/1.png",
        "b/1.png",
        "2.png",
        "1.png",
    ]


@pytest.mark.parametrize("again", ["a/1.png", "b/../a/1.png"])
def test_a_picture_that_is_named_twice_is_refused_in_words(tmp_path, again):
    with pytest.raises(BadTable, match=r"names the picture a/1\.png twice"):
        named(tmp_path, "a/1.png", again)


def test_what_is_read_of_a_folder_is_told_file_by_file(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("in/1.png", "2.png", "notes.txt", "boxes.json"):
        (tmp_path / name).write_text("x")
    table = "image,label,study,patient\nin/1.png,1,a,a\n"
    (tmp_path / "examples.csv").write_text(table)
    assert members(tmp_path) == ["boxes.json", "examples.csv", "in/1.png"]
    (tmp_path / "examples.csv").write_text(table + "../outside.png,0,b,b\n")
    (tmp_path.parent / "outside.png").write_text("x")
    with pytest.raises(ValueError, match=r"outside\.png lies outside"):
        members(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[" * 60_000])
def test_boxes_of_fracatlas_that_are_none_are_refused_in_words(tmp_path, text):
    (tmp_path / "split_info.csv").write_text("image_id\n")
    (tmp_path / "fractures_coco.json").write_text(text)
    with pytest.raises(BadTable, match="is not laid out so"):
        examples(tmp_path)


def test_boxes_of_fracatlas_that_may_be_another_images_are_refused(tmp_path):
    (tmp_path / "split_info.csv").write_text("image_id\n")
    coco = {
        "images": [{"id": i, "file_name": "1.jpg"} for i in (0, 1)],
        "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    (tmp_path / "fractures_coco.json").write_text(json.dumps(coco))
    with pytest.raises(BadTable, match=r"^fractures_coco\.json: whose boxes those of"):
        examples(tmp_path)
