"""Where a command's answer goes is asked before its work."""

import json
from argparse import ArgumentTypeError

import pytest

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
