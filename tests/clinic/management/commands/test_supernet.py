import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from clinic import training


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import", "nowhere", "--out", "x"), "nowhere"),
        (("import", __file__, "--out", "x"), "no checkpoint of tensors alone"),
        (("train", "--out", "x"), "nothing to learn from"),
        (("train", "--out", "x", "--phantoms", "2", "--epochs", "1"), "6 phases"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("supernet", *arguments)
