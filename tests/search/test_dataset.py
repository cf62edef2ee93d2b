"""What was frozen is what is read, or the difference is told."""

import json

import pytest

from search import dataset
from search.build import build
from search.data import examples
from search.dataset import AlteredDataset, freeze, verify
from search.parts import Parts
from tests.search.archive import fill


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    fill(folder / "in", 6, views=1)
    labels = folder / "labels.csv"
    rows = [f"AP{i}1,{i % 2}" for i in range(6)]
    labels.write_text("\n".join(["study,label", *rows]))
    build(folder / "in", folder / "out", salt=b"salt", labels=labels, jobs=1)
    return folder / "out"


@pytest.fixture
def folder(built, tmp_path):
    import shutil

    shutil.copytree(built, tmp_path / "copy")
    return tmp_path / "copy"


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def refused(folder, words):
    with pytest.raises(AlteredDataset, match=words):
        examples(folder)


def test_an_untouched_copy_is_read_and_has_the_same_digest(built, folder):
    assert verify(folder)["digest"] == verify(built)["digest"]
    assert len(examples(folder)) == 6


def test_a_changed_byte_of_a_picture(folder):
    picture = next(folder.rglob("*.png"))
    data = bytearray(picture.read_bytes())
    data[-20] ^= 1
    picture.write_bytes(data)
    refused(folder, f"the file .*{picture.name} differs")


def test_a_table_without_its_columns(folder):
    change(folder / "examples.csv", "label", "lable")
    refused(folder, r"is not what was frozen: examples\.csv has no column label")


def test_a_table_that_is_gone(folder):
    (folder / "examples.csv").unlink()
    refused(folder, "is not what was frozen: ")


def test_a_changed_label(folder):
    table = folder / "examples.csv"
    rows = dataset.rows_of(table)
    rows[0]["label"] = str(1 - int(rows[0]["label"]))
    dataset.write_rows(table, rows)
    refused(folder, f"the label of {rows[0]['image']} differs")


def test_a_patient_moved_to_another_side(folder, monkeypatch):
    from search import parts

    monkeypatch.setattr(parts, "SALT", "another")
    refused(folder, "the side of .* since the data set was frozen")


def test_a_file_gone_and_a_file_more(folder):
    picture = next(folder.rglob("*.png"))
    data = picture.read_bytes()
    picture.unlink()
    refused(folder, f"{picture.name} is missing")
    picture.write_bytes(data)
    (picture.parent / "more.png").write_bytes(data)
    refused(folder, "more.png was added")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("[" * 60_000, "cannot be read"),
        ("[]", "unknown version"),
        ("{}", "unknown version"),
    ],
)
def test_a_manifest_that_is_none(folder, text, words):
    (folder / dataset.MANIFEST).write_text(text)
    refused(folder, words)


@pytest.mark.parametrize("said", [None, "{}", '{"salt": "another"}'])
def test_the_mark_of_the_salt_gone_or_changed(folder, said):
    path = folder / dataset.OPTIONS
    path.unlink() if said is None else path.write_text(said)
    refused(folder, r"options\.json is missing, or names another salt")


def test_a_manifest_of_before_the_mark_was_told_is_read(folder):
    path = folder / dataset.MANIFEST
    told = json.loads(path.read_text())
    assert told.pop("salts") == dataset.salts(folder) != []
    path.write_text(json.dumps(told))
    assert len(examples(folder)) == 6


def test_a_manifest_that_says_another_digest(folder):
    path = folder / dataset.MANIFEST
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"digest": "0" * 64}))
    refused(folder, "names a digest it does not have")


def test_the_split_is_that_of_training(built):
    manifest = json.loads((built / dataset.MANIFEST).read_text())
    for side, held in vars(Parts.of(examples(built))).items():
        assert {e.patient for e in held} == {
            patient for patient, where in manifest["split"].items() if where == side
        }


def test_a_card_calls_it_by_the_digest_it_was_frozen_with(built):
    manifest = json.loads((built / dataset.MANIFEST).read_text())
    assert dataset.digest(built, examples(built)) == manifest["digest"]


def test_the_digest_does_not_depend_on_where_the_folder_lies(built, folder):
    (folder / "report.txt").write_text("no part of it")
    assert freeze(folder)["digest"] == verify(built)["digest"]
