import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from clinic import benchmarks, training


@pytest.fixture
def asked(monkeypatch):
    found = {}

    def supernet(**options):
        found.update(options)
        return {"sha256": "abc"}

    monkeypatch.setattr(training, "supernet", supernet)
    return found


def said(*arguments):
    out = StringIO()
    call_command("supernet", *arguments, stdout=out)
    return json.loads(out.getvalue())


def test_the_published_file_is_taken(asked):
    assert said("import", "ofa_w1.2", "--out", "here") == {"sha256": "abc"}
    assert asked == {"published": Path("ofa_w1.2"), "out": Path("here")}


def test_one_of_our_own_is_trained(asked):
    size = "--size", "96", "64"
    said("train", "--out", "here", "--images", "there", "--phantoms", "9", *size)
    assert asked == {
        "out": Path("here"),
        "images": Path("there"),
        "wrists": 9,
        "epochs": (),
        "size": [96, 64],
    }


def test_what_one_is_worth_is_asked_as_said_and_told_as_a_table(monkeypatch, tmp_path):
    found = {}

    def inherited(**options):
        found.update(options)
        return [{"gain": 1}], "| a table |"

    monkeypatch.setattr(benchmarks, "inherited", inherited)
    out, kept = StringIO(), tmp_path / "out.json"
    size = "--size", "96", "64"
    arguments = "compare", "file", "--images", "there", *size, "--json", str(kept)
    call_command("supernet", *arguments, stdout=out)
    assert out.getvalue() == "| a table |\n"
    assert json.loads(kept.read_text()) == [{"gain": 1}]
    assert found == {
        "file": Path("file"),
        "images": Path("there"),
        "architectures": 6,
        "seeds": [0, 1],
        "epochs": 5,
        "batch": 32,
        "size": [96, 64],
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import", "nowhere", "--out", "x"), "nowhere"),
        (("import", __file__, "--out", "x"), "no checkpoint of tensors alone"),
        (("train", "--out", "x"), "nothing to learn from"),
        (("train", "--out", "x", "--phantoms", "2", "--epochs", "1"), "6 phases"),
        (("compare", __file__, "--images", "x"), "is no supernet"),
        (("compare", "nowhere", "--images", "x"), "nowhere"),
        (("compare", "x", "--images", "x", "--epochs", "0"), "1 or more, not 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("supernet", *arguments)
