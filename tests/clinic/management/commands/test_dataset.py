"""What an operator types, and what they are told."""

import csv
import json
import os
import stat

import pytest
from django.core.management import CommandError, call_command

from search.data import examples
from search.exam import questions
from search.parts import Parts
from tests.search.archive import fill


@pytest.fixture
def archive(settings, tmp_path):
    settings.DATA_ROOT = tmp_path / "var"
    fill(tmp_path / "in", 3)
    (tmp_path / "in" / "note of Mrs Secret.txt").write_text("no image")
    rows = "study,label\nAP01,1\nAP11,0\nAP21,0\n"
    (tmp_path / "labels.csv").write_text(rows)
    return tmp_path


def built(archive, *arguments):
    labels = ["--labels", archive / "labels.csv", "--jobs", "1"]
    out = archive / "out"
    call_command("dataset", "build", archive / "in", out, *labels, *arguments)
    return out


def test_build_then_verify_then_report(archive, capsys):
    out = built(archive, "--dropped", archive / "dropped.csv")
    told = capsys.readouterr().out
    assert "6 images of 3 studies and 3 patients: 2 fractured, 4 not" in told
    assert "1 not_dicom: neither DICOM nor a picture" in told
    assert "Secret" not in told
    digest = json.loads((out / "dataset.json").read_text())["digest"]
    assert digest in told
    assert len(examples(out)) == 6
    with (archive / "dropped.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"file": "note of Mrs Secret.txt", "why": "not_dicom"}
        ]
    call_command("dataset", "verify", out)
    assert json.loads(capsys.readouterr().out) == {"digest": digest}
    call_command("dataset", "report", out, "--out", archive / "who")
    assert (archive / "who" / "demographics.html").exists()


def test_a_dropped_file_whose_name_is_not_utf8_is_listed_by_its_bytes(archive):
    name = b"not\xff.txt"
    (archive / "in" / os.fsdecode(name)).write_text("no image")
    built(archive, "--dropped", archive / "dropped.csv")
    assert name + b",not_dicom" in (archive / "dropped.csv").read_bytes().splitlines()


def test_a_dropped_file_is_no_formula_of_a_spreadsheet(archive):
    (archive / "in" / "=HYPERLINK(1).txt").write_text("no image")
    built(archive, "--dropped", archive / "dropped.csv")
    assert "./=HYPERLINK(1).txt,not_dicom" in (archive / "dropped.csv").read_text()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("labels.csv", "is read by this command"),
        ("out/examples.csv", "lies in the data set"),
        ("out/studies/dropped.csv", "lies in the data set"),
    ],
)
def test_what_was_dropped_is_listed_in_the_place_of_nothing(archive, name, words):
    out = built(archive)
    before = {path: path.read_bytes() for path in archive.rglob("*.csv")}
    with pytest.raises(CommandError, match=words):
        built(archive, "--dropped", archive / name)
    assert {path: path.read_bytes() for path in archive.rglob("*.csv")} == before
    call_command("dataset", "verify", out)


def test_who_is_in_a_data_set_that_was_changed_is_not_told(archive):
    out = built(archive)
    table = next(out.glob("studies/*/study.csv"))
    table.write_text(table.read_text() + "\n")
    with pytest.raises(CommandError, match="differs since the data set was frozen"):
        call_command("dataset", "report", out, "--out", archive / "who")
    assert not (archive / "who").exists()


def test_a_side_is_written_for_evaluate_and_told(archive, capsys):
    sides = vars(Parts.of(examples(built(archive))))
    side, found = max(sides.items(), key=lambda item: len(item[1]))
    capsys.readouterr()
    call_command("dataset", "part", side, archive / "out", "--out", archive / "part")
    assert capsys.readouterr().out.startswith(f"{side}: images {len(found)} (fractured")
    asked = questions(archive / "part" / "labels.csv")
    assert [archive / "out" / q.file for q in asked] == [e.image for e in found]
    with pytest.raises(CommandError, match="is there already"):
        call_command(
            "dataset", "part", side, archive / "out", "--out", archive / "part"
        )


def test_the_salt_is_made_once_kept_to_ourselves_and_not_in_the_data_set(archive):
    out = built(archive)
    kept = archive / "var" / "pseudonym_salt"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    salt = kept.read_bytes()
    assert len(salt) >= 32
    assert all(salt not in p.read_bytes() for p in out.rglob("*") if p.is_file())
    before = (out / "examples.csv").read_bytes()
    built(archive)
    assert kept.read_bytes() == salt
    assert (out / "examples.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["build", "{}/none", "{}/out"], "is not a folder"),
        (["build", "{}/in", "{}/in"], "lies in the source"),
        (["build", "{}/in", "{}/out", "--labels", "{}/none.csv"], "No such file"),
        (["verify", "{}/in"], "cannot be read"),
        (["report", "{}/in", "--out", "{}/who"], "holds no table"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(archive, arguments, reason):
    with pytest.raises(CommandError, match=reason):
        call_command("dataset", *(text.format(archive) for text in arguments))
