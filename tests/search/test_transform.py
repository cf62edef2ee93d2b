"""One study becomes pictures and a table, or the reason why not."""

import inspect
import os
import re
import shutil

import cv2
import numpy as np
import pytest

from inference import dicom
from inference.unreadable import UnreadableFrame
from search import dataset, sources, transform
from search.deidentify import Pseudonyms
from search.outcome import WHY
from search.sources import Study
from search.table import Table
from search.transform import Rules, make
from tests.search.archive import content, radiograph, save


@pytest.fixture
def rules(tmp_path):
    def with_(said=None, scope="upper_limb", burned_in=False, unnamed=False):
        source, out = tmp_path / "in", tmp_path / "out"
        source.mkdir(exist_ok=True)
        out.mkdir(exist_ok=True)
        names = Pseudonyms(b"salt")
        said = said or Table()
        return Rules(source, out, names, said, scope, burned_in, unnamed)

    return with_


def rows(rules, made):
    path = rules.out / dataset.STUDIES / made.study / "study.csv"
    return dataset.rows_of(path)


def test_pixels_are_those_that_the_reader_sees(rules):
    rules = rules()
    ds = radiograph("p", 1)
    save(ds, rules.source / "a")
    made = make(rules, Study("uid/x", ("a",)))
    (row,) = rows(rules, made)
    kept = cv2.imread(str(rules.out / row["image"]), cv2.IMREAD_UNCHANGED)
    assert kept.dtype == np.uint8
    assert np.array_equal(kept, dicom.frame(ds).pixels)
    assert row["spacing"] == "{:g} {:g}".format(*map(float, ds.ImagerPixelSpacing))


def test_a_study_label_is_copied_to_its_images_and_nobody_is_named(rules):
    said = Table(studies={"Ap1": {"label": "1", "cast": "1", "group": "Secret"}})
    rules = rules(said)
    for view in (1, 2):
        save(radiograph("p", 1, view), rules.source / str(view))
    made = make(rules, Study("uid/x", ("1", "2")))
    found = rows(rules, made)
    assert [row["label"] for row in found] == ["1", "1"]
    assert {row["cast"] for row in found} == {"1"}
    assert len({row["patient"] for row in found}) == 1
    for name, data in content(rules.out).items():
        assert "Secret" not in name
        assert b"Secret" not in data


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"Modality": "CT"}, "not_a_radiograph"),
        ({"BodyPartExamined": "FOOT", "StudyDescription": ""}, "other_part"),
        ({"BurnedInAnnotation": "YES"}, "burned_in"),
        ({"Modality": "SR"}, "not_an_image"),
        ({"PixelData": b"\0" * (192 * 128 * 2)}, "blank"),
        ({"PatientID": ""}, "no_patient"),
        ({"PatientID": " \0"}, "no_patient"),
    ],
)
def test_what_is_dropped_has_a_named_reason(rules, tags, code):
    rules = rules()
    save(radiograph("p", 1, **tags), rules.source / "a")
    made = make(rules, Study("uid/x", ("a",)))
    assert (made.images, made.dropped) == (0, (("a", code),))
    assert rows(rules, made) == []


def test_what_is_asked_for_is_not_dropped(rules):
    rules = rules(scope="all", burned_in=True)
    tags = {"BodyPartExamined": "FOOT", "StudyDescription": ""}
    save(radiograph("p", 1, BurnedInAnnotation="YES", **tags), rules.source / "a")
    made = make(rules, Study("uid/x", ("a",)))
    assert [row["part"] for row in rows(rules, made)] == ["foot"]


def test_a_study_of_nobody_is_taken_where_the_table_knows_or_it_is_asked_for(rules):
    said = Table(studies={"Ap1": {"label": "1", "patient": "p"}})
    rules = [rules(), rules(said), rules(unnamed=True)]
    save(radiograph("p", 1, PatientID=""), rules[0].source / "a")
    study, found = Study("uid/x", ("a",)), []
    for one in rules:
        shutil.rmtree(one.out / dataset.STUDIES, ignore_errors=True)
        made = make(one, study)
        found.append([row["patient"] for row in rows(one, made)])
    names = Pseudonyms(b"salt")
    assert found == [[], [names.patient("p")], [names.of("patient", "uid/x")]]


def test_the_same_instance_counts_once(rules):
    rules = rules()
    for name in "ab":
        save(radiograph("p", 1), rules.source / name)
    made = make(rules, Study("uid/x", ("a", "b")))
    assert (made.images, made.dropped) == (1, (("b", "duplicate"),))


def test_a_study_is_of_one_patient(rules):
    rules = rules()
    save(radiograph("p", 1), rules.source / "a")
    other = radiograph("q", 1, StudyInstanceUID=radiograph("p", 1).StudyInstanceUID)
    save(other, rules.source / "b")
    made = make(rules, Study("uid/x", ("a", "b")))
    assert (made.images, made.dropped) == (1, (("b", "two_patients"),))


def test_an_image_is_grouped_by_its_pixels_unless_the_table_says_how(rules):
    said = Table(images={"b": {"group": "one bone"}})
    rules = rules(said)
    pixels = radiograph("p", 1).PixelData
    for patient, name in zip("pqr", "abc", strict=True):
        save(radiograph(patient, 1, PixelData=pixels), rules.source / name)
    made = [make(rules, Study(f"uid/{name}", (name,))) for name in "abc"]
    first, named, third = (rows(rules, one)[0]["group"] for one in made)
    assert first == third == rules.names.pixels(dicom.frame(radiograph("p", 1)).pixels)
    assert named == rules.names.of("group", "one bone")
    assert len({dict(one.pixels).popitem()[1] for one in made}) == 1


def test_an_error_that_nobody_foresaw_costs_one_file_and_tells_its_class(
    rules, monkeypatch
):
    def raises(ds, *_):
        if ds.SOPInstanceUID.endswith(".2"):
            raise ZeroDivisionError("Secret^p")
        return {}

    monkeypatch.setattr(transform, "described", raises)
    rules = rules()
    for view in (1, 2, 3):
        save(radiograph("p", 1, view), rules.source / str(view))
    made = make(rules, Study("uid/x", ("1", "2", "3")))
    assert (made.images, made.dropped) == (2, (("2", "unforeseen ZeroDivisionError"),))
    assert transform.standing(rules, Study("uid/x", ("1", "2", "3"))) == made
    assert len(list((rules.out / dataset.STUDIES).rglob("*.png"))) == 2
    assert not any(b"Secret" in data for data in content(rules.out).values())


def test_pictures_need_a_row(rules):
    said = Table(images={"a.png": {"label": "0", "patient": "Mrs Secret", "age": "97"}})
    rules = rules(said)
    noise = np.random.default_rng(0).integers(0, 255, (40, 30), np.uint8)
    for name in "a.png", "b.png":
        cv2.imwrite(str(rules.source / name), noise)
    made = make(rules, Study("table/x", ("a.png", "b.png")))
    assert made.dropped == (("b.png", "no_row"),)
    (row,) = rows(rules, made)
    assert (row["label"], row["age"]) == ("0", "90")
    assert "Secret" not in str(row)


def test_a_study_is_made_once_and_again_when_its_files_change(rules, monkeypatch):
    rules = rules()
    study = Study("uid/x", ("a",))
    save(radiograph("p", 1), rules.source / "a")
    first = make(rules, study)
    with monkeypatch.context() as patch:
        patch.setattr(transform, "_image", None)
        assert make(rules, study) == first
    save(radiograph("p", 1, StudyDescription="longer than before"), rules.source / "a")
    assert transform.standing(rules, study) is None
    assert make(rules, study).images == 1


def test_a_file_that_changed_and_not_its_size_is_noticed(rules):
    rules = rules()
    study, path = Study("uid/x", ("a",)), rules.source / "a"
    save(radiograph("p", 1, StudyDescription="before"), path)
    first = make(rules, study)
    whole, before = path.read_bytes(), content(rules.out)
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))  # touched, no more
    assert transform.standing(rules, study) == first
    path.write_bytes(whole.replace(b"before", b"beyond"))
    os.utime(path, ns=(later + 1, later + 1))
    assert transform.standing(rules, study) is None
    path.write_bytes(whole)
    assert make(rules, study) == first
    assert content(rules.out) == before


def test_where_no_times_were_kept_sizes_tell(rules):
    rules = rules()
    study = Study("uid/x", ("a",))
    save(radiograph("p", 1), rules.source / "a")
    first = make(rules, study)
    shutil.rmtree(rules.out / transform.SEEN)
    os.utime(rules.source / "a", ns=(0, 0))
    assert transform.standing(rules, study) == first


def test_the_same_files_of_another_time_make_the_same_data(rules):
    rules = rules()
    study = Study("uid/x", ("a",))
    save(radiograph("p", 1), rules.source / "a")
    make(rules, study)
    before = content(rules.out / dataset.STUDIES)
    shutil.rmtree(rules.out / dataset.STUDIES)
    os.utime(rules.source / "a", ns=(0, 0))
    make(rules, study)
    assert content(rules.out / dataset.STUDIES) == before


def test_a_file_that_cannot_be_fetched_leaves_no_study(rules):
    rules = rules()
    (rules.source / "a").touch()
    (rules.source / "a").chmod(0)
    study = Study("uid/x", ("a", "gone"))
    with pytest.raises(OSError):
        make(rules, study)
    assert not list((rules.out / dataset.STUDIES).glob("*"))


def test_every_code_has_its_words():
    named = UnreadableFrame.__doc__.split("one of ")[1].split(".")[0].split()
    raised = re.findall(r'Dropped\("(\w+)"\)', inspect.getsource(transform))
    assert len(named) > 5
    assert len(raised) > 3
    skipped = re.findall(r'append\(\(.*, "(\w+)"\)\)', inspect.getsource(sources))
    assert len(skipped) == 3
    assert {*named, *raised, *skipped, transform.UNFORESEEN} == set(WHY)
