"""Where a command's answer goes is asked before its work."""

import json
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from clinic import findings


def test_a_file_in_a_folder_that_is_there_can_be_written(tmp_path):
    path = findings.json_file(str(tmp_path / "out.json"))
    findings.write(path, {"auroc": 0.5})
    assert json.loads(path.read_text()) == {"auroc": 0.5}
    assert findings.json_file(str(path)) == path


@pytest.mark.parametrize(
    ("name", "words"), [("no/out.json", "no folder"), ("", "is a folder")]
)
def test_what_cannot_be_written_is_refused_in_words(tmp_path, name, words):
    with pytest.raises(ArgumentTypeError, match=words):
        findings.json_file(str(tmp_path / name))


def test_what_json_does_not_know_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="nan"):
        findings.write(tmp_path / "out.json", float("nan"))
    assert not (tmp_path / "out.json").exists()


def test_a_full_disk_is_told_in_words():
    with pytest.raises(CommandError, match="could not be written: No space left"):
        findings.write(Path("/dev/full"), {})


def test_what_is_read_is_not_written_over(tmp_path):
    labels = tmp_path / "labels.csv"
    with pytest.raises(CommandError, match="is read by this command"):
        findings.refuse_overwriting(tmp_path / "." / "labels.csv", None, labels)
    findings.refuse_overwriting(tmp_path / "out.json", labels)
    findings.refuse_overwriting(None, labels)
